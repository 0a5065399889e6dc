"""Mixing compared with the bare matrix product of the same sizes, which is its limit, and with other packs' formulas.

240 frames between two ends. `fresh` allocates its result, `buffer` writes into one that is there (`out=`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from remix.mix import mix
from tests.bench.mixing_errors import straight_per_pixel, unguarded_slerp
from tests.bench.race import Race, best

SHAPES = {
    "SD1.5 latent 4x64x64": (4, 64, 64),
    "Flux latent 16x128x128": (16, 128, 128),
    "SD1.5 tokens 77x768": (77, 768),
    "SDXL tokens 77x2048": (77, 2048),
}
FRAMES = 240
ROUNDS = 9
NEARLY_PARALLEL = 0.9995
"""The cosine from which the peers mix straight."""
MOST, MOST_OF_CALL = 1.2, 1e-3
"""Times the bare product, at most, and the seconds that a call may cost on top: checks, lengths, angles, factors."""
SMALL = 64
LIMIT_TABLE = "Mixing: times as fast as one bare matrix product"
CALL_TABLE = "Mixing: overhead of a call for 240 frames"
FRESH_TABLE = "Mixing by slerp: times as fast as ..."
BUFFER_TABLE = "Mixing by slerp into a buffer, as the engine does it: times as fast as ..."

TRAVEL = torch.linspace(0, 1, FRAMES, dtype=torch.float64)
WEIGHTS = torch.stack([1 - TRAVEL, TRAVEL], dim=1)


def ends_of(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))


def one_by_one(slerp: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[[Tensor], Tensor]:
    """A walk that makes each frame by itself and joins them at the end, as packs do."""
    return lambda ends: torch.cat([slerp(ends[:1], ends[1:], t) for t in TRAVEL.tolist()])


def in_numpy(a: Tensor, b: Tensor, t: float) -> Tensor:
    start, end = a.numpy(), b.numpy()
    cosine = np.sum(start * end / (np.linalg.norm(start) * np.linalg.norm(end)))
    if np.abs(cosine) > NEARLY_PARALLEL:
        return torch.from_numpy((1 - t) * start + t * end)
    angle = np.arccos(cosine)
    mixed = np.sin((1 - t) * angle) / np.sin(angle) * start + np.sin(t * angle) / np.sin(angle) * end
    return torch.from_numpy(mixed.astype(np.float32))


def per_column(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The length of each column of a latent by itself, and one question to all of them: are they parallel."""
    units = [end / torch.linalg.vector_norm(end, dim=2, keepdim=True) for end in (a, b)]
    cosine = (units[0] * units[1]).sum(dim=2, keepdim=True)
    if cosine.mean() > NEARLY_PARALLEL:
        return a * (1 - t) + b * t
    angle = cosine.acos()
    return ((1 - t) * angle).sin() / angle.sin() * a + (t * angle).sin() / angle.sin() * b


def flat(a: Tensor, b: Tensor, t: float) -> Tensor:
    return unguarded_slerp(a.flatten(1), b.flatten(1), t, 1).reshape(a.shape)


def flat_guarded(a: Tensor, b: Tensor, t: float) -> Tensor:
    cosine = torch.dot(a.flatten() / torch.linalg.vector_norm(a), b.flatten() / torch.linalg.vector_norm(b))
    if cosine.abs() > NEARLY_PARALLEL:
        return (1 - t) * a + t * b
    angle = cosine.acos()
    return ((1 - t) * angle).sin() / angle.sin() * a + (t * angle).sin() / angle.sin() * b


def broadcast(ends: Tensor) -> Tensor:
    """All frames at once, with three temporaries of their size."""
    t = TRAVEL.float().view(-1, *[1] * (ends.ndim - 1))
    units = [end / torch.linalg.vector_norm(end) for end in ends]
    angle = (units[0] * units[1]).sum().acos()
    return ((1 - t) * angle).sin() / angle.sin() * ends[0] + (t * angle).sin() / angle.sin() * ends[1]


PEERS = {
    "numpy, a frame at a time (stable-diffusion-videos)": one_by_one(in_numpy),
    "straight per pixel, a frame at a time (ComfyUI LatentInterpolate)": one_by_one(straight_per_pixel),
    "each column, a frame at a time (A1111)": one_by_one(per_column),
    "the whole sample, a frame at a time (ComfyUI_Noise)": one_by_one(flat),
    "the whole sample, guarded, a frame at a time (AnimateDiff-Evolved)": one_by_one(flat_guarded),
    "all frames by broadcasting": broadcast,
}
LATENTS_ONLY = ("ComfyUI LatentInterpolate", "A1111")


@pytest.mark.parametrize("target", ["fresh", "buffer"])
@pytest.mark.parametrize("how", ["lerp", "slerp", "noise"])
@pytest.mark.parametrize("name", SHAPES)
def test_the_matrix_product(name: str, how: str, target: str, race: Race) -> None:
    """What a call costs by itself is measured separately, on ends of 64 numbers, with nothing of it in the cache."""
    ends, factors = ends_of(SHAPES[name]), WEIGHTS.float()
    rows, out = ends.reshape(2, -1), None
    bare: Callable[[int], Tensor] = lambda _: torch.mm(factors, rows)  # noqa: E731
    fill: Callable[[int], Tensor] = lambda _: torch.full((FRAMES, *SHAPES[name]), 0.5)  # noqa: E731
    if target == "buffer":
        out = torch.zeros(FRAMES, *SHAPES[name])
        bare = lambda _: torch.mm(factors, rows, out=out.view(FRAMES, -1))  # noqa: E731
        fill = lambda _: out.fill_(0.5)  # noqa: E731
    small, small_out = ends_of((SMALL,)), torch.zeros(FRAMES, SMALL)
    call: Callable[[int], Tensor] = lambda _: mix(small, WEIGHTS, how=how, out=small_out)  # noqa: E731
    peers = {"bare": bare, "call": call, "fill": fill}
    found = race.run(lambda _: mix(ends, WEIGHTS, how=how, out=out), peers, range(ROUNDS))
    least = best(race.theirs["bare"]).cpu
    race.show(LIMIT_TABLE, f"{how}, {target}", **{name: f"{found['bare'].cpu:.2f}"})
    race.show(LIMIT_TABLE, f"constant fill, {target}", **{name: f"{race.faster_than('bare', 'fill').cpu:.2f}"})
    race.show(CALL_TABLE, how, per_call=f"{best(race.theirs['call']).cpu * 1e3:.2f} ms")
    assert best(race.ours).cpu <= MOST * least + MOST_OF_CALL


@pytest.mark.parametrize("name", SHAPES)
def test_the_formulas_of_others(name: str, race: Race) -> None:
    latent = len(SHAPES[name]) == 3
    peers = {peer: walk for peer, walk in PEERS.items() if latent or not any(pack in peer for pack in LATENTS_ONLY)}
    ends, out = ends_of(SHAPES[name]), torch.zeros(FRAMES, *SHAPES[name])
    bound: dict[str, Callable[[int], Tensor]] = {peer: partial(on, walk, ends) for peer, walk in peers.items()}
    bound["buffer"] = lambda _: mix(ends, WEIGHTS, how="slerp", out=out)
    race.run(lambda _: mix(ends, WEIGHTS, how="slerp"), bound, range(ROUNDS))
    for table, ours in ((FRESH_TABLE, None), (BUFFER_TABLE, "buffer")):
        found = {peer: race.faster_than(peer, ours).cpu for peer in peers}
        for peer, ratio in found.items():
            race.show(table, peer, **{name: f"{ratio:.1f}"})
        assert min(found.values()) > 1
    least, most = min(found.values()), max(found.values())
    what = f"Mixing {FRAMES} frames by slerp: {name}"
    race.show("Summary", what, baseline="the formulas of other packs", ours=f"{least:.1f} to {most:.0f} times as fast")


def on(walk: Callable[[Tensor], Tensor], ends: Tensor, _: int) -> Tensor:
    return walk(ends)
