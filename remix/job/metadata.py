"""Metadata of pictures and films: written into frames, and read from files of Remix and of other tools."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from remix.errors import BadInput, PictureError
from remix.hosts.a1111.infotext import Infotext, parse_infotext
from remix.hosts.comfyui.origin import graph_of
from remix.hosts.comfyui.reading import ComfyGraph
from remix.hosts.comfyui.workflow import is_workflow
from remix.hosts.readers import read_origin
from remix.hosts.record import Origin, Texts, json_of
from remix.motion.pictures import Picture, save_picture
from remix.motion.pngs import SIGNATURE
from remix.motion.regular import open_file
from remix.motion.stealth import read_stealth
from remix.motion.texts import LIMIT, read_texts

KEY = "remix"
"""The name of our own metadata entry: one JSON object."""

TEXT_BYTES = 64 * 2**10
"""The maximum size of a frame's metadata, in bytes. Pillow and the hosts open such pictures without warnings."""

FILM_BYTES = 2**20
"""The maximum size of other tools' metadata, and of the credits, that a film takes from its pictures, in bytes."""

CREDITS = "credits"
"""The name of the entry with the credits of a film that was made of other pictures."""

GRAPHS = ("prompt", "workflow")
"""The names of ComfyUI's metadata entries: the graph that ran, and the workflow that the front end opens."""

SIDECARS = (".txt", ".json")
"""Suffixes of files in which tools store the settings of the picture next to them."""


@dataclass(frozen=True)
class Made:
    """The origin of a picture or film, according to its metadata.

    `kind` is remix for our own, otherwise that of `origin`, or unknown. `texts` holds the file's texts unchanged, by
    lower-case name. `origin` is the same for every tool; `remix`, `a1111` and `comfyui` hold the parsed content of
    these formats. `notes` list what was skipped and why.
    """

    kind: str
    texts: Mapping[str, str] = field(default_factory=dict)
    remix: Mapping[str, Any] | None = None
    a1111: Infotext | None = None
    comfyui: ComfyGraph | None = None
    notes: tuple[str, ...] = ()
    origin: Origin | None = None


def write_frame(path: str | os.PathLike[str], picture: Picture, texts: Mapping[str, str]) -> Path:
    """Writes `picture` to `path` as a PNG, atomically, with `texts` as uncompressed chunks, and returns `path`.

    Raises PictureError if the texts exceed 64 KiB or PNG cannot hold them. Raises OSError, also for a full disk; an
    existing picture is then left unchanged.
    """
    if (size := size_of(texts)) > TEXT_BYTES:
        raise PictureError(f"metadata: {size} bytes; a frame carries {TEXT_BYTES}, write a hash in their place")
    return save_picture(path, picture, texts)


def size_of(texts: Mapping[str, str]) -> int:
    """Returns the size of texts in bytes; a frame carries at most `TEXT_BYTES`."""
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts.values())


def read_metadata(path: str | os.PathLike[str], *, hidden: bool = True) -> Made:
    """Returns the metadata of the picture, film or folder of PNGs at `path`.

    Reads our own recipe and what the tools of `remix.hosts.readers` write, from PNG chunks, EXIF, XMP, comments, film
    containers and, if there is nothing else, the lowest bits of a PNG's pixels. Malformed, damaged or overlong texts
    are skipped with a note and never raise. Raises PictureError only if there is no file to read.
    """
    read = read_texts(path)
    made = _made(read.found, read.notes)
    if hidden and made.kind == "unknown" and (texts := _hidden(path)):
        return _made({**texts, **read.found}, read.notes)
    return made


def read_file_metadata(path: str | os.PathLike[str]) -> Made:
    """Returns the metadata of a picture or film, with that of a file next to it, or of a settings file itself.

    A settings file is a workflow or settings as ``.json``, or infotext as ``.txt``. If a picture carries nothing, the
    file next to it with the same name and such a suffix is read. Raises BadInput for a file that is none of these.
    """
    path = Path(path)
    if path.suffix.lower() in SIDECARS:
        made = _made(_sidecar(path), [])
        if made.kind == "unknown":
            raise BadInput(f"{path}: has no settings or workflow of a known tool; give the picture, or its own file")
        return made
    made = read_metadata(path)
    if made.kind != "unknown" or path.is_dir():
        return made
    for suffix in SIDECARS:
        sidecar = path.with_suffix(suffix)
        if not sidecar.is_file():
            continue
        try:
            found = _made({**_sidecar(sidecar), **made.texts}, list(made.notes))
        except BadInput as error:
            made = replace(made, notes=(*made.notes, f"{sidecar.name}: skipped, {error}"))
            continue
        if found.kind != "unknown":
            return replace(found, notes=(*found.notes, f"read from {sidecar.name} next to it"))
    return made


def _made(found: Mapping[str, str], notes: list[str]) -> Made:
    texts, notes = dict(found), list(notes)
    if "comment" in texts and not texts.keys() & set(GRAPHS):
        # VideoHelperSuite stores both graphs as one object in the comment of a film.
        both = json_of(texts["comment"])
        for name in GRAPHS:
            if isinstance(both, dict) and isinstance(both.get(name), dict | str) and "seed" not in both:
                graph = both[name]
                texts[name] = graph if isinstance(graph, str) else json.dumps(graph)
    ours = _ours(texts, notes)
    held = Texts(texts)
    origin, graph = read_origin(held), graph_of(held)
    if graph is None and origin is None:
        notes += [f"{name!r}: skipped, not a ComfyUI graph" for name in GRAPHS if name in texts]
    kind = "remix" if ours is not None else origin.kind if origin is not None else "unknown"
    infotext = held.parsed("parameters", parse_infotext)
    return Made(kind, texts, ours, infotext if infotext.settings else None, graph, tuple(notes), origin)


def _hidden(path: str | os.PathLike[str]) -> dict[str, str]:
    """Returns the texts in the pixels of a PNG: NovelAI's as an object, or infotext."""
    if os.path.isdir(path):
        return {}
    with open_file(path) as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            return {}
    return _texts_of(read_stealth(path, LIMIT) or "")


def _sidecar(path: Path) -> dict[str, str]:
    with open_file(path, limit=LIMIT, remedy="give the settings of a picture", error=BadInput) as file:
        text = file.read().decode("utf-8-sig", "replace")
    return _texts_of(text)


def _texts_of(text: str) -> dict[str, str]:
    """Returns a text that stands alone under the name that its readers know: a graph, an object of texts, infotext."""
    if not text.strip():
        return {}
    value = json_of(text)
    if is_workflow(value):
        return {"workflow": text}
    if not isinstance(value, dict):
        lines = (line.partition(": ") for line in text.splitlines()[:200])
        return {**{key.lower(): item.strip() for key, sign, item in lines if sign}, "parameters": text}
    if any(isinstance(node, dict) and "class_type" in node for node in value.values()):
        return {"prompt": text}
    if any(isinstance(held := value.get(name), dict) and "inputs" not in held for name in GRAPHS):
        return {name: json.dumps(value[name]) for name in GRAPHS if isinstance(value.get(name), dict)}
    texts = {key.lower(): item for key, item in value.items() if isinstance(item, str)}
    return texts if "comment" in texts or "parameters" in texts else {**texts, "comment": text}


def film_texts(frame: str | os.PathLike[str]) -> dict[str, str]:
    """Returns the metadata of a film from its first picture `frame`.

    This is our own recipe, engine and version without the data of the single frame, or else A1111's infotext; and
    ComfyUI's graphs unchanged. Texts of other tools are left out if they exceed `FILM_BYTES`.
    """
    made = read_metadata(frame)
    if made.remix is not None:
        about = {name: value for name, value in made.remix.items() if name not in ("frame", "key")}
        ours = json.dumps(about, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return {**_kept(made.texts, GRAPHS), KEY: ours}
    return _kept(made.texts, ("parameters", *GRAPHS))


def graph_texts(frame: str | os.PathLike[str]) -> dict[str, str]:
    """Returns ComfyUI's graphs from the metadata of a picture, unchanged: "workflow" and "prompt". {} without them."""
    try:
        return _kept(read_texts(frame).found, GRAPHS)
    except PictureError:
        return {}


def _kept(texts: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """Returns the texts with these names, or {} if they are too long for a film."""
    found = {name: texts[name] for name in names if name in texts}
    return found if sum(map(len, found.values())) <= FILM_BYTES else {}


def _ours(texts: Mapping[str, str], notes: list[str]) -> Mapping[str, Any] | None:
    if KEY not in texts:
        return None
    value = json_of(texts[KEY])
    if isinstance(value, dict):
        return value
    notes.append(f"{KEY!r}: skipped, not a JSON object")
    return None
