"""Verbs on hostile files: a result or one error with exit code 2, soon, and nothing is fetched or written elsewhere.

The inputs are files of the tools, changed at random with a fixed seed, and files that are none: pipes, devices, links.
`ROUNDS` is small here; thousands of rounds are run by hand when a reader changes (REMIX_ROUNDS=5000).
"""

from __future__ import annotations

import copy
import io
import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from remix.client import cli
from remix.motion.pictures import png_bytes

pytestmark = pytest.mark.skipif(os.name != "posix", reason="makes pipes and links")

ROUNDS = int(os.environ.get("REMIX_ROUNDS", "12"))
SECONDS = 10.0
PIXELS = np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)

API = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
    "2": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 5,
            "steps": 20,
            "cfg": 2.5,
            "model": ["1", 0],
            "positive": ["3", 0],
            "sampler_name": "euler",
        },
        "_meta": {"title": "Main"},
    },
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["1", 1]}},
    "4": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
}
UI = {
    "version": 0.4,
    "nodes": [
        {"id": 3, "type": "CLIPTextEncode", "widgets_values": ["a cat"], "outputs": [{"name": "C", "links": [8]}]},
        {
            "id": 5,
            "type": "KSampler",
            "inputs": [{"name": "positive", "type": "CONDITIONING", "link": 8}],
            "widgets_values": [5, "randomize", 20, 7.5, "euler", "normal", 1],
        },
    ],
    "links": [[8, 3, 0, 5, 0, "CONDITIONING"]],
}
RECIPE = {
    "frames": 3,
    "size": [32, 24],
    "model": {"checkpoint": "c", "loras": [{"name": "l", "strength": 0.5}]},
    "keyframes": [
        {"prompt": "a {b|c} <lora:x:1>", "seed": [[1, 1], [2, 3]]},
        {"at": "100%", "cfg": "1 + t", "prompt": "b"},
    ],
    "variants": "keyframe",
}
INPUTS = {
    "frames": 3,
    "workflow": {"file": "w.json", "clip": 1},
    "hold": ["Main.seed"],
    "keyframes": [{"inputs": {"Main.seed": 3}}, {"inputs": {"Main.seed": 5}}],
    "tracks": {"Main.cfg": "0:(1), 2:(5)"},
}
SONG = {"file": "s.wav", "length": 4.0, "tempo": 120.0, "beats": [0.0, 0.5, 1.0], "onsets": [0.1], "rms": [0.5, 0.2]}
MUSIC = {"frames": 8, "music": SONG, "keyframes": [{"prompt": "a"}, {"at": "beat 1", "prompt": "b", "cfg": "1 + rms"}]}
PAYLOAD = {"frames": 2, "payload": {"steps": 3, "alwayson_scripts": {"C": {"args": [1]}}}, "keyframes": [{}]}
ANSWERS = 'name = "A"\nlanguage = "de"\n[[answers]]\nnumber = "1.1"\nquestion = "Why?"\nanswer = "So."\n'
INFOTEXT = (
    'a cat\nNegative prompt: b\nSteps: 9, Sampler: Euler, CFG scale: 3, Seed: 5, Size: 64x64, Lora hashes: "x: ab"'
)

ODD: list[Any] = [
    *(None, True, -1, 0, 1e308, -1e308, 10**30, 2**64, 1e-320, "", "\x00", "\ud800", "\x1b[31m\u202e", "x" * 3000),
    *("../../etc/passwd", "/etc/passwd", "..\\x", "//h/s/x.png", "CON.png", "http://127.0.0.1:9/", "<video0>", "-i"),
    *("{a|{b", "[a:b:0.5", "((((", "`9**9**9`", "`", "beat 9", "9" * 400, [], {}, [[]], {"a": {}}, ["1", 0], ["1", -1]),
    *("$(touch x)", "<script>", "{{7*7}}", [0.1] * 300, {"x": {"x": {"x": {}}}}, "🎬" * 50),
]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in pairs:
        yield from places(part, (*at, name))


def changed(rng: random.Random, value: Any) -> bytes:
    """A document with some of its values replaced or left out, or its text damaged."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice([1, 1, 2])):
        *way, last = rng.choice(list(places(value)))
        part = value
        for name in way:
            part = part[name]
        if rng.random() < 0.8:
            part[last] = copy.deepcopy(rng.choice(ODD))
        else:
            del part[last]
    text = json.dumps(value).encode()
    return damaged(rng, text) if rng.random() < 0.15 else text


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes with some changed, left out or repeated, or cut off."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 3, 20])):
        at = rng.randrange(len(found) + 1)
        how = rng.randrange(5)
        if how == 0:
            del found[at : at + rng.choice([1, 4, 100])]
        elif how == 1:
            found[at:at] = rng.choice([b"\0" * 8, b"\xff" * 8, b"[[[[", b"((((", b"1e999", b"Steps: "])
        elif how == 2:
            found[at : at + 4] = rng.choice([0, 1, 2**31, 2**32 - 1]).to_bytes(4, "big")
        elif how == 3:
            found[at:at] = found[max(0, at - 100) : at] * 20
        elif rng.random() < 0.3:
            del found[at:]
    return bytes(found)


def encoded(kind: str) -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x9286] = b"UNICODE\0" + INFOTEXT.encode("utf-16-be")
    Image.fromarray(PIXELS).save(buffer, kind, **({} if kind == "GIF" else {"exif": exif}))
    return buffer.getvalue()


KINDS = ["JPEG", "WEBP", "GIF", *(["AVIF"] if "AVIF" in Image.registered_extensions().values() else [])]
FILES = {kind: encoded(kind) for kind in KINDS}


def picture(rng: random.Random, folder: Path) -> Path:
    """A picture of any tool, damaged or with damaged texts; or a file that is none."""
    if rng.random() < 0.15:
        return special(rng, folder)
    path = folder / f"{rng.randrange(10**9)}.png"
    if rng.random() < 0.4:
        path.write_bytes(damaged(rng, FILES[rng.choice(KINDS)]))
        return path
    own = {"recipe": RECIPE, "frame": {"index": 1}, "engine": {"engine": "local"}, "axes": {"x": {"values": [1]}}}
    texts = {"remix": changed(rng, own), "prompt": changed(rng, API), "workflow": changed(rng, UI)}
    texts["parameters"] = damaged(rng, INFOTEXT.encode())
    some = {
        name: text.decode("utf-8", "replace").replace("\0", "") for name, text in texts.items() if rng.random() < 0.5
    }
    data = png_bytes(PIXELS, some)
    path.write_bytes(damaged(rng, data) if rng.random() < 0.3 else data)
    return path


def special(rng: random.Random, folder: Path) -> Path:
    """A pipe, a device, a circular or dangling link, an enormous file, a folder, or nothing."""
    path = folder / f"special{rng.randrange(10**9)}.{rng.choice(['png', 'toml', 'json', 'mp4', 'txt'])}"
    kind = rng.choice(["pipe", "zeros", "loop", "dangling", "sparse", "folder", "empty", "none", "long"])
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "sparse":
        path.touch()
        os.truncate(path, 200 * 2**30)
    elif kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "long":
        path = folder / ("y" * 300 + ".png")
    elif kind != "none":
        path.symlink_to({"zeros": "/dev/zero", "loop": str(path), "dangling": "nowhere"}[kind])
    return path


def document(rng: random.Random, folder: Path, *values: Any) -> Path:
    if rng.random() < 0.1:
        return special(rng, folder)
    path = folder / f"{rng.randrange(10**9)}.json"
    path.write_bytes(changed(rng, rng.choice(values)))
    return path


AXES = (
    "steps=1,2",
    "cfg=1..9..2",
    "prompt:a {b,c}",
    "word[a]=x",
    "loras[l]=0,1",
    "at=0%,50%",
    "size=8x8",
    "seed=1..1e9..1",
)


def grid(rng: random.Random, folder: Path) -> list[Any]:
    axis = "".join(rng.choice("=[]{}|,.0 \x1bé") if rng.random() < 0.2 else sign for sign in rng.choice(AXES))
    out = folder / rng.choice(["g.jpg", "none/g.png"])  # so that nothing is rendered
    return [
        "grid",
        document(rng, folder, RECIPE, MUSIC),
        f"--x={axis}",
        "-o",
        out,
        "--at",
        rng.choice(["9" * 30, "nan", "-1"]),
    ]


def workflow(rng: random.Random, folder: Path) -> list[Any]:
    file = rng.choice([lambda: document(rng, folder, API, UI), lambda: picture(rng, folder)])()
    change = f"{rng.choice(['Main', '3', '', 'KSampler'])}.{rng.choice(['seed', 'text', ''])}={rng.choice(ODD)}"
    change = change.encode("utf-8", "replace").decode().replace("\0", "")
    return [
        "workflow",
        *rng.choice([["show", file], ["convert", file], ["convert", file, "--infotext"], ["set", file, change]]),
    ]


def inspect(rng: random.Random, folder: Path) -> list[Any]:
    file = rng.choice([lambda: picture(rng, folder), lambda: document(rng, folder, API, UI, RECIPE)])()
    out = folder / f"s{rng.choice(['.png', '.jpg', '.webp', '.gif', ''])}"
    return [
        "inspect",
        file,
        *rng.choice([[], ["--json"], ["--recipe"], ["--credits"], ["--strip", "-o", out, "--overwrite"]]),
    ]


def plan(rng: random.Random, folder: Path) -> list[Any]:
    file = document(rng, folder, RECIPE, INPUTS, MUSIC, PAYLOAD)
    return rng.choice(
        [["plan", file], ["plan", file, "--json"], ["export", file, "--to", "fizznodes"], ["import", file]]
    )


def travel(rng: random.Random, folder: Path) -> list[Any]:
    way = rng.choice([[], ["--by", "settings"], ["--fps", "nan"], ["--size", "0x0"], ["--denoise", "nan"], ["--loop"]])
    return ["travel", picture(rng, folder), picture(rng, folder), *way]


def hand_in(rng: random.Random, folder: Path) -> list[Any]:
    results = folder / "results"
    results.mkdir(exist_ok=True)
    path = picture(rng, folder)
    if os.path.lexists(path):
        path.rename(results / path.name)
    (folder / "answers.toml").write_bytes(damaged(rng, ANSWERS.encode()))
    return ["lab", "hand-in", folder]


def report(rng: random.Random, folder: Path) -> list[Any]:
    frames = folder / "frames"
    frames.mkdir(exist_ok=True)
    path = picture(rng, folder)
    if os.path.lexists(path):
        path.rename(frames / path.name)
    return ["report", rng.choice([frames, picture(rng, folder)]), "--json"]


VERBS: dict[str, Callable[[random.Random, Path], list[Any]]] = {
    **{"grid": grid, "workflow": workflow, "inspect": inspect, "plan": plan},
    **{"travel": travel, "hand-in": hand_in, "report": report},
}


class Terminal(io.StringIO):
    """What the user sees."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("verb", VERBS)
def test_hostile_files_give_a_result_or_one_error(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    connections: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: connections.append(address))
    monkeypatch.setenv("TERM", "dumb")  # so that no control characters are ours
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for number in range(ROUNDS):
        rng = random.Random(f"{verb} {number}")
        folder = tmp_path / f"{number}"
        folder.mkdir()
        line = [str(word) for word in VERBS[verb](rng, folder)]
        start = time.thread_time()
        code = cli.main(line)
        error, shown = capfd.readouterr().err, terminal.getvalue()
        terminal.truncate(terminal.seek(0))
        assert code in (0, 2), (number, line, error)
        assert time.thread_time() - start < SECONDS, (number, line)
        assert code == 0 or error.strip(), (number, line)
        assert len(error) < 5000, (number, line)
        assert not {"\x1b", "\x00", "\u202e"} & {*shown, *error}, (number, line)
    assert connections == []
    assert {path.name for path in tmp_path.iterdir()} == {"here", *(str(number) for number in range(ROUNDS))}
    assert [*(tmp_path / "here").iterdir()] == []
