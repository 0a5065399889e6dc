"""Model families: the form of their conditioning, the handling of prompt lengths, and their latents.

Based on ComfyUI 0.33 (model_base, latent_formats, text_encoders) and diffusers. A family that is not listed is
`UNKNOWN`, whose rules are safe for any encoder.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

MASK = "attention_mask"
"""The key of the mask of attended tokens, [B, n]."""

TOKEN_AXES: Mapping[str, int] = MappingProxyType({"conditioning_llama3": 2, "conditioning_lyrics": 1})
"""Keys with one row for each token, and the axis of those rows."""

TOKEN_IDS = ("t5xxl_ids", "t5xxl_weights", "text_input_ids")
"""Keys with token numbers and their weights. They stand for words, so they cannot be interpolated."""

TRAVEL = "travel"
"""The policy of families whose model attends to every row and knows no padding: the number of rows travels, too."""

_SIZES = ("width", "height", "crop_w", "crop_h", "target_width", "target_height")

NUMBERS = frozenset(
    (
        *_SIZES,
        *("aesthetic_score", "guidance", "frame_rate", "lyrics_strength", "seconds_start", "seconds_total"),
    )
)
"""Keys that a model reads as a position on a scale, so that they can be interpolated."""

SIZE_WIDTH = 256
"""The number of values that encode one size of a picture in the vector of SDXL."""


@dataclass(frozen=True)
class Family:
    """A model family.

    - `widths` are the widths of its tokens, `pooled` those of its pooled vector (None: it has none; empty: any).
    - `lengths` is the policy for different numbers of token rows, `rows` the fewest rows that its encoder returns.
    - `chunk`: rows come in chunks of this many.
    - `keys` come with the tokens, in addition to `pooled`; `sign` is one of them that no other family has.
    """

    name: str
    title: str
    lengths: str
    widths: tuple[int, ...] = ()
    pooled: tuple[int | None, ...] = ()
    rows: int = 1
    chunk: int = 1
    keys: tuple[str, ...] = ()
    sign: str = ""
    sizes: int = 0
    """The number of sizes of the picture after the pooled vector in A1111."""
    comfyui: tuple[str, ...] = ()
    """The classes of ComfyUI's `supported_models`, without those derived from them."""
    loader: str = ""
    """The type of its text encoder in ComfyUI's CLIP loaders; z_image shares that of lumina2."""
    channels: int = 4
    """The channels of its latents."""
    axes: int = 2
    """The axes of a latent after its channels; 3 where there is a time axis, which has length 1 for one picture."""
    step: int = 8
    """The width and height of a picture are multiples of this."""
    film: bool = False
    """The family is trained to make films, not single pictures."""
    sound: bool = False
    """The family is trained to make sound."""
    flow: bool = False
    """The family is trained on straight paths from data to noise (rectified flow)."""
    clip_layer: int = 1
    """The layer of CLIP that it is trained with, counted from the end."""
    pipeline: str = ""
    """The pipeline class of diffusers."""
    webui: tuple[str, ...] = ()
    """The web UIs, "a1111" and "forge", on which the tests render its frames."""
    text_prefixes: tuple[str, ...] = ()
    """Prefixes of the weights of its text encoders in a single file, in the order of diffusers' folders."""
    vae_scale: float = 1.0
    """The scale factor of its VAE's latents."""
    defaults: Mapping[str, int | float | str] = field(default_factory=dict)
    """Its recommended settings, by the names of a recipe's fields, where they differ from a recipe's defaults."""

    @property
    def tiles(self) -> bool:
        """Returns whether tokens are only used in plain cross-attention, where repeating them changes nothing."""
        return self.lengths == "tile"


_ROWS = (
    Family(
        *("sd1", "SD 1.5", "tile"),
        widths=(768,),
        pooled=(768, None),
        rows=77,
        chunk=77,
        comfyui=("SD15",),
        loader="stable_diffusion",
        webui=("a1111", "forge"),
        pipeline="StableDiffusionPipeline",
        text_prefixes=("cond_stage_model.transformer.",),
        vae_scale=0.18215,
    ),
    # Its U-Net also pools all rows into the time embedding.
    Family(
        *("playground", "the bundled model", "tile"),
        widths=(128,),
        pooled=(128, None),
        rows=32,
        chunk=32,
        comfyui=("Playground",),
        vae_scale=1.7627055644989014,
        defaults={
            **{"width": 128, "height": 128, "sampler": "dpmpp_2m", "scheduler": "sgm_uniform"},
            **{"steps": 12, "cfg": 3.0},
        },
    ),
    Family(
        *("sd2", "SD 2.1", "tile"),
        widths=(1024,),
        pooled=(1024, None),
        rows=77,
        chunk=77,
        keys=("unclip_conditioning",),
        comfyui=("SD20",),
        loader="stable_diffusion",
        clip_layer=2,
        webui=("a1111",),
        pipeline="StableDiffusionPipeline",
        text_prefixes=("cond_stage_model.model.",),
        vae_scale=0.18215,
    ),
    Family(
        *("sdxl", "SDXL", "tile"),
        widths=(2048,),
        pooled=(1280,),
        rows=77,
        chunk=77,
        keys=_SIZES,
        sizes=6,
        comfyui=("SDXL",),
        loader="sdxl",
        clip_layer=2,
        webui=("a1111",),
        pipeline="StableDiffusionXLPipeline",
        defaults={"width": 1024, "height": 1024},
        text_prefixes=("conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."),
        vae_scale=0.13025,
    ),
    Family(
        *("sdxl_refiner", "SDXL refiner", "tile"),
        widths=(1280,),
        pooled=(1280,),
        rows=77,
        chunk=77,
        keys=(*_SIZES[:4], "aesthetic_score"),
        sizes=5,
        comfyui=("SDXLRefiner",),
        clip_layer=2,
    ),
    Family(
        *("sd3", "SD 3", "empty"),
        widths=(4096,),
        pooled=(2048,),
        rows=154,
        keys=(MASK,),
        comfyui=("SD3",),
        loader="sd3",
        channels=16,
        flow=True,
        clip_layer=2,
        pipeline="StableDiffusion3Pipeline",
        defaults={"width": 1024, "height": 1024, "scheduler": "sgm_uniform", "steps": 28, "cfg": 4.5},
    ),
    Family(
        *("flux", "Flux.1", "empty"),
        widths=(4096,),
        pooled=(768,),
        rows=256,
        keys=("guidance", MASK, "reference_latents", "reference_latents_method"),
        comfyui=("Flux",),
        loader="flux",
        channels=16,
        flow=True,
        webui=("forge",),
        pipeline="FluxPipeline",
        defaults={"width": 1024, "height": 1024, "scheduler": "simple", "cfg": 3.5},
    ),
    # The host pads its rows with leading zeros, up to 512.
    Family(
        *("flux2", "Flux.2", "front"),
        widths=(15360, 7680, 12288),
        keys=("guidance", MASK, "reference_latents", "reference_latents_method"),
        comfyui=("Flux2",),
        loader="flux2",
        channels=128,
        step=16,
        flow=True,
        pipeline="Flux2KleinPipeline",
        defaults={"width": 1024, "height": 1024, "scheduler": "simple", "steps": 4, "cfg": 1.0},
    ),
    Family(
        *("hidream", "HiDream", "empty"),
        rows=128,
        keys=("conditioning_llama3",),
        sign="conditioning_llama3",
        comfyui=("HiDream",),
        loader="hidream",
        channels=16,
        flow=True,
    ),
    # The number of the words themselves: the model has the text encoder inside.
    Family(
        *("hidream_o1", "HiDream O1", TRAVEL),
        keys=("text_input_ids",),
        sign="text_input_ids",
        comfyui=("HiDreamO1",),
        channels=3,
        step=32,
        flow=True,
    ),
    # Masks mark the end of a prompt, so that zeros after it are not attended to.
    Family(
        *("hunyuan_image", "HunyuanImage 2.1", "zero"),
        keys=(MASK, "conditioning_byt5small", "guidance"),
        sign="conditioning_byt5small",
        comfyui=("HunyuanImage21",),
        loader="hunyuan_image",
        channels=64,
        step=32,
        flow=True,
    ),
    Family(
        *("qwen_image", "Qwen-Image", "zero"),
        widths=(3584,),
        pooled=(None,),
        keys=(MASK, "reference_latents"),
        comfyui=("QwenImage",),
        loader="qwen_image",
        channels=16,
        axes=3,
        flow=True,
        pipeline="QwenImagePipeline",
        defaults={"width": 1024, "height": 1024, "scheduler": "simple", "cfg": 4.0},
    ),
    Family(
        *("ideogram4", "Ideogram 4", "zero"),
        widths=(53248,),
        pooled=(None,),
        keys=(MASK,),
        comfyui=("Ideogram4",),
        loader="ideogram4",
        channels=128,
        step=16,
        flow=True,
    ),
    # The following families attend to every row, and some place the picture after the last one.
    Family(
        *("chroma", "Chroma", TRAVEL),
        keys=("guidance", MASK),
        comfyui=("Chroma",),
        loader="chroma",
        channels=16,
        flow=True,
        pipeline="ChromaPipeline",
        defaults={"width": 1024, "height": 1024, "scheduler": "simple", "steps": 30, "cfg": 4.0},
    ),
    Family(
        *("z_image", "Z-Image", TRAVEL),
        widths=(2560,),
        keys=(MASK,),
        comfyui=("ZImage",),
        loader="lumina2",
        channels=16,
        flow=True,
        pipeline="ZImagePipeline",
        defaults={"width": 1024, "height": 1024, "scheduler": "simple", "steps": 9, "cfg": 1.0},
    ),
    Family(
        *("lumina2", "Lumina 2", TRAVEL),
        widths=(2304,),
        keys=(MASK,),
        comfyui=("Lumina2",),
        loader="lumina2",
        channels=16,
        flow=True,
    ),
    # Its encoder's tokens look like those of Qwen-Image, but it does not read the mask.
    Family(
        *("longcat", "LongCat-Image", TRAVEL),
        keys=(MASK,),
        comfyui=("LongCatImage",),
        loader="longcat_image",
        channels=16,
        flow=True,
    ),
    Family(
        *("omnigen2", "OmniGen 2", TRAVEL),
        widths=(2048,),
        pooled=(None,),
        keys=(MASK, "reference_latents"),
        comfyui=("Omnigen2",),
        loader="omnigen2",
        channels=16,
        flow=True,
    ),
    Family(
        *("krea2", "Krea 2", TRAVEL),
        widths=(30720,),
        keys=("reference_latents",),
        comfyui=("Krea2",),
        loader="krea2",
        channels=16,
        axes=3,
        flow=True,
        pipeline="Krea2Pipeline",
        defaults={"width": 1024, "height": 1024, "scheduler": "simple", "steps": 28, "cfg": 4.5},
    ),
    Family(
        *("ernie", "Ernie-Image", TRAVEL),
        widths=(3072,),
        pooled=(None,),
        keys=(MASK,),
        comfyui=("ErnieImage",),
        channels=128,
        step=16,
        flow=True,
    ),
    # Besides the tokens it reads the words' numbers in T5's vocabulary.
    Family(
        *("anima", "Anima", TRAVEL),
        widths=(1024,),
        pooled=(None,),
        keys=(MASK, "t5xxl_ids", "t5xxl_weights"),
        sign="t5xxl_ids",
        comfyui=("Anima",),
        channels=16,
        axes=3,
        flow=True,
    ),
    # The encoder itself adds zeros after a prompt.
    Family(
        *("wan", "Wan 2.1", "zero"),
        widths=(4096,),
        pooled=(None,),
        rows=512,
        keys=("concat_latent_image", "concat_mask", "clip_vision_output"),
        comfyui=("WAN21_T2V",),
        channels=16,
        axes=3,
        film=True,
        flow=True,
    ),
    Family(
        *("hunyuan_video", "HunyuanVideo", "empty"),
        keys=(MASK, "guidance", "guiding_frame_index", "ref_latent"),
        comfyui=("HunyuanVideo",),
        channels=16,
        axes=3,
        film=True,
        flow=True,
    ),
    Family(
        *("mochi", "Mochi", "empty"),
        keys=(MASK,),
        comfyui=("GenmoMochi",),
        channels=12,
        axes=3,
        film=True,
        flow=True,
    ),
    Family(
        *("ltxv", "LTX-Video", "empty"),
        keys=(MASK, "frame_rate"),
        comfyui=("LTXV",),
        channels=128,
        step=32,
        axes=3,
        film=True,
        flow=True,
    ),
    Family(
        *("cosmos", "Cosmos", "empty"),
        keys=(MASK,),
        comfyui=("CosmosT2V",),
        channels=16,
        axes=3,
        film=True,
    ),
    Family(
        *("ace_step", "ACE-Step", "empty"),
        keys=("conditioning_lyrics", "lyrics_strength"),
        sign="conditioning_lyrics",
        comfyui=("ACEStep",),
        sound=True,
        channels=8,
    ),
    Family(
        *("stable_audio", "Stable Audio", "empty"),
        keys=("seconds_start", "seconds_total"),
        sign="seconds_total",
        comfyui=("StableAudio",),
        sound=True,
        channels=64,
        axes=1,
    ),
)

UNKNOWN = Family("unknown", "an unlisted family", TRAVEL)
"""What is not listed: nothing is padded, and every key that differs has to be a tensor or a known number."""

FAMILIES: Mapping[str, Family] = MappingProxyType({row.name: row for row in (*_ROWS, UNKNOWN)})


def family_of_shapes(width: int, pooled: int | None, rows: int, keys: Collection[str] = ()) -> Family:
    """Returns the family whose conditioning has these shapes and keys, `UNKNOWN` if there is none or several.

    `width` and `rows` are those of the tokens; `pooled` is the width of the pooled vector, None without one. In A1111
    the sizes of a picture follow that vector, which makes it wider.

    >>> [family_of_shapes(1024, None, rows).name for rows in (77, 512)]
    ['sd2', 'anima']
    >>> family_of_shapes(2048, 2816, 77).name, family_of_shapes(99, None, 5).name
    ('sdxl', 'unknown')
    """
    if signed := [row for row in _ROWS if row.sign and row.sign in keys]:
        return signed[0]
    alike = [row for row in _ROWS if width in row.widths and _fits(row, pooled, rows, keys)]
    if len(alike) > 1:
        whole = [row for row in alike if row.chunk > 1 and rows % row.chunk == 0]
        alike = whole or [row for row in alike if row.chunk == 1]
    return alike[0] if len(alike) == 1 else UNKNOWN


def family_of_classes(names: Iterable[str]) -> Family:
    """Returns the family of a ComfyUI model, from the class names of its config, its own before those of its bases.

    >>> family_of_classes(["ZImage", "Lumina2", "BASE"]).name, family_of_classes(["PixArtAlpha", "BASE"]).name
    ('z_image', 'unknown')
    """
    return next((row for name in names for row in _ROWS if name in row.comfyui), UNKNOWN)


def _fits(row: Family, pooled: int | None, rows: int, keys: Collection[str]) -> bool:
    if MASK in keys and MASK not in row.keys:
        return False
    if row.chunk == 1 and rows < row.rows:
        return False
    if not row.pooled or pooled in row.pooled:
        return True
    return row.sizes > 0 and pooled is not None and pooled - SIZE_WIDTH * row.sizes in row.pooled
