"""What the formulas of known packs get wrong, compared with ours. Run: python -m tests.bench errors

Each row measures one error of a formula as its pack is known to compute it, written down here from
its description, and the error of this package for the same question. 0 stands for below 1e-6.
docs/mixing.md holds the printed table, and tests/core/mix/test_peers.py holds both to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from remix.mix import Conditioning, lerp, mix, mix_conditioning, noise_of_mixes, noise_of_seed, slerp

FRAMES = 16
TRAVEL = torch.linspace(0, 1, FRAMES, dtype=torch.float64)
TABLE = torch.stack([1 - TRAVEL, TRAVEL], dim=1)
LATENT = (4, 64, 64)
NOISE_A, NOISE_B = noise_of_seed(1, LATENT), noise_of_seed(2, LATENT)


def error(result: Tensor, wanted: Tensor) -> float:
    """The largest difference, NaN if there is one in the result."""
    return float((result.double() - wanted.double()).abs().max())


def root_mean_square(result: Tensor, wanted: Tensor) -> float:
    return float((result - wanted).double().pow(2).mean().sqrt())


def from_unit_deviation(noise: Tensor) -> float:
    return abs(1 - float(noise.double().std()))


def our_travel() -> Tensor:
    """The weights of the second prompt that `mix_conditioning` reaches, read off a one-hot pair."""
    ends = [Conditioning(torch.tensor([[[1.0 - b, b]]]), torch.tensor([[b]])) for b in (0.0, 1.0)]
    mixed = mix_conditioning(ends, TABLE)
    assert mixed.pooled is not None
    return torch.stack([mixed.tokens[:, 0, 1], mixed.pooled[:, 0]])


def compounding_travel() -> Tensor:
    """Each frame starts from the frame before it, already mixed, so that the weights compound."""
    weight, weights = torch.tensor(0.0, dtype=torch.float64), []
    for share in TRAVEL:
        weight = weight + share * (1 - weight)
        weights.append(weight)
    return torch.stack(weights)


def attention(tokens: Tensor) -> Tensor:
    """What plain cross-attention of fixed queries reads from `tokens`, which serve as keys and values."""
    queries = noise_of_seed(5, (8, tokens.shape[2]))
    logits = queries @ tokens.mT / math.sqrt(tokens.shape[2])
    return logits.softmax(dim=-1) @ tokens


def prompts_of_unlike_length() -> tuple[Tensor, Tensor]:
    return noise_of_seed(3, (77, 64)), noise_of_seed(4, (154, 64))


def first_end_by_zeros() -> float:
    short, _ = prompts_of_unlike_length()
    return error(attention(torch.cat([short, torch.zeros_like(short)], dim=1)), attention(short))


def first_end_by_cutting() -> float:
    short, long = prompts_of_unlike_length()
    return error(attention(long[:, : short.shape[1]]), attention(long))


def our_ends() -> float:
    ends = prompts_of_unlike_length()
    mixed = mix_conditioning([Conditioning(end) for end in ends], [[1, 0], [0, 1]], family="sd1")
    return max(error(attention(mixed.tokens[i : i + 1]), attention(end)) for i, end in enumerate(ends))


def straight_per_pixel(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Directions of single pixels mixed straight, lengths apart; the lengths lose their channel axis.

    Without that axis a batch meets the channels: another size is an error, the same size is silent.
    """
    length_a, length_b = (torch.linalg.vector_norm(end, dim=1) for end in (a, b))
    direction = (1 - t) * (a / length_a) + t * (b / length_b)
    return direction / torch.linalg.vector_norm(direction, dim=1) * ((1 - t) * length_a + t * length_b)


def batch_of_four() -> tuple[Tensor, Tensor]:
    return noise_of_seed(6, (4, *LATENT))[0], noise_of_seed(7, (4, *LATENT))[0]


def batch_of_three() -> float:
    a, b = (end[:3] for end in batch_of_four())
    try:
        return error(straight_per_pixel(a, b, 0.0), a)
    except RuntimeError:
        return math.inf


def unguarded_slerp(a: Tensor, b: Tensor, t: float, axis: int | tuple[int, ...]) -> Tensor:
    """The formula of slerp over `axis`, without a thought for vectors that have no angle."""
    unit_a = a / torch.linalg.vector_norm(a, dim=axis, keepdim=True)
    unit_b = b / torch.linalg.vector_norm(b, dim=axis, keepdim=True)
    angle = (unit_a * unit_b).sum(dim=axis, keepdim=True).clamp(-1, 1).acos()
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


def turned_round(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The straight branch for nearly equal ends, with the two weights exchanged."""
    return a * t + b * (1 - t)


def row_of_zeros() -> tuple[Tensor, Tensor]:
    a, b = noise_of_seed(8, (77, 64)), noise_of_seed(9, (77, 64))
    a[:, -1] = 0
    return a, b


# A flat latent: the length of its unit vector is 1 without rounding, and the angle exactly 0.
EQUAL = torch.ones(1, *LATENT)
# Within the cosine of 0.9995 at which the peers change to a straight line.
NEARLY_EQUAL = (NOISE_A, slerp(NOISE_A, NOISE_B, 0.018))
FOUR = [(seed, 0.25) for seed in (1, 2, 3, 4)]


@dataclass(frozen=True)
class Case:
    """One question, who answers it wrongly, and the two errors."""

    question: str
    peer: str
    theirs: Callable[[], float]
    ours: Callable[[], float]


CASES = (
    Case(
        "prompt travel over 16 frames: largest error of the weights",
        "AnimateDiff-Evolved: weights compound",
        lambda: error(compounding_travel(), TRAVEL),
        lambda: error(our_travel()[0], TRAVEL),
    ),
    Case(
        "the same for pooled",
        "AnimateDiff-Evolved: jumps at frame 1",
        lambda: error((TRAVEL > 0).double(), TRAVEL),
        lambda: error(our_travel()[1], TRAVEL),
    ),
    Case(
        "the same for pooled",
        "FizzNodes: always that of the next keyframe",
        lambda: error(torch.ones_like(TRAVEL), TRAVEL),
        lambda: error(our_travel()[1], TRAVEL),
    ),
    Case(
        "77 rows travel to 154: change of attention at the ends",
        "FizzNodes: short side padded with zeros",
        first_end_by_zeros,
        our_ends,
    ),
    Case(
        "the same",
        "ComfyUI ConditioningAverage: long side cut",
        first_end_by_cutting,
        our_ends,
    ),
    Case(
        "two noises half-way: standard deviation, off from 1",
        "plain lerp",
        lambda: from_unit_deviation(lerp(NOISE_A, NOISE_B, 0.5)),
        lambda: from_unit_deviation(noise_of_mixes([[(1, 0.5), (2, 0.5)]], LATENT)),
    ),
    Case(
        "the same",
        "ComfyUI LatentInterpolate: straight, per pixel",
        lambda: from_unit_deviation(straight_per_pixel(NOISE_A, NOISE_B, 0.5)),
        lambda: from_unit_deviation(slerp(NOISE_A, NOISE_B, 0.5)),
    ),
    Case(
        "four noises, a quarter each: standard deviation, off from 1",
        "weighted sum",
        lambda: from_unit_deviation(mix([noise_of_seed(s, LATENT) for s, _ in FOUR], [[0.25] * 4])),
        lambda: from_unit_deviation(noise_of_mixes([FOUR], LATENT)),
    ),
    Case(
        "two noises half-way: off from slerp over the whole sample (RMS)",
        "A1111: slerp of each column",
        lambda: root_mean_square(
            unguarded_slerp(NOISE_A, NOISE_B, 0.5, 2), unguarded_slerp(NOISE_A, NOISE_B, 0.5, (1, 2, 3))
        ),
        lambda: root_mean_square(slerp(NOISE_A, NOISE_B, 0.5), unguarded_slerp(NOISE_A, NOISE_B, 0.5, (1, 2, 3))),
    ),
    Case(
        "4 latents of 4 channels at t = 0: off from the first",
        "ComfyUI LatentInterpolate: batch read as channels",
        lambda: error(straight_per_pixel(*batch_of_four(), 0.0), batch_of_four()[0]),
        lambda: error(slerp(*batch_of_four(), 0.0), batch_of_four()[0]),
    ),
    Case(
        "3 latents of 4 channels at t = 0",
        "ComfyUI LatentInterpolate: the same",
        batch_of_three,
        lambda: error(slerp(*(end[:3] for end in batch_of_four()), 0.0), batch_of_four()[0][:3]),
    ),
    Case(
        "slerp of equal ends",
        "ComfyUI_Noise: divides by sin 0",
        lambda: error(unguarded_slerp(EQUAL, EQUAL, 0.5, (1, 2, 3)), EQUAL),
        lambda: error(slerp(EQUAL, EQUAL, 0.5), EQUAL),
    ),
    Case(
        "slerp of nearly equal ends at t = 0: off from the first",
        "A1111: straight branch reversed",
        lambda: error(turned_round(*NEARLY_EQUAL, 0.0), NEARLY_EQUAL[0]),
        lambda: error(slerp(*NEARLY_EQUAL, 0.0), NEARLY_EQUAL[0]),
    ),
    Case(
        "slerp of tokens with a row of zeros at t = 0: off from the first",
        "Kahsolt's prompt travel: slerp of each row",
        lambda: error(unguarded_slerp(*row_of_zeros(), 0.0, 2), row_of_zeros()[0]),
        lambda: error(slerp(*row_of_zeros(), 0.0), row_of_zeros()[0]),
    ),
)


def shown(value: float) -> str:
    """An error as the table shows it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "raises"
    return "0" if value < 1e-6 else f"{value:.3g}"


def table() -> str:
    """All cases as a Markdown table."""
    lines = ["| Question | Peer | Its error | Ours |", "|---|---|---|---|"]
    lines += [f"| {case.question} | {case.peer} | {shown(case.theirs())} | {shown(case.ours())} |" for case in CASES]
    return "\n".join(lines)
