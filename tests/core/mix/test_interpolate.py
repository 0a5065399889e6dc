"""lerp, slerp and mix: tables of equalities, then properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from remix.errors import MixError
from remix.mix import lerp, mix, slerp
from tests.core.mix.memory import Peak

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
TOLERANCE = {torch.float16: 2e-3, torch.bfloat16: 2e-2, torch.float32: 2e-5, torch.float64: 1e-12}
SHAPES = ((6,), (3, 5), (4, 8, 8), (2, 3, 4, 4))
HOWS = ("lerp", "slerp", "noise")

shapes = st.sampled_from(SHAPES)
dtypes = st.sampled_from(DTYPES)
seeds = st.integers(0, 2**32)
shares = st.floats(0, 1)
# Every order of magnitude that the narrow formats hold, where squares overflow or vanish.
scales = st.sampled_from((1e-30, 1e-7, 1.0, 3e4, 1e30))


def bits(x: Tensor) -> bytes:
    return x.contiguous().view(torch.uint8).numpy().tobytes()


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def shoemake(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The textbook formula for two single samples, in float64."""
    a, b = a.double(), b.double()
    angle = torch.arccos(torch.dot(a.flatten(), b.flatten()) / (a.norm() * b.norm()))
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def simplex(seed: int, frames: int, sources: int) -> Tensor:
    """Random weights, some of them 0, each row with a sum of 1."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(frames, sources, generator=generator, dtype=torch.float64)
    keep = torch.rand(frames, sources, generator=generator) < 0.6
    keep[torch.arange(frames), torch.randint(sources, (frames,), generator=generator)] = True
    weights = (weights + 1e-3) * keep
    return weights / weights.sum(dim=1, keepdim=True)


# --- tables of equalities


@pytest.mark.parametrize(
    ("function", "a", "b", "t", "result"),
    [
        (lerp, [0.0, 4.0], [1.0, 0.0], 0.25, [0.25, 3.0]),
        (lerp, [0.0, 4.0], [1.0, 0.0], 1.5, [1.5, -2.0]),
        (lerp, [3e38, 1.0], [-3e38, 1.0], 0.5, [0.0, 1.0]),
        (slerp, [1.0, 0.0], [0.0, 1.0], 0.5, [math.sqrt(0.5), math.sqrt(0.5)]),
        (slerp, [1.0, 0.0], [0.0, 1.0], 1 / 3, [math.sqrt(3) / 2, 0.5]),
        (slerp, [2.0, 0.0], [0.0, 1.0], 0.5, [math.sqrt(2), math.sqrt(0.5)]),
        (slerp, [0.0, 0.0], [0.0, 2.0], 0.5, [0.0, 1.0]),
        (slerp, [0.0, 0.0], [0.0, 0.0], 0.5, [0.0, 0.0]),
        (slerp, [3.0, 0.0], [1.0, 0.0], 0.5, [2.0, 0.0]),
        (slerp, [1.0, 0.0], [-1.0, 0.0], 0.5, [0.0, 1.0]),
        (slerp, [-1.0, 0.0], [1.0, 0.0], 0.5, [0.0, 1.0]),
        (slerp, [1.0, 0.0], [-3.0, 0.0], 0.5, [0.0, 2.0]),
        (slerp, [0.0, 0.0, 2.0], [0.0, 0.0, -2.0], 0.5, [2.0, 0.0, 0.0]),
        (slerp, [5.0], [-3.0], 0.5, [1.0]),
        (slerp, [3e38, 0.0], [0.0, 3e38], 0.5, [3e38 * math.sqrt(0.5)] * 2),
        (slerp, [1e-40, 0.0], [0.0, 1e-40], 0.5, [1e-40 * math.sqrt(0.5)] * 2),
    ],
)
def test_two_vectors_have_this_point_between_them(function, a, b, t, result):
    found = function(torch.tensor([a]), torch.tensor([b]), t)
    torch.testing.assert_close(found, torch.tensor([result]), rtol=1e-4, atol=1e-6 * max(map(abs, result)))


@pytest.mark.parametrize(
    ("how", "weights", "result"),
    [
        ("lerp", [0.5, 0.25, 0.25], [0.5, 0.5]),
        ("slerp", [0.5, 0.5, 0.0], [math.sqrt(0.5), math.sqrt(2)]),
        ("slerp", [0.5, 0.0, 0.5], [0.5, 0.0]),
        ("slerp", [0.5, 0.25, 0.25], [math.sqrt(0.5)] * 2),
        ("noise", [0.5, 0.25, 0.25], [0.5 / math.sqrt(0.375)] * 2),
        ("noise", [0.5, 0.5, 0.0], [math.sqrt(0.5), math.sqrt(2)]),
        ("noise", [0.0, 1.0, 0.0], [0.0, 2.0]),
    ],
)
def test_three_sources_mix_by_name(how, weights, result):
    sources = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    torch.testing.assert_close(mix(sources, [weights], how=how), torch.tensor([result]))


def test_a_batch_of_one_meets_any_batch():
    a, b = normal(1, 1, 4, 8, 8), normal(2, 1, 4, 8, 8)
    t = torch.linspace(0, 1, 5)
    for function in (lerp, slerp):
        walk = function(a, b, t)
        assert walk.shape == (5, 4, 8, 8)
        for k in range(5):
            torch.testing.assert_close(walk[k : k + 1], function(a, b, float(t[k])))


def test_zero_samples_give_zero_samples():
    nothing = torch.zeros(0, 4, 8, 8)
    assert lerp(nothing, nothing, 0.5).shape == slerp(nothing, nothing, 0.5).shape == nothing.shape
    assert mix(torch.zeros(2, 0, 3), [[0.5, 0.5]]).shape == (1, 0, 3)
    assert mix(torch.zeros(2, 3), torch.zeros(0, 2)).shape == (0, 3)


@pytest.mark.parametrize("batched", [True, False])
def test_sources_may_be_a_sequence(batched):
    sources = normal(1, 3, 4, 5)
    weights = simplex(1, 6, 3)
    parts = list(sources.split(1)) if batched else list(sources)
    assert torch.equal(mix(parts, weights), mix(sources, weights))


# --- ends and special directions


@given(seeds, shapes, dtypes, scales, st.sampled_from([lerp, slerp]))
def test_ends_are_hit_bit_for_bit(seed, shape, dtype, scale, function):
    a, b = normal(seed, 2, *shape, dtype=dtype) * scale, normal(seed + 1, 2, *shape, dtype=dtype)
    a.view(-1)[0] = -0.0
    assert bits(function(a, b, 0.0)) == bits(a)
    assert bits(function(a, b, 1.0)) == bits(b)
    assert bits(function(a, b, torch.tensor([0, 1]))) == bits(torch.stack([a[0], b[1]]))


@given(seeds, shapes, dtypes, shares, st.sampled_from([lerp, slerp]))
def test_equal_ends_stay_where_they_are_bit_for_bit(seed, shape, dtype, t, function):
    a, b = normal(seed, 2, *shape, dtype=dtype), normal(seed + 1, 2, *shape, dtype=dtype)
    a.view(-1)[0] = -0.0
    assert bits(function(a, a.clone(), t)) == bits(a)
    # The first sample alone has equal ends.
    assert bits(function(a, torch.cat([a[:1], b[1:]]), t)[:1]) == bits(a[:1])


@settings(deadline=None)
@given(seeds, st.integers(1, 12), dtypes, st.sampled_from(HOWS), st.booleans())
def test_equal_sources_are_one_source(seed, frames, dtype, how, apart):
    a, b = normal(seed, 2, 40, 5, dtype=dtype)
    a.view(-1)[0] = -0.0
    weights = (simplex(seed, frames, 4) + 0.25) / 2
    sources = [a, b, a.clone(), b.clone()]
    found = mix(sources if apart else torch.stack(sources), weights, how=how)
    assert bits(found) == bits(mix(torch.stack([a, b]), weights[:, :2] + weights[:, 2:], how=how))
    same = mix([a, a.clone(), a], simplex(seed, frames, 3), how=how)
    assert bits(same) == bits(a.expand(frames, 40, 5))


def test_what_is_not_differentiable_says_so():
    a, b = (end.requires_grad_() for end in normal(1, 2, 1, 8))
    assert lerp(a, b, 0.5).requires_grad
    assert not slerp(a, b, 0.5).requires_grad
    assert not mix([a, b], [[0.5, 0.5]], how="slerp").requires_grad


def test_two_zeros_of_unlike_sign_are_two_sources():
    sources = torch.tensor([[0.0, 1.0], [-0.0, 1.0]])
    assert bits(mix(sources, [[1, 0], [0, 1], [0.5, 0.5]])[:2]) == bits(sources)


def test_sources_that_differ_in_one_place_are_two():
    a = normal(1, 1, 1000)
    for place in (0, 500, 501, 999):
        b = a.clone()
        b[0, place] += 1
        assert mix([a, b], [[0.5, 0.5]])[0, place] == pytest.approx(a[0, place].item() + 0.5)


@given(seeds, st.integers(2, 4), st.floats(0.025, 2), st.floats(0.05, 20), shares)
def test_wide_angles_between_unlike_ends_follow_the_textbook_up_to_a_half_turn(seed, width, short_of, ratio, t):
    first, second = normal(seed, 2, 1, width).double()
    across = second - (second * first).sum() / (first * first).sum() * first
    a, b = first / first.norm(), across / across.norm()
    b = ratio * (-math.cos(short_of) * a + math.sin(short_of) * b)
    wanted = shoemake(a, b, t)
    for found in (slerp(a.float(), b.float(), t), mix(torch.cat([a, b]).float(), [[1 - t, t]], how="slerp")):
        assert (found - wanted).norm() <= 4e-4 * max(1, ratio)


@given(st.floats(0, 0.03), st.floats(1e-3, 1), shares)
def test_the_bound_near_a_half_turn_falls_from_fifty_times_the_longer_end_to_it(short_of, ratio, t):
    # In float64, where the formula itself is good for the comparison.
    a = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    b = ratio * torch.tensor([[-math.cos(short_of), math.sin(short_of)]], dtype=torch.float64)
    length = slerp(a, b, t).norm().item()
    bound = 1 + 49.01 * min(max((short_of - 0.004) / 0.016, 0), 1)
    # Within 1e-4 of a half turn the ends are taken for opposite ones, which they are nearly.
    assert length <= bound * (1 + 1e-4)
    if short_of > 0.02:
        assert length == pytest.approx(shoemake(a, b, t).norm().item(), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_opposite_ends_that_were_rounded_are_never_blown_up(dtype):
    a = normal(1, 200, 3, dtype=dtype)
    b = (-0.37 * a.double()).to(dtype)
    t = torch.linspace(0, 1, 200)
    longest = a.double().norm(dim=1)
    assert (slerp(a, b, t).double().norm(dim=1) <= 1.01 * longest).all()


@given(seeds, st.sampled_from(SHAPES), shares, st.floats(0.1, 10))
def test_opposite_ends_keep_their_length_on_the_way(seed, shape, t, ratio):
    a = normal(seed, 3, *shape)
    b = -a * ratio
    length = slerp(a, b, t).flatten(1).norm(dim=1)
    wanted = a.flatten(1).norm(dim=1) * ((1 - t) + t * ratio)
    torch.testing.assert_close(length, wanted, rtol=1e-3, atol=1e-6)


@given(seeds, shares)
def test_the_way_back_is_the_way_there(seed, t):
    a, b = normal(seed, 2, 4, 4, 4), normal(seed + 1, 2, 4, 4, 4)
    for end in (b, -a):
        torch.testing.assert_close(slerp(a, end, t), slerp(end, a, 1 - t), rtol=1e-4, atol=1e-4)


def test_noise_between_opposite_noises_is_still_noise():
    a = normal(3, 1, 4, 64, 64)
    half = slerp(a, -a, 0.5)
    assert half.std().item() == pytest.approx(1, abs=0.01)
    assert half.abs().max() < 6
    assert abs(torch.dot(a.flatten(), half.flatten()) / a.numel()) < 1e-5


@given(seeds, st.floats(-8, -3), st.floats(0.2, 5), shares)
def test_nearly_opposite_ends_are_never_blown_up(seed, exponent, ratio, t):
    a = normal(seed, 1, 64)
    b = -ratio * (a + 10**exponent * normal(seed + 1, 1, 64))
    longest = max(a.norm(), b.norm())
    assert slerp(a, b, t).norm() <= 1.01 * longest
    assert mix(torch.cat([a, b]), [[1 - t, t]], how="slerp").norm() <= 1.01 * longest


@settings(deadline=None)
@given(seeds, st.floats(-3, -2), shares)
def test_a_mix_of_nearly_opposite_ends_is_as_exact_as_slerp(seed, exponent, t):
    a = normal(seed, 1, 4096)
    b = -a - 10**exponent * normal(seed + 1, 1, 4096)
    found = mix(torch.cat([a, b]), [[1 - t, t]], how="slerp")
    torch.testing.assert_close(found, slerp(a, b, t), rtol=0, atol=0.01)


@given(seeds, st.floats(1e-6, 3e-3), shares)
def test_nearly_equal_ends_meet_the_straight_line_without_a_step(seed, angle, t):
    a = normal(seed, 1, 64).double()
    b = slerp(a, normal(seed + 1, 1, 64).double(), angle)
    found = slerp(a.float(), b.float(), t).double()
    step = (angle * math.pi) ** 2 / 8 + 3e-7
    torch.testing.assert_close(found, lerp(a, b, t), rtol=step, atol=4 * step)


# --- properties of every input


@given(seeds, shapes, dtypes, shares, st.sampled_from([lerp, slerp]))
def test_each_sample_is_mixed_by_itself(seed, shape, dtype, t, function):
    a, b = normal(seed, 3, *shape, dtype=dtype), normal(seed + 1, 3, *shape, dtype=dtype)
    together = function(a, b, t)
    apart = torch.cat([function(a[k : k + 1], b[k : k + 1], t) for k in range(3)])
    assert together.dtype == dtype
    torch.testing.assert_close(together, apart, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@given(seeds, shapes, dtypes, scales, scales, shares)
def test_no_input_gives_nan_or_inf(seed, shape, dtype, scale_a, scale_b, t):
    limit = torch.finfo(dtype).max
    a = (normal(seed, 2, *shape, dtype=torch.float64) * scale_a).clamp(-limit, limit).to(dtype)
    b = (normal(seed + 1, 2, *shape, dtype=torch.float64) * scale_b).clamp(-limit, limit).to(dtype)
    a[0] = 0
    for end in (b, a, -a, torch.full_like(a, limit), torch.zeros_like(a)):
        assert torch.isfinite(lerp(a, end, t)).all()
        assert torch.isfinite(slerp(a, end, t)).all()
        for how in HOWS:
            assert torch.isfinite(mix(torch.cat([a[1:], end[1:]]), [[1 - t, t]], how=how)).all()


@given(seeds, shares, dtypes)
def test_slerp_is_the_textbook_formula(seed, t, dtype):
    a, b = normal(seed, 2, 4, 8, 8, dtype=dtype), normal(seed + 1, 2, 4, 8, 8, dtype=dtype)
    found = slerp(a, b, t)
    for k in range(2):
        wanted = shoemake(a[k], b[k], t).to(dtype)
        torch.testing.assert_close(found[k], wanted, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@given(seeds, shares)
def test_slerp_keeps_a_common_length(seed, t):
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (normal(seed, 3, 50), normal(seed + 1, 3, 50)))
    torch.testing.assert_close(slerp(a, b, t).norm(dim=1), torch.ones(3))


# --- the mix of many


@settings(deadline=None)
@given(seeds, st.integers(1, 20), st.integers(1, 5), shapes, dtypes)
def test_lerp_of_many_is_the_weighted_sum(seed, frames, count, shape, dtype):
    sources, weights = normal(seed, count, *shape, dtype=dtype), simplex(seed, frames, count)
    wanted = (weights @ sources.reshape(count, -1).double()).reshape(frames, *shape).to(dtype)
    found = mix(sources, weights)
    assert found.dtype == dtype
    torch.testing.assert_close(found, wanted, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@settings(deadline=None)
@given(seeds, st.integers(1, 20), st.integers(1, 5), st.sampled_from(HOWS), dtypes)
def test_a_frame_is_the_same_in_any_batch(seed, frames, count, how, dtype):
    sources, weights = normal(seed, count, 4, 8, 8, dtype=dtype), simplex(seed, frames, count)
    together = mix(sources, weights, how=how)
    apart = torch.cat([mix(sources, weights[k : k + 1], how=how) for k in range(frames)])
    torch.testing.assert_close(together, apart, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@settings(deadline=None)
@given(seeds, st.permutations(range(4)), st.sampled_from(HOWS))
def test_the_order_of_sources_and_frames_does_not_matter(seed, order, how):
    sources, weights = normal(seed, 4, 3, 6), simplex(seed, 4, 4)
    found = mix(sources, weights, how=how)
    torch.testing.assert_close(mix(sources[order], weights[:, order], how=how), found, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mix(sources, weights[order], how=how), found[order], rtol=1e-4, atol=1e-5)


@settings(deadline=None)
@given(seeds, st.sampled_from(HOWS), dtypes, st.integers(1, 12))
def test_a_frame_with_one_source_is_that_source_bit_for_bit(seed, how, dtype, frames):
    sources = normal(seed, 3, 4, 4, dtype=dtype)
    sources[:, 0, 0] = -0.0
    weights = simplex(seed, frames, 3)
    alone = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    found = mix(sources, torch.cat([weights, alone]), how=how)
    assert bits(found[frames:]) == bits(sources[[1, 0, 2]])


@settings(deadline=None)
@given(seeds, shares, st.floats(0.1, 10))
def test_two_of_many_are_slerped(seed, t, ratio):
    sources = normal(seed, 4, 4, 8, 8)
    sources[3] = -ratio * sources[1]
    weights = torch.zeros(2, 4, dtype=torch.float64)
    weights[0, 2], weights[0, 0] = t, 1 - t
    weights[1, 3], weights[1, 1] = t, 1 - t
    wanted = torch.cat([slerp(sources[0:1], sources[2:3], t), slerp(sources[1:2], sources[3:4], t)])
    for how in ("slerp", "noise"):
        torch.testing.assert_close(mix(sources, weights, how=how), wanted, rtol=1e-4, atol=1e-4)


@settings(deadline=None)
@given(seeds, st.integers(3, 6))
def test_slerp_of_many_has_the_weighted_length(seed, count):
    sources = normal(seed, count, 200) * torch.arange(1, count + 1).unsqueeze(1)
    weights = torch.full((1, count), 1 / count, dtype=torch.float64)
    length = mix(sources, weights, how="slerp").norm()
    torch.testing.assert_close(length, sources.norm(dim=1).mean(), rtol=1e-4, atol=1e-4)


def test_sources_that_cancel_out_are_not_blown_up():
    a = normal(1, 1, 64)
    sources = torch.cat([a, -a, a * 1e-9])
    found = mix(sources, [[0.4999999, 0.5, 0.0000001]], how="slerp")
    assert torch.isfinite(found).all()
    assert found.norm() <= a.norm()


def test_unused_sources_take_no_part():
    sources = normal(1, 3, 8)
    sources[1] = math.inf
    assert torch.isfinite(mix(sources, [[0.5, 0, 0.5]])).all()


# --- buffers, memory, precision


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_buffer_is_filled_from_its_front(how, dtype):
    sources, weights = normal(1, 3, 4, 8, 8, dtype=dtype), simplex(1, 9, 3)
    buffer = torch.full((12, 4, 8, 8), 7.0)
    found = mix(sources, weights, how=how, out=buffer)
    assert found.data_ptr() == buffer.data_ptr()
    assert (buffer[9:] == 7).all()
    torch.testing.assert_close(found.to(dtype), mix(sources, weights, how=how))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("into", DTYPES)
def test_a_buffer_may_have_any_floating_point_dtype(how, dtype, into):
    sources, weights = normal(1, 3, 40, dtype=dtype), torch.cat([simplex(1, 9, 3), torch.eye(3, dtype=torch.float64)])
    found = mix(sources, weights, how=how, out=torch.empty(12, 40, dtype=into))
    tolerance = max(TOLERANCE[dtype], TOLERANCE[into])
    torch.testing.assert_close(found.double(), mix(sources.double(), weights, how=how), rtol=tolerance, atol=tolerance)
    assert torch.equal(found[9:], sources.to(into))


class Allocations(TorchDispatchMode):
    """Records the element count of every tensor that an operation makes, views and `out=` left aside."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.products = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        known = {x.untyped_storage().data_ptr() for x in (*args, *(kwargs or {}).values()) if isinstance(x, Tensor)}
        if isinstance(result, Tensor) and result.untyped_storage().data_ptr() not in known:
            self.sizes.append(result.untyped_storage().nbytes() // result.element_size())
        self.products += func is torch.ops.aten.mm.out
        return result


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("how", HOWS)
def test_a_mix_of_many_needs_its_result_and_one_source_at_most(how, dtype, apart):
    frames, count, shape = 8, 6, (77, 2048)
    sources, weights = normal(1, count, *shape, dtype=dtype), simplex(2, frames, count)
    given = [source.clone() for source in sources] if apart else sources
    source, result = 77 * 2048 * 4, frames * 77 * 2048 * sources.itemsize
    with Peak([sources, *given]) as seen:
        mix(given, weights, how=how)
    assert result < seen.most <= result + 1.1 * source
    buffer = torch.empty(frames, *shape, dtype=dtype)
    with Peak([sources, *given, buffer]) as seen:
        mix(given, weights, how=how, out=buffer)
    assert 0 < seen.most <= 1.1 * source


@pytest.mark.parametrize("how", HOWS)
def test_nothing_as_large_as_the_result_is_allocated_beside_it(how):
    frames, width = 64, 4096
    sources, weights = normal(1, 2, width), simplex(2, frames, 2)
    with Allocations() as seen:
        mix(sources, weights, how=how)
    assert sorted(seen.sizes)[-1] == frames * width
    assert sorted(seen.sizes)[-2] <= 8 * width
    with Allocations() as seen:
        mix(sources, weights, how=how, out=torch.empty(frames, width))
    assert seen.sizes.count(frames * width) == 1


def test_operations_do_not_grow_with_the_number_of_frames():
    sources = normal(1, 3, 64)

    def count(frames: int) -> tuple[int, int]:
        with Allocations() as seen:
            mix(sources, simplex(1, frames, 3), how="noise")
        return len(seen.sizes), seen.products

    assert count(100)[0] == count(200)[0]
    assert count(200)[1] <= 200 / 8 + 2


@pytest.mark.parametrize("frames", [3, 8, 20])
def test_hosts_that_lower_the_precision_of_products_change_nothing(frames):
    sources, weights = normal(1, 3, 4, 64), simplex(1, frames, 3)
    wanted = {how: mix(sources, weights, how=how) for how in HOWS}
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with Allocations() as seen:
            for how in HOWS:
                found = mix(sources, weights, how=how)
                torch.testing.assert_close(found, wanted[how], rtol=1e-5, atol=1e-6)
        assert seen.products == 0
    finally:
        torch.set_float32_matmul_precision(before)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for how in HOWS:
            assert torch.equal(mix(sources, weights, how=how), wanted[how])


# --- refusals


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: lerp(torch.zeros(1, 4), torch.zeros(1, 5), 0.5), "1x4.*1x5"),
        (lambda: slerp(torch.zeros(2, 4), torch.zeros(3, 4), 0.5), "2x4.*3x4"),
        (lambda: lerp(torch.zeros(2, 4), torch.zeros(2, 4), torch.zeros(3)), "3 value"),
        (lambda: lerp(torch.zeros(2, 4), torch.zeros(2, 4), torch.zeros(2, 2)), "t: 2x2"),
        (lambda: lerp(torch.zeros(2, 4), torch.zeros(2, 4), math.nan), "nan"),
        (lambda: lerp(torch.zeros(2, 4).int(), torch.zeros(2, 4), 0.5), "int32.*float"),
        (lambda: lerp(1, 2, 0.5), "a: 1 is not a tensor; give a tensor"),
        (lambda: slerp(torch.zeros(2, 4), None, 0.5), "b: None is not a tensor"),
        (lambda: lerp(torch.zeros(2, 4), torch.zeros(2, 4), "x"), "t: 'x' is not made of numbers; give one number"),
        (lambda: lerp(torch.zeros(2, 4), torch.zeros(2, 4), None), "t: None"),
        (lambda: lerp(torch.zeros(2, 4), torch.zeros(2, 4), torch.zeros(2).cfloat()), "t: a Tensor is not made of"),
        (lambda: lerp(torch.zeros(2, 4).cfloat(), torch.zeros(2, 4), 0.5), "a: torch.complex64"),
        (lambda: lerp(torch.zeros(2, 4), torch.zeros(2, 4).to_sparse(), 0.5), "b: .*sparse.*give a dense"),
        (lambda: lerp(torch.zeros(2, 4), torch.zeros(2, 4, device="meta"), 0.5), "b: .*meta, nested or sparse"),
        (lambda: slerp(torch.tensor([[1.0, math.inf]]), torch.ones(1, 2), 0.5), "a: it holds inf or NaN"),
        (lambda: slerp(torch.ones(2, 2), torch.tensor([[1.0, 2], [1, math.nan]]), 0.5), "b: it holds inf or NaN"),
        (lambda: mix(5, [[1]]), "sources: 5 is no sequence; give a tensor"),
        (lambda: mix("ab", [[1]]), "sources: 'ab' is no sequence"),
        (lambda: mix(torch.zeros(2, 4), None), "weights: None is not made of numbers; give a table"),
        (lambda: mix(torch.zeros(2, 4), [[10**400, 0]]), "weights: .*is not made of numbers"),
        (lambda: mix(torch.zeros(2, 4), [[1, 0], [1]]), "weights: .*is not made of numbers"),
        (lambda: mix(torch.zeros(2, 4), [[1, 0]], how=None), "how: None is not known"),
        (lambda: mix(torch.zeros(2, 4), [[1, 0]], out=3), "out: 3 is not a tensor"),
        (lambda: mix([], [[1]]), "none"),
        (lambda: mix(torch.zeros(0, 4), [[1]]), "at least one"),
        (lambda: mix([torch.zeros(1, 4), torch.zeros(1, 5)], [[1, 0]]), r"sources\[1\].*1x5.*1x4.*resize"),
        (lambda: mix([torch.zeros(1, 4), torch.zeros(1, 4).half()], [[1, 0]]), "float16.*float32"),
        (lambda: mix([torch.zeros(1, 4), None], [[1, 0]]), r"sources\[1\]: None is not a tensor"),
        (lambda: mix(torch.zeros(2, 4, dtype=torch.uint8), [[1, 0]]), "uint8"),
        (lambda: mix(torch.zeros(2, 4), [[1, 0]], how="slurp"), "'slurp'.*'slerp'"),
        (lambda: mix(torch.zeros(2, 4), [1, 0]), r"weights: 2; give \[frames, sources\]"),
        (lambda: mix(torch.zeros(2, 4), [[1, 0, 0]]), "1x3.*2 weight"),
        (lambda: mix(torch.zeros(2, 4), [["a", "b"]]), "table of numbers"),
        (lambda: mix(torch.zeros(2, 4), [[1, 0], [1.5, -0.5]]), r"weights\[1\]\[1\]: -0.5"),
        (lambda: mix(torch.zeros(2, 4), [[math.nan, 1]]), r"weights\[0\]\[0\]: nan"),
        (lambda: mix(torch.zeros(2, 4), [[0.5, 0.50001]]), "sum to 1.00001"),
        (lambda: mix(torch.zeros(2, 4), [[0.5, 0.49999]], how="noise"), "sum to 0.99999"),
        (lambda: mix(torch.tensor([[0.0], [math.inf]]), [[0.5, 0.5]]), r"sources\[1\].*inf"),
        (lambda: mix(torch.tensor([[0.0], [0.0], [math.nan]]), [[0.5, 0, 0.5]]), r"sources\[2\].*NaN"),
        (lambda: mix(torch.zeros(2, 4), [[1, 0]], out=torch.zeros(1, 5)), "out: 1x5.*1x4"),
        (lambda: mix(torch.zeros(2, 4), [[1, 0]] * 3, out=torch.zeros(2, 4)), "out: 2x4.*3x4"),
        (lambda: mix(torch.zeros(2, 4), [[1, 0]], out=torch.zeros(4, 8)[:, ::2]), "contiguous"),
        (lambda: mix(torch.zeros(2, 4), [[1, 0]], out=torch.zeros(1, 4).int()), "out: torch.int32"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_sides(call, words):
    with pytest.raises(MixError, match=words):
        call()


def test_a_buffer_over_the_sources_is_refused():
    sources = torch.zeros(2, 4)
    with pytest.raises(MixError, match="shares its memory"):
        mix(sources, [[1, 0]], out=sources)
