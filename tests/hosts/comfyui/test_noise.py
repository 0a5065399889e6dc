"""Remix Noise Travel: the noise of frames, in batches of any size, for samplers of any kind."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from remix.errors import BadInput, Unsupported
from remix.mix import StepNoise, noise_of_mixes
from remix.plan import Schedule, plan
from tests.core.plan.recipes import recipe_of_text
from tests.fakes.comfyui import Model
from tests.hosts.comfyui.conftest import listed, room

SHAPE = (4, 8, 8)


def schedule(frames: int = 5) -> Schedule:
    return plan(
        recipe_of_text(
            f"frames = {frames}\nsize = [64, 64]\n[[keyframes]]\nseed = 1\n[[keyframes]]\nseed = {2**64 - 1}\n"
        )
    )


def mixes() -> list[Any]:
    return [frame.seed for frame in schedule()]


def travel(pack: ModuleType, asked: Any, batch_size: int = 0, model: Any = None, latent: Any = None) -> Any:
    given = listed(schedule=asked, batch_size=batch_size, model=model, latent=latent)
    return room(pack, "noise").RemixNoiseTravel.execute(**given).result


def drawing(model: Any, x: Any, sigmas: Any, noise_sampler: Any = None) -> None:
    """A sampler that draws noise at its steps."""


def still(model: Any, x: Any, sigmas: Any) -> None:
    """A sampler that draws none."""


def sampled(pack: ModuleType, function: Any, noise: torch.Tensor | None = None, **options: Any) -> tuple[Any, Any]:
    """The noise and the sampler that the host is given in place of its own."""
    patched = room(pack, "noise").with_noise(Model(), schedule(), range(5))
    sampler = sys.modules["comfy.samplers"].KSAMPLER(function, {"eta": 0.5}, {"random": True})  # type: ignore[attr-defined]
    latent = options.get("latent", torch.zeros(5, *SHAPE))

    class Executor:
        class_obj = SimpleNamespace(conds=options.get("conds", {}))

        def __call__(self, *given: Any, **named: Any) -> Any:
            return given

    (wrapper,) = patched.wrappers
    drawn = torch.ones(latent.shape) if noise is None else noise
    given = wrapper(Executor(), drawn, latent, options.get("sampler", sampler), "sigmas", seed=3)
    assert given[1] is latent
    assert given[3] == "sigmas"
    return given[0], given[2]


@pytest.mark.parametrize("size", [0, 1, 2, 5, 9])
def test_the_noise_of_a_frame_does_not_depend_on_its_batch(pack: ModuleType, size: int) -> None:
    noises, latents, models = travel(pack, schedule(), size, Model())
    parts = [noise.generate_noise(latent) for noise, latent in zip(noises, latents, strict=True)]
    assert torch.equal(torch.cat(parts), noise_of_mixes(mixes(), SHAPE))
    assert len(models) == len(parts)


def test_without_a_model_none_comes_out(pack: ModuleType) -> None:
    assert travel(pack, schedule(), 2)[2] == [None] * 3


def test_the_seed_of_a_noise_is_that_of_its_first_frame(pack: ModuleType) -> None:
    assert [noise.seed for noise in travel(pack, schedule(), 4)[0]] == [1, 2**64 - 1]


def test_a_model_takes_the_frames_noise_whatever_the_sampler_drew(pack: ModuleType) -> None:
    noise, sampler = sampled(pack, still)
    assert torch.equal(noise, noise_of_mixes(mixes(), SHAPE))
    assert sampler.extra_options == {"eta": 0.5}
    # ddim would draw a noise of its own for what a noise mask keeps, one for the whole batch.
    assert sampler.inpaint_options == {"random": False}


def test_a_sampler_of_another_packs_own_class_stays_what_it_is(pack: ModuleType) -> None:
    """What it adds (detail, restarts) is in its methods and attributes."""
    kind = sys.modules["comfy.samplers"].KSAMPLER  # type: ignore[attr-defined]
    given = type("DetailSampler", (kind,), {})(still, {"eta": 0.5}, {"random": True})
    given.amount = 0.3
    noise, sampler = sampled(pack, still, sampler=given)
    assert type(sampler) is type(given)
    assert (sampler.amount, sampler.extra_options, sampler.inpaint_options) == (0.3, {"eta": 0.5}, {"random": False})
    assert given.inpaint_options == {"random": True}
    assert torch.equal(noise, noise_of_mixes(mixes(), SHAPE))


def test_a_sampler_that_draws_noise_gets_each_frames_next_draws(pack: ModuleType) -> None:
    noise, sampler = sampled(pack, drawing)
    expected = StepNoise(mixes(), SHAPE)
    assert torch.equal(noise, expected.next())
    draw = sampler.extra_options["noise_sampler"]
    for level in (8.0, 4.0, 2.0):
        assert torch.equal(draw(torch.tensor(level), torch.tensor(level / 2)), expected.next())
    assert sampler.extra_options["eta"] == 0.5
    assert sampler.sampler_function is drawing


def test_a_sampler_that_only_accepts_noise_is_given_none(pack: ModuleType) -> None:
    """res_multistep has the argument, for its ancestral twin."""

    def sample_res_multistep(model: Any, x: Any, sigmas: Any, noise_sampler: Any = None) -> None: ...

    nothing = torch.zeros(5, *SHAPE)
    noise, sampler = sampled(pack, sample_res_multistep, nothing)
    assert noise is nothing
    assert "noise_sampler" not in sampler.extra_options


def test_a_walk_without_noise_of_its_own_stays_without(pack: ModuleType) -> None:
    nothing = torch.zeros(5, *SHAPE)
    assert sampled(pack, still, nothing)[0] is nothing
    with pytest.raises(Unsupported, match="drawing: draws noise at its steps, and a walk that begins in the middle"):
        sampled(pack, drawing, nothing)


def test_samplers_that_cannot_be_told_are_refused_by_name(pack: ModuleType) -> None:
    def dpm_adaptive_function(model: Any, x: Any, sigmas: Any) -> None: ...

    with pytest.raises(Unsupported, match="dpm_adaptive: chooses its steps by all 5 pictures of a batch"):
        sampled(pack, dpm_adaptive_function)
    with pytest.raises(Unsupported, match="SimpleNamespace: a sampler of its own kind"):
        sampled(pack, still, sampler=SimpleNamespace())


def controls(*pictures: int) -> Any:
    """ControlNets with so many pictures each, one behind the other."""
    made = None
    for count in reversed(pictures):
        made = SimpleNamespace(cond_hint_original=torch.zeros(count, 3, 64, 64), previous_controlnet=made)
    return made


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"latent": torch.zeros(4, *SHAPE)}, "latent: 4 for 5 frames of the noise"),
        ({"latent": torch.full((5, *SHAPE), float("nan"))}, "latent: it holds NaN or inf"),
        ({"conds": {"negative": [{"cross_attn": torch.zeros(3, 77, 768)}]}}, "negative: 3 conditionings for 5 latents"),
        ({"conds": {"positive": [{"mask": torch.zeros(2, 8, 8)}]}}, "positive: 2 masks for 5 latents"),
        ({"conds": {"positive": [{"control": controls(8)}]}}, "positive: 8 pictures of its ControlNet for 5 latents"),
        ({"conds": {"positive": [{"control": controls(5, 6)}]}}, "positive: 6 pictures of its ControlNet"),
    ],
)
def test_what_does_not_fit_is_one_sentence(pack: ModuleType, options: dict, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        sampled(pack, still, **options)


def test_conditionings_of_one_for_all_are_good(pack: ModuleType) -> None:
    one = {"cross_attn": torch.zeros(1, 77, 768), "mask": torch.ones(1, 8, 8), "control": controls(1, 5)}
    sampled(pack, still, conds={"positive": [one, {}]})


def test_patches_with_a_value_for_each_frame_are_told_which_frames_these_are(pack: ModuleType) -> None:
    plain = Model()
    _, _, models = travel(pack, schedule(), 3, plain)
    patched = [model.model_options["transformer_options"]["ad_params"] for model in models]
    assert patched == [{"full_length": 5, "sub_idxs": [0, 1, 2]}, {"full_length": 5, "sub_idxs": [3, 4]}]
    assert plain.model_options == {"transformer_options": {}}


def test_nested_latents_are_refused_politely(pack: ModuleType) -> None:
    (noise,), _, _ = travel(pack, schedule())
    with pytest.raises(Unsupported, match="latent: several nested in one"):
        noise.generate_noise({"samples": SimpleNamespace(is_nested=True)})


def test_empty_latents_are_of_the_recipes_size(pack: ModuleType) -> None:
    _, latents, _ = travel(pack, schedule(), 3)
    assert [latent["samples"].shape for latent in latents] == [(3, *SHAPE), (2, *SHAPE)]
    assert [latent["batch_index"] for latent in latents] == [[0] * 3, [0] * 2]


@pytest.mark.parametrize("count", [1, 5])
def test_a_given_latent_is_cut_as_the_noise_is(pack: ModuleType, count: int) -> None:
    given = {"samples": torch.arange(count).float().reshape(-1, 1, 1, 1).expand(-1, *SHAPE), "type": "x"}
    given["noise_mask"] = given["samples"][:, :1]
    _, latents, _ = travel(pack, schedule(), 3, None, given)
    firsts = [latent[key][:, 0, 0, 0].tolist() for latent in latents for key in ("samples", "noise_mask")]
    assert firsts == ([[0, 1, 2]] * 2 + [[3, 4]] * 2 if count == 5 else [[0, 0, 0]] * 2 + [[0, 0]] * 2)
    assert all(latent["type"] == "x" for latent in latents)


@pytest.mark.parametrize("count", [1, 5])
def test_masks_of_another_number_are_refused(pack: ModuleType, count: int) -> None:
    latent = {"samples": torch.zeros(count, *SHAPE), "noise_mask": torch.ones(4, *SHAPE[1:])}
    with pytest.raises(BadInput, match="latent: 4 noise masks for 5 frames; give one for all, or one for each frame"):
        travel(pack, schedule(), 3, None, latent)


@pytest.mark.parametrize(("samples", "mask"), [((5, 4, 8, 8), (8, 8)), ((5, 4, 3, 8, 8), (3, 16, 16))])
def test_a_mask_without_a_row_for_each_frame_is_for_all(
    pack: ModuleType, samples: tuple[int, ...], mask: tuple[int, ...]
) -> None:
    given = torch.rand(mask)
    _, latents, _ = travel(pack, schedule(), 3, None, {"samples": torch.zeros(samples), "noise_mask": given})
    assert [len(latent["samples"]) for latent in latents] == [3, 2]
    assert all(torch.equal(latent["noise_mask"], given) for latent in latents)


def test_latents_of_another_number_are_refused(pack: ModuleType) -> None:
    with pytest.raises(BadInput, match="latent: 3 for 5 frames; give one for all, or one for each frame"):
        travel(pack, schedule(), 0, None, {"samples": torch.zeros(3, *SHAPE)})


def test_a_recipe_with_pictures_wants_their_latents(pack: ModuleType) -> None:
    pictured = plan(recipe_of_text('frames = 2\n[[keyframes]]\nimage = "a.png"\n'))
    with pytest.raises(BadInput, match="image: the recipe sets pictures; connect their latent"):
        travel(pack, pictured)


@pytest.mark.parametrize("set_by_wires", ["loras = {ink = 0.5}", 'image = "a.png"\nmask = "m.png"'])
def test_what_keyframes_set_and_wires_decide_is_refused(pack: ModuleType, set_by_wires: str) -> None:
    asked = plan(recipe_of_text(f"frames = 2\n[[keyframes]]\n{set_by_wires}\n"))
    with pytest.raises(Unsupported, match=r"leave (them|it) out of the recipe"):
        travel(pack, asked)
