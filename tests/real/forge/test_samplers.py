"""In a real Forge: the catalog names its samplers and schedulers, and noise at the steps is each frame's own."""

from __future__ import annotations

import pytest

from remix.catalog.rows import A1111, FORGE
from remix.catalog.samplers import SAMPLERS, Sampler
from remix.catalog.schedulers import SCHEDULERS, Scheduler
from tests.real.a1111.films import A, B, recipe, rendered
from tests.real.a1111.host import Host
from tests.real.labels import listed


def is_new(row: Sampler | Scheduler) -> bool:
    """Whether Forge has this, and A1111 does not."""
    return FORGE in row.hosts and A1111 not in row.hosts


def test_the_catalog_has_what_the_host_lists(host: Host) -> None:
    assert listed(host, "samplers") == {row.label for row in SAMPLERS.values() if FORGE in row.hosts}
    assert listed(host, "schedulers") == {row.label for row in SCHEDULERS.values() if FORGE in row.hosts}


@pytest.mark.parametrize("sampler", [*(name for name, row in SAMPLERS.items() if is_new(row)), "dpmpp_sde"])
def test_a_batch_of_frames_is_as_many_single_runs(host: Host, sampler: str) -> None:
    rendered(host, recipe({"prompt": A}, {"prompt": B}, sampler=sampler, scheduler="karras"), portable=True)


@pytest.mark.parametrize("scheduler", [name for name, row in SCHEDULERS.items() if is_new(row)])
def test_its_own_schedulers_can_be_named_in_a_recipe(host: Host, scheduler: str) -> None:
    rendered(host, recipe({"prompt": A}, {"prompt": B}, scheduler=scheduler), portable=True)
