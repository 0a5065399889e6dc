"""The mixes of a schedule as one table, and the family that a conditioning looks like."""

from __future__ import annotations

import pytest
import torch

from remix.catalog.families import FAMILIES
from remix.errors import MixError
from remix.mix import Conditioning, family_of, weights_of
from remix.mix.conditioning import needs_empty
from remix.plan import Keyframe, Mix, Recipe, plan


def conditioning(rows: int, width: int, pooled: int | None = None, **extra: object) -> Conditioning:
    return Conditioning(torch.zeros(1, rows, width), None if pooled is None else torch.zeros(1, pooled), extra)


def test_a_table_has_a_row_for_each_mix_and_a_column_for_each_value() -> None:
    values, table = weights_of([Mix.one("a"), Mix((("b", 3), ("a", 1)))])
    assert values == ["a", "b"]
    assert table.tolist() == [[1, 0], [0.25, 0.75]]
    assert table.dtype == torch.float64


def test_a_table_of_some_frames_has_the_columns_of_all() -> None:
    schedule = plan(Recipe(frames=3, keyframes=(Keyframe(prompt="a"), Keyframe(prompt="b"), Keyframe(prompt="c"))))
    values, whole = weights_of(frame.prompt for frame in schedule)
    _, last = weights_of([schedule[2].prompt], values)
    assert torch.equal(last, whole[2:])


def test_a_value_that_is_not_among_the_given_ones_is_refused() -> None:
    with pytest.raises(MixError, match=r"mixes\[1\]: 'b' is not among the 1 value"):
        weights_of([Mix.one("a"), Mix.one("b")], ["a"])


@pytest.mark.parametrize(
    ("looks_like", "family"),
    [
        (conditioning(77, 768, 768), "sd1"),
        (conditioning(154, 768), "sd1"),
        (conditioning(77, 1024, 1024), "sd2"),
        (conditioning(77, 2048, 1280), "sdxl"),
        (conditioning(77, 1280, 1280), "sdxl_refiner"),
        (conditioning(154, 4096, 2048), "sd3"),
        (conditioning(256, 4096, 768, guidance=3.5), "flux"),
        (conditioning(512, 4096), "wan"),
        (conditioning(128, 4096, 2048, conditioning_llama3=torch.zeros(1, 32, 9, 4096)), "hidream"),
        (conditioning(23, 3584, attention_mask=torch.ones(1, 23)), "qwen_image"),
        (conditioning(5, 99), "unknown"),
    ],
)
def test_a_family_is_told_by_its_shapes(looks_like: Conditioning, family: str) -> None:
    assert family_of(looks_like) == family
    assert family in FAMILIES


@pytest.mark.parametrize(
    ("rows", "width", "pooled", "lengths", "needed"),
    [
        ((77, 77), 4096, None, None, False),
        ((300, 256), 4096, 768, None, True),
        ((300, 256), 4096, None, None, False),
        ((77, 154), 768, None, None, False),
        ((77, 154), 768, None, "empty", True),
        ((300, 256), 4096, None, "zero", False),
    ],
)
def test_the_empty_prompt_is_needed_only_to_pad_with(
    rows: tuple[int, ...], width: int, pooled: int | None, lengths: str | None, needed: bool
) -> None:
    assert needs_empty([conditioning(count, width, pooled) for count in rows], lengths) is needed
