"""What the conditioning of each model family is made of: its keys, and how unlike lengths meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# Keys with one row for each token, and the axis of those rows.
TOKEN_AXES: Mapping[str, int] = MappingProxyType({"conditioning_llama3": 2, "conditioning_lyrics": 1})

# The key that says which tokens are attended to, [B, n].
MASK = "attention_mask"

_SIZES = ("width", "height", "crop_w", "crop_h", "target_width", "target_height")

# Numbers that a model reads as a position on a scale, so that a value in between has a meaning.
NUMBERS = frozenset(
    (
        *_SIZES,
        "aesthetic_score",
        "guidance",
        "frame_rate",
        "lyrics_strength",
        "seconds_start",
        "seconds_total",
    )
)


@dataclass(frozen=True)
class Layout:
    """The conditioning of one model family.

    `lengths` is the policy by which token rows of unlike number meet, `rows` the fewest rows that
    the family's encoder gives for a prompt, `keys` what comes with the tokens besides `pooled`.
    """

    lengths: str
    rows: int
    keys: tuple[str, ...] = ()


# "tile" where tokens only meet in plain cross-attention: repeating all of them changes no softmax.
# "empty" where padding takes part. Wan's encoder zeroes what lies beyond a prompt: "zero" is the same.
LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "sd1": Layout("tile", 77),
        "sd2": Layout("tile", 77, ("unclip_conditioning",)),
        "sdxl": Layout("tile", 77, _SIZES),
        "sdxl_refiner": Layout("tile", 77, (*_SIZES[:4], "aesthetic_score")),
        "sd3": Layout("empty", 154, (MASK,)),
        "flux": Layout("empty", 256, ("guidance", MASK, "reference_latents", "reference_latents_method")),
        "chroma": Layout("empty", 256, ("guidance", MASK)),
        "wan": Layout("zero", 512, ("concat_latent_image", "concat_mask", "clip_vision_output")),
        "hunyuan_video": Layout("empty", 1, (MASK, "guidance", "guiding_frame_index", "ref_latent")),
        "hidream": Layout("empty", 128, ("conditioning_llama3",)),
        "qwen_image": Layout("empty", 1, (MASK, "reference_latents")),
        "lumina2": Layout("empty", 1, (MASK,)),
        "omnigen2": Layout("empty", 1, (MASK, "reference_latents")),
        "mochi": Layout("empty", 1, (MASK,)),
        "ltxv": Layout("empty", 1, (MASK, "frame_rate")),
        "cosmos": Layout("empty", 1, (MASK,)),
        "ace_step": Layout("empty", 1, ("conditioning_lyrics", "lyrics_strength")),
        "stable_audio": Layout("empty", 1, ("seconds_start", "seconds_total")),
    }
)
