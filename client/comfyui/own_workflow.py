"""The third way to render on ComfyUI: the recipe's own workflow, whose inputs the keyframes set."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from remix.client.comfyui.names import LOADERS
from remix.client.comfyui.routes import AHEAD, FOLDER, PromptJob, Route
from remix.client.comfyui.workflow_files import MOST_PROBLEMS, described, prompt_of, workflow_json
from remix.engine import Capabilities
from remix.engine.capabilities import only_inputs
from remix.errors import BadInput, Unsupported
from remix.hosts.comfyui.editing import problems
from remix.hosts.comfyui.graph import Graph
from remix.hosts.comfyui.keyframing import Keyframed, keyframed
from remix.hosts.comfyui.reading import read_prompt
from remix.job import input_hashes, workflow_path
from remix.plan import Frame, Mix
from remix.plan.inputs import Workflow

CAPABILITIES = only_inputs("workflow", "an input", '"KSampler.cfg" = 5')
"""What a recipe with a workflow may set. All else is in the workflow."""

FILES = {
    **{name: folder for _, name, folder in LOADERS.values()},
    **{"unet_name": "diffusion_models", "clip_name": "text_encoders", "clip_name1": "text_encoders"},
    **{"clip_name2": "text_encoders", "control_net_name": "controlnet", "model_name": "upscale_models"},
}
"""Inputs that name a model file -> the server's folder."""


class OwnWorkflow(Route):
    """Route through the recipe's own workflow, one prompt for each frame or clip, on any nodes that the server has."""

    @cached_property
    def workflow(self) -> Workflow:
        """The recipe's workflow."""
        assert self.schedule.recipe.workflow is not None
        return self.schedule.recipe.workflow

    @cached_property
    def keyframed(self) -> Keyframed:
        """The graph, checked against the server. Raises `Unsupported` for what the server cannot run."""
        path = workflow_path(self.schedule.recipe)
        data = workflow_json(path)
        info = described(self.server, data)
        nodes = prompt_of(path, data, info).nodes
        names = sorted({name for frame in self.schedule for name, _ in frame.inputs})
        try:
            found = keyframed(nodes, info, names, self.workflow.output)
        except BadInput as error:
            raise Unsupported(str(error)) from error
        tracked = {(track.node, track.slot) for track in found.tracks.values()}
        if lacking := list(problems(nodes, info, tracked)):
            more = [f"and {len(lacking) - MOST_PROBLEMS} more"] if len(lacking) > MOST_PROBLEMS else []
            shown = "; ".join([*lacking[:MOST_PROBLEMS], *more])
            raise Unsupported(f"workflow: the server cannot run {self.workflow.file}: {shown}")
        return found

    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def defaults(self) -> dict[str, Any]:
        """Returns the names of the inputs that keyframes set and that are whole numbers."""
        return {"whole": tuple(name for name, track in self.keyframed.tracks.items() if track.kind == "INT")}

    def check(self) -> list[str]:
        super().check()
        uploaded = input_hashes(self.schedule.recipe)
        for values in dict.fromkeys(frame.inputs for frame in self.schedule):
            for problem in self.keyframed.problems(dict(values), uploaded):
                raise Unsupported(problem)
        if any(self._averages(frame) for frame in self.schedule):
            return ["mixes of texts go through ConditioningAverage: right for SD 1, 2 and XL"]
        return []

    def _averages(self, frame: Frame) -> bool:
        """Returns whether a frame mixes conditionings."""
        mixed = [name for name, value in frame.inputs if isinstance(value, Mix) and len(value.values) > 1]
        return any(self.keyframed.mixes_conditionings(name) for name in mixed)

    def identity(self) -> dict[str, str]:
        """Returns a hash of all that the keyframes do not set, and the details of each model file and loaded file."""
        found = {"workflow": self.keyframed.digest()[:16]}
        for slot, value in self.keyframed.fixed():
            if isinstance(value, str) and slot in FILES:
                details = self.server.file_details(FILES[slot], [value])
                found[f"{slot} {value}"] = f"{value} ({details[value]})" if value in details else value
        return found | self._inputs_there

    @cached_property
    def _inputs_there(self) -> dict[str, str]:
        """The files on the server that the workflow loads, with their hashes. Those of the recipe belong to frames."""
        ours = input_hashes(self.schedule.recipe)
        names = self.keyframed.uploads(dict(frame.inputs) for frame in self.schedule) - ours.keys()
        details = {name: self.server.input_details(name) for name in sorted(names)}
        return {f"input {name}": name if about is None else f"{name} ({about})" for name, about in details.items()}

    @cached_property
    def samples(self) -> bool:
        """Whether the workflow samples, so that a frame of one color is a failure."""
        read = read_prompt(self.keyframed.nodes)
        return read is not None and bool(read.passes)

    def at_once(self, batch: int | None) -> tuple[int, int]:
        """Returns 1, since a prompt renders a frame or a clip, and the number of prompts on the server."""
        return 1, batch or AHEAD

    def jobs(self, frames: Sequence[int], batch: int, uploaded: Mapping[str, str]) -> Iterator[PromptJob]:
        wanted = set(frames)
        for clip in self.schedule.recipe.clips():
            missing = tuple(index for index in clip if index in wanted)
            if missing:
                counts = self._counts(len(clip))
                yield PromptJob(
                    missing, clip.start, self._writer(clip.start, uploaded), counts, exact=False, blank=not self.samples
                )

    def texts(self, index: int, uploaded: Mapping[str, str]) -> Mapping[str, str]:
        """Returns the graph that made a frame, as ComfyUI writes it into pictures."""
        first = next(clip.start for clip in self.schedule.recipe.clips() if index in clip)
        made, _ = self._writer(first, uploaded)("", 1)
        return {"prompt": json.dumps(made.nodes)}

    def _counts(self, frames: int) -> tuple[int, ...]:
        """Returns how many pictures a run may give: those of its clip, or the first of the next one as well.

        A run for a single frame may give more, of which the first is taken.
        """
        clip = self.workflow.clip
        if clip == 1:
            return ()
        given = frames if isinstance(clip, str) else clip
        return (given, given + 1)

    def _writer(self, index: int, uploaded: Mapping[str, str]) -> Callable[[str, int], tuple[Graph, str]]:
        def graph(attempt: str, batch: int) -> tuple[Graph, str]:
            made = Graph()
            prefix = f"{FOLDER}/{attempt or 'frame'}/{index:06d}"
            made.nodes, saving = self.keyframed.graph(dict(self.schedule[index].inputs), prefix, uploaded)
            return made, saving

        return graph
