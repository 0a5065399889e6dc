"""Model folders with parts that tests change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from remix.plan import Keyframe
from tests.client.local import tiny
from tests.client.local.films import travel


def frame(checkpoint: Path | str) -> Any:
    return travel(str(checkpoint), frames=1, keyframes=(Keyframe(prompt="a red circle", negative="blue", seed=1),))


def saved(folder: Path, variant: str | None, shards: str, older: bool = False) -> None:
    """Saves the networks of a folder again: in this variant, in files of at most so many bytes."""
    kinds = {"unet": tiny.UNet2DConditionModel, "vae": tiny.AutoencoderKL, "text_encoder": tiny.CLIPTextModel}
    for part, kind in kinds.items():
        network = kind.from_pretrained(folder / part)
        for file in (folder / part).glob("*.safetensors"):
            file.unlink()
        network.save_pretrained(folder / part, variant=variant, max_shard_size=shards)
        if older and part != "text_encoder":  # diffusers wrote shards like this up to 0.31
            [index] = (folder / part).glob("*.index.*")
            text = index.read_text("utf-8")
            for file in (folder / part).glob(f"*.{variant}-*"):
                before = file.name.replace(f".{variant}-", "-").replace(".safe", f".{variant}.safe")
                file.rename(file.with_name(before))
                text = text.replace(file.name, before)
            index.unlink()
            index.with_name(f"diffusion_pytorch_model.safetensors.index.{variant}.json").write_text(text, "utf-8")
