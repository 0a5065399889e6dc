"""A1111's labels of samplers and schedules, both ways."""

from __future__ import annotations

import pytest

from remix.catalog.samplers import SAMPLERS, Sampler
from remix.catalog.schedulers import SCHEDULERS
from remix.errors import Unsupported
from remix.hosts.a1111.labels import a1111_labels, names_of_labels


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("euler", "normal"), ("Euler", "Uniform")),
        (("euler_ancestral", "karras"), ("Euler a", "Karras")),
        (("dpmpp_2m", "normal"), ("DPM++ 2M", "Uniform")),  # Automatic would be Karras
        (("dpmpp_2m_sde", "sgm_uniform"), ("DPM++ 2M SDE", "SGM Uniform")),
        (("uni_pc", "normal"), ("UniPC", "Automatic")),
        (("euler", "ddim_uniform"), ("Euler", "DDIM")),
    ],
)
def test_a_recipes_names_have_these_labels(names: tuple[str, str], labels: tuple[str, str]) -> None:
    assert a1111_labels(*names) == labels
    assert names_of_labels(*labels) == names


LABELED = [row for row in SAMPLERS.values() if row.label]
SCHEDULES = [row.name for row in SCHEDULERS.values() if row.label]


@pytest.mark.parametrize("scheduler", SCHEDULES)
def test_ddim_is_told_as_the_eulers_method_that_it_is(scheduler: str) -> None:
    assert a1111_labels("ddim", scheduler) == a1111_labels("euler", scheduler)


@pytest.mark.parametrize("sampler", [row for row in LABELED if not row.rendered_as], ids=lambda row: row.name)
@pytest.mark.parametrize("scheduler", SCHEDULES)
def test_what_has_labels_is_found_again_by_them(sampler: Sampler, scheduler: str) -> None:
    if not sampler.own_schedule or sampler.automatic == scheduler:
        assert names_of_labels(*a1111_labels(sampler.name, scheduler)) == (sampler.name, scheduler)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("DPM++ 2M", "Automatic"), ("dpmpp_2m", "karras")),
        (("DPM++ 2M SDE", None), ("dpmpp_2m_sde", "exponential")),
        (("euler  A", "automatic"), ("euler_ancestral", "normal")),
        (("Euler", "Normal"), ("euler", "normal")),
        (("DDIM", "Karras"), ("ddim", "ddim_uniform")),  # A1111 does not read it there
        (("euler_ancestral", "sgm_uniform"), ("euler_ancestral", "sgm_uniform")),
    ],
)
def test_labels_as_users_have_them_are_understood(labels: tuple[str, str | None], names: tuple[str, str]) -> None:
    assert names_of_labels(*labels) == names


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("res_multistep", "normal"), "sampler: A1111 does not have 'res_multistep'; use \"dpmpp_2m\""),
        (("euler", "linear_quadratic"), "scheduler: A1111 does not have 'linear_quadratic'; use \"simple\""),
        (("uni_pc", "karras"), "scheduler: A1111's UniPC ignores 'karras'"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(names: tuple[str, str], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        a1111_labels(*names)


@pytest.mark.parametrize("labels", [("Euler b", "Karras"), ("Euler", "Fast")])
def test_labels_without_a_name_in_a_recipe_are_refused(labels: tuple[str, str]) -> None:
    with pytest.raises(Unsupported, match="has no name in a recipe"):
        names_of_labels(*labels)
