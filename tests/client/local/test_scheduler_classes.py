"""The catalog's scheduler classes of diffusers: they exist, and take the arguments that it gives them."""

from __future__ import annotations

import diffusers
import pytest

from remix.catalog.samplers import SAMPLERS, Sampler, sampler_of

NEEDS = {"DPMSolverSDEScheduler": "torchsde", "LMSDiscreteScheduler": "scipy"}
"""Classes that diffusers has only with another package."""

NAMED = [row for row in SAMPLERS.values() if row.diffusers]


@pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")  # of diffusers, with numpy 2
@pytest.mark.parametrize("sampler", NAMED, ids=lambda row: row.name)
def test_a_class_of_diffusers_takes_the_arguments_of_its_row(sampler: Sampler) -> None:
    if sampler.diffusers in NEEDS:
        pytest.importorskip(NEEDS[sampler.diffusers])
    scheduler = getattr(diffusers, sampler.diffusers)(**sampler.arguments)
    assert {name: scheduler.config[name] for name in sampler.arguments} == dict(sampler.arguments)


@pytest.mark.parametrize("sampler", NAMED, ids=lambda row: row.name)
def test_a_class_without_arguments_names_the_sampler_that_it_is(sampler: Sampler) -> None:
    found = sampler_of(sampler.diffusers)
    assert found is not None
    assert SAMPLERS[found[0]].diffusers == sampler.diffusers
