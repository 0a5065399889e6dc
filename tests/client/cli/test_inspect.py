"""`remix inspect --credits` and `--strip`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from remix.client import cli
from remix.digest import sha256
from remix.motion import load_picture, save_picture
from remix.motion.texts import read_texts

INFOTEXT = "a red fox\nSteps: 9, Sampler: Euler, Seed: 4711, Model: fox"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return save_picture(tmp_path / "a.png", np.full((8, 8, 3), 90, np.uint8), {"parameters": INFOTEXT})


def test_credits_are_a_sheet_or_json(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", str(picture), "--credits"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["file", "a.png,", "sha256", sha256(picture.read_bytes())]
    assert [line.split(maxsplit=1) for line in lines[2:]] == [
        ["prompt", "a red fox"],
        ["seed", "4711"],
        ["model", "fox"],
    ]
    assert cli.main(["inspect", str(picture), "--credits", "--json"]) == 0
    assert ["prompt", "a red fox"] in json.loads(capsys.readouterr().out)


def test_a_stripped_copy_has_no_metadata_and_replaces_nothing(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = picture.with_name("b.png")
    line = ["inspect", str(picture), "--strip", "-o"]
    assert cli.main([*line, str(out)]) == 0
    assert "parameters" in capsys.readouterr().out
    assert read_texts(out).found == {}
    assert np.array_equal(load_picture(out), load_picture(picture))
    assert cli.main([*line, str(out)]) == 2
    assert cli.main([*line, str(picture)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert cli.main(["inspect", str(picture), "--strip"]) == 2
    assert cli.main([*line, str(picture.with_name("c.png")), "--json"]) == 2
    assert not picture.with_name("c.png").exists()
    assert cli.main(["inspect", str(picture), "--recipe", "--credits"]) == 2
    assert cli.main([*line, str(picture), "--overwrite"]) == 0
    assert read_texts(picture).found == {}
    assert cli.main(["inspect", str(picture), "--credits"]) == 2
