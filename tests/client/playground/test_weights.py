"""The shipped model, in a stock pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from remix.client.playground import WEIGHTS
from remix.client.playground.measure import generate, load, shares, tasks


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Any]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield load(WEIGHTS)
    torch.set_num_threads(threads)


def test_the_weights_are_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) < 20 * 2**20


def test_the_model_is_a_stock_pipeline_of_the_known_shape(pipeline: Any) -> None:
    index = json.loads((WEIGHTS / "model_index.json").read_text("utf-8"))
    assert index["_class_name"] == "StableDiffusionPipeline"
    assert pipeline.tokenizer.model_max_length == 32
    assert pipeline.unet.config.sample_size == 16
    assert pipeline.vae_scale_factor == 8
    assert pipeline.scheduler.config.prediction_type == "v_prediction"


def test_a_prompt_gives_its_background_and_colour(pipeline: Any) -> None:
    group = tasks()["seen pairs"][::50]
    _, colour, background, _ = shares(group, generate(pipeline, [t.prompt for t in group], steps=8, cfg=2.5))
    assert (colour, background) == (1.0, 1.0)


def test_a_picture_does_not_depend_on_its_batch(pipeline: Any) -> None:
    prompts = ["a red star on a blue background", "a green tree in the snow"]
    both = generate(pipeline, prompts, steps=2, cfg=2.5, seed=4)
    alone = generate(pipeline, prompts[1:], steps=2, cfg=2.5, seed=5)
    torch.testing.assert_close(both[1:], alone, atol=1e-4, rtol=0)
