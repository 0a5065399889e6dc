"""Mixes of conditionings as A1111 and Forge have them, for each model family; no host is needed for it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from a1111_extension.conditioning import Way, evened, mix_negatives, mix_prompts, mix_steps, varied_prompts
from remix.errors import Unsupported
from remix.mix import Conditioning, slerp, varied
from tests.fakes.webui import Part, Scheduled

HALVES = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], dtype=torch.float64)


def sdxl(seed: int, rows: int = 77) -> dict[str, torch.Tensor]:
    """Two encoders' tokens, and a vector of the pooled prompt and the sizes of the picture."""
    made = torch.Generator().manual_seed(seed)
    sizes = torch.full((1536,), 0.5)
    vector = torch.cat([torch.randn(1280, generator=made), sizes])
    return {"crossattn": torch.randn(rows, 2048, generator=made), "vector": vector}


def flux(seed: int, rows: int = 256) -> dict[str, torch.Tensor]:
    """As Forge has it: T5's tokens, CLIP's pooled prompt, and the distilled guidance."""
    made = torch.Generator().manual_seed(seed)
    tokens, vector = torch.randn(rows, 4096, generator=made), torch.randn(768, generator=made)
    return {"crossattn": tokens, "vector": vector, "guidance": torch.tensor(3.5)}


def sd3(seed: int, rows: int = 154) -> dict[str, torch.Tensor]:
    """As Forge has it: tokens of three encoders, and the pooled prompts of both CLIPs, one after the other."""
    made = torch.Generator().manual_seed(seed)
    return {"crossattn": torch.randn(rows, 4096, generator=made), "vector": torch.randn(2048, generator=made)}


def steps(cond: Any) -> list[Scheduled]:
    return [Scheduled(20, cond)]


@pytest.mark.parametrize("family", [sdxl, sd3, flux])
@pytest.mark.parametrize("how", ["lerp", "slerp"])
def test_every_part_of_a_conditioning_is_mixed_and_the_ends_are_exact(family: Any, how: str) -> None:
    a, b = family(1), family(2)
    frames = mix_steps([steps(a), steps(b)], HALVES, Way(how))
    for end, frame in ((a, frames[0]), (b, frames[2])):
        assert list(frame[0].cond) == list(end)
        assert all(torch.equal(frame[0].cond[name], end[name]) for name in end)
    middle = frames[1][0].cond
    assert all(middle[name].shape == a[name].shape for name in a)
    if how == "lerp":
        assert torch.allclose(middle["vector"], (a["vector"] + b["vector"]) / 2)
        assert torch.allclose(middle["crossattn"], (a["crossattn"] + b["crossattn"]) / 2, atol=1e-6)
    if family is sdxl:
        assert torch.equal(middle["vector"][1280:], a["vector"][1280:])


@pytest.mark.parametrize(("family", "pooled"), [(sdxl, 1280), (sd3, 2048), (flux, 768)])
def test_the_whole_pooled_prompt_goes_by_slerp_and_sizes_of_the_picture_do_not(family: Any, pooled: int) -> None:
    a, b = family(1)["vector"], family(2)["vector"]
    middle = mix_steps([steps(family(1)), steps(family(2))], HALVES, Way("slerp"))[1][0].cond["vector"]
    assert torch.allclose(middle[:pooled], slerp(a[None, :pooled], b[None, :pooled], 0.5)[0], atol=1e-6)
    assert torch.allclose(middle[pooled:], (a[pooled:] + b[pooled:]) / 2)


@pytest.mark.parametrize(("family", "rows"), [(sdxl, 154), (flux, 256)])
def test_unlike_lengths_meet_as_the_family_can_bear_it(family: Any, rows: int) -> None:
    counts = (77, 154) if family is sdxl else (256, 256)
    frames = mix_steps([steps(family(1, counts[0])), steps(family(2, counts[1]))], HALVES, Way())
    assert {len(frame[0].cond["crossattn"]) for frame in frames} == {rows}
    if family is sdxl:
        first = frames[0][0].cond["crossattn"]
        assert torch.equal(first[:77], first[77:])  # repeated whole, which changes no attention


@pytest.mark.parametrize(("family", "name"), [(sdxl, "sdxl"), (flux, "flux")])
def test_variety_adds_the_cores_noise_and_leaves_the_hosts_cache_alone(family: Any, name: str) -> None:
    kept = family(1)
    before, seeds = kept["crossattn"].clone(), [[(1, 1.0)], [(1, 0.5), (2, 0.5)]]
    frames = [[Part(steps(kept), 1.0), Part(steps(family(2)), 0.4)], [Part(steps(kept), 1.0)]]
    assert varied_prompts(frames, seeds, 0) == frames
    found = varied_prompts(frames, seeds, 0.5)
    for parts, given, mix in zip(found, frames, seeds, strict=True):
        assert [part.weight for part in parts] == [part.weight for part in given]
        for part, own in zip(parts, given, strict=True):
            cond, plain = part.schedules[0].cond, own.schedules[0].cond
            wanted = varied(Conditioning(plain["crossattn"][None]), [mix], 0.5, family=name).tokens[0]
            torch.testing.assert_close(cond["crossattn"], wanted)
            assert torch.equal(cond["vector"], plain["vector"])
    assert torch.equal(kept["crossattn"], before)


def test_positive_and_negative_are_brought_to_one_length() -> None:
    positive, negative = [steps(torch.randn(154, 768))], [steps(torch.randn(77, 768))]
    even = evened([positive, negative])
    assert [len(group[0][0].cond) for group in even] == [154, 154]
    assert len(negative[0][0].cond) == 77  # the host's own is not changed


def test_a_schedule_over_the_steps_changes_where_any_of_its_prompts_changes() -> None:
    a, b, c = (torch.full((77, 768), value) for value in (0.0, 1.0, 4.0))
    first = [Scheduled(5, a), Scheduled(20, b)]
    second = [Scheduled(10, c), Scheduled(20, a)]
    frames = mix_steps([first, second], HALVES, Way())
    assert [step.end_at_step for step in frames[1]] == [5, 10, 20]
    assert [float(step.cond[0, 0]) for step in frames[1]] == [2.0, 2.5, 0.5]


def test_weights_of_AND_are_mixed_with_their_prompts() -> None:
    cond = torch.ones(77, 768)
    pairs = [[Part(steps(cond), 1.0), Part(steps(cond), 0.5)], [Part(steps(cond), 1.0), Part(steps(cond), 1.5)]]
    frames = mix_prompts(pairs, HALVES, Way())
    assert [[part.weight for part in frame] for frame in frames] == [[1.0, 0.5], [1.0, 1.0], [1.0, 1.5]]


def test_prompts_of_unlike_numbers_of_parts_lie_over_each_other() -> None:
    cond = torch.ones(77, 768)
    prompts = [[Part(steps(cond), 1.0), Part(steps(cond), 0.5)], [Part(steps(cond), 2.0)]]
    frames = mix_prompts(prompts, HALVES, Way())
    assert [[part.weight for part in frame] for frame in frames] == [[1.0, 0.5], [0.5, 0.25, 1.0], [2.0]]


def predicted(parts: Any, negative: Any, cfg: float) -> float:
    """What the host computes: the negative prompt's prediction, and the parts around it."""
    u = float(negative[0].cond[0, 0])
    return u + sum(cfg * part.weight * (float(part.schedules[0].cond[0, 0]) - u) for part in parts)


@pytest.mark.parametrize("cfg", [1.0, 5.0])
def test_predictions_are_mixed_by_weighted_parts_those_of_negatives_too(cfg: float) -> None:
    a, b, x, y = (torch.full((77, 768), value) for value in (1.0, 2.0, 5.0, 9.0))
    way = Way("output")
    prompts = [[Part(steps(a), 1.0)], [Part(steps(b), 1.0), Part(steps(a), 0.5)]]
    parts = mix_prompts(prompts, HALVES, way)
    assert [[part.weight for part in frame] for frame in parts] == [[1.0], [0.5, 0.5, 0.25], [1.0, 0.5]]
    found, negatives = mix_negatives(parts, [steps(x), steps(y)], HALVES, cfg)
    assert [len(frame) for frame in found] == [1, 4, 2]
    for row, (c, weight) in enumerate([(1.0, 1.0), (1.75 / 1.25, 1.25), (2.5 / 1.5, 1.5)]):
        u = float(HALVES[row] @ torch.tensor([5.0, 9.0], dtype=torch.float64))
        assert predicted(found[row], negatives[row], cfg) == pytest.approx(u + cfg * weight * (c - u), rel=1e-6)


def test_negatives_cannot_be_mixed_by_parts_without_guidance() -> None:
    a, x, y = (torch.full((77, 768), value) for value in (1.0, 5.0, 9.0))
    parts = mix_prompts([[Part(steps(a), 1.0)]], torch.ones(3, 1), Way("output"))
    with pytest.raises(Unsupported, match=r"negative: .* at cfg 0"):
        mix_negatives(parts, [steps(x), steps(y)], HALVES, 0.0)
