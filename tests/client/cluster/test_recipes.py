"""The recipes for rented machines and Kubernetes are valid YAML, and run commands that exist."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from remix.client import cli

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra local")

FOLDER = Path(__file__).parents[3] / "examples" / "cluster"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def test_the_skypilot_recipe() -> None:
    [task] = documents("skypilot.yaml")
    assert task["num_nodes"] > 1
    assert {"name", "resources", "setup", "run", "secrets"} <= task.keys()
    assert task["secrets"] == {"RAY_AUTH_TOKEN": None}  # has to be given
    assert "ports" not in task["resources"]


def test_the_kuberay_recipe() -> None:
    cluster, policy = documents("kuberay.yaml")
    assert (cluster["apiVersion"], cluster["kind"], policy["kind"]) == ("ray.io/v1", "RayCluster", "NetworkPolicy")
    assert cluster["spec"]["authOptions"] == {"mode": "token"}
    [group] = cluster["spec"]["workerGroupSpecs"]
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for part in (cluster["spec"]["headGroupSpec"], group):
        [container] = part["template"]["spec"]["containers"]
        assert {"name", "image", "resources"} <= container.keys()


@pytest.mark.parametrize("name", ["skypilot.yaml", "kuberay.yaml"])
def test_the_command_of_a_recipe_has_these_options(name: str) -> None:
    [line] = [
        line.lstrip("# ")
        for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()
        if line.lstrip("# ").startswith("remix render")
    ]
    command = cli.remix.get_command(click.Context(cli.remix), "render")
    assert command is not None
    context = command.make_context("render", shlex.split(line)[2:], resilient_parsing=False)
    assert context.params["cluster"] == "auto"
