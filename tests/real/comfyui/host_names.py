"""The names of ComfyUI that the nodes use, read from their code: what the next ComfyUI must still have."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

HOST = ("comfy", "comfy_api", "comfy_execution", "comfyui_version", "folder_paths", "latent_preview", "nodes", "server")
"""The packages and modules of ComfyUI."""

Names = dict[str, list[str]]
"""A dotted name -> the names of arguments with which it is called."""


def names_used(folder: Path) -> Names:
    """Returns every name of the host that the code in a folder imports, reads or calls.

    What the code asks for by `getattr` or `hasattr` is left out, since it expects that it may be missing.
    """
    found: dict[str, set[str]] = {}
    for path in sorted(folder.glob("*.py")):
        for name, arguments in _of_module(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(name, set()).update(arguments)
    return {name: sorted(arguments) for name, arguments in sorted(found.items())}


def _of_module(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    bound = dict(_imports(tree))
    yield from ((name, []) for name in bound.values())
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        name = _dotted(node, bound)
        if name is not None:
            call = called.get(id(node))
            yield name, [each.arg for each in call.keywords if each.arg] if call else []


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yields the names that a module binds to parts of the host, with their dotted names there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in HOST:
                    yield (alias.asname, alias.name) if alias.asname else (alias.name, alias.name)
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] in HOST:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _dotted(node: ast.AST, bound: dict[str, str]) -> str | None:
    """Returns the host's name for an expression such as `io.Int.Input`, None for any other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    whole = [node.id, *parts]
    for count in range(len(whole), 0, -1):
        origin = bound.get(".".join(whole[:count]))
        if origin is not None:
            return ".".join([origin, *whole[count:]])
    return None
