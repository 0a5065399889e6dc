"""The layer blend modes of image editors, for pictures from 0 to 1 and for the channels of latents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.checks import floating, known, numbers, shown, size
from remix.mix.sources import weight_table


def _multiply(base: Tensor, top: Tensor) -> Tensor:
    return base * top


def _screen(base: Tensor, top: Tensor) -> Tensor:
    return base + top - base * top


def _hard_light(base: Tensor, top: Tensor) -> Tensor:
    return torch.where(top <= 0.5, _multiply(base, 2 * top), _screen(base, 2 * top - 1))


def _overlay(base: Tensor, top: Tensor) -> Tensor:
    return _hard_light(top, base)


def _soft_light(base: Tensor, top: Tensor) -> Tensor:
    curve = torch.where(base <= 0.25, ((16 * base - 12) * base + 4) * base, base.sqrt())
    darker = base - (1 - 2 * top) * base * (1 - base)
    return torch.where(top <= 0.5, darker, base + (2 * top - 1) * (curve - base))


def _color_dodge(base: Tensor, top: Tensor) -> Tensor:
    lit = torch.where(top >= 1, 1, (base / (1 - top).masked_fill(top >= 1, 1)).clamp(max=1))
    return torch.where(base == 0, 0, lit)


def _color_burn(base: Tensor, top: Tensor) -> Tensor:
    burnt = torch.where(top <= 0, 0, 1 - ((1 - base) / top.masked_fill(top <= 0, 1)).clamp(max=1))
    return torch.where(base == 1, 1, burnt)


def _vivid_light(base: Tensor, top: Tensor) -> Tensor:
    return torch.where(top <= 0.5, _color_burn(base, 2 * top), _color_dodge(base, 2 * top - 1))


def _pin_light(base: Tensor, top: Tensor) -> Tensor:
    return torch.where(top <= 0.5, torch.minimum(base, 2 * top), torch.maximum(base, 2 * top - 1))


def _luminosity_of(color: Tensor) -> Tensor:
    red, green, blue = color.unbind(dim=-1)
    return (0.3 * red + 0.59 * green + 0.11 * blue).unsqueeze(-1)


def _saturation_of(color: Tensor) -> Tensor:
    return color.amax(dim=-1, keepdim=True) - color.amin(dim=-1, keepdim=True)


def _with_luminosity(color: Tensor, wanted: Tensor) -> Tensor:
    """Returns SetLum with ClipColor: shifted to the wanted luminosity, then clipped towards it into 0..1."""
    color = color + (wanted - _luminosity_of(color))
    grey = _luminosity_of(color)
    low, high = color.amin(dim=-1, keepdim=True), color.amax(dim=-1, keepdim=True)
    color = torch.where(low < 0, grey + (color - grey) * grey / _nonzero(grey - low), color)
    return torch.where(high > 1, grey + (color - grey) * (1 - grey) / _nonzero(high - grey), color)


def _with_saturation(color: Tensor, wanted: Tensor) -> Tensor:
    """Returns SetSat: the smallest channel at 0, the largest at the wanted saturation, the middle in between."""
    low = color.amin(dim=-1, keepdim=True)
    return (color - low) / _nonzero(_saturation_of(color)) * wanted


def _nonzero(x: Tensor) -> Tensor:
    return x.masked_fill(x == 0, 1)


def _hue(base: Tensor, top: Tensor) -> Tensor:
    return _with_luminosity(_with_saturation(top, _saturation_of(base)), _luminosity_of(base))


def _saturation(base: Tensor, top: Tensor) -> Tensor:
    return _with_luminosity(_with_saturation(base, _saturation_of(top)), _luminosity_of(base))


def _color(base: Tensor, top: Tensor) -> Tensor:
    return _with_luminosity(top, _luminosity_of(base))


def _luminosity(base: Tensor, top: Tensor) -> Tensor:
    return _with_luminosity(base, _luminosity_of(top))


Mode = Callable[[Tensor, Tensor], Tensor]

# Each works on every channel separately.
SEPARABLE: Mapping[str, Mode] = MappingProxyType(
    {
        "normal": lambda base, top: top,
        "multiply": _multiply,
        "screen": _screen,
        "overlay": _overlay,
        "soft_light": _soft_light,
        "hard_light": _hard_light,
        "darken": torch.minimum,
        "lighten": torch.maximum,
        "difference": lambda base, top: (base - top).abs(),
        "exclusion": lambda base, top: base + top - 2 * base * top,
        "color_dodge": _color_dodge,
        "color_burn": _color_burn,
        "add": lambda base, top: base + top,
        "subtract": lambda base, top: base - top,
        "divide": lambda base, top: torch.where(top == 0, (base > 0).to(base), base / _nonzero(top)),
        "linear_burn": lambda base, top: base + top - 1,
        "linear_light": lambda base, top: base + 2 * top - 1,
        "vivid_light": _vivid_light,
        "pin_light": _pin_light,
    }
)

# Each works on the three channels of a color together, on the last axis.
NON_SEPARABLE: Mapping[str, Mode] = MappingProxyType(
    {"hue": _hue, "saturation": _saturation, "color": _color, "luminosity": _luminosity}
)

BLEND_MODES: Mapping[str, Mode] = MappingProxyType({**SEPARABLE, **NON_SEPARABLE})


def blend(
    base: Tensor, top: Tensor, mode: str = "normal", opacity: float | Tensor = 1.0, *, channels: int = 1
) -> Tensor:
    """Returns `top` over `base` with a blend mode: pictures from 0 to 1, in `base`'s dtype.

    Both are [B, ...] of one shape (a batch of 1 is broadcast). `opacity` is a number or [B], 0 to 1; 0 returns `base`
    bit for bit. The modes are those of BLEND_MODES; "soft light" and "soft-light" are soft_light. "hue", "saturation",
    "color" and "luminosity" work on whole colors: `channels` is the axis of their three channels, 1 for [B, 3, H, W],
    -1 for [B, H, W, 3]. Computes in float32. Values that a mode moves beyond 0 to 1 (add, subtract, linear_light...)
    are clipped before the opacity is applied.

    Source: W3C Compositing and Blending Level 1, section 10; the modes that it lacks (add, subtract, divide,
    linear_burn, linear_light, vivid_light, pin_light) as image editors define them.

    >>> blend(torch.tensor([[0.5]]), torch.tensor([[0.5]]), "multiply")
    tensor([[0.2500]])
    """
    wanted = "_".join(mode.lower().replace("-", " ").split()) if isinstance(mode, str) else mode
    name = known(wanted, BLEND_MODES, "mode")
    _refuse_unlike(base, top, name, channels)
    wide = torch.float64 if torch.float64 in (base.dtype, top.dtype) else torch.float32
    under, over = torch.broadcast_tensors(base.to(wide), top.to(wide))
    if name in NON_SEPARABLE:
        blended = BLEND_MODES[name](under.movedim(channels, -1), over.movedim(channels, -1)).movedim(-1, channels)
    else:
        blended = BLEND_MODES[name](under, over)
    blended, t = blended.clamp(0, 1), _opacity(opacity, under)
    # Rounding may leave the range by its last bit, and full opacity must be exactly the mode itself.
    mixed = torch.where(t == 1, blended, ((1 - t) * under + t * blended).clamp(0, 1))
    return torch.where(t == 0, base, mixed.to(base.dtype))


def _refuse_unlike(base: Tensor, top: Tensor, mode: str, channels: int) -> None:
    for name, picture in (("base", base), ("top", top)):
        floating(name, picture, ".float() / 255")
    fits = base.ndim > 0 and base.ndim == top.ndim and base.shape[1:] == top.shape[1:]
    if not fits or (len(base) != len(top) and 1 not in (len(base), len(top))):
        raise MixError(f"base is {size(base.shape)} and top {size(top.shape)}; give pictures of one shape, [B, ...].")
    if base.device != top.device:
        raise MixError(f"base is on {base.device} and top on {top.device}; move one of them with .to().")
    for name, picture in (("base", base), ("top", top)):
        if not bool(((picture >= 0) & (picture <= 1)).all()):
            raise MixError(f"{name}: values outside 0 to 1; bring them there with .clamp(0, 1).")
    if isinstance(channels, bool) or not isinstance(channels, int):
        raise MixError(f"channels: {shown(channels)} is not an axis; give a whole number.")
    axes = range(-base.ndim, base.ndim)
    if mode in NON_SEPARABLE and (channels not in axes or base.shape[channels] != 3):
        raise MixError(
            f"{mode}: it needs three channels, and axis {channels} of {size(base.shape)} has not; give"
            " their axis by channels=."
        )


def _opacity(opacity: float | Tensor, like: Tensor) -> Tensor:
    t = numbers("opacity", opacity, "a number from 0 to 1, or one for each picture")
    if t.ndim > 1 or (t.ndim == 1 and len(t) not in (1, len(like))):
        raise MixError(f"opacity: {size(t.shape)}; give one number, or one for each of {len(like)} picture(s).")
    if not bool(((t >= 0) & (t <= 1)).all()):
        raise MixError(f"opacity: {opacity} is outside 0 to 1; give a number from 0 to 1.")
    return t.to(like).reshape(-1, *(1,) * (like.ndim - 1))


LATENT_MODES = tuple(name for name in SEPARABLE if name != "normal")
"""Blend modes that work on each channel separately; "normal" is the lerp of `mix`."""


@torch.no_grad()
def blend_layers(layers: Sequence[Tensor], weights: Tensor | Sequence[Sequence[float]], mode: str) -> Tensor:
    """Returns the latents of F frames, [F, C, ...], from S `layers` ([F or 1, C, ...] each) and `weights` [F, S].

    The first layer is at the bottom, and each further one is blended over it by `mode`. The opacity of a layer is its
    weight divided by the sum of its own and all weights below it, so that the mode "normal" would be the weighted sum.
    A frame with only the first layer is that layer, bit for bit, and a weight of 1 applies a layer in full. Computes in
    float32 (float64 for float64 layers).

    Modes are defined on 0 to 1. Each channel of each sample is scaled there and back by the largest magnitude of both
    layers; 0 is middle gray, as in the decoded picture.
    """
    known(mode, LATENT_MODES, "mode")
    table = weight_table(weights, len(layers))
    below = table.cumsum(dim=1)
    opacities = torch.where(below > 0, table / below.masked_fill(below == 0, 1), 0).clamp(0, 1)
    base = _expanded(layers, 0, len(table))
    for index in range(1, len(layers)):
        base = _laid_over(base, _expanded(layers, index, len(table)), mode, opacities[:, index])
    return base


def _expanded(layers: Sequence[Tensor], index: int, frames: int) -> Tensor:
    layer = layers[index]
    if not isinstance(layer, Tensor) or layer.ndim < 3 or not layer.is_floating_point():
        raise MixError(f"sources[{index}]: it is no latent; give [batch, channels, ...] of floating point numbers.")
    if layer.shape[1:] != layers[0].shape[1:] or len(layer) not in (1, frames):
        raise MixError(
            f"sources[{index}]: {size(layer.shape)} does not match sources[0], {size(layers[0].shape)}, and"
            f" {frames} frame(s); resize one of them first."
        )
    if not bool(torch.isfinite(layer).all()):
        raise MixError(f"sources[{index}]: it holds inf or NaN; make it again, in float32 if it overflowed.")
    return layer.expand(frames, *layer.shape[1:])


def _laid_over(base: Tensor, top: Tensor, mode: str, opacity: Tensor) -> Tensor:
    """Returns `top` over `base`, both [F, C, ...]; frames of opacity 0 are unchanged."""
    wide = torch.float64 if base.dtype == torch.float64 else torch.float32
    under, over = base.to(wide), top.to(wide)
    axes = tuple(range(2, base.ndim))
    reach = torch.maximum(under.abs().amax(dim=axes, keepdim=True), over.abs().amax(dim=axes, keepdim=True))
    reach = reach.masked_fill(reach == 0, 1)
    low, high = ((part / reach / 2 + 0.5).clamp(0, 1) for part in (under, over))
    mixed = ((blend(low, high, mode, opacity) - 0.5) * 2 * reach).to(base.dtype)
    untouched = (opacity == 0).to(base.device).reshape(-1, *(1,) * (base.ndim - 1))
    return torch.where(untouched, base, mixed)
