"""On a real ComfyUI: a number that travels meets its own frame, whatever it drives and whatever the batch sizes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tests.real.comfyui.films import frames_of, saved, travelling
from tests.real.comfyui.graphs import Builder, Link
from tests.real.comfyui.host import Failed, Host
from tests.real.loras import write_lora

FRAMES = 3
LORA = "pairing.safetensors"
LAYERS = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_out_0": 320,
    "lora_te_text_model_encoder_layers_0_self_attn_q_proj": 768,
}
TEXT = f"""
frames = {FRAMES}
size = [64, 64]
[[keyframes]]
prompt = "a red apple"
seed = 5
cfg = 3
[[keyframes]]
prompt = "the sea"
seed = 6
cfg = 9
"""

Number = Link | float


class Film:
    """The parts of a film of `TEXT`, each of which one number may drive."""

    def __init__(self, batch: int, drives: str, number: Callable[[Builder, Link], Number]) -> None:
        self.builder = builder = Builder()
        self.model, self.clip, _ = builder.checkpoint()
        self.schedule = builder.recipe(TEXT)
        self.batch, self.drives = batch, drives
        self.number = number(builder, self.schedule)

    def latent(self) -> Link:
        """The latents of the frames."""
        builder, model, clip, cfg = self.builder, self.model, self.clip, 7.0
        if self.drives == "lora":
            widgets = {"lora_name": LORA, "strength_model": self.number, "strength_clip": self.number}
            model, clip = builder.add("LoraLoader", 2, model=model, clip=clip, **widgets)
        elif self.drives == "lora of the model":
            (model,) = builder.add("LoraLoaderModelOnly", model=model, lora_name=LORA, strength_model=self.number)
        elif self.drives == "cfg":
            cfg = self.number
        size = {"batch_size": self.batch}
        prompts = builder.add(
            "RemixPromptTravel", 2, clip=clip, schedule=self.schedule, how="recipe", lengths="recipe", **size
        )
        if self.drives == "a part of the steps":
            (prompts[0],) = builder.add(
                "ConditioningSetTimestepRange", conditioning=prompts[0], start=0.0, end=self.number
            )
        _, latent, model = builder.add("RemixNoiseTravel", 3, schedule=self.schedule, model=model, **size)
        if self.drives == "the latent":
            (latent,) = builder.add("LatentMultiply", samples=latent, multiplier=self.number)
        return builder.sampled(model, *prompts, latent, cfg=cfg)


@pytest.fixture(scope="module")
def lora(host: Host) -> None:
    folder = host.base / "models" / "loras"
    folder.mkdir(exist_ok=True)
    write_lora(folder / LORA, LAYERS, scale=0.3)


@pytest.mark.parametrize("drives", ["cfg", "lora", "lora of the model", "a part of the steps", "the latent"])
@pytest.mark.usefixtures("lora")
def test_each_number_meets_its_own_frame(host: Host, drives: str) -> None:
    """As many latents as frames, each what one run with that frame's number gives for it."""

    def travelling_number(builder: Builder, schedule: Link) -> Link:
        ramp = {"value": "ramp", "value.start": 0.25, "value.end": 0.75, "value.ease": "linear"}
        return builder.add("RemixValueTravel", 2, schedule=schedule, **ramp)[0]

    def constant(frame: int) -> Callable[[Builder, Link], float]:
        return lambda builder, schedule: 0.25 + frame / 4

    expected = []
    for frame in range(FRAMES):
        film = Film(1, drives, constant(frame))
        expected.append(saved(host, film.builder, {"x": film.latent()})["x"][frame])
    assert (expected[0] - expected[1]).abs().max() > 0.01
    for batch in (0, 2):
        film = Film(batch, drives, travelling_number)
        found = saved(host, film.builder, {"x": film.latent()})["x"]
        assert found.shape[0] == FRAMES
        assert torch.equal(found, torch.stack(expected))


def test_a_workflow_that_ran_in_one_batch_pairs_as_soon_as_a_number_travels(host: Host) -> None:
    """What the host kept of the first run is one batch of all frames, which no number may meet."""
    still = Film(0, "cfg", lambda builder, schedule: 5.0)
    assert len(saved(host, still.builder, {"x": still.latent()})["x"]) == FRAMES
    driven = Film(
        0, "cfg", lambda builder, schedule: builder.add("RemixValueTravel", 2, schedule=schedule, value="cfg")[0]
    )
    assert len(saved(host, driven.builder, {"x": driven.latent()})["x"]) == FRAMES


def of_a_mix(batch_size: int, number: Callable[[Builder, Link], Number]) -> tuple[Builder, Link]:
    """Two conditionings that travel into each other, over one empty latent, and the cfg of their sampler."""
    builder = Builder()
    model, clip, _ = builder.checkpoint()
    cfg = number(builder, builder.recipe(TEXT))
    ends = [builder.add("CLIPTextEncode", clip=clip, text=text)[0] for text in ("day", "night")]
    mixed = builder.add(
        "RemixConditioningMix",
        **{f"conditionings.conditioning{at}": end for at, end in enumerate(ends)},
        **travelling(FRAMES),
        how="lerp",
        lengths="auto",
        batch_size=batch_size,
    )[0]
    empty = builder.add("EmptyLatentImage", width=64, height=64, batch_size=1)[0]
    return builder, builder.sampled(model, mixed, ends[1], empty, cfg=cfg)


def test_a_mix_of_conditionings_pairs_too(host: Host) -> None:
    expected = []
    for frame, cfg in enumerate((3.0, 6.0, 9.0)):
        builder, latent = of_a_mix(1, lambda builder, schedule, cfg=cfg: cfg)  # type: ignore[misc]
        expected.append(saved(host, builder, {"x": latent})["x"][frame])
    builder, latent = of_a_mix(
        0, lambda builder, schedule: builder.add("RemixValueTravel", 2, schedule=schedule, value="cfg")[0]
    )
    assert torch.equal(saved(host, builder, {"x": latent})["x"], torch.stack(expected))


def of_pictures(builder: Builder, vae: Link, shades: list[float]) -> list[Link]:
    return [builder.add("VAEEncode", pixels=picture, vae=vae)[0] for picture in frames_of(builder, shades)]


def blended(builder: Builder, ends: list[Link], frames: int, batch_size: int) -> Link:
    sockets = {f"latents.latent{at}": end for at, end in enumerate(ends)}
    widgets = {"how": "lerp", "adain": False, "batch_size": batch_size}
    return builder.add("RemixLatentBlend", **sockets, **travelling(frames), **widgets)[0]


def test_latents_that_come_in_batches_are_joined(host: Host) -> None:
    """Remix Latent Blend upstream of Remix Noise Travel, with the same batch_size, as for every Remix node."""
    found = []
    for size in (2, 0):
        builder = Builder()
        model, clip, vae = builder.checkpoint()
        schedule = builder.recipe(TEXT)
        start = blended(builder, of_pictures(builder, vae, [0.1, 0.9]), FRAMES, size)
        widgets = {"schedule": schedule, "batch_size": size}
        prompts = builder.add("RemixPromptTravel", 2, clip=clip, how="recipe", lengths="recipe", **widgets)
        _, latent, model = builder.add("RemixNoiseTravel", 3, model=model, latent=start, **widgets)
        found.append(saved(host, builder, {"x": builder.sampled(model, *prompts, latent, denoise=0.5)})["x"])
    assert found[0].shape[0] == FRAMES
    assert (found[0] - found[1]).abs().max() < 1e-3
    assert (found[0][0] - found[0][2]).abs().max() > 0.1


def test_a_morph_between_equal_pictures_is_still(host: Host) -> None:
    """Also where KSampler draws the noise itself, and in batches of any size."""
    builder = Builder()
    model, clip, vae = builder.checkpoint()
    prompt = builder.add("CLIPTextEncode", clip=clip, text="day")[0]
    latent = blended(builder, of_pictures(builder, vae, [0.4, 0.4]), 4, 2)
    found = saved(host, builder, {"x": builder.sampled(model, prompt, prompt, latent, seed=3, denoise=0.5)})["x"]
    assert found.shape[0] == 4
    assert (found - found[0]).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("frames", "size", "sentence"),
    [
        (4, 0, r"frames: there are [34], and Remix(PromptTravel|LatentBlend) \(node \d+\) has [34], which meet at KSa"),
        (3, 2, r"batch_size: [02], and Remix(PromptTravel|LatentBlend) \(node \d+\) has [02], which meet at KSampler"),
    ],
)
def test_lists_of_two_lengths_are_refused_before_sampling(host: Host, frames: int, size: int, sentence: str) -> None:
    builder = Builder()
    model, clip, vae = builder.checkpoint()
    schedule = builder.recipe(TEXT)
    latent = blended(builder, of_pictures(builder, vae, [0.1, 0.9]), frames, size)
    prompts = builder.add(
        "RemixPromptTravel", 2, clip=clip, schedule=schedule, how="recipe", lengths="recipe", batch_size=0
    )
    with pytest.raises(Failed, match=sentence):
        saved(host, builder, {"x": builder.sampled(model, *prompts, latent)})


def test_a_number_that_would_render_the_whole_film_again_and_again_is_refused(host: Host) -> None:
    builder = Builder()
    model, clip, vae = builder.checkpoint()
    schedule = builder.recipe(TEXT)
    number = builder.add("RemixValueTravel", 2, schedule=schedule, value="cfg")[0]
    (patched,) = builder.add("RescaleCFG", model=model, multiplier=number)
    wires = {"model": patched, "clip": clip, "vae": vae, "schedule": schedule}
    builder.add("RemixRender", **wires, filename_prefix="pairing/refused", batch_size=2)
    with pytest.raises(Failed, match=r"RemixRender \(node \d+\) would run once for each of the 3 numbers"):
        host.run(builder.graph)
    assert not (host.output / "pairing").exists()


def test_batches_beside_a_travelling_number_are_remarked_on(host: Host) -> None:
    builder = Builder()
    model, clip, _ = builder.checkpoint()
    schedule = builder.recipe(TEXT)
    number = builder.add("RemixValueTravel", 2, schedule=schedule, value="cfg")[0]
    prompt = builder.add("CLIPTextEncode", clip=clip, text="day")[0]
    empty = builder.add("EmptyLatentImage", width=64, height=64, batch_size=2)[0]
    builder.add("SaveLatent", samples=builder.sampled(model, prompt, prompt, empty, cfg=number), filename_prefix="x")
    (remark,) = host.run(builder.graph)[number[0]]["remarks"]
    assert remark.startswith("EmptyLatentImage (node 5): batch_size is 2")
    assert "makes 6 pictures; set it to 1" in remark
