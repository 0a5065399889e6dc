"""From pictures to a film: by the settings that made them, lined up, or by the pictures themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from remix.client import cli
from remix.client.pictures_travel import ends, settings_in, travel
from remix.engine import render
from remix.errors import BadInput
from remix.job import frame_path
from remix.motion import save_picture
from remix.plan import Keyframe, Lora, Mix, Model, Recipe, plan
from tests.fakes.renderer import Painter

GRAY = np.full((64, 64, 3), 128, np.uint8)
FIRST = (
    "a cat <lora:ink:0.8>\nNegative prompt: blur\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x768, Model: dream"
)
SECOND = "a dog\nSteps: 30, Sampler: Euler, CFG scale: 4, Seed: 9, Size: 512x768, Model: other"


@pytest.fixture
def made(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, text in zip(paths, (FIRST, SECOND), strict=True):
        save_picture(path, GRAY, {"parameters": text})
    return paths


def test_settings_of_another_tool_are_lined_up_and_what_is_lost_is_named(made: list[Path], tmp_path: Path) -> None:
    found = travel(made, folder=tmp_path, frames=9)
    recipe, schedule = found.recipe, plan(found.recipe.replace(pace="linear"))
    assert found.way == "settings"
    assert (schedule[0].prompt, schedule[8].prompt) == (Mix.one("a cat "), Mix.one("a dog"))
    assert (schedule[0].negative, schedule[8].negative) == (Mix.one("blur"), Mix.one(""))
    assert (schedule[0].seed, schedule[8].seed) == (Mix.one(5), Mix.one(9))
    assert (schedule[0].cfg, schedule[4].cfg, schedule[8].cfg) == (7, 5.5, 4)
    assert [schedule[index].loras for index in (0, 8)] == [(Lora("ink", 0.8),), (Lora("ink", 0.0),)]
    assert (recipe.sampler, recipe.steps, recipe.width, recipe.height) == ("euler_ancestral", 20, 512, 768)
    assert recipe.model.checkpoint == "dream"
    assert "b.png: sampler was euler; the film has euler_ancestral, as a.png does" in found.notes
    assert "b.png: steps was 30; the film has 20, as a.png does" in found.notes
    assert "b.png: checkpoint was other; the film has dream, as a.png does" in found.notes
    assert not any("steps" in note for note in travel(made, folder=tmp_path, frames=9, steps=8).notes)


def test_frames_of_our_films_are_reproduced_and_compared(tmp_path: Path) -> None:
    keyframes = (Keyframe(prompt="a", seed=1), Keyframe(prompt="b", seed=2), Keyframe(prompt="c", cfg=3))
    job = Recipe(frames=9, keyframes=keyframes, width=64, height=64, model=Model("paint"))
    render(job, Painter(), tmp_path / "job", film=None, report=False)
    pictures = [frame_path(tmp_path / "job", index) for index in (1, 7)]
    found = travel(pictures, folder=tmp_path, frames=5)
    assert (found.way, found.notes) == ("settings", ())
    schedule = plan(found.recipe.replace(pace="linear"))
    assert [schedule[index].prompt for index in (0, 4)] == [plan(job)[index].prompt for index in (1, 7)]
    outcome = render(found.recipe.replace(pace="linear"), Painter(), tmp_path / "film", film=None, report=False)
    frames = [frame_path(outcome.folder, index) for index in range(5)]
    assert [(name, apart.off) for name, apart in ends(found.recipe, pictures, frames)] == [
        ("000001.png", 0),
        ("000007.png", 0),
    ]


def test_photos_travel_by_the_pictures_with_prompts_or_without(made: list[Path], tmp_path: Path) -> None:
    photo = tmp_path / "more" / "photo.png"
    photo.parent.mkdir()
    save_picture(photo, GRAY)
    assert settings_in(photo) is None
    mixed = travel([made[0], photo], folder=tmp_path, frames=9)
    assert mixed.way == "pictures"
    assert mixed.recipe.restore
    assert [keyframe.image for keyframe in mixed.recipe.keyframes] == [
        Mix.one("a.png"),
        None,
        Mix.one("more/photo.png"),
    ]
    assert [keyframe.denoise for keyframe in mixed.recipe.keyframes] == [0, 0.75, 0]  # a.png says what it shows
    bare = travel([photo, photo], folder=tmp_path, frames=9)
    assert bare.recipe.keyframes[1].denoise == 0.5
    assert any("--prompts" in note for note in bare.notes)
    given = travel(made, folder=tmp_path, frames=9, prompts=["x", "y"], loop=True)
    assert given.way == "pictures"
    assert len(given.recipe.keyframes) == 4
    assert plan(given.recipe)[0].prompt == Mix.one("x")


def test_what_does_not_fit_is_refused(made: list[Path], tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    save_picture(photo, GRAY)
    with pytest.raises(BadInput, match="does not say what made it"):
        travel([made[0], photo], folder=tmp_path, way="settings", frames=9)
    with pytest.raises(BadInput, match="give one for each"):
        travel(made, folder=tmp_path, prompts=["a"], frames=9)
    (tmp_path / "below").mkdir()
    with pytest.raises(BadInput, match="not below"):
        travel([made[0], photo], folder=tmp_path / "below", frames=9)


def test_travel_writes_the_recipe_that_morph_renders(
    made: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "film.toml"
    words = ["travel", *map(str, made), "--by", "pictures", "--size", "64x64", "--steps", "8", "-o", str(out)]
    assert cli.main(words) == 0
    recipe = Recipe.from_toml(out.read_text("utf-8"), folder=str(tmp_path))
    assert (recipe.steps, recipe.width, recipe.pictures()) == (8, 64, ["a.png", "b.png"])
    assert cli.main(words) == 2
    assert "already exists" in capsys.readouterr().err
    assert cli.main(["travel", *map(str, made)]) == 0
    shown = capsys.readouterr()
    assert "note    b.png: steps was 30" in shown.err
    assert 'checkpoint = "dream"' in shown.out
