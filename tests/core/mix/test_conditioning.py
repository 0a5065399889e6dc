"""Conditioning of every family, mixed, with prompts of different lengths."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from remix.catalog.families import FAMILIES, TRAVEL
from remix.errors import MixError
from remix.mix import POLICIES, Conditioning, mix_conditioning, slerp
from tests.core.mix.memory import Peak

WALK = [[1.0, 0.0], [0.75, 0.25], [0.0, 1.0]]


def rows(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def prompt(seed: int, count: int = 4, dtype: torch.dtype = torch.float32, **extra: object) -> Conditioning:
    return Conditioning(rows(seed, 1, count, 8, dtype=dtype), rows(seed + 100, 1, 6, dtype=dtype), extra)


def attention(tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    """Plain cross-attention of fixed queries; masked positions are passed over."""
    logits = rows(99, 1, 5, tokens.shape[2]) @ tokens.mT / math.sqrt(tokens.shape[2])
    if mask is not None:
        logits = logits.masked_fill(mask.unsqueeze(1) == 0, -math.inf)
    return logits.softmax(dim=-1) @ tokens


# --- the mix itself


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("how", ["lerp", "slerp"])
def test_tokens_and_pooled_travel_together_and_hit_both_ends(how, dtype):
    a, b = prompt(1, dtype=dtype), prompt(2, dtype=dtype)
    mixed = mix_conditioning([a, b], WALK, how=how)
    assert mixed.tokens.dtype == mixed.pooled.dtype == dtype
    for frame, source in ((0, a), (2, b)):
        assert torch.equal(mixed.tokens[frame], source.tokens[0])
        assert torch.equal(mixed.pooled[frame], source.pooled[0])
    between = slerp(a.tokens, b.tokens, 0.25) if how == "slerp" else torch.lerp(a.tokens, b.tokens, 0.25)
    torch.testing.assert_close(mixed.tokens[1:2], between, rtol=2e-2, atol=2e-2)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=10), st.sampled_from(["lerp", "slerp"]))
def test_a_frame_is_the_same_in_any_batch(shares, how):
    sources = [prompt(1, 4, guidance=2.0), prompt(2, 8, guidance=6.0)]
    weights = [[1 - t, t] for t in shares]
    together = mix_conditioning(sources, weights, how=how)
    for frame, row in enumerate(weights):
        alone, one = mix_conditioning(sources, [row], how=how), together.at(frame)
        torch.testing.assert_close(one.tokens, alone.tokens, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(one.pooled, alone.pooled, rtol=1e-5, atol=1e-6)
        assert one.extra["guidance"] == pytest.approx(alone.extra["guidance"])


def test_families_without_pooled_have_none():
    bare = [Conditioning(rows(seed, 1, 4, 8)) for seed in (1, 2)]
    assert mix_conditioning(bare, WALK, family="qwen_image").pooled is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_batch_of_frames_needs_its_result_and_one_source_at_most(dtype):
    sources = [Conditioning(rows(k, 1, 77, 2048, dtype=dtype), rows(k, 1, 1280, dtype=dtype)) for k in range(6)]
    weights = torch.full((8, 6), 1 / 6, dtype=torch.float64)
    with Peak([x for source in sources for x in (source.tokens, source.pooled)]) as seen:
        mixed = mix_conditioning(sources, weights, how="slerp", family="sdxl")
    result = sum(x.untyped_storage().nbytes() for x in (mixed.tokens, mixed.pooled))
    assert result < seen.most <= result + 1.1 * 77 * 2048 * 4


# --- lengths


def test_tiling_changes_no_attention_at_the_ends():
    sources = [prompt(1, 77), prompt(2, 154), prompt(3, 231)]
    mixed = mix_conditioning(sources, torch.eye(3), family="sdxl")
    assert mixed.tokens.shape[1] == 462
    for frame, source in enumerate(sources):
        torch.testing.assert_close(attention(mixed.tokens[frame : frame + 1]), attention(source.tokens))


@pytest.mark.parametrize(
    ("lengths", "ends"),
    [
        ("tile", ([0, 1, 0, 1, 0, 1], [0, 1, 2, 0, 1, 2])),
        ("trim", ([0, 1], [0, 1])),
        ("zero", ([0, 1, None], [0, 1, 2])),
    ],
)
def test_unlike_lengths_meet_by_name(lengths, ends):
    sources = [prompt(1, 2), prompt(2, 3)]
    mixed = mix_conditioning(sources, [[1, 0], [0, 1]], lengths=lengths)
    for frame, places in enumerate(ends):
        wanted = [torch.zeros(8) if k is None else sources[frame].tokens[0, k] for k in places]
        assert torch.equal(mixed.tokens[frame], torch.stack(wanted))


@pytest.mark.parametrize("form", [lambda empty: empty, lambda empty: empty.tokens])
def test_padding_by_the_empty_prompt_takes_its_rows_at_the_same_places(form):
    sources, empty = [prompt(1, 3), prompt(2, 11)], prompt(3, 4)
    mixed = mix_conditioning(sources, [[1, 0]], lengths="empty", empty=form(empty))
    wanted = torch.cat([sources[0].tokens, empty.tokens[:, 3:], empty.tokens, empty.tokens[:, :3]], dim=1)
    assert torch.equal(mixed.tokens, wanted)


@pytest.mark.parametrize("lengths", POLICIES)
@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_of_one_length_are_left_alone_by_every_policy(family, lengths):
    sources = [prompt(1), prompt(2)]
    mixed = mix_conditioning(sources, [[1, 0]], lengths=lengths, family=family)
    assert torch.equal(mixed.tokens, sources[0].tokens)
    assert mixed.extra == {}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_policy_that_brings_unlike_lengths_together(family):
    sources = [prompt(1, 3), prompt(2, 5)]
    if FAMILIES[family].lengths == TRAVEL:
        mixed = [mix_conditioning(sources, [row], family=family) for row in WALK]
        assert [one.tokens.shape[1] for one in mixed] == [3, 4, 5]
        return
    mixed = mix_conditioning(sources, WALK, family=family, empty=prompt(3, 4))
    assert mixed.tokens.shape[:2] == (3, 15 if FAMILIES[family].lengths == "tile" else 5)


@pytest.mark.parametrize("how", ["lerp", "slerp"])
def test_the_number_of_rows_travels_and_nothing_is_padded(how):
    short, long = prompt(1, 2, attention_mask=torch.ones(1, 2)), prompt(2, 6, attention_mask=torch.ones(1, 6))
    sources, frames = [short, long], [[1, 0], [0.75, 0.25], [0.5, 0.5], [0, 1]]
    mixed = [mix_conditioning(sources, [row], how=how, family="krea2") for row in frames]
    assert [one.tokens.shape[1] for one in mixed] == [2, 3, 4, 6]
    assert torch.equal(mixed[0].tokens, short.tokens)
    assert torch.equal(mixed[3].tokens, long.tokens)
    for one, (share, _) in zip(mixed[1:3], frames[1:3], strict=True):
        shared = mix_conditioning(
            [prompt(1, 2), Conditioning(long.tokens[:, :2], long.pooled)], [[share, 1 - share]], how=how
        )
        assert torch.equal(one.tokens[:, :2], shared.tokens)
        assert torch.equal(one.tokens[:, 2:], long.tokens[:, 2 : one.tokens.shape[1]])  # rows of one prompt only
    assert all(torch.equal(one.extra["attention_mask"], torch.ones(1, one.tokens.shape[1])) for one in mixed)


def test_three_prompts_share_the_rows_that_they_have():
    ones = [Conditioning(torch.full((1, count, 8), value)) for count, value in ((2, 0.0), (4, 4.0), (8, 10.0))]
    mixed = mix_conditioning(ones, [[0.5, 0.25, 0.25]], family="unknown")
    assert mixed.tokens[0, :, 0].tolist() == [3.5, 3.5, 7.0, 7.0]


def test_frames_with_different_numbers_of_rows_do_not_fit_into_one_batch():
    with pytest.raises(MixError, match=r'tokens: the frames have 3 to 5 rows.*one by one, or set lengths = "empty"'):
        mix_conditioning([prompt(1, 3), prompt(2, 5)], WALK, family="z_image")


# --- masks


def test_zeros_are_masked_out_where_the_family_has_a_mask():
    sources = [prompt(1, 3), prompt(2, 5)]
    mixed = mix_conditioning(sources, [[1, 0], [0.5, 0.5], [0, 1]], lengths="zero", family="qwen_image")
    mask = mixed.extra["attention_mask"]
    assert mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert mask.dtype == torch.long
    torch.testing.assert_close(attention(mixed.tokens[:1], mask[:1]), attention(sources[0].tokens))


@pytest.mark.parametrize("dtype", [torch.bool, torch.long, torch.float32])
def test_a_position_is_attended_to_where_any_source_in_use_attends(dtype):
    masks = [torch.tensor([values], dtype=dtype) for values in ([1, 0, 0], [1, 1, 0], [0, 0, 1])]
    sources = [prompt(seed, 3, attention_mask=mask) for seed, mask in enumerate(masks)]
    weights = [[1, 0, 0], [0.5, 0.5, 0], [0.01, 0, 0.99]]
    mask = mix_conditioning(sources, weights, family="qwen_image").extra["attention_mask"]
    assert torch.equal(mask, torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 1]], dtype=dtype))


def test_a_source_without_a_mask_attends_to_all_of_its_tokens():
    sources = [prompt(1, 3), prompt(2, 3, attention_mask=torch.tensor([[1, 0, 0]]))]
    mask = mix_conditioning(sources, WALK, family="qwen_image").extra["attention_mask"]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    ("lengths", "ends"),
    [
        ("tile", [[1, 0, 1, 0, 1, 0], [1, 1, 0, 1, 1, 0]]),
        ("zero", [[1, 0, 0], [1, 1, 0]]),
        ("empty", [[1, 0, 0], [1, 1, 0]]),
        ("trim", [[1, 0], [1, 1]]),
    ],
)
def test_masks_meet_as_their_tokens_do(lengths, ends):
    sources = [
        prompt(1, 2, attention_mask=torch.tensor([[1, 0]])),
        prompt(2, 3, attention_mask=torch.tensor([[1, 1, 0]])),
    ]
    empty = prompt(3, 2, attention_mask=torch.tensor([[0, 1]]))
    mixed = mix_conditioning(sources, torch.eye(2), lengths=lengths, family="qwen_image", empty=empty)
    assert mixed.extra["attention_mask"].tolist() == ends


# --- every other key


def test_numbers_on_a_scale_are_weighted_sums():
    sources = [prompt(1, guidance=2.0, width=512), prompt(2, guidance=6, width=512)]
    mixed = mix_conditioning(sources, WALK, family="flux")
    torch.testing.assert_close(mixed.extra["guidance"], torch.tensor([2.0, 3.0, 6.0]))
    assert mixed.extra["width"] == 512
    assert isinstance(mixed.extra["width"], int)
    assert mixed.at(1).extra == {"guidance": 3.0, "width": 512}
    assert isinstance(mixed.at(1).extra["guidance"], float)
    one = mix_conditioning(sources, WALK[1:2], family="flux")
    assert one.extra["guidance"] == 3.0
    assert isinstance(one.extra["guidance"], float)


def test_a_number_of_a_frame_with_one_source_is_that_number():
    # Weights may miss 1 by a rounding error.
    mixed = mix_conditioning([prompt(1, guidance=3.5), prompt(2, guidance=6.0)], [[1 - 1e-7, 0]], family="flux")
    assert mixed.extra["guidance"] == 3.5


def test_keys_with_rows_of_tokens_meet_and_mix_on_their_own_axis():
    llamas = [rows(5, 1, 2, 3, 4), rows(6, 1, 2, 6, 4)]
    sources = [prompt(seed, conditioning_llama3=llama) for seed, llama in enumerate(llamas)]
    mixed = mix_conditioning(sources, WALK, family="hidream", lengths="tile", how="slerp")
    tiled = llamas[0].repeat(1, 1, 2, 1)
    assert torch.equal(mixed.extra["conditioning_llama3"][0], tiled[0])
    torch.testing.assert_close(mixed.extra["conditioning_llama3"][1:2], slerp(tiled, llamas[1], 0.25))


def test_other_tensors_and_lists_of_tensors_are_mixed_straight():
    a, b = rows(1, 1, 4, 2, 2), rows(2, 1, 4, 2, 2)
    sources = [
        prompt(1, concat_latent_image=a, reference_latents=[a]),
        prompt(2, concat_latent_image=b, reference_latents=[b]),
    ]
    mixed = mix_conditioning(sources, WALK, family="wan", how="slerp")
    torch.testing.assert_close(mixed.extra["concat_latent_image"][1:2], 0.75 * a + 0.25 * b)
    assert torch.equal(mixed.extra["reference_latents"][0][2:], b)
    assert torch.equal(mixed.at(2).extra["reference_latents"][0], b)


def test_what_only_python_understands_is_carried_over_if_equal():
    hook, box = object(), {"steps": [1, 2], "tensor": torch.ones(2)}
    sources = [
        prompt(seed, hooks=hook, control={"steps": [1, 2], "tensor": torch.ones(2)}, guidance=None) for seed in (1, 2)
    ]
    mixed = mix_conditioning(sources, WALK)
    assert mixed.extra["hooks"] is hook
    assert mixed.extra["guidance"] is None
    assert mixed.extra["control"]["steps"] == box["steps"]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_what_all_frames_share_is_not_cut_by_its_length(frames):
    table, own = rows(1, 3, 5), [rows(seed, 1, 4, 2, 2) for seed in (2, 3)]
    sources = [
        prompt(seed, control_table=table, tables=[table], concat_latent_image=image, guidance=torch.tensor([3.5]))
        for seed, image in enumerate(own)
    ]
    mixed = mix_conditioning(sources, WALK[:frames], family="wan")
    for frame in range(frames):
        one = mixed.at(frame)
        assert one.extra["control_table"] is table
        assert one.extra["tables"][0] is table
        assert torch.equal(one.extra["guidance"], torch.tensor([3.5]))
        assert torch.equal(one.extra["concat_latent_image"], mixed.extra["concat_latent_image"][frame : frame + 1])
        assert torch.equal(one.at(0).extra["control_table"], table)


def test_a_conditioning_says_itself_what_its_pictures_share():
    guidance = torch.tensor([1.0, 2.0])
    both = Conditioning(rows(1, 2, 4, 8), None, {"guidance": guidance, "ids": guidance}, shared={"ids"})
    assert both.at(1).extra["guidance"] == 2.0
    assert both.at(1).extra["ids"] is guidance


# --- ComfyUI's form


def test_a_comfyui_entry_comes_back_as_it_was():
    entry = [rows(1, 1, 4, 8), {"pooled_output": None, "guidance": 3.5, "hooks": None}]
    there_and_back = Conditioning.from_comfy(entry).to_comfy()
    assert there_and_back[0] is entry[0]
    assert there_and_back[1] == entry[1]
    assert Conditioning.from_comfy([entry[0], {}]).to_comfy()[1] == {"pooled_output": None}


def test_a_comfyui_entry_cannot_hold_numbers_that_differ():
    mixed = mix_conditioning([prompt(1, guidance=2.0), prompt(2, guidance=6.0)], WALK)
    with pytest.raises(MixError, match=r"guidance.*one number.*at\(frame\)"):
        mixed.to_comfy()
    assert mixed.at(-1).to_comfy()[1]["guidance"] == 6.0


# --- refusals


@pytest.mark.parametrize(
    ("sources", "options", "words"),
    [
        ([], {}, "none"),
        (prompt(1), {}, "sources: a Conditioning is no sequence"),
        ([prompt(1), None], {}, r"sources\[1\]: None; give a Conditioning"),
        ([prompt(1), prompt(2)], {"empty": "x"}, "empty: 'x'"),
        ([prompt(1), prompt(2)], {"empty": Conditioning(rows(2, 2, 4, 8))}, "empty: a batch of 2"),
        ([prompt(1), prompt(2)], {"family": None}, "family: None is not known"),
        ([prompt(1), prompt(2, 5)], {"lengths": "empty", "empty": rows(3, 1, 4, 9)}, "empty: tokens of 1x4x9.*1x4x8"),
        ([prompt(1, attention_mask=[1] * 4), prompt(2)], {}, r'sources\[0\]: extra\["attention_mask"\] is \[1'),
        (
            [prompt(seed, conditioning_llama3=rows(seed, 1, 4)) for seed in (1, 2)],
            {},
            r'extra\["conditioning_llama3"\]: 1x4 in sources\[0\] has no rows on axis 2',
        ),
        ([prompt(1), prompt(2)], {"family": "sdlx"}, "'sdlx'.*'sdxl'"),
        ([prompt(1), prompt(2)], {"lengths": "tiel"}, "'tiel'.*'tile'"),
        ([prompt(1), prompt(2)], {"how": "noise"}, "'noise'.*lerp, slerp"),
        ([prompt(1, 77), prompt(2, 85)], {}, '77 and 85.*6545.*"empty"'),
        ([prompt(1, 3), prompt(2, 4)], {"lengths": "equal"}, "3 and 4 rows.*tile, empty, zero, front, trim"),
        ([prompt(1, 300), prompt(2, 400)], {"family": "flux"}, "300 and 400.*empty="),
        ([prompt(1, 77), prompt(2, 400)], {"family": "flux"}, "77 is fewer.*256.*check the family"),
        ([prompt(1, 0), prompt(2, 4)], {}, "without any row"),
        ([prompt(1, 3), prompt(2, 4)], {"lengths": "empty", "empty": prompt(3, 0)}, "no rows to pad with"),
        ([prompt(1), Conditioning(rows(2, 2, 4, 8), rows(2, 2, 6))], {}, r"sources\[1\]: a batch of 2"),
        ([prompt(1), Conditioning(rows(2, 1, 4, 9), rows(2, 1, 6))], {}, "1x4x9.*1x4x8"),
        ([prompt(1), Conditioning(rows(2, 1, 4, 8))], {}, "pooled.*None"),
        ([prompt(1), Conditioning(rows(2, 1, 4, 8), rows(2, 1, 7))], {}, "pooled.*1x7.*1x6"),
        ([prompt(1), prompt(2, guidance=1.0)], {}, r'sources\[1\]: extra\["guidance"\]'),
        ([prompt(1, guidance=None), prompt(2, guidance=1.0)], {}, r'extra\["guidance"\].*cannot be mixed'),
        ([prompt(1, hooks=object()), prompt(2, hooks=object())], {}, r'extra\["hooks"\].*differs'),
        ([prompt(1, guiding_frame_index=0), prompt(2, guiding_frame_index=8)], {}, "guiding_frame_index"),
        ([prompt(1, flag=True), prompt(2, flag=False)], {}, "flag"),
        ([prompt(1, t5xxl_ids=torch.tensor([3])), prompt(2, t5xxl_ids=torch.tensor([4]))], {}, "ids of words"),
        ([prompt(1, mask=rows(1, 1, 4)), prompt(2, mask=rows(1, 1, 5))], {}, r'extra\["mask"\].*1x5.*1x4'),
        ([prompt(1, attention_mask=torch.ones(1, 3)), prompt(2)], {}, "attention_mask.*1x3.*1x4"),
    ],
)
def test_what_cannot_be_mixed_is_refused_by_name(sources, options, words):
    with pytest.raises(MixError, match=words):
        mix_conditioning(sources, [[0.5, 0.5]], **options)


@pytest.mark.parametrize(("tokens", "pooled"), [((4, 8), None), ((2, 4, 8), (1, 6)), ((2, 4, 8), (2, 3, 6))])
def test_tensors_of_other_ranks_are_no_conditioning(tokens, pooled):
    with pytest.raises(MixError, match="batch"):
        Conditioning(torch.zeros(tokens), None if pooled is None else torch.zeros(pooled))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: prompt(1).at(1), "frame 1: there are 1"),
        (lambda: prompt(1).at("x"), "frame: 'x'"),
        (lambda: Conditioning("x"), "tokens: 'x' is not a tensor"),
        (lambda: Conditioning(torch.zeros(1, 4, 8).int()), r"tokens: torch.int32.*\.float\(\)"),
        (lambda: Conditioning(torch.zeros(1, 4, 8), 5), "pooled: 5 is not a tensor"),
        (lambda: Conditioning(torch.zeros(1, 4, 8), None, 5), "extra: 5; give a mapping"),
        (lambda: Conditioning(torch.zeros(1, 4, 8), None, {}, "ids"), "shared: 'ids'; give a set"),
        (lambda: Conditioning.from_comfy(5), r"entry: 5; give one entry"),
        (lambda: Conditioning.from_comfy([torch.zeros(1, 4, 8)]), r"entry: a list; give one entry"),
    ],
)
def test_what_is_no_conditioning_is_refused_by_name(call, words):
    with pytest.raises(MixError, match=words):
        call()
