"""The engine behind Remix Render, among fakes of the host's sampler and VAE; and the node Remix Recipe."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from remix.engine import Event
from remix.errors import BlankFrame, RecipeError, Unsupported
from remix.mix import noise_of_mixes
from remix.motion.pictures import to_floats
from remix.plan import Schedule, plan
from tests.core.plan.recipes import recipe_of_text
from tests.fakes.later import later
from tests.hosts.comfyui.conftest import room
from tests.hosts.comfyui.stand_ins import Clip, Pictures, Vae, sample, schedule


@pytest.fixture(autouse=True)
def sampler(pack: ModuleType) -> None:
    host = sys.modules["comfy.sample"]
    host.sample = sample  # type: ignore[attr-defined]
    host.fix_empty_latent_channels = lambda model, latent: latent  # type: ignore[attr-defined]


def engine(pack: ModuleType, model: Any, *, batch_size: int = 2, vae: Any = None, on_step: Any = None) -> Any:
    return room(pack, "engine").ComfyEngine(
        model,
        Clip(),
        vae or Vae(),
        made_by={"model": "m"},
        batch_size=batch_size,
        on_step=on_step or (lambda *step: None),
    )


def rendered(
    pack: ModuleType, asked: Schedule, frames: Sequence[int] | None = None, **options: Any
) -> tuple[list[Any], Pictures]:
    model = Pictures()
    wanted = range(len(asked)) if frames is None else frames
    inputs = options.pop("inputs", {})
    return list(engine(pack, model, **options).render(asked, wanted, inputs, lambda event: None)), model


def test_pictures_are_the_frames_own_whatever_the_batch(pack: ModuleType) -> None:
    asked = schedule()
    noise = noise_of_mixes([frame.seed for frame in asked], (4, 8, 8))
    expected = (Vae().decode(noise).numpy() * 255).astype(np.uint8)
    for batch_size in (1, 2, 5, 8):
        found, _ = rendered(pack, asked, batch_size=batch_size)
        assert np.array_equal(np.stack(found), expected)


def test_a_missing_frame_is_worked_out_in_its_whole_block(pack: ModuleType) -> None:
    found, model = rendered(pack, schedule(), [3], batch_size=2)
    assert len(found) == 1
    assert [call["rows"] for call in model.calls] == [2]
    assert np.array_equal(found[0], rendered(pack, schedule())[0][3])


def test_frames_of_one_cfg_are_sampled_together(pack: ModuleType) -> None:
    asked = schedule(6, second="[[keyframes]]\nat = 2\ncfg = 7\n[[keyframes]]\nat = 4\ncfg = 3")
    assert [frame.cfg for frame in asked] == [7, 7, 7, 5, 3, 3]
    found, model = rendered(pack, asked, batch_size=6)
    assert [(call["cfg"], call["rows"]) for call in model.calls] == [(7, 3), (5, 1), (3, 2)]
    assert np.array_equal(np.stack(found), np.stack(rendered(pack, asked, batch_size=1)[0]))


def test_each_step_is_told_with_its_frames(pack: ModuleType) -> None:
    steps: list[tuple[int, int, int]] = []
    rendered(pack, schedule(3), on_step=lambda *step: steps.append(step[:3]))
    assert steps == [(2, 1, 2), (2, 2, 2), (1, 1, 2), (1, 2, 2)]


class KSampler:
    """`comfy.samplers.KSampler`: levels of n steps that fall from 8, each half the one before, and 0."""

    SAMPLERS, SCHEDULERS = ("euler",), ("normal",)

    def __init__(self, model: Any, steps: int, device: str, sampler: str, scheduler: str) -> None:
        assert (sampler, scheduler) == ("euler", "normal")

    def calculate_sigmas(self, steps: int) -> torch.Tensor:
        return torch.cat([8 * 0.5 ** torch.arange(steps), torch.zeros(1)])


def test_a_denoise_between_whole_steps_is_given_as_levels_and_another_as_itself(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["comfy.samplers"], "KSampler", KSampler)
    monkeypatch.setattr(Pictures, "load_device", "cpu", raising=False)
    asked = plan(
        recipe_of_text(
            'frames = 5\nsize = [64, 64]\nsteps = 2\n[[keyframes]]\nimage = "a.png"\ndenoise = 0\n'
            "[[keyframes]]\nat = 4\ndenoise = 1\n[[keyframes]]\nat = 3\ndenoise = 0.8\n"
            "[[keyframes]]\nat = 2\ndenoise = 0.5\n[[keyframes]]\nat = 1\ndenoise = 1e-9"
        )
    )
    given = {"a.png": np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3) // 16 * 16}
    _, model = rendered(pack, asked, inputs=given, batch_size=5)
    found = {call["denoise"]: call["sigmas"] for call in model.calls[:3] + model.calls[4:]}
    # 0.5 is the host's own rule, as is what a least denoise is taken for; 0 is nothing to walk.
    assert found == {0.0: None, 1e-4: None, 0.5: None, 1.0: None}
    assert model.calls[3]["denoise"] == 1.0
    first = 2**2.5  # of 2.5 steps: between 8 and 4
    assert model.calls[3]["sigmas"].tolist() == pytest.approx([first, first / 2, 0], rel=1e-6)


def test_init_pictures_are_mixed_and_kept_as_far_as_denoise_says(pack: ModuleType) -> None:
    asked = plan(
        recipe_of_text(
            'frames = 3\nsize = [64, 64]\nsteps = 2\n[[keyframes]]\nimage = "a.png"\ndenoise = 0.5\n'
            '[[keyframes]]\nimage = "b.png"\n'
        )
    )
    given = {name: np.full((64, 64, 3), value, dtype=np.uint8) for name, value in (("a.png", 51), ("b.png", 255))}
    found, model = rendered(pack, asked, inputs=given, batch_size=3)
    assert [call["denoise"] for call in model.calls] == [0.5]
    noise = noise_of_mixes([frame.seed for frame in asked], (4, 8, 8)) * 0.5
    start = torch.tensor([0.2, 0.6, 1.0]).reshape(3, 1, 1, 1)
    expected = Vae().decode(noise + start).numpy() * 255
    assert np.abs(np.stack(found) - expected).max() < 1.01


def test_masks_are_mixed_and_where_they_are_black_the_init_picture_stays(pack: ModuleType) -> None:
    asked = plan(
        recipe_of_text(
            'frames = 3\nsize = [64, 64]\nsteps = 2\n[[keyframes]]\nimage = "in.png"\nmask = "left.png"\n'
            '[[keyframes]]\nmask = "white.png"\n'
        )
    )
    white = np.full((64, 64, 3), 255, dtype=np.uint8)
    left = white * (np.arange(64) < 32)[None, :, None].astype(np.uint8)
    given = {"in.png": white // 5, "left.png": left, "white.png": white}
    found, model = rendered(pack, asked, inputs=given, batch_size=3)
    (call,) = model.calls
    assert call["noise_mask"].shape == (3, 1, 8, 8)
    assert call["noise_mask"][:, 0, 0, 0].tolist() == [1, 1, 1]
    assert call["noise_mask"][:, 0, 0, 7].tolist() == [0, 0.5, 1]
    kept = (Vae().decode(Vae().encode(torch.from_numpy(to_floats(given["in.png"]))[None])).numpy() * 255).astype(
        np.uint8
    )
    assert np.array_equal(found[0][:, 32:], kept[0][:, 32:])
    assert (found[1] != kept[0]).mean() > 0.9
    assert rendered(pack, schedule())[1].calls[0]["noise_mask"] is None


def test_it_ends_after_the_block_at_hand_when_it_is_cancelled(pack: ModuleType) -> None:
    model = Pictures()
    running = engine(pack, model)
    pictures = running.render(schedule(), range(5), {}, lambda event: None)
    next(pictures)
    running.cancel()
    assert len(list(pictures)) == 1
    assert len(model.calls) == 1


RED = torch.tensor([1.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("decode", "sentence"),
    [
        (lambda latents: RED.expand(len(latents), 64, 64, 3), r"frame 0: every pixel of the picture is \(255, 0, 0\)"),
        (None, "frame 0: the model gave numbers that are not finite"),
    ],
)
def test_a_blank_frame_is_told_by_its_number(
    pack: ModuleType, decode: Callable[..., Any] | None, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae = Vae()
    if decode is None:
        broken = lambda *given, **named: sample(*given, **named) * float("nan")  # noqa: E731
        monkeypatch.setattr(sys.modules["comfy.sample"], "sample", broken, raising=False)
    else:
        vae.decode = decode  # type: ignore[method-assign]
    with pytest.raises(BlankFrame, match=sentence):
        rendered(pack, schedule(), vae=vae)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"settings": 'sampler = "lms"'}, "sampler: this ComfyUI does not have 'lms'"),
        ({"settings": 'scheduler = "simple"'}, "scheduler: this ComfyUI does not have 'simple'"),
        ({"settings": "model = {clip_skip = 2}"}, r"model.clip_skip: 2 is set, .*connect CLIP Set Last Layer"),
        ({"settings": 'model = {vae = "x"}'}, r"model.vae: 'x' is set, .*connect a VAE loader"),
    ],
)
def test_what_cannot_be_rendered_is_told_by_name(pack: ModuleType, asked: dict, sentence: str) -> None:
    with pytest.raises(Unsupported, match=sentence):
        engine(pack, Pictures()).check(schedule(**asked))


def test_a_model_of_sound_and_a_missing_vae_are_refused(pack: ModuleType) -> None:
    with pytest.raises(Unsupported, match="model: SimpleNamespace makes sound; connect a model that makes pictures"):
        engine(pack, Pictures(dimensions=1)).check(schedule())
    lacking = engine(pack, Pictures())
    lacking._vae = None
    with pytest.raises(Unsupported, match="vae: is None; this checkpoint holds none"):
        lacking.check(schedule())


def test_a_model_of_films_is_named_in_a_remark(pack: ModuleType) -> None:
    """Its pictures are films of one frame; those of Qwen-Image are nothing else."""
    films, pictures = Pictures(dimensions=3), Pictures(dimensions=3)
    for model, base in ((films, "WAN21_T2V"), (pictures, "QwenImage")):
        model.model.model_config = type("Variant", (type(base, (), {"unet_config": {}}),), {})()
    (remark,) = engine(pack, films).check(schedule())
    assert remark == "model: SimpleNamespace is trained on films; every frame is rendered as a film of one picture"
    assert engine(pack, pictures).check(schedule()) == []


def test_a_recipe_that_can_be_rendered_gives_no_remarks(pack: ModuleType) -> None:
    able = engine(pack, Pictures())
    assert able.check(schedule()) == []
    assert able.identity(schedule()) == {"engine": "comfyui", "model": "m"}


def test_frames_depend_on_all_prompts_where_these_are_padded_to_meet(pack: ModuleType) -> None:
    one, other = schedule(), schedule(settings='lengths = "empty"')
    unet = engine(pack, Pictures())
    assert unet.identity(one) == {"engine": "comfyui", "model": "m"}
    assert unet.identity(other).keys() == {"engine", "model", "prompts"}
    transformer = engine(pack, model := Pictures())
    model.model.model_config.unet_config = {"depth": 19}
    assert transformer.identity(one).keys() == {"engine", "model", "prompts"}


def test_a_schedule_that_is_too_large_to_draw_is_planned_and_not_drawn(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = room(pack, "recipe")
    monkeypatch.setattr(recipe, "draw", lambda schedule: pytest.fail("it was drawn"))
    output = recipe.RemixRecipe.execute("0: a\n99999: b", 100_000, 0.0, 0, 0)
    assert "too large to be drawn" in output.ui["text"]
    assert len(output.result[0]) == 100_000


def test_a_recipe_node_gives_the_schedule_and_its_numbers(pack: ModuleType) -> None:
    node = room(pack, "recipe").RemixRecipe
    text = 'frames = 3\nfps = 6\nsteps = 4\ncfg = 5\n[[keyframes]]\nprompt = "a"\nseed = 9\n'
    output = node.execute(text, 0, 0.0, 128, 0)
    made, *numbers = output.result
    assert made.recipe == recipe_of_text(text, width=128)
    assert numbers == [3, 6.0, 128, 512, 4, 5.0, 9, "euler", "normal", 1.0]
    assert output.ui["remarks"] == ("Read as a recipe of this toolkit (toml).",)
    assert output.ui["text"].splitlines()[1].startswith("* 0      0.00s  a")
    assert output.ui["images"].shape[0] == 1
    assert 0 <= float(output.ui["images"].min()) < float(output.ui["images"].max()) <= 1


def test_a_recipe_whose_picture_meets_denoise_1_is_told_so(pack: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    Path(pack.base, "input", "a.png").touch()
    text = 'frames = 2\n[[keyframes]]\nimage = "a.png"\ndenoise = 1\n'
    shown = room(pack, "recipe").RemixRecipe.execute(text, 0, 0.0, 0, 0).ui["text"].splitlines()
    reported = (
        "image: frames 0 to 1 have denoise 1, which leaves nothing of the picture; set denoise below 1, such as 0.5"
    )
    assert shown[-1] == reported
    assert [record.args for record in caplog.records] == [(reported,)]


def test_a_missing_picture_is_a_remark_of_the_recipe(pack: ModuleType, tmp_path: Path) -> None:
    """Also one that a link leads to, out of the input folder."""
    folder = Path(pack.base, "input")
    (folder / "boat.png").touch()
    (folder / "out").symlink_to(tmp_path.parent)

    def remark(name: str) -> str:
        text = f'frames = 2\n[[keyframes]]\nimage = "{name}"\n'
        return str(room(pack, "recipe").RemixRecipe.execute(text, 0, 0.0, 0, 0).ui["remarks"][1])

    assert remark("bout.png") == f"picture: 'bout.png' is not a file in {folder}; did you mean 'boat.png'?"
    assert remark("out/a.png").startswith("picture: ")
    assert "a link leads out" in remark("out/a.png")


def test_a_recipe_that_names_models_is_told_that_wires_decide(
    pack: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    text = 'frames = 2\nmodel = {checkpoint = "x", loras = [{name = "grain"}]}\n[[keyframes]]\n'
    reported = room(pack, "recipe").RemixRecipe.execute(text, 0, 0.0, 0, 0).ui
    shown = reported["text"].splitlines()
    assert reported["remarks"] == tuple(shown[-3:])
    assert shown[-2:] == [
        "model.checkpoint: 'x' is not loaded here; connect a checkpoint loader",
        "model.loras: only Remix Render loads 'grain'; connect a LoRA loader for other samplers",
    ]
    assert [record.args for record in caplog.records] == [(line,) for line in shown[-2:]]


@pytest.mark.parametrize(
    ("fields", "about"),
    [("", []), ('pace = "even"\nrestore = true\n', ["pace", "restore"]), ('pace = "even"\nclock = [0, 0.25, 2]\n', [])],
    ids=["by time", "unmeasured", "measured"],
)
def test_a_recipe_node_says_what_only_remix_render_does(pack: ModuleType, fields: str, about: list[str]) -> None:
    text = f'frames = 3\n{fields}[[keyframes]]\nprompt = "a"\n[[keyframes]]\nprompt = "b"\n'
    _, *remarks = room(pack, "recipe").RemixRecipe.execute(text, 0, 0.0, 0, 0).ui["remarks"]
    assert [remark.split(": only Remix Render ")[0] for remark in remarks] == about


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("0: a\n3: b", "Read as sd-webui-animatediff's box (sd-webui-animatediff)."),
        ("0s: a\n0.2s: b", "Read as lines with frames, times or shares (moments)."),
        ('frames = 2\n[[keyframes]]\nprompt = "a"', "Read as a recipe of this toolkit (toml)."),
    ],
)
def test_a_recipe_node_says_which_syntax_it_read(pack: ModuleType, text: str, line: str) -> None:
    shown = room(pack, "recipe").RemixRecipe.execute(text, 4, 0.0, 0, 0).ui["text"].splitlines()
    assert [text for text in shown if text.startswith("Read as")] == [line]


def test_a_recipe_is_checked_before_anything_runs(pack: ModuleType) -> None:
    node = room(pack, "recipe").RemixRecipe
    assert node.validate_inputs('frames = 3\n[[keyframes]]\nprompt = "a"\n') is True
    assert node.validate_inputs(None) is True
    assert node.validate_inputs("frames = 3\n[[keyframes]]\nat = -7\n").startswith("line 3:1: keyframes[0].at: ")
    # The widget "frames" may be longer than the text says, and is checked by the host.
    assert node.validate_inputs("frames = 3\n[[keyframes]]\nat = 7\n") is True
    assert inspect.getfullargspec(node.validate_inputs).args == ["cls", "recipe"]
    assert node.validate_inputs(room(pack, "recipe").EXAMPLE) is True


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1, 2, (3), 4", 'set the widget "frames"'),
        ("(cat:`sin(t)`)\n(dog:`cos(t)`)", 'set the widget "frames"'),
        ('"0": "a", "max_f": "b"', 'set the widget "frames"'),
        ("a [cat|dog] in the rain\na house BREAK a tree", 'choose one in the widget "syntax"'),
        ("a cat", "line 1:1"),
    ],
)
def test_an_error_about_a_text_names_widgets_and_no_options(pack: ModuleType, text: str, words: str) -> None:
    node = room(pack, "recipe").RemixRecipe
    found = node.validate_inputs(text)
    if found is True:  # the widget "frames" is not known before the workflow runs
        with pytest.raises(RecipeError) as refused:
            node.execute(text, 0, 0.0, 0, 0)
        found = str(refused.value)
    assert words in found
    assert "--" not in found


def test_notes_on_a_text_name_no_options(pack: ModuleType) -> None:
    text = '{"prompt_map": {"0": "a", "8": "b"}, "seed": [-1]}'
    (note,) = room(pack, "inputs").read_recipe(text, 12).notes
    assert note == "seed -1 means a random seed; here it is 0 unless a keyframe of a recipe sets one"


def test_the_bar_does_not_go_back_and_every_step_asks_for_an_interrupt(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[int, int]] = []
    asked: list[int] = []
    bar = SimpleNamespace(update_absolute=lambda at, total, preview=None: shown.append((at, total)))
    monkeypatch.setattr(sys.modules["comfy.utils"], "ProgressBar", lambda total: bar)
    management = sys.modules["comfy.model_management"]
    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", lambda: asked.append(1))
    model = SimpleNamespace(load_device="cpu", model=SimpleNamespace(latent_format=None))
    progress = room(pack, "render").Progress(model, 10)
    progress.listen(Event("frames", 2, 6))
    for step in (1, 2):
        progress.step(2, step, 2, None)
    progress.listen(Event("frames", 3, 6))
    progress.listen(Event("frames", 4, 6))
    assert shown == [(20, 60), (30, 60), (40, 60), (40, 60), (40, 60)]
    assert len(asked) == 5


def test_a_field_that_the_engine_does_not_know_is_refused(pack: ModuleType) -> None:
    asked = schedule().recipe
    engine(pack, Pictures()).check(plan(later(asked, 0.0)))
    with pytest.raises(Unsupported, match=r"^tilt: 0.5 is set, and this ComfyUI cannot render that"):
        engine(pack, Pictures()).check(plan(later(asked)))
