"""Expressions: 100,000 frames of a ten-term expression compared with the same formula written by hand in numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from remix.plan.expression import parse
from tests.bench.race import Race

FRAMES = 100_000
LIMIT_SECONDS = 0.05
PARSE_LIMIT_SECONDS = 0.02
ROUNDS = 5
TABLE = "Expressions of ten terms, 100,000 frames"

TEN_TERMS = {
    "as users write": (
        "1.2 + 0.3*sin(t/8) + 0.2*cos(2*pi*t/120) - t/max_f + abs(sin(t/7)) + where(t % 20 < 10, 1, 0.5) "
        "+ sqrt(t) + min(t, 50)*0.01 + exp(-t/100) + log(t + 1)"
    ),
    "ten sines": " + ".join(f"0.{k}*sin(2*pi*t/{10 * k})" for k in range(1, 11)),
    "a polynomial": " + ".join(f"{k}*(t/max_f)**{k}" for k in range(10)),
    "ten conditions": " + ".join(f"where(t % {k} < {k}/2, 1, 0.5)" for k in range(2, 12)),
}


def as_users_write(t: np.ndarray) -> np.ndarray:
    waves = 1.2 + 0.3 * np.sin(t / 8) + 0.2 * np.cos(2 * np.pi * t / 120) - t / FRAMES + np.abs(np.sin(t / 7))
    steps = np.where(t % 20 < 10, 1, 0.5)
    return waves + steps + np.sqrt(t) + np.minimum(t, 50) * 0.01 + np.exp(-t / 100) + np.log(t + 1)


def ten_sines(t: np.ndarray) -> np.ndarray:
    return sum((float(f"0.{k}") * np.sin(2 * np.pi * t / (10 * k)) for k in range(1, 11)), np.zeros_like(t))


def polynomial(t: np.ndarray) -> np.ndarray:
    return sum((k * (t / FRAMES) ** k for k in range(10)), np.zeros_like(t))


def ten_conditions(t: np.ndarray) -> np.ndarray:
    return sum((np.where(t % k < k / 2, 1, 0.5) for k in range(2, 12)), np.zeros_like(t))


BY_HAND: dict[str, Callable[[np.ndarray], np.ndarray]] = dict(
    zip(TEN_TERMS, (as_users_write, ten_sines, polynomial, ten_conditions), strict=True)
)


@pytest.mark.parametrize("name", TEN_TERMS)
def test_ten_terms(name: str, race: Race) -> None:
    expression, frames = parse(TEN_TERMS[name]), np.arange(FRAMES, dtype=float)
    found = expression.over(range(FRAMES), max_f=FRAMES)
    assert np.allclose(np.asarray(found, dtype=float), BY_HAND[name](frames), rtol=1e-9)
    peers = {"numpy": lambda _: BY_HAND[name](frames)}
    ratio = race.run(lambda _: expression.over(range(FRAMES), max_f=FRAMES), peers, range(ROUNDS))["numpy"]
    share = race.share_of(LIMIT_SECONDS)
    race.show(
        TABLE, name, **{"numpy by hand": f"{ratio.cpu:.2f} times as fast", "limit of 50 ms": f"{share.cpu:.0%} used"}
    )
    if name == "as users write":
        race.show(
            "Summary", "100,000 frames of an expression", baseline="a limit of 50 ms", ours=f"{share.cpu:.0%} of it"
        )
    assert share.cpu < 1


def test_parsing_the_longest(race: Race) -> None:
    text = ("sin(t/8)+" * 111)[:-1]
    race.run(lambda _: parse(text), {}, range(ROUNDS))
    assert race.share_of(PARSE_LIMIT_SECONDS).cpu < 1
