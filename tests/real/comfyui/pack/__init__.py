"""A pack as others write them, for the tests: patches of a model, text encoders of every family, a look at tensors."""

from __future__ import annotations

import io
import json
import zlib
from collections import Counter
from typing import Any

import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.supported_models_base
import comfy.taesd.taehv
import sentencepiece
import torch
from comfy import sd1_clip, sdxl_clip
from comfy.ldm.modules.attention import optimized_attention
from comfy.text_encoders import flux, qwen_image, sd3_clip, wan

ENCODERS = {
    "sd1": (sd1_clip.SD1Tokenizer, sd1_clip.SD1ClipModel),
    "sdxl": (sdxl_clip.SDXLTokenizer, sdxl_clip.SDXLClipModel),
    "sd3": (sd3_clip.SD3Tokenizer, sd3_clip.sd3_clip()),
    "flux": (flux.FluxTokenizer, flux.FluxClipModel),
    "wan": (wan.WanT5Tokenizer, wan.te()),
    "qwen": (qwen_image.QwenImageTokenizer, qwen_image.te()),
}

SHALLOW = {
    **{
        f"{name}_model_config": {"num_hidden_layers": 3, "intermediate_size": 64}
        for name in ("clip_l", "clip_g", "qwen25_7b")
    },
    **{f"{name}_model_config": {"num_layers": 1, "num_heads": 2, "d_ff": 64} for name in ("t5xxl", "umt5xxl")},
    "dtype": torch.float32,
}
"""Each encoder as wide as it is and with next to no layers."""

POOL = 1 << 18
TROUBLES = {"full": torch.OutOfMemoryError, "wrong": ValueError}
FAILED: Counter[str] = Counter()
"""How often each of the nodes that fail has done so."""


class ImagePrompt:
    """Attention to a picture beside the prompt, one picture for each frame: as image prompts are added to a model."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("MODEL",), "pictures": ("INT",), "first": ("INT",)}}

    def patch(self, model: Any, pictures: int, first: int) -> tuple[Any]:
        seen = torch.stack([_random(f"picture {first + at}", (4, 320)) for at in range(pictures)])

        def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
            halves = options["cond_or_uncond"]
            rows, frames = seen, q.shape[0] // len(halves)
            window = options.get("ad_params")
            if window is not None and window["sub_idxs"] is not None and len(rows) >= window["full_length"]:
                rows = rows[window["sub_idxs"]]
            rows = rows.repeat(frames // len(rows) + 1, 1, 1)[:frames] if len(rows) < frames else rows[:frames]
            key = torch.cat([rows * (half == 0) for half in halves])
            plain = optimized_attention(q, k, v, options["n_heads"])
            return plain + 0.2 * optimized_attention(q, key, key, options["n_heads"])

        patched = model.clone()
        patched.set_model_attn2_replace(attend, "input", 1)
        return (patched,)


class MoreWords:
    """Words that are added to the prompt where it is attended to, one row of them for all frames."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("MODEL",)}}

    def patch(self, model: Any) -> tuple[Any]:
        words = _random("words", (1, 8, 768))

        def add(n: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: dict[str, Any]) -> tuple[Any, Any, Any]:
            more = words.to(k).expand(len(k), -1, -1)
            return n, torch.cat([k, more], dim=1), torch.cat([k if v is None else v, more], dim=1)

        patched = model.clone()
        patched.set_model_attn2_patch(add)
        return (patched,)


class Trouble:
    """A model as it is, after so many errors of a kind."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "fail"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        widgets = {"trouble": (list(TROUBLES),), "times": ("INT", {"min": 0}), "name": ("STRING",)}
        return {"required": {"model": ("MODEL",), **widgets}}

    def fail(self, model: Any, trouble: str, times: int, name: str) -> tuple[Any]:
        if FAILED[name] < times:
            FAILED[name] += 1
            raise TROUBLES[trouble]("Allocation on device" if trouble == "full" else "no such thing")
        return (model,)


class Ramp:
    """Numbers from 0 to 1 as a list, as many packs give them: the nodes behind run once for each."""

    RETURN_TYPES = ("FLOAT",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "ramp"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"count": ("INT", {"min": 2})}}

    def ramp(self, count: int) -> tuple[list[float]]:
        return ([number / (count - 1) for number in range(count)],)


class TextEncoder:
    """The host's own text encoder of a model family, shallow and with random weights."""

    RETURN_TYPES = ("CLIP",)
    FUNCTION = "load"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"family": (list(ENCODERS),)}}

    def load(self, family: str) -> tuple[Any]:
        target = comfy.supported_models_base.ClipTarget(*ENCODERS[family])
        words = {"spiece_model": _words()} if family == "wan" else {}
        clip = comfy.sd.CLIP(target, tokenizer_data=words, model_options=SHALLOW)
        for name, parameter in clip.cond_stage_model.named_parameters():
            if ".visual." not in name:  # it is as large as in the real one, and nobody looks
                parameter.data = _weight(name, parameter.shape)
        return (clip,)


class QwenImage:
    """The host's own Qwen-Image with one block of one head, and its own small VAE of films, with random weights."""

    RETURN_TYPES = ("MODEL", "VAE")
    FUNCTION = "load"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def load(self) -> tuple[Any, Any]:
        config = comfy.supported_models.QwenImage(
            {"image_model": "qwen_image", "num_layers": 1, "num_attention_heads": 1, "dtype": torch.float32}
        )
        model = config.get_model({}, "", device="cpu")
        decoder = comfy.taesd.taehv.TAEHV(latent_channels=16)
        for part in (model.diffusion_model, decoder):
            for name, parameter in part.named_parameters():
                parameter.data = _weight(name, parameter.shape).reshape(parameter.shape)
        cpu = torch.device("cpu")
        return comfy.model_patcher.ModelPatcher(model, cpu, cpu), comfy.sd.VAE(sd=decoder.state_dict())


class Formats:
    """The latents of every family that the host knows: channels, and axes after these."""

    RETURN_TYPES = ()
    FUNCTION = "tell"
    CATEGORY = "test"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def tell(self) -> dict[str, Any]:
        formats = {kind.__name__: kind.latent_format for kind in comfy.supported_models.models}
        found = {name: [kind.latent_channels, kind.latent_dimensions] for name, kind in formats.items()}
        return {"ui": {"text": [json.dumps(found)]}}


class Tell:
    """What a conditioning holds: the shapes of its entries, and a mark of each row that hardly two rows share."""

    RETURN_TYPES = ()
    FUNCTION = "tell"
    CATEGORY = "test"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"conditioning": ("CONDITIONING",)}}

    def tell(self, conditioning: list[Any]) -> dict[str, Any]:
        described = [
            {"tokens": _described(tokens), **{k: _described(v) for k, v in about.items()}}
            for tokens, about in conditioning
        ]
        return {"ui": {"text": [json.dumps(described)]}}


def _described(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        rows = value.double().flatten(1)
        marks = _random("marks", (rows.shape[1],)).double()
        # Row by row: a product of a matrix is rounded otherwise than that of one row, on some processors.
        return {"shape": list(value.shape), "marks": [torch.dot(row, marks).item() for row in rows]}
    return value


def _random(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))


def _weight(name: str, shape: torch.Size) -> torch.Tensor:
    """A weight that its name decides. A large one is many views of a small pool, row by row a little further on."""
    if len(shape) < 2:
        return torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
    rows, width = shape[0], shape[1:].numel()
    step = max(1, (POOL - width) // rows)
    scale = 1.0 if "embed" in name or "shared" in name else width**-0.5
    if step >= width:
        return _random(name, tuple(shape)) * scale
    return (_random(name, (width + step * rows,)) * scale).as_strided((rows, width), (step, 1))


def _words() -> torch.Tensor:
    """A model of SentencePiece that knows a few words, as files of UMT5 carry one."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a red apple", "the deep blue sea", "a house on a hill", "snow and wind"] * 20),
        model_writer=written,
        vocab_size=40,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return torch.frombuffer(bytearray(written.getvalue()), dtype=torch.uint8)


NODE_CLASS_MAPPINGS = {
    f"Test{kind.__name__}": kind
    for kind in (ImagePrompt, MoreWords, Trouble, Ramp, TextEncoder, QwenImage, Formats, Tell)
}
