"""Command-line options of engines and servers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from remix.client import ENGINES
from remix.client.cli.completion import among

DEFAULT = "[default: comfyui http://127.0.0.1:8188, a1111 http://127.0.0.1:7860]"
"""The `URL` of both engines, repeated so that the help text does not import them."""

SECRET = "env:NAME, or a file only you can read"
AUTH_HELP = f"Credentials: {SECRET}, with a token or user:password."
HEADER_HELP = f"Header to send with each request, such as X-API-Key=env:API_KEY; repeatable. SOURCE is {SECRET}."
CA_HELP = "Certificates to trust (PEM), for a server with a certificate of your own."
INSECURE_HELP = "Send credentials over plain http."


def _headers(context: click.Context, option: click.Parameter, given: Sequence[str]) -> Mapping[str, str] | None:
    from remix.client.auth import parse_headers

    return parse_headers(given) or None


offload_option = click.option(
    "--offload",
    type=click.Choice(("model", "group", "sequential")),
    help="Keep networks in main memory while they do not run, for a small GPU; each saves more, and is slower.",
)
quantize_option = click.option(
    "--quantize",
    type=click.Choice(("4bit", "8bit")),
    help="Load weights with bitsandbytes in fewer bits, for a small GPU; pictures change a little.",
)
OPTIONS = (
    click.option("--url", help=f"Address of the server.  {DEFAULT}"),
    click.option("--auth", metavar="SOURCE", help=AUTH_HELP),
    click.option("--header", "headers", multiple=True, metavar="NAME=SOURCE", callback=_headers, help=HEADER_HELP),
    click.option("--ca", type=click.Path(dir_okay=True), metavar="FILE", help=CA_HELP),
    click.option("--insecure", is_flag=True, default=None, help=INSECURE_HELP),
    click.option(
        "--batch", type=click.IntRange(min=1), help="Frames to sample together.  [default: depends on their size]"
    ),
    click.option("--device", help="Device of the local engine: auto, cpu, cuda, cuda:1, mps.  [default: auto]"),
    click.option(
        "--precision",
        type=click.Choice(("auto", "full")),
        help="Precision of the local engine: auto is half on CUDA, full is always float32.  [default: auto]",
    ),
    offload_option,
    quantize_option,
    click.option(
        "--embeddings",
        metavar="FOLDER",
        help="Textual inversions for the local engine.  [default: embeddings, if there is such a folder]",
    ),
)
engine_option = click.option(
    "--engine",
    shell_complete=among(ENGINES),
    help=f"One of: {', '.join(ENGINES)}.  [default: local; with --url, the tool that answers there]",
)
OF_MODELS = ("device", "precision", "offload", "quantize", "embeddings")
NAMES = ("url", "auth", "headers", "ca", "insecure", "batch", *OF_MODELS)

CREDENTIALS = ("auth", "headers", "ca", "insecure")


def chosen(engine: str | None, options: Mapping[str, Any]) -> str:
    """Returns the name of an engine. None: the one for the server at the option `url`, or the local one without."""
    if engine is not None or options.get("url") is None:
        return engine or "local"
    from remix.client.detect_host import engine_at

    return engine_at(**{name: options[name] for name in ("url", *CREDENTIALS) if options.get(name) is not None})


def server_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the connection options of a server to a verb that has its own --url."""
    for option in reversed([each for name, each in zip(NAMES, OPTIONS, strict=True) if name in CREDENTIALS]):
        command = option(command)
    return command


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of engines to a verb. It receives one mapping `options`, with None for omitted ones."""

    @functools.wraps(command)
    def packed(**given: Any) -> None:
        options = {name: given.pop(name) for name in NAMES}
        command(**given, options=options)

    for option in reversed(OPTIONS):
        packed = option(packed)
    return packed


def servers_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of several engines to a verb: address and credentials per server, and shared options.

    The verb receives them as `options`: engine -> its options.
    """

    @functools.wraps(command)
    def packed(**given: Any) -> None:
        shared = {name: given.pop(name) for name in SHARED}
        options: dict[str, dict[str, Any]] = {}
        for engine, kind in ENGINES.items():
            own = {name: given.pop(f"{engine}_{name}") for name in OWN if "url" in kind.options}
            options[engine] = {name: value for name, value in {**shared, **own}.items() if name in kind.options}
        command(**given, options=options)

    for option in reversed([made for engine in ENGINES for made in _of_server(engine)]):
        packed = option(packed)
    for option in reversed([option for name, option in zip(NAMES, OPTIONS, strict=True) if name in SHARED]):
        packed = option(packed)
    return packed


SHARED = ("ca", "insecure", "batch", *OF_MODELS)
OWN = ("url", "auth", "headers")


def _of_server(engine: str) -> list[Callable[..., Any]]:
    if "url" not in ENGINES[engine].options:
        return []
    return [
        click.option(f"--{engine}-url", help=f"Address of the {engine} server."),
        click.option(
            f"--{engine}-auth", metavar="SOURCE", help=AUTH_HELP.replace(":", f" for the {engine} server:", 1)
        ),
        click.option(
            f"--{engine}-header",
            f"{engine}_headers",
            multiple=True,
            metavar="NAME=SOURCE",
            callback=_headers,
            help=HEADER_HELP.replace("each request", f"each request to the {engine} server"),
        ),
    ]
