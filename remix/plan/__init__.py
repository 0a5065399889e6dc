"""What is asked for: text in, numbers out.

A `Recipe` has keyframes; `plan` works it out into a `Schedule`, one `Frame` after another, in which every
changing thing is a number or a `Mix` of values. Pure Python: no tensors, no host.
"""

from remix.plan.curves import EASINGS
from remix.plan.keyframe import Keyframe
from remix.plan.mix import Mix
from remix.plan.model import Lora, Model
from remix.plan.recipe import Recipe, read_recipe
from remix.plan.schedule import Frame, Schedule, plan, prompts_of

__all__ = [
    "EASINGS",
    "Frame",
    "Keyframe",
    "Lora",
    "Mix",
    "Model",
    "Recipe",
    "Schedule",
    "plan",
    "prompts_of",
    "read_recipe",
]
