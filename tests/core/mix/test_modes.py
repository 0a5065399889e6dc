"""The blend modes against values worked out by hand, and their identities."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from remix.errors import MixError
from remix.mix import BLEND_MODES, blend

NON_SEPARABLE = ("hue", "saturation", "color", "luminosity")
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

seeds = st.integers(0, 2**32)
modes = st.sampled_from(tuple(BLEND_MODES))


def uniform(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(
    ("mode", "base", "top", "result"),
    [
        ("normal", 0.2, 0.7, 0.7),
        ("multiply", 0.5, 0.4, 0.2),
        ("screen", 0.5, 0.4, 0.7),
        ("overlay", 0.25, 0.4, 0.2),
        ("overlay", 0.75, 0.4, 0.7),
        ("soft_light", 0.5, 0.5, 0.5),
        ("soft_light", 0.5, 0.25, 0.375),
        ("soft_light", 0.25, 1.0, 0.5),
        ("soft_light", 0.125, 1.0, 0.34375),
        ("soft_light", 0.64, 0.75, 0.72),
        ("hard_light", 0.4, 0.25, 0.2),
        ("hard_light", 0.4, 0.75, 0.7),
        ("darken", 0.3, 0.6, 0.3),
        ("lighten", 0.3, 0.6, 0.6),
        ("difference", 0.3, 0.8, 0.5),
        ("exclusion", 0.5, 0.4, 0.5),
        ("color_dodge", 0.25, 0.5, 0.5),
        ("color_dodge", 0.5, 0.9, 1.0),
        ("color_dodge", 0.0, 1.0, 0.0),
        ("color_dodge", 0.3, 1.0, 1.0),
        ("color_burn", 0.75, 0.5, 0.5),
        ("color_burn", 0.5, 0.1, 0.0),
        ("color_burn", 1.0, 0.0, 1.0),
        ("color_burn", 0.3, 0.0, 0.0),
        ("add", 0.5, 0.25, 0.75),
        ("add", 0.5, 0.75, 1.0),
        ("subtract", 0.5, 0.25, 0.25),
        ("subtract", 0.25, 0.5, 0.0),
        ("divide", 0.25, 0.5, 0.5),
        ("divide", 0.25, 0.0, 1.0),
        ("divide", 0.0, 0.0, 0.0),
        ("linear_burn", 0.75, 0.5, 0.25),
        ("linear_burn", 0.25, 0.5, 0.0),
        ("linear_light", 0.5, 0.625, 0.75),
        ("linear_light", 0.5, 0.125, 0.0),
        ("vivid_light", 0.75, 0.25, 0.5),
        ("vivid_light", 0.25, 0.75, 0.5),
        ("vivid_light", 0.25, 0.5, 0.25),
        ("pin_light", 0.75, 0.25, 0.5),
        ("pin_light", 0.25, 0.75, 0.5),
        ("pin_light", 0.5, 0.5, 0.5),
    ],
)
def test_one_channel_blends_to_this(mode, base, top, result):
    found = blend(torch.tensor([[base]]), torch.tensor([[top]]), mode)
    torch.testing.assert_close(found, torch.tensor([[result]]))


@pytest.mark.parametrize(
    ("mode", "base", "top", "result"),
    [
        # The luminosity of gray .5 is .5; pure red has .3, so SetLum shifts it by .2 and clips.
        ("color", (0.5, 0.5, 0.5), (1.0, 0.0, 0.0), (1.0, 0.2857143, 0.2857143)),
        ("luminosity", (1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (1.0, 0.2857143, 0.2857143)),
        ("hue", (0.5, 0.5, 0.5), (1.0, 0.0, 0.0), (0.5, 0.5, 0.5)),
        ("saturation", (0.8, 0.4, 0.4), (0.5, 0.5, 0.5), (0.52, 0.52, 0.52)),
        ("hue", (0.6, 0.4, 0.4), (0.0, 1.0, 0.0), (0.342, 0.542, 0.342)),
        ("saturation", (0.6, 0.5, 0.4), (0.9, 0.5, 0.5), (0.681, 0.481, 0.281)),
    ],
)
@pytest.mark.parametrize("channels", [1, -1])
def test_one_colour_blends_to_this(mode, base, top, result, channels):
    shape = (1, 3, 1, 1) if channels == 1 else (1, 1, 1, 3)
    found = blend(*(torch.tensor(x).view(shape) for x in (base, top)), mode, channels=channels)
    torch.testing.assert_close(found.flatten(), torch.tensor(result), rtol=1e-4, atol=1e-4)


@settings(deadline=None)
@given(seeds, modes, st.sampled_from(DTYPES), st.floats(0, 1))
def test_every_mode_stays_in_range_and_keeps_the_form(seed, mode, dtype, opacity):
    base, top = uniform(seed, 2, 3, 4, 4, dtype=dtype), uniform(seed + 1, 2, 3, 4, 4, dtype=dtype)
    base[0, :, 0, 0], top[0, :, 0, 1] = 0, 1
    base[0, :, 1, 0], top[0, :, 1, 1] = 1, 0
    found = blend(base, top, mode, opacity)
    assert found.dtype == dtype
    assert found.shape == base.shape
    assert ((found >= 0) & (found <= 1)).all()
    assert torch.equal(blend(base, top, mode, 0.0), base)
    apart = [blend(base[k : k + 1], top[k : k + 1], mode, opacity) for k in range(2)]
    assert torch.equal(torch.cat(apart), found)


@settings(deadline=None)
@given(seeds, modes)
def test_opacity_is_a_lerp_from_the_base(seed, mode):
    base, top = uniform(seed, 3, 3, 4, 4), uniform(seed + 1, 3, 3, 4, 4)
    full = blend(base, top, mode)
    t = torch.tensor([0.0, 0.25, 1.0]).view(3, 1, 1, 1)
    torch.testing.assert_close(blend(base, top, mode, t.flatten()), (1 - t) * base + t * full)


@settings(deadline=None)
@given(seeds)
def test_modes_are_related_as_painters_know(seed):
    # In float64: near a top of 0 the last digit of 1 - (1 - top) is enlarged without limit.
    base, top = (uniform(one, 1, 3, 4, 4, dtype=torch.float64) for one in (seed, seed + 1))

    def inverse(x: Tensor) -> Tensor:
        return 1 - x

    pairs = [
        (blend(base, top, "normal"), top),
        (blend(base, top, "multiply"), blend(top, base, "multiply")),
        (blend(base, top, "screen"), inverse(blend(inverse(base), inverse(top), "multiply"))),
        (blend(base, top, "overlay"), blend(top, base, "hard_light")),
        (blend(base, top, "color_burn"), inverse(blend(inverse(base), inverse(top), "color_dodge"))),
        (blend(base, top, "luminosity"), blend(top, base, "color")),
        (blend(base, base, "difference"), torch.zeros_like(base)),
    ]
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(seeds, st.sampled_from(["hue", "saturation", "color"]))
def test_colour_modes_keep_the_luminosity_of_the_base(seed, mode):
    base, top = uniform(seed, 1, 3, 4, 4), uniform(seed + 1, 1, 3, 4, 4)
    weights = torch.tensor([0.3, 0.59, 0.11]).view(1, 3, 1, 1)
    found, kept = ((x * weights).sum(dim=1) for x in (blend(base, top, mode), base))
    torch.testing.assert_close(found, kept, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["soft light", "Soft-Light", "SOFT_LIGHT"])
def test_names_are_read_as_people_write_them(name):
    base, top = uniform(1, 1, 3, 4), uniform(2, 1, 3, 4)
    assert torch.equal(blend(base, top, name), blend(base, top, "soft_light"))


def test_a_batch_of_one_meets_any_batch():
    base, top = uniform(1, 1, 3, 4, 4), uniform(2, 5, 3, 4, 4)
    assert blend(base, top, "screen").shape == blend(top, base, "hue").shape == (5, 3, 4, 4)


@pytest.mark.parametrize(
    ("base", "top", "options", "words"),
    [
        (torch.zeros(1, 3, 2), torch.zeros(1, 3, 2), {"mode": "multipy"}, "'multipy'.*'multiply'"),
        (torch.zeros(1, 3, 2), torch.zeros(1, 3, 3), {}, "1x3x2.*1x3x3"),
        (torch.zeros(2, 3, 2), torch.zeros(3, 3, 2), {}, "2x3x2.*3x3x2"),
        (torch.full((1, 3), 1.01), torch.zeros(1, 3), {}, "base.*outside"),
        (torch.zeros(1, 3), torch.full((1, 3), float("nan")), {}, "top.*outside"),
        (torch.zeros(1, 3, dtype=torch.uint8), torch.zeros(1, 3), {}, "uint8.*255"),
        (torch.zeros(1, 4, 2), torch.zeros(1, 4, 2), {"mode": "hue"}, "hue.*three channels.*1x4x2"),
        (torch.zeros(1, 3, 2), torch.zeros(1, 3, 2), {"mode": "hue", "channels": 5}, "three channels"),
        (torch.zeros(1, 3), torch.zeros(1, 3), {"opacity": 1.5}, "opacity: 1.5"),
        (torch.zeros(1, 3), torch.zeros(1, 3), {"opacity": "x"}, "opacity: 'x' is not made of numbers"),
        (torch.zeros(1, 3), torch.zeros(1, 3), {"mode": None}, "mode: None is not known"),
        (torch.zeros(1, 3), torch.zeros(1, 3), {"mode": "hue", "channels": "x"}, "channels: 'x' is not an axis"),
        (torch.zeros(1, 3), [0.5], {}, r"top: \[0.5\] is not a tensor"),
        (torch.zeros(2, 3), torch.zeros(2, 3), {"opacity": torch.ones(3)}, "opacity: 3"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(base, top, options, words):
    with pytest.raises(MixError, match=words):
        blend(base, top, **options)


def test_every_mode_has_been_given_a_value_here():
    assert len(BLEND_MODES) == 23
    assert set(NON_SEPARABLE) < set(BLEND_MODES)
