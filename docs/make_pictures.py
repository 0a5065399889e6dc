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
from remix.plan import Recipe
from remix.show import contact_sheet

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"


def frames_of(recipe: Path, folder: Path, engine: Local) -> list[Path]:
    """Renders a recipe into `folder` and returns the paths of its frames."""
    return sorted((render(Recipe.load(recipe), engine, folder, film=None).folder / "frames").iterdir())


def make() -> None:
    """Writes demo.gif, a strip for each example, and curves.png."""
    engine = Local()
    with tempfile.TemporaryDirectory() as work:
        demo = ROOT / "client" / "cli" / "demo.toml"
        film = render(Recipe.load(demo), engine, Path(work) / "demo", film="demo.gif").film
        assert film is not None
        shutil.copy(film, PICTURES)
        for recipe in sorted((ROOT / "examples").glob("*.toml")):
            frames = frames_of(recipe, Path(work) / recipe.stem, engine)
            save_picture(PICTURES / f"{recipe.stem}.png", contact_sheet(frames, 8, max_cell=96, max_pictures=16))
    main(["plan", str(ROOT / "examples" / "mixed-map.toml"), "--plot", str(PICTURES / "curves.png"), "--overwrite"])


if __name__ == "__main__":
    make()
