"""Remix Prompt Travel: each prompt is encoded once, and its frames are the core's."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch

from remix.errors import BadInput, Unsupported
from remix.mix import Conditioning, mix_conditioning, varied, weights_of
from remix.plan import Schedule, plan
from tests.core.plan.recipes import recipe_of_text
from tests.hosts.comfyui.conftest import listed, room
from tests.hosts.comfyui.stand_ins import Clip


def schedule(ease: str = "linear", second: str = "the sea", frames: int = 5) -> Schedule:
    return plan(
        recipe_of_text(
            f'frames = {frames}\nease = "{ease}"\n[[keyframes]]\nprompt = "a cat"\n[[keyframes]]\nprompt = "{second}"\n'
        )
    )


def travel(
    pack: ModuleType, clip: Any, asked: Any, batch_size: int = 0, how: str = "recipe", lengths: str = "recipe"
) -> Any:
    widgets = {"batch_size": batch_size, "how": how, "lengths": lengths}
    clips = clip if isinstance(clip, list) else [clip]
    node = room(pack, "conditioning").RemixPromptTravel
    return node.execute(clip=clips, **listed(schedule=asked, **widgets)).result[:2]


def test_each_prompt_is_encoded_once(pack: ModuleType) -> None:
    clip = Clip()
    travel(pack, clip, schedule(), 2)
    assert sorted(clip.encoded) == ["", "a cat", "the sea"]


def test_another_easing_encodes_nothing(pack: ModuleType) -> None:
    clip = Clip()
    travel(pack, clip, schedule(), 0)
    clip.encoded.clear()
    travel(pack, clip, schedule("sine-in-out"), 3)
    travel(pack, clip, schedule(frames=50), 0, "slerp", "zero")
    assert clip.encoded == []
    travel(pack, clip, schedule(second="a dog"), 0)
    assert clip.encoded == ["a dog"]


def test_another_encoder_is_asked_anew(pack: ModuleType) -> None:
    first, second = Clip(), Clip()
    travel(pack, first, schedule(), 0)
    travel(pack, second, schedule(), 0)
    assert first.encoded == second.encoded
    second.layer_idx = -2
    travel(pack, second, schedule(), 0)
    assert len(second.encoded) == 2 * len(first.encoded)


ONE = 4 * 768 * 3
"""Bytes of an encoded prompt of two words, with what is pooled."""


@pytest.mark.parametrize(("room_for", "encoded"), [(3, 3), (2, 6)])
def test_what_is_kept_is_bounded_by_its_bytes(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch, room_for: int, encoded: int
) -> None:
    clip = Clip(least=2)
    monkeypatch.setattr(room(pack, "encoding"), "KEPT", room_for * ONE)
    travel(pack, clip, schedule(), 0)
    travel(pack, clip, schedule(), 2)
    assert len(clip.encoded) == encoded


def test_frames_are_the_cores(pack: ModuleType) -> None:
    clip = Clip()
    (positive,), (negative,) = travel(pack, clip, schedule(), 0)
    prompts, weights = weights_of(frame.prompt for frame in schedule())
    sources = [
        Conditioning.from_comfy(clip.encode_from_tokens_scheduled(clip.tokenize(prompt))[0]) for prompt in prompts
    ]
    tokens, options = mix_conditioning(sources, weights).to_comfy()
    assert torch.equal(positive[0][0], tokens)
    assert torch.equal(positive[0][1]["pooled_output"], options["pooled_output"])
    assert torch.equal(positive[0][0][:1], sources[0].tokens)
    assert negative[0][0].shape[0] == 5


def test_variety_adds_the_cores_noise_to_prompts_and_not_to_negatives(pack: ModuleType) -> None:
    """Also to those of a single prompt, of which the host would repeat one row."""
    for second in ("the sea", "a cat"):
        still = schedule(second=second)
        asked = plan(still.recipe.replace(variety=0.5))
        plain, found = (travel(pack, Clip(), each) for each in (still, asked))
        seeds = [frame.seed.items for frame in asked]
        tokens, noisy = plain[0][0][0][0], found[0][0][0][0]
        wanted = varied(Conditioning(tokens.expand(len(seeds), -1, -1)), seeds, 0.5, family="sd1").tokens
        torch.testing.assert_close(noisy, wanted)
        assert torch.equal(plain[1][0][0][0], found[1][0][0][0])


@pytest.mark.parametrize(("size", "rows"), [(0, [5]), (1, [1] * 5), (2, [2, 2, 1]), (9, [5])])
def test_a_long_travel_is_cut_into_batches(pack: ModuleType, size: int, rows: list[int]) -> None:
    whole, _ = travel(pack, Clip(), schedule(second="the sea and the wind"), 0)
    positive, negative = travel(pack, Clip(), schedule(second="the sea and the wind"), size)
    assert [len(entries[0][0]) for entries in positive] == rows == [len(entries[0][0]) for entries in negative]
    assert torch.equal(torch.cat([entries[0][0] for entries in positive]), whole[0][0][0])


def test_every_batch_has_the_length_that_the_whole_travel_needs(pack: ModuleType) -> None:
    """Padding is attended to in newer families: a frame must not depend on who is in its batch."""
    clip = Clip(width=4096)
    positive, _ = travel(pack, clip, schedule(second="the sea and the wind"), 1)
    assert {entries[0][0].shape[1] for entries in positive} == {5}


def test_the_empty_prompt_is_encoded_for_padding_alone(pack: ModuleType) -> None:
    alike = plan(recipe_of_text('frames = 2\n[[keyframes]]\nprompt = "a cat"\nnegative = "grey"\n'))
    clip = Clip(width=4096, least=2)
    travel(pack, clip, alike, 0)
    assert "" not in clip.encoded


def test_a_length_policy_of_the_node_goes_before_the_recipes(pack: ModuleType) -> None:
    (entries,), _ = travel(pack, Clip(), schedule(second="the sea and the wind"), 0, "recipe", "trim")
    assert entries[0][0].shape[1] == 2
    with pytest.raises(BadInput, match='lengths="equal" refuses'):
        travel(pack, Clip(), schedule(second="the sea and the wind"), 0, "recipe", "equal")


def test_a_checkpoint_without_an_encoder_is_told(pack: ModuleType) -> None:
    with pytest.raises(BadInput, match="clip: is None"):
        travel(pack, None, schedule())


def test_what_is_no_schedule_is_refused(pack: ModuleType) -> None:
    with pytest.raises(BadInput, match="schedule: str is not a schedule; connect Remix Recipe"):
        travel(pack, Clip(), "frames = 4")


@pytest.mark.parametrize("set_by_wires", ["loras = {ink = 0.5}", 'image = "a.png"\nmask = "m.png"'])
def test_what_keyframes_set_and_wires_decide_is_refused(pack: ModuleType, set_by_wires: str) -> None:
    asked = plan(recipe_of_text(f"frames = 2\n[[keyframes]]\n{set_by_wires}\n"))
    with pytest.raises(Unsupported, match=r"leave (them|it) out of the recipe"):
        travel(pack, Clip(), asked)
