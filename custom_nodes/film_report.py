"""Remix Report: writes the page that shows how evenly the film of a job moves, and how it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfy_api.latest import io

from remix.engine.report import job_report, report_path, write_report
from remix.show.page import require
from remix.show.report import Report, advice, jumps_of, verdict

from .inputs import FILM, JobType, rendered_of, schema, shown_remarks
from .job import shown_page

MOST_JUMPS = 5
"""The number of jumps that the node lists. The page has all of them."""


class RemixReport(io.ComfyNode):
    """Node that measures a finished job and writes its report."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Returns the inputs, outputs and texts of the node."""
        return schema(
            node_id="RemixReport",
            display_name="Remix Report",
            category=FILM,
            description="Measures how evenly the film of a job moves, and writes a page about it into the job's "
            "folder: contact sheet, steps and jumps, curves, settings, model and cost. It opens without a network.",
            search_aliases=["film report", "evenness", "flicker", "measure film", "html page"],
            inputs=[JobType.Input("job", tooltip="A finished job, from Remix Render or Remix Load Job.")],
            outputs=[
                io.String.Output("page", tooltip="The path of the page, an HTML file."),
                io.Float.Output(
                    "variation",
                    tooltip="How much the steps between frames vary: their standard deviation over their mean. 0 is "
                    "perfectly even.",
                ),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, job: Any) -> io.NodeOutput:
        """Writes the page, and shows its figures with a link to it."""
        folder = rendered_of(job).folder
        require()  # before minutes of measuring
        report = job_report(folder)
        page = write_report(report, report_path(folder))
        return io.NodeOutput(
            str(page), report.motion.variation, ui={**shown_page(page), **shown_remarks(_figures(report, page))}
        )


def _figures(report: Report, page: Path) -> list[str]:
    motion = report.motion
    lines = [
        f"evenness: CV {motion.variation:.2f} ({verdict(motion)}), largest step {motion.largest:.1f} x the typical one",
        f"path {motion.path_length:.3g}, flicker {motion.flicker:.1%}",
    ]
    if motion.loop_error is not None:
        lines.append(f"loop error: {motion.loop_error:.2f} typical steps")
    jumps = jumps_of(report)
    lines += [
        f"jump: frame {jump.frame} to {jump.after}, {jump.steps:.1f} typical steps" for jump in jumps[:MOST_JUMPS]
    ]
    return [*lines, *([advice(report)] if jumps else []), f"page: {page}"]


NODES = [RemixReport]
