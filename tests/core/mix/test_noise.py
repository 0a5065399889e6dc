"""Noise of a seed, of a mix, on a circle and of each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.errors import MixError
from remix.mix import StepNoise, noise_of_mixes, noise_of_seed, noise_on_circle, slerp

SHAPE = (4, 8, 8)
LARGE = (4, 64, 64)

seeds = st.integers(0, 2**64 - 1)
pairs = st.lists(seeds, min_size=2, max_size=2, unique_by=lambda seed: seed % 2**32)


@dataclass(frozen=True)
class Pairs:
    """What a schedule's mix looks like from here."""

    items: tuple[tuple[int, float], ...]


@given(seeds, st.sampled_from([(1,), (3,), (4, 8, 8), (16, 2, 4, 4)]))
def test_noise_of_a_seed_is_the_first_draw_of_its_cpu_generator(seed, shape):
    generator = torch.Generator("cpu")
    generator.manual_seed(seed)
    wanted = torch.randn((1, *shape), generator=generator)
    assert torch.equal(noise_of_seed(seed, shape), wanted)
    assert torch.equal(noise_of_mixes([[(seed, 1.0)]], shape), wanted)


def test_noise_of_seed_zero_has_these_numbers():
    found = noise_of_seed(0, LARGE).flatten()[:4]
    torch.testing.assert_close(found, torch.tensor([-1.1258398, -1.1523602, -0.2505786, -0.4338788]))


def test_drawing_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    noise_of_mixes([[(1, 0.5), (2, 0.5)]], SHAPE)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "mix",
    [[(5, 0.25), (6, 0.75)], ((6, 0.75), (5, 0.25)), {5: 0.25, 6: 0.75}, Pairs(((5, 0.25), (6, 0.75)))],
)
def test_two_seeds_are_slerped_whatever_form_the_mix_has(mix):
    wanted = slerp(noise_of_seed(5, SHAPE), noise_of_seed(6, SHAPE), 0.75)
    torch.testing.assert_close(noise_of_mixes([mix], SHAPE), wanted)


@pytest.mark.parametrize(
    ("mix", "same"),
    [
        ([(1, 0.5), (1, 0.5)], [(1, 1.0)]),
        ([(1, 0.5), (2, 0.5), (3, 0.0)], [(1, 0.5), (2, 0.5)]),
        ([(1, 0.25), (2, 0.5), (1, 0.25)], [(2, 0.5), (1, 0.5)]),
        ([(1, 0.5), (1 + 2**32, 0.25), (1 + 2**63, 0.25)], [(1, 1.0)]),
    ],
)
def test_seeds_of_equal_noise_add_up_and_unused_ones_do_not_count(mix, same):
    assert torch.equal(noise_of_mixes([mix], SHAPE), noise_of_mixes([same], SHAPE))


def test_more_seeds_are_summed_over_the_root_of_the_squares():
    weights = (0.5, 0.3, 0.2)
    found = noise_of_mixes([list(enumerate(weights))], SHAPE)
    total = sum(w * noise_of_seed(seed, SHAPE) for seed, w in enumerate(weights))
    torch.testing.assert_close(found, total / math.sqrt(sum(w * w for w in weights)))


@settings(deadline=None, max_examples=25)
@given(st.lists(seeds, min_size=1, max_size=5, unique=True), st.data())
def test_unit_variance_is_kept(chosen, data):
    parts = [data.draw(st.integers(1, 100)) for _ in chosen]
    mix = [(seed, part / sum(parts)) for seed, part in zip(chosen, parts, strict=True)]
    noise = noise_of_mixes([mix], LARGE)
    assert noise.std().item() == pytest.approx(1, abs=0.04)
    assert noise.mean().item() == pytest.approx(0, abs=0.04)


@settings(deadline=None)
@given(pairs, st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_a_frame_has_the_same_noise_in_any_batch_bit_for_bit(two, shares):
    mixes = [[(two[0], 1 - t), (two[1], t)] for t in shares]
    together = noise_of_mixes([[(1, 1.0)], *mixes, [(2, 0.2), (3, 0.2), (4, 0.6)]], SHAPE)[1:-1]
    apart = torch.cat([noise_of_mixes([mix], SHAPE) for mix in mixes])
    assert torch.equal(together, apart)


def test_each_seed_is_drawn_once(monkeypatch):
    drawn = []
    original = torch.Generator.manual_seed

    class Counted(torch.Generator):
        def manual_seed(self, seed):
            drawn.append(seed)
            return original(self, seed)

    monkeypatch.setattr(torch, "Generator", Counted)
    noise_of_mixes([[(1, 1 - k / 49), (2, k / 49)] for k in range(50)], SHAPE)
    assert sorted(drawn) == [1, 2]


def test_noise_goes_into_a_buffer():
    buffer = torch.full((5, *SHAPE), 9.0)
    found = noise_of_mixes([[(1, 1.0)], [(2, 1.0)]], SHAPE, out=buffer)
    assert torch.equal(buffer[:2], found)
    assert (buffer[2:] == 9).all()
    circle = noise_on_circle(1, 2, [0.0, 0.25], SHAPE, out=buffer)
    assert torch.equal(circle, found)


# --- the circle


@given(pairs, st.integers(-3, 3) | st.just(10**12))
def test_every_whole_turn_closes_bit_for_bit(two, turn):
    a, b = two
    found = noise_on_circle(a, b, [turn, turn + 0.25, turn + 0.5, turn + 0.75], SHAPE)
    ends = torch.cat([noise_of_seed(a, SHAPE), noise_of_seed(b, SHAPE)])
    assert torch.equal(found, torch.cat([ends, -ends]))


@settings(deadline=None, max_examples=25)
@given(pairs, st.floats(-2, 2))
def test_the_circle_is_cosine_and_sine_of_unit_variance(two, turn):
    found = noise_on_circle(*two, [turn], LARGE)
    a, b = (noise_of_seed(seed, LARGE) for seed in two)
    wanted = math.cos(2 * math.pi * turn) * a + math.sin(2 * math.pi * turn) * b
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert found.std().item() == pytest.approx(1, abs=0.04)


def test_even_turns_make_even_steps():
    found = noise_on_circle(1, 2, torch.arange(24) / 24, LARGE)
    steps = (found.roll(-1, 0) - found).flatten(1).norm(dim=1)
    assert (steps.max() / steps.min()).item() == pytest.approx(1, abs=0.02)


# --- the steps of a sampler


def test_step_noise_continues_the_generator_of_each_seed():
    noise = StepNoise([[(7, 1.0)], [(8, 1.0)]], SHAPE)
    generators = [torch.Generator().manual_seed(seed) for seed in (7, 8)]
    for _ in range(4):
        wanted = torch.cat([torch.randn((1, *SHAPE), generator=generator) for generator in generators])
        assert torch.equal(noise.next(), wanted)


def test_step_noise_of_a_mix_mixes_each_draw():
    noise, first, second = (StepNoise([mix], SHAPE) for mix in ([(1, 0.5), (2, 0.5)], [(1, 1.0)], [(2, 1.0)]))
    for _ in range(3):
        torch.testing.assert_close(noise.next(), slerp(first.next(), second.next(), 0.5))


def test_step_noise_begins_with_the_initial_noise():
    mixes = [[(1, 0.25), (2, 0.75)], [(3, 1.0)], [(1, 0.4), (2, 0.4), (3, 0.2)]]
    assert torch.equal(StepNoise(mixes, SHAPE).next(), noise_of_mixes(mixes, SHAPE))


def test_step_noise_of_a_frame_is_the_same_in_any_batch():
    mixes = [[(1, 0.25), (2, 0.75)], [(3, 1.0)], [(2, 0.4), (3, 0.6)]]
    together, apart = StepNoise(mixes, SHAPE), [StepNoise([mix], SHAPE) for mix in mixes]
    for _ in range(3):
        assert torch.equal(together.next(), torch.cat([one.next() for one in apart]))


# --- refusals


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: noise_of_seed(-1, SHAPE), "-1 is not a seed.*18446744073709551615"),
        (lambda: noise_of_seed(2**64, SHAPE), "is not a seed"),
        (lambda: noise_of_seed(1.5, SHAPE), "1.5 is not a seed"),
        (lambda: noise_of_seed(True, SHAPE), "True is not a seed"),
        (lambda: noise_of_seed(1, ()), "shape"),
        (lambda: noise_of_seed(1, 5), "shape: 5 is not a list of whole numbers"),
        (lambda: noise_of_seed(1, (4, 8.5)), r"shape: \(4, 8.5\) is not a list of whole numbers"),
        (lambda: noise_of_seed(1, "48"), "shape: '48' is not a list of whole numbers"),
        (lambda: noise_of_mixes(None, SHAPE), "mixes: None is no sequence"),
        (lambda: noise_of_mixes([[(1, 1.0)]], SHAPE, out=7), "out: 7 is not a tensor"),
        (lambda: noise_on_circle(1, 2, None, SHAPE), "turns: None is not made of numbers"),
        (lambda: noise_on_circle(1, 2, [0.0], SHAPE, out=torch.zeros(1, *SHAPE).int()), "out: torch.int32"),
        (lambda: noise_of_seed(1, (4, 0, 8)), "shape: 4x0x8"),
        (lambda: noise_of_mixes([], SHAPE), "none"),
        (lambda: noise_of_mixes([[(1, 1.0)], []], SHAPE), r"mixes\[1\]: it has no seed"),
        (lambda: noise_of_mixes([[(1, 1.0)], [("x", 1.0)]], SHAPE), r"mixes\[1\]: 'x' is not a seed"),
        (lambda: noise_of_mixes([5], SHAPE), r"mixes\[0\]: 5 is not a list"),
        (lambda: noise_of_mixes([[(1, "half")]], SHAPE), r"mixes\[0\].*is not a list of"),
        (lambda: noise_of_mixes([[(1, 0.5)]], SHAPE), "sum to 0.5"),
        (lambda: noise_of_mixes([[(1, 1.5), (2, -0.5)]], SHAPE), "-0.5"),
        (lambda: noise_of_mixes([[(1, 1.0)]], SHAPE, out=torch.zeros(1, 4)), "out: 1x4"),
        (lambda: noise_on_circle(1, 1, [0.0], SHAPE), "1 has the same noise"),
        (lambda: noise_on_circle(1, 1 + 2**32, [0.0], SHAPE), "4294967297 has the same noise"),
        (lambda: noise_on_circle(1, 2, [math.nan], SHAPE), "turns"),
        (lambda: noise_on_circle(1, 2, torch.zeros(2, 2), SHAPE), "turns"),
        (
            lambda: noise_on_circle(1, 2, [0.0, 0.5], SHAPE, out=torch.zeros(1, *SHAPE)),
            "out: 1x4x8x8.*2x4x8x8",
        ),
    ],
)
def test_what_is_no_seed_or_shape_is_refused(call, words):
    with pytest.raises(MixError, match=words):
        call()


def test_the_noise_of_steps_that_follow_each_other_is_drawn_anew():
    noise, expected = (StepNoise([[(7, 1.0)], [(7, 0.5), (8, 0.5)]], SHAPE) for _ in range(2))
    for level in (8.0, 4.0, 2.0):
        assert torch.equal(noise.between(level, level / 2), expected.next())


def test_a_step_that_goes_on_from_the_start_of_the_last_one_keeps_its_noise():
    """As on a Brownian path: W(4) - W(10) is what lies between 10 and 7, and between 7 and 4."""
    noise, draws = (StepNoise([[(seed, 1.0)] for seed in range(40)], SHAPE) for _ in range(2))
    half, whole = noise.between(10.0, 7.0), noise.between(10.0, 4.0)
    first, second = draws.next(), draws.next()
    assert torch.equal(half, first)
    torch.testing.assert_close(whole * 6**0.5, first * 3**0.5 + second * 3**0.5)
    assert float(whole.std()) == pytest.approx(1, abs=0.02)
    assert torch.equal(noise.between(4.0, 2.0), draws.next())


def test_a_step_that_is_taken_again_or_back_is_drawn_anew():
    noise, draws = (StepNoise([[(7, 1.0)]], SHAPE) for _ in range(2))
    for start, end in ((10.0, 7.0), (10.0, 7.0), (10.0, 8.0), (10.0, 12.0), (10.0, 10.0)):
        assert torch.equal(noise.between(start, end), draws.next())
