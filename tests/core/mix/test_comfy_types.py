"""ComfyUI's CONDITIONING and LATENT, several to one: batches as sources, entries, every key, batches out."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from remix.errors import MixError
from remix.mix import Conditioning, masked, mix_comfy_latents, mix_conditioning
from remix.mix.comfy_types import blend_latents, mix_conditionings
from remix.mix.modes import blend_layers
from remix.mix.weights import batch_weights

HALF = [[0.5, 0.5]]
WALK = [[1.0, 0.0], [0.75, 0.25], [0.0, 1.0]]


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def entry(seed: int, rows: int = 77, batch: int = 1, width: int = 768, **keys: object) -> list:
    return [normal(seed, batch, rows, width), {"pooled_output": normal(seed + 100, batch, width), **keys}]


def latent(seed: int, batch: int = 1, **keys: object) -> dict:
    return {"samples": normal(seed, batch, 4, 6, 6), **keys}


class Nested:
    """The host's nested latent, as far as it can be relied on."""

    is_nested = True

    def __init__(self, parts: list[Tensor]) -> None:
        self.parts = parts

    def unbind(self) -> list[Tensor]:
        return self.parts


# --- spread


def test_one_item_serves_every_frame_and_a_batch_serves_frame_by_frame():
    assert batch_weights([1, 3], HALF).tolist() == [[0.5, 0.5, 0, 0], [0.5, 0, 0.5, 0], [0.5, 0, 0, 0.5]]
    assert batch_weights([1, 1], WALK).tolist() == WALK
    assert batch_weights([2, 1], [[1, 0], [0.25, 0.75]]).tolist() == [[1, 0, 0], [0, 0.25, 0.75]]


@pytest.mark.parametrize(
    ("counts", "weights", "words"),
    [
        ((2, 3), HALF, r"sources\[1\]: a batch of 3, and sources\[0\] has 2 frames; give a batch of 2, or of 1\."),
        ((2, 1), WALK, r"sources\[0\]: a batch of 2, and the weights are for 3 frames; give a batch of 3, or of 1\."),
        ((1, 0), HALF, r"sources\[1\]: an empty batch"),
    ],
)
def test_batches_that_do_not_meet_are_refused_with_both_counts(counts, weights, words):
    with pytest.raises(MixError, match=words):
        batch_weights(counts, weights)


# --- conditioning


def test_a_travel_of_conditionings_is_one_entry_with_a_row_for_each_frame():
    a, b = entry(1), entry(2, rows=154)
    (found,) = mix_conditionings([[a], [b]], WALK)
    expected = mix_conditioning([Conditioning.from_comfy(a), Conditioning.from_comfy(b)], WALK)
    assert len(found) == 1
    assert torch.equal(found[0][0], expected.tokens)
    assert torch.equal(found[0][1]["pooled_output"], expected.pooled)
    assert torch.equal(found[0][0][2], b[0][0])


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_batches_of_a_travel_are_its_frames_in_order(batch):
    sources = [[entry(1)], [entry(2)]]
    (whole,) = mix_conditionings(sources, WALK, how="slerp")
    parts = mix_conditionings(sources, WALK, how="slerp", batch=batch)
    assert len(parts) == math.ceil(3 / batch)
    assert torch.equal(torch.cat([part[0][0] for part in parts]), whole[0][0])


@given(seed=st.integers(0, 99), share=st.floats(0, 1))
def test_frames_of_two_travels_are_mixed_frame_by_frame(seed, share):
    first, second = entry(seed, rows=3, batch=4), entry(seed + 1, rows=3, batch=4)
    (found,) = mix_conditionings([[first], [second]], [[1 - share, share]])
    for frame in range(4):
        alone = [
            [tokens[frame : frame + 1], {"pooled_output": keys["pooled_output"][frame : frame + 1]}]
            for tokens, keys in (first, second)
        ]
        (single,) = mix_conditionings([[alone[0]], [alone[1]]], [[1 - share, share]])
        torch.testing.assert_close(found[0][0][frame], single[0][0][0])


def test_combined_prompts_are_mixed_entry_by_entry_with_their_regions():
    left, right = torch.zeros(1, 8, 8), torch.ones(1, 8, 8)
    a = [entry(1, mask=left, mask_strength=1.0), entry(2, area=(4, 4, 0, 0), strength=0.5)]
    b = [entry(3, mask=right, mask_strength=1.0), entry(4, area=(4, 4, 0, 0), strength=0.5)]
    (found,) = mix_conditionings([a, b], HALF)
    assert [part[1].get("area") for part in found] == [None, (4, 4, 0, 0)]
    assert found[0][1]["mask"].unique().tolist() == [0.5]
    torch.testing.assert_close(found[1][0], (a[1][0] + b[1][0]) / 2)


def test_a_number_that_differs_between_frames_needs_batches_of_one():
    flux = {"rows": 256, "width": 4096}
    sources = [[entry(1, guidance=2.0, **flux)], [entry(2, guidance=6.0, **flux)]]
    for _, keys in (source[0] for source in sources):
        keys["pooled_output"] = keys["pooled_output"][:, :768]
    with pytest.raises(MixError, match=r"guidance: it differs between frames.*batch_size 1 in every Remix node"):
        mix_conditionings(sources, WALK)
    found = mix_conditionings(sources, WALK, batch=1)
    assert [part[0][1]["guidance"] for part in found] == [2.0, 3.0, 6.0]
    assert [len(part[0][0]) for part in found] == [1, 1, 1]
    assert torch.equal(found[2][0][0], sources[1][0][0])
    assert len(mix_conditionings(sources, HALF)) == 1


def test_a_pooled_that_all_frames_share_is_taken_as_theirs():
    travel = entry(1, rows=3, batch=4)
    travel[1]["pooled_output"] = travel[1]["pooled_output"][:1]
    (found,) = mix_conditionings([[travel], [entry(2, rows=3)]], HALF)
    assert len(found[0][1]["pooled_output"]) == 4


@pytest.mark.parametrize(
    ("tokens", "pooled", "rows", "ends"),
    [
        (768, 768, (77, 154), 154),
        (1024, 1024, (77, 154), 154),
        (2048, 1280, (77, 154), 154),
        (4096, None, (512, 600), 600),
    ],
)
def test_the_family_is_told_by_the_tensors(tokens, pooled, rows, ends):
    sources = []
    for seed, count in enumerate(rows):
        keys = {"pooled_output": None if pooled is None else normal(seed + 9, 1, pooled)}
        sources.append([[normal(seed, 1, count, tokens), keys]])
    (found,) = mix_conditionings(sources, HALF)
    assert found[0][0].shape == (1, ends, tokens)
    assert (found[0][1]["pooled_output"] is None) == (pooled is None)


def test_what_pads_with_the_empty_prompt_needs_it_and_takes_it():
    sources = [
        [[normal(seed, 1, rows, 4096), {"pooled_output": normal(seed, 1, 768)}]] for seed, rows in ((1, 256), (2, 300))
    ]
    with pytest.raises(MixError, match="give empty="):
        mix_conditionings(sources, HALF)
    empty = [[normal(3, 1, 256, 4096), {"pooled_output": normal(3, 1, 768)}]]
    (found,) = mix_conditionings(sources, [[1, 0]], empty=empty)
    assert torch.equal(found[0][0][0, 256:], empty[0][0][0, :44])


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ([], "sources: there are none"),
        ([[entry(1)], []], r"sources\[1\]: it is empty"),
        ([[entry(1)], [entry(2), entry(3)]], r"sources\[1\]: 2 combined prompts, and sources\[0\] has 1"),
        ([[entry(1)], [entry(2, width=1024)]], "prompts of two encoders cannot be mixed"),
        ([[entry(1, hooks=1)], [entry(2, hooks=2)]], "hooks"),
        ([[entry(1, batch=3)], [entry(2, batch=2)]], r"a batch of 2, and sources\[0\] has 3 frames"),
        ([[entry(1)], [[normal(1, 77, 768), {}]]], r"sources\[1\]: tokens: 77x768"),
    ],
)
def test_conditionings_that_do_not_go_together_are_refused(sources, words):
    with pytest.raises(MixError, match=words):
        mix_conditionings(sources, HALF)


# What the encoders of ComfyUI give for one prompt: rows and width of the tokens, width of pooled, further keys.
ONE = torch.ones(1, 8, 8)
LAYOUTS_OF_HOSTS = {
    "SD 1.5": (77, 768, 768, {}),
    "SD 2.1": (77, 1024, 1024, {}),
    "SDXL": (77, 2048, 1280, {"width": 1024, "height": 1024, "crop_w": 0, "target_width": 1024}),
    "SD 3.5": (154, 4096, 2048, {"attention_mask": torch.ones(1, 154, dtype=torch.long)}),
    "Flux": (256, 4096, 768, {"guidance": 3.5, "reference_latents": [torch.ones(1, 16, 8, 8)]}),
    "Chroma": (256, 4096, None, {"guidance": 0.0}),
    "Wan": (512, 4096, None, {"concat_latent_image": torch.ones(1, 16, 1, 8, 8), "concat_mask": ONE}),
    "HunyuanVideo": (90, 4096, 768, {"attention_mask": torch.ones(1, 90, dtype=torch.long), "guidance": 6.0}),
    "HiDream": (128, 4096, 2048, {"conditioning_llama3": torch.ones(1, 3, 128, 16)}),
    "Qwen-Image": (40, 3584, None, {}),
    "Lumina 2": (60, 2304, None, {"attention_mask": torch.ones(1, 60, dtype=torch.long)}),
    "ACE-Step": (50, 768, None, {"conditioning_lyrics": torch.ones(1, 20, 32), "lyrics_strength": 1.0}),
}


@pytest.mark.parametrize("name", LAYOUTS_OF_HOSTS)
@pytest.mark.parametrize("how", ["lerp", "slerp"])
def test_a_travel_keeps_the_layout_of_every_family(name: str, how: str):
    rows, width, pooled, keys = LAYOUTS_OF_HOSTS[name]
    sources = [
        [[normal(seed, 1, rows, width), {"pooled_output": None if pooled is None else normal(seed, 1, pooled), **keys}]]
        for seed in (1, 2)
    ]
    (found,) = mix_conditionings(sources, WALK, how=how)
    tokens, mixed = found[0]
    assert tokens.shape == (3, rows, width)
    assert torch.equal(tokens[[0, 2]], torch.cat([source[0][0] for source in sources]))
    assert mixed.keys() == sources[0][0][1].keys()
    assert mixed["pooled_output"] is None if pooled is None else mixed["pooled_output"].shape == (3, pooled)
    for key, value in keys.items():
        if isinstance(value, Tensor):
            assert mixed[key].shape in (value.shape, (3, *value.shape[1:]))
        elif not isinstance(value, list):
            assert mixed[key] == value


# --- latents


@pytest.mark.parametrize("how", ["lerp", "slerp", "noise"])
@pytest.mark.parametrize("batch", [0, 1, 2])
def test_latents_travel_and_come_in_batches(how, batch):
    a, b = latent(1), latent(2)
    parts = blend_latents([a, b], WALK, how=how, batch=batch)
    assert len(parts) == math.ceil(3 / (batch or 3))
    whole = mix_comfy_latents([a, b], WALK, how=how)["samples"]
    assert torch.equal(torch.cat([part["samples"] for part in parts]), whole)


@pytest.mark.parametrize("how", ["lerp", "slerp", "multiply", "overlay"])
@pytest.mark.parametrize("batch", [2, 3, 4])
@pytest.mark.parametrize("adain", [False, True])
def test_a_batch_is_blended_as_its_items_are_alone(how, batch, adain):
    # Batches of 4 with 4 channels are where the core's own node is silently wrong.
    a, b = latent(1, batch), latent(2, batch)
    (found,) = blend_latents([a, b], [[0.3, 0.7]], how=how, adain=adain)
    for index in range(batch):
        single = [{"samples": source["samples"][index : index + 1]} for source in (a, b)]
        (alone,) = blend_latents(single, [[0.3, 0.7]], how=how, adain=adain)
        torch.testing.assert_close(found["samples"][index], alone["samples"][0])


def test_batches_keep_their_noise_masks_and_places():
    masks = torch.stack([torch.full((1, 6, 6), value) for value in (0.0, 0.5, 1.0)])
    first = latent(1, 3, noise_mask=masks, batch_index=[4, 5, 6])
    parts = blend_latents([first, latent(2)], [[1, 0]], batch=2)
    assert [part["batch_index"] for part in parts] == [[4, 5], [6]]
    assert torch.equal(torch.cat([part["noise_mask"] for part in parts]), masks)
    assert torch.equal(torch.cat([part["samples"] for part in parts]), first["samples"])


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_the_masks_of_a_video_are_its_times(batch):
    masks = torch.stack([torch.full((16, 16), value) for value in (0.0, 0.5, 1.0)])
    sources = [{"samples": normal(seed, batch, 4, 3, 8, 8), "noise_mask": masks} for seed in (1, 2)]
    (found,) = blend_latents(sources, HALF)
    assert torch.equal(found["noise_mask"], masks.expand(batch, 1, 3, 16, 16))


def test_a_mask_of_one_plane_is_for_every_item():
    plane = normal(3, 6, 6)
    (found,) = blend_latents([latent(1, 2, noise_mask=plane), latent(2, 2, noise_mask=plane)], HALF)
    torch.testing.assert_close(found["noise_mask"], plane.expand(2, 1, 6, 6))


def test_what_tells_of_empty_latents_stays_only_where_all_say_it():
    with_ratio, without = latent(1, downscale_ratio_spacial=8), latent(2)
    assert "downscale_ratio_spacial" not in blend_latents([with_ratio, without], HALF)[0]
    assert blend_latents([with_ratio, with_ratio], HALF)[0]["downscale_ratio_spacial"] == 8


def test_the_mask_keeps_the_first_where_it_is_black():
    a, b = latent(1), latent(2)
    mask = torch.zeros(1, 6, 6)
    mask[:, :, 3:] = 1
    parts = blend_latents([a, b], WALK, mask=mask, batch=2)
    found = torch.cat([part["samples"] for part in parts])
    whole = mix_comfy_latents([a, b], WALK)["samples"]
    assert torch.equal(found, masked(a["samples"], whole, mask.unsqueeze(1)))
    assert torch.equal(found[..., :3], a["samples"].expand(3, -1, -1, -1)[..., :3])
    each = torch.stack([torch.full((6, 6), value) for value in (0.0, 1.0, 0.0)])
    parts = blend_latents([a, b], [[0, 1]] * 3, mask=each, batch=2)
    assert torch.equal(
        torch.cat([part["samples"] for part in parts]), torch.cat([a["samples"], b["samples"], a["samples"]])
    )


@pytest.mark.parametrize("how", ["slerp", "screen"])
def test_nested_latents_are_blended_part_by_part(how):
    a, b = ({"samples": Nested([normal(seed, 2, 3, 2, 4, 4), normal(seed + 9, 2, 8, 5, 6)])} for seed in (1, 2))
    (found,) = blend_latents([a, b], HALF, how=how, adain=True)
    assert isinstance(found["samples"], Nested)
    for index, part in enumerate(found["samples"].parts):
        plain = [{"samples": source["samples"].parts[index]} for source in (a, b)]
        assert torch.equal(part, blend_latents(plain, HALF, how=how, adain=True)[0]["samples"])
    with pytest.raises(MixError, match="nested latents have no common plane"):
        blend_latents([a, b], HALF, mask=torch.ones(1, 4, 4))


@pytest.mark.parametrize(
    ("sources", "options", "words"),
    [
        ([latent(1), {}], {}, r'sources\[1\]: "samples" is missing'),
        ([latent(1, 2), latent(2, 3)], {}, r"sources\[1\]: a batch of 3, and sources\[0\] has 2 frames"),
        (
            [latent(1, 4), {"samples": normal(1, 1, 4, 6, 8)}],
            {},
            r"sources\[1\]: 1x4x6x8 does not match sources\[0\], 4x4x6x6",
        ),
        ([latent(1, 3), {"samples": torch.full((1, 4, 6, 6), math.nan)}], {}, r"sources\[1\]: it holds inf or NaN"),
        ([latent(1), {"samples": Nested([normal(1, 1, 4, 6, 6)])}], {}, "nested and plain"),
        ([latent(1, batch_index=[1]), latent(2, batch_index=[2])], {}, r'sources\[1\]: its "batch_index"'),
        ([latent(1), latent(2)], {"mask": torch.ones(3, 6, 6)}, "mask: 3x6x6 for 1 frame"),
        ([latent(1, type="audio"), latent(2)], {}, '"type" differs'),
    ],
)
def test_latents_that_do_not_go_together_are_refused(sources, options, words):
    with pytest.raises(MixError, match=words):
        blend_latents(sources, HALF, **options)


# --- layers


def test_layers_of_one_frame_are_that_layer_and_opacity_is_the_share():
    a, b, c = (normal(seed, 1, 4, 6, 6) for seed in (1, 2, 3))
    assert torch.equal(blend_layers([a, b, c], [[1, 0, 0]], "multiply"), a)
    grey = torch.zeros(1, 4, 6, 6)
    torch.testing.assert_close(blend_layers([a, grey], [[0.5, 0.5]], "overlay"), a)
    lightened = blend_layers([a, b], [[0, 1]], "lighten")
    torch.testing.assert_close(lightened, torch.maximum(a, b))
    torch.testing.assert_close(blend_layers([a, b], HALF, "lighten"), (a + lightened) / 2)
    # Opacity is the share of what lies below: of three equal layers the last has a third.
    third = blend_layers([a, b, c], [[1 / 3] * 3], "lighten")
    below = blend_layers([a, b], HALF, "lighten")
    torch.testing.assert_close(third, below + (torch.maximum(below, c) - below) / 3)


@given(seed=st.integers(0, 99), mode=st.sampled_from(["multiply", "difference", "vivid_light"]))
def test_a_frame_of_layers_is_the_same_in_any_batch(seed, mode):
    a, b = normal(seed, 3, 4, 2, 2), normal(seed + 1, 3, 4, 2, 2)
    whole = blend_layers([a, b], WALK, mode)
    for frame in range(3):
        part = blend_layers([a[frame : frame + 1], b[frame : frame + 1]], WALK[frame : frame + 1], mode)
        assert torch.equal(whole[frame : frame + 1], part)


@pytest.mark.parametrize("mode", ["lighten", "overlay"])
def test_a_channel_of_zeros_in_all_layers_stays_zeros(mode):
    a, b = normal(1, 1, 4, 6, 6), normal(2, 1, 4, 6, 6)
    a[:, 1] = b[:, 1] = 0
    found = blend_layers([a, b], HALF, mode)
    assert found.isfinite().all()
    assert not found[:, 1].any()


def test_double_precision_layers_are_computed_in_it():
    a, b = normal(1, 1, 4, 6, 6).double() + 1e-9, normal(2, 1, 4, 6, 6).double() - 1e-9
    torch.testing.assert_close(blend_layers([a, b], [[0, 1]], "lighten"), torch.maximum(a, b), rtol=1e-14, atol=1e-14)


def test_half_precision_layers_stay_half():
    a, b = normal(1, 1, 4, 6, 6).half(), normal(2, 1, 4, 6, 6).half()
    assert blend_layers([a, b], HALF, "screen").dtype == torch.float16


@pytest.mark.parametrize(
    ("layers", "mode", "words"),
    [
        ([normal(1, 1, 4, 6, 6), normal(2, 2, 4, 6, 6)], "screen", r"sources\[1\]: 2x4x6x6 does not match"),
        ([normal(1, 1, 4, 6, 6), normal(2, 1, 4, 6, 8)], "screen", "resize one of them"),
        ([normal(1, 1, 4, 6, 6), torch.full((1, 4, 6, 6), math.inf)], "screen", "inf or NaN"),
        ([normal(1, 1, 4, 6, 6)], "normal", "mode: 'normal' is not known"),
        ([normal(1, 6), normal(2, 6)], "screen", "it is no latent"),
    ],
)
def test_layers_that_do_not_fit_are_refused(layers, mode, words):
    with pytest.raises(MixError, match=words):
        blend_layers(layers, [[1 / len(layers)] * len(layers)], mode)
