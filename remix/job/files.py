"""Atomic writes, file names that are valid on every system, and paths that stay inside their folder."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from pathlib import Path, PureWindowsPath

from remix.errors import BadInput
from remix.motion.atomic import RESERVED, atomic_write

NAME_BYTES = 120
"""The longest name that `safe_name` returns, in UTF-8 bytes. File systems allow 255, backup tools often fewer."""


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Writes `data` to `path` atomically, flushed to disk, and returns `path`.

    Raises OSError, also for a full disk; an existing file is then left unchanged.
    """
    with atomic_write(path) as part:
        part.write_bytes(data)
    return Path(path)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Writes `text` to `path` like `write_bytes`, as UTF-8 with its line endings unchanged, and returns `path`.

    Halves of characters (surrogates), which UTF-8 does not have, are written as JSON writes them: ``\\ud800``.
    """
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def safe_name(text: str) -> str:
    """Returns a file name based on `text` that is valid on Linux, macOS and Windows.

    The name has at most `NAME_BYTES` bytes of UTF-8 (a short suffix is kept) and is never empty. It has no path
    separators, no control characters, no ``..``, no dot or space at either end, and is not a device name such as
    ``CON``. A safe name is returned unchanged: `safe_name(safe_name(x)) == safe_name(x)`.

    >>> safe_name('a cat: "in" Rome?'), safe_name("../../etc/passwd"), safe_name("CON.txt")
    ('a cat_ _in_ Rome_', 'etc_passwd', '_CON.txt')
    """
    name = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
    name = "".join("_" if c in '<>:"/\\|?*' or _is_unprintable(c) else c for c in name)
    name = re.sub(r"\.{2,}", ".", name)
    name = re.sub(r"^[. _]+(?=[^. _])", "", name) if name.startswith((".", " ")) else name
    name = _shortened(name.strip(". "))
    # Windows also treats "con.txt" and "con .txt" as the device, whatever follows the first dot.
    if name.split(".")[0].rstrip().casefold() in RESERVED:
        name = _shortened("_" + name)
    return name or "_"


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _shortened(name: str) -> str:
    if len(name.encode()) <= NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    tail = dot + suffix if stem and len(suffix.encode()) <= 10 else ""
    whole = name if not tail else stem
    head = whole.encode()[: NAME_BYTES - len(tail.encode())].decode(errors="ignore")
    return head.rstrip(". ") + tail


def inside(folder: str | os.PathLike[str], relative: str | os.PathLike[str]) -> Path:
    """Returns the absolute path of `relative`, with symbolic links resolved, guaranteed to be inside `folder`.

    The file need not exist. Raises BadInput for absolute paths, drive letters and network shares (those of Windows on
    every system), ``..``, NUL characters, and links that point outside.
    """
    text = os.fspath(relative)
    windows = PureWindowsPath(text)
    if not text or "\0" in text:
        raise BadInput(f"{text!r}: not a path; give one that is relative to {folder}")
    if windows.drive or windows.root or Path(text).is_absolute():
        raise BadInput(f"{text!r}: an absolute path; give one that is relative to {folder}")
    if ".." in windows.parts:
        raise BadInput(f"{text!r}: leaves its folder by '..'; put the file below {folder}")
    root = Path(folder).resolve()
    try:
        # Windows separators are accepted on every system, so that a recipe means the same file everywhere.
        found = root.joinpath(*map(_on_disk, windows.parts)).resolve()
        _refuse_loop(found)
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{text!r}: cannot be followed ({error}); repair the links in {folder}") from error
    if not found.is_relative_to(root):
        raise BadInput(f"{text!r}: a link leads out of {folder}; copy the file into it")
    return found


def _refuse_loop(path: Path) -> None:
    """Raises OSError for circular links, which `Path.resolve` leaves unresolved since Python 3.13."""
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise


def _on_disk(name: str) -> str:
    """Returns `name` in the form by which the system finds the file with that UTF-8 name, whatever the locale."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return os.fsdecode(name.encode("utf-8", "surrogatepass"))
    return name
