"""Shared by all families: a network that denoises latents, between the two halves of a VAE."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from remix.client.local.checkpoints import Checkpoint, open_vae
from remix.client.local.clip import ClipText
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.client.local.offload import Offloading
from remix.client.local.quantized import is_quantized
from remix.client.local.sampling import Levels
from remix.client.local.traveling import TravelingLoras
from remix.engine.memory import is_out_of_memory
from remix.errors import OutOfMemory, Unsupported
from remix.mix import Conditioning
from remix.plan import Model
from remix.prompt import Reading

log = logging.getLogger(__name__)

TILE = 256
"""Side in pixels of the tiles that a VAE uses if a whole picture does not fit into memory.

They overlap by a quarter.
"""


class LatentModel(ABC):
    """A loaded checkpoint, which encodes text, denoises latents, and converts pictures to latents and back.

    `part` is diffusers' name of the network's folder. `packed` is the number of latent channels per channel of the
    network.
    """

    family: str
    part: str
    loras: TravelingLoras
    distilled = False
    clip_texts: Sequence[ClipText] = ()
    """The text encoders that take embeddings (textual inversions)."""
    text_names: Sequence[str] = ()
    """ComfyUI's names of the text encoders that take texts of their own."""
    vae_in_planes = True
    """Whether all convolutions of the VAE are of planes, so that channels last is a layout of their weights."""

    def __init__(
        self, model: Model, checkpoint: Checkpoint, place: Place, kind: Any, *, packed: int = 1, patch: int = 1
    ) -> None:
        self.place = place
        self.network = checkpoint.component(self.part, kind, place)
        # float32, since the decoder overflows in half precision on some checkpoints. It runs only once per frame.
        self.vae = open_vae(model, checkpoint, place.in_full(), self.vae_class())
        if place.device.type == "cpu" and self.vae_in_planes:
            # Channels last speeds up convolutions of whole pictures there, but not a U-Net's small ones.
            self.vae.to(memory_format=torch.channels_last)
        self._offloading: Offloading | None = None
        self.channels, self.factor = self.latent_size()
        self.multiple = self.factor * patch
        self._tiled_from: float = math.inf
        taken = self.network.config.in_channels // packed
        if taken != self.channels:
            raise Unsupported(
                f"model.checkpoint: {model.checkpoint!r} takes {taken} channels, not {self.channels}; "
                "inpainting and editing models are not for this, use a text to image model"
            )

    @abstractmethod
    def levels_at(self, width: int, height: int, steps: int) -> Levels:
        """Returns the noise levels for pictures of this size, in this many steps."""

    @abstractmethod
    def rows(self, prompt: str, reading: Reading) -> int:
        """Returns the number of token rows of a prompt without encoding it."""

    @abstractmethod
    def encode(self, prompt: str, reading: Reading, encoded: Encoded) -> Conditioning:
        """Returns the conditioning of a prompt, a batch of 1, in float32 on the CPU.

        Outputs of text encoders are taken from `encoded`, and kept there.
        """

    @abstractmethod
    def text_encoders(self) -> Mapping[str, Any]:
        """Returns the text encoders, keyed by diffusers' folder names."""

    @abstractmethod
    def estimate(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the model's estimate of the clean latent, float32 [B, c, h, w].

        x [B, c, h, w] at noise level sigma [B]; `conditioning` has batch B.
        """

    def parts(self) -> dict[str, Any]:
        """Returns the networks that LoRAs may change, keyed by diffusers' folder names."""
        return {self.part: self.network, **self.text_encoders()}

    def across_frames(self) -> Sequence[Any]:
        """Returns the layers whose input mixes the rows of several pictures, so that no LoRA can travel there."""
        return ()

    @property
    def fixed(self) -> bool:
        """Whether the networks cannot change their precision, because they are quantized or offloaded."""
        return bool(self.place.offload) or any(map(is_quantized, self.parts().values()))

    def begin_offload(self) -> None:
        """Lets the networks wait in main memory, if the place asks for it. Their layers must not change afterwards."""
        if self.place.offload:
            networks = {**self.parts(), "vae": self.vae}
            self._offloading = Offloading(networks, self.place.offload, self.place.device)

    def release(self) -> None:
        """Moves networks that are offloaded to main memory."""
        if self._offloading:
            self._offloading.release()

    def move(self, place: Place) -> None:
        """Moves the networks to `place` and its precision. The VAE stays in float32."""
        self.place = place
        for part in self.parts().values():
            place.put(part)
        place.in_full().put(self.vae)

    def vae_class(self) -> Any:
        """Returns the class of the VAE."""
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

        return AutoencoderKL

    def latent_size(self) -> tuple[int, int]:
        """Returns the channels of a latent, and how many times smaller than a picture it is."""
        return self.vae.config.latent_channels, 2 ** (len(self.vae.config.block_out_channels) - 1)

    def normalized(self, latents: Tensor) -> Tensor:
        """Returns the VAE's output as the latents that the network knows."""
        return (latents - self._shift) * self.vae.config.scaling_factor

    def denormalized(self, latents: Tensor) -> Tensor:
        """Returns the network's latents as the VAE's input."""
        return latents / self.vae.config.scaling_factor + self._shift

    def to_moments(self, pictures: Tensor) -> Tensor:
        """Returns the VAE's most likely latents [B, c, h, w] of pictures in -1..1."""
        latents: Tensor = self.vae.encode(pictures).latent_dist.mode()
        return latents

    def decoded(self, latents: Tensor) -> Tensor:
        """Returns the VAE's pictures in -1..1 of its latents [B, c, h, w]."""
        pictures: Tensor = self.vae.decode(latents).sample
        return pictures

    def use_tiles(self) -> None:
        """Makes the VAE work in tiles."""
        self.vae.tile_sample_min_size, self.vae.tile_latent_min_size = TILE, TILE // self.factor
        self.vae.enable_tiling()

    @torch.inference_mode()
    def to_latents(self, pictures: Tensor) -> Tensor:
        """Returns the latents of pictures [B, 3, H, W] in 0..1: [B, c, H / factor, W / factor] float32, on the CPU."""
        height, width = pictures.shape[2:]
        mean = self._fitting(
            self.to_moments,
            (pictures * 2 - 1).to(self.place.device),
            height * width,
        )
        return self.normalized(mean.float()).cpu()

    @torch.inference_mode()
    def to_pictures(self, latents: Tensor) -> Tensor:
        """Returns the pictures of latents [B, c, h, w]: [B, 3, h * factor, w * factor] in 0..1, on the CPU."""
        scaled = self.denormalized(latents.to(self.place.device))
        height, width = (side * self.factor for side in latents.shape[2:])
        made = self._fitting(self.decoded, scaled, height * width)
        return (made.float() / 2 + 0.5).clamp(0, 1).cpu()

    def _fitting(self, work: Callable[[Tensor], Tensor], given: Tensor, pixels: int) -> Tensor:
        """Returns the VAE's output for a batch. If pictures of this size exceed memory, works one by one and in tiles.

        A smaller batch of frames would not help: frames would be sampled again, and the VAE takes few at once anyway.
        """
        device = self.place.device
        if pixels < self._tiled_from:
            self.vae.disable_tiling()
            try:
                return work(given)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Only here, because the error held references to the tensors that did not fit.
            self.place.free()
            log.warning(
                "%s: the VAE does not fit whole; continuing in tiles of %sx%s, which may show", device, TILE, TILE
            )
            self._tiled_from = pixels
        self.use_tiles()
        try:
            return torch.cat([work(one) for one in given.split(1)])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(
                f"model.vae: not even tiles of {TILE}x{TILE} fit into the memory of {device}; "
                "close what else uses it, or use device cpu"
            ) from error

    @property
    def _shift(self) -> float:
        return self.vae.config.get("shift_factor") or 0.0
