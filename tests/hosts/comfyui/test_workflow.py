"""What the nodes read from the workflow that runs: where lists meet, agree, are joined or refused."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from remix.errors import BadInput
from tests.hosts.comfyui.conftest import listed, room
from tests.hosts.comfyui.stand_ins import Clip
from tests.hosts.comfyui.workflows import TEXT, VALUE, Nodes, film, hidden, schedule

LORA = {**VALUE, "8": ("LoraLoader", {"model": ["0", 0], "clip": ["0", 1], "strength_model": ["7", 0]})}


@pytest.mark.parametrize(
    ("nodes", "by_frame"),
    [
        (film(), set()),
        (film(more=VALUE), set()),  # its numbers go nowhere
        (film(more=VALUE, n4={"cfg": ["7", 0]}), {"2", "3"}),
        (film(more=LORA, n2={"clip": ["8", 1]}, n3={"model": ["8", 0]}), {"2", "3"}),
        (film(more=LORA, n3={"model": ["8", 0]}), {"2", "3"}),
        (
            film(
                more={**VALUE, "8": ("Strength", {"conditioning": ["2", 0], "strength": ["7", 0]})},
                n4={"positive": ["8", 0]},
            ),
            {"2", "3"},
        ),
        # What takes lists whole ends them: one batch of pictures, of which every frame has its own.
        (
            film(
                more={
                    **VALUE,
                    "8": ("Shade", {"value": ["7", 0]}),
                    "9": ("Rebatch", {"images": ["8", 0]}),
                    "10": ("VAEEncode", {"pixels": ["9", 0]}),
                },
                n3={"latent": ["10", 0]},
            ),
            set(),
        ),
        (film(more={**VALUE, "8": ("RemixFilm", {"images": ["5", 0], "fps": ["7", 0]})}), set()),
        # A node that no output needs is never run.
        (film(more={**VALUE, "8": ("KSampler", {"positive": ["2", 0], "cfg": ["7", 0]})}), set()),
    ],
)
def test_frames_go_one_by_one_where_a_list_of_numbers_meets_them(
    workflow: Callable[[Nodes], Any], nodes: Nodes, by_frame: set[str]
) -> None:
    found = workflow(nodes)
    assert {number for number in ("2", "3") if found.around(number).by_frame} == by_frame


BLEND = {"8": ("RemixLatentBlend", {"weights": "travel", "weights.frames": 3, "batch_size": 0})}


@pytest.mark.parametrize(
    ("nodes", "number", "sentence"),
    [
        (film(), "2", None),
        (film(n3={"batch_size": 3}), "2", None),  # all of them in one batch too
        (film(n3={"batch_size": 9}), "2", None),
        (
            film(n3={"batch_size": 2}),
            "2",
            r"batch_size: 0, and RemixNoiseTravel \(node 3\) has 2, which meet at KSampler \(node 4\); give both",
        ),
        (film(more=VALUE, n3={"batch_size": 2}, n4={"cfg": ["7", 0]}), "2", None),  # one by one, whatever it says
        (film(more=BLEND, n4={"latent_image": ["8", 0]}), "2", None),
        (
            film(more={"8": (BLEND["8"][0], {**BLEND["8"][1], "weights.frames": 4})}, n4={"latent_image": ["8", 0]}),
            "2",
            r"frames: there are 3, and RemixLatentBlend \(node 8\) has 4, which meet at KSampler \(node 4\)",
        ),
        # Batches that are joined need not be alike.
        (film(more={"8": (BLEND["8"][0], {**BLEND["8"][1], "batch_size": 2})}, n3={"latent": ["8", 0]}), "3", None),
        (
            film(more={"8": ("RemixRecipe", {"recipe": TEXT, "frames": 4})}, n3={"schedule": ["8", 0]}),
            "2",
            r"frames: there are 3, and RemixNoiseTravel \(node 3\) has 4",
        ),
        (
            film(
                more={
                    "7": ("RemixValueTravel", {"schedule": ["8", 0]}),
                    "8": ("RemixRecipe", {"recipe": TEXT, "frames": 4}),
                },
                n4={"cfg": ["7", 0]},
            ),
            "2",
            r"frames: there are 3, and RemixValueTravel \(node 7\) has 4, which meet at KSampler \(node 4\)",
        ),
    ],
)
def test_lists_that_meet_agree_or_are_refused(
    workflow: Callable[[Nodes], Any], nodes: Nodes, number: str, sentence: str | None
) -> None:
    around = workflow(nodes).around(number)
    size = nodes[number][1]["batch_size"]
    if sentence is None:
        around.refuse_unequal(3, size)
        around.refuse_unequal(1, size)
    else:
        with pytest.raises(BadInput, match=sentence):
            around.refuse_unequal(3, size)


def test_the_nodes_cut_as_the_workflow_asks(
    pack: ModuleType, workflow: Callable[[Nodes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what the host has kept of another workflow is not taken for the same."""
    prompts = hidden(monkeypatch, room(pack, "conditioning").RemixPromptTravel, "2")
    widgets = listed(clip=Clip(), schedule=schedule(), batch_size=0, how="recipe", lengths="recipe")
    workflow(film())
    whole, kept = prompts.execute(**widgets).result[0], prompts.fingerprint_inputs()
    workflow(film(more=VALUE, n4={"cfg": ["7", 0]}))
    assert [len(entries[0][0]) for entries in whole] == [3]
    assert [len(entries[0][0]) for entries in prompts.execute(**widgets).result[0]] == [1, 1, 1]
    assert prompts.fingerprint_inputs() != kept
    workflow(film())
    assert prompts.fingerprint_inputs() == kept


def test_a_model_or_an_encoder_for_each_frame_gives_a_list_of_frames(pack: ModuleType) -> None:
    clips = [Clip() for _ in range(3)]
    prompts = room(pack, "conditioning").RemixPromptTravel
    widgets = listed(schedule=schedule(), batch_size=0, how="recipe", lengths="recipe")
    positive = prompts.execute(clip=clips, **widgets).result[0]
    assert [len(entries[0][0]) for entries in positive] == [1, 1, 1]
    assert all(clip.encoded for clip in clips)
    with pytest.raises(BadInput, match="clip: 2 of them came as a list, for 3 frames; give one, or one for each"):
        prompts.execute(clip=clips[:2], **widgets)
    with pytest.raises(BadInput, match="schedule: 2 of them came as a list; this input takes one"):
        prompts.execute(clip=clips, **{**widgets, "schedule": [schedule()] * 2})


# --- a number that travels


def value_travel(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    return hidden(monkeypatch, room(pack, "values").RemixValueTravel, "7")


def test_a_number_that_would_make_the_film_again_and_again_is_refused(
    pack: ModuleType, workflow: Callable[[Nodes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow({**film(more=LORA), "9": ("RemixRender", {"model": ["8", 0], "schedule": ["1", 0]})})
    with pytest.raises(BadInput, match=r"RemixRender \(node 9\) would run once for each of the 3 numbers"):
        value_travel(pack, monkeypatch).execute(schedule(), {"value": "cfg"})
    workflow(film(more=LORA, n3={"model": ["8", 0]}))
    value_travel(pack, monkeypatch).execute(schedule(), {"value": "cfg"})


def test_batches_beside_a_number_are_remarked_on(
    pack: ModuleType, workflow: Callable[[Nodes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = {**VALUE, "8": ("EmptyLatentImage", {"batch_size": 4})}
    workflow(film(more=empty, n4={"cfg": ["7", 0], "latent_image": ["8", 0]}))
    output = value_travel(pack, monkeypatch).execute(schedule(), {"value": "cfg"})
    assert output.ui["remarks"] == (
        "EmptyLatentImage (node 8): batch_size is 4, and downstream nodes run once for each of the 3 numbers, which "
        "makes 12 pictures; set it to 1",
    )


# --- lists are joined


def test_latents_that_come_in_batches_are_one_for_the_frames(pack: ModuleType) -> None:
    frames = torch.arange(3.0).reshape(3, 1, 1, 1).expand(-1, 4, 8, 8)
    parts = [{"samples": frames[:2], "batch_index": [4, 5]}, {"samples": frames[2:]}]
    given = {**listed(schedule=schedule(), batch_size=0), "latent": parts}
    (latent,) = room(pack, "noise").RemixNoiseTravel.execute(**given).result[1]
    assert torch.equal(latent["samples"], frames)
    assert latent["batch_index"] == [0, 0, 0]


@pytest.mark.parametrize(
    ("weights", "given", "index"),
    [
        ({"weights": "numbers", "numbers": "1 0\n1 1\n0 1"}, None, [[0, 0], [0]]),  # a travel has one noise
        ({"weights": "numbers", "numbers": "1 0\n1 1\n0 1"}, [3, 4, 5], [[3, 4], [5]]),
        ({"weights": "equal"}, None, [None, None]),  # pictures of their own stay what they are
    ],
)
def test_a_blend_that_travels_gives_every_frame_the_same_noise(
    pack: ModuleType, weights: dict[str, Any], given: list[int] | None, index: list[Any]
) -> None:
    source = {"samples": torch.ones(3, 4, 8, 8), **({"batch_index": given} if given else {})}
    widgets = listed(weights=weights, how="lerp", adain=False, batch_size=2)
    sources = {"latent0": [source], "latent1": [source]}
    (blended,) = room(pack, "latents").RemixLatentBlend.execute(latents=sources, **widgets).result
    assert [latent.get("batch_index") for latent in blended] == index


@pytest.mark.parametrize(("size", "cut"), [(0, [2, 1]), (1, [1, 1, 1]), (3, [3])])
def test_mixing_nodes_take_lists_as_batches_and_go_on_as_lists(pack: ModuleType, size: int, cut: list[int]) -> None:
    frames = torch.arange(1.0, 4.0).reshape(3, 1, 1, 1).expand(-1, 4, 8, 8)
    latents = {"latent0": [{"samples": frames[:2]}, {"samples": frames[2:]}], "latent1": [{"samples": -frames[:1]}]}
    widgets = listed(weights={"weights": "numbers", "numbers": "3, 1"}, how="lerp", adain=False, batch_size=size)
    (blended,) = room(pack, "latents").RemixLatentBlend.execute(latents=latents, **widgets).result
    assert [len(latent["samples"]) for latent in blended] == cut
    assert torch.equal(torch.cat([latent["samples"] for latent in blended]), frames * 0.75 - 0.25)

    tokens = frames.reshape(3, -1, 64)
    sources = {
        "conditioning0": [[[tokens[:2], {}]], [[tokens[2:], {}]]],
        "conditioning1": [[[-tokens[:1], {}]]],
    }
    widgets = listed(weights={"weights": "numbers", "numbers": "3, 1"}, how="lerp", lengths="auto", batch_size=size)
    (mixed,) = room(pack, "mix").RemixConditioningMix.execute(conditionings=sources, **widgets).result
    assert [len(entries[0][0]) for entries in mixed] == cut
    assert torch.equal(torch.cat([entries[0][0] for entries in mixed]), tokens * 0.75 - 0.25)
