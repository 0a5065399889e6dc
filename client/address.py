"""Server addresses, separated from the secrets in them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from remix.client.auth import MASK, Auth, Credentials
from remix.errors import BadInput

_HOST = re.compile(r"(?:[^/@\s]+@)?[\w.-]+(?::[0-9]{1,5})?(?:[/?]\S*)?")
"""Matches a host with an optional port and path."""

EXAMPLE = "write one such as http://127.0.0.1:8188"


@dataclass(frozen=True)
class Address:
    """The base address of a server: scheme, host with port, and a path prefix. It contains no secrets."""

    scheme: str
    host: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}{self.prefix}"

    def url(self, path: str, query: Iterable[tuple[str, str]] = ()) -> str:
        """Returns the URL of a path below the base. `path` starts with a slash and must already be quoted."""
        pairs = list(query)
        return f"{self}{path}{f'?{urlencode(pairs, quote_via=quote)}' if pairs else ''}"

    def websocket_url(self, path: str, query: Iterable[tuple[str, str]] = ()) -> str:
        """Returns the URL of a websocket below the base."""
        return f"ws{self.url(path, query).removeprefix('http')}"

    @property
    def is_secure(self) -> bool:
        """Whether the traffic is private: it is encrypted, or stays on this machine."""
        return self.scheme == "https" or is_loopback(urlsplit(str(self)).hostname or "")


@dataclass(frozen=True)
class Endpoint:
    """The URL, headers and trusted certificates of a websocket connection."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificates: str = ""


def parse_address(url: str) -> tuple[Address, Credentials]:
    """Returns the address in `url`, and its credentials: user, password and query.

    Raises `BadInput` for anything that is not the base address of a server. The message contains no secrets.

    >>> parse_address("http://me:x@127.0.0.1:8188/comfy/")
    (Address(scheme='http', host='127.0.0.1:8188', prefix='/comfy'), Credentials(Auth(***, user='me')))
    >>> parse_address("https://gpu.example/?token=abc")[1]
    Credentials(Auth(), ?token=***)
    """
    shown = f"url: {_masked(url)!r}"
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise BadInput(f"{shown} cannot be read; {EXAMPLE}") from error
    if "://" not in url and _HOST.fullmatch(url.strip()):
        raise BadInput(f"{shown} has no scheme; begin it with http:// or https://")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{shown} is not the address of a server; {EXAMPLE}")
    if parts.fragment or any(not "!" <= letter <= "~" for letter in parts.path + parts.hostname):
        raise BadInput(f"{shown} is more than a server's base address; leave out what follows the path")
    auth = Auth()
    if parts.username is not None or parts.password is not None:
        auth = Auth(unquote(parts.password or ""), unquote(parts.username or ""))
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    host = name if port is None else f"{name}:{port}"
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return Address(parts.scheme, host, parts.path.rstrip("/")), Credentials(auth, query=query)


def _masked(url: str) -> str:
    """Returns the URL without the parts that may be secret: user, password, query and fragment."""
    start, at, rest = url.rpartition("@")
    scheme, slashes, _ = start.partition("//")
    user = f"{scheme if slashes else ''}{slashes}{MASK}@" if at else ""
    return user + re.sub(r"([?#]).*", rf"\1{MASK}", rest, flags=re.DOTALL)


def is_loopback(host: str) -> bool:
    """Returns whether a host name or address is a loopback address, which other machines cannot reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
