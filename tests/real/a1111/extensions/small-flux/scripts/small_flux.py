"""Tells Forge of a small Flux: how many blocks it has and how wide they are, which the host does not read off weights.

Where the host looks for the configurations of the text encoders and of the VAE, it finds those of this model, in
`small-flux` in the folder of models.
"""

from __future__ import annotations

from pathlib import Path

from huggingface_guess import model_list
from modules import paths

SIZES = {"hidden_size": 128, "num_heads": 1, "depth": 1, "depth_single_blocks": 1}
WIDTHS = {"context_in_dim": 64, "vec_in_dim": 64}

model_list.Flux.huggingface_repo = str(Path(paths.models_path).resolve() / "small-flux")
model_list.Flux.unet_extra_config = SIZES | WIDTHS
