"""Trains the playground model from nothing: ``python -m remix.client.playground.train --out DIR``.

The stages are: train the text encoder, draw the pictures, train the UNet and the decoder, assemble the
pipeline in ``DIR/weights``. Everything is counted in steps and drawn from the seed, so that the same
command gives the same model on the same machine; stopped anywhere, ``--resume`` continues it.
"""

from __future__ import annotations

import logging
from pathlib import Path

import click

from remix.client.playground.settings import LOG_LINES, Settings, claim, require_model, require_packages
from remix.errors import RemixError


def train(folder: Path, settings: Settings, *, resume: bool = False) -> Path:
    """Returns the folder of the finished model, ``folder/weights``, after every stage has run.

    Stages that `folder` already holds are skipped with `resume`; without it the folder must not hold
    a run. Raises BadInput where the folder, the settings or the model to start from do not fit,
    MissingPackage without torch.
    """
    require_packages()
    from remix.client.playground.dataset import draw_dataset
    from remix.client.playground.pipeline import assemble
    from remix.client.playground.text import train_text
    from remix.client.playground.unet import train_unet
    from remix.client.playground.vae import train_decoder

    if settings.start:
        require_model(Path(settings.start))
    claim(folder, settings, resume=resume)
    for stage in (train_text, draw_dataset, train_unet, train_decoder):
        stage(folder, settings)
    return assemble(folder, settings)


_USUAL = Settings()


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Continue the run that the folder holds.")
@click.option("--steps", default=_USUAL.steps, help="Steps of the UNet.")
@click.option("--batch", default=_USUAL.batch, help="Pictures a step, in each process.")
@click.option("--processes", default=_USUAL.processes, help="Processes of one thread each, for the UNet.")
@click.option("--pictures", default=_USUAL.pictures, help="Pictures to draw for the UNet.")
@click.option("--text-steps", default=_USUAL.text_steps, help="Steps of the text encoder, 64 captions each.")
@click.option("--decoder-steps", default=_USUAL.decoder_steps, help="Steps of the decoder, 16 crops each.")
@click.option("--rate", default=_USUAL.rate, help="Highest learning rate of the UNet.")
@click.option("--device", default=_USUAL.device, help="cpu, or cuda with --processes 1 and a batch of 256.")
@click.option("--save-every", default=_USUAL.save_every, help="Steps between checkpoints.")
@click.option("--start", default=_USUAL.start, help="Folder of a finished model to train on.")
@click.option("--bf16", is_flag=True, help="Compute the UNet in bfloat16; faster where the processor has AMX.")
@click.option("--seed", default=_USUAL.seed, help="Of everything that is drawn at random.")
def main(out: Path, resume: bool, **settings: int | float | str) -> None:
    """Train the playground model, from nothing or from --start."""
    logging.basicConfig(level=logging.INFO, format=LOG_LINES)
    try:
        require_packages()
        import torch

        torch.set_num_threads(1)
        weights = train(out, Settings(**settings), resume=resume)  # type: ignore[arg-type]
    except RemixError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{weights}: finished; measure it with python -m remix.client.playground.check {weights}")


if __name__ == "__main__":
    main()
