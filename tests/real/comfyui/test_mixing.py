"""On a real ComfyUI: conditionings mixed, latents blended, numbers for any widget, and films that core saves."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from remix.mix.comfy_types import blend_latents
from remix.motion import load_picture, probe, read_video
from tests.real.comfyui.films import batch, frames_of, mixed, saved, travelling
from tests.real.comfyui.graphs import Builder, Link
from tests.real.comfyui.host import Failed, Host

PROMPTS = ("a red apple", "a blue house on a hill", "snow " * 90)
CAT_AND_DOG = """
frames = 3
size = [64, 64]
[[keyframes]]
prompt = "cat"
cfg = 2
[[keyframes]]
prompt = "dog"
cfg = 6
"""


def blended(builder: Builder, sources: list[Link], **inputs: object) -> Link:
    sockets = {f"latents.latent{index}": source for index, source in enumerate(sources)}
    widgets = {"weights": "equal", "how": "lerp", "adain": False, "batch_size": 0}
    return builder.add("RemixLatentBlend", **sockets, **{**widgets, **inputs})[0]


def start(builder: Builder) -> tuple[Link, Link, Link, list[Link]]:
    """Model, vae, the encoded empty prompt, and those of PROMPTS."""
    model, clip, vae = builder.checkpoint()
    empty, *prompts = (builder.add("CLIPTextEncode", text=text, clip=clip)[0] for text in ("", *PROMPTS))
    return model, vae, empty, prompts


def alike(builder: Builder, frames: int) -> Link:
    """Empty latents that get the same noise."""
    empty = builder.add("EmptyLatentImage", width=64, height=64, batch_size=frames)[0]
    return builder.add("LatentBatchSeedBehavior", samples=empty, seed_behavior="fixed")[0]


def noises(builder: Builder, model: Link, empty: Link, frames: int, seed: int) -> Link:
    """A latent of `frames` frames, each another."""
    latent = builder.add("EmptyLatentImage", width=64, height=64, batch_size=frames)[0]
    return builder.sampled(model, empty, empty, latent, seed=seed, steps=1, cfg=1.0)


@pytest.mark.parametrize("how", ["lerp", "slerp"])
def test_a_mix_over_frames_is_as_many_single_runs(host: Host, how: str) -> None:
    builder = Builder()
    model, _, empty, prompts = start(builder)
    whole, single = (mixed(builder, prompts, size, how=how, **travelling()) for size in (0, 1))
    found = saved(
        host,
        builder,
        {
            f"whole-{how}": builder.sampled(model, whole, empty, alike(builder, 4), seed=3),
            f"single-{how}": builder.sampled(model, single, empty, alike(builder, 1), seed=3),
        },
    )
    together, alone = found.values()
    assert together.shape == (4, 4, 8, 8)
    # The host's own attention rounds differently in another batch, by a hundred-thousandth.
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-4)
    assert (together[0] - together[3]).abs().max() > 0.1


def test_ends_of_a_mix_are_the_prompts_themselves(host: Host) -> None:
    builder = Builder()
    model, _, empty, prompts = start(builder)
    latents = alike(builder, 4)
    travel = mixed(builder, prompts[:2], **travelling())
    sources = {"travel": travel, "first": prompts[0], "last": prompts[1]}
    found = saved(
        host, builder, {name: builder.sampled(model, source, empty, latents) for name, source in sources.items()}
    )
    assert torch.equal(found["travel"][0], found["first"][0])
    assert torch.equal(found["travel"][3], found["last"][3])


def test_a_schedule_may_say_the_shares_of_any_conditionings(host: Host) -> None:
    builder = Builder()
    model, clip, _ = builder.checkpoint()
    schedule = builder.recipe(CAT_AND_DOG)
    empty, cat, dog = (builder.add("CLIPTextEncode", text=text, clip=clip)[0] for text in ("", "cat", "dog"))
    shares = {"weights": "schedule", "weights.schedule": schedule, "weights.of": "prompt"}
    widgets = {"batch_size": 0, "how": "recipe", "lengths": "recipe"}
    prompts = builder.add("RemixPromptTravel", 2, clip=clip, schedule=schedule, **widgets)[0]
    found = saved(
        host,
        builder,
        {
            "mix": builder.sampled(model, mixed(builder, [cat, dog], **shares), empty, alike(builder, 3)),
            "travel": builder.sampled(model, prompts, empty, alike(builder, 3)),
        },
    )
    assert torch.equal(found["mix"], found["travel"])


def test_regions_are_mixed_one_by_one(host: Host) -> None:
    builder = Builder()
    model, _, empty, prompts = start(builder)
    mask = builder.add("SolidMask", value=1.0, width=64, height=64)[0]
    sides = []
    for prompt in prompts[:2]:
        region = builder.add(
            "ConditioningSetMask", conditioning=prompt, mask=mask, strength=0.8, set_cond_area="default"
        )[0]
        sides.append(builder.add("ConditioningCombine", conditioning_1=region, conditioning_2=prompts[0])[0])
    travel = mixed(builder, sides, **travelling(2))
    latents = alike(builder, 2)
    found = saved(
        host,
        builder,
        {
            "sides": builder.sampled(model, travel, empty, latents),
            "right": builder.sampled(model, sides[1], empty, latents),
        },
    )
    assert torch.equal(found["sides"][1], found["right"][1])


@pytest.mark.parametrize("how", ["lerp", "slerp", "multiply"])
def test_batches_of_latents_are_blended_frame_by_frame(host: Host, how: str) -> None:
    # Four frames of four channels: for which the host's LatentInterpolate is silently wrong.
    builder = Builder()
    model, _, empty, _ = start(builder)
    a, b = (noises(builder, model, empty, 4, seed) for seed in (1, 2))
    mask = builder.add("SolidMask", value=1.0, width=64, height=64)[0]
    half = blended(builder, [a, b], how=how, adain=True, mask=mask, batch_size=3)
    found = {
        name.partition("-")[0]: latent
        for name, latent in saved(host, builder, {f"a-{how}": a, f"b-{how}": b, f"half-{how}": half}).items()
    }
    (expected,) = blend_latents([{"samples": found["a"]}, {"samples": found["b"]}], [[0.5, 0.5]], how=how, adain=True)
    assert found["half"].shape == (4, 4, 8, 8)
    assert torch.equal(found["half"], expected["samples"])


def test_noise_masks_of_blended_latents_limit_what_is_sampled(host: Host) -> None:
    builder = Builder()
    model, _, empty, prompts = start(builder)
    black, white = (
        builder.add("SolidMask", value=value, width=width, height=64)[0] for value, width in ((0.0, 64), (1.0, 32))
    )
    right = builder.add("MaskComposite", destination=black, source=white, x=32, y=0, operation="add")[0]
    sources = [
        builder.add("SetLatentNoiseMask", samples=noises(builder, model, empty, 1, seed), mask=right)[0]
        for seed in (1, 2)
    ]
    travel = blended(builder, sources, **travelling(3))
    sampled = builder.sampled(model, prompts[0], empty, travel, denoise=0.6)
    before, after = saved(host, builder, {"masked-before": travel, "masked-after": sampled}).values()
    assert before.shape == after.shape == (3, 4, 8, 8)
    torch.testing.assert_close(after[..., :4], before[..., :4], atol=1e-3, rtol=1e-3)
    assert (after[..., 4:] - before[..., 4:]).abs().max() > 0.1


def test_a_value_drives_a_widget_frame_by_frame(host: Host) -> None:
    builder = Builder()
    model, _, empty, prompts = start(builder)
    schedule = builder.recipe(CAT_AND_DOG)
    cfg, _ = builder.add("RemixValueTravel", 2, schedule=schedule, value="cfg")
    latent = alike(builder, 1)
    samples = {"travel": builder.sampled(model, prompts[0], empty, latent, cfg=cfg)}
    for value in (2.0, 4.0, 6.0):
        samples[f"cfg{value:g}"] = builder.sampled(model, prompts[0], empty, latent, cfg=value)
    found = saved(host, builder, samples)
    assert torch.equal(found["travel"], torch.cat([found[f"cfg{value}"] for value in (2, 4, 6)]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"value": "denoise"}, [1, 1, 1]),
        ({"value": "ramp", "value.start": 10.0, "value.end": 21.0, "value.ease": "linear"}, [10, 16, 21]),
        ({"value": "expression", "value.expression": "20 + 3*t + cfg"}, [22, 27, 32]),
        (
            {"value": "share", "value.of": "prompt", "value.number": 1, "value.low": 1.0, "value.high": 64.0},
            [1, 33, 64],
        ),
    ],
)
def test_every_kind_of_value_reaches_a_widget(host: Host, value: dict[str, object], expected: list[int]) -> None:
    builder = Builder()
    numbers = builder.add("RemixValueTravel", 2, schedule=builder.recipe(CAT_AND_DOG), **value)[1]
    mask = builder.add("SolidMask", value=0.5, width=numbers, height=8)[0]
    image = builder.add("MaskToImage", mask=mask)[0]
    (saver,) = builder.add("SaveImage", images=image, filename_prefix=str(value["value"]))
    shown = host.run(builder.graph)[saver[0]]
    widths = [load_picture(host.output / picture["filename"]).shape[1] for picture in shown["images"]]
    assert widths == expected


def film(builder: Builder, images: Link, **inputs: object) -> Link:
    return builder.add("RemixFilm", images=images, **{"fps": 0.0, "ping_pong": False, "repeat": 1, **inputs})[0]


def shades_of(host: Host, name: str) -> list[float]:
    (path,) = sorted(host.output.glob(f"{name}*"))
    return [round(float(picture.mean()) / 255, 1) for picture in read_video(path)]


def save(builder: Builder, video: Link, name: str) -> None:
    builder.add("SaveVideo", video=video, filename_prefix=name, format="mp4", codec="h264")


def test_films_are_saved_by_the_core_in_their_order_and_pace(host: Host) -> None:
    builder = Builder()
    images = batch(builder, frames_of(builder, [0.2, 0.5, 0.8]))
    save(builder, film(builder, images), "plain")
    save(builder, film(builder, images, ping_pong=True, repeat=2, fps=23.976), "pong")
    host.run(builder.graph)
    assert shades_of(host, "plain") == [0.2, 0.5, 0.8]
    assert shades_of(host, "pong") == [0.2, 0.5, 0.8, 0.5] * 2
    assert probe(next(host.output.glob("plain*"))).fps == 12
    assert abs(probe(next(host.output.glob("pong*"))).fps - Fraction("23.976")) < Fraction(1, 1000)


def test_a_list_of_batches_is_one_film_at_the_pace_of_the_schedule(host: Host) -> None:
    builder = Builder()
    model, vae, empty, prompts = start(builder)
    schedule = builder.recipe(CAT_AND_DOG, fps=5.0)
    travel = mixed(builder, prompts[:2], 1, **travelling(3))
    latents = builder.sampled(model, travel, empty, alike(builder, 1))
    images = builder.add("VAEDecode", samples=latents, vae=vae)[0]
    save(builder, film(builder, images, schedule=schedule), "list")
    host.run(builder.graph)
    found = probe(next(host.output.glob("list*")))
    assert (found.frames, found.fps, found.width, found.height) == (3, 5, 64, 64)


def test_other_nodes_take_a_film_apart_and_cut_it(host: Host) -> None:
    builder = Builder()
    video = film(builder, batch(builder, frames_of(builder, [0.2, 0.5, 0.8])), ping_pong=True, fps=4.0)
    images, _, fps = builder.add("GetVideoComponents", 3, video=video)
    save(builder, builder.add("CreateVideo", images=images, fps=fps)[0], "again")
    sliced = builder.add("Video Slice", video=video, start_time=0.5, duration=0.5, strict_duration=False)[0]
    save(builder, sliced, "slice")
    host.run(builder.graph)
    assert shades_of(host, "again") == [0.2, 0.5, 0.8, 0.5]
    assert shades_of(host, "slice") == [0.8, 0.5]


def bad(name: str, builder: Builder) -> None:
    """A graph with one thing wrong, by what is wrong."""
    model, _, empty, prompts = start(builder)
    latent = builder.add("EmptyLatentImage", width=64, height=64, batch_size=1)[0]
    if name == "latents of two sizes":
        other = builder.add("EmptyLatentImage", width=128, height=64, batch_size=1)[0]
        samples = blended(builder, [latent, other])
    elif name == "batches that do not meet":
        samples = blended(builder, [alike(builder, 3), alike(builder, 2)])
    elif name == "weights for others":
        samples = blended(builder, [latent, latent], weights="numbers", **{"weights.numbers": "1, 2, 3"})
    elif name == "fewer frames than inputs":
        samples = blended(builder, [latent, latent], **travelling(1))
    elif name == "NaN":
        broken = noises(builder, model, empty, 1, 1)
        for _ in range(40):
            broken = builder.add("LatentMultiply", samples=broken, multiplier=10.0)[0]
        samples = blended(builder, [latent, broken])
    elif name == "combined against single":
        combined = builder.add("ConditioningCombine", conditioning_1=prompts[0], conditioning_2=prompts[1])[0]
        samples = builder.sampled(model, mixed(builder, [prompts[0], combined]), empty, latent)
    elif name == "equal lengths asked for":
        samples = builder.sampled(model, mixed(builder, [prompts[0], prompts[2]], lengths="equal"), empty, latent)
    elif name == "schedule of other prompts":
        shares = {"weights": "schedule", "weights.schedule": builder.recipe(CAT_AND_DOG), "weights.of": "prompt"}
        samples = builder.sampled(model, mixed(builder, prompts, **shares), empty, latent)
    elif name == "no such expression":
        schedule = builder.recipe(CAT_AND_DOG)
        value = {"value": "expression", "value.expression": "3*frame"}
        cfg = builder.add("RemixValueTravel", 2, schedule=schedule, **value)[0]
        samples = builder.sampled(model, prompts[0], empty, latent, cfg=cfg)
    else:
        raise AssertionError(name)
    builder.add("SaveLatent", samples=samples, filename_prefix="bad")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("latents of two sizes", "latent1: 1x4x8x16 does not match latent0, 1x4x8x8; resize one of them first."),
        (
            "batches that do not meet",
            "latent1: a batch of 2, and latent0 has 3 frames; give a batch of 3, or of 1.",
        ),
        (
            "weights for others",
            "line 1: weights: '1, 2, 3' has 3 part(s), and there are 2 sources; write 2 in each line",
        ),
        ("fewer frames than inputs", "frames: 1 cannot visit 2 sources; give 2 or more"),
        ("NaN", "latent1: it holds inf or NaN, which no mix survives; make it again, in float32 if it overflowed."),
        ("combined against single", "conditioning1: 2 combined prompts, and conditioning0 has 1;"),
        ("equal lengths asked for", 'lengths="equal" refuses different lengths'),
        ("schedule of other prompts", "prompt: the schedule has 2 ('cat', 'dog'), and 3 sources are given;"),
        ("no such expression", "frame"),
    ],
)
def test_bad_input_is_one_sentence_on_the_node(host: Host, name: str, words: str) -> None:
    builder = Builder()
    bad(name, builder)
    with pytest.raises(Failed) as caught:
        host.run(builder.graph)
    assert words in caught.value.message
    assert "\n" not in caught.value.message


def test_images_of_two_sizes_and_none_at_all_are_refused(host: Host) -> None:
    builder = Builder()
    small, large = (frames_of(builder, [0.5], size)[0] for size in (64, 128))
    both = builder.add("CreateList", **{"inputs.input0": small, "inputs.input1": large})[0]
    save(builder, film(builder, both), "bad")
    with pytest.raises(Failed, match="images: sizes 64x64 and 128x128; give frames of one size"):
        host.run(builder.graph)
    builder = Builder()
    save(builder, builder.add("RemixFilm", fps=0.0, ping_pong=False, repeat=1)[0], "bad")
    with pytest.raises(Failed, match="images, job: neither is connected; connect one of them"):
        host.run(builder.graph)
