"""Latents of every rank, nested and in ComfyUI's form; AdaIN; masks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from remix.errors import MixError
from remix.mix import adain, masked, matched_to_mix, mix, mix_comfy_latents, mix_latents, slerp
from tests.core.mix.memory import Peak

SHAPES = ((8, 12), (4, 6, 6), (3, 2, 4, 5))
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WALK = [[1.0, 0.0], [0.75, 0.25], [0.0, 1.0]]

seeds = st.integers(0, 2**32)


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


class Nested:
    """The host's nested latent, as far as it can be relied on."""

    is_nested = True

    def __init__(self, parts: list[Tensor]) -> None:
        self.parts = parts

    def unbind(self) -> list[Tensor]:
        return self.parts


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    flat = x.double().flatten(2)
    return flat.mean(dim=2), flat.std(dim=2, correction=0)


# --- latents


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("how", ["lerp", "slerp", "noise"])
def test_latents_of_every_rank_are_mixed_whole(shape, how):
    a, b = normal(1, 1, *shape), normal(2, 1, *shape)
    found = mix_latents([a, b], WALK, how=how)
    assert found.shape == (3, *shape)
    assert torch.equal(found[[0, 2]], torch.cat([a, b]))
    torch.testing.assert_close(found, mix(torch.cat([a, b]), WALK, how=how))
    buffer = torch.empty(3, *shape)
    assert torch.equal(mix_latents(torch.cat([a, b]), WALK, how=how, out=buffer), found)


def test_nested_latents_are_mixed_part_by_part_and_rebuilt():
    a, b = (Nested([normal(seed, 1, 3, 2, 4, 4), normal(seed + 10, 1, 8, 5, 6)]) for seed in (1, 2))
    found = mix_latents([a, b], WALK, how="slerp", adain=True)
    assert isinstance(found, Nested)
    for part, first, second in zip(found.parts, a.parts, b.parts, strict=True):
        assert torch.equal(part, mix_latents([first, second], WALK, how="slerp", adain=True))


def test_comfyui_latents_keep_their_keys():
    mask = torch.zeros(1, 1, 6, 6)
    sources = [
        {"samples": normal(1, 1, 4, 6, 6), "batch_index": [3], "noise_mask": mask, "type": "audio"},
        {"samples": normal(2, 1, 4, 6, 6), "batch_index": [3], "type": "audio"},
    ]
    found = mix_comfy_latents(sources, WALK)
    assert torch.equal(found["samples"], mix_latents([s["samples"] for s in sources], WALK))
    assert found["batch_index"] == [3, 3, 3]
    assert found["type"] == "audio"
    assert found["noise_mask"].amax(dim=(1, 2, 3)).tolist() == [0.0, 0.25, 1.0]
    assert mix_comfy_latents([{"samples": sources[0]["samples"]}], [[1.0]]).keys() == {"samples"}


def nested_latent(seed: int, **keys: object) -> dict[str, object]:
    return {"samples": Nested([normal(seed, 1, 3, 2, 4, 4), normal(seed + 10, 1, 8, 5, 6)]), **keys}


def test_nested_latents_take_nested_masks_part_by_part():
    video, audio = torch.zeros(1, 1, 2, 4, 4), torch.full((1, 1, 5, 6), 0.5)
    sources = [nested_latent(1, noise_mask=Nested([video, audio])), nested_latent(2, noise_mask=Nested([video]))]
    found = mix_comfy_latents(sources, WALK)
    assert isinstance(found["samples"], Nested)
    assert isinstance(found["noise_mask"], Nested)
    first, second = found["noise_mask"].parts
    assert torch.equal(first, torch.zeros(3, 1, 2, 4, 4))
    assert second.amax(dim=(1, 2, 3)).tolist() == [0.5, 0.625, 1.0]


def test_a_plain_mask_of_a_nested_latent_is_that_of_its_first_part():
    mask = torch.zeros(1, 1, 2, 4, 4)
    found = mix_comfy_latents([nested_latent(1, noise_mask=mask), nested_latent(2)], WALK)["noise_mask"]
    assert found.amax(dim=(1, 2, 3, 4)).tolist() == [0.0, 0.25, 1.0]
    sources = [nested_latent(1, noise_mask=mask), nested_latent(2, noise_mask=Nested([mask, torch.zeros(1, 8, 5, 6)]))]
    first, second = mix_comfy_latents(sources, WALK)["noise_mask"].parts
    assert torch.equal(first, torch.zeros(3, 1, 2, 4, 4))
    assert second.amax(dim=(1, 2, 3)).tolist() == [1.0, 0.75, 0.0]


@pytest.mark.parametrize(
    ("latent", "mask", "wanted"),
    [
        ((1, 4, 6, 6), (6, 6), (3, 1, 6, 6)),
        ((1, 4, 6, 6), (1, 6, 6), (3, 1, 6, 6)),
        ((1, 4, 6, 6), (1, 1, 12, 12), (3, 1, 12, 12)),
        ((1, 4, 5, 6, 6), (1, 6, 6), (3, 1, 1, 6, 6)),
        ((1, 4, 5, 6, 6), (5, 1, 6, 6), (3, 1, 5, 6, 6)),
        ((1, 4, 5, 6, 6), (1, 1, 5, 6, 6), (3, 1, 5, 6, 6)),
        ((1, 4, 6), (1, 1, 6), (3, 1, 6)),
    ],
)
def test_masks_have_a_batch_of_frames_whatever_form_they_came_in(latent, mask, wanted):
    sources = [{"samples": normal(1, *latent), "noise_mask": torch.zeros(mask)}, {"samples": normal(2, *latent)}]
    found = mix_comfy_latents(sources, WALK)["noise_mask"]
    assert found.shape == wanted
    assert found.flatten(1).amax(dim=1).tolist() == [0.0, 0.25, 1.0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mix_latents(None, [[1]]), "sources: None is no sequence"),
        (lambda: mix_latents([normal(1, 1, 4, 6, 6), None], [[1, 0]]), r"sources\[1\]: None is not a tensor"),
        (lambda: mix_latents([normal(1, 1, 4, 6, 6)], [[1]], adain=None), "adain: None; give True or False"),
        (lambda: mix_comfy_latents({"samples": normal(1, 1, 4, 6, 6)}, [[1]]), "sources: a dict is no sequence"),
        (lambda: mix_comfy_latents([5], [[1]]), r"sources\[0\]: 5; give a ComfyUI latent"),
        (
            lambda: mix_comfy_latents([{"samples": normal(1, 1, 4, 6, 6)}, {"noise_mask": None}], [[1, 0]]),
            r'sources\[1\]: "samples" is missing',
        ),
        (
            lambda: mix_comfy_latents([{"samples": normal(1, 1, 4, 6, 6), "noise_mask": torch.ones(3, 6, 6)}], [[1]]),
            '"noise_mask": 3x1x6x6; give each latent a mask of its own',
        ),
        (
            lambda: mix_comfy_latents([{"samples": normal(1, 1, 4, 6, 6), "noise_mask": "x"}], [[1]]),
            "\"noise_mask\": 'x' is not a tensor",
        ),
        (
            lambda: mix_comfy_latents([{"samples": normal(1, 1, 4, 6, 6), "batch_index": 3}], [[1]]),
            '"batch_index": 3 is no sequence',
        ),
        (lambda: mix_latents([normal(1, 1, 4, 6, 6), normal(2, 1, 4, 6, 8)], [[1, 0]]), "1x4x6x8.*1x4x6x6"),
        (lambda: mix_latents([normal(1, 4, 6), normal(2, 4, 6)], [[1, 0]]), "4x6 is no latent"),
        (lambda: mix_latents([normal(1, 2, 4, 6, 6)] * 2, [[1, 0]]), "batch of 2"),
        (
            lambda: mix_latents([Nested([normal(1, 1, 4, 6, 6)]), normal(1, 1, 4, 6, 6)], [[1, 0]]),
            "nested and plain",
        ),
        (lambda: mix_latents([Nested([normal(1, 1, 4, 6)]), Nested([])], [[1, 0]]), r"\[1, 0\] parts"),
        (
            lambda: mix_latents([Nested([normal(1, 1, 4, 6)]), Nested([normal(1, 1, 4, 7)])], [[1, 0]]),
            "part 0.*1x4x7",
        ),
        (lambda: mix_latents([Nested([normal(1, 1, 4, 6)])], [[1]], out=torch.zeros(1, 4, 6)), "out: nested"),
        (lambda: mix_comfy_latents([], [[1]]), "none"),
        (lambda: mix_comfy_latents([{}], [[1]]), '"samples" is missing'),
        (
            lambda: mix_comfy_latents([{"samples": normal(1, 1, 4, 6, 6), "batch_index": [k]} for k in (0, 1)], WALK),
            '"batch_index" differs',
        ),
        (
            lambda: mix_comfy_latents(
                [{"samples": normal(1, 1, 4, 6, 6), "noise_mask": torch.zeros(1, 1, 6, k)} for k in (6, 7)],
                WALK,
            ),
            '"noise_mask".*1x1x6x7',
        ),
    ],
)
def test_latents_that_do_not_go_together_are_refused_by_name(call, words):
    with pytest.raises(MixError, match=words):
        call()


# --- AdaIN


@settings(deadline=None)
@given(seeds, st.sampled_from(SHAPES), st.sampled_from(DTYPES))
def test_adain_has_the_statistics_of_the_style(seed, shape, dtype):
    x, style = normal(seed, 2, *shape, dtype=dtype), normal(seed + 1, 2, *shape, dtype=dtype) * 3 + 5
    found = adain(x, style)
    assert found.dtype == dtype
    assert found.shape == x.shape
    tolerance = 0.1 if dtype == torch.bfloat16 else 0.02 if dtype == torch.float16 else 1e-4
    for one, other in zip(statistics(found), statistics(style), strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
    for k in range(2):
        torch.testing.assert_close(adain(x[k : k + 1], style[k : k + 1]), found[k : k + 1], rtol=1e-3, atol=1e-3)


def test_adain_to_itself_and_of_a_flat_channel():
    x = normal(1, 2, 3, 4, 4)
    torch.testing.assert_close(adain(x, x), x)
    flat = torch.full((1, 3, 4, 4), 7.3)
    style = x[:1]
    torch.testing.assert_close(adain(flat, style), style.mean(dim=(2, 3), keepdim=True).expand_as(flat))
    torch.testing.assert_close(adain(x, flat), flat.expand_as(x))
    assert adain(x, normal(2, 1, 3, 9, 5)).shape == x.shape


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_adain_of_numbers_whose_squares_are_none_is_finite(dtype, size):
    limit = torch.finfo(dtype).max * size
    x, style = (torch.linspace(-1, 1, 32, dtype=torch.float64).view(1, 2, 16) * k for k in (0.9, 0.5))
    found = adain((x * limit).to(dtype), (style.flip(2) * limit).to(dtype))
    torch.testing.assert_close(found, (x * 5 / 9 * limit).to(dtype), rtol=2e-2, atol=2e-2 * limit)
    sources = torch.cat([x, style]).mul(limit).to(dtype)
    mixed = mix_latents(sources, WALK, adain=True)
    torch.testing.assert_close(mixed[1:2], (x * 0.8 / 0.9 * limit).to(dtype), rtol=2e-2, atol=2e-2 * limit)
    assert torch.equal(mixed[[0, 2]], sources)


def test_adain_beyond_the_largest_number_is_that_number():
    x = torch.zeros(1, 1, 64)
    x[0, 0, 0] = 1
    style = torch.tensor([-65504.0, 65504.0]).repeat(32).view(1, 1, 64)
    assert adain(x.half(), style.half()).max() == 65504
    # All of the mix but one number cancels out, and has to vary as much as its sources do.
    other = -style
    other[0, 0, 0] = style[0, 0, 0]
    mixed = mix_latents([style.half(), other.half()], [[0.5, 0.5]], adain=True)
    assert mixed.min() == -65504
    assert torch.isfinite(mixed).all()


@settings(deadline=None, max_examples=30)
@given(seeds, st.sampled_from(SHAPES), st.integers(1, 12))
def test_a_matched_mix_has_the_mixed_statistics(seed, shape, frames):
    sources = torch.cat([normal(seed, 1, *shape), normal(seed + 1, 1, *shape) * 2 + 3])
    t = torch.linspace(0.1, 0.9, frames, dtype=torch.float64)
    weights = torch.stack([1 - t, t], dim=1)
    found = statistics(mix_latents(sources, weights, adain=True))
    for one, ends in zip(found, statistics(sources), strict=True):
        torch.testing.assert_close(one, weights @ ends, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_matching_leaves_the_ends_alone_bit_for_bit(dtype):
    sources = normal(1, 2, 4, 6, 6, dtype=dtype)
    sources[:, 0, 0, 0] = -0.0
    found = mix_latents(sources, WALK, adain=True)
    assert found.dtype == dtype
    ends = found[[0, 2]]
    assert torch.equal(ends, sources)
    assert torch.signbit(ends[:, 0, 0, 0]).all()
    assert torch.equal(mix_latents(sources[[0, 0]], WALK, adain=True), sources[[0, 0, 0]])
    mixed = mix(sources, WALK)
    before = mixed.clone()
    assert torch.equal(matched_to_mix(mixed, sources, WALK), found)
    assert torch.equal(mixed, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_matched_frames_need_their_result_and_one_source_at_most(dtype):
    sources = [normal(k, 1, 16, 96, 96, dtype=dtype) for k in range(6)]
    weights = torch.full((8, 6), 1 / 6, dtype=torch.float64)
    with Peak(sources) as seen:
        result = mix_latents(sources, weights, how="slerp", adain=True).untyped_storage().nbytes()
    assert result < seen.most <= result + 1.2 * 16 * 96 * 96 * 4


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: adain(torch.zeros(2, 3), torch.zeros(2, 3)), "2x3"),
        (lambda: adain(None, torch.zeros(2, 3, 4)), "x: None is not a tensor"),
        (lambda: adain(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4).int()), "style: torch.int32"),
        (lambda: adain(torch.zeros(2, 3, 4), torch.full((2, 3, 4), torch.inf)), "style: it holds inf"),
        (lambda: adain(torch.zeros(2, 3, 4), torch.zeros(2, 3, 0)), "style: 2x3x0 has channels without numbers"),
        (lambda: matched_to_mix([1], torch.zeros(2, 3, 4), [[1, 0]]), r"mixed: \[1\] is not a tensor"),
        (
            lambda: matched_to_mix(torch.zeros(1, 3, 4), torch.zeros(2, 3, 4), [[1, 0]], out=torch.zeros(2, 3, 4)),
            "out: 2x3x4.*1x3x4",
        ),
        (lambda: adain(torch.zeros(2, 3, 4), torch.zeros(2, 5, 4)), "2x5x4"),
        (lambda: adain(torch.zeros(2, 3, 4), torch.zeros(3, 3, 4)), "3x3x4"),
        (lambda: matched_to_mix(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4), [[1, 0]]), "2x3x4.*1 frame"),
    ],
)
def test_statistics_of_other_shapes_are_refused(call, words):
    with pytest.raises(MixError, match=words):
        call()


# --- masks


@settings(deadline=None)
@given(seeds, st.sampled_from(SHAPES[1:]), st.sampled_from(DTYPES))
def test_a_mask_chooses_bit_for_bit_and_mixes_in_between(seed, shape, dtype):
    a, b = normal(seed, 2, *shape, dtype=dtype), normal(seed + 1, 2, *shape, dtype=dtype)
    height, width = shape[-2:]
    mask = torch.zeros(2, 1, height, width)
    mask[:, :, 0] = 1
    mask[1, :, 1] = 0.25
    found = masked(a, b, mask)
    assert found.dtype == dtype
    assert torch.equal(found[..., 0, :], b[..., 0, :])
    assert torch.equal(found[..., 2:, :], a[..., 2:, :])
    between = 0.75 * a[1, ..., 1, :].float() + 0.25 * b[1, ..., 1, :].float()
    torch.testing.assert_close(found[1, ..., 1, :], between.to(dtype))
    assert torch.equal(found, torch.cat([masked(a[k : k + 1], b[k : k + 1], mask[k : k + 1]) for k in range(2)]))


def test_a_mask_of_another_size_is_resized_bilinearly():
    a, b = torch.zeros(1, 4, 2, 4), torch.ones(1, 4, 2, 4)
    mask = torch.tensor([[[[0.0, 1.0]]]])
    assert masked(a, b, mask)[0, 0, 0].tolist() == [0.0, 0.25, 0.75, 1.0]


def test_video_takes_one_mask_or_one_for_each_time():
    a, b = torch.zeros(1, 4, 3, 2, 2), torch.ones(1, 4, 3, 2, 2)
    times = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 3, 1, 1).expand(1, 1, 3, 4, 4)
    assert masked(a, b, times)[0, 0, :, 0, 0].tolist() == [0.0, 0.5, 1.0]
    assert masked(a, b, torch.full((1, 1, 4, 4), 0.5)).unique().tolist() == [0.5]
    assert masked(a, b.expand(5, -1, -1, -1, -1), times).shape[0] == 5


@pytest.mark.parametrize(
    ("a", "b", "mask", "words"),
    [
        ((1, 4, 2, 2), (1, 4, 2, 3), (1, 1, 2, 2), "1x4x2x2.*1x4x2x3"),
        ((4, 2, 2), (4, 2, 2), (1, 1, 2, 2), "4x2x2"),
        ((1, 4, 2, 2), (1, 4, 2, 2), (2,), "mask: 2 does not"),
        ((1, 4, 2, 2), (1, 4, 2, 2), (0, 2), "mask: 0x2 does not"),
        ((2, 4, 2, 2), (2, 4, 2, 2), (3, 2, 2), "2, 2 and 3"),
        ((1, 4, 3, 2, 2), (1, 4, 3, 2, 2), (2, 2, 2), "2 times.*3"),
        ((1, 4, 2, 2), (1, 4, 2, 2), (1, 4, 2, 2), "mask: 1x4x2x2"),
        ((1, 4, 3, 2, 2), (1, 4, 3, 2, 2), (1, 1, 2, 2, 2), "2 times.*3"),
        ((2, 4, 2, 2), (2, 4, 2, 2), (3, 1, 2, 2), "2, 2 and 3"),
    ],
)
def test_masks_that_do_not_fit_are_refused(a, b, mask, words):
    with pytest.raises(MixError, match=words):
        masked(torch.zeros(a), torch.zeros(b), torch.zeros(mask))


@pytest.mark.parametrize("size", [(2, 4), (6, 8)])
@pytest.mark.parametrize("batch", [1, 3])
def test_comfyui_masks_are_masks_of_pictures(size, batch):
    a, b = torch.zeros(3, 4, 6, 8), torch.ones(3, 4, 6, 8)
    mask = normal(1, batch, *size).sigmoid()
    wanted = masked(a, b, mask.unsqueeze(1))
    assert torch.equal(masked(a, b, mask), wanted)
    if batch == 1:
        assert torch.equal(masked(a, b, mask[0]), wanted)


def test_comfyui_masks_are_the_times_of_a_video():
    a, b = torch.zeros(2, 4, 3, 2, 2), torch.ones(2, 4, 3, 2, 2)
    mask = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1).expand(3, 4, 4)
    assert masked(a, b, mask)[1, 0, :, 0, 0].tolist() == [0.0, 0.5, 1.0]
    assert masked(a, b, mask[1]).unique().tolist() == [0.5]


def test_masks_that_overshoot_are_cut_off():
    a, b = normal(1, 1, 4, 2, 2), normal(2, 1, 4, 2, 2)
    mask = torch.tensor([[-0.1, 0.0], [1.0, 1.2]])
    assert torch.equal(masked(a, b, mask), torch.cat([a[:, :, :1], b[:, :, 1:]], dim=2))


def test_masks_out_of_range_are_refused():
    x = torch.zeros(1, 4, 2, 2)
    for mask in (torch.full((1, 1, 2, 2), 255.0), torch.full((1, 1, 2, 2), float("nan"))):
        with pytest.raises(MixError, match="outside 0 to 1"):
            masked(x, x, mask)
    with pytest.raises(MixError, match="float"):
        masked(x, x, torch.ones(1, 1, 2, 2).bool())
    with pytest.raises(MixError, match="mask: None is not a tensor"):
        masked(x, x, None)


def test_slerp_sees_a_nested_part_as_one_vector():
    a, b = Nested([normal(1, 1, 4, 6, 6)]), Nested([normal(2, 1, 4, 6, 6)])
    wanted = slerp(a.parts[0], b.parts[0], 0.25)
    torch.testing.assert_close(mix_latents([a, b], [[0.75, 0.25]], how="slerp").parts[0], wanted)
