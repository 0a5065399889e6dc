"""Where a server is: its address taken apart, with what is secret in it moved out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urlsplit

from remix.client.auth import MASK, Auth
from remix.errors import BadInput

_HOST = re.compile(r"(?:[^/@\s]+@)?[\w.-]+(?::[0-9]{1,5})?(?:/\S*)?")
"""What looks like a host, perhaps with a port and a path."""


@dataclass(frozen=True)
class Address:
    """The base of a server's addresses, without user and password: scheme, host with port, and a path prefix."""

    scheme: str
    place: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}{self.prefix}"

    def of(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """Returns the address of a path below the base; `path` begins with a slash, and is quoted already."""
        asked = f"?{urlencode(query, quote_via=quote)}" if query else ""
        return f"{self}{path}{asked}"

    def socket(self, path: str, query: Mapping[str, str]) -> str:
        """Returns the address of a websocket below the base."""
        return f"ws{self.of(path, query).removeprefix('http')}"

    @property
    def is_private(self) -> bool:
        """Whether what is sent there cannot be read on the way: encrypted, or on this machine."""
        return self.scheme == "https" or is_loopback(urlsplit(str(self)).hostname or "")


def take_apart(url: str) -> tuple[Address, Auth]:
    """Returns the address that `url` says, and the user and password in it; BadInput for what is no base of a server.

    >>> take_apart("http://me:x@127.0.0.1:8188/comfy/")
    (Address(scheme='http', place='127.0.0.1:8188', prefix='/comfy'), Auth(***, user='me'))
    """
    shown = f"url: {_without_user(url)!r}"
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise BadInput(f"{shown} cannot be read; write one such as http://127.0.0.1:8188") from error
    if "://" not in url and _HOST.fullmatch(url.strip()):
        raise BadInput(f"{shown} has no scheme; write http:// or https:// in front of it")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{shown} is no address of a server; write one such as http://127.0.0.1:8188")
    if parts.query or parts.fragment or any(not "!" <= letter <= "~" for letter in parts.path + parts.hostname):
        raise BadInput(f"{shown} says more than a server's base; leave out what follows the path")
    auth = Auth()
    if parts.username is not None or parts.password is not None:
        auth = Auth(unquote(parts.password or ""), unquote(parts.username or ""))
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return Address(parts.scheme, place, parts.path.rstrip("/")), auth


def _without_user(url: str) -> str:
    start, at, rest = url.rpartition("@")
    if not at:
        return url
    scheme, slashes, _ = start.partition("//")
    return f"{scheme if slashes else ''}{slashes}{MASK}@{rest}"


def is_loopback(host: str) -> bool:
    """Returns whether a host, by its name or address, is this machine and reached from nowhere else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
