"""Metadata of pictures and films: written into frames, and read from files of Remix, A1111 and ComfyUI."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from remix.errors import PictureError
from remix.hosts.a1111.infotext import Infotext, parse_infotext
from remix.hosts.comfyui.reading import ComfyGraph, read_prompt, read_workflow
from remix.motion.pictures import Picture, save_picture
from remix.motion.texts import read_texts

KEY = "remix"
"""The name of our own metadata entry: one JSON object."""

TEXT_BYTES = 64 * 2**10
"""The maximum size of a frame's metadata, in bytes. Pillow and the hosts open such pictures without warnings."""

FILM_BYTES = 2**20
"""The maximum size of other tools' metadata that a film takes from its pictures, in bytes."""

GRAPHS = ("prompt", "workflow")
"""The names of ComfyUI's metadata entries: the graph that ran, and the workflow that the front end opens."""

Kind = Literal["remix", "a1111", "comfyui", "unknown"]


@dataclass(frozen=True)
class Made:
    """The origin of a picture or film, according to its metadata.

    `kind` is the first of remix, comfyui and a1111 that the file carries. `texts` holds its texts unchanged, by
    lower-case name; `remix`, `a1111` and `comfyui` hold their parsed content. `notes` list what was skipped and why.
    """

    kind: Kind
    texts: Mapping[str, str] = field(default_factory=dict)
    remix: Mapping[str, Any] | None = None
    a1111: Infotext | None = None
    comfyui: ComfyGraph | None = None
    notes: tuple[str, ...] = ()


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


def read_metadata(path: str | os.PathLike[str]) -> Made:
    """Returns the metadata of the picture, film or folder of PNGs at `path`.

    Reads our own recipe, A1111's infotext and ComfyUI's graph from PNG chunks, EXIF of JPEG and WebP, GIF comments and
    film containers. Malformed, damaged or overlong texts are skipped with a note and never raise. Raises PictureError
    only if there is no file to read.
    """
    read = read_texts(path)
    texts, notes = dict(read.found), list(read.notes)
    if "comment" in texts and not {"prompt", "workflow"} & texts.keys():
        # VideoHelperSuite stores both graphs as one object in the comment of a film.
        held = _json_of(texts["comment"])
        for name in ("prompt", "workflow"):
            if isinstance(held, dict) and name in held:
                graph = held[name]
                texts[name] = graph if isinstance(graph, str) else json.dumps(graph)
    ours = _ours(texts, notes)
    graph = _graph(texts, notes)
    infotext = _infotext(texts)
    kind: Kind = "unknown"
    for name, found in (("remix", ours), ("comfyui", graph), ("a1111", infotext)):
        if found is not None:
            kind = name  # type: ignore[assignment]
            break
    return Made(kind, texts, ours, infotext, graph, tuple(notes))


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
    value = _json_of(texts[KEY])
    if isinstance(value, dict):
        return value
    notes.append(f"{KEY!r}: skipped, not a JSON object")
    return None


def _graph(texts: Mapping[str, str], notes: list[str]) -> ComfyGraph | None:
    for name, read in (("prompt", read_prompt), ("workflow", read_workflow)):
        if name in texts:
            graph = read(_json_of(texts[name]))
            if graph is not None:
                return graph
            notes.append(f"{name!r}: skipped, not a ComfyUI graph")
    return None


def _infotext(texts: Mapping[str, str]) -> Infotext | None:
    if "parameters" not in texts:
        return None
    infotext = parse_infotext(texts["parameters"])
    return infotext if infotext.settings else None


def _json_of(text: str) -> Any:
    """Returns the value of another tool's JSON, None if it is not valid.

    The strict recipe reader does not fit: ComfyUI itself writes NaN, for nodes that always run.
    """
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
