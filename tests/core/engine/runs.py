"""A recipe of six frames for the tests of jobs, and what a job folder holds."""

from __future__ import annotations

from pathlib import Path

from remix.plan import Keyframe, Recipe

FRAMES = 6


def recipe(**changes: object) -> Recipe:
    keyframes = (Keyframe(at=0, prompt="a", seed=1), Keyframe(at=FRAMES - 1, prompt="b", seed=2))
    return Recipe(frames=FRAMES, keyframes=keyframes, width=32, height=16).replace(**changes)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that a run is to leave the same, by its name; the journal's order and the times may differ."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("journal.jsonl", "job.lock", "report.html")
    }
