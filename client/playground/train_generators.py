"""Trains the tiny GAN and the tiny VAE: ``python -m remix.client.playground.train_generators --out FILE``.

Both see the same drawn pictures: one flat thing in the middle of a plain background. Everything is counted in steps
and drawn from one seed, so the same command gives the same networks on the same machine.
"""

from __future__ import annotations

import copy
import itertools
import logging
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from remix.client.playground.drawing import draw
from remix.client.playground.generators import KEPT, NUMBERS, Generator, Reader
from remix.client.playground.settings import LOG_LINES
from remix.client.playground.training import Average, learning_rate, noise_source
from remix.client.playground.vae import SCALE, latents
from remix.client.playground.words import COLORS
from remix.client.playground.world import Scene, random_scenes

log = logging.getLogger(__name__)

BATCH = 32
_CHUNK = 50
_RATE_GAN, _RATE_VAE = 3e-4, 2e-3
_PENALTY, _PENALTY_EVERY = 0.1, 4
_GROUP = 4
_SPREAD = 0.25
"""The standard deviation that the VAE assumes between a picture and what it decodes, in units of scaled latents."""
_EVERY = 50


def drawn_latents(pictures: int, seed: int) -> Tensor:
    """Returns the scaled latents [N, 4, 16, 16] of pictures with one flat thing in the middle of a plain background."""
    world = random_scenes(random.Random(f"generators {seed}"))
    scenes = list(itertools.islice(filter(_is_simple, world), pictures))
    parts = (draw(scenes[at : at + _CHUNK]) for at in range(0, len(scenes), _CHUNK))
    return torch.cat([latents(part * 2 - 1) for part in parts]) * SCALE


def _is_simple(scene: Scene) -> bool:
    """Returns whether a tiny network can learn such scenes in an hour. Of all scenes, few things have their forms."""
    alone = scene.neighbor is None and scene.style == "flat" and scene.background in COLORS
    return alone and scene.place == "middle" and scene.size != "small"


def train_vae(real: Tensor, steps: int, seed: int) -> tuple[Generator, Reader]:
    """Returns a decoder and an encoder: Kingma & Welling 2013, with a fixed spread of the pictures."""
    torch.manual_seed(seed)
    decoder, encoder = Generator(), Reader(2 * NUMBERS)
    parameters = [*decoder.parameters(), *encoder.parameters()]
    optimizer, average = torch.optim.AdamW(parameters, betas=(0.9, 0.98)), Average(parameters, 0.998)
    for step, batch in enumerate(_batches(real, steps, seed, 1)):
        mean, log_variance = encoder(batch).chunk(2, dim=1)
        log_variance = log_variance.clamp(-8, 4)
        noise = torch.randn(mean.shape, generator=noise_source(seed, 2, step))
        made = decoder(mean + noise * (log_variance / 2).exp())
        off = (made - batch).square().flatten(1).sum(1) / (2 * _SPREAD**2)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
        loss = (off + divergence).mean()
        _descend(optimizer, loss, learning_rate(step, steps, _RATE_VAE), parameters)
        average.update(step)
        if step % _EVERY == 0:
            log.info(
                "vae: step %d of %d, off %.1f, divergence %.1f",
                step,
                steps,
                off.mean().item(),
                divergence.mean().item(),
            )
    average.write()
    return decoder, encoder


class Critic(Reader):
    """A critic that also sees how much the latents of a batch differ, so that a generator cannot repeat itself.

    Karras et al. 2018, "minibatch standard deviation".
    """

    def __init__(self) -> None:
        super().__init__(1, extra=1)

    def features(self, latents: Tensor) -> Tensor:
        """Returns the features of the places of 4x4, with one more for the spread over groups of latents."""
        x = super().features(latents)
        groups = x.view(-1, _GROUP, *x.shape[1:])
        spread = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        return torch.cat([x, spread.repeat_interleave(_GROUP).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])], 1)


def train_gan(
    real: Tensor, steps: int, seed: int, start: Generator, watch: Callable[[int, Generator], None] = lambda *_: None
) -> Generator:
    """Returns a generator: Goodfellow et al. 2014, with the gradient penalty R1 of Mescheder et al. 2018.

    It starts as a copy of the VAE's decoder, which saves most of the time and keeps it from making one picture only.
    """
    torch.manual_seed(seed)
    generator, critic = copy.deepcopy(start), Critic()
    parameters, judging = list(generator.parameters()), list(critic.parameters())
    makes = torch.optim.Adam(parameters, betas=(0.0, 0.99))
    judges = torch.optim.Adam(judging, betas=(0.0, 0.99))
    average = Average(parameters, 0.99)
    for step, batch in enumerate(_batches(real, steps, seed, 3)):
        vectors = torch.randn(2, BATCH, NUMBERS, generator=noise_source(seed, 4, step))
        rate = learning_rate(step, steps, _RATE_GAN)
        with torch.no_grad():
            faked = generator(vectors[0])
        batch = batch.requires_grad_(step % _PENALTY_EVERY == 0)
        believed = critic(batch)
        fault = F.softplus(-believed).mean() + F.softplus(critic(faked)).mean()
        if batch.requires_grad:
            [slope] = torch.autograd.grad(believed.sum(), batch, create_graph=True)
            fault = fault + _PENALTY_EVERY * _PENALTY / 2 * slope.square().sum((1, 2, 3)).mean()
        _descend(judges, fault, 3 * rate, judging)
        loss = F.softplus(-critic(generator(vectors[1]))).mean()
        _descend(makes, loss, rate, parameters)
        average.update(step)
        if step % _EVERY == 0:
            log.info("gan: step %d of %d, critic %.2f, generator %.2f", step, steps, fault.item(), loss.item())
            watch(step, generator)
    average.write()
    return generator


def _batches(real: Tensor, steps: int, *key: int) -> Iterator[Tensor]:
    for step in range(steps):
        yield real[torch.randint(len(real), (BATCH,), generator=noise_source(*key, step))]


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, rate: float, parameters: list[nn.Parameter]) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, 10.0)
    optimizer.step()


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=KEPT, help="File of the weights.")
@click.option("--pictures", default=5_000, help="Pictures to draw.")
@click.option("--vae-steps", default=2_500, help="Steps of the VAE, 32 pictures each.")
@click.option("--gan-steps", default=12_000, help="Steps of the GAN, 32 pictures each.")
@click.option("--seed", default=0, help="Of everything that is drawn at random.")
def main(out: Path, pictures: int, vae_steps: int, gan_steps: int, seed: int) -> None:
    """Train the tiny GAN and the tiny VAE from nothing."""
    logging.basicConfig(level=logging.INFO, format=LOG_LINES)
    real = drawn_latents(pictures, seed)
    log.info("%d pictures drawn", len(real))
    decoder, encoder = train_vae(real, vae_steps, seed)
    networks = {"vae": decoder, "encoder": encoder, "gan": train_gan(real, gan_steps, seed, decoder)}
    weights = {
        f"{name}.{key}": value.half().contiguous()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    save_file(weights, out)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
