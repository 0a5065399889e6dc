"""The bundled model as a checkpoint of A1111: its weights in one file, and a yaml that names its classes.

    write_checkpoint(folder)    `FILE` and its yaml in the folder of A1111's checkpoints

A1111 imports the classes from the extension (a1111_extension/playground.py). Without the extension it fails to load the
checkpoint with the name of that module.
"""

from __future__ import annotations

from pathlib import Path

from remix.errors import MissingPackage
from remix.motion.atomic import atomic_write
from remix.playground import VAE_SCALE, WEIGHTS

FILE = "playground.safetensors"
"""The file's name. A recipe without a checkpoint names "playground", so it finds this one."""

CLASSES = "a1111_extension.playground"

YAML = f"""\
# The bundled model of Remix Toolkit. The classes are in its extension.
model:
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    # LDM's "sqrt_linear" is what diffusers calls "linear".
    beta_schedule: sqrt_linear
    linear_start: 0.0001
    linear_end: 0.02
    timesteps: 1000
    parameterization: v
    scale_factor: {VAE_SCALE}
    image_size: 16
    channels: 4
    conditioning_key: crossattn
    cond_stage_key: txt
    first_stage_key: jpg
    use_ema: false
    unet_config: {{target: {CLASSES}.UNet, params: {{}}}}
    first_stage_config: {{target: {CLASSES}.Autoencoder, params: {{ddconfig: {{}}}}}}
    cond_stage_config: {{target: {CLASSES}.text_encoder, params: {{}}}}
"""

PARTS = {"unet": "model.diffusion_model", "vae": "first_stage_model", "text_encoder": "cond_stage_model.encoder"}
"""Folder of a part -> the prefix of its weights in the checkpoint."""


def write_checkpoint(folder: Path) -> Path:
    """Writes the checkpoint and its yaml into `folder` and returns the path of the checkpoint.

    The same weights give the same bytes, so A1111 shows the same hash everywhere. Raises `MissingPackage` without
    safetensors, and OSError if a file cannot be written.
    """
    try:
        from safetensors.numpy import load_file, save
    except ImportError as error:
        raise MissingPackage.of("the bundled model", "safetensors", install="safetensors") from error
    weights = {
        f"{prefix}.{name}": weight
        for part, prefix in PARTS.items()
        for path in (WEIGHTS / part).glob("*.safetensors")
        for name, weight in load_file(path).items()
    }
    place = folder / FILE
    for path, data in ((place.with_suffix(".yaml"), YAML.encode()), (place, save(weights))):
        with atomic_write(path) as part:
            part.write_bytes(data)
    return place
