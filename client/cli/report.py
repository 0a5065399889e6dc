"""`remix report`: writes a page that shows how a film moves and how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remix.client.cli.outputs import overwrite_option, print_data, refuse_present
from remix.errors import BadInput
from remix.job import is_job
from remix.plan.wording import printable

if TYPE_CHECKING:
    from remix.show.report import Report


@click.command("report")
@click.argument("film", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Page.  [default: report.html in a job, else FILM.html]"
)
@click.option("--loop", is_flag=True, help="Measure the step from the last frame to the first. Jobs that loop do.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON; write a page only with -o.")
@click.option("--open", "show", is_flag=True, help="Open the page when it is finished.")
@overwrite_option
def command(film: Path, out: Path | None, loop: bool, as_json: bool, show: bool, overwrite: bool) -> None:
    """Measures how evenly FILM moves, and writes a page about it.

    FILM is a job folder, a film file or a folder of pictures. The page is one HTML file with the film, a contact sheet,
    its steps and jumps, the curves of the schedule, settings, model and cost. It needs no network.
    """
    if show and as_json and out is None:
        raise click.UsageError("--open: --json writes no page; add -o")
    page = None if as_json and out is None else out or _default(film)
    if page is not None:
        if page.suffix.lower() not in (".html", ".htm"):
            raise BadInput(f"{page}: is not a page; call it {page.with_suffix('.html')}")
        # A job's own report belongs to the toolkit and is replaced.
        refuse_present(page, overwrite or (out is None and is_job(film)))
        from remix.show.page import require

        require()
    report = _measured(film, loop)
    if page is not None:
        from remix.engine.report import write_report

        write_report(report, page)
    if as_json:
        from remix.show.report import to_dict

        print_data(json.dumps(to_dict(report), ensure_ascii=False) + "\n")
    else:
        _print(report)
        click.echo(f"report    {page}")
    if show and page is not None:
        click.launch(str(page.resolve()))


def _default(film: Path) -> Path:
    from remix.engine.report import report_path

    return report_path(film) if is_job(film) else film.with_name(f"{film.name}.html")


def _measured(film: Path, loop: bool) -> Report:
    from remix.client.cli.video import pictures_in
    from remix.engine.report import film_report, job_report, pictures_report

    if is_job(film):
        if loop:
            raise BadInput(f"--loop: {film} is a job, and its recipe says whether it loops; leave it out")
        return job_report(film)
    if film.is_dir():
        return pictures_report(film, pictures_in(film), loop=loop)
    return film_report(film, loop=loop or None)


def _print(report: Report) -> None:
    """Prints the figures, and each jump with what helps."""
    from remix.show.report import advice, jumps_of, verdict

    motion = report.motion
    click.echo(
        f"evenness  CV {motion.variation:.2f} ({verdict(motion)}), largest step {motion.largest:.1f} x the typical one"
    )
    click.echo(f"path      {motion.path_length:.3g}, flicker {motion.flicker:.1%}")
    if motion.loop_error is not None:
        click.echo(f"loop      error {motion.loop_error:.2f} typical steps")
    if (between := report.inbetweens) is not None:
        far = "".join(f", {begin} to {end} ({error:.3f})" for begin, end, error in between.far)
        click.echo(
            f"between   {between.frames} in-betweens, error {between.median:.3f} in the median, at most "
            f"{between.largest:.3f}" + (f"; over {between.near:g}: frames{far[1:]}" if far else "")
        )
    jumps = jumps_of(report)
    for jump in jumps:
        ends = "" if jump.prompts is None else f", from {jump.prompts[0]} to {jump.prompts[1]}"
        click.echo(f"jump      frame {jump.frame} to {jump.after}, {jump.steps:.1f} typical steps{printable(ends)}")
    if jumps:
        click.echo(f"          {advice(report)}")
