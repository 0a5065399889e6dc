"""The table of errors in docs/mixing.md: it is what the command prints, and our column holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from remix.catalog.families import FAMILIES
from remix.mix import BLEND_MODES, POLICIES
from tests.bench import mixing_errors

DOC = (Path(__file__).parents[3] / "docs" / "mixing.md").read_text(encoding="utf-8")


def test_the_documented_table_is_what_the_command_prints():
    assert mixing_errors.table() in DOC


@pytest.mark.parametrize("case", mixing_errors.CASES, ids=lambda case: f"{case.question}, {case.peer}")
def test_our_errors_are_small_where_a_peer_is_wrong(case):
    theirs, ours = case.theirs(), case.ours()
    assert ours < 1e-3
    assert not theirs <= 20 * ours


def test_the_compounding_travel_is_the_one_that_was_measured():
    found = mixing_errors.compounding_travel()[1:9].tolist()
    assert found == pytest.approx([0.067, 0.191, 0.353, 0.525, 0.684, 0.810, 0.899, 0.953], abs=6e-4)


@pytest.mark.parametrize("name", [*BLEND_MODES, *POLICIES])
def test_every_name_a_user_can_choose_is_documented(name):
    assert f"`{name}`" in DOC


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_documented_with_its_policy(family):
    layout = FAMILIES[family]
    keys = ", ".join(f"`{key}`" for key in layout.keys) or "-"
    assert f"| `{family}` | `{layout.lengths}` | {layout.rows} | {keys} |" in DOC
