"""Remarks on loops that do not close; none on loops that do."""

from __future__ import annotations

import pytest

from remix.plan import Keyframe, Recipe, plan
from remix.plan.schedule import remarks_on

HALF = Keyframe(at=24, prompt="b", seed=2)
SONG = {"file": "song.mp3", "length": 4, "beats": [0.5, 1.5, 2.5, 3.5]}


def remarks(*keyframes: Keyframe, **changes: object) -> list[str]:
    return remarks_on(plan(Recipe(**{"frames": 48, "loop": True, "keyframes": keyframes, **changes})))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "keyframes",
    [
        (Keyframe(at=0, prompt="a", seed=1), HALF, Keyframe(at=47, prompt="a", seed=1)),
        (Keyframe(at=5, cfg=3), Keyframe(at=20, cfg=5), Keyframe(at=47, cfg=3.75), Keyframe(at=0, cfg=3.75)),
    ],
)
def test_a_frame_that_is_shown_twice_at_the_seam_is_told(keyframes: tuple[Keyframe, ...]) -> None:
    [remark] = remarks(*keyframes)
    assert remark.startswith("loop: frame 47 is frame 0 again")
    assert remarks(*keyframes, loop=False) == []


def test_a_last_keyframe_on_the_last_frame_leaves_no_way_home() -> None:
    ends = (Keyframe(at=0, prompt="a"), Keyframe(at=47, prompt="b"))
    [remark] = remarks(*ends)
    assert remark.startswith("loop: the last keyframe is on the last frame (47), so the film cuts from it to frame 0")
    assert remarks(*ends, loop=False) == []
    assert remarks(*ends, ease="hold") == []  # all is cuts
    assert remarks(ends[0], Keyframe(at=46, prompt="b"), Keyframe(at=47, prompt="b")) == []
    assert remarks(Keyframe(at=47, prompt="b")) == []


@pytest.mark.parametrize(
    ("keyframe", "name", "seam"),
    [
        (Keyframe(cfg="7 + sin(t/8)"), "cfg", "0.397"),
        (Keyframe(cfg="5 + t/max_f"), "cfg", "1"),
        (Keyframe(prompt="a (cat:`1 + t/94`)"), "prompt", "0.5"),
        (Keyframe(prompt="a", negative="`0.5*t`"), "negative", "23.5"),
        (Keyframe(at=9, prompt="a (cat:`1 + t/94`)"), "prompt", "0.5"),
    ],
)
def test_an_expression_that_jumps_at_the_seam_is_told(keyframe: Keyframe, name: str, seam: str) -> None:
    [remark] = remarks(keyframe)
    assert remark.startswith(f"loop: the expression of {name} jumps by {seam} from the last frame to the first")
    assert "sin(2*pi*t/48)" in remark
    assert remarks(keyframe, loop=False) == []


@pytest.mark.parametrize(
    "keyframes",
    [
        (Keyframe(at=0, prompt="a", seed=1), HALF),
        (Keyframe(at=5, prompt="a", seed=1), HALF, Keyframe(at=40, prompt="c", seed=3)),
        (Keyframe(at=0, prompt="a"), HALF, Keyframe(at=40, prompt="a", seed=0)),  # an intended rest
        (Keyframe(cfg="7 + sin(2*pi*t/48)"),),
        (Keyframe(cfg="7 + sin(2*pi*t/12)"),),
        (Keyframe(cfg="where(t % 16 < 8, 5, 7)"),),
        (Keyframe(cfg="5 + 2*beat"),),
        (Keyframe(prompt="a (cat:`1 + 0.5*sin(2*pi*t/24)`)"),),
        (Keyframe(at=0, prompt="a", seed=1, ease="in"), HALF),
    ],
)
def test_a_loop_that_closes_has_no_remark(keyframes: tuple[Keyframe, ...]) -> None:
    assert remarks(*keyframes, music=SONG) == []
