"""`remix compare` as a user types it, with engines that paint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import cli
from remix.engine import Engine
from remix.engine.agreement import Row
from remix.errors import HostUnreachable
from remix.job import read_job
from remix.motion import load_picture, save_picture
from remix.motion.pictures import Difference
from tests.fakes.renderer import Painter

RECIPE = """\
frames = 4
size = [32, 16]
model = "both"
[[keyframes]]
prompt = "a"
[[keyframes]]
prompt = "b"
"""


class Engines(dict[str, Painter]):
    """The engines that the command opens, and the options that it opened them with."""

    def __init__(self) -> None:
        super().__init__({name: Painter(name=name) for name in ("comfyui", "a1111", "local")})
        self.options: dict[str, dict[str, Any]] = {}


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    found = Engines()

    def opened(name: str, **options: Any) -> Engine:
        found.options[name] = {option: value for option, value in options.items() if value is not None}
        return found[name]

    monkeypatch.setattr("remix.client.cli.render.open_engine", opened)
    return found


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def run(recipe: Path, *words: object, engines: str = "comfyui,a1111,local") -> int:
    out = recipe.parent / "out"
    return cli.main([str(word) for word in ("compare", recipe, "--engines", engines, "-o", out, "-q", *words)])


def test_the_result_is_printed_as_json(
    engines: Engines, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(recipe, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [pair["engines"] for pair in found["pairs"]] == [
        ["comfyui", "a1111"],
        ["comfyui", "local"],
        ["a1111", "local"],
    ]
    assert {pair["agree"] for pair in found["pairs"]} == {True}
    assert found["pairs"][0]["frames"] == [{"psnr": None, "off": 0}] * 4
    assert found["failed"] == {}
    assert Path(found["sheet"]).is_file()


def test_equal_pictures_agree_and_each_engine_has_a_job(
    engines: Engines, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(recipe) == 0
    out = capsys.readouterr().out
    assert "frame  comfyui - a1111  comfyui - local  a1111 - local\n    0  same             same" in out
    assert out.count(": agree (at least 55 dB and no color off by more than 2)") == 3
    assert load_picture(tmp_path / "out" / "compare.png").shape[1] > 4 * 128
    for name in engines:
        assert read_job(tmp_path / "out" / name).remix["engine"]["engine"] == name


def test_run_again_only_what_is_missing_is_rendered(
    engines: Engines, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(recipe) == 0
    (tmp_path / "out" / "a1111" / "frames" / "000002.png").unlink()
    assert run(recipe) == 0
    assert engines["a1111"].rendered == [0, 1, 2, 3, 2]
    assert engines["local"].rendered == [0, 1, 2, 3]
    assert "4 frames (3 were there already)" in capsys.readouterr().out


@pytest.mark.parametrize(("off", "limits", "code"), [(1, (), 1), (1, ("--psnr", 48, "--off", 1), 0), (9, (), 1)])
def test_pictures_that_differ_are_told_and_end_with_1(
    off: int, limits: tuple[object, ...], code: int, engines: Engines, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engines["local"] = Painter(name="local", off=off)
    assert run(recipe, *limits) == code
    out = capsys.readouterr().out
    assert "comfyui - a1111: agree" in out
    assert ("comfyui - local: differ" in out) is bool(code)
    assert f" dB, {off}" in out


def test_trouble_of_one_engine_is_one_sentence_and_the_others_are_compared(
    engines: Engines, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = HostUnreachable("http://127.0.0.1:1: nothing answers; is the server running there?")
    engines["a1111"] = Painter(name="a1111", fail_at=1, failure=failure)
    assert run(recipe) == 1
    output = capsys.readouterr()
    assert "a1111: http://127.0.0.1:1: nothing answers; is the server running there?\n" in output.err
    assert "comfyui - local: agree" in output.out
    assert "a1111" not in output.out


def test_a_picture_of_the_sheets_name_is_not_written_over(
    engines: Engines, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "out" / "compare.png"
    sheet.parent.mkdir()
    save_picture(sheet, np.zeros((8, 8, 3), np.uint8))
    before = sheet.read_bytes()
    assert run(recipe) == 2
    assert "compare.png: exists and is not a sheet of remix compare; move it" in capsys.readouterr().err
    assert sheet.read_bytes() == before
    assert not engines["local"].rendered
    sheet.unlink()
    assert run(recipe) == 0
    assert cli.main(["inspect", str(sheet)]) == 0
    assert "made by   Remix Toolkit" in capsys.readouterr().out
    assert run(recipe) == 0


def test_ctrl_c_ends_with_130_and_the_same_line_goes_on(engines: Engines, recipe: Path) -> None:
    engines["a1111"] = Painter(name="a1111", stop_after=2)
    assert run(recipe) == 130
    engines["a1111"] = Painter(name="a1111")
    assert run(recipe) == 0
    assert engines["a1111"].rendered == [2, 3]


def test_each_engine_is_given_its_own_address_secret_and_checkpoint(engines: Engines, recipe: Path) -> None:
    words = ("--comfyui-url", "http://c", "--a1111-url", "http://a", "--a1111-auth", "env:A", "--batch", 2)
    assert run(recipe, *words, "--device", "cpu", "--checkpoint", "local=other.safetensors") == 1
    assert engines.options == {
        "comfyui": {"url": "http://c", "batch": 2},
        "a1111": {"url": "http://a", "auth": "env:A", "batch": 2},
        "local": {"device": "cpu", "batch": 2},
    }


def test_what_is_known_to_differ_is_told_first(
    engines: Engines, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Row("euler", "normal", 3, {frozenset(("comfyui", "local")): Difference(31.5, 33)})
    monkeypatch.setattr("remix.engine.agreement.table", lambda: {("euler", "normal"): row})
    assert run(recipe) == 0
    output = (
        "note    sampler: 'euler' with 'normal' is not the same in comfyui and local (31.5 dB, 33); docs/agreement.md"
    )
    assert output in capsys.readouterr().err
    assert run(recipe, engines="comfyui,a1111") == 0
    assert "note" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("engines_text", "words", "message"),
    [
        ("comfyui", (), "engines: 'comfyui'; give two or more"),
        ("local,local", (), "engines: 'local,local'; give two or more, each once"),
        ("comfyui,locl", (), "engines: there is no 'locl'; did you mean"),
        ("comfyui,local", ("--checkpoint", "a1111=x"), "checkpoint: 'a1111=x'; write ENGINE=NAME with one of"),
        ("comfyui,local", ("--checkpoint", "local"), "checkpoint: 'local'; write ENGINE=NAME"),
    ],
)
def test_what_cannot_be_meant_is_2(
    engines_text: str,
    words: tuple[object, ...],
    message: str,
    engines: Engines,
    recipe: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(recipe, *words, engines=engines_text) == 2
    assert message in capsys.readouterr().err
    assert not any(engine.rendered for engine in engines.values())


def test_each_server_has_headers_of_its_own_and_all_trust_the_same_certificates(recipe: Path, engines: Engines) -> None:
    words = ["--comfyui-header", "X-A=env:ONE", "--comfyui-header", "X-B=env:TWO", "--ca", "ca.pem"]
    run(recipe, *words, "--a1111-header", "X-A=env:THREE", engines="comfyui,a1111,local")
    assert engines.options["comfyui"]["headers"] == {"X-A": "env:ONE", "X-B": "env:TWO"}
    assert engines.options["a1111"]["headers"] == {"X-A": "env:THREE"}
    assert engines.options["comfyui"]["ca"] == engines.options["a1111"]["ca"] == "ca.pem"
    assert "ca" not in engines.options["local"]
