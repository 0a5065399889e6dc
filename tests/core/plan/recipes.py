"""Recipes for tests: from a text, and for hypothesis any that the constructor takes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from remix.catalog.samplers import SAMPLERS
from remix.catalog.schedulers import SCHEDULERS
from remix.plan import EASINGS, Keyframe, Lora, Model, Recipe
from remix.plan.recipe import LENGTHS
from remix.syntax import read_text

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="`"), max_size=30)
names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
    lambda name: bool(name.strip())
)
seeds = st.integers(0, 2**64 - 1)
pictures = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?\.png", fullmatch=True)
shares = st.floats(0, 1)
strengths = st.floats(-10, 10)
beziers = st.tuples(shares, st.floats(-10, 10), shares, st.floats(-10, 10)).map(lambda p: f"cubic-bezier{p}")
eases = st.sampled_from(EASINGS) | beziers


def recipe_of_text(text: str, **given: Any) -> Recipe:
    """The recipe in a text of any syntax."""
    return read_text(text, **given)[0]


def mixes(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value, or pairs of value and weight."""
    pairs = st.lists(st.tuples(values, st.floats(1e-3, 1e3)), min_size=1, max_size=4)
    return values | pairs


@st.composite
def recipes(draw: st.DrawFn, max_frames: int = 60) -> Recipe:
    """A recipe whose keyframes sit on given, distinct frames, in any order, with any fields."""
    frames = draw(st.integers(1, max_frames))
    at = draw(st.lists(st.integers(0, frames - 1), min_size=1, max_size=6, unique=True))
    has_picture = draw(st.booleans())

    def perhaps(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | strategy)

    keyframes = [
        Keyframe(
            frame,
            prompt=perhaps(mixes(texts)),
            negative=perhaps(mixes(texts)),
            seed=perhaps(mixes(seeds)),
            cfg=perhaps(st.floats(0, 100)),
            denoise=perhaps(st.floats(0, 1)) if has_picture else None,
            image=draw(mixes(pictures)) if has_picture else None,
            mask=perhaps(mixes(pictures)) if has_picture else None,
            loras=perhaps(st.dictionaries(st.sampled_from(("a", "styles/b", "ü")), strengths, min_size=1)),
            ease=perhaps(eases),
        )
        for frame in at
    ]
    return Recipe(
        frames=frames,
        keyframes=keyframes,  # type: ignore[arg-type]
        fps=draw(st.floats(0.1, 240)),
        width=draw(st.integers(1, 200)) * 8,
        height=draw(st.integers(1, 200)) * 8,
        model=Model(
            checkpoint=draw(names),
            vae=perhaps(names),
            loras=tuple(Lora(draw(names), draw(strengths)) for _ in range(draw(st.integers(0, 2)))),
            clip_skip=draw(st.integers(1, 12)),
        ),
        sampler=draw(st.sampled_from(tuple(SAMPLERS))),
        scheduler=draw(st.sampled_from(tuple(SCHEDULERS))),
        steps=draw(st.integers(1, 1000)),
        cfg=draw(st.floats(0, 100)),
        loop=draw(st.booleans()),
        ease=draw(eases),
        curve=draw(st.sampled_from(("linear", "cubic"))),
        mix=draw(st.sampled_from(("lerp", "slerp"))),
        lengths=perhaps(st.sampled_from(LENGTHS)),
    )
