"""Models with a language model as text encoder: the pictures of diffusers' own pipelines, and films between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from remix.client.local import Local
from remix.client.local.batch import stacked
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.client.local.models import open_model
from remix.errors import Unsupported
from remix.plan import Keyframe, Lora, Model, Recipe, plan
from remix.prompt import Reading
from tests.client.local import tiny_chat
from tests.client.local.films import (
    INPUTS,
    TOLERANCE,
    check_mix_of_predictions,
    largest_difference,
    pictures,
    travel,
)

FAMILIES = ("z_image", "qwen_image", "flux2")
STOCK: dict[str, tuple[float, str, dict[str, Any]]] = {
    "z_image": (3, "blue", {"guidance_scale": 2.0, "negative_prompt": "blue"}),
    "qwen_image": (1, "", {"true_cfg_scale": 1.0}),
    "flux2": (3, "", {"guidance_scale": 3.0}),
}
"""cfg, the negative prompt, and the arguments of diffusers' pipelines that are the same guidance.

Z-Image's scale counts from 0. Qwen-Image's pipeline also shortens the guided velocity, which ComfyUI does not. Flux.2's
pipeline takes no negative prompt.
"""

LAYER = {"z_image": "layers.0.attention.to_q", "qwen_image": "proj_out", "flux2": "proj_out"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {family: str(getattr(tiny_chat, family)(tmp_path_factory.mktemp(family))) for family in FAMILIES}


@pytest.fixture(scope="module")
def engines() -> dict[str, Local]:
    """An engine for each family, so that each model is loaded once."""
    return {family: Local(device="cpu", batch=4) for family in FAMILIES}


def film(folder: str, cfg: float = 3, negative: str = "blue", **changes: Any) -> Recipe:
    """Two prompts of unequal length, whose negative prompts are shorter."""
    keyframes = (
        Keyframe(at=0, prompt="a red circle", negative=negative, seed=1, cfg=cfg),
        Keyframe(at=3, prompt="a blue square at night, seen from a hill", negative="", seed=2, cfg=2),
    )
    return travel(folder, **{"frames": 4, "steps": 2, "scheduler": "simple", "keyframes": keyframes, **changes})


def rendered(engine: Local, recipe: Recipe, frames: Sequence[int] = (0,)) -> np.ndarray:
    return np.stack(list(engine.render(plan(recipe), frames, INPUTS, lambda event: None)))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_keyframe_is_the_picture_of_the_stock_pipeline(
    family: str, folders: dict[str, str], engines: dict[str, Local]
) -> None:
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folders[family])
    pipeline.set_progress_bar_config(disable=True)
    if family == "qwen_image":
        # The number of tokens of the instruction, which the real tokenizer reads as 34.
        instruction = pipeline.prompt_template_encode.split("{}")[0]
        pipeline.prompt_template_encode_start_idx = len(pipeline.tokenizer(instruction).input_ids)
    cfg, negative, arguments = STOCK[family]
    for width in (64, 96):
        made = pipeline(
            prompt="a red circle",
            num_inference_steps=4,
            width=width,
            height=64,
            generator=torch.Generator().manual_seed(1),
            output_type="np",
            **arguments,
        )
        theirs = (made.images * 255).round().astype(np.uint8)
        ours = rendered(engines[family], film(folders[family], cfg, negative, width=width, steps=4))
        assert largest_difference(theirs, ours) <= TOLERANCE
        assert theirs.std() > 5


@pytest.mark.parametrize("family", FAMILIES)
def test_frames_change_and_do_not_depend_on_their_batch(
    family: str, folders: dict[str, str], engines: dict[str, Local]
) -> None:
    recipe = film(folders[family])
    alone = pictures(recipe, batch=1)
    assert largest_difference(alone, rendered(engines[family], recipe, range(4))) <= TOLERANCE
    assert min(largest_difference(alone[k], alone[k + 1]) for k in range(3)) > 4


@pytest.mark.parametrize("family", FAMILIES)
def test_predictions_are_mixed(family: str, folders: dict[str, str], engines: dict[str, Local]) -> None:
    check_mix_of_predictions(engines[family], folders[family], ("blue", "dark"))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_prompt_and_the_negative_prompt_show(
    family: str, folders: dict[str, str], engines: dict[str, Local]
) -> None:
    def picture(prompt: str, negative: str) -> np.ndarray:
        keyframe = Keyframe(prompt=prompt, negative=negative, cfg=3)
        return rendered(engines[family], film(folders[family], frames=1, keyframes=(keyframe,)))

    first = picture("a red circle", "blue")
    assert largest_difference(first, picture("a fish", "blue")) > 2
    assert largest_difference(first, picture("a red circle", "dark")) > 2


@pytest.mark.parametrize("family", FAMILIES)
def test_the_shorter_of_two_prompts_is_what_it_is_alone(family: str, folders: dict[str, str]) -> None:
    model = open_model(Model(folders[family]), [], CPU)
    prompts = [model.encode(prompt, Reading(), Encoded(8)) for prompt in ("a red circle at night", "blue")]
    x, sigma = torch.randn(2, model.channels, 8, 8), torch.tensor([0.7, 0.7])
    both = model.estimate(x, sigma, stacked(*prompts, "zero"))
    alone = [model.estimate(x[k : k + 1], sigma[k : k + 1], prompts[k]) for k in (0, 1)]
    torch.testing.assert_close(both, torch.cat(alone), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_init_pictures_and_masks_work_as_with_other_models(
    family: str, folders: dict[str, str], engines: dict[str, Local]
) -> None:
    def shown(denoise: float, mask: str | None = None) -> np.ndarray:
        keyframe = Keyframe(prompt="a fish", image="in.png", denoise=denoise, mask=mask, cfg=1)
        return rendered(engines[family], film(folders[family], frames=1, keyframes=(keyframe,)))

    decoded = shown(0)
    assert np.array_equal(shown(1, "black.png"), decoded)
    assert np.array_equal(shown(0.8, "white.png"), shown(0.8))
    assert largest_difference(shown(0.8), decoded) > 4


@pytest.mark.parametrize("family", FAMILIES)
def test_loras_in_diffusers_names_travel(family: str, folders: dict[str, str], tmp_path: Path) -> None:
    folder, name = folders[family], str(tmp_path / "style.safetensors")
    layer = open_model(Model(folder), [], CPU).parts()["transformer"].get_submodule(LAYER[family])
    rows, columns = layer.weight.shape
    torch.manual_seed(0)
    key = f"transformer.{LAYER[family]}"
    save_file({f"{key}.lora_A.weight": torch.randn(2, columns), f"{key}.lora_B.weight": torch.randn(rows, 2)}, name)
    recipe = film(folder)
    first, last = recipe.keyframes
    with_lora = Keyframe(0, first.prompt, "blue", seed=1, cfg=3, loras={name: 1})
    still = recipe.replace(keyframes=(with_lora, last))
    moving = recipe.replace(keyframes=(with_lora, Keyframe(3, last.prompt, "", seed=2, cfg=2, loras={name: 0})))
    merged, travelling, without = (pictures(each, [0, 3], batch=4) for each in (still, moving, recipe))
    assert largest_difference(merged[0], travelling[0]) <= TOLERANCE
    assert largest_difference(without[1], travelling[1]) == 0
    assert largest_difference(without[0], travelling[0]) > 4


def test_a_lora_cannot_travel_where_z_image_embeds_all_frames_together(folders: dict[str, str], tmp_path: Path) -> None:
    name, key = str(tmp_path / "style.safetensors"), "transformer.all_x_embedder.2-1"
    save_file({f"{key}.lora_A.weight": torch.ones(1, 64), f"{key}.lora_B.weight": torch.ones(32, 1)}, name)
    open_model(Model(folders["z_image"], loras=(Lora(name, 1.0),)), [], CPU)
    with pytest.raises(Unsupported, match=r"style.* all frames together; give it one strength in all keyframes"):
        open_model(Model(folders["z_image"]), [name], CPU)


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_are_plain_text_up_to_a_length(family: str, folders: dict[str, str]) -> None:
    model = open_model(Model(folders[family]), [], CPU)
    plain = model.encode("a (red:1.5) cat", Reading("none"), Encoded(8))
    assert torch.equal(model.encode("a (red:1.5) cat", Reading(), Encoded(8)).tokens, plain.tokens)
    assert model.rows("a (red:1.5) cat", Reading()) == plain.tokens.shape[1]
    with pytest.raises(Unsupported, match=r"prompt: 'a fish a .* tokens, of which the model reads \d+; write"):
        model.encode("a fish " * 200, Reading(), Encoded(8))


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_is_bfloat16(family: str, folders: dict[str, str]) -> None:
    model = open_model(Model(folders[family]), [], Place(torch.device("cpu"), torch.float16))
    kinds = {weight.dtype for part in model.parts().values() for weight in part.parameters()}
    assert kinds == {torch.bfloat16}
    assert model.family == family


@pytest.mark.parametrize("family", FAMILIES)
def test_the_engine_knows_good_settings(family: str, folders: dict[str, str]) -> None:
    defaults = Local(device="cpu").defaults(film(folders[family]))
    assert (defaults["width"], defaults["height"], defaults["scheduler"]) == (1024, 1024, "simple")
    assert Local(device="cpu").check(plan(film(folders[family]))) == []


CPU = Place(torch.device("cpu"), torch.float32)
