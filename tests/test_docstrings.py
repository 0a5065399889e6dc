"""Every example in a docstring of the toolkit gives the result that it shows."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"remix": "remix", "client": "remix.client"}
"""Folder -> the package that it holds."""

OPTIONAL = {"torch", "diffusers", "transformers", "safetensors"}


def modules() -> Iterator[str]:
    """The modules that have an example."""
    for folder, package in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT / folder).with_suffix("").parts
                yield ".".join([package, *(part for part in parts if part != "__init__")])


def test_there_are_examples_in_every_room_of_the_core() -> None:
    rooms = {name.split(".")[1] for name in modules() if name.count(".")}
    assert rooms >= {"catalog", "plan", "syntax", "mix", "motion", "job", "engine", "show", "hosts", "client"}


@pytest.mark.parametrize("name", list(modules()))
def test_the_examples_of_a_module_are_true(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        pytest.skip(f"{error.name} is not installed")
    tests = [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]
    assert tests, "its examples are where doctest does not look: write them into a docstring"
    results = [doctest.DocTestRunner(verbose=False).run(test) for test in tests]
    assert sum(result.failed for result in results) == 0
