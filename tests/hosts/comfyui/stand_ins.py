"""Stand-ins for ComfyUI's CLIP, VAE and samplers in tests of the nodes."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import torch

from remix.plan import Schedule, plan
from tests.core.plan.recipes import recipe_of_text
from tests.fakes.comfyui import Model


class Clip:
    """A text encoder that counts, with a row of tokens for each word but never fewer than `least`."""

    layer_idx = -1

    def __init__(self, width: int = 768, least: int = 1) -> None:
        self.encoded: list[str] = []
        self.patcher = SimpleNamespace(patches={})
        self._width, self._least = width, least

    def clone(self) -> Clip:
        made = Clip(self._width, self._least)
        made.encoded, made.patcher = self.encoded, SimpleNamespace(patches=copied(self.patcher.patches))
        return made

    def tokenize(self, prompt: str) -> dict[str, list[list[tuple[str, float]]]]:
        return {"l": [[(word, 1.0) for word in prompt.split(" ")]]}

    def encode_from_tokens_scheduled(self, tokens: dict[str, list[list[tuple[str, float]]]]) -> list[list[Any]]:
        prompt = " ".join(word for word, _ in tokens["l"][0])
        self.encoded.append(prompt)
        generator = torch.Generator().manual_seed(len(prompt))
        rows = max(len(prompt.split()), self._least)
        tokens = torch.randn(1, rows, self._width, generator=generator)
        tokens += sum(strength for _, strength in self.patcher.patches.get("weight", ()))
        return [[tokens, {"pooled_output": torch.randn(1, self._width, generator=generator)}]]


def copied(patches: dict[str, list[tuple[str, float]]]) -> dict[str, list[tuple[str, float]]]:
    """Returns patches that can be added to."""
    return {key: list(found) for key, found in patches.items()}


class Pictures(Model):
    """A model of pictures whose sampler gives the noise itself, and remembers what it was asked for."""

    def __init__(self, dimensions: int = 2) -> None:
        super().__init__()
        self.model = SimpleNamespace(model_config=SimpleNamespace(unet_config={"model_channels": 320}))
        self.format = SimpleNamespace(latent_dimensions=dimensions, spacial_downscale_ratio=8)
        self.calls: list[dict[str, Any]] = []
        self.patches: dict[str, list[tuple[str, float]]] = {}

    def clone(self) -> Pictures:
        made = Pictures()
        made.wrappers, made.calls, made.format = list(self.wrappers), self.calls, self.format
        made.patches = copied(self.patches)
        return made

    def get_model_object(self, name: str) -> Any:
        assert name == "latent_format"
        return self.format


class Vae:
    """Blocks of 8x8 pixels that show the first three channels."""

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        shown = torch.sigmoid(latents[:, :3])
        return torch.nn.functional.interpolate(shown, scale_factor=8).movedim(1, -1)

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(pictures.movedim(-1, 1), 8)
        return torch.cat([small, small[:, :1]], dim=1)


def sample(model: Pictures, noise: torch.Tensor, steps: int, cfg: float, *names: Any, **named: Any) -> torch.Tensor:
    """`comfy.sample.sample`: through the model's wrappers, a callback for each step, then start plus noise."""
    _, _, positive, negative, start = names
    patches = model.patches.get("weight", [])
    model.calls.append(
        {"cfg": cfg, "rows": len(start), "positive": positive, "negative": negative, "patches": patches, **named}
    )
    kind = sys.modules["comfy.samplers"].KSAMPLER(lambda model, x, sigmas: x)  # type: ignore[attr-defined]

    class Executor:
        class_obj = SimpleNamespace(conds={"positive": [{"cross_attn": positive[0][0]}]})

        def __call__(self, noise: torch.Tensor, latent: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
            return latent + noise * named["denoise"]

    (wrapper,) = model.wrappers
    for step in range(steps):
        named["callback"](step, start, start, steps)
    return wrapper(Executor(), noise, start, kind, "sigmas")


def schedule(frames: int = 5, *, second: str = "", settings: str = "") -> Schedule:
    text = f"""
frames = {frames}
size = [64, 64]
steps = 2
{settings}
[[keyframes]]
prompt = "a cat"
seed = 1
cfg = 7
[[keyframes]]
prompt = "the sea"
seed = 2
cfg = 7
{second}
"""
    return plan(recipe_of_text(text))


class Graph:
    """A workflow, as `hidden.dynprompt` gives it."""

    def __init__(self, **nodes: tuple[str, dict[str, Any]]) -> None:
        self._nodes = nodes

    def get_node(self, number: str) -> dict[str, Any]:
        kind, inputs = self._nodes[number]
        return {"class_type": kind, "inputs": inputs}


def graph(**changes: Any) -> Graph:
    settings = {"ckpt": "a.safetensors", "lora": "b.safetensors", "strength": 1.0, "seed": 1, **changes}
    return Graph(
        load=("CheckpointLoaderSimple", {"ckpt_name": settings["ckpt"]}),
        lora=(
            "LoraLoader",
            {
                "model": ["load", 0],
                "clip": ["load", 1],
                "lora_name": settings["lora"],
                "strength": settings["strength"],
            },
        ),
        other=("KSampler", {"seed": settings["seed"]}),
        render=("RemixRender", {"model": ["lora", 0], "clip": ["lora", 1], "vae": ["load", 2], "batch_size": 8}),
    )
