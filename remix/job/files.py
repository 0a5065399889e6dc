"""Atomic writing, names that are safe everywhere, and paths that stay inside their folder."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from pathlib import Path, PureWindowsPath

from remix.errors import BadInput
from remix.motion.atomic import RESERVED, atomic_write

NAME_BYTES = 120
"""The longest name that `safe_name` gives, in UTF-8 bytes; file systems allow 255, copies often less."""


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Writes `data` to `path`, completely or not at all, flushed to the disk; returns `path`.

    OSError (also a full disk) leaves what was there before as it was.
    """
    with atomic_write(path) as part:
        part.write_bytes(data)
    return Path(path)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Writes `text` to `path` like `write_bytes`, as UTF-8 with its line ends unchanged; returns `path`."""
    return write_bytes(path, text.encode("utf-8"))


def safe_name(text: str) -> str:
    """Returns a file name made of `text` that is valid on Linux, macOS and Windows.

    At most `NAME_BYTES` bytes of UTF-8 (a short suffix is kept), never empty, no path separators or
    control characters, no ``..``, no dot or space at either end, and no device name such as ``CON``.
    A name that is safe already comes back as it is, and `safe_name(safe_name(x)) == safe_name(x)`.

    >>> safe_name('a cat: "in" Rome?'), safe_name("../../etc/passwd"), safe_name("CON.txt")
    ('a cat_ _in_ Rome_', 'etc_passwd', '_CON.txt')
    """
    name = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
    name = "".join("_" if c in '<>:"/\\|?*' or _is_unprintable(c) else c for c in name)
    name = re.sub(r"\.{2,}", ".", name)
    name = re.sub(r"^[. _]+(?=[^. _])", "", name) if name.startswith((".", " ")) else name
    name = _shortened(name.strip(". "))
    # Windows reads "con.txt" and "con .txt" as the device too, whatever follows the first dot.
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
    """Returns the absolute path of `relative` in `folder`, symbolic links followed, sure to lie inside it.

    Refused with BadInput: absolute paths, drive letters and network shares (also Windows' on other
    systems), ``..``, NUL characters, and links that lead out. The file need not exist.
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
        # Windows' separators are understood everywhere, so that a recipe means the same file on each system.
        found = root.joinpath(*map(_on_disk, windows.parts)).resolve()
        _refuse_loop(found)
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{text!r}: cannot be followed ({error}); repair the links in {folder}") from error
    if not found.is_relative_to(root):
        raise BadInput(f"{text!r}: a link leads out of {folder}; copy the file into it")
    return found


def _refuse_loop(path: Path) -> None:
    """Raises OSError for links that lead round in a circle, which `Path.resolve` leaves in place since Python 3.13."""
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise


def _on_disk(name: str) -> str:
    """Returns `name` so that the system finds the file of that name in UTF-8, whatever the locale says."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return os.fsdecode(name.encode("utf-8", "surrogatepass"))
    return name
