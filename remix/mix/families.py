"""The model family that a conditioning was made for, as far as its own shape tells."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from remix.mix.conditioning import Conditioning
from remix.mix.layouts import LAYOUTS, MASK, TOKEN_AXES

# (width of the tokens, width of pooled or None) of the families in which tokens meet plain cross-attention.
_CROSS_ATTENTION = {
    (768, 768): "sd1",
    (768, None): "sd1",
    (1024, 1024): "sd2",
    (1024, None): "sd2",
    (2048, 1280): "sdxl",
    (1280, 1280): "sdxl_refiner",
}

WAN_ROWS = 512


def family_of(conditioning: Conditioning) -> str:
    """The name in LAYOUTS of the family that `conditioning` looks like.

    Told by the widths of tokens and pooled, then by its keys. Families that cannot be told apart have one policy
    for lengths: what is not plain cross-attention pads with the empty prompt, and so does what is not known.
    """
    pooled = None if conditioning.pooled is None else conditioning.pooled.shape[1]
    width = conditioning.tokens.shape[2]
    if (width, pooled) in _CROSS_ATTENTION:
        return _CROSS_ATTENTION[width, pooled]
    if "conditioning_llama3" in conditioning.extra:
        return "hidream"
    if "conditioning_lyrics" in conditioning.extra:
        return "ace_step"
    if "seconds_total" in conditioning.extra:
        return "stable_audio"
    if width == 4096 and pooled == 2048:
        return "sd3"
    if width == 4096 and pooled == 768:
        return "flux"
    if width == 4096 and pooled is None and MASK not in conditioning.extra and conditioning.tokens.shape[1] >= WAN_ROWS:
        return "wan"
    return "qwen_image"


def needs_empty(sources: Sequence[Conditioning], lengths: str | None = None) -> bool:
    """Whether a mix of `sources` needs the conditioning of "" to pad with: encoding it is work.

    That is where their rows of tokens are unlike and meet by "empty", given or the family's own.
    """
    policy = LAYOUTS[family_of(sources[0])].lengths if lengths is None else lengths
    return policy == "empty" and len({_rows(source) for source in sources}) > 1


def _rows(conditioning: Conditioning) -> tuple[int, ...]:
    """How many rows of tokens each part of a conditioning has."""
    more = [(conditioning.extra.get(key), axis) for key, axis in TOKEN_AXES.items()]
    return (conditioning.tokens.shape[1], *(part.shape[axis] for part, axis in more if isinstance(part, Tensor)))
