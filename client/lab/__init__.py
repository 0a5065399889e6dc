"""The lab: experiments that show how diffusion models work, and the kit of a course.

    experiments()     the name of each experiment and what it shows
    view_of(name)     runs an experiment and returns its page
    new_kit(folder)   writes the kit of a course: worksheets, notebooks, workflows
    hand_in(folder)   gathers a student's answers and pictures on one page

An experiment is one file in `topics`. Importing this package loads no torch.
"""

from __future__ import annotations

from remix.client.lab.kit import hand_in, new_kit
from remix.client.lab.table import experiments, view_of
from remix.client.lab.texts import LANGUAGES

__all__ = ["LANGUAGES", "experiments", "hand_in", "new_kit", "view_of"]
