"""As much of ComfyUI's modules as the nodes touch, without ComfyUI: schemas are kept as they were written."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, make_dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

PACK = "/home/user/ComfyUI/custom_nodes/remix-toolkit"
"""What ComfyUI calls the module of a pack: its path, no name that could be imported."""

SCHEMA = ("node_id", "display_name", "category", "inputs", "outputs", "hidden", "description", "is_input_list")
SCHEMA_SINCE = (*SCHEMA, "is_output_node", "search_aliases")


class Slot:
    """An input, an output, or a part of one: what it was called with."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.args = args
        self.options = options
        self.id = args[0] if args else options.get("id")

    @property
    def tooltip(self) -> str:
        return str(self.options.get("tooltip") or "")

    def slots(self) -> Iterator[Slot]:
        """Yields this and the inputs within: of a template, of the options of a choice."""
        yield self
        for value in (*self.args, *self.options.values()):
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, Slot):
                    yield from part.slots()


class _Kind:
    """A type of ComfyUI, with whatever classes are asked of it."""

    def __init__(self, name: str | list[str]) -> None:
        self.io_type = name if isinstance(name, str) else "COMBO"  # a list of choices is a type of the host's too

    def __getattr__(self, name: str) -> type[Slot]:
        made: type[Slot] = type(name, (Slot,), {"kind": self.io_type})
        setattr(self, name, made)
        return made


class _Io(ModuleType):
    """`comfy_api.latest.io`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        kind = _Kind(name.upper())
        setattr(self, name, kind)
        return kind


class FolderType(str, Enum):
    """Where a file lies."""

    output = "output"
    temp = "temp"


@dataclass
class NodeOutput:
    """What a node gives."""

    result: tuple[Any, ...]
    ui: Any = None

    def __init__(self, *result: Any, ui: Any = None) -> None:
        self.result, self.ui = result, ui


@dataclass
class Sampler:
    """`comfy.samplers.KSAMPLER`."""

    sampler_function: Callable[..., Any]
    extra_options: Mapping[str, Any] = field(default_factory=dict)
    inpaint_options: Mapping[str, Any] = field(default_factory=dict)


class Model:
    """A model that remembers the wrappers it was given."""

    def __init__(self) -> None:
        self.wrappers: list[Callable[..., Any]] = []
        self.model_options: dict[str, Any] = {"transformer_options": {}}

    def clone(self) -> Model:
        """Returns another one with the same wrappers."""
        made = Model()
        made.wrappers = list(self.wrappers)
        return made

    def add_wrapper_with_key(self, kind: str, key: str, wrapper: Callable[..., Any]) -> None:
        """Adds a wrapper."""
        self.wrappers.append(wrapper)


class LoraLoader:
    """`nodes.LoraLoader`: a file is JSON, which names the parts that it changes."""

    def __init__(self) -> None:
        self.loaded: dict[str, Any] = {}

    def load_lora(self, model: Any, clip: Any, name: str, on_model: float, on_clip: float) -> tuple[Any, Any]:
        """Returns copies with one more change each, if the file is for them."""
        if name not in self.loaded:
            path = Path(sys.modules["folder_paths"].get_full_path_or_raise("loras", name))  # type: ignore[attr-defined]
            self.loaded[name] = json.loads(path.read_text(encoding="utf-8"))
        model, clip = model.clone(), clip.clone()
        if "model" in self.loaded[name]:
            model.patches.setdefault("weight", []).append((name, on_model))
        if "clip" in self.loaded[name]:
            clip.patcher.patches.setdefault("weight", []).append((name, on_clip))
        return model, clip


def _saving(prefix: str, root: str) -> tuple[str, str, int, str, str]:
    """`folder_paths.get_save_image_path`: folder, name, the next number of the name, subfolder, and the prefix."""
    subfolder, _, name = prefix.rpartition("/")
    folder = Path(root, subfolder)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder), name, 1 + len(list(folder.glob(f"{name}_*"))), subfolder, prefix


class Server:
    """`PromptServer.instance`: its routes, and what it calls with each request for a workflow."""

    def __init__(self) -> None:
        self.routes = Routes()
        self.on_prompt: list[Any] = []
        self.add_on_prompt_handler = self.on_prompt.append


class Graph:
    """`DynamicPrompt`: the nodes of a prompt, by number."""

    def __init__(self, nodes: Mapping[str, Any] | None = None) -> None:
        self.nodes = dict(nodes or {})

    def all_node_ids(self) -> set[str]:
        """Returns the numbers."""
        return set(self.nodes)

    def get_node(self, number: str) -> Any:
        """Returns a node."""
        return self.nodes[number]


class Video:
    """`Input.Video`: the class of films."""

    def get_stream_source(self) -> str:
        """Returns what a film is read from."""
        return "film"


class VideoFromComponents(Video):
    """A film of tensors, whose encoder takes the frames one at a time, as the host's does."""

    def __init__(self, components: Any) -> None:
        self.components = components

    def save_to(self, written: list[Any], **settings: Any) -> None:
        """Adds the arguments of an encoder to `written`, and then each frame."""
        height, width = self.components.images.shape[1:3]
        written.append((width, height, self.components.frame_rate, settings))
        written.extend(frame.clone() for frame in self.components.images)


class Routes:
    """What answers GET, by path, in the host's own server."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[..., Any]] = {}

    def get(self, path: str) -> Callable[[Callable[..., Any]], None]:
        """Returns what keeps an answer."""
        return lambda answer: self.answers.update({path: answer})


def modules(base: Path, version: str, schema: tuple[str, ...]) -> dict[str, ModuleType]:
    """Returns the modules by name; `base` is ComfyUI's folder, `schema` the fields that its Schema has."""
    io = _Io("comfy_api.latest.io")
    io.Schema = make_dataclass("Schema", [(name, Any, field(default=None)) for name in schema])  # type: ignore[attr-defined]
    io.ComfyNode = type("ComfyNode", (), {"hidden": SimpleNamespace()})  # type: ignore[attr-defined]
    io.Custom = _Kind  # type: ignore[attr-defined]
    io.Hidden = SimpleNamespace(dynprompt="DYNPROMPT", unique_id="UNIQUE_ID", prompt="PROMPT", extra_pnginfo="PNG")  # type: ignore[attr-defined]
    io.NodeOutput, io.FolderType, io.Input = NodeOutput, FolderType, Slot  # type: ignore[attr-defined]

    def shown(key: str) -> Callable[..., Any]:
        return lambda value, **options: SimpleNamespace(as_dict=lambda: {key: value})

    def saved(filename: str, subfolder: str, kind: FolderType) -> dict[str, str]:
        return {"filename": filename, "subfolder": subfolder, "type": kind.value}

    ui = SimpleNamespace(
        PreviewImage=shown("images"),
        PreviewText=shown("text"),
        SavedImages=lambda pictures: SimpleNamespace(as_dict=lambda: {"images": pictures}),
        SavedResult=saved,
    )
    latest = _module(
        "comfy_api.latest",
        io=io,
        ui=ui,
        ComfyExtension=type("ComfyExtension", (), {}),
        Input=SimpleNamespace(Video=Video),
        InputImpl=SimpleNamespace(VideoFromComponents=VideoFromComponents, VideoFromFile=Slot),
        Types=SimpleNamespace(
            VideoComponents=SimpleNamespace, VideoContainer=SimpleNamespace, VideoCodec=SimpleNamespace
        ),
    )
    samplers = _module(
        "comfy.samplers",
        KSAMPLER=Sampler,
        KSampler=SimpleNamespace(SAMPLERS=["euler", "euler_ancestral"], SCHEDULERS=["normal", "karras"]),
    )
    progress = _module("comfy_execution.progress", graph=Graph())
    progress.get_progress_state = lambda: SimpleNamespace(dynprompt=progress.graph)  # type: ignore[attr-defined]
    wrappers = _module(
        "comfy.patcher_extension",
        WrappersMP=SimpleNamespace(OUTER_SAMPLE="outer_sample", PREDICT_NOISE="predict_noise"),
    )
    parts = {"samplers": samplers, "patcher_extension": wrappers, "sample": _module("comfy.sample")}
    parts["model_management"] = _module(
        "comfy.model_management",
        throw_exception_if_processing_interrupted=lambda: None,
        load_models_gpu=lambda models, memory_required: None,
    )
    parts["sd1_clip"] = _module("comfy.sd1_clip", SDTokenizer=type("SDTokenizer", (), {}))
    parts["cli_args"] = _module("comfy.cli_args", args=SimpleNamespace(disable_metadata=False))
    parts["utils"] = _module("comfy.utils", ProgressBar=object)
    known = [type(name, (), {}) for name in ("SD15", "Anima", "WAN21_T2V", "UnknownToUs")]
    parts["supported_models"] = _module("comfy.supported_models", models=known)
    folders = _module(
        "folder_paths",
        get_input_directory=lambda: str(base / "input"),
        get_output_directory=lambda: str(base / "output"),
        get_temp_directory=lambda: str(base / "temp"),
        get_save_image_path=_saving,
        get_folder_paths=lambda kind: [str(base / "models" / kind)],
        get_filename_list=lambda kind: sorted(path.name for path in (base / "models" / kind).glob("*")),
        get_full_path_or_raise=lambda kind, name: str(base / "models" / kind / name),
        get_full_path=lambda kind, name: str(base / "models" / kind / name),
        folder_names_and_paths={
            "checkpoints": ([str(base / "models" / "checkpoints")], {".safetensors", ".ckpt"}),
            "custom_nodes": ([str(base / "models" / "custom_nodes")], set()),
        },
        filter_files_extensions=lambda names, suffixes: [
            name for name in names if not suffixes or Path(name).suffix.lower() in suffixes
        ],
    )
    return {
        "comfy_api": _module("comfy_api", latest=latest),
        "comfy_api.latest": latest,
        "comfyui_version": _module("comfyui_version", __version__=version),
        "comfy": _module("comfy", **parts),
        **{f"comfy.{name}": module for name, module in parts.items()},
        "comfy_execution": _module("comfy_execution", progress=progress),
        "comfy_execution.progress": progress,
        "nodes": _module("nodes", NODE_CLASS_MAPPINGS={}, LoraLoader=LoraLoader),
        "folder_paths": folders,
        "server": _module("server", PromptServer=SimpleNamespace(instance=Server())),
        "aiohttp": _module("aiohttp", web=SimpleNamespace(json_response=dict)),
        "latent_preview": _module("latent_preview", get_previewer=lambda device, latents: None),
    }


@contextmanager
def comfyui(base: Path, version: str = "0.33.0", schema: tuple[str, ...] = SCHEMA_SINCE) -> Iterator[None]:
    """Gives a process in which ComfyUI's modules are there, and takes them, and the pack that used them, away again."""
    fakes = modules(base, version, schema)
    sys.modules.update(fakes)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name in fakes or name.startswith(PACK)]:
            del sys.modules[name]


def _module(name: str, **names: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(names)
    return made
