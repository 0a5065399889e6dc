"""Noise on the conditioning: its size, what it depends on, and that it travels with the seeds."""

from __future__ import annotations

import pytest
import torch

from remix.catalog.families import MASK
from remix.errors import MixError
from remix.mix import Conditioning, noise_of_seed, varied

ONE, TWO, BOTH = [(1, 1.0)], [(2, 1.0)], [(1, 0.5), (2, 0.5)]


def noise(tokens: torch.Tensor, mix: list[tuple[int, float]], family: str, **extra: torch.Tensor) -> torch.Tensor:
    """What is added at 0.4, which is noise of one deviation."""
    given = Conditioning(tokens, None, extra)
    return varied(given, [mix] * len(tokens), 0.4, family=family).tokens - tokens


def test_noise_has_the_deviation_of_the_tokens_times_the_amount() -> None:
    tokens = 3 * torch.randn(2, 77, 768) + 1
    found = varied(Conditioning(tokens), [ONE, TWO], 0.2).tokens - tokens
    torch.testing.assert_close(found.std(), torch.tensor(1.5), rtol=0.02, atol=0)
    given = Conditioning(tokens)
    assert varied(given, [ONE, TWO], 0.0) is given


def test_noise_is_that_of_the_seeds_and_of_their_mix() -> None:
    tokens = torch.randn(1, 40, 64)
    drawn = noise_of_seed(1, (40, 64)) * tokens.std(unbiased=False)
    torch.testing.assert_close(noise(tokens, ONE, "z_image"), drawn)
    one, two, both = (noise(tokens, mix, "z_image") for mix in (ONE, TWO, BOTH))
    torch.testing.assert_close(both, (one + two) / 2**0.5, atol=0.05, rtol=0.05)
    assert (one - two).abs().max() > 1


@pytest.mark.parametrize("rows", [77, 154])
def test_a_prompt_that_is_repeated_whole_stays_repeated(rows: int) -> None:
    tokens = torch.randn(1, 77, 768)
    repeated = noise(tokens.repeat(1, rows // 77, 1), ONE, "sd1")
    torch.testing.assert_close(repeated, noise(tokens, ONE, "sd1").repeat(1, rows // 77, 1))


def test_padding_changes_no_row() -> None:
    """Behind, where a mask hides it, and in front."""
    tokens, padding = torch.randn(1, 20, 64), torch.zeros(1, 13, 64)
    mask = torch.tensor([[1] * 20 + [0] * 13])
    behind = noise(torch.cat([tokens, padding], dim=1), ONE, "qwen_image", **{MASK: mask})
    torch.testing.assert_close(behind[:, :20], noise(tokens, ONE, "qwen_image"))
    spread = tokens.std(unbiased=False) / torch.cat([padding, tokens], dim=1).std(unbiased=False)
    front = noise(torch.cat([padding, tokens], dim=1), ONE, "flux2")
    torch.testing.assert_close(front[:, 13:] * spread, noise(tokens, ONE, "flux2"))


def test_a_frame_does_not_depend_on_the_others_and_precision_is_kept() -> None:
    tokens = torch.randn(3, 77, 768).half()
    mixes = [ONE, BOTH, TWO]
    together = varied(Conditioning(tokens), mixes, 0.3).tokens
    assert together.dtype is torch.float16
    for at, mix in enumerate(mixes):
        alone = varied(Conditioning(tokens[at : at + 1]), [mix], 0.3).tokens
        assert torch.equal(together[at : at + 1], alone)
    with pytest.raises(MixError, match="seeds: 2 mixes for 3 pictures; give one for each"):
        varied(Conditioning(tokens), [ONE, TWO], 0.3)
