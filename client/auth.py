"""Who is asking: a password or a token for a server, from the environment or a private file, never shown."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from remix.errors import BadInput

MASK = "***"
MOST = 64 * 1024
"""The most bytes that are read of a file with a secret."""


@dataclass(frozen=True)
class Auth:
    """What a server is told of the caller: `user` and `secret` (basic), or a bearer token alone; neither is shown.

    The empty one, `Auth()`, says nothing, and keeps ~/.netrc from being asked.
    """

    secret: str = ""
    user: str | None = None

    def __post_init__(self) -> None:
        said = self.secret + (self.user or "")
        if any(not letter.isprintable() for letter in said):
            raise BadInput("auth: it holds a line break or another control character; give a token or user:password")
        if self.user is None and not said.isascii():
            raise BadInput("auth: a token goes into a header as it is, so it has ASCII letters only; check the token")

    def __bool__(self) -> bool:
        return bool(self.secret) or self.user is not None

    def __repr__(self) -> str:
        if not self:
            return "Auth()"
        return f"Auth({MASK})" if self.user is None else f"Auth({MASK}, user={self.user!r})"

    def header(self) -> str | None:
        """Returns the value of the header Authorization; None when there is nothing to say."""
        if not self:
            return None
        return f"Bearer {self.secret}" if self.user is None else f"Basic {self._basic()}"

    def _basic(self) -> str:
        return base64.b64encode(f"{self.user}:{self.secret}".encode()).decode("ascii")

    def masked(self, text: str) -> str:
        """Returns `text` with *** in place of the secret, however it is written."""
        in_json = json.dumps(self.secret)[1:-1]
        spelled = [self.secret, in_json, in_json.replace("/", "\\/")]
        return masked(text, [*spelled, *([self._basic()] if self.user is not None else [])])


def masked(text: str, secrets: Iterable[str]) -> str:
    """Returns `text` with *** in place of each of `secrets`."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
    return text


def read_auth(source: str | None) -> Auth:
    """Returns what `source` says: "env:NAME" is an environment variable, everything else the path of a file.

    The text is ``user:password``, or a token without a colon. None is the empty Auth. Raises `BadInput` for a
    variable that is not set, and for a file that others may read.
    """
    if source is None:
        return Auth()
    text = _of_variable(source[4:]) if source.startswith("env:") else _of_file(Path(source))
    user, colon, secret = text.strip().partition(":")
    if not user:
        raise BadInput(f"auth: {source} is empty; put a token or user:password there")
    return Auth(secret, user) if colon else Auth(user)


def _of_variable(name: str) -> str:
    if name not in os.environ:
        raise BadInput(f"auth: the environment variable {name!r} is not set; set it to a token or user:password")
    return os.environ[name]


def _of_file(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise BadInput(f"auth: {path} is not an ordinary file; give env:NAME or a file of yours")
            if os.name == "posix" and mode & 0o077:
                raise BadInput(f"auth: others may read {path}; run: chmod 600 {path}")
            data = file.read(MOST + 1)
    except OSError as error:
        raise BadInput(f"auth: {path} cannot be read ({error.strerror}); give env:NAME or a file of yours") from error
    if len(data) > MOST:
        raise BadInput(f"auth: {path} is longer than {MOST} bytes; it is to hold a token or user:password alone")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"auth: {path} is not text; it is to hold a token or user:password alone") from error
