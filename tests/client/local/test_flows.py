"""SD3 and Flux: the pictures of diffusers' own pipelines, the levels of ComfyUI, and what flows do not have."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from remix.catalog.samplers import SAMPLERS as CATALOG
from remix.client.local import Local
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.client.local.flow import FlowLevels
from remix.client.local.models import open_model
from remix.client.local.samplers import FLOW_SAMPLERS, SAMPLERS, sampler_for
from remix.client.local.sampling import SCHEDULERS, Levels, NoiseLevels, sigmas_for
from remix.errors import Unsupported
from remix.plan import Keyframe, Model, Recipe, plan
from remix.prompt import Reading
from tests.client.local import tiny
from tests.client.local.films import (
    INPUTS,
    TOLERANCE,
    check_mix_of_predictions,
    largest_difference,
    pictures,
    travel,
)

T5_ROWS = {"sd3": 77, "flux": 256, "schnell": 256}
PIPELINES = {"sd3": "StableDiffusion3Pipeline", "flux": "FluxPipeline", "schnell": "FluxPipeline"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    made = {
        "sd3": tiny.stable_diffusion_3(tmp_path_factory.mktemp("sd3")),
        "flux": tiny.flux(tmp_path_factory.mktemp("flux")),
        "schnell": tiny.flux(tmp_path_factory.mktemp("schnell"), distilled=False),
    }
    return {family: str(folder) for family, folder in made.items()}


def film(folder: str, negative: str = "", **changes: Any) -> Recipe:
    keyframes = (
        Keyframe(at=0, prompt="a red circle", negative=negative, seed=1, cfg=3, image=changes.pop("image", None)),
        Keyframe(at=3, prompt="a blue square at night", seed=2, cfg=2),
    )
    settings = {"frames": 4, "steps": 4, "scheduler": "simple", "keyframes": keyframes}
    return travel(folder, **{**settings, **changes})


def stock(family: str, folder: str, width: int = 64, without: Sequence[str] = (), **settings: Any) -> np.ndarray:
    import diffusers

    pipeline = getattr(diffusers, PIPELINES[family]).from_pretrained(folder, **dict.fromkeys(without))
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(
        "a red circle",
        num_inference_steps=4,
        width=width,
        height=64,
        generator=torch.Generator().manual_seed(1),
        max_sequence_length=T5_ROWS[family],
        output_type="np",
        **settings,
    )
    return (made.images * 255).round().astype(np.uint8)


@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize(
    ("family", "scheduler", "settings"),
    [
        ("sd3", "normal", {"guidance_scale": 3.0, "negative_prompt": "blue"}),
        ("flux", "simple", {"guidance_scale": 3.0}),
        ("schnell", "simple", {"true_cfg_scale": 3.0, "negative_prompt": "blue"}),
    ],
)
def test_a_picture_is_the_one_that_the_stock_pipeline_makes(
    family: str, scheduler: str, settings: dict[str, Any], width: int, folders: dict[str, str]
) -> None:
    """Diffusers spaces SD3's levels as ComfyUI's `normal` and Flux's as its `simple`."""
    folder = folders[family]
    theirs = stock(family, folder, width, **settings)
    ours = pictures(film(folder, settings.get("negative_prompt", ""), width=width, scheduler=scheduler), [0])
    assert largest_difference(theirs, ours) <= TOLERANCE
    assert theirs.std() > 5


def test_sd3_without_t5_has_zeros_in_its_place(tmp_path: Path) -> None:
    folder = str(tiny.stable_diffusion_3(tmp_path, without_t5=True))
    without = ("text_encoder_3", "tokenizer_3")
    theirs = stock("sd3", folder, without=without, guidance_scale=3.0, negative_prompt="blue")
    assert largest_difference(theirs, pictures(film(folder, "blue", scheduler="normal"), [0])) <= TOLERANCE


def test_a_picture_with_more_places_than_sd3_knows_is_refused_before_the_first_frame(folders: dict[str, str]) -> None:
    """The tiny one knows 16 times 16 places of 16 pixels."""
    Local(device="cpu").check(plan(film(folders["sd3"], width=256, height=256)))
    with pytest.raises(Unsupported, match=r"size: 64x272 has more places than .* knows; use sides of at most 256"):
        Local(device="cpu").check(plan(film(folders["sd3"], height=272)))


@pytest.mark.parametrize(
    ("family", "sampler"), [*((family, "euler") for family in sorted(PIPELINES)), ("flux", "uni_pc"), ("sd3", "er_sde")]
)
def test_frame_i_of_a_batch_is_frame_i_alone(family: str, sampler: str, folders: dict[str, str]) -> None:
    recipe = film(folders[family], sampler=sampler)
    alone = pictures(recipe, batch=1)
    assert largest_difference(alone, pictures(recipe, batch=4)) <= TOLERANCE
    assert largest_difference(alone[:-1], alone[1:]) > 4


@pytest.mark.parametrize(("family", "negatives"), [("sd3", ("blue", "dark")), ("flux", ("", ""))])
def test_predictions_are_mixed(family: str, negatives: tuple[str, str], folders: dict[str, str]) -> None:
    check_mix_of_predictions(Local(device="cpu"), folders[family], negatives)


@pytest.mark.parametrize("family", sorted(PIPELINES))
def test_init_pictures_and_masks_work_as_with_other_models(family: str, folders: dict[str, str]) -> None:
    def shown(denoise: float, mask: str | None = None) -> np.ndarray:
        keyframe = Keyframe(prompt="a fish", image="in.png", denoise=denoise, mask=mask)
        return pictures(travel(folders[family], frames=1, keyframes=(keyframe,)), inputs=INPUTS)

    decoded = shown(0)
    assert np.array_equal(shown(1, "black.png"), decoded)
    assert np.array_equal(shown(0.8, "white.png"), shown(0.8))
    assert largest_difference(shown(0.8), decoded) > 4


@pytest.mark.parametrize("family", sorted(PIPELINES))
def test_latents_are_shifted_and_scaled_and_come_back(family: str, folders: dict[str, str]) -> None:
    model = open_model(Model(folders[family]), [], Place(torch.device("cpu"), torch.float32))
    vae, pictures_ = model.vae, torch.rand(1, 3, 64, 64)  # type: ignore[attr-defined]
    mean = vae.encode(pictures_ * 2 - 1).latent_dist.mode()
    latents = model.to_latents(pictures_)
    torch.testing.assert_close(latents, (mean - vae.config.shift_factor) * vae.config.scaling_factor)
    torch.testing.assert_close(model.to_pictures(latents), (vae.decode(mean).sample / 2 + 0.5).clamp(0, 1))


@pytest.mark.parametrize(("family", "layer"), [("sd3", "attn.to_out.0"), ("flux", "attn.add_v_proj")])
def test_loras_in_diffusers_names_travel(family: str, layer: str, folders: dict[str, str], tmp_path: Path) -> None:
    folder, name = folders[family], str(tmp_path / "style.safetensors")
    torch.manual_seed(0)
    key = f"transformer.transformer_blocks.0.{layer}"
    save_file({f"{key}.lora_A.weight": torch.randn(2, 32), f"{key}.lora_B.weight": torch.randn(32, 2)}, name)
    recipe = film(folder)
    first, last = recipe.keyframes
    still = recipe.replace(keyframes=(Keyframe(0, first.prompt, seed=first.seed, cfg=3, loras={name: 1}), last))
    moving = recipe.replace(
        keyframes=(still.keyframes[0], Keyframe(3, last.prompt, seed=last.seed, cfg=2, loras={name: 0}))
    )
    merged, travelling, without = (pictures(each, batch=4) for each in (still, moving, recipe))
    assert largest_difference(merged[0], travelling[0]) <= TOLERANCE
    assert largest_difference(without[3], travelling[3]) == 0
    assert largest_difference(without[0], travelling[0]) > 4


def test_prompts_have_at_least_the_rows_of_comfyui_and_long_ones_more(folders: dict[str, str]) -> None:
    for family, clip_rows, t5_rows in (("sd3", 32, 77), ("flux", 0, 256)):
        model = open_model(Model(folders[family]), [], Place(torch.device("cpu"), torch.float32))
        assert model.encode("a fish", Reading(), Encoded(8)).tokens.shape[1] == clip_rows + t5_rows
        long = model.encode("a fish " * 200, Reading(), Encoded(8)).tokens.shape[1]
        assert long >= 400
        assert [model.rows(prompt, Reading()) for prompt in ("a fish", "a fish " * 200)] == [clip_rows + t5_rows, long]
        assert model.family == family


def test_brackets_with_a_backslash_are_letters_without_it_for_t5_too(folders: dict[str, str]) -> None:
    for family in PIPELINES:
        t5 = open_model(Model(folders[family]), [], Place(torch.device("cpu"), torch.float32)).t5  # type: ignore[attr-defined]
        escaped = t5.encode(r"a \(red\) cat", Reading(), Encoded(8))
        assert torch.equal(escaped, t5.encode("a (red) cat", Reading("none"), Encoded(8)))


def test_t5_applies_weights_by_either_rule(folders: dict[str, str]) -> None:
    for family in PIPELINES:
        t5 = open_model(Model(folders[family]), [], Place(torch.device("cpu"), torch.float32)).t5  # type: ignore[attr-defined]
        plain, empty = (t5.encode(text, Reading("none"), Encoded(8)) for text in ("a red cat", ""))
        weights = torch.ones(plain.shape[1])
        ids, found = t5._tokens("a (red:1.5) cat", Reading())
        weights[: len(found)] = torch.tensor(found)
        assert 1.5 in found
        assert t5._tokens("a red cat", Reading())[0] == ids
        w = weights[:, None]
        assert torch.allclose(
            t5.encode("a (red:1.5) cat", Reading(), Encoded(8)), empty + w * (plain - empty), atol=1e-5
        )
        scaled = plain * w * (plain.mean() / (plain * w).mean())
        assert torch.allclose(t5.encode("a (red:1.5) cat", Reading("a1111"), Encoded(8)), scaled, atol=1e-5)


def test_half_precision_is_bfloat16_there(folders: dict[str, str]) -> None:
    """T5 and Flux have values beyond float16."""
    half = Place(torch.device("cpu"), torch.float16)
    for family in PIPELINES:
        model = open_model(Model(folders[family]), [], half)
        kinds = {weight.dtype for part in model.parts().values() for weight in part.parameters()}
        assert kinds == {torch.bfloat16} == {model.place.dtype}


# --- levels


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_levels_are_those_of_comfyuis_discrete_flow(shift: float) -> None:
    levels = FlowLevels.from_config({"shift": shift}, 16)
    table = [shift * (k / 1000) / (1 + (shift - 1) * (k / 1000)) for k in range(1, 1001)]
    torch.testing.assert_close(levels.table, torch.tensor(table, dtype=torch.float64))
    steps = torch.linspace(1, table[0], 5)
    wanted = [shift * t / (1 + (shift - 1) * t) for t in steps.tolist()]
    torch.testing.assert_close(sigmas_for(levels, "normal", 5), torch.tensor([*wanted, 0.0]))


@pytest.mark.parametrize(("places", "mu"), [(256, 0.5), (4096, 1.15), (1024, 0.5 + 0.65 * 768 / 3840)])
def test_fluxs_shift_grows_with_the_picture_as_modelsamplingfluxs(places: int, mu: float) -> None:
    levels = FlowLevels.from_config({"use_dynamic_shifting": True}, places)
    assert len(levels) == 10_000
    for t in (1e-4, 0.25, 1.0):
        wanted = math.exp(mu) / (math.exp(mu) + (1 / t - 1))
        assert float(levels.sigma(torch.tensor(t, dtype=torch.float64))) == pytest.approx(wanted, rel=1e-9)


def test_noise_takes_the_place_of_the_latent() -> None:
    latent, noise = torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2)
    found = FlowLevels(3.0).begun(latent, noise, torch.tensor([0.0, 0.25, 1.0]))
    assert torch.equal(found[0], latent[0])
    torch.testing.assert_close(found[1], 0.75 * latent[1] + 0.25 * noise[1])
    assert torch.equal(found[2], noise[2])


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("sampler", sorted(SAMPLERS.keys() - FLOW_SAMPLERS.keys()))
def test_every_walk_along_a_straight_flow_ends_where_it_leads(sampler: str, scheduler: str) -> None:
    """One point of data: every estimate is right, so that each sampler has to end on it from any noise."""
    levels = FlowLevels(3.0)
    data, noise = torch.full((2, 1, 2, 2), 0.3), torch.randn(2, 1, 2, 2)
    for denoise in (1.0, 0.4):
        sigmas = sigmas_for(levels, scheduler, 6, denoise, sampler).expand(2, -1)
        x = levels.begun(data, noise, sigmas[:, 0])
        levels_met = []

        def right(x: torch.Tensor, sigma: torch.Tensor, met: list[torch.Tensor] = levels_met) -> torch.Tensor:
            met.append((x - levels.noised(data, noise, sigma)).abs().max())
            return data

        out = SAMPLERS[sampler](right, x, sigmas, lambda: noise, lambda done, total: None)
        torch.testing.assert_close(out, data, atol=4e-3 if sampler == "uni_pc" else 1e-5, rtol=0)  # it ends above 0
        assert max(levels_met) < 1e-5


RECORDED = json.loads((Path(__file__).parent / "flow_samplers.json").read_text(encoding="utf-8"))
"""What ComfyUI's samplers return for a flow, recorded by a test in tests/real/comfyui/test_samplers.py."""


@pytest.mark.parametrize("sampler", RECORDED["samplers"])
def test_samplers_of_flows_are_comfyuis(sampler: str) -> None:
    found = walked(sampler, FlowLevels(RECORDED["shift"]), RECORDED["x"], RECORDED["sigmas"])
    wanted = torch.tensor(RECORDED["samplers"][sampler], dtype=torch.float64)  # which it computed in float32
    # ComfyUI's uni_pc takes logarithms of float32 numbers near 1 at its last level.
    torch.testing.assert_close(found, wanted, atol=1e-4 if sampler == "uni_pc" else 2e-6, rtol=1e-5)


@pytest.mark.parametrize("sampler", RECORDED["added_samplers"])
def test_samplers_that_only_comfyui_has_are_the_same_with_added_noise(sampler: str) -> None:
    levels = NoiseLevels.from_config({"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012})
    sigmas = RECORDED["added_sigmas"]
    found = walked(sampler, levels, (torch.tensor(RECORDED["x"]) * sigmas[0]).tolist(), sigmas)
    wanted = torch.tensor(RECORDED["added_samplers"][sampler], dtype=torch.float64)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def walked(sampler: str, levels: Levels, x: list[Any], sigmas: list[float]) -> torch.Tensor:
    noises, start = (torch.tensor(each, dtype=torch.float64) for each in (RECORDED["noise"], x))
    left = iter(noises)

    def denoise(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return 0.8 * torch.tanh(x * (1 - 0.3 * sigma.view(-1, 1, 1, 1))) + 0.1

    steps = torch.tensor(sigmas, dtype=torch.float64).expand(len(start), -1)
    return sampler_for(sampler, levels)(denoise, start, steps, lambda: next(left), lambda done, total: None)


def test_every_sampler_has_a_form_for_flows_and_the_recording_has_it() -> None:
    own = {name for name in SAMPLERS if CATALOG[name].own_for_flows}
    assert own == FLOW_SAMPLERS.keys()
    assert RECORDED["samplers"].keys() == SAMPLERS.keys()


# --- what they cannot do


def test_a_negative_that_would_not_be_read_is_refused(folders: dict[str, str]) -> None:
    with pytest.raises(Unsupported, match=r"negative: .* reads its guidance \(cfg\) as a number, and no neg"):
        Local(device="cpu").check(plan(film(folders["flux"], "blue")))
    assert Local(device="cpu").check(plan(film(folders["schnell"], "blue"))) == []


def test_a_vae_that_does_not_say_its_shift_is_refused(folders: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "vae.safetensors"
    save_file({"decoder.conv_in.weight": torch.ones(1)}, file)
    model = Model(folders["sd3"], vae=str(file))
    with pytest.raises(Unsupported, match=r"model\.vae: .*vae.* is a single file, .*; give a folder"):
        Local(device="cpu").check(plan(film(folders["sd3"], model=model)))
    whole = film(folders["sd3"], model=Model(folders["sd3"], vae=folders["sd3"]))
    assert np.array_equal(pictures(whole), pictures(film(folders["sd3"])))


def test_sizes_are_multiples_of_16(folders: dict[str, str]) -> None:
    with pytest.raises(Unsupported, match=r"size: 72x64 does not fit; use multiples of 16"):
        pictures(film(folders["sd3"], width=72))
