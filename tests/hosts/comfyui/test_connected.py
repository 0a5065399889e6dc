"""Pictures, masks and conditionings that are connected to Remix Render."""

from __future__ import annotations

import copy
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from remix.errors import BadInput, RecipeError
from remix.motion import load_picture, save_picture
from remix.plan import Mix, Schedule, plan
from tests.core.plan.recipes import recipe_of_text
from tests.hosts.comfyui.conftest import room
from tests.hosts.comfyui.rendering import Model, render_node
from tests.hosts.comfyui.stand_ins import Clip, Pictures, Vae, schedule

FRAMES = 5


def shades(*values: float) -> torch.Tensor:
    """Pictures [n, 64, 64, 3], each of one shade."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 64, 64, 3)


def connected(
    pack: ModuleType, asked: Schedule, images: Any = None, masks: Any = None, denoise: float = 0.5
) -> tuple[Schedule, dict[str, int]]:
    """Returns the schedule with what is connected, and the shade of each picture that it names."""
    with room(pack, "connected").with_pictures(asked, images, masks, denoise) as made:
        found = {name: int(load_picture(Path(made.recipe.folder, name))[0, 0, 0]) for name in made.recipe.pictures()}
    return made, found


def shade_of(mix: Mix[str] | None, found: dict[str, int]) -> float:
    assert mix is not None
    return sum(found[name] * weight for name, weight in mix.items)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0.2], [51, 51, 51, 51, 51]),
        ([0.2, 0.6], [51, 76.5, 102, 127.5, 153]),
        ([0, 0.2, 0.4, 0.6, 0.2], [0, 51, 102, 153, 51]),
    ],
    ids=["one", "for each keyframe", "for each frame"],
)
def test_images_are_for_all_frames_for_each_keyframe_or_for_each_frame(
    pack: ModuleType, given: list[float], expected: list[float]
) -> None:
    asked = schedule(FRAMES)
    made, found = connected(pack, asked, shades(*given), denoise=0.4)
    assert [shade_of(frame.image, found) for frame in made] == pytest.approx(expected)
    assert [frame.denoise for frame in made] == [0.4] * FRAMES
    for before, after in zip(asked, made, strict=True):
        assert (before.prompt, before.seed, before.cfg) == (after.prompt, after.seed, after.cfg)
    assert not Path(made.recipe.folder).exists()


def test_pictures_for_each_frame_leave_easing_and_loops_as_they_are(pack: ModuleType) -> None:
    text = 'frames = 6\nsize = [64, 64]\nloop = true\nease = "in"\n[[keyframes]]\nprompt = "a"\nease = "out"\n'
    asked = plan(recipe_of_text(f'{text}[[keyframes]]\nat = 2\nprompt = "b"\n[[keyframes]]\nat = 5\nseed = 4\n'))
    made, _ = connected(pack, asked, shades(*np.linspace(0, 1, 6)))
    assert [(frame.prompt, frame.seed) for frame in made] == [(frame.prompt, frame.seed) for frame in asked]


def test_masks_are_for_pictures_that_are_connected_or_named(pack: ModuleType) -> None:
    masks = torch.tensor([0.0, 1.0])[:, None, None].expand(2, 64, 64)
    made, found = connected(pack, schedule(FRAMES), shades(0.2), masks)
    assert [shade_of(frame.mask, found) for frame in made] == pytest.approx([0, 63.75, 127.5, 191.25, 255])
    folder = Path(pack.base, "input")
    save_picture(folder / "a.png", np.full((64, 64, 3), 9, np.uint8))
    recipe = recipe_of_text('frames = 2\nsize = [64, 64]\n[[keyframes]]\nimage = "a.png"\ndenoise = 0.9\n')
    named = plan(recipe.replace(folder=str(folder)))
    made, found = connected(pack, named, masks=masks[1:])
    assert found["a.png"] == 9
    assert made[1].denoise == 0.9
    assert shade_of(made[1].mask, found) == 255
    (folder / "a.png").unlink()
    with pytest.raises(RecipeError, match=r"image: 'a\.png' is not a file in "):
        connected(pack, named, masks=masks[1:])


@pytest.mark.parametrize(
    ("text", "images", "masks", "sentence"),
    [
        ("", 3, 0, "images: 3 for 5 frames and 2 keyframes; give one, one for each keyframe, or one for each frame"),
        ('image = "a.png"', 1, 0, "images: the recipe sets 'image' too; disconnect them, or leave it out"),
        ("", 0, 1, "masks: there is no picture to redraw; connect images too"),
        ('image = "a.png"\nmask = "m.png"', 0, 1, "masks: the recipe sets 'mask' too"),
    ],
)
def test_what_does_not_fit_the_recipe_is_refused(
    pack: ModuleType, text: str, images: int, masks: int, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        connected(
            pack,
            schedule(FRAMES, second=text),
            shades(*[0.5] * images) if images else None,
            torch.zeros(masks, 64, 64) if masks else None,
        )


def test_another_picture_is_another_job_and_the_same_one_goes_on(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = render_node(pack, monkeypatch)

    def folder(shade: float, **more: Any) -> Path:
        images = shades(shade, 0.9)
        (job,) = node.execute(Model(), Clip(), Vae(), schedule(3), "remix/film", 4, images=images, **more).result
        return Path(job.folder)

    before = folder(0.2)
    assert folder(0.2) == before
    assert len({before, folder(0.3), folder(0.2, denoise=0.25), folder(0.2, masks=torch.ones(1, 64, 64))}) == 4
    assert sorted(path.suffix for path in (before / "inputs").iterdir()) == [".png", ".png"]


# --- conditionings ---


class Control:
    """A ControlNet with pictures [n, 3, 8, 8]."""

    def __init__(self, count: int, previous: Control | None = None, strength: float = 1.0) -> None:
        self.cond_hint_original = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(count))
        self.extra_concat_orig = [torch.ones(count, 1, 8, 8)]
        self.previous_controlnet, self.strength = previous, strength

    def copy(self) -> Control:
        return copy.copy(self)


def conditioning(count: int, control: Control | None = None) -> list[list[Any]]:
    options = {"pooled_output": torch.rand(count, 8), "mask": torch.rand(count, 8, 8), "strength": 1.0}
    return [[torch.rand(count, 4, 8), {**options, "control": control} if control else options]]


def engine(pack: ModuleType, **given: Any) -> Any:
    return room(pack, "engine").ComfyEngine(
        Pictures(), Clip(), Vae(), made_by={}, batch_size=2, on_step=lambda *step: None, **given
    )


def sampled(pack: ModuleType, **given: Any) -> tuple[list[dict[str, Any]], Clip]:
    able = engine(pack, **given)
    list(able.render(schedule(FRAMES), range(FRAMES), {}, lambda event: None))
    return able._model.calls, able._clip


@pytest.fixture
def _sampler(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    render_node(pack, monkeypatch)


@pytest.mark.usefixtures("_sampler")
@pytest.mark.parametrize("count", [1, FRAMES])
def test_each_block_takes_its_own_rows_and_control_pictures(pack: ModuleType, count: int) -> None:
    shared = Control(count, previous=Control(1))
    positive, negative = conditioning(count, shared), conditioning(1, shared)
    calls, clip = sampled(pack, positive=positive, negative=negative)
    assert clip.encoded == []
    rows = [[0, 1], [2, 3], [4]] if count > 1 else [[0]] * 3
    for call, block in zip(calls, rows, strict=True):
        ((tokens, options),) = call["positive"]
        assert torch.equal(tokens, positive[0][0][block])
        for name in ("pooled_output", "mask"):
            assert torch.equal(options[name], positive[0][1][name][block])
        control = options["control"]
        assert torch.equal(control.cond_hint_original, shared.cond_hint_original[block])
        assert len(control.extra_concat_orig[0]) == len(block)
        assert len(control.previous_controlnet.cond_hint_original) == 1
        assert call["negative"][0][1]["control"] is control  # sampled together
    assert len(shared.cond_hint_original) == count


@pytest.mark.usefixtures("_sampler")
def test_one_of_both_may_be_the_recipes(pack: ModuleType) -> None:
    given = conditioning(1)
    calls, clip = sampled(pack, positive=given)
    assert clip.encoded == [""]
    assert all(torch.equal(call["positive"][0][0], given[0][0]) for call in calls)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (conditioning(2), r"positive: 2 conditionings for 5 frames; .*batch_size 0 in Remix Prompt Travel"),
        (conditioning(1, Control(3)), "positive: its ControlNet has 3 pictures for 5 frames"),
    ],
)
def test_another_number_is_refused_before_the_first_frame(pack: ModuleType, given: Any, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        engine(pack, positive=given).check(schedule(FRAMES))


def test_every_value_of_a_conditioning_is_part_of_the_job(pack: ModuleType) -> None:
    def identity(given: Any) -> dict[str, str]:
        return dict(engine(pack, positive=given).identity(schedule(FRAMES)))

    given = conditioning(FRAMES, Control(FRAMES, previous=Control(1)))
    first = identity(given)
    assert first.keys() == {"engine", "positive"}
    assert identity([[given[0][0].clone(), {**given[0][1], "control": given[0][1]["control"].copy()}]]) == first
    other = copy.deepcopy(given)
    other[0][1]["control"].previous_controlnet.cond_hint_original[0, 2, 7, 7] += 1  # one value of thousands
    stronger = conditioning(FRAMES)
    stronger[0][0], stronger[0][1] = given[0][0], {**given[0][1], "strength": 0.5}
    assert len({identity(one)["positive"] for one in (given, other, stronger)}) == 3
    assert identity(None).keys() == {"engine"}
