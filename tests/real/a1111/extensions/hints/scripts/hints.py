"""A script that leads each picture by a hint of its own, with the hooks of one that adds a control network."""

from __future__ import annotations

from typing import Any

import gradio as gr
import modules.scripts as scripts
import torch


class Hints(scripts.Script):
    """Adds noise of each picture's seed to what the U-Net sees, and darkens a channel of the picture by its seed."""

    def title(self) -> str:
        return "Hints"

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        return [gr.Slider(0, 1, value=0, label="Strength")]

    def process(self, p: Any, strength: float) -> None:
        if not strength:
            return
        self.pictures = len(p.all_prompts), list(p.all_seeds)
        sample, unet = p.sample, p.sd_model.model.diffusion_model

        def hinted_sample(*args: Any, **kwargs: Any) -> Any:
            own = unet.forward
            hints = torch.stack([self._hint(seed, text) for seed, text in zip(self.seeds, self.prompts, strict=True)])

            def forward(x: Any, *rest: Any, **named: Any) -> Any:
                rows = hints.repeat(len(x) // len(hints), 1, 1, 1)
                return own(x + strength * rows[..., : x.shape[2], : x.shape[3]], *rest, **named)

            unet.forward = forward
            try:
                return sample(*args, **kwargs)
            finally:
                unet.forward = own

        p.sample = hinted_sample

    @staticmethod
    def _hint(seed: int, text: str) -> Any:
        return torch.randn(4, 64, 64, generator=torch.Generator().manual_seed(seed + len(text)))

    def before_process_batch(self, p: Any, strength: float, **about: Any) -> None:
        if strength:
            self.before = len(about["prompts"]), list(about["seeds"])

    def process_batch(self, p: Any, strength: float, **about: Any) -> None:
        if strength:
            self.seeds, self.prompts = list(about["seeds"]), list(about["prompts"])
            p.extra_generation_params["Hints saw"] = f"{self.pictures} {self.before} {self.seeds} {p.batch_size}"

    def postprocess_batch(self, p: Any, strength: float, **about: Any) -> None:
        if strength:
            for at, picture in enumerate(about["images"]):
                picture[p.seeds[at] % 3] *= 0.5
