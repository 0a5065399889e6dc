"""Weights of tokens, applied to the output of a text encoder by the rules of ComfyUI and A1111."""

from __future__ import annotations

import torch
from torch import Tensor


def emphasized(rows: Tensor, weights: Tensor, rule: str, empty: Tensor | None = None) -> Tensor:
    """Returns the rows of one chunk [..., n, d] with the `weights` [n] of their tokens, float32.

    - "comfy": each row moves from that of the empty prompt, `empty` [..., n, d]: e + w (z - e).
    - "a1111": w z, scaled so that the mean over the chunk stays.
    - "a1111-no-norm": w z.
    - "a1111-ignore", "none": the rows as they are.

    Rows of weight 1 keep their bits by every rule but "a1111".
    """
    z = rows.float()
    if rule in ("a1111-ignore", "none"):
        return z
    w = weights.to(z).unsqueeze(-1)
    if rule == "comfy":
        if empty is None:
            raise ValueError('empty: rule "comfy" needs the rows of the empty prompt')
        e = empty.to(z)
        return torch.where(w == 1, z, (z - e) * w + e)
    weighted = z * w
    if rule == "a1111-no-norm":
        return weighted
    return weighted * (z.mean() / weighted.mean())
