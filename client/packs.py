"""Reads what the Remix nodes, or the Remix script, of a server report."""

from __future__ import annotations

import logging

from remix.client.http import Http
from remix.client.statuses import SERVER_ERROR
from remix.engine.pack import REPORT, Pack
from remix.errors import BadReply, HostRefused

log = logging.getLogger(__name__)


def read_pack(http: Http, checkpoint: str) -> Pack:
    """Returns the pack of a server, with what it reports about a checkpoint. An older one does not report anything.

    A proxy that allows only known paths has the same effect.
    """
    try:
        return Pack.read(http.get(REPORT, {"checkpoint": checkpoint}))
    except BadReply as error:  # a page instead of JSON
        log.info("%s", error)
    except HostRefused as error:
        if error.status >= SERVER_ERROR:
            raise
        log.info("%s", error)
    return Pack()
