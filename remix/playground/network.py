"""The networks of the bundled model in plain torch, with the names that their weights have in diffusers.

They serve hosts that cannot load the model as a checkpoint: its group norms have 4 groups and 1, and it adds the pooled
text to the time embedding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Net(nn.Module):
    """A module whose parts may have any type, which type checkers do not know from their names."""

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name)


def sinusoid(positions: Tensor, size: int) -> Tensor:
    """Returns the time embedding [batch, size], cosines first."""
    steps = torch.arange(size // 2, device=positions.device, dtype=torch.float32)
    angles = positions.float()[:, None] * torch.exp(-math.log(10000) * steps / (size // 2))
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class Resnet(Net):
    """A residual block, with the time embedding as scale and shift if `time` is set."""

    def __init__(self, inner: int, outer: int, groups: int, eps: float, time: int = 0) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inner, eps)
        self.conv1 = nn.Conv2d(inner, outer, 3, padding=1)
        if time:
            self.time_emb_proj = nn.Linear(time, 2 * outer)
        self.norm2 = nn.GroupNorm(groups, outer, eps)
        self.conv2 = nn.Conv2d(outer, outer, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        hidden = self.norm2(self.conv1(F.silu(self.norm1(x))))
        if time is not None:
            scale, shift = self.time_emb_proj(F.silu(time))[:, :, None, None].chunk(2, dim=1)
            hidden = hidden * (1 + scale) + shift
        return self.conv_shortcut(x) + self.conv2(F.silu(hidden))


class Attention(Net):
    """Attention of 4 heads to `context`, or to itself."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k, self.to_v = (nn.Linear(context, width, bias=False) for _ in range(2))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        context = x if context is None else context
        parts = (self.to_q(x), self.to_k(context), self.to_v(context))
        heads = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in parts)
        return self.to_out[0](F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


class Gated(Net):
    """A linear layer whose second half gates the first one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 8 * width)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class Block(Net):
    """A transformer block."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1, self.attn2 = Attention(width, width), Attention(width, context)
        self.ff = Net()
        self.ff.net = nn.ModuleList([Gated(width), nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff.net[2](self.ff.net[0](self.norm3(x)))


class Transformer(Net):
    """A transformer over the places of a picture."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, width, 1e-6)
        self.proj_in, self.proj_out = nn.Linear(width, width), nn.Linear(width, width)
        self.transformer_blocks = nn.ModuleList([Block(width, context)])

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        hidden = self.proj_in(self.norm(x).flatten(2).transpose(1, 2))
        hidden = self.proj_out(self.transformer_blocks[0](hidden, context))
        return x + hidden.transpose(1, 2).unflatten(2, x.shape[2:])


class Resample(Net):
    """Halves a picture, or doubles it."""

    def __init__(self, width: int, *, up: bool, padding: int = 1) -> None:
        super().__init__()
        self.up, self.padding = up, padding
        self.conv = nn.Conv2d(width, width, 3, stride=1 if up else 2, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        if self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.conv(x if self.padding else F.pad(x, (0, 1, 0, 1)))


class Stage(Net):
    """Resnets of one size, their transformers if any, and what changes the size after them."""

    def __init__(self, resnets: Sequence[Resnet], attentions: Sequence[Transformer], resample: Resample | None) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        if attentions:
            self.attentions = nn.ModuleList(attentions)
        if resample is not None:
            setattr(self, "upsamplers" if resample.up else "downsamplers", nn.ModuleList([resample]))

    def attend(self, index: int, x: Tensor, context: Tensor) -> Tensor:
        return self.attentions[index](x, context) if hasattr(self, "attentions") else x

    def resample(self, x: Tensor) -> Tensor:
        for name in ("downsamplers", "upsamplers"):
            for module in getattr(self, name, ()):
                x = module(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        for resnet in self.resnets:
            x = resnet(x)
        return self.resample(x)


class TextPool(Net):
    """Pools the text by attention of its mean, for the time embedding."""

    def __init__(self, width: int, time: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(time)
        self.pool = Net()
        self.pool.positional_embedding = nn.Parameter(torch.zeros(1, width))
        for name in ("q_proj", "k_proj", "v_proj"):
            setattr(self.pool, name, nn.Linear(width, width))
        self.proj = nn.Linear(width, time)

    def forward(self, text: Tensor) -> Tensor:
        text = self.norm1(text)
        first = text.mean(dim=1, keepdim=True) + self.pool.positional_embedding
        rows = torch.cat([first, text], dim=1)
        parts = (self.pool.q_proj(first), self.pool.k_proj(rows), self.pool.v_proj(rows))
        heads = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in parts)
        pooled = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        return self.norm2(self.proj(pooled[:, 0]))


class UNet(Net):
    """The U-Net; predicts velocity from latents, times 0 to 999 and text [batch, tokens, 128]."""

    dtype = torch.float32

    def __init__(self, **_: Any) -> None:
        super().__init__()
        widths, time, text = (48, 96, 128), 192, 128

        def resnet(inner: int, outer: int) -> Resnet:
            return Resnet(inner, outer, 4, 1e-5, time)

        self.time_embedding = Net()
        self.time_embedding.linear_1, self.time_embedding.linear_2 = nn.Linear(48, time), nn.Linear(time, time)
        self.add_embedding = TextPool(text, time)
        self.conv_in = nn.Conv2d(4, 48, 3, padding=1)
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        for index, (inner, outer) in enumerate(zip((48, *widths), widths, strict=False)):
            attentions = [Transformer(outer, text)] if index else []
            resample = Resample(outer, up=False) if index < 2 else None
            self.down_blocks.append(Stage([resnet(inner, outer)], attentions, resample))
        self.mid_block = Stage([resnet(128, 128), resnet(128, 128)], [Transformer(128, text)], None)
        for index, (inner, outer, skips) in enumerate(((128, 128, (128, 96)), (128, 96, (96, 48)), (96, 48, (48, 48)))):
            resnets = [resnet(inner + skips[0], outer), resnet(outer + skips[1], outer)]
            attentions = [Transformer(outer, text) for _ in range(2)] if index < 2 else []
            self.up_blocks.append(Stage(resnets, attentions, Resample(outer, up=True) if index < 2 else None))
        self.conv_norm_out = nn.GroupNorm(4, 48, 1e-5)
        self.conv_out = nn.Conv2d(48, 4, 3, padding=1)

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, **_: Any) -> Tensor:
        time = self.time_embedding.linear_2(F.silu(self.time_embedding.linear_1(sinusoid(timesteps, 48))))
        time = time + self.add_embedding(context)
        x = self.conv_in(x)
        skips = [x]
        stage: Any
        for stage in self.down_blocks:
            x = stage.attend(0, stage.resnets[0](x, time), context)
            skips.append(x)
            if hasattr(stage, "downsamplers"):
                x = stage.resample(x)
                skips.append(x)
        x = self.mid_block.attend(0, self.mid_block.resnets[0](x, time), context)
        x = self.mid_block.resnets[1](x, time)
        for stage in self.up_blocks:
            for index, resnet in enumerate(stage.resnets):
                x = stage.attend(index, resnet(torch.cat([x, skips.pop()], dim=1), time), context)
            x = stage.resample(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class Coder(Net):
    """The encoder or the decoder of the VAE."""

    def __init__(self, widths: Sequence[int], inner: int, outer: int, count: int, *, up: bool) -> None:
        super().__init__()

        def resnet(inner: int, outer: int) -> Resnet:
            return Resnet(inner, outer, 1, 1e-6)

        middle = Stage([resnet(64, 64), resnet(64, 64)], [], None)
        stages = []
        for index, (before, width) in enumerate(zip((widths[0], *widths), widths, strict=False)):
            resnets = [resnet(before if place == 0 else width, width) for place in range(count)]
            resample = Resample(width, up=up, padding=1 if up else 0) if index < len(widths) - 1 else None
            stages.append(Stage(resnets, [], resample))
        self.conv_in = nn.Conv2d(inner, widths[0], 3, padding=1)
        self.mid_block, self.up = middle, up
        setattr(self, "up_blocks" if up else "down_blocks", nn.ModuleList(stages))
        self.conv_norm_out = nn.GroupNorm(1, widths[-1], 1e-6)
        self.conv_out = nn.Conv2d(widths[-1], outer, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        stages = self.up_blocks if self.up else self.down_blocks
        for part in (self.mid_block, *stages) if self.up else (*stages, self.mid_block):
            x = part(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class Autoencoder(Net):
    """The VAE. It encodes to the mean; latents are not scaled."""

    dtype = torch.float32

    def __init__(self, **_: Any) -> None:
        super().__init__()
        widths = (16, 24, 48, 64)
        self.encoder, self.decoder = Coder(widths, 3, 8, 1, up=False), Coder(widths[::-1], 4, 3, 2, up=True)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(8, 8, 1), nn.Conv2d(4, 4, 1)

    def encode(self, pictures: Tensor) -> Tensor:
        """Returns the latents of pictures of -1 to 1."""
        return self.quant_conv(self.encoder(pictures)).chunk(2, dim=1)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Returns pictures of -1 to 1."""
        return self.decoder(self.post_quant_conv(latents))
