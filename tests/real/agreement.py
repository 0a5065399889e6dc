"""How well one recipe's frames agree in a real ComfyUI, by the nodes, and in a real A1111, by the script.

`python -m tests.real.agreement` prints the table of docs/a1111.md. Both hosts need tiny-sd15.safetensors.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from remix.motion import load_picture
from tests.real.a1111 import host as a1111
from tests.real.comfyui import host as comfyui
from tests.real.comfyui.graphs import Builder

CHECKPOINT = "tiny-sd15.safetensors"
FRAMES, SIDE, STEPS = 3, 64, 8
LONG = "a quiet lake at dawn, tall reeds, a small wooden boat, low mist over the water, " * 6

RECIPE = f"""
frames = {FRAMES}
size = [{SIDE}, {SIDE}]
steps = {STEPS}
cfg = 7
sampler = "%s"
scheduler = "%s"
[[keyframes]]
prompt = "%s"
negative = "blurry"
seed = 1
[[keyframes]]
prompt = "the blue sea"
seed = 2
"""

ROWS = [
    *[("euler", name, "a red apple") for name in ("normal", "karras", "simple")],
    ("heun", "normal", "a red apple"),
    *[("dpmpp_2m", name, "a red apple") for name in ("karras", "exponential", "sgm_uniform")],
    ("ddim", "ddim_uniform", "a red apple"),
    ("lms", "normal", "a red apple"),
    ("uni_pc", "normal", "a red apple"),
    ("euler_ancestral", "normal", "a red apple"),
    ("dpmpp_2m_sde", "karras", "a red apple"),
    ("euler", "normal", LONG.strip()),
    ("euler", "normal", "a (red:1.4) apple"),
]


def of_comfyui(host: comfyui.Host, recipe: str) -> list[np.ndarray]:
    """The frames by Remix Render."""
    builder = Builder()
    model, clip, vae = builder.add("CheckpointLoaderSimple", 3, ckpt_name=CHECKPOINT)
    wires = {"model": model, "clip": clip, "vae": vae, "schedule": builder.recipe(recipe)}
    builder.add("RemixRender", **wires, filename_prefix="agreement/film", batch_size=FRAMES)
    (sheet,) = host.run(builder.graph)[str(len(builder.graph))]["images"]
    folder = host.output / sheet["subfolder"] / "frames"
    return [load_picture(path) for path in sorted(folder.glob("*.png"))]


def difference(a: list[np.ndarray], b: list[np.ndarray]) -> tuple[float, int]:
    """PSNR in dB over all frames, and the largest difference."""
    apart = np.stack(a).astype(float) - np.stack(b)
    return float(10 * np.log10(255**2 / max((apart**2).mean(), 1e-10))), int(np.abs(apart).max())


def table() -> Iterator[str]:
    """The lines of the table, one after another."""
    yield "| sampler | scheduler | prompts | PSNR, dB | largest difference of 255 |"
    yield "|---|---|---|---|---|"
    places = comfyui.installed(), a1111.A1111.installed()
    if None in places:
        raise SystemExit("a ComfyUI (COMFYUI_DIR) and an A1111 (WEBUI_DIR) are needed")
    with tempfile.TemporaryDirectory() as folder:
        one = comfyui.Host(places[0], Path(folder) / "comfyui")  # type: ignore[arg-type]
        (one.base / "models" / "checkpoints" / CHECKPOINT).symlink_to(
            places[0] / "models" / "checkpoints" / CHECKPOINT  # type: ignore[operator]
        )
        other = a1111.Host(a1111.A1111, places[1], Path(folder) / "a1111", CHECKPOINT)  # type: ignore[arg-type]
        try:
            one.start()
            other.start()
            for sampler, scheduler, prompt in ROWS:
                recipe = RECIPE % (sampler, scheduler, prompt)
                answer = other.remix({"recipe": recipe, "film": "", "batch": FRAMES})
                psnr, largest = difference(of_comfyui(one, recipe), answer.pictures)
                kind = "emphasis" if "(" in prompt else "over 75 tokens" if len(prompt) > 99 else "plain"
                yield f"| {sampler} | {scheduler} | {kind} | {psnr:.1f} | {largest} |"
        finally:
            one.stop()
            other.stop()


if __name__ == "__main__":
    for line in table():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
