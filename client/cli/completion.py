"""`remix completion`: prints the shell completion script."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


def among(known: Iterable[str]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Returns a function that completes an option's value to one of the `known` names."""
    return lambda context, parameter, begun: [name for name in known if name.startswith(begun)]


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Prints the completion script for SHELL.

    bash: add  eval "$(remix completion bash)"  to ~/.bashrc; zsh: the same in ~/.zshrc; fish:  remix completion
    fish > ~/.config/fish/completions/remix.fish
    """
    complete = get_completion_class(shell)
    root = context.find_root()
    assert complete is not None
    click.echo(complete(root.command, {}, "remix", "_REMIX_COMPLETE").source())
