"""In a real A1111: the catalog names its samplers and schedulers, and noise at the steps is each frame's own."""

from __future__ import annotations

import pytest

from remix.catalog.rows import A1111
from remix.catalog.samplers import SAMPLERS
from remix.catalog.schedulers import SCHEDULERS
from tests.real.a1111.films import A, B, recipe, rendered
from tests.real.a1111.host import Host
from tests.real.labels import listed

HERE = [row for row in SAMPLERS.values() if A1111 in row.hosts]


def test_the_catalog_has_what_the_host_lists(host: Host) -> None:
    assert listed(host, "samplers") == {row.label for row in HERE}
    assert listed(host, "schedulers") == {row.label for row in SCHEDULERS.values() if A1111 in row.hosts}


@pytest.mark.parametrize("sampler", [row.name for row in HERE if row.stochastic])
def test_a_batch_of_frames_is_as_many_single_runs(host: Host, sampler: str) -> None:
    rendered(host, recipe({"prompt": A}, {"prompt": B}, sampler=sampler, scheduler="karras"), portable=True)


@pytest.mark.parametrize("sampler", [row.name for row in HERE if not row.stochastic])
def test_samplers_without_noise_sample_batches_too(host: Host, sampler: str) -> None:
    row = SAMPLERS[sampler]
    scheduler = row.automatic if row.own_schedule and not row.rendered_as else "karras"
    rendered(host, recipe({"prompt": A}, {"prompt": B}, sampler=sampler, scheduler=scheduler), portable=True)
