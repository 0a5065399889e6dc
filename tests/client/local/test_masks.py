"""Masks: black areas keep the latent of the init picture, white areas are redrawn."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from remix.client.local import Local
from remix.client.local.encoded import Encoded
from remix.client.local.samplers import SAMPLERS
from remix.client.local.sampling import sigmas_for
from remix.engine.pictures import masks_of
from remix.mix import noise_of_seed
from remix.plan import Frame, Keyframe, Mix, Recipe, plan
from remix.prompt import Reading
from tests.client.local import tiny
from tests.client.local.films import CELLS, INPUTS, LEFT, RAMP, TOLERANCE, largest_difference, pictures, travel


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.stable_diffusion(tmp_path_factory.mktemp("sd1")))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The latents of every frame that was decoded."""
    from remix.client.local.stable_diffusion import StableDiffusion

    latents: list[Tensor] = []
    real = StableDiffusion.to_pictures

    def seen(self: Any, given: Tensor) -> Tensor:
        latents.extend(given.clone())
        return real(self, given)

    monkeypatch.setattr(StableDiffusion, "to_pictures", seen)
    return latents


def film(checkpoint: str, *masks: Any, denoise: float = 0.8, **changes: Any) -> Recipe:
    keyframes = [
        Keyframe(at=3 * k, prompt="a fish", seed=k, image="in.png", denoise=denoise, cfg=1 if k else 3, mask=mask)
        for k, mask in enumerate(masks)
    ]
    return travel(checkpoint, frames=3 * len(masks) - 2, keyframes=keyframes, **changes)


def clean(checkpoint: str) -> Tensor:
    model = Local(device="cpu")._loaded.model(plan(film(checkpoint, "left.png")))
    return model.to_latents(torch.from_numpy(INPUTS["in.png"]).permute(2, 0, 1)[None].float() / 255)[0]


@pytest.mark.parametrize("denoise", [0.5, 1.0])
@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_what_a_mask_keeps_is_the_init_pictures_latent(
    sampler: str, denoise: float, checkpoint: str, decoded: list[Tensor]
) -> None:
    pictures(film(checkpoint, "left.png", sampler=sampler, denoise=denoise), inputs=INPUTS)
    before = clean(checkpoint)
    half = CELLS // 2
    assert torch.equal(decoded[0][..., half:], before[..., half:])
    assert (decoded[0][..., :half] - before[..., :half]).abs().amin() > 1e-4


def test_a_white_mask_keeps_nothing_and_a_black_one_everything(checkpoint: str, decoded: list[Tensor]) -> None:
    made = pictures(film(checkpoint, "white.png"), inputs=INPUTS)
    assert np.array_equal(made, pictures(film(checkpoint, None), inputs=INPUTS))
    pictures(film(checkpoint, "black.png"), inputs=INPUTS)
    assert torch.equal(decoded[-1], clean(checkpoint))


def test_a_soft_mask_is_sampled_as_comfyui_samples_it(checkpoint: str, decoded: list[Tensor]) -> None:
    """Its KSampler with a noise mask, written down here once more: Euler's steps over the model's estimates."""
    recipe = film(checkpoint, "soft.png", denoise=1.0, steps=4)
    pictures(recipe, inputs=INPUTS)
    engine = Local(device="cpu")
    model = engine._loaded.model(plan(recipe))
    init, noise = clean(checkpoint)[None], noise_of_seed(0, (4, CELLS, CELLS))
    mask = torch.nn.functional.interpolate(
        torch.from_numpy(RAMP[None, None, :, :, 0]).float() / 255, size=(CELLS, CELLS), mode="bilinear"
    )
    sigmas = sigmas_for(model.levels, "normal", 4)
    x = init + noise * (1 + sigmas[0] ** 2).sqrt()
    text = {prompt: model.encode(prompt, Reading(), Encoded(8)) for prompt in ("a fish", "")}
    for now, after in pairwise(sigmas):
        seen = x * mask + (init + noise * now) * (1 - mask)
        wanted, unwanted = (model.estimate(seen, now[None], text[prompt]) for prompt in ("a fish", ""))
        guess = (unwanted + 3 * (wanted - unwanted)) * mask + init * (1 - mask)
        x = guess + (x - guess) * after / now
    torch.testing.assert_close(decoded[0], x[0], rtol=0, atol=2e-4)


def test_a_mask_travels_and_frame_i_of_a_batch_is_frame_i_alone(checkpoint: str) -> None:
    recipe = film(checkpoint, "left.png", "right.png", sampler="dpmpp_2m_sde")
    alone = pictures(recipe, inputs=INPUTS, batch=1)
    assert largest_difference(alone, pictures(recipe, inputs=INPUTS, batch=4)) <= TOLERANCE
    assert largest_difference(alone[:-1], alone[1:]) > 8


def test_with_denoise_0_a_mask_means_nothing(checkpoint: str) -> None:
    shown = pictures(film(checkpoint, "left.png", denoise=0), inputs=INPUTS)
    assert np.array_equal(shown, pictures(film(checkpoint, None, denoise=0), inputs=INPUTS))


def changing_in(*masks: dict[str, float]) -> Tensor:
    nothing = Mix.one("")
    frames = [
        Frame(k, nothing, nothing, Mix.one(0), 1, 1, Mix.one("in.png"), Mix(tuple(mask.items())))
        for k, mask in enumerate(masks)
    ]
    found = masks_of(frames, {**INPUTS, "red.png": LEFT * (1, 0, 0)}, torch.Size((len(masks), 4, CELLS, CELLS)))
    assert found is not None
    return found


def test_masks_are_mixed_and_reduced_to_the_latents_size() -> None:
    found = changing_in({"left.png": 1}, {"right.png": 1}, {"left.png": 1, "right.png": 3}, {"red.png": 1})
    assert found.shape == (4, 1, CELLS, CELLS)
    left, right = found[:, 0, 0, 0], found[:, 0, 0, -1]
    assert left[:3].tolist() == [1, 0, 0.25]
    assert right[:3].tolist() == [0, 1, 0.75]
    assert left[3] == pytest.approx(0.299)


def test_a_job_gives_its_masks_to_the_engine(checkpoint: str, tmp_path: Path) -> None:
    from remix.engine import render
    from remix.motion import load_picture, save_picture

    for name in ("in.png", "left.png"):
        save_picture(tmp_path / name, INPUTS[name])
    recipe = film(checkpoint, "left.png").replace(folder=str(tmp_path))
    outcome = render(recipe, Local(device="cpu"), tmp_path / "job", film=None)
    frame = load_picture(outcome.folder / "frames" / "000000.png")
    assert np.array_equal(frame, pictures(recipe, inputs=INPUTS)[0])
