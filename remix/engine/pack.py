"""What the Remix nodes, or the Remix script, of a server report to a client: their version and their models.

A client cannot see this in a picture. Nodes and scripts that are older than a change would ignore it silently.
"""

from __future__ import annotations

import functools
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from remix import __version__
from remix.engine.passes import texts_of
from remix.errors import PictureError
from remix.job import prompts_that_meet
from remix.motion.regular import open_file
from remix.plan import Schedule
from remix.prompt.embeddings import split
from remix.prompt.tags import without_tags

REPORT = "/remix/report"
"""The path of the report. Its query has the server's name of a `checkpoint`."""

FRACTIONAL_DENOISE = "fractional denoise"

EMPHASIS = "emphasis"

COMPOSITION = "composition"

INVERSION = "inversion"

VARIETY = "variety"

ENCODERS = "encoders"

SUPPORTED = (FRACTIONAL_DENOISE, EMPHASIS, COMPOSITION, INVERSION, ENCODERS, VARIETY)
"""What older nodes and scripts render differently without an error."""

LATER_FIELDS = {"invert": INVERSION, "variety": VARIETY}
"""Fields of recipes that older nodes and scripts do not know -> what newer ones report."""

UNET = re.compile(rb"input_blocks\.|diffusion_model\.down_blocks\.\d+\.attentions\.")
"""The names of weights in the encoder half of a U-Net: those of the original code, and those of diffusers."""

LONGEST_INDEX = 16 * 2**20
"""The part of a checkpoint that is read at most, in bytes: its list of weights, or of a ZIP's entries."""

DAMAGE = (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a damaged ZIP, or one with a password, may raise."""


@dataclass(frozen=True)
class Pack:
    """The Remix nodes or script of a server. The defaults are those of one that is too old to report anything.

    `plain_attention` tells whether repeating a prompt whole changes nothing in the model; None if that is unknown.
    `families` are the catalog's names of the image families that the host has, empty if that is unknown. `embeddings`
    are the hashes of the host's embeddings, by name.
    """

    version: str = ""
    supports: frozenset[str] = frozenset()
    plain_attention: bool | None = None
    families: frozenset[str] = frozenset()
    embeddings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, report: Any) -> Pack:
        """Returns the pack of a report. Everything that cannot be read counts as unknown."""
        found: Mapping[str, Any] = report if isinstance(report, dict) else {}
        version, plain = found.get("version"), found.get("plain_attention")
        supports, families = found.get("supports"), found.get("families")
        embeddings = found.get("embeddings")
        return cls(
            version=version if isinstance(version, str) else "",
            supports=frozenset(map(str, supports)) if isinstance(supports, list) else frozenset(),
            plain_attention=plain if isinstance(plain, bool) else None,
            families=frozenset(map(str, families)) if isinstance(families, list) else frozenset(),
            embeddings={str(name): str(value) for name, value in embeddings.items()}
            if isinstance(embeddings, dict)
            else {},
        )

    def fields(self) -> str:
        """Returns those of `LATER_FIELDS` that the pack renders, separated by spaces."""
        return " ".join(field for field, name in LATER_FIELDS.items() if name in self.supports)

    def depends_on(self, schedule: Schedule) -> dict[str, str]:
        """Returns the part of an engine's identity that depends on the film, see `prompts_that_meet`.

        Models of an unknown family count as those whose prompts are padded.
        """
        return prompts_that_meet(schedule, plain_attention=bool(self.plain_attention))

    def embeddings_of(self, schedule: Schedule) -> dict[str, str]:
        """Returns the part of an engine's identity that the embeddings make up which the prompts name."""
        used = {name for text in texts_of(schedule) for _, name in split(without_tags(text), self.embeddings) if name}
        return {f"embedding {name}": self.embeddings[name] for name in sorted(used)}

    def remarks(self, schedule: Schedule, who: str) -> list[str]:
        """Returns remarks on a schedule. `who` names the pack, such as "the server's Remix script"."""
        meeting = max(len(schedule.prompts), len(schedule.negatives)) > 1
        if self.plain_attention is not None or not meeting or not self.depends_on(schedule):
            return []
        return [
            f"prompt: {who} is older and does not report how the model combines prompts of different lengths, so a "
            "change of any prompt renders all frames again; update it there"
        ]


def report(
    checkpoint: Path | None, families: Iterable[str] = (), embeddings: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Returns the report of this pack, about the file of a checkpoint if there is one.

    `families` are the catalog's names of the image families that the host has, and `embeddings` the hashes of its
    embeddings, whose names its own API lists. Anyone whom the host answers may ask for the report, so it holds these
    values and nothing else of the host: no path, no other name and no message of an error.
    """
    plain = None if checkpoint is None else has_unet(checkpoint)
    found: dict[str, Any] = {"version": __version__, "supports": list(SUPPORTED), "plain_attention": plain}
    found |= {"embeddings": dict(embeddings)} if embeddings else {}
    return {**found, "families": list(families)} if families else found


def has_unet(path: Path) -> bool | None:
    """Returns whether a checkpoint contains a U-Net, which has plain cross-attention, and not a transformer.

    Only the names of the weights are read, since the model may not be loaded yet. None if the file cannot be read.
    """
    try:
        about = path.stat()
        return _has_unet_at(path, about.st_size, about.st_mtime_ns)
    except (OSError, PictureError, ValueError):  # ValueError: a NUL in the name
        return None


@functools.lru_cache(maxsize=64)
def _has_unet_at(path: Path, size: int, changed: int) -> bool:
    return UNET.search(_index(path)) is not None


class _Bounded(io.BufferedReader):
    """A file of which no more is read at once than `LONGEST_INDEX`. The list of a ZIP's entries is read at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LONGEST_INDEX:
            raise zipfile.BadZipFile("the list of its entries is too long")
        return super().read(LONGEST_INDEX if size is None or size < 0 else size)


def _index(path: Path) -> bytes:
    """Returns the part of a checkpoint that has the names of its weights: its beginning, or that of an entry of a ZIP.

    Nothing is unpickled. Raises PictureError for what is no regular file.
    """
    with _Bounded(cast(io.BufferedReader, open_file(path)).detach()) as file:
        start = file.read(8)
        if not start.startswith(b"PK"):
            length = int.from_bytes(start, "little")  # of the header, in safetensors
            return file.read(min(length, LONGEST_INDEX))
        try:
            with zipfile.ZipFile(file) as archive:
                (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
                with archive.open(name) as entry:
                    return entry.read(LONGEST_INDEX)
        except DAMAGE:
            return b""
