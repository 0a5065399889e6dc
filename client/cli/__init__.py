"""The command line: `remix VERB`. One file for each verb; this one finds them and turns errors into exit codes.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence

import click

from remix import __version__
from remix.errors import BadInput, Interrupted, RemixError

VERBS = ("demo", "new", "plan", "render", "video", "inspect", "doctor", "completion")
"""Each lies in the file of its name as `command`."""

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


class Verbs(click.Group):
    """A group that imports a verb when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        return importlib.import_module(f"remix.client.cli.{name}").command


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="remix")
def remix() -> None:
    """Travel between prompts, seeds and pictures, and get a film."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    # OpenMP's waiting threads spin by default; on a busy machine that costs a factor of ten. Read once by
    # torch's runtime, so it is set before any verb imports torch.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.WARNING, format="remix: %(message)s")
    try:
        code = remix.main(args=arguments, prog_name="remix", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return BAD_INPUT
    except (Interrupted, KeyboardInterrupt, click.Abort) as stop:
        click.echo(f"remix: {stop or 'stopped'}", err=True)
        return INTERRUPTED
    except RemixError as error:
        click.echo(f"remix: {error}", err=True)
        return BAD_INPUT if isinstance(error, BadInput) else FAILED
    except OSError as error:  # a folder that may not be written to, a disk that is full or gone
        click.echo(f"remix: {error}", err=True)
        return FAILED
    # A verb returns nothing; `Exit(code)` raised within it comes back as its code.
    return code if isinstance(code, int) else DONE
