"""Conditionings of several passes: weights of frames, AND, predictions that are mixed, and prompt editing."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from remix.errors import BadInput, Unsupported
from remix.plan import Keyframe, Recipe, Schedule, plan
from tests.hosts.comfyui.conftest import listed, room
from tests.hosts.comfyui.stand_ins import Clip, Pictures


def film(*prompts: str, frames: int = 3, negative: str = "no", **changes: Any) -> Schedule:
    keyframes = [Keyframe(prompt=prompt, negative=negative) for prompt in prompts]
    return plan(Recipe(frames=frames, keyframes=keyframes, steps=4, **changes))


def entries(pack: ModuleType, schedule: Schedule, frames: range | None = None) -> tuple[list[Any], list[Any]]:
    travel = room(pack, "conditioning").PromptTravel(
        schedule, room(pack, "encoding").encoder(Clip(), schedule.recipe.reading)
    )
    return travel.conditionings(range(len(schedule)) if frames is None else frames)


def weight_of(entry: Any) -> Any:
    """The weight of an entry for each frame, or one for all."""
    options = entry[1]
    mask = options["mask"].flatten().tolist() if "mask" in options else None
    return options.get("strength", 1.0) if mask is None else mask


def test_predictions_are_mixed_by_weights_of_each_frame(pack: ModuleType) -> None:
    positive, negative = entries(pack, film("a cat", "the big sea", mix="output"))
    assert [weight_of(entry) for entry in positive] == [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]
    assert [entry[0].shape for entry in positive] == [(1, 2, 768), (1, 3, 768)]
    assert positive[0][1]["mask"].shape == (3, 1, 1)
    assert [weight_of(entry) for entry in negative] == [1.0]


def test_what_the_weights_of_AND_leave_of_1_goes_to_the_negative_prompt(pack: ModuleType) -> None:
    positive, negative = entries(pack, film("a cat AND the sea :0.5", "a dog AND the sea :1.5"))
    assert [weight_of(entry) for entry in positive] == [1.0, [0.5, 1.0, 1.5], [-0.5, -1.0, -1.5]]
    assert torch.equal(positive[-1][0], negative[0][0])
    assert "mask" not in negative[0][1]


def test_one_prompt_in_each_frame_is_one_conditioning_as_ever(pack: ModuleType) -> None:
    positive, negative = entries(pack, film("a cat", "the sea"))
    assert len(positive) == len(negative) == 1
    assert {"mask", "strength", "remix_calls"}.isdisjoint(positive[0][1])
    assert len(positive[0][0]) == 3


def test_prompts_that_change_over_the_steps_have_entries_for_their_calls(pack: ModuleType) -> None:
    positive, negative = entries(pack, film("a [cat:horse:0.5]", "a cow", negative="[x:x:2]"))
    assert [entry[1]["remix_calls"] for entry in positive] == [(0, 2), (3, 4)]
    assert torch.equal(positive[0][0][2], positive[1][0][2])
    assert not torch.equal(positive[0][0][0], positive[1][0][0])
    assert "remix_calls" not in negative[0][1]


class Guider(SimpleNamespace):
    """The host's guider, which the wrapper of a model reads."""

    def called(self, wrapper: Any) -> list[str]:
        class Executor:
            class_obj = self

            def __call__(self, *args: Any) -> list[str]:
                return [entry["name"] for entry in self.class_obj.conds["positive"]]

        found: list[str] = wrapper(Executor(), None)
        return found


def test_the_model_applies_entries_at_their_calls(pack: ModuleType) -> None:
    again, wrapper = room(pack, "passes").with_calls(Pictures(), 3).wrappers
    timed = [{"name": "first", "remix_calls": (0, 1)}, {"name": "then", "remix_calls": (2, 3)}, {"name": "always"}]
    guider = Guider(conds={"positive": timed})
    assert [guider.called(wrapper)[0] for _ in range(5)] == ["first", "first", "then", "then", "first"]
    again(lambda: None)  # another run of a sampler, which counts from 0
    assert guider.called(wrapper)[0] == "first"
    assert guider.conds == {"positive": timed}


def test_prompt_travel_gives_the_sampler_a_model_that_counts_its_calls(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = room(pack, "conditioning").RemixPromptTravel
    widgets = {"batch_size": 0, "how": "recipe", "lengths": "recipe"}
    timed = film("a [cat:dog:0.5]")
    with pytest.raises(Unsupported, match=r'model: the prompts change over the steps.*connect.*or use "Remix Render"'):
        node.execute(clip=[Clip()], **listed(schedule=timed, **widgets))
    model = Pictures()
    positive, _, (counting,) = node.execute(clip=[Clip()], **listed(schedule=timed, model=model, **widgets)).result
    assert [entry[1]["remix_calls"] for entry in positive[0]] == [(0, 2), (3, 4)]
    _, _, sample = counting.wrappers
    assert sample(lambda *args: args[3], None, None, None, torch.ones(5)).shape == (5,)
    monkeypatch.setattr(room(pack, "passes"), "_steps_of", lambda model, recipe: 5)
    sample(lambda *args: None, None, None, None, torch.ones(6))  # a scheduler with a step more
    with pytest.raises(BadInput, match=r"steps: .* 4 steps, .* the sampler takes 20; connect steps"):
        sample(lambda *args: None, None, None, None, torch.ones(21))
    plain = node.execute(clip=[Clip()], **listed(schedule=film("a cat AND a dog"), model=model, **widgets)).result
    assert len(plain[0][0]) == 3
    assert plain[2] == [model]


def test_prompt_travel_mixes_predictions_if_its_widget_says_so(pack: ModuleType) -> None:
    node = room(pack, "conditioning").RemixPromptTravel
    widgets = {"batch_size": 0, "how": "output", "lengths": "recipe"}
    positive, _, models = node.execute(clip=[Clip()], **listed(schedule=film("a cat", "a dog"), **widgets)).result
    assert [entry[1]["mask"].flatten().tolist() for entry in positive[0]] == [[1, 0.5, 0], [0, 0.5, 1]]
    assert models == [None]


def test_names_of_embeddings_reach_the_host_as_it_reads_them(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folders: Any = sys.modules["folder_paths"]
    (tmp_path / "Ink.safetensors").write_bytes(b"ink")
    monkeypatch.setattr(folders, "get_filename_list", lambda kind: ["Ink.safetensors"])
    monkeypatch.setattr(folders, "get_full_path", lambda kind, name: str(tmp_path / name))
    clip, encoding = Clip(), room(pack, "encoding")
    schedule = film("a cat in ink", "inkwell")
    encoding.encoder(clip, schedule.recipe.reading)("a cat in ink")
    assert clip.encoded == ["a cat in  embedding:Ink "]
    assert list(encoding.embedding_hashes(schedule)) == ["embedding Ink"]
    assert encoding.embedding_hashes(film("inkwell")) == {}
