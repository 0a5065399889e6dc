"""Credentials for a server: read from the environment or a private file, sent with every request, never shown."""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from remix.errors import BadInput

MASK = "***"
LARGEST_FILE = 64 * 1024
"""Largest size, in bytes, of a file with a secret."""

SHORTEST_QUERY_SECRET = 4
"""Shorter values in a URL's query are not masked: `?v=1` would mask every 1."""

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
OWN_HEADERS = frozenset(
    {
        *("host", "content-length", "content-type", "transfer-encoding", "accept-encoding"),
        *("connection", "upgrade", "origin", "user-agent"),
    }
)
"""Headers that only the client sets."""


@dataclass(frozen=True)
class Auth:
    """A user and a password (Basic), or a bearer token when `user` is None. `Auth()` is empty and sends nothing."""

    secret: str = ""
    user: str | None = None

    def __post_init__(self) -> None:
        text = self.secret + (self.user or "")
        if any(not letter.isprintable() for letter in text):
            raise BadInput("auth: contains a line break or another control character; give a token or user:password")
        if self.user is None and not text.isascii():
            raise BadInput("auth: a token may contain only ASCII characters; check the token")

    def __bool__(self) -> bool:
        return bool(self.secret) or self.user is not None

    def __repr__(self) -> str:
        if not self:
            return "Auth()"
        return f"Auth({MASK})" if self.user is None else f"Auth({MASK}, user={self.user!r})"

    def header(self) -> str | None:
        """Returns the value of the Authorization header, or None if there are no credentials."""
        if not self:
            return None
        return f"Bearer {self.secret}" if self.user is None else f"Basic {self._basic()}"

    def _basic(self) -> str:
        return base64.b64encode(f"{self.user}:{self.secret}".encode()).decode("ascii")

    def secrets(self) -> list[str]:
        """Returns the strings that must not be shown."""
        return [self.secret, *([self._basic()] if self.user is not None else [])]


@dataclass(frozen=True)
class Credentials:
    """The secrets sent with each request: `auth`, additional `headers`, and the `query` of the server's URL."""

    auth: Auth = Auth()
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.auth or self.headers or self.query)

    def __repr__(self) -> str:
        names = [*(f"{name}: {MASK}" for name, _ in self.headers), *(f"?{name}={MASK}" for name, _ in self.query)]
        return f"Credentials({', '.join([repr(self.auth), *names])})"

    def all_headers(self) -> dict[str, str]:
        """Returns the headers of a request."""
        header = self.auth.header()
        return {**({"Authorization": header} if header else {}), **dict(self.headers)}

    def mask(self, text: str) -> str:
        """Returns `text` with every secret replaced by ***, including secrets that are escaped for JSON or URLs."""
        for secret in self._spellings:
            text = text.replace(secret, MASK)
        return text

    @cached_property
    def _spellings(self) -> list[str]:
        """Every spelling of the secrets, longest first, since one may be part of another."""
        secrets = self.auth.secrets()
        for name, value in self.headers:
            secrets += _header_secrets(name, value)
        secrets += [value for _, value in self.query if len(value) >= SHORTEST_QUERY_SECRET]
        return sorted({spelling for secret in secrets if secret for spelling in _spellings(secret)}, key=_shortest_last)


def _shortest_last(text: str) -> tuple[int, str]:
    return -len(text), text


def _spellings(secret: str) -> Iterable[str]:
    in_json = json.dumps(secret)[1:-1]
    return secret, in_json, in_json.replace("/", "\\/"), quote(secret), quote(secret, safe="")


def _header_secrets(name: str, value: str) -> list[str]:
    """Returns a header's value and the secrets within it: the token after a scheme, and each cookie."""
    if name.lower() == "cookie":
        return [value, *(part.partition("=")[2].strip() for part in value.split(";"))]
    return [value, *value.split()[1:]] if name.lower() in ("authorization", "proxy-authorization") else [value]


def read_auth(source: str | None) -> Auth:
    """Returns the credentials from `source`: "env:NAME" for an environment variable, otherwise the path of a file.

    The content is ``user:password``, or a token without a colon. None returns an empty `Auth`. Raises `BadInput` for a
    variable that is not set or a file that other users can read.
    """
    if source is None:
        return Auth()
    user, colon, secret = _read_secret(source, "auth", "a token or user:password").partition(":")
    if not user:
        raise BadInput("auth: the user before the colon is empty; write user:password or a token")
    return Auth(secret, user) if colon else Auth(user)


def read_headers(sources: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Returns headers with their values. Each source is "env:NAME" or the path of a private file, as in `read_auth`.

    Raises `BadInput` for an invalid header name, a header that the client sets itself, or a value that is not printable
    ASCII.
    """
    headers = []
    for name, source in (sources or {}).items():
        if not HEADER_NAME.fullmatch(name):
            raise BadInput(f"header: {name[:40]!r} is not the name of a header; write one such as X-API-Key")
        if name.lower() in OWN_HEADERS:
            raise BadInput(f"header: {name} is set by the client itself; leave it out")
        value = _read_secret(source, f"header {name}", "the value of the header")
        if not (value.isascii() and value.isprintable()):
            raise BadInput(f"header {name}: the value may contain only printable ASCII characters; check it")
        headers.append((name, value))
    return tuple(headers)


def parse_headers(options: Iterable[str]) -> dict[str, str]:
    """Returns the sources of headers by name, from options such as "X-API-Key=env:KEY".

    >>> parse_headers(["X-API-Key=env:KEY"])
    {'X-API-Key': 'env:KEY'}
    """
    found: dict[str, str] = {}
    for text in options:
        name, sign, source = text.partition("=")
        if not (sign and source and HEADER_NAME.fullmatch(name)):  # the text may hold the secret itself
            raise BadInput("header: write NAME=env:VARIABLE or NAME=FILE, such as X-API-Key=env:API_KEY")
        if name.lower() in map(str.lower, found):
            raise BadInput(f"header: {name} is given twice; give it once")
        found[name] = source
    return found


def _read_secret(source: str, where: str, what: str) -> str:
    """Returns a secret without surrounding white space. `where` and `what` are used in error messages."""
    if source.startswith("env:"):
        text = _from_variable(source[4:], where, what)
    else:
        text = _from_file(Path(source), where, what)
    if not text.strip():
        raise BadInput(f"{where}: {source} is empty; put {what} there")
    return text.strip()


def _from_variable(name: str, where: str, what: str) -> str:
    if name not in os.environ:
        raise BadInput(f"{where}: the environment variable {name!r} is not set; set it to {what}")
    return os.environ[name]


def _from_file(path: Path, where: str, what: str) -> str:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise BadInput(f"{where}: {path} is not a regular file; give env:NAME or a private file")
            if os.name == "posix" and mode & 0o077:
                raise BadInput(f"{where}: others may read {path}; run: chmod 600 {path}")
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG, errno.ENOTDIR):
            # The message omits the path: a user may have passed the secret itself instead of a file.
            raise BadInput(f"{where}: no such file; give env:NAME, or a file only you can read") from None
        raise BadInput(f"{where}: {path} cannot be read ({error.strerror}); give env:NAME or a private file") from error
    if len(data) > LARGEST_FILE:
        raise BadInput(f"{where}: {path} is longer than {LARGEST_FILE} bytes; it must contain only {what}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{where}: {path} is not text; it must contain only {what}") from error
