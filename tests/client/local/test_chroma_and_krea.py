"""Chroma and Krea 2: the pictures of diffusers' own pipelines, and prompts of different lengths without padding."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from remix.client.local import Local
from remix.client.local.batch import stacked
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.client.local.models import open_model
from remix.plan import Keyframe, Model, Recipe, plan
from remix.prompt import Reading
from tests.client.local import tiny_chat
from tests.client.local.films import TOLERANCE, check_mix_of_predictions, largest_difference, pictures, travel

FAMILIES = ("chroma", "krea2", "krea2_distilled")
pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")  # in diffusers itself
CPU = Place(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    made = {
        "chroma": tiny_chat.chroma(tmp_path_factory.mktemp("chroma")),
        "krea2": tiny_chat.krea2(tmp_path_factory.mktemp("krea2")),
        "krea2_distilled": tiny_chat.krea2(tmp_path_factory.mktemp("krea2_distilled"), distilled=True),
    }
    return {family: str(folder) for family, folder in made.items()}


def film(folder: str, **changes: Any) -> Recipe:
    keyframes = (
        Keyframe(at=0, prompt="a red circle", negative="blue", seed=1, cfg=3),
        Keyframe(at=3, prompt="a blue square at night, seen from a hill", seed=2, cfg=2),
    )
    return travel(folder, **{"frames": 4, "steps": 2, "scheduler": "simple", "keyframes": keyframes, **changes})


def guided(family: str, pipeline: Any, folder: str) -> dict[str, Any]:
    """The prompts and the guidance of the first keyframe, as a pipeline takes them."""
    if family != "chroma":
        # The number of tokens of the instruction, which the real tokenizer reads as 34, and of the end.
        instruction = pipeline.tokenizer(pipeline.prompt_template_encode_prefix).input_ids
        end = pipeline.tokenizer(pipeline.prompt_template_encode_suffix).input_ids
        pipeline.prompt_template_encode_start_idx = len(instruction)
        pipeline.prompt_template_encode_num_suffix_tokens = len(end)
        return {"prompt": "a red circle", "negative_prompt": "blue", "guidance_scale": 2.0}  # counted from 0
    # Its own encoder pads to 512 rows, which its transformer attends to.
    model = open_model(Model(folder), [], CPU)
    found: dict[str, Any] = {"guidance_scale": 3.0}
    for name, prompt in (("prompt", "a red circle"), ("negative_prompt", "blue")):
        tokens = model.encode(prompt, Reading(), Encoded(8)).tokens
        found |= {f"{name}_embeds": tokens, f"{name}_attention_mask": torch.ones(tokens.shape[:2])}
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_a_keyframe_is_the_picture_of_the_stock_pipeline(family: str, folders: dict[str, str]) -> None:
    folder = folders[family]
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(
        num_inference_steps=4,
        width=96,
        height=64,
        generator=torch.Generator().manual_seed(1),
        output_type="np",
        **guided(family, pipeline, folder),
    )
    theirs = (made.images * 255).round().astype(np.uint8)
    assert largest_difference(theirs, pictures(film(folder, width=96, steps=4), [0])) <= TOLERANCE
    assert theirs.std() > 5


def test_chroma_encodes_a_prompt_and_its_end(folders: dict[str, str]) -> None:
    model = open_model(Model(folders["chroma"]), [], CPU)
    for prompt in ("a red circle", ""):
        ids = model.t5.tokenizer(prompt, return_tensors="pt").input_ids  # type: ignore[attr-defined]
        wanted = model.t5.encoder(ids).last_hidden_state  # type: ignore[attr-defined]
        torch.testing.assert_close(model.encode(prompt, Reading(), Encoded(8)).tokens, wanted)
        assert model.rows(prompt, Reading()) == ids.shape[1]


@pytest.mark.parametrize("family", FAMILIES[:2])
def test_frames_do_not_depend_on_their_batch_nor_on_longer_prompts(family: str, folders: dict[str, str]) -> None:
    recipe = film(folders[family])
    alone = pictures(recipe, batch=1)
    assert largest_difference(alone, pictures(recipe, batch=4)) <= TOLERANCE
    assert min(largest_difference(alone[k], alone[k + 1]) for k in range(3)) > 4
    model = open_model(Model(folders[family]), [], Place(torch.device("cpu"), torch.float32))
    prompts = [model.encode(prompt, Reading(), Encoded(8)) for prompt in ("a red circle at night", "blue")]
    x, sigma = torch.randn(2, model.channels, 8, 8), torch.tensor([0.7, 0.7])
    both = model.estimate(x, sigma, stacked(*prompts, "zero"))
    each = [model.estimate(x[k : k + 1], sigma[k : k + 1], prompts[k]) for k in (0, 1)]
    torch.testing.assert_close(both, torch.cat(each), atol=1e-4, rtol=1e-4)
    defaults = Local(device="cpu").defaults(recipe)
    assert (defaults["width"], defaults["scheduler"]) == (1024, "simple")
    assert Local(device="cpu").check(plan(recipe)) == []


@pytest.mark.parametrize("family", FAMILIES[:2])
def test_predictions_are_mixed(family: str, folders: dict[str, str]) -> None:
    check_mix_of_predictions(Local(device="cpu"), folders[family], ("blue", "dark"))
