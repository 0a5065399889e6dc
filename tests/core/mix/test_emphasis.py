"""The rules of emphasis in numbers."""

from __future__ import annotations

import pytest
import torch

from remix.mix.emphasis import emphasized

Z = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(1)) + 0.5
EMPTY = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(2))
WEIGHTS = torch.tensor([1.0, 1.5, 0.0, -0.5, 1.0])


def test_comfyui_moves_a_row_away_from_that_of_the_empty_prompt() -> None:
    found = emphasized(Z, WEIGHTS, "comfy", EMPTY)
    assert torch.equal(found[:, [0, 4]], Z[:, [0, 4]])
    assert torch.allclose(found[:, 2], EMPTY[:, 2])
    assert torch.allclose(found[:, 1], EMPTY[:, 1] + 1.5 * (Z[:, 1] - EMPTY[:, 1]))


def test_a1111_restores_the_mean() -> None:
    found = emphasized(Z, WEIGHTS, "a1111")
    plain = emphasized(Z, WEIGHTS, "a1111-no-norm")
    assert torch.equal(plain[:, 1], Z[:, 1] * 1.5)
    assert torch.allclose(found.mean(), Z.mean())
    assert torch.allclose(found / found.mean(), plain / plain.mean())


@pytest.mark.parametrize("rule", ["a1111-ignore", "none"])
def test_other_rules_weigh_nothing(rule: str) -> None:
    assert torch.equal(emphasized(Z, WEIGHTS, rule), Z)


@pytest.mark.parametrize("rule", ["comfy", "a1111", "a1111-no-norm", "a1111-ignore", "none"])
def test_weights_of_one_change_nothing(rule: str) -> None:
    assert torch.equal(emphasized(Z, torch.ones(5), rule, EMPTY), Z)


def test_a_weight_that_travels_by_comfyuis_rule_is_a_mix_of_its_ends() -> None:
    ends = [emphasized(Z, torch.full((5,), weight), "comfy", EMPTY) for weight in (0.5, 1.5)]
    assert torch.allclose(emphasized(Z, torch.full((5,), 0.75), "comfy", EMPTY), 0.75 * ends[0] + 0.25 * ends[1])
