"""The shipped model, in a stock pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import torch

from remix.client.playground import EXAMPLES, WEIGHTS
from remix.client.playground.judge import thing_mask
from remix.client.playground.measure import Task, generate, load, marks, pictures_of, shares
from remix.client.playground.travel import FRAMES, travel
from remix.client.playground.world import arrange


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


def test_plain_prompts_give_their_thing_color_and_background(pipeline: Any) -> None:
    group = [
        Task(f"a {color} {thing} on a {background} background", arrange(thing, color, background, rng=Random(0)))
        for thing, color, background in (
            ("star", "green", "yellow"),
            ("moon", "blue", "white"),
            ("house", "red", "gray"),
            ("tree", "purple", "pink"),
        )
    ]
    found = marks(group, generate(pipeline, [task.prompt for task in group], steps=8, cfg=2.5))
    assert shares(found)[1:3] == [1.0, 1.0]
    assert shares(found)[0] >= 0.75


def test_two_things_stand_side_by_side(pipeline: Any) -> None:
    picture = generate(pipeline, ["a red star and a red circle on a white background"], steps=8, cfg=2.5)[0]
    seen = thing_mask(picture, "white").any(0)
    assert seen[20:44].all()
    assert not seen[60:68].any()
    assert seen[84:108].all()


def _distance(first: torch.Tensor, second: torch.Tensor) -> float:
    return (first - second).abs().mean().item()


def test_guidance_and_negative_prompts_have_a_visible_effect(pipeline: Any) -> None:
    prompt = "a red star on a blue background"

    def made(cfg: float, **options: str) -> torch.Tensor:
        return pictures_of(pipeline, [3], steps=6, cfg=cfg, prompt=prompt, **options)

    usual = made(2.5)
    assert torch.equal(made(2.5, negative_prompt=""), usual)
    assert _distance(made(2.5, negative_prompt="blue background"), usual) > 0.02
    assert _distance(made(1.0), made(5.0)) > 0.02


def test_seeds_and_steps_change_the_picture_and_repeat_it(pipeline: Any) -> None:
    prompt = ["a red star on a blue background"]
    first = generate(pipeline, prompt, steps=4, cfg=2.5, seed=1)
    assert torch.equal(generate(pipeline, prompt, steps=4, cfg=2.5, seed=1), first)
    assert _distance(generate(pipeline, prompt, steps=4, cfg=2.5, seed=2), first) > 0.005
    assert _distance(generate(pipeline, prompt, steps=6, cfg=2.5, seed=1), first) > 0.001


def test_a_prompt_travel_ends_in_the_pictures_of_its_prompts(pipeline: Any) -> None:
    first, last = (Task(prompt, arrange("star", "red", "white", rng=Random(0))) for prompt in EXAMPLES[:3:2])
    frames = travel(pipeline, first, last, 5, steps=4, cfg=2.5)
    assert frames.shape == (FRAMES, 3, 128, 128)
    for frame, task in ((frames[0], first), (frames[-1], last)):
        alone = generate(pipeline, [task.prompt], steps=4, cfg=2.5, seed=5)[0]
        torch.testing.assert_close(frame, alone, atol=1e-3, rtol=0)


def test_a_picture_does_not_depend_on_its_batch(pipeline: Any) -> None:
    prompts = ["a red star on a blue background", "a green tree in the snow"]
    both = generate(pipeline, prompts, steps=2, cfg=2.5, seed=4)
    alone = generate(pipeline, prompts[1:], steps=2, cfg=2.5, seed=5)
    torch.testing.assert_close(both[1:], alone, atol=1e-4, rtol=0)
