"""The bundled model, opened for experiments: prompts, noise, sampling and pictures as separate steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from remix.client.local.batch import stacked
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.client.local.models import LoadedModel, open_model
from remix.client.local.pictures import to_picture, to_tensor
from remix.client.local.samplers import SAMPLERS
from remix.client.local.sampling import sigmas_for
from remix.client.playground.advice import DEFAULTS
from remix.mix import Conditioning, StepNoise, mix_conditioning
from remix.mix.noise import noise_of_seed
from remix.motion import Picture
from remix.plan import Model
from remix.prompt import Reading

SHAPE = (4, 16, 16)
"""The shape of a latent of the bundled model."""

STEPS, CFG = DEFAULTS["steps"], DEFAULTS["cfg"]
SAMPLER, SCHEDULER = DEFAULTS["sampler"], DEFAULTS["scheduler"]
"""The settings of experiments, unless they change them."""

PROMPTS_KEPT = 64


@dataclass
class Walk:
    """Sampled latents [B, 4, 16, 16], and for each call of the model what it saw, its estimate and the noise level."""

    latents: Tensor
    seen: list[Tensor] = field(default_factory=list)
    estimates: list[Tensor] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)


class Studio:
    """The bundled model on the CPU. All its numbers depend on the arguments alone."""

    @cached_property
    def model(self) -> LoadedModel:
        """The loaded model."""
        return open_model(Model(), (), Place.find("cpu"))

    def encode(self, prompt: str) -> Conditioning:
        """Returns the conditioning of a prompt, a batch of 1."""
        return self.model.encode(prompt, Reading(), self._encoded)

    def mixed(self, prompts: Sequence[str], weights: Sequence[Sequence[float]]) -> Conditioning:
        """Returns a conditioning for each row of weights, one weight for each prompt."""
        sources = [self.encode(prompt) for prompt in prompts]
        return mix_conditioning(sources, weights, family=self.model.family, empty=self.encode(""))

    def each(self, prompts: Sequence[str]) -> Conditioning:
        """Returns the conditionings of prompts as one batch."""
        return self.mixed(prompts, torch.eye(len(prompts)).tolist())

    @cached_property
    def _encoded(self) -> Encoded:
        return Encoded(PROMPTS_KEPT)

    def noise(self, *seeds: int) -> Tensor:
        """Returns the noise of each seed, [B, 4, 16, 16] of variance 1."""
        return torch.cat([noise_of_seed(seed, SHAPE) for seed in seeds])

    @torch.inference_mode()
    def sample(
        self,
        prompts: Sequence[str] | Conditioning,
        noise: Tensor,
        *,
        negative: str = "",
        cfg: float | Sequence[float] = CFG,
        steps: int = STEPS,
        sampler: str = SAMPLER,
        start: Tensor | None = None,
        denoise: float = 1.0,
    ) -> Walk:
        """Samples a batch from `noise` [B, 4, 16, 16], one prompt for each row, and returns all of its steps.

        With `start`, clean latents, sampling begins with their noise at the level of `denoise`.
        """
        wanted = prompts if isinstance(prompts, Conditioning) else self.each(prompts)
        count, levels = len(noise), self.model.levels_at(128, 128, steps)
        unwanted = self.each([negative] * count)
        both = stacked(wanted, unwanted, "tile")
        guidance = torch.tensor([cfg] * count if isinstance(cfg, float | int) else list(cfg)).view(-1, 1, 1, 1)
        walk = Walk(noise)

        def estimate(x: Tensor, sigma: Tensor) -> Tensor:
            pair = self.model.estimate(x.repeat(2, 1, 1, 1), sigma.repeat(2), both).chunk(2)
            made = pair[1] + guidance * (pair[0] - pair[1])
            walk.seen.append(x / (1 + sigma.view(-1, 1, 1, 1) ** 2).sqrt())
            walk.estimates.append(made)
            walk.levels.append(float(sigma[0]))
            return made

        sigmas = sigmas_for(levels, SCHEDULER, steps, denoise, sampler).expand(count, -1)
        fresh = StepNoise([[(row, 1.0)] for row in range(count)], SHAPE)
        clean = torch.zeros_like(noise) if start is None else start
        begun = levels.begun(clean, noise, sigmas[:, 0])
        walk.latents = SAMPLERS[sampler](estimate, begun, sigmas, fresh.next, lambda done, total: None)
        return walk

    def pictures(self, latents: Tensor) -> list[Picture]:
        """Returns the decoded latents [B, 4, 16, 16]."""
        return [to_picture(picture) for part in latents.split(8) for picture in self.model.to_pictures(part)]

    def latents(self, pictures: Sequence[Picture]) -> Tensor:
        """Returns the latents of pictures of 128x128 pixels."""
        return self.model.to_latents(torch.cat([to_tensor(picture) for picture in pictures]))

    @contextmanager
    def attention(self, found: Callable[[Tensor], None]) -> Iterator[None]:
        """Passes the cross-attention of each layer with 8x8 places to `found`, within the block.

        It is a share for each token: [B, heads, 64, tokens].
        """
        network: Any = self.model.network  # type: ignore[attr-defined]
        before = network.attn_processors
        ours = {name: _Recorded(found) if name.endswith("attn2.processor") else kept for name, kept in before.items()}
        network.set_attn_processor(ours)
        try:
            yield
        finally:
            network.set_attn_processor(before)

    def tokens(self, prompt: str) -> list[tuple[int, str]]:
        """Returns the place and the word of each token of a prompt."""
        tokenizer: Any = self.model.text.tokenizer  # type: ignore[attr-defined]
        pieces = tokenizer.tokenize(prompt)
        return [(place, piece.replace("</w>", "")) for place, piece in enumerate(pieces, 1)]


class _Recorded:
    """An attention processor of diffusers that computes attention openly and passes it on: Vaswani et al. 2017."""

    def __init__(self, found: Callable[[Tensor], None]) -> None:
        self._found = found

    def __call__(
        self, attention: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        parts = (attention.to_q(hidden_states), attention.to_k(context), attention.to_v(context))
        query, key, value = (part.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for part in parts)
        shares = (query @ key.transpose(-1, -2) * attention.scale).softmax(-1)
        if shares.shape[2] == 64:
            self._found(shares)
        made: Tensor = attention.to_out[1](attention.to_out[0]((shares @ value).transpose(1, 2).flatten(2)))
        return made


def distance(a: Picture, b: Picture) -> float:
    """Returns the mean difference of two pictures, 0 to 1."""
    return float(np.abs(a.astype(np.float32) - b.astype(np.float32)).mean() / 255)


def captioned(names: Sequence[object], pictures: Sequence[Picture]) -> list[tuple[str, Picture]]:
    """Returns pictures with their captions."""
    return [(str(name), picture) for name, picture in zip(names, pictures, strict=True)]


def plane(paths: Mapping[str, Sequence[Tensor]]) -> dict[str, list[tuple[float, float]]]:
    """Returns paths of latents in the plane in which all of them spread most: their two principal components."""
    points = torch.stack([point.flatten() for path in paths.values() for point in path])
    axes = torch.linalg.svd(points - points.mean(0), full_matrices=False)[2][:2]
    axes = axes * torch.sign(axes.sum(1, keepdim=True))
    flat = ((points - points.mean(0)) @ axes.T).tolist()
    found, at = dict[str, list[tuple[float, float]]](), 0
    for name, path in paths.items():
        found[name] = [(x, y) for x, y in flat[at : at + len(path)]]
        at += len(path)
    return found
