"""The command line: `remix VERB`. Each verb has its own module; this one imports them and maps errors to exit codes.

Exit codes: 0 success, 1 failure, 2 invalid input, 130 interrupted.
"""

from __future__ import annotations

import importlib
import keyword
import logging
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from errno import EACCES, EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS

import click

from remix import __version__
from remix.errors import BadInput, Interrupted, RemixError

VERBS = {
    "demo": "Render a looping film with the bundled model, now.",
    "new": "Write a commented recipe to start from.",
    "plan": "Show what every frame of a recipe is made of.",
    "render": "Render recipes: frames, films, contact sheets.",
    "travel": "Write a recipe that travels from picture to picture.",
    "morph": "Turn one picture into the next, without a recipe.",
    "grid": "Compare settings in a grid with labeled axes.",
    "steps": "Show every denoising step of a picture.",
    "explain": "Run an experiment that shows how diffusion works.",
    "lab": "Prepare a course: worksheets, notebooks, workflows.",
    "compare": "Render with several engines and compare the frames.",
    "import": "Convert another tool's schedule to a recipe.",
    "export": "Convert a recipe to another tool's schedule.",
    "video": "Make a film from pictures.",
    "music": "Show the tempo and the beats of a song.",
    "report": "Show how evenly a film moves, on a page.",
    "jobs": "List the jobs below a folder, and how far each is.",
    "inspect": "Show what made a picture, film or job.",
    "workflow": "Show, convert, change, compare, check and run ComfyUI workflows.",
    "link": "Install this checkout into a ComfyUI or an A1111.",
    "doctor": "Check what is installed and what is missing.",
    "completion": "Print a shell completion script.",
}
"""Verb -> description. The verb's module has the same name (with a _ after a Python keyword) and defines `command`."""

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

SIMILAR = 0.75
"""Similarity, 0 to 1, above which an option is suggested."""

PLACES = (ENOENT, ENOTDIR, EISDIR, EEXIST, EACCES, EPERM, EROFS, ENAMETOOLONG)
"""Error numbers for unusable paths."""


class Verbs(click.Group):
    """A group that imports a verb only when it runs, not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        file = f"{name}_" if keyword.iskeyword(name) else name
        return importlib.import_module(f"remix.client.cli.{file}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-") and args[0] not in VERBS:
            from remix.plan.wording import nearest

            ctx.fail(f"there is no verb {args[0]!r}; {nearest(args[0], VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=Verbs, subcommand_metavar="VERB [ARGS]...", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="remix")
def remix() -> None:
    """Travel between prompts, seeds and pictures, and get a film."""


class _Lines(logging.Formatter):
    """Formatter that removes terminal control characters, since log lines may quote a server."""

    def format(self, record: logging.LogRecord) -> str:
        return _shown(super().format(record))


def _shown(text: str) -> str:
    """Returns a text from outside without terminal control characters."""
    from remix.plan.wording import printable  # here, since listing the verbs does not need it

    return printable(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    # OpenMP's waiting threads spin by default, which slows a busy machine tenfold. torch's runtime reads this once, so
    # it is set before any verb imports torch.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines("remix: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    try:
        code = remix.main(args=arguments, prog_name="remix", standalone_mode=False)
    except click.ClickException as error:
        if isinstance(error, click.NoSuchOption):
            similar = get_close_matches(error.option_name, error.possibilities or (), 3, SIMILAR)
            error = click.NoSuchOption(error.option_name, possibilities=similar, ctx=error.ctx)
        error.show()
        return BAD_INPUT
    except (Interrupted, KeyboardInterrupt, click.Abort) as stop:
        click.echo(f"remix: {str(stop) or 'stopped; run the same command again to continue'}", err=True)
        return INTERRUPTED
    except RemixError as error:
        click.echo(f"remix: {_shown(str(error))}", err=True)
        return BAD_INPUT if isinstance(error, BadInput) else FAILED
    except OSError as error:  # a missing or forbidden path, or a full or missing disk
        at = f"{error.filename}: " if error.filename else ""
        advice = "; give another path" if error.errno in PLACES else ""
        click.echo(f"remix: {at}{error.strerror or error}{advice}", err=True)
        return BAD_INPUT if error.errno in PLACES else FAILED
    # A verb returns None. If it raises `Exit(code)`, click returns the code.
    return code if isinstance(code, int) else DONE
