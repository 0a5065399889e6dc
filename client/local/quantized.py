"""Weights of a few bits: bitsandbytes quantizes them while a model loads, GGUF files contain them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch

from remix.client.local.damage import raising_damage
from remix.errors import MissingPackage, Unsupported

BITS = ("4bit", "8bit")
"""What bitsandbytes quantizes weights to."""

UNPACKED = (torch.float32, torch.float16, torch.bfloat16)
"""The types of weights that are not quantized."""


def require(package: str, what: str) -> Any:
    """Returns an optional package. Raises `MissingPackage`, starting with `what`, if it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackage.of(what, package, extra="local,quantize", error=error) from error


def check_quantize(quantize: str, device: torch.device) -> None:
    """Raises `Unsupported` for another value than those of `BITS` or a device without it, and `MissingPackage`."""
    if quantize not in BITS:
        raise Unsupported(
            f"quantize: {quantize!r} is not known; use one of {', '.join(BITS)}, or a .gguf file as model.checkpoint"
        )
    if device.type != "cuda":
        raise Unsupported(
            f"quantize: bitsandbytes quantizes on a CUDA GPU, not on {device.type}; leave it out, or use a .gguf file "
            "as model.checkpoint, which any device can run"
        )
    require("bitsandbytes", f"quantize: {quantize!r}")


def settings(kind: Any, quantize: str, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Returns the arguments with which `from_pretrained` of a class quantizes a network on a GPU.

    4bit is NF4 (Dettmers et al., "QLoRA", 2023), 8bit is LLM.int8 (Dettmers et al. 2022). Both compute in `dtype`.
    """
    library = importlib.import_module(kind.__module__.split(".")[0])  # diffusers and transformers have a class each
    if quantize == "4bit":
        given = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
    else:
        given = {"load_in_8bit": True}
    return {
        "quantization_config": library.BitsAndBytesConfig(**given),
        "device_map": {"": f"{device.type}:{device.index or 0}"},
        "torch_dtype": dtype,
    }


def is_quantized(network: Any) -> bool:
    """Returns whether a network has quantized weights, which cannot be cast to another precision."""
    return getattr(network, "hf_quantizer", None) is not None


def is_gguf(network: Any) -> bool:
    """Returns whether the weights of a quantized network come from a GGUF file, and can move to any device."""
    method = network.hf_quantizer.quantization_config.quant_method
    return str(getattr(method, "value", method)) == "gguf"


def is_packed(layer: Any) -> bool:
    """Returns whether a layer's weight is quantized, so that nothing can be added to it."""
    return layer.weight.dtype not in UNPACKED


def gguf_names(path: Path) -> list[str]:
    """Returns the names of the weights in a GGUF file. Raises `EngineError` if it cannot be read."""
    gguf = require("gguf", f"model.checkpoint: {str(path)!r}")
    with raising_damage(f"{path}: the GGUF file could not be read", "the file is damaged, download it again"):
        return [tensor.name for tensor in gguf.GGUFReader(path).tensors]


def gguf_settings(dtype: torch.dtype) -> dict[str, Any]:
    """Returns the arguments with which `from_single_file` reads a GGUF file. Layers compute in `dtype`."""
    from diffusers import GGUFQuantizationConfig

    return {"quantization_config": GGUFQuantizationConfig(compute_dtype=dtype), "torch_dtype": dtype}
