"""On a real ComfyUI: frames of a batch are those of single runs, bit for bit, and their noise is exact."""

from __future__ import annotations

import pytest
import torch

from remix.mix import StepNoise
from remix.plan import plan
from tests.core.plan.recipes import recipe_of_text
from tests.real.comfyui.films import FRAMES, recipe, saved
from tests.real.comfyui.graphs import Builder, Link
from tests.real.comfyui.host import Failed, Host


def travel(builder: Builder, text: str, **options: object) -> tuple[Link, Link, list[Link], list[Link]]:
    """Model, vae, [positive, negative] and [noise, latent, model] of a recipe."""
    model, clip, vae = builder.checkpoint()
    schedule = builder.recipe(text)
    widgets = {"how": "recipe", "lengths": "recipe"}
    size = {"batch_size": 0, **options}
    conditionings = builder.add("RemixPromptTravel", 2, clip=clip, schedule=schedule, **widgets, **size)
    noise = builder.add("RemixNoiseTravel", 3, schedule=schedule, model=model, **size)
    return model, vae, conditionings, noise


@pytest.mark.parametrize(
    ("sampler", "mix"),
    [("euler", "lerp"), ("euler", "slerp"), ("dpmpp_2m", "lerp"), ("ddim", "lerp"), ("uni_pc", "lerp")],
)
def test_a_batch_of_frames_is_as_many_runs_of_one(host: Host, sampler: str, mix: str) -> None:
    """Each frame is, bit for bit, what the host gives for that frame's prompt alone in a batch of the same size.

    Where the host's own matrix products do not depend on the size of a batch (which the processor decides), also of
    what it gives for a batch of one.
    """
    builder = Builder()
    model, _, (positive, negative), _ = travel(builder, recipe(mix=mix))
    widgets = {"batch_size": 1, "how": "recipe", "lengths": "recipe"}
    alone = builder.add("RemixPromptTravel", 2, clip=["1", 1], schedule=["2", 0], **widgets)
    same, one = (_same_noise(builder, count) for count in (FRAMES, 1))
    plain = [builder.add("CLIPTextEncode", clip=["1", 1], text=text)[0] for text in ("a red apple", "grey")]

    def sampled(*inputs: Link) -> Link:
        return builder.sampled(model, *inputs, seed=5, sampler_name=sampler)

    found = saved(
        host,
        builder,
        {
            "batch": sampled(positive, negative, same),
            "each": sampled(*alone, same),
            "single": sampled(*alone, one),
            "bare_batch": sampled(*plain, same),
            "bare_single": sampled(*plain, one),
        },
    )
    batch = found["batch"]
    assert torch.equal(batch, torch.stack([found["each"][frame * FRAMES + frame] for frame in range(FRAMES)]))
    assert (batch[0] - batch[3]).abs().max() > 0.1
    rounding = (found["bare_batch"] - found["bare_single"]).abs().max()
    assert (batch - found["single"]).abs().max() <= 4 * rounding
    # The first prompt is the plain encoder's, repeated whole to the length of the second: the same but for rounding.
    assert (batch[0] - found["bare_batch"][0]).abs().max() <= 4 * rounding + 1e-3


def _same_noise(builder: Builder, count: int) -> Link:
    empty = builder.add("EmptyLatentImage", width=64, height=64, batch_size=count)[0]
    return builder.add("LatentBatchSeedBehavior", samples=empty, seed_behavior="fixed")[0]


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m_sde", "lcm", "ddpm", "er_sde"])
def test_the_noise_of_a_frame_does_not_depend_on_its_batch(host: Host, sampler: str) -> None:
    builder = Builder()
    model, _, conditionings, (_, latent, noisy) = travel(builder, recipe(seed=9))
    parts = builder.add(
        "RemixPromptTravel", 2, clip=["1", 1], schedule=["2", 0], batch_size=3, how="recipe", lengths="recipe"
    )
    _, some, some_told = builder.add("RemixNoiseTravel", 3, schedule=["2", 0], model=model, batch_size=3)
    found = saved(
        host,
        builder,
        {
            "whole": builder.sampled(noisy, *conditionings, latent, seed=77, sampler_name=sampler),
            "parts": builder.sampled(some_told, *parts, some, seed=78, sampler_name=sampler),
        },
    )
    assert found["whole"].shape == (FRAMES, 4, 8, 8)
    assert (found["whole"] - found["parts"]).abs().max() < 1e-2
    assert (found["whole"][0] - found["whole"][1]).abs().max() > 0.1


def test_the_noise_is_that_of_the_core(host: Host) -> None:
    """With no step but the first at full noise, what SamplerCustomAdvanced starts from is the core's noise, scaled."""
    text = recipe(seed=9)
    mixes = [frame.seed for frame in plan(recipe_of_text(text))]
    builder = Builder()
    model, _, _, (noise, latent, _) = travel(builder, text)
    sigmas = builder.add("BasicScheduler", model=model, scheduler="normal", steps=2, denoise=1.0)[0]
    found = saved(
        host,
        builder,
        {"noisy": builder.add("AddNoise", model=model, noise=noise, sigmas=sigmas, latent_image=latent)[0]},
    )
    expected = StepNoise(mixes, (4, 8, 8)).next()
    scale = (found["noisy"] / expected).mean()
    assert torch.allclose(found["noisy"], expected * scale, rtol=1e-5)


def test_one_seed_is_what_the_plain_sampler_gives(host: Host) -> None:
    builder = Builder()
    model, _, conditionings, (_, latent, noisy) = travel(builder, recipe(seed=5))
    found = saved(
        host,
        builder,
        {
            "ours": builder.sampled(noisy, *conditionings, latent, seed=1234),
            "plain": builder.sampled(model, *conditionings, _same_noise(builder, FRAMES), seed=5),
            "by_batch_index": builder.sampled(model, *conditionings, latent, seed=5),
        },
    )
    assert torch.equal(found["ours"], found["plain"])
    assert torch.equal(found["by_batch_index"], found["plain"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"latents": 6}, "latent: 6 for 4 frames of the noise"),
        ({"batch": 3}, r"batch_size: [03], and Remix\w+Travel \(node \d+\) has [03], which meet at KSampler"),
        ({"sampler": "dpm_adaptive"}, "dpm_adaptive: chooses its steps by all 4 pictures of a batch"),
        ({"grown": 45}, "latent: it holds NaN or inf; make it again"),
    ],
)
def test_what_does_not_fit_is_told_before_sampling(host: Host, change: dict, sentence: str) -> None:
    builder = Builder()
    _, vae, conditionings, (_, latent, noisy) = travel(builder, recipe())
    if "latents" in change:
        latent = _same_noise(builder, change["latents"])
    if "batch" in change:
        conditionings = builder.add(
            "RemixPromptTravel", 2, clip=["1", 1], schedule=["2", 0], batch_size=3, how="recipe", lengths="recipe"
        )
    if "grown" in change:
        ones = builder.add(
            "VAEEncode", pixels=builder.add("EmptyImage", width=64, height=64, batch_size=FRAMES, color=255)[0], vae=vae
        )[0]
        for _ in range(change["grown"]):
            ones = builder.add("LatentMultiply", samples=ones, multiplier=10.0)[0]
        latent = ones
    found = builder.sampled(noisy, *conditionings, latent, sampler_name=change.get("sampler", "euler"))
    with pytest.raises(Failed, match=sentence):
        saved(host, builder, {"x": found})


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("loras = {ink = 0.5}", "loras: only Remix Render loads a recipe's"),
        ('image = "a.png"\nmask = "b.png"', "mask: only Remix Render reads a recipe's; use Set Latent Noise Mask"),
        ('image = "a.png"', 'image: the recipe sets pictures; connect their latent, or use "Remix Render"'),
    ],
)
def test_what_the_wires_of_parts_decide_is_refused_by_name(host: Host, asked: str, sentence: str) -> None:
    builder = Builder()
    schedule = builder.recipe(f"frames = 2\nsize = [64, 64]\n[[keyframes]]\n{asked}\n")
    latent = builder.add("RemixNoiseTravel", 3, schedule=schedule, batch_size=0)[1]
    with pytest.raises(Failed, match=sentence):
        saved(host, builder, {"x": latent})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "recipe: is empty; write at least one keyframe"),
        ("frames = 4\nkeyframes = 3\n", "line 2"),
        ("frames = 4\n[[keyframes]]\nsampler = 3\n", "belongs to the whole recipe"),
    ],
)
def test_a_wrong_recipe_is_refused_before_anything_runs(host: Host, text: str, sentence: str) -> None:
    builder = Builder()
    builder.recipe(text)
    with pytest.raises(Failed, match=sentence):
        host.queue(builder.graph)


def test_a_recipe_shows_its_curves_and_its_table(host: Host) -> None:
    builder = Builder()
    builder.recipe(recipe(), fps=7.5)
    shown = host.run(builder.graph)["1"]
    assert shown["text"][0].startswith("  frame  time   prompt")
    assert "0.13s" in shown["text"][0]
    (curves,) = shown["images"]
    assert curves["type"] == "temp"
    assert (host.base / "temp" / curves["filename"]).is_file()


def test_what_is_put_on_a_conditioning_afterwards_holds_for_every_frame(host: Host) -> None:
    """A regional mask, a range of steps and a second prompt on top: each frame of a batch as in a run of its own."""
    builder = Builder()
    model, _, (positive, negative), _ = travel(builder, recipe())
    widgets = {"batch_size": 1, "how": "recipe", "lengths": "recipe"}
    alone, alone_negative = builder.add("RemixPromptTravel", 2, clip=["1", 1], schedule=["2", 0], **widgets)
    mask = builder.add("SolidMask", value=0.7, width=64, height=64)[0]
    second = builder.add("CLIPTextEncode", clip=["1", 1], text="snow")[0]

    def dressed(prompt: Link) -> Link:
        area = builder.add(
            "ConditioningSetMask", conditioning=prompt, mask=mask, strength=0.9, set_cond_area="default"
        )[0]
        ranged = builder.add("ConditioningSetTimestepRange", conditioning=area, start=0.0, end=0.6)[0]
        return builder.add("ConditioningCombine", conditioning_1=ranged, conditioning_2=second)[0]

    latent = _same_noise(builder, FRAMES)
    found = saved(
        host,
        builder,
        {
            "batch": builder.sampled(model, dressed(positive), negative, latent, seed=5),
            "each": builder.sampled(model, dressed(alone), alone_negative, latent, seed=5),
            "plain": builder.sampled(model, positive, negative, latent, seed=5),
        },
    )
    frames = torch.stack([found["each"][frame * FRAMES + frame] for frame in range(FRAMES)])
    assert torch.equal(found["batch"], frames)
    assert (found["batch"] - found["plain"]).abs().max() > 0.1


def test_a_noise_mask_keeps_what_it_covers(host: Host) -> None:
    builder = Builder()
    _, _, conditionings, _ = travel(builder, recipe())
    start = builder.add("EmptyLatentImage", width=64, height=64, batch_size=1)[0]
    given = builder.add("LatentAdd", samples1=start, samples2=start)[0]
    mask = builder.add("SolidMask", value=0.0, width=64, height=64)[0]
    masked = builder.add("SetLatentNoiseMask", samples=given, mask=mask)[0]
    _, latent, noisy = builder.add(
        "RemixNoiseTravel", 3, schedule=["2", 0], model=["1", 0], latent=masked, batch_size=0
    )
    found = saved(host, builder, {"kept": builder.sampled(noisy, *conditionings, latent)})
    assert found["kept"].shape == (FRAMES, 4, 8, 8)
    assert found["kept"].abs().max() < 1e-4
