"""Who may import whom, read from the syntax trees; and what must not be in the product at all."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STANDARD = sys.stdlib_module_names

COMFYUI = {
    *("comfy", "comfy_api", "comfy_execution", "comfyui_version", "folder_paths", "latent_preview", "nodes", "server"),
    "aiohttp",  # the host's own server
}
"""The host's own modules that the nodes touch."""

CORE = {
    "remix.errors",
    "remix.digest",
    *(
        "remix.catalog",
        "remix.prompt",
        "remix.plan",
        "remix.syntax",
        "remix.mix",
        "remix.playground",
        "remix.motion",
        "remix.job",
        "remix.engine",
        "remix.show",
        "remix.hosts",
    ),
}
"""The rooms of the core, for a host's skin."""

ROOMS = {
    "remix/__init__.py": {"remix"},  # the front door, lazy: the test of imports below holds that
    "remix/errors.py": set(),
    "remix/digest.py": set(),
    "remix/__main__.py": {"remix.client"},  # python -m remix
    "remix/catalog": {"remix.errors", "remix.catalog"},
    "remix/prompt": {"remix.errors", "remix.prompt"},
    "remix/plan": {
        "remix.errors",
        "remix.catalog",
        "remix.prompt",
        "remix.plan",
        "remix.motion.song",  # only where a recipe with music is read
        "tomli",
        "numpy",
    },  # numpy only where columns are evaluated
    "remix/syntax": {
        "remix.errors",
        "remix.catalog",
        "remix.prompt",
        "remix.plan",
        "remix.syntax",
        "remix.hosts",
        "tomli",
    },
    "remix/syntax/text": {"remix.errors", "remix.catalog", "remix.plan", "remix.syntax.text", "remix.hosts", "tomli"},
    "remix/hosts": {"remix.errors", "remix.digest", "remix.catalog", "remix.prompt", "remix.plan", "remix.hosts"},
    "remix/mix": {
        "remix.errors",
        "remix.catalog",
        "remix.mix",
        "remix.plan.denoise",
        "torch",
    },  # what denoise means, in numbers
    "remix/playground": {
        *("remix.errors", "remix.catalog", "remix.motion.atomic", "remix.playground"),
        *("torch", "safetensors"),
    },
    "remix/motion": {
        *("remix.errors", "remix.digest", "remix.plan.curves", "remix.motion"),  # a monotone curve through points
        *("numpy", "PIL", "imageio_ffmpeg", "librosa", "cv2"),
    },
    "remix/job": {
        "remix",
        *("remix.errors", "remix.digest", "remix.plan", "remix.motion", "remix.hosts", "remix.job"),
        *("numpy", "PIL"),
    },
    "remix/show": {"remix.errors", "remix.plan", "remix.motion", "remix.show", "markupsafe", "numpy", "PIL"},
    "remix/show/page": {"remix.errors", "remix.show.page", "jinja2", "markupsafe", "pygal", "PIL"},
    "remix/engine": {
        "remix",
        *("remix.errors", "remix.digest", "remix.catalog", "remix.prompt", "remix.plan", "remix.syntax"),
        *("remix.hosts", "remix.motion", "remix.job", "remix.show", "remix.engine", "numpy"),
    },
    "remix/engine/pictures.py": {  # masks are tensors, wherever somebody has latents already
        *("remix.errors", "remix.plan", "remix.motion", "remix.mix", "remix.engine", "torch"),
    },
    "__init__.py": {"custom_nodes"},
    "custom_nodes": {
        *CORE,
        *("custom_nodes", "torch", "numpy", *COMFYUI),
    },
    "a1111_extension": {*CORE, "remix", "a1111_extension", "torch", "numpy", "PIL"},
    "a1111_extension/host": {*CORE, "a1111_extension", "modules", "fastapi", "torch", "PIL"},
    "a1111_extension/playground.py": {"remix.playground", "modules", "torch", "transformers"},
    "a1111_extension/panel.py": {*CORE, "a1111_extension", "gradio"},
    "scripts/remix_toolkit.py": {"a1111_extension"},
    "install.py": {"launch"},
    "client": {
        "remix",
        "typing_extensions",  # for type checkers alone, which bring it
        "numpy",
        "PIL",
        "click",
        "rich",
        "torch",
        "diffusers",
        "transformers",
        "huggingface_hub",
        "safetensors",
    },
    "client/cluster": {"remix", "ray"},  # only where workers are processes of their own
    "client/transport.py": {"remix", "requests", "urllib3"},
    "client/http.py": {"remix"},
    "client/events.py": {"remix", "websocket"},
}
"""room -> what its files may import in addition to the standard library; a name covers everything below it.

A file or folder that is named itself is a room of its own, and in no other.
"""

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {("torch", "load"), ("os", "system"), ("os", "popen")}
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill"}
READS_PICKLED = "client/local/pickled.py"
"""The one file that may call `torch.load`, of weights only, and names the exception that it raises."""


def files() -> Iterator[tuple[str, Path]]:
    for room in ROOMS:
        place = ROOT / room
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            if room_of(path) == room:
                yield room, path


def room_of(path: Path) -> str:
    """The innermost room in which a file lies."""
    inside = [path, *path.parents]
    return max((room for room in ROOMS if ROOT / room in inside), key=len)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                package = path.relative_to(ROOT).parts[: -node.level]
                yield ".".join([*package, *filter(None, [node.module])])
            else:
                yield node.module or ""


def covered(name: str, allowed: set[str]) -> bool:
    # "remix" alone is the version; below it only what is named, but a client may use the whole core.
    return any(name == known or name.startswith(known + ".") for known in allowed)


@pytest.mark.parametrize(("room", "path"), list(files()), ids=lambda value: str(value).removeprefix(f"{ROOT}/"))
def test_a_room_imports_only_what_it_may(room: str, path: Path) -> None:
    allowed = ROOMS[room]
    if room in ("remix/job", "remix/engine"):
        allowed = allowed - {"remix"}
    strangers = [
        name
        for name in imported(path)
        if name.split(".")[0] not in STANDARD
        and not covered(name, allowed)
        and not (name == "remix" and "remix" in ROOMS[room])
    ]
    assert strangers == []


def guide_cell(room: str) -> str:
    """Returns what the architecture guide says that a room may import."""
    allowed = ROOMS[room] - {room.replace("/", ".")}
    if ("remix" in allowed and room == "client") or allowed >= CORE:
        return ", ".join(["the whole core", *(f"`{name}`" for name in sorted(allowed - CORE - {"remix"}))])
    return ", ".join(f"`{name.removeprefix('remix.')}`" for name in sorted(allowed - {"remix"})) or "nothing"


@pytest.mark.parametrize("room", [room for room in ROOMS if (ROOT / room).is_dir() and room != "a1111_extension/host"])
def test_the_architecture_guide_says_what_a_room_may_import(room: str) -> None:
    guide = (ROOT / "docs" / "contributing" / "architecture.md").read_text(encoding="utf-8")
    (row,) = (line for line in guide.splitlines() if line.startswith(f"| `{room}` |"))
    assert row.endswith(f"| {guide_cell(room)} |")


@pytest.mark.parametrize("path", [path for _, path in files()], ids=lambda path: path.name)
def test_nothing_of_strangers_is_executed(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & FORBIDDEN_CALLS
    attributes = {
        (node.value.id, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    reads = path.relative_to(ROOT).as_posix() == READS_PICKLED
    assert attributes & FORBIDDEN_ATTRIBUTES == ({("torch", "load")} if reads else set())
    assert {name for name in imported(path) if name.split(".")[0] in FORBIDDEN_MODULES} == (
        {"pickle"} if reads else set()
    )
    if "subprocess" in set(imported(path)):
        assert path.relative_to(ROOT).as_posix() in {"remix/motion/ffmpeg.py"}


def test_pickled_files_are_read_as_weights_only() -> None:
    tree = ast.parse((ROOT / READS_PICKLED).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"]
    assert [[ast.unparse(word.value) for word in call.keywords if word.arg == "weights_only"] for call in calls] == [
        ["True"]
    ]
    used = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "pickle"]
    assert [alias.name for node in used for alias in node.names] == ["UnpicklingError"]


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import remix", ("torch", "numpy", "PIL", "diffusers", "requests", "click")),
        ("import remix.plan", ("torch", "numpy", "PIL")),
        ("import remix.motion, remix.job, remix.engine", ("torch", "diffusers", "requests")),
        ("import remix.client, remix.client.cli", ("torch", "diffusers", "requests", "rich", "numpy", "remix.plan")),
        ("import remix.client.a1111", ("torch", "diffusers", "rich", "click")),
        ("import remix.client.comfyui", ("torch", "diffusers", "rich", "click")),
        ("import remix.client.playground", ("torch", "diffusers")),
        ("import remix.mix", ("diffusers", "transformers")),
    ],
)
def test_an_import_loads_no_more_than_it_says(statement: str, absent: tuple[str, ...]) -> None:
    code = f"import sys; {statement}; print([name for name in {absent!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_no_test_imports_from_another_test() -> None:
    """What several tests need is in a module of its own."""
    tests = ROOT / "tests"
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted(tests.rglob("*.py"))
        for name in imported(path)
        if name.startswith("tests.") and any(part.startswith("test_") for part in name.split("."))
    ]
    assert found == []
