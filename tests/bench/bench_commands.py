"""How long a user waits for the command line: each command in a fresh interpreter, compared with its limit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench.race import Race

TABLE = "Commands: share of their limit"


def started(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def show(race: Race, what: str, limit: str, seconds: float, beyond: str | None = None) -> None:
    """Puts a command into the tables; fails where it takes longer than its limit."""
    share = race.share_of(seconds, beyond)
    cpu, wall = (f"{max(part, 0):.0%}" for part in (share.cpu, share.wall))  # below 0 is noise
    race.show(TABLE, what, limit=limit, CPU=cpu, wall=wall)
    race.show("Summary", what, baseline=f"a limit of {limit}", ours=f"{wall} of it")
    assert share.cpu < 1
    assert share.wall < 1


def test_import(race: Race) -> None:
    race.run(lambda _: started("-c", "import remix"), {"bare": lambda _: started("-c", "pass")}, range(15))
    show(race, "`import remix`, beyond a bare interpreter", "50 ms", 0.05, beyond="bare")


def test_help(race: Race) -> None:
    race.run(lambda _: started("-m", "remix.client", "--help"), {}, range(15))
    show(race, "`remix --help`", "300 ms", 0.3)


def test_demo(race: Race, tmp_path: Path) -> None:
    race.run(lambda k: started("-m", "remix.client", "demo", "-q", "-o", str(tmp_path / str(k))), {}, range(3))
    show(race, "`remix demo`, 60 frames and the film", "40 s", 40.0)
