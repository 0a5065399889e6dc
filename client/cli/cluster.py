"""The options that spread a film over several workers."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from remix.client import ENGINES
from remix.errors import BadInput

if TYPE_CHECKING:
    from remix.client.cluster import Pool, Worker

EXAMPLE = "'comfyui=https://gpu.example auth=env:TOKEN'"

SERVER_HELP = (
    "A server that renders too, such as comfyui=http://127.0.0.1:8188; repeatable. Credentials follow in the same "
    f"argument: {EXAMPLE}; header=NAME=SOURCE adds a header."
)


MOST, MOST_PER_CORE = 10_000, 16
"""Maximum number of workers, and that for each core without a cluster. Most wait for a GPU, not for a core."""


@dataclass(frozen=True)
class Crew:
    """The workers that were asked for: their number, the cluster's address, and servers."""

    workers: int | None
    cluster: str | None
    servers: tuple[str, ...]

    def pool(self, engine: str, options: Mapping[str, Any]) -> Pool | None:
        """Returns the pool of all workers, None if the command asks for none."""
        if self.workers is None and self.cluster is None and not self.servers:
            return None
        from remix.client.cluster import Pool

        given = {name: value for name, value in options.items() if value is not None}
        if given.pop("previews", None):
            raise BadInput("--preview: shows the steps of one engine; leave it out with several workers")
        members = [_server(text, given) for text in self.servers]
        if not self.servers or self.workers is not None:
            members += self._local(engine, given)
        return Pool(members, address=self.cluster)

    def _local(self, engine: str, given: Mapping[str, Any]) -> list[Worker]:
        """Returns the workers that render themselves."""
        from remix.client.cluster import Worker
        from remix.client.cluster.ray_member import Cluster

        if engine != "local":
            raise BadInput(
                f"--engine: workers of a cluster render with the local engine; write --server {engine}=URL for each "
                "server instead"
            )
        count = Cluster(self.cluster).places() if self.workers is None else self.workers
        if self.cluster is None and count > (most := MOST_PER_CORE * (os.cpu_count() or 1)):
            raise BadInput(f"--workers: {count} are more than this machine can run; use at most {most}")
        known = ENGINES["local"].options
        return [Worker("local", **{name: given[name] for name in known if name in given}) for _ in range(count)]


def _server(text: str, given: Mapping[str, Any]) -> Worker:
    """Returns the worker of a server, such as ``comfyui=http://127.0.0.1:8188 auth=env:TOKEN``."""
    from remix.client.auth import parse_headers
    from remix.client.cluster import Worker

    if unclear := [name for name in ("url", "auth", "headers") if name in given]:
        option = {"headers": "header"}.get(unclear[0], unclear[0])
        raise BadInput(f"--{option}: does not name a server; write it in --server, as in {EXAMPLE}")
    address, *more = text.split()
    engine, equals, url = address.partition("=")
    servers = [name for name, kind in ENGINES.items() if "url" in kind.options]
    if not equals or engine not in servers:
        raise BadInput(f"--server: begins with {engine[:20]!r}; begin it with {' or '.join(f'{n}=' for n in servers)}")
    options = {name: given[name] for name in ("ca", "insecure", "batch") if name in given}
    headers = list[str]()
    for part in more:
        name, _, value = part.partition("=")
        if name == "auth":
            options["auth"] = value
        elif name == "header":
            headers.append(value)
        else:
            raise BadInput(f"--server: {name!r} is unknown after the address; use auth= or header=")
    return Worker(engine, url=url, headers=parse_headers(headers) or None, **options)


def crew_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of several workers to a verb, which receives them as `crew`."""

    @functools.wraps(command)
    def packed(workers: int | None, cluster: str | None, server: tuple[str, ...], **given: Any) -> None:
        command(**given, crew=Crew(workers, cluster, server))

    for option in reversed(
        (
            click.option(
                "--workers",
                type=click.IntRange(1, MOST),
                metavar="N",
                help="Spread the frames over N processes, one for each GPU, or CPU workers.",
            ),
            click.option(
                "--cluster",
                metavar="ADDRESS",
                help="Spread the frames over a Ray cluster: auto, or its address.  [default: this machine only]",
            ),
            click.option("--server", multiple=True, metavar="ENGINE=URL", help=SERVER_HELP),
        )
    ):
        packed = option(packed)
    return packed
