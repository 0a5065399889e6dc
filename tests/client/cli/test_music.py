"""`remix music`: what it prints of a song, and numbers that a recipe needs no file for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remix.client.cli import main
from remix.plan import Recipe, plan

SONG = Path(__file__).parents[3] / "examples" / "song.mp3"


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("librosa")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_it_prints_tempo_beats_bars_and_onsets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["music", str(SONG)]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["length"] == "4 s"
    assert float(lines["tempo"].split()[0]) == pytest.approx(120, abs=0.5)
    assert lines["beats"].startswith("8, at 0.0")
    assert lines["bars"].startswith("2, at 0.0")
    assert lines["onsets"].startswith("8, at 0.0")


def test_its_table_replaces_the_song_in_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["music", str(SONG), "--toml"]) == 0
    table = capsys.readouterr().out
    text = f'frames = "song"\n{table}\n[[keyframes]]\nat = "beat 2"\nprompt = "a cat"\ncfg = "5 + beat + bass"\n'
    recipe = Recipe.from_toml(text)
    own = Recipe.from_toml(
        'frames = "song"\n[music]\nfile = "song.mp3"' + text[text.index("\n[[") :], folder=str(SONG.parent)
    )
    assert recipe == own
    assert recipe.positions() == (6,)
    assert plan(recipe).to_json() == plan(own).to_json()
    assert main(["music", str(SONG), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["beats"] == list(recipe.music.beats)  # type: ignore[union-attr]


def test_what_is_no_song_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "song.mp3").write_text("words\n" * 99)
    assert main(["music", str(tmp_path / "song.mp3")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "song.mp3" in line
    assert main(["music", str(tmp_path / "none.mp3")]) == 2
    assert "'none.mp3' is not a file in" in capsys.readouterr().err
