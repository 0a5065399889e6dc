"""What an engine can do is declared; everything else is refused by field name, and never ignored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from remix.client.a1111 import plain, scripted
from remix.client.local.engine import CAPABILITIES as LOCAL
from remix.engine import Capabilities, refuse_unsupported
from remix.engine.pack import Pack, report
from remix.errors import Unsupported
from remix.plan import Keyframe, Lora, Model, Recipe, Schedule, plan
from tests.fakes.renderer import PAINTS, Painter

SCRIPTED = scripted.capabilities(Pack.read(report(None)))
DECLARED = {"local": LOCAL, "plain": plain.CAPABILITIES, "scripted": SCRIPTED, "painter": PAINTS}


@dataclass(frozen=True)
class LaterRecipe(Recipe):
    """A recipe with a field that no engine knows."""

    tilt: float = 0.0


@dataclass(frozen=True)
class LaterModel(Model):
    """A model with a field that no engine knows."""

    quantized: str | None = None


@dataclass(frozen=True, init=False)
class LaterKeyframe(Keyframe):
    """A keyframe with a field that no engine knows."""

    depth: float | None = None


def keyframe(**values: Any) -> Keyframe:
    made = LaterKeyframe(prompt="a cat")
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


LATER = {
    "tilt": lambda: LaterRecipe(frames=2, keyframes=(Keyframe(prompt="a cat"),), tilt=0.5),
    "model.quantized": lambda: Recipe(frames=2, keyframes=(Keyframe(),), model=LaterModel(quantized="int8")),
    "depth": lambda: Recipe(frames=2, keyframes=(Keyframe(prompt="a"), keyframe(depth=1.5))),
}
UNSET = {
    "tilt": lambda: LaterRecipe(frames=2, keyframes=(Keyframe(prompt="a cat"),)),
    "model.quantized": lambda: Recipe(frames=2, keyframes=(Keyframe(),), model=LaterModel()),
    "depth": lambda: Recipe(frames=2, keyframes=(Keyframe(prompt="a"), keyframe())),
}


@pytest.mark.parametrize("can", DECLARED.values(), ids=DECLARED)
@pytest.mark.parametrize("name", LATER)
def test_a_field_that_an_engine_does_not_know_is_refused_by_name(can: Capabilities, name: str) -> None:
    with pytest.raises(Unsupported, match=f"^{name}: .*set"):
        refuse_unsupported(plan(LATER[name]()), can)
    refuse_unsupported(plan(UNSET[name]()), can)


def test_check_refuses_before_the_engine_looks_itself() -> None:
    with pytest.raises(Unsupported, match=r"^tilt: 0.5 is set, and the painter cannot render that"):
        Painter(remarks=["never reached"]).check(plan(LATER["tilt"]()))


def film(**changes: Any) -> Schedule:
    return plan(Recipe(frames=3, keyframes=(Keyframe(prompt="a"), Keyframe(prompt="b"))).replace(**changes))


PICTURES = (Keyframe(image="a.png", denoise=0.5), Keyframe(denoise=0.6))


@pytest.mark.parametrize(
    ("changed", "schedule", "sentence"),
    [
        ({"samplers": ("heun",)}, film(), "^sampler: the painter does not have 'euler'; use one of heun$"),
        ({"schedulers": ("karras",)}, film(), "^scheduler: the painter does not have 'normal'; use one of karras$"),
        (
            {"samplers": (), "reasons": {"sampler": "it is slow"}},
            film(),
            "^sampler: 'euler', and it is slow; use another engine$",
        ),
        ({"recipe": "width height steps cfg mix"}, film(lengths="trim"), "^lengths: 'trim' is set"),
        ({"model": "vae loras clip_skip"}, film(model=Model("x")), "^model.checkpoint: 'x' is set"),
        ({"model": "checkpoint"}, film(model=Model(loras=(Lora("x"),))), "^model.loras: "),
        ({"keyframe": "prompt"}, film(keyframes=(Keyframe(prompt="a", seed=1),)), r"^seed: keyframes\[0\] sets it"),
        ({"most_mixed": {"prompt": 1}}, film(), "^prompt: frame 1 mixes 2, and the painter cannot render that"),
        (
            {"traveling_loras": False, "instead": "wait"},
            film(keyframes=(Keyframe(loras={"x": 0}), Keyframe(loras={"x": 1}))),
            "^loras: their strengths travel, and the painter cannot render that; wait$",
        ),
        (
            {"fractional_denoise": False},
            film(frames=2, keyframes=PICTURES),
            "^denoise: frame 1 has 0.6, which the painter rounds to whole steps; use 0.60606 throughout",
        ),
        ({"from_pictures": ("heun",)}, film(keyframes=PICTURES), "^sampler: frame 0 starts from a picture.*'euler'"),
        (
            {"prompts": frozenset({"emphasis"})},
            film(keyframes=(Keyframe(prompt="a [b:c:0.5]"),)),
            "^prompt: prompt editing '.b:c:0.5.' changes over the steps of one picture, which the painter does not",
        ),
    ],
)
def test_what_is_not_declared_is_refused_by_name(changed: dict, schedule: Schedule, sentence: str) -> None:
    refuse_unsupported(schedule, PAINTS)
    with pytest.raises(Unsupported, match=sentence):
        refuse_unsupported(schedule, replace(PAINTS, **changed))


def test_how_prompts_mix_does_not_matter_if_none_do() -> None:
    can = replace(PAINTS, recipe="width height steps cfg sampler scheduler")
    refuse_unsupported(film(keyframes=(Keyframe(prompt="a"),), mix="slerp", lengths="trim"), can)
    with pytest.raises(Unsupported, match=r"^mix: 'slerp' is set"):
        refuse_unsupported(film(mix="slerp"), can)


@pytest.mark.parametrize("engine", DECLARED)
def test_a_lora_whose_strength_changes_over_the_steps_is_refused_by_every_engine(engine: str) -> None:
    schedule = plan(Recipe(frames=1, keyframes=(Keyframe(prompt="a cat <lora:film:0@0,1@0.5>"),)))
    with pytest.raises(Unsupported, match=r"prompt: '<lora:film:0@0,1@0.5>' changes the LoRA over the steps"):
        refuse_unsupported(schedule, DECLARED[engine])
