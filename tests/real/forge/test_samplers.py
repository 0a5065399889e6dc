"""In a real Forge: the catalog names its samplers and schedulers, and noise at the steps is each frame's own."""

from __future__ import annotations

import pytest

from remix.catalog.rows import A1111, FORGE
from remix.catalog.samplers import SAMPLERS
from remix.catalog.schedulers import SCHEDULERS
from tests.real.a1111.films import A, B, recipe, rendered
from tests.real.a1111.host import Host
from tests.real.labels import listed


def test_the_catalog_has_what_the_host_lists(host: Host) -> None:
    assert listed(host, "samplers") == {row.label for row in SAMPLERS.values() if FORGE in row.hosts}
    assert listed(host, "schedulers") == {row.label for row in SCHEDULERS.values() if FORGE in row.hosts}


@pytest.mark.parametrize(
    "sampler", [*(row.name for row in SAMPLERS.values() if row.hosts & {FORGE, A1111} == {FORGE}), "dpmpp_sde"]
)
def test_a_batch_of_frames_is_as_many_single_runs(host: Host, sampler: str) -> None:
    rendered(host, recipe({"prompt": A}, {"prompt": B}, sampler=sampler, scheduler="karras"), portable=True)


@pytest.mark.parametrize(
    "scheduler", [row.name for row in SCHEDULERS.values() if row.hosts & {FORGE, A1111} == {FORGE}]
)
def test_its_own_schedulers_can_be_named_in_a_recipe(host: Host, scheduler: str) -> None:
    rendered(host, recipe({"prompt": A}, {"prompt": B}, scheduler=scheduler), portable=True)
