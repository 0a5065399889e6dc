"""Job folders in ComfyUI's output folder: their paths, the identity of their models, and their frames as IMAGE."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import folder_paths
import torch
from comfy_api.latest import io, ui

from remix.digest import sampled_hash, sha256
from remix.errors import BadInput
from remix.job import frame_path, is_job, recipe_of
from remix.job import job_folder as folder_of_frames
from remix.job.files import inside, safe_name
from remix.job.identity import finished_at
from remix.job.listing import ListedJob, jobs_below, listed_job
from remix.job.reading import SHEET
from remix.motion import load_picture
from remix.motion.pictures import to_floats
from remix.motion.regular import fingerprint
from remix.plan import Schedule, plan

from .inputs import FILM, JobType, Rendered, rendered_of, schema, shown_remarks

LAST = 4
"""Number of frames that are shown of an unfinished job."""

PROGRAMS = "custom_nodes"
"""The host's name of the folder that contains code rather than models."""


class RemixFrames(io.ComfyNode):
    """Node that loads all or some pictures of a job."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RemixFrames",
            display_name="Remix Frames",
            category=FILM,
            description="Loads the frames of a job as images, all or some of them. To make a video, connect the job to "
            "Remix Film, which does not load all frames at once.",
            search_aliases=["load frames", "job to images"],
            inputs=[
                JobType.Input("job", tooltip="A finished job from Remix Render."),
                io.Int.Input("first", default=0, min=0, max=99_999, tooltip="First frame to load, counted from 0."),
                io.Int.Input(
                    "count", default=0, min=0, max=100_000, tooltip="Number of frames. 0: all from the first."
                ),
            ],
            outputs=[io.Image.Output("images", tooltip="The frames, in order.")],
        )

    @classmethod
    def execute(cls, job: Any, first: int = 0, count: int = 0) -> io.NodeOutput:
        frames = rendered_of(job).frames
        if first >= len(frames):
            raise BadInput(f"first: {first} is past the last frame ({len(frames) - 1}); give a smaller one")
        chosen = frames[first : first + count if count else None]
        return io.NodeOutput(torch.stack([torch.from_numpy(to_floats(load_picture(path))) for path in chosen]))


class RemixLoadJob(io.ComfyNode):
    """Node that opens a job in the output folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RemixLoadJob",
            display_name="Remix Load Job",
            category=FILM,
            description="Opens a job of Remix Render or of a client in the output folder, also an unfinished one. The "
            "list has the last changed job first. Press R in ComfyUI to read it again.",
            search_aliases=["job browser", "open job", "resume job", "load frames", "list jobs"],
            inputs=[
                io.Combo.Input(
                    "job",
                    options=[_name_of(job.folder) for job in jobs_below(_output()) if not job.problem],
                    tooltip="The job's folder, in the output folder.",
                )
            ],
            outputs=[JobType.Output("job", tooltip="The finished frames of the job, for Remix Film or Remix Frames.")],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, job: str = "") -> str:
        """Returns a new value if a frame of the job has been finished since."""
        return str(finished_at(inside(_output(), job)) if job else 0)

    @classmethod
    def execute(cls, job: str) -> io.NodeOutput:
        """Returns the job, and shows its contact sheet or its last frames."""
        folder = inside(_output(), job)
        if not is_job(folder):
            raise BadInput(f"job: there is no job {job!r} in the output folder; press R to read the list again")
        about, schedule = listed_job(folder), plan(recipe_of(folder))
        frames = tuple(path for index in range(len(schedule)) if (path := frame_path(folder, index)).is_file())
        if not frames:
            raise BadInput(f"job: {job!r} has no finished frame yet; queue the workflow that renders it")
        sheet = folder / SHEET
        return io.NodeOutput(
            Rendered(folder, schedule, frames),
            ui={**shown_pictures([sheet] if sheet.is_file() else frames[-LAST:]), **shown_remarks(_remarks(about))},
        )


def _remarks(job: ListedJob) -> list[str]:
    state = f"{job.state}: {job.finished} of {job.frames} frames, {job.width}x{job.height}, {job.prompt!r}"
    go_on = "to continue, drop one of its frames into ComfyUI and queue the workflow that opens"
    return [state] if job.state == "finished" else [state, go_on]


def _output() -> Path:
    return Path(folder_paths.get_output_directory()).resolve()


def _name_of(folder: Path) -> str:
    return folder.relative_to(_output()).as_posix()


def shown_pictures(pictures: Iterable[Path]) -> dict[str, Any]:
    """Returns pictures of a job for display under the node and in the history."""
    saved = [ui.SavedResult(path.name, _name_of(path.parent), io.FolderType.output) for path in pictures]
    return ui.SavedImages(saved).as_dict()


def shown_page(page: Path | None) -> dict[str, Any]:
    """Returns a page of a job, to which the front end shows a link; nothing without a page."""
    if page is None:
        return {}
    return {"page": (ui.SavedResult(page.name, _name_of(page.parent.resolve()), io.FolderType.output),)}


def job_folder(prefix: str, schedule: Schedule, engine: Mapping[str, str]) -> Path:
    """Returns the folder of a job below ComfyUI's output folder. The same frames and model have the same folder.

    Raises BadInput for a prefix that points outside it, including through a link.
    """
    root, name = named(prefix)
    return folder_of_frames(root, name, schedule, engine)


def named(prefix: str) -> tuple[Path, str]:
    """Returns the parent of a prefix's job folders, below ComfyUI's output folder, and the start of their names.

    Raises BadInput for a prefix that points outside it, including through a link.
    """
    root = _output()
    parts = [part for part in prefix.replace("\\", "/").split("/") if part]
    if any(safe_name(part) != part for part in parts) or not parts or prefix.startswith(("/", "\\")):
        raise BadInput(
            f"filename_prefix: {prefix!r} is not a name below the output folder; write one such as remix/film"
        )
    return inside(root, "/".join(parts[:-1])) if parts[1:] else root, parts[-1]


def made_by(graph: Any, node: str, inputs: tuple[str, ...]) -> dict[str, str]:
    """Returns the sources of the `inputs` of a node: a hash of each input's upstream nodes, and hashes of their files.

    `graph` is the current workflow (`hidden.dynprompt`). Model files and pictures are identified by name and content,
    so a replaced file starts a new job. Values that arrive as lists are not included: see `applied`.
    """
    found: dict[str, str] = {}
    digests: dict[str, str] = {}
    texts: set[str] = set()
    for name in inputs:
        found[name] = _digest(_behind(graph, graph.get_node(node)["inputs"].get(name), digests, texts))
    for text in sorted(texts):
        if (path := _file(text)) is not None:
            picture = path.is_relative_to(folder_paths.get_input_directory())
            found[f"file {text}"] = fingerprint(path)[:16] if picture else sampled_hash(path)
    return found


def _behind(graph: Any, value: Any, digests: dict[str, str], texts: set[str]) -> Any:
    """Returns a description of an input: a widget's value, or an output and the digest of all upstream nodes.

    Fills `digests` with the digests of nodes, and `texts` with the strings of their widgets. Each node is visited once:
    each loader in a chain passes on model and CLIP, which doubles the paths to the first.
    """
    if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)):
        texts.update(_texts(value))
        return value
    number, output = value
    if number not in digests:
        digests[number] = ""  # for cycles
        node = graph.get_node(number)
        inputs = {name: _behind(graph, given, digests, texts) for name, given in sorted(node["inputs"].items())}
        digests[number] = _digest([node["class_type"], inputs])
    return [output, digests[number]]


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=repr).encode())[:16]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _file(name: str) -> Path | None:
    """Returns the file that a widget's value names: a model that the host lists, or a picture in the input folder.

    A widget may contain any text, such as a prompt, and the result is stored, so no other folders are searched. Links
    in these folders are followed, as the host does, since models are often on another disk.
    """
    path = PureWindowsPath(name)  # handles the separators, drives and network shares of every system
    if "." not in name or not name.isprintable() or len(name) > 255 or path.drive or path.root or ".." in path.parts:
        return None
    folders = [
        folder
        for kind, (_, suffixes) in folder_paths.folder_names_and_paths.items()
        if kind != PROGRAMS and folder_paths.filter_files_extensions([name], suffixes)
        for folder in folder_paths.get_folder_paths(kind)
    ]
    paths = (Path(folder) / name for folder in dict.fromkeys([*folders, folder_paths.get_input_directory()]))
    return next((path for path in paths if path.is_file()), None)


NODES = [RemixFrames, RemixLoadJob]
