"""The local engine: the same pictures as diffusers' own pipeline, whatever the batch, and clear refusals."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from remix.client.local import Local
from remix.client.local.devices import Place
from remix.errors import EngineError, Unsupported
from remix.job import Event
from remix.plan import Keyframe, Lora, Model, Recipe, plan
from tests.client.local import tiny

TOLERANCE = 1
"""8-bit levels by which a frame may differ between batch sizes: a matrix product rounds by its number of rows."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.stable_diffusion(tmp_path_factory.mktemp("epsilon")))


@pytest.fixture(scope="module")
def v_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.stable_diffusion(tmp_path_factory.mktemp("velocity"), prediction="v_prediction"))


def travel(checkpoint: str, **changes: Any) -> Recipe:
    keyframes = (
        Keyframe(at=0, prompt="a red circle", negative="blue", seed=1, cfg=5),
        Keyframe(at=5, prompt="a blue square at night", negative="red", seed=2, cfg=2),
    )
    settings: dict[str, Any] = {"frames": 6, "width": 64, "height": 64, "steps": 3, "keyframes": keyframes}
    return Recipe(**{**settings, "model": Model(checkpoint), **changes})


def pictures(recipe: Recipe, frames: Sequence[int] | None = None, inputs: Any = None, **options: Any) -> np.ndarray:
    schedule = plan(recipe)
    engine = Local(device="cpu", **options)
    engine.check(schedule)
    chosen = range(len(schedule)) if frames is None else frames
    return np.stack(list(engine.render(schedule, chosen, inputs or {}, lambda event: None)))


def largest_difference(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


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

    def counted(self: StableDiffusion, prompt: str) -> Any:
        encoded.append(prompt)
        return encode(self, prompt)

    monkeypatch.setattr(StableDiffusion, "encode", counted)
    pictures(travel(checkpoint), batch=2)
    assert sorted(encoded) == sorted(["", "a red circle", "a blue square at night", "blue", "red"])


def test_a_prompt_longer_than_the_tokenizer_is_encoded_in_chunks_not_cut(checkpoint: str) -> None:
    long = "a red circle and " * 20
    one, other = (
        travel(checkpoint, frames=1, keyframes=(Keyframe(at=0, prompt=long + end, seed=3),)) for end in ("fish", "tree")
    )
    assert largest_difference(pictures(one), pictures(other)) > 0


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
        assert largest_difference(shown[0], shown[3]) > 0

    def test_denoise_travels_and_frames_of_unequal_denoise_share_a_batch(
        self, checkpoint: str, inputs: dict[str, np.ndarray]
    ) -> None:
        recipe = self.recipe(checkpoint, 0, 1)
        together = pictures(recipe, inputs=inputs, batch=4)
        assert largest_difference(together, pictures(recipe, inputs=inputs, batch=1)) <= TOLERANCE

    def test_denoise_1_starts_from_noise_of_the_seed(self, checkpoint: str, inputs: dict[str, np.ndarray]) -> None:
        kept, forgotten = (pictures(self.recipe(checkpoint, d, d), inputs=inputs) for d in (0.3, 1.0))
        assert largest_difference(kept, forgotten) > 8


def test_cancel_ends_after_the_batch_at_hand(checkpoint: str) -> None:
    engine, schedule = Local(device="cpu", batch=2), plan(travel(checkpoint))
    made: Iterator[np.ndarray] = engine.render(schedule, range(6), {}, lambda event: None)
    first = next(made)
    engine.cancel()
    assert len([first, *made]) == 2


def test_steps_are_told(checkpoint: str) -> None:
    events: list[Event] = []
    engine, schedule = Local(device="cpu", batch=6), plan(travel(checkpoint))
    list(engine.render(schedule, range(6), {}, events.append))
    assert events == [Event("steps", 1, 3), Event("steps", 2, 3), Event("steps", 3, 3)]


def test_identity_changes_with_the_weights(checkpoint: str, v_checkpoint: str) -> None:
    one, other = (Local().identity(plan(travel(folder))) for folder in (checkpoint, v_checkpoint))
    assert one == Local().identity(plan(travel(checkpoint)))
    assert one["fingerprint"] != other["fingerprint"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "lms"}, "sampler: the local engine does not have 'lms'; use one of euler"),
        (
            {"model": Model("nowhere/at-all-xyz")},
            "model.checkpoint: 'nowhere/at-all-xyz' is no folder in /.*, and the hub",
        ),
        ({"model": Model("playgroud")}, 'is no folder in /.*; did you mean "playground"?'),
        ({"model": Model("a/b.safetensors")}, "there is no file 'a/b.safetensors' in /.*; relative paths start where"),
        ({"model": Model("playground", loras=(Lora("style"),))}, "loras: .*'style'"),
        ({"keyframes": (Keyframe(at=0, prompt="a (red:1.4) fish"),)}, "prompt: emphasis '\\(red:1.4\\)'"),
        ({"keyframes": (Keyframe(at=0, prompt="a fish <lora:x:1>"),)}, "prompt: '<lora:x:1>'"),
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
        Local(device="cpu")._load(plan(travel(str(folder))))
    assert capfd.readouterr() == ("", "")


def test_words_that_the_playground_does_not_know_are_remarked(checkpoint: str) -> None:
    keyframes = (
        Keyframe(at=0, prompt={"a crimson strar": 1, "a red fish": 1}),
        Keyframe(at=3, prompt="a zeppelin at night", negative="a crimson moon"),
    )
    [remark] = Local(device="cpu").check(plan(travel("playground", keyframes=keyframes)))
    assert remark == (
        "prompt: the playground model does not know crimson (nearest: red), strar (nearest: star), zeppelin; "
        "`remix demo --words` lists the words that it knows"
    )
    assert Local(device="cpu").check(plan(travel(checkpoint, keyframes=keyframes))) == []
    assert Local(device="cpu").check(plan(travel("playground"))) == []


class Trap:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.target.write_text, ("ran",))


def test_a_pickled_checkpoint_is_refused_and_not_executed(checkpoint: str, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(checkpoint, folder)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "ran")))
    schedule = plan(travel(str(folder)))
    with pytest.raises(EngineError, match="UNet2DConditionModel could not be loaded"):
        list(Local(device="cpu").render(schedule, [0], {}, lambda event: None))
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_lacks_a_part_is_refused_before_the_first_frame(checkpoint: str, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "partial")
    shutil.rmtree(tmp_path / "partial" / "text_encoder")
    recipe = Recipe(frames=1, keyframes=(Keyframe(prompt="a"),), model=Model(str(tmp_path / "partial")))
    with pytest.raises(Unsupported, match=r"has no folder 'text_encoder', which its model_index\.json names; copy"):
        Local(device="cpu").check(plan(recipe))
