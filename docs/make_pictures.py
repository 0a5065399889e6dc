"""Renders the pictures of the README and of examples/README.md with the bundled model.

    python -m docs.make_pictures

Renders the demo and the examples into docs/pictures. Takes about two minutes on two cores.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from remix.client import Local
from remix.client.cli import main
from remix.engine import render
from remix.motion import save_picture
from remix.plan import Keyframe, Recipe
from remix.show import contact_sheet

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"


def frames_of(recipe: Path, folder: Path, engine: Local) -> list[Path]:
    """Renders a recipe into `folder` and returns the paths of its frames."""
    return sorted((render(Recipe.load(recipe), engine, folder, film=None).folder / "frames").iterdir())


def show_paces(work: Path, engine: Local) -> None:
    """Writes pace.png: a travel spaced by time, and the same travel at an even pace below it."""
    recipe = Recipe.load(ROOT / "client" / "cli" / "demo.toml").replace(
        frames=12,
        loop=False,
        ease="linear",
        keyframes=(
            Keyframe(prompt="a white boat on the sea", seed=4),
            Keyframe(prompt="a yellow moon at night", seed=21),
        ),
    )
    frames: list[Path] = []
    for pace in ("linear", "even"):
        folder = render(recipe.replace(pace=pace), engine, work / pace, film=None).folder
        frames += sorted((folder / "frames").iterdir())
    save_picture(PICTURES / "pace.png", contact_sheet(frames, 12, max_cell=64, max_pictures=24))


def make() -> None:
    """Writes demo.gif, a strip for each example, pace.png and curves.png."""
    engine = Local()
    with tempfile.TemporaryDirectory() as work:
        demo = ROOT / "client" / "cli" / "demo.toml"
        film = render(Recipe.load(demo), engine, Path(work) / "demo", film="demo.gif").film
        assert film is not None
        shutil.copy(film, PICTURES)
        for recipe in sorted((ROOT / "examples").glob("*.toml")):
            frames = frames_of(recipe, Path(work) / recipe.stem, engine)
            save_picture(PICTURES / f"{recipe.stem}.png", contact_sheet(frames, 8, max_cell=96, max_pictures=16))
        show_paces(Path(work), engine)
    main(["plan", str(ROOT / "examples" / "mixed-map.toml"), "--plot", str(PICTURES / "curves.png"), "--overwrite"])


if __name__ == "__main__":
    make()
