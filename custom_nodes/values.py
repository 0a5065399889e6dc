"""Remix Value Travel: one number per frame, for any widget."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io

from remix.errors import BadInput
from remix.plan import EASINGS, Schedule
from remix.plan.shares import MIXED
from remix.plan.values import expression_values, ramp_values, setting_values, share_values, whole

from .inputs import PLAN, schedule_input, schedule_of, schema, shown_remarks
from .workflow import Workflow, links, surroundings_of

log = logging.getLogger(__name__)

WHOLE_FILMS = ("RemixRender", "RemixRecipe")
"""Nodes that process all frames in each run."""

FARTHEST = 1e9


class RemixValueTravel(io.ComfyNode):
    """Node that outputs one number per frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Returns the inputs, outputs and texts of the node."""
        return schema(
            node_id="RemixValueTravel",
            display_name="Remix Value Travel",
            category=PLAN,
            description="Outputs one number per frame, for any widget: the recipe's cfg or denoise, a ramp, the "
            "weight of a prompt, or an expression. Downstream nodes run once per frame.",
            search_aliases=["value schedule", "float schedule", "keyframe values", "animate widget", "cfg schedule"],
            inputs=[
                schedule_input("The schedule with the frames, from Remix Recipe."),
                _value_input(),
            ],
            outputs=[
                io.Float.Output("float", display_name="FLOAT", tooltip="One number per frame.", is_output_list=True),
                io.Int.Output(
                    "int", display_name="INT", tooltip="The same numbers, rounded to integers.", is_output_list=True
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> str:
        """Returns the workflow's lists that are combined with the node's own, and its downstream nodes."""
        number = getattr(cls.hidden, "unique_id", None)
        return "" if number is None else repr((surroundings_of(cls), _driven(Workflow.running(), number)))

    @classmethod
    def execute(cls, schedule: Any, value: dict[str, Any]) -> io.NodeOutput:
        """Returns the numbers of all frames, as floats and as integers."""
        planned = schedule_of(schedule)
        surroundings_of(cls).refuse_unequal(len(planned), 0)
        number = getattr(cls.hidden, "unique_id", None)
        driven = _driven(Workflow.running(), number) if number is not None and len(planned) > 1 else Driven()
        if driven.whole_films:
            raise BadInput(
                f"value: {driven.whole_films[0]} would run once for each of the {len(planned)} numbers, each time for "
                "the whole film; use Remix Prompt Travel, Remix Noise Travel and KSampler for a number that travels"
            )
        remarks = [
            f"{name}: {input_name} is {count}, and downstream nodes run once for each of the {len(planned)} numbers, "
            f"which makes {count * len(planned)} pictures; set it to 1"
            for name, input_name, count in driven.batches
        ]
        for remark in remarks:
            log.warning("Remix Value Travel: %s", remark)
        values = _values(planned, value)
        return io.NodeOutput(values, whole(values), ui=shown_remarks(remarks))


@dataclass(frozen=True)
class Driven:
    """Inputs that are processed once per number: nodes for whole films, and latents with several pictures."""

    whole_films: tuple[str, ...] = ()
    batches: tuple[tuple[str, str, int], ...] = ()


def _driven(workflow: Workflow, number: str) -> Driven:
    downstream = sorted(workflow.mapped(number))
    films = tuple(workflow.name(node) for node in downstream if workflow.kind(node) in WHOLE_FILMS)
    # Remix nodes split the latents that pass through them.
    feeders = {source for node in downstream for source, _ in links(workflow.nodes[node])} - set(downstream)
    batches = []
    for feeder in sorted(feeders & workflow.nodes.keys()):
        for name in ("batch_size", "amount"):
            count = workflow.nodes[feeder]["inputs"].get(name)
            if isinstance(count, int) and count > 1 and not workflow.kind(feeder).startswith("Remix"):
                batches.append((workflow.name(feeder), name, count))
    return Driven(films, tuple(batches))


def _value_input() -> io.Input:
    return io.DynamicCombo.Input(
        "value",
        options=[
            io.DynamicCombo.Option("cfg", []),
            io.DynamicCombo.Option("denoise", []),
            io.DynamicCombo.Option(
                "ramp",
                [
                    _number("start", 0.0, "Value at the first frame."),
                    _number("end", 1.0, "Value at the last frame. In a loop, at the middle."),
                    io.Combo.Input(
                        "ease", options=list(EASINGS), default="linear", tooltip="Easing from start to end."
                    ),
                ],
            ),
            io.DynamicCombo.Option(
                "share",
                [
                    io.Combo.Input(
                        "of",
                        options=list(MIXED),
                        default="prompt",
                        tooltip="Whose weight to use: a prompt, seed or picture.",
                    ),
                    io.Int.Input(
                        "number", default=0, min=0, max=9999, tooltip="Its position in the schedule, counted from 0."
                    ),
                    _number("low", 0.0, "Value in frames where its weight is 0."),
                    _number("high", 1.0, "Value in frames where its weight is 1."),
                ],
            ),
            io.DynamicCombo.Option(
                "expression",
                [
                    io.String.Input(
                        "expression",
                        default="1 + 0.5*sin(tau*t/max_f)",
                        tooltip="Evaluated for each frame. t is the frame, max_f the last frame, s the seed; fps, cfg "
                        "and denoise are also available.",
                    )
                ],
            ),
        ],
        tooltip="The source of the numbers.",
    )


def _number(name: str, default: float, tooltip: str) -> io.Input:
    return io.Float.Input(name, default=default, min=-FARTHEST, max=FARTHEST, step=0.01, tooltip=tooltip)


def _values(schedule: Schedule, value: Mapping[str, Any]) -> list[float]:
    choice = value.get("value")
    if choice in ("cfg", "denoise"):
        return setting_values(schedule, choice)
    if choice == "ramp":
        return ramp_values(schedule, value["start"], value["end"], value["ease"])
    if choice == "share":
        return share_values(schedule, value["of"], value["number"], value["low"], value["high"])
    if choice == "expression":
        return expression_values(schedule, value["expression"])
    raise BadInput(f"value: {choice!r} is not known; choose cfg, denoise, ramp, share or expression")


NODES = [RemixValueTravel]
