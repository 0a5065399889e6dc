"""How long an experiment of the lab takes, compared with its limit: each in a fresh interpreter, with one thread."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from remix.client.lab import experiments
from tests.bench.race import Race

TABLE = "The lab"
LIMIT = 60.0


@pytest.mark.parametrize("name", experiments())
def test_experiment(race: Race, name: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "remix.client", "explain", name, "-o", str(tmp_path / "page.html"), "--overwrite"]
    race.run(lambda _: subprocess.run(words, check=True, stdout=subprocess.DEVNULL), {}, range(1))
    share = race.share_of(LIMIT)
    race.show(TABLE, f"`remix explain {name}`", CPU=f"{share.cpu * LIMIT:.1f} s")
    assert share.cpu < 1
