"""The local engine: the same pictures as diffusers' own pipeline, whatever the batch, and clear refusals."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from remix.client.local import Local
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.engine import Event, render
from remix.errors import MixError, Unsupported
from remix.plan import Keyframe, Lora, Model, Recipe, Schedule, plan
from remix.prompt import Reading
from tests.client.local import tiny
from tests.client.local.films import TOLERANCE, Trap, largest_difference, pictures, travel
from tests.core.engine.runs import contents

ROOT = Path(__file__).parents[3]


LONG = "a fish and " * 60
"""More than one chunk of tokens."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.stable_diffusion(tmp_path_factory.mktemp("epsilon")))


@pytest.fixture(scope="module")
def v_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.stable_diffusion(tmp_path_factory.mktemp("velocity"), prediction="v_prediction"))


@pytest.mark.parametrize("prediction", ["epsilon", "velocity"])
def test_a_picture_is_the_one_that_the_stock_pipeline_makes(
    prediction: str, checkpoint: str, v_checkpoint: str
) -> None:
    """DDIM on the trailing timesteps of diffusers is ComfyUI's ddim on `simple` levels."""
    from diffusers import StableDiffusionPipeline

    folder = checkpoint if prediction == "epsilon" else v_checkpoint
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    stock = pipeline(
        "a red circle",
        negative_prompt="blue",
        num_inference_steps=5,
        guidance_scale=5.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(1),
        output_type="np",
    ).images
    ours = pictures(
        travel(folder, frames=1, keyframes=travel(folder).keyframes[:1], steps=5, sampler="ddim", scheduler="simple")
    )
    assert largest_difference((stock * 255).round().astype(np.uint8), ours) <= TOLERANCE


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "heun", "dpmpp_2m", "dpmpp_2m_sde", "ddim", "lcm"])
def test_frame_i_of_a_batch_is_frame_i_alone(checkpoint: str, sampler: str) -> None:
    recipe = travel(checkpoint, sampler=sampler, scheduler="karras")
    alone = pictures(recipe, batch=1)
    assert largest_difference(alone, pictures(recipe, batch=4)) <= TOLERANCE
    assert largest_difference(alone[:-1], alone[1:]) > 8


@pytest.mark.parametrize("missing", [[3], [1, 4], [0, 1, 2], [5]])
def test_a_resumed_frame_has_the_very_bytes_of_an_undisturbed_run(checkpoint: str, missing: list[int]) -> None:
    recipe = travel(checkpoint, sampler="euler_ancestral")
    whole = pictures(recipe, batch=4)
    assert np.array_equal(pictures(recipe, missing, batch=4), whole[missing])


KILLED_AT_4 = """
import os, signal, sys
from remix.client.local import Local
from remix.engine import render
from remix.plan import Recipe

def listen(event):
    if event.stage == "frames" and event.done == 4:
        os.kill(os.getpid(), signal.SIGKILL)

render(Recipe.load(sys.argv[1]), Local(device="cpu", batch=3), sys.argv[2], listen=listen)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_within_a_batch_it_goes_on_to_the_same_bytes(checkpoint: str, tmp_path: Path) -> None:
    recipe, job = travel(checkpoint, frames=7, sampler="euler_ancestral"), tmp_path / "job"
    (tmp_path / "recipe.json").write_text(recipe.to_json(), encoding="utf-8")
    words = [sys.executable, "-c", KILLED_AT_4, str(tmp_path / "recipe.json"), str(job)]
    assert subprocess.run(words, check=False, cwd=ROOT).returncode == -signal.SIGKILL
    assert [path.name for path in sorted((job / "frames").glob("*.png"))] == [f"{k:06}.png" for k in range(4)]
    assert render(recipe, Local(device="cpu", batch=3), job).rendered == 3
    render(recipe, Local(device="cpu", batch=3), tmp_path / "whole")
    assert contents(job) == contents(tmp_path / "whole")


def test_cfg_one_is_the_prompt_alone(checkpoint: str) -> None:
    plain = travel(checkpoint, frames=1, keyframes=(Keyframe(at=0, prompt="a red circle", cfg=1),))
    other = plain.replace(keyframes=(Keyframe(at=0, prompt="a red circle", cfg=1, negative="a dog"),))
    assert np.array_equal(pictures(plain), pictures(other))
    guided = plain.replace(keyframes=(Keyframe(at=0, prompt="a red circle", cfg=1.0001, negative="a dog"),))
    assert largest_difference(pictures(plain), pictures(guided)) <= TOLERANCE


def test_each_distinct_prompt_is_encoded_once(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from remix.client.local.stable_diffusion import StableDiffusion

    encoded: list[str] = []
    encode = StableDiffusion.encode

    def counted(self: StableDiffusion, prompt: str, *more: Any) -> Any:
        encoded.append(prompt)
        return encode(self, prompt, *more)

    monkeypatch.setattr(StableDiffusion, "encode", counted)
    pictures(travel(checkpoint), batch=2)
    assert sorted(encoded) == sorted(["", "a red circle", "a blue square at night", "blue", "red"])


def test_a_prompt_longer_than_the_tokenizer_is_encoded_in_chunks_not_cut(checkpoint: str) -> None:
    """Every 75 words by themselves, between their own start and end: what the encoder gives for each as a prompt."""
    from transformers import CLIPTextModel, CLIPTokenizer

    words, encoder = (
        kind.from_pretrained(f"{checkpoint}/{name}")
        for kind, name in ((CLIPTokenizer, "tokenizer"), (CLIPTextModel, "text_encoder"))
    )
    room = words.model_max_length - 2
    text = ("a red circle and " * room).split()[: 2 * room + 3]
    chunks = [" ".join(text[first : first + room]) for first in range(0, len(text), room)]
    ids = words(chunks, padding="max_length", return_tensors="pt").input_ids
    assert ids.shape == (3, room + 2)
    with torch.inference_mode():
        wanted = torch.cat([encoder(chunk[None]).last_hidden_state[0] for chunk in ids])
    engine = Local(device="cpu")
    model = engine._loaded.model(plan(travel(checkpoint)))
    assert torch.equal(model.encode(" ".join(text), Reading(), Encoded(8)).tokens[0], wanted)
    assert model.rows(" ".join(text), Reading()) == len(wanted)


def test_prompts_of_unequal_length_travel(checkpoint: str) -> None:
    keyframes = (Keyframe(at=0, prompt="a fish"), Keyframe(at=3, prompt="a fish and " * 20))
    assert pictures(travel(checkpoint, frames=4, keyframes=keyframes)).shape == (4, 64, 64, 3)


@pytest.mark.parametrize("lengths", ["tile", "empty", "zero", "trim"])
def test_a_frame_is_not_padded_for_its_neighbours(checkpoint: str, lengths: str) -> None:
    prompts = ("a fish", "a fish and " * 20, "a fish and a dog and " * 25)
    keyframes = tuple(Keyframe(at=2 * k, prompt=prompt, negative="a cat", cfg=3) for k, prompt in enumerate(prompts))
    recipe = travel(checkpoint, frames=5, keyframes=keyframes, lengths=lengths)
    alone = pictures(recipe, batch=1)
    assert largest_difference(alone, pictures(recipe, batch=5)) <= TOLERANCE


@pytest.mark.parametrize(
    ("lengths", "prompts", "message"),
    [
        ("equal", ("a fish", LONG), r'frame 1: tokens: (\d+) and (?!\1)\d+ rows, and lengths="equal" refuses'),
        ("equal", ("a fish", "a fish"), r"frame 0: prompt and negative: \d+ and \d+ rows"),
        ("tile", ("a fish " * 18 * 75, "a fish"), r"frame 1: tokens: to tile .* over 16 times the shortest; use"),
    ],
)
def test_lengths_that_do_not_meet_are_refused_before_the_first_frame(
    lengths: str, prompts: tuple[str, str], message: str, checkpoint: str
) -> None:
    negative = LONG if prompts[0] == prompts[1] else ""
    keyframes = tuple(Keyframe(at=3 * k, prompt=text, negative=negative) for k, text in enumerate(prompts))
    cfg = 2 if negative else 1
    schedule = plan(travel(checkpoint, frames=4, keyframes=keyframes, lengths=lengths, cfg=cfg))
    events: list[Event] = []
    with pytest.raises(MixError, match=message):
        list(Local(device="cpu", batch=1).render(schedule, range(4), {}, events.append))
    assert events == []


def test_clip_skip_takes_an_earlier_layer(checkpoint: str) -> None:
    recipe = travel(checkpoint, frames=1, keyframes=travel(checkpoint).keyframes[:1])
    skipped = recipe.replace(model=Model(checkpoint, clip_skip=2))
    assert largest_difference(pictures(recipe), pictures(skipped)) > 0


def test_a_vae_given_by_itself_is_the_one_that_decodes(checkpoint: str, v_checkpoint: str, tmp_path: Path) -> None:
    other = tiny.stable_diffusion(tmp_path / "other", seed=5)
    recipe = travel(checkpoint, frames=1, keyframes=travel(checkpoint).keyframes[:1])
    same = recipe.replace(model=Model(checkpoint, vae=checkpoint))
    changed = recipe.replace(model=Model(checkpoint, vae=str(other / "vae")))
    assert np.array_equal(pictures(recipe), pictures(same))
    assert largest_difference(pictures(recipe), pictures(changed)) > 8


class TestInitPictures:
    """Image to image: init pictures that travel, and how much of them is left."""

    @pytest.fixture
    def inputs(self) -> dict[str, np.ndarray]:
        ramp = np.linspace(0, 255, 64).astype(np.uint8)
        across = np.broadcast_to(ramp[None, :, None], (64, 64, 3)).copy()
        return {"a.png": across, "b.png": across.transpose(1, 0, 2).copy()}

    def recipe(self, checkpoint: str, first: float, last: float) -> Recipe:
        keyframes = (
            Keyframe(at=0, prompt="a fish", image="a.png", denoise=first),
            Keyframe(at=3, image="b.png", denoise=last),
        )
        return travel(checkpoint, frames=4, keyframes=keyframes)

    def test_denoise_0_only_decodes_the_mixed_pictures(self, checkpoint: str, inputs: dict[str, np.ndarray]) -> None:
        shown = pictures(self.recipe(checkpoint, 0, 0), inputs=inputs)
        otherwise = pictures(self.recipe(checkpoint, 0, 0).replace(sampler="heun", steps=7), inputs=inputs)
        assert np.array_equal(shown, otherwise)
        from diffusers import AutoencoderKL

        vae, frames = AutoencoderKL.from_pretrained(f"{checkpoint}/vae"), plan(self.recipe(checkpoint, 0, 0))
        given = [torch.from_numpy(inputs[name]).permute(2, 0, 1)[None] / 127.5 - 1 for name in ("a.png", "b.png")]
        with torch.inference_mode():
            ends = [vae.encode(picture).latent_dist.mode() for picture in given]
            for k, picture in enumerate(shown):
                assert frames[k].image.weights == pytest.approx({0: (1,), 3: (1,)}.get(k, (1 - k / 3, k / 3)))
                wanted = vae.decode(ends[0] * (1 - k / 3) + ends[1] * k / 3).sample[0].permute(1, 2, 0)
                levels = ((wanted / 2 + 0.5).clamp(0, 1) * 255).numpy().astype(np.uint8)
                assert largest_difference(levels, picture) <= TOLERANCE
        assert largest_difference(shown[0], shown[3]) > 8

    def test_each_is_encoded_once(
        self, checkpoint: str, inputs: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from remix.client.local.stable_diffusion import StableDiffusion

        encoded: list[int] = []
        encode = StableDiffusion.to_latents

        def counted(self: StableDiffusion, given: torch.Tensor) -> torch.Tensor:
            encoded.append(len(given))
            return encode(self, given)

        monkeypatch.setattr(StableDiffusion, "to_latents", counted)
        pictures(self.recipe(checkpoint, 0, 0.5), inputs=inputs, batch=1)
        assert encoded == [1, 1]

    def test_denoise_travels_and_frames_of_unequal_denoise_share_a_batch(
        self, checkpoint: str, inputs: dict[str, np.ndarray]
    ) -> None:
        recipe = self.recipe(checkpoint, 0, 1)
        together = pictures(recipe, inputs=inputs, batch=4)
        assert largest_difference(together, pictures(recipe, inputs=inputs, batch=1)) <= TOLERANCE

    @pytest.mark.parametrize(
        ("sampler", "scheduler"), [("euler", "normal"), ("dpmpp_2m", "karras"), ("euler", "simple")]
    )
    def test_a_denoise_that_travels_moves_in_every_frame_of_the_playground(
        self, sampler: str, scheduler: str, inputs: dict[str, np.ndarray]
    ) -> None:
        def moves(first: float, last: float, frames: int) -> np.ndarray:
            """The mean difference between the pictures of neighbors."""
            keyframes = (
                Keyframe(at=0, prompt="a yellow sun", seed=1, image="a.png", denoise=first),
                Keyframe(at=frames - 1, denoise=last),
            )
            way = {"sampler": sampler, "scheduler": scheduler, "steps": 12, "cfg": 3.0}
            shown = pictures(Recipe(frames, keyframes, width=64, height=64, **way), inputs=inputs)
            return np.abs(np.diff(shown.astype(float), axis=0)).mean((1, 2, 3))

        assert float(moves(0.2, 0.9, 48).min()) > 0
        whole = float(moves(12 / 29, 12 / 28, 2)[0])  # from one whole number of steps to the next
        within = moves(12 / 29, 12 / 28, 9)
        assert float(within.min()) > 0
        assert float(within.max()) < whole / 2

    def test_denoise_1_starts_from_noise_of_the_seed(self, checkpoint: str, inputs: dict[str, np.ndarray]) -> None:
        kept, forgotten = (pictures(self.recipe(checkpoint, d, d), inputs=inputs) for d in (0.3, 1.0))
        assert largest_difference(kept, forgotten) > 8


def test_cancel_ends_after_the_batch_at_hand(checkpoint: str) -> None:
    engine, schedule = Local(device="cpu", batch=2), plan(travel(checkpoint))
    made: Iterator[np.ndarray] = engine.render(schedule, range(6), {}, lambda event: None)
    first = next(made)
    engine.cancel()
    assert len([first, *made]) == 2


@pytest.mark.parametrize("batch", [1, 4])
def test_cancelled_while_the_model_loads_it_renders_nothing(
    checkpoint: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, schedule = Local(device="cpu", batch=batch), plan(travel(checkpoint))
    load = engine._loaded.model

    def slowly(schedule: Schedule) -> Any:
        engine.cancel()
        return load(schedule)

    monkeypatch.setattr(engine._loaded, "model", slowly)
    events: list[Event] = []
    assert list(engine.render(schedule, range(6), {}, events.append)) == []
    assert events == []


def test_steps_are_told(checkpoint: str) -> None:
    events: list[Event] = []
    engine, schedule = Local(device="cpu", batch=6), plan(travel(checkpoint))
    list(engine.render(schedule, range(6), {}, events.append))
    assert events == [Event("steps", done, 3, frame=0) for done in (1, 2, 3)]
    assert [event.preview for event in events] == [None] * 3


def test_previews_show_the_first_frame_of_a_batch_in_the_making() -> None:
    """At the last step they are the picture, one pixel for each place of the latent."""
    keyframes = [Keyframe(prompt="a red house on a green hill", seed=3), Keyframe(prompt="a yellow moon at night")]
    recipe = Recipe(2, keyframes, width=128, height=128, steps=6, cfg=3, sampler="dpmpp_2m", scheduler="sgm_uniform")
    events: list[Event] = []
    [picture, _] = Local(device="cpu", previews=True).render(plan(recipe), range(2), {}, events.append)
    small = picture.reshape(16, 8, 16, 8, 3).mean((1, 3))
    off = [float(np.abs(event.preview - small).mean()) for event in events if event.preview is not None]
    assert len(off) == 6
    assert off[-1] == min(off)
    assert off[-1] < 10 < 30 < off[0]


def test_a_job_begun_with_another_batch_goes_on_and_that_is_told(
    checkpoint: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = travel(checkpoint)
    for frames, batch in (([0], 1), ([1], 2)):
        render(recipe, Local(device="cpu", batch=batch), tmp_path, film=None, frames=frames)
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning == (
        f"{tmp_path}: was begun with batch 1; "
        "frames that are rendered now may differ from those of that run by a level or two"
    )
    written = json.loads((tmp_path / "job.json").read_text(encoding="utf-8"))["settings"]
    assert written == [{"device": "cpu", "precision": "full", "batch": batch} for batch in ("1", "2")]


def test_identity_changes_with_the_weights(checkpoint: str, v_checkpoint: str) -> None:
    one, other = (Local().identity(plan(travel(folder))) for folder in (checkpoint, v_checkpoint))
    assert one == Local().identity(plan(travel(checkpoint)))
    assert one["fingerprint"] != other["fingerprint"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "lms"}, "sampler: the local engine does not have 'lms'; use .dpmpp_2m."),
        (
            {"model": Model("nowhere/at-all-xyz")},
            "model.checkpoint: 'nowhere/at-all-xyz' is not a folder in /.*, and the hub",
        ),
        ({"model": Model("playgroud")}, 'is not a folder in /.*; did you mean "playground"?'),
        ({"model": Model("a/b.safetensors")}, "there is no file 'a/b.safetensors' in /.*; relative paths start where"),
        ({"model": Model("~nobody-at-all/x")}, "model.checkpoint: '~nobody-at-all/x' cannot be looked up"),
        ({"model": Model("x" * 900)}, "model.checkpoint: 'xxx.*' cannot be looked up"),
        ({"model": Model("playground", vae="~nobody-at-all/x")}, "model.vae: '~nobody-at-all/x' cannot be looked up"),
        ({"model": Model("playground", loras=(Lora("~nobody-at-all/x"),))}, "loras: '~nobody-at-all/x' cannot be"),
        ({"model": Model("playground", loras=(Lora("style"),))}, "loras: .*'style'"),
        ({"keyframes": (Keyframe(at=0, prompt="a [red:blue:BASE] fish"),)}, "prompt: '.red:blue:BASE.' is syntax of"),
        ({"keyframes": (Keyframe(at=0, prompt="a fish <lora:x:1>"),)}, "loras: there is no file 'x'"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name_before_the_first_frame(
    changes: dict[str, Any], message: str, checkpoint: str
) -> None:
    with pytest.raises(Unsupported, match=message):
        Local(device="cpu").check(plan(travel(checkpoint, **changes)))


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("toaster", r"device: 'toaster' is not known; use auto, cpu, cuda, cuda:1 or mps"),
        ("tpu", r"device: 'tpu' is not known; use auto, cpu, cuda, cuda:1 or mps"),
        ("", r"device: '' is not known; use auto, cpu, cuda, cuda:1 or mps"),
        ("cuda:99", r"device: 'cuda:99' is not in this machine, not built .*; use one of auto, cpu.*"),
        ("hpu", r"device: 'hpu' is not in this machine, .*"),
        ("meta", r"device: 'meta' is not in this machine, .*"),
    ],
)
def test_a_device_that_is_not_there_is_refused_in_one_sentence(checkpoint: str, device: str, message: str) -> None:
    with pytest.raises(Unsupported) as caught:
        Local(device=device).check(plan(travel(checkpoint)))
    assert re.fullmatch(message, str(caught.value))
    assert len(str(caught.value)) < 200


def test_a_folder_that_is_no_checkpoint_or_of_another_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="is not a diffusers folder"):
        Local(device="cpu").check(plan(travel(str(tmp_path))))
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "WarpDrivePipeline"}), encoding="utf-8")
    with pytest.raises(Unsupported, match="is a WarpDrivePipeline; the local engine runs StableDiffusionPipeline"):
        Local(device="cpu").check(plan(travel(str(tmp_path))))


def test_nothing_is_printed_while_a_model_loads(
    checkpoint: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large models lie in several files, for which both libraries would draw a bar."""
    from diffusers import UNet2DConditionModel

    folder = tmp_path / "large"
    shutil.copytree(checkpoint, folder)
    network = UNet2DConditionModel.from_pretrained(folder / "unet")
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    network.save_pretrained(folder / "unet", max_shard_size="1MB")
    assert len(list((folder / "unet").glob("*.safetensors"))) > 1
    capfd.readouterr()
    for half in (False, True):
        if half:
            monkeypatch.setattr(Place, "find", lambda *given: Place(torch.device("cpu"), torch.float16))
        Local(device="cpu")._loaded.model(plan(travel(str(folder))))
    assert capfd.readouterr() == ("", "")


def test_words_that_the_playground_does_not_know_are_remarked(checkpoint: str) -> None:
    keyframes = (
        Keyframe(at=0, prompt={"a crimson strar": 1, "a red fish": 1}),
        Keyframe(at=3, prompt="a zeppelin at night", negative="a crimson moon"),
    )
    fitting = {"width": 128, "height": 128, "cfg": 4}
    [remark] = Local(device="cpu").check(plan(travel("playground", keyframes=keyframes, **fitting)))
    assert remark == (
        "prompt: the playground model does not know crimson (nearest: red), strar (nearest: star), zeppelin; "
        "`remix demo --words` lists the words that it knows"
    )
    assert Local(device="cpu").check(plan(travel(checkpoint, keyframes=keyframes))) == []
    known = [Keyframe(prompt="a red circle", seed=1), Keyframe(prompt="a blue square at night", seed=2)]
    assert Local(device="cpu").check(plan(travel("playground", keyframes=known, **fitting))) == []


@pytest.mark.parametrize(
    ("width", "height", "cfg", "problem"),
    [
        (512, 512, 7, "512x512 and cfg 7"),
        (512, 512, 4, "512x512"),
        (128, 64, 4, "128x64"),
        (128, 128, 4.5, "cfg 4.5"),
        (128, 128, 4, None),
    ],
)
def test_a_size_or_cfg_that_the_playground_paints_badly_is_remarked(
    width: int, height: int, cfg: float, problem: str | None, checkpoint: str
) -> None:
    """A recipe that says neither has 512x512 and cfg 7, which are Stable Diffusion's."""
    keyframes = (Keyframe(prompt="a red circle", seed=1, cfg=1), Keyframe(cfg=cfg))
    recipe = travel("playground", width=width, height=height, keyframes=keyframes)
    remark = "size, cfg: the playground model paints best at 128x128 and cfg up to 4; this recipe says {}"
    assert Local(device="cpu").check(plan(recipe)) == ([remark.format(problem)] if problem else [])
    assert Local(device="cpu").check(plan(recipe.replace(model=Model(checkpoint)))) == []


def test_a_pickled_checkpoint_is_refused_and_not_executed(checkpoint: str, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(checkpoint, folder)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "ran")))
    schedule = plan(travel(str(folder)))
    with pytest.raises(Unsupported, match="has no weights as safetensors in its folder 'unet'; give a checkpoint"):
        list(Local(device="cpu").render(schedule, [0], {}, lambda event: None))
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_lacks_a_part_is_refused_before_the_first_frame(checkpoint: str, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "partial")
    shutil.rmtree(tmp_path / "partial" / "text_encoder")
    recipe = Recipe(frames=1, keyframes=(Keyframe(prompt="a"),), model=Model(str(tmp_path / "partial")))
    with pytest.raises(Unsupported, match=r"has no folder 'text_encoder', which its model_index\.json names; give"):
        Local(device="cpu").check(plan(recipe))


WEIGHTS = tuple(f"a fish, (snow:{weight})" for weight in (0.5, 0.75, 1.5))


@pytest.mark.parametrize("rule", ["comfy", "a1111-no-norm"])
def test_a_text_is_encoded_once_for_all_of_its_weights(
    rule: str, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remix.client.local.clip import ClipText

    encoded: list[tuple[int, ...]] = []
    encode = ClipText._encode

    def counted(self: ClipText, ids: tuple[int, ...]) -> Any:
        encoded.append(ids)
        return encode(self, ids)

    monkeypatch.setattr(ClipText, "_encode", counted)
    keyframes = tuple(Keyframe(prompt=prompt, negative="a fish, snow") for prompt in WEIGHTS)
    pictures(travel(checkpoint, frames=5, keyframes=keyframes, emphasis=rule), batch=2)
    assert len(encoded) == len(set(encoded)) == 2  # the text, and the empty prompt


def test_a_weight_travels_as_if_it_were_written_in_each_frame(checkpoint: str) -> None:
    ends = travel(checkpoint, frames=3, keyframes=(Keyframe(prompt=WEIGHTS[0]), Keyframe(prompt="a fish, snow")))
    middle = travel(checkpoint, frames=1, keyframes=(Keyframe(prompt=WEIGHTS[1]),))
    off = np.abs(pictures(ends)[1].astype(int) - pictures(middle)[0].astype(int))
    assert off.max() <= 1
