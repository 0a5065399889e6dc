"""Tells OpenCLIP of text encoders as wide as those of SD 2 and SDXL, and of two layers."""

from __future__ import annotations

from pathlib import Path

import open_clip

open_clip.add_model_config(Path(__file__).parents[1] / "models")
