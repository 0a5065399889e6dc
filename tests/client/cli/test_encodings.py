"""Consoles and pipes of any encoding: nothing crashes, letters that are not in it are escapes, and data is UTF-8."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from remix.plan import Recipe

ROOT = Path(__file__).parents[3]
PROMPT = "a cat 日本 é 🎬 → ½"
NARROW = {
    "cp1252": {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
    "cp437": {"PYTHONIOENCODING": "cp437", "PYTHONUTF8": "0"},
    "cp932": {"PYTHONIOENCODING": "cp932", "PYTHONUTF8": "0"},
    "ascii": {"PYTHONIOENCODING": "", "PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
}
LINES = (
    ["export", "{recipe}", "--to", "json"],
    ["export", "{recipe}", "--to", "toml"],
    ["plan", "{recipe}", "--json"],
    ["render", "{recipe}", "-o", "{job}", "--json", "--no-film"],
    ["inspect", "{job}", "--json"],
    ["inspect", "{job}", "--recipe"],
    ["jobs", "{job}", "--json"],
    ["report", "{job}", "--json"],
    ["workflow", "convert", "{workflow}"],
    ["inspect", "{job}"],
    ["plan", "{recipe}"],
    ["render", "{recipe}", "-o", "{job}", "--no-film"],
    ["plan", "日本 é.toml"],
    ["demo", "--words"],
    ["--help"],
)
DATA = 9
"""How many of the lines print data."""

BETWEEN = b"\n<---->\n"
SCRIPT = """
import sys
from pathlib import Path
from tests.fakes.command import command
for line in sys.argv[2].split("|"):
    code = command(line.split("@"), Path(sys.argv[1]) / "record")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        stream.buffer.write(b"\\n<---->\\n")
        stream.buffer.flush()
"""


def printed(folder: Path, environment: dict[str, str]) -> tuple[list[bytes], list[bytes]]:
    """What each line prints, and what it says besides, in a process with that encoding."""
    named = {"recipe": str(folder / "r.toml"), "job": str(folder / "job ü 映画"), "workflow": str(folder / "w.json")}
    lines = "|".join("@".join(word.format(**named) for word in line) for line in LINES)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), lines],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    return done.stdout.split(BETWEEN)[:-1], done.stderr.split(BETWEEN)[:-1]


@pytest.mark.parametrize("name", NARROW)
def test_a_narrow_console_crashes_nothing_and_pipes_carry_data_in_utf8(tmp_path: Path, name: str) -> None:
    recipe = Recipe.from_dict({"frames": 2, "size": [32, 16], "keyframes": [{"prompt": PROMPT}]})
    (tmp_path / "r.toml").write_text(recipe.to_toml(), encoding="utf-8")
    nodes = {"1": {"class_type": "CLIPTextEncode", "inputs": {"text": PROMPT}}}
    (tmp_path / "w.json").write_text(json.dumps(nodes), encoding="utf-8")
    out, err = printed(tmp_path, NARROW[name])
    assert len(out) == len(err) == len(LINES)
    assert b"Traceback" not in b"".join([*out, *err])
    data = [text.decode("utf-8") for text in out[:DATA]]
    as_json, as_toml, schedule, outcome, made, inner, jobs, report, prompt = data
    assert Recipe.from_json(as_json) == Recipe.from_toml(as_toml) == recipe
    assert json.loads(schedule)["frames"][0]["prompt"] == [[PROMPT, 1.0]]
    folder = json.loads(outcome)["folder"]  # in the C locale, letters of a path are bytes, which JSON holds as escapes
    assert os.fsencode(folder).decode("utf-8").endswith("job ü 映画")
    assert json.loads(made)["remix"]["recipe"]["keyframes"][0]["prompt"] == PROMPT
    assert Recipe.from_toml(inner).keyframes == recipe.keyframes
    assert json.loads(jobs)["prompt"] == PROMPT
    assert os.fsencode(json.loads(report)["title"]).decode("utf-8") == "job ü 映画"
    assert json.loads(prompt) == nodes
    encoding = name if name != "ascii" else "utf-8"  # click takes the C locale for one of UTF-8
    shown = "\n".join(text.decode(encoding) for text in (*out[DATA:], *err[DATA:]))
    escaped = PROMPT.encode(encoding, "backslashreplace").decode(encoding)
    assert escaped in shown
    assert any(f"{letter}.toml: cannot be read" in shown for letter in ("é", "\\xe9", "\\udcc3\\udca9"))


def test_data_in_a_file_is_utf8_with_plain_ends_of_lines(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(f'frames = 2\nkeyframes = [{{prompt = "{PROMPT}"}}]\n', encoding="utf-8")
    with open(tmp_path / "out.toml", "wb") as file:
        line = [sys.executable, "-m", "remix.client", "export", str(tmp_path / "r.toml"), "--to", "toml"]
        subprocess.run(line, stdout=file, check=True, cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": "cp1252"})
    data = (tmp_path / "out.toml").read_bytes()
    assert PROMPT.encode() in data
    assert b"\r" not in data
