"""Renders the pictures of the ComfyUI pack with the bundled model: workflow thumbnails, icon and banner.

    python -m docs.make_workflow_pictures

Each thumbnail shows what its workflow does. Takes about a minute on two cores.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from remix.client import Local
from remix.engine import render
from remix.motion import save_picture
from remix.plan import Keyframe, Recipe
from remix.show import contact_sheet

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / "example_workflows"
PICTURES = ROOT / "docs" / "pictures"

SETTINGS = {
    "width": 128,
    "height": 128,
    "sampler": "dpmpp_2m",
    "scheduler": "sgm_uniform",
    "steps": 12,
    "cfg": 3.0,
    "ease": "sine-in-out",
}

SHOWN: dict[str, tuple[Keyframe, ...]] = {
    "1 Prompt travel": (
        Keyframe(prompt="a red house on a green hill", seed=3),
        Keyframe(prompt="a white house in the snow"),
        Keyframe(prompt="a yellow boat at sunset"),
    ),
    "2 Seed walk": tuple(Keyframe(prompt="a big flower", seed=seed) for seed in (1, 2, 3)),
    "3 Long film in a job folder": (
        Keyframe(prompt="a green tree on a hill", seed=5),
        Keyframe(prompt="a big green tree on a meadow", seed=6),
        Keyframe(prompt="an orange tree at sunset", seed=7),
        Keyframe(prompt="a white tree in the snow", seed=8),
    ),
    "4 Morph between two pictures": (
        Keyframe(prompt="a white moon at night", seed=21),
        Keyframe(prompt="a yellow sun on a green meadow", seed=22),
    ),
    "5 Mix of three with a changing cfg": (
        Keyframe(prompt="a white boat on the sea", seed=4),
        Keyframe(prompt="an orange boat at sunset"),
        Keyframe(prompt={"an orange boat at sunset": 1, "a blue boat at night": 3}),
    ),
}
ICON = "a big red heart on a white background"
BANNER = tuple(frames for name, frames in SHOWN.items() if name[0] in "135")


def frames_of(keyframes: tuple[Keyframe, ...], count: int, engine: Local, folder: Path) -> list[Path]:
    """Renders `count` frames of a loop through `keyframes` and returns their paths."""
    recipe = Recipe(frames=count, keyframes=keyframes, loop=True, **SETTINGS)  # type: ignore[arg-type]
    return sorted((render(recipe, engine, folder, film=None).folder / "frames").iterdir())


def make() -> None:
    """Writes a thumbnail next to each workflow, icon.png and banner.png."""
    engine = Local()
    with tempfile.TemporaryDirectory() as work:
        for name, keyframes in SHOWN.items():
            frames = frames_of(keyframes, 12, engine, Path(work) / name)
            sheet = contact_sheet(frames, 3, max_cell=160, max_pictures=6)
            Image.fromarray(sheet).save(WORKFLOWS / f"{name}.jpg", quality=88)
        travel = (Keyframe(prompt=ICON, seed=7), Keyframe(prompt="a yellow moon at night", seed=21))
        frames = frames_of(travel, 8, engine, Path(work) / "icon")
        save_picture(PICTURES / "icon.png", contact_sheet(frames, 2, max_cell=128, max_pictures=4))
        rows = [
            path
            for index, keyframes in enumerate(BANNER)
            for path in frames_of(keyframes, 7, engine, Path(work) / f"banner{index}")
        ]
        save_picture(PICTURES / "banner.png", contact_sheet(rows, 7, max_cell=128, max_pictures=21))


if __name__ == "__main__":
    make()
