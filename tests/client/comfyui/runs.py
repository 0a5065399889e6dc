"""Shared by the tests of the ComfyUI engine: short timeouts, a recipe, and a run on a fake server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from remix.client import ComfyUI
from remix.client.timeouts import Timeouts
from remix.engine import Event, Outcome, render
from remix.motion import load_picture
from remix.plan import Keyframe, Model, Recipe, plan
from tests.fakes.comfyui_server import painted

QUICK = Timeouts(poll=0.05, request=5, offline=10, silent=0.4, reconnect=0.02, sleep=lambda seconds: None)
"""As the engine does it, in less time."""

FRAMES = 10


def recipe(**changes: Any) -> Recipe:
    """Two prompts and two seeds; of 2 frames in a batch that is 2 prompts of the Remix nodes, of 16 and 4 frames."""
    keyframes = (Keyframe(at=0, prompt="a", seed=1), Keyframe(at="100%", prompt="b", seed=2))
    return Recipe(
        frames=FRAMES, keyframes=keyframes, width=32, height=16, steps=2, model=Model("sd15.safetensors")
    ).replace(**changes)


def plain(**changes: Any) -> Recipe:
    """What the server's own nodes can do: one seed, and two prompts that average."""
    return recipe(**{"keyframes": (Keyframe(at=0, prompt="a", seed=1), Keyframe(at="100%", prompt="b")), **changes})


def run(url: str, folder: Path, asked: Recipe | None = None, **options: Any) -> Outcome:
    """Renders on a server, without a film."""
    how = {"timeouts": QUICK, "batch": 2, **options}
    listen, stop = how.pop("listen", lambda event: None), how.pop("stop", lambda: False)
    wanted = how.pop("frames", None)
    return render(asked or recipe(), ComfyUI(url, **how), folder, film=None, frames=wanted, listen=listen, stop=stop)


def frames(folder: Path) -> np.ndarray:
    """The pictures of a job. One that was being written when its process ended is none."""
    return np.stack([load_picture(path) for path in sorted((folder / "frames").glob("[!.]*"))])


def right(asked: Recipe | None = None) -> np.ndarray:
    """The pictures that the Remix nodes of the server make."""
    asked = asked or recipe()
    return np.stack([painted(frame, asked.width, asked.height) for frame in plan(asked)])


def at_frames(count: int, act: Callable[[], object]) -> Callable[[Event], None]:
    """A listener that acts when so many frames are finished."""
    done = False

    def listen(event: Event) -> None:
        nonlocal done
        if event.stage == "frames" and event.done >= count and not done:
            done = True
            act()

    return listen
