"""Looks at prompts of the API and changes them: nodes by name, inputs, differences, and what a server lacks.

    find_node(nodes, name)          the number of a node, by its number, title or class
    find_input(nodes, path)         the number and the input of "KSampler.seed"
    set_input(nodes, path, value)   a copy with one input changed: "KSampler.seed"
    differences(before, after)      what differs, as sentences
    problems(nodes, info)           what a server cannot run, by its ``/object_info``
    with_server_names(nodes, info)  a copy with names of files as the server spells them

All are pure: a prompt is a mapping from JSON, and none is changed in place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from remix.errors import BadInput
from remix.hosts.comfyui.graph import Nodes, is_link
from remix.hosts.model_names import slashed, suggestion
from remix.plan.wording import listed

Prompt = Mapping[str, Mapping[str, Any]]


def title_of(node: Mapping[str, Any]) -> str:
    """Returns the title of a node, or its class."""
    about = node.get("_meta")
    title = about.get("title") if isinstance(about, Mapping) else None
    return title if isinstance(title, str) and title else str(node.get("class_type", ""))


def find_node(nodes: Prompt, name: str) -> str:
    """Returns the number of the node that `name` stands for: its number, its title or its class.

    Raises `BadInput` if there is none, or several.

    >>> find_node({"3": {"class_type": "KSampler", "inputs": {}, "_meta": {"title": "Main"}}}, "Main")
    '3'
    """
    if name in nodes:
        return name
    for names in ({key: title_of(node) for key, node in nodes.items()}, _classes(nodes)):
        found = [key for key, title in names.items() if title == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise BadInput(f"{name}: nodes {listed(found)} have this name; write the number of one of them")
    known = {*nodes, *map(title_of, nodes.values()), *_classes(nodes).values()}
    raise BadInput(f"{name}: the workflow has no such node; {nearest_name(name, sorted(known))}")


def inputs_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the inputs of a node by name, {} if it has none."""
    inputs = node.get("inputs")
    return inputs if isinstance(inputs, Mapping) else {}


def find_input(nodes: Prompt, path: str) -> tuple[str, str]:
    """Returns the number of the node and the name of the input that ``NODE.INPUT`` stands for.

    Raises `BadInput` if there is no such node or input.
    """
    name, dot, slot = path.partition(".") if path.partition(".")[0] in nodes else path.rpartition(".")
    if not dot or not name or not slot:
        raise BadInput(f"{path}: is not a node and an input; write NODE.INPUT, such as KSampler.seed")
    key = find_node(nodes, name)
    if slot not in (inputs := inputs_of(nodes[key])):
        where = f"node {key} ({title_of(nodes[key])})"
        raise BadInput(f"{path}: {where} has no such input; {nearest_name(slot, sorted(inputs))}")
    return key, slot


def set_input(nodes: Prompt, path: str, value: Any) -> Nodes:
    """Returns a copy of a prompt in which the input ``NODE.INPUT`` has this value.

    Raises `BadInput` if there is no such node or input, or if a number would become a text or the other way around.
    """
    key, slot = find_input(nodes, path)
    inputs = inputs_of(nodes[key])
    before = inputs[slot]
    if not is_link(before) and _kind(before) != _kind(value):
        raise BadInput(f"{path}: {value!r} is {_kind(value)}, and the input has {_kind(before)} ({before!r})")
    return {**{one: dict(node) for one, node in nodes.items()}, key: {**nodes[key], "inputs": {**inputs, slot: value}}}


def differences(before: Prompt, after: Prompt) -> Iterator[str]:
    """Yields what differs between two prompts, node by node, as sentences."""
    for key in sorted({*before, *after}, key=_order):
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            yield f"{key} ({title_of(new or old or {})}): {'added' if old is None else 'removed'}"
            continue
        if old.get("class_type") != new.get("class_type"):
            yield f"{key} ({title_of(new)}): class {old.get('class_type')} became {new.get('class_type')}"
        a, b = inputs_of(old), inputs_of(new)
        for slot in sorted({*a, *b}):
            if a.get(slot) != b.get(slot) or (slot in a) != (slot in b):
                shown = [written(each[slot]) if slot in each else "nothing" for each in (a, b)]
                yield f"{key} ({title_of(new)}).{slot}: {shown[0]} became {shown[1]}"


def problems(nodes: Prompt, info: Mapping[str, Any], skip: Collection[tuple[str, str]] = frozenset()) -> Iterator[str]:
    """Yields what a server cannot run: unknown nodes, choices that it lacks, and inputs that are missing.

    The inputs in `skip`, by number and name, are not looked at, since they get other values.
    """
    for key, node in sorted(nodes.items(), key=lambda pair: _order(pair[0])):
        kind = str(node.get("class_type"))
        about = info.get(kind)
        if not isinstance(about, Mapping):
            yield f"{key} ({title_of(node)}): the server has no node {kind!r}; install the pack that it comes from"
            continue
        declared = about.get("input")
        required = declared.get("required") if isinstance(declared, Mapping) else None
        for slot, row in required.items() if isinstance(required, Mapping) else ():
            if (key, slot) in skip:
                continue
            yield from _problem(f"{key} ({title_of(node)}).{slot}", inputs_of(node), slot, row)


def with_server_names(nodes: Prompt, info: Mapping[str, Any]) -> Nodes:
    """Returns a copy of a prompt with the choices of inputs as the server spells them.

    Servers on Windows list files with backslashes, others with slashes, and workflows have those of either.
    """
    found: Nodes = {}
    for key, node in nodes.items():
        rows = all_inputs(info, node)
        inputs = {slot: spelled(value, choices_of(rows.get(slot))) for slot, value in inputs_of(node).items()}
        found[key] = {**node, "inputs": inputs} if inputs else dict(node)
    return found


def spelled(value: Any, choices: Sequence[Any] | None) -> Any:
    r"""Returns the choice that is a value apart from its slashes, or else the value.

    >>> spelled("SD15/a.pt", ["SD15\\a.pt"]), spelled(5, None)
    ('SD15\\a.pt', 5)
    """
    if not isinstance(value, str) or not choices or value in choices:
        return value
    wanted = slashed(value)
    return next((each for each in choices if isinstance(each, str) and slashed(each) == wanted), value)


def all_inputs(info: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the descriptions of a node's inputs by name, {} if its class is unknown."""
    about = info.get(str(node.get("class_type")))
    inputs = about.get("input") if isinstance(about, Mapping) else None
    parts = [inputs.get(part) for part in ("required", "optional")] if isinstance(inputs, Mapping) else []
    return {name: row for part in parts if isinstance(part, Mapping) for name, row in part.items()}


def choices_of(row: Any) -> list[Any] | None:
    """Returns the choices of an input that a server describes by `row`, None if it is no list of choices."""
    kind = row[0] if isinstance(row, list) and row else None
    options = row[1] if isinstance(row, list) and len(row) > 1 and isinstance(row[1], Mapping) else {}
    choices = kind if isinstance(kind, list) else options.get("options") if kind == "COMBO" else None
    return choices if isinstance(choices, list) else None


def _problem(where: str, inputs: Mapping[str, Any], slot: str, row: Any) -> Iterator[str]:
    if slot not in inputs:
        kind = row[0] if isinstance(row, list) and row else None
        if not any(name.startswith(f"{slot}.") for name in inputs) and "COMFY_" not in str(kind):
            yield f"{where}: is missing"
        return
    value, choices = inputs[slot], choices_of(row)
    if choices is not None and not is_link(value) and spelled(value, choices) not in choices:
        yield f"{where}: the server has no {value!r}; {suggestion(str(value)[:100], list(map(str, choices)))}"


def nearest_name(name: str, known: Sequence[str]) -> str:
    """Returns the most similar known name, or the first few, as a sentence."""
    near = next(iter(get_close_matches(name[:100], known, 1)), None)
    return f'did you mean "{near}"?' if near else f"it has {listed(known)}" if known else "its list is empty"


def written(value: Any) -> str:
    """Returns an input as text: a link as the node and the number of its output."""
    return f"node {value[0]}, output {value[1]}" if is_link(value) else repr(value)


def _classes(nodes: Prompt) -> dict[str, str]:
    return {key: str(node.get("class_type", "")) for key, node in nodes.items()}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, int | float):
        return "a number"
    return "a text" if isinstance(value, str) else "another value"


def _order(key: str) -> list[tuple[int, str]]:
    """Returns a key that sorts numbers of nodes as numbers, also those in subgraphs."""
    return [(int(part), "") if part.isdecimal() and len(part) < 20 else (10**20, part) for part in key.split(":")]
