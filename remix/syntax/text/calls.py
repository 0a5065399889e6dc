"""Python as people paste it: assignments, a call with keyword arguments, or a whole script with such a call in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from remix.plan.fields import show
from remix.plan.keyframe import MAX_CFG, MAX_SEED
from remix.syntax.text.literal import WORD, Node, after_gap, number_of, read_all, read_value
from remix.syntax.text.source import Source, quoted

_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=(?!=)")
_LITERAL = re.compile(r"""["'\[{]|[-+.]?[0-9]|(?:True|False|None|true|false|null)\b""")
_INSIDE = re.compile(r"""[^"'()\[\]{},#\n]+""")
_STATEMENT = re.compile(r"(?:from|import|with|def|class|if|for|return|print)\b|@|[A-Za-z_][\w.]*\s*(?:=\s*[\w\"']|\()")
_SEEDED = re.compile(r"\bmanual_seed\(\s*([0-9]{1,20})\s*\)\s*$", re.ASCII)


def read_arguments(source: Source, main: str) -> dict[str, Node]:
    """Returns the values that a text gives to names: in assignments, or as arguments of the call that sets `main`.

    Other statements are skipped, an argument may name a variable that was assigned above, and arguments that are
    neither literals nor such names have the value None; ``manual_seed(7)`` gives its number. In an object whose keys
    are names these are its fields; any other object is the value of `main`. Raises RecipeError with the position of
    anything that is no Python statement.
    """
    here = after_gap(source, 0)
    if source.text[here : here + 1] == "{":
        node = read_all(source)
        named = any(WORD.fullmatch(key) for key in node.value)
        return dict(node.value) if named else {main: node}
    known: dict[str, Node] = {}
    while here < len(source.text):
        name = _NAME.match(source.text, here)
        if name and _LITERAL.match(source.text, after_gap(source, name.end())):
            if name[1] in known:
                raise source.error(here, f"{name[1]} is given twice; keep one")
            known[name[1]], here = read_value(source, name.end())
            here = after_gap(source, here)
            here = after_gap(source, here + 1) if source.text[here : here + 1] == "," else here
            continue
        call, after = _call_in_statement(source, here, main)
        if call is not None:
            return _arguments(source, call, known)
        if not _STATEMENT.match(source.text, here):
            raise source.error(here, f"{show(source.text[here : here + 20])} is not a setting; write name=value")
        here = after_gap(source, after)
    return known


def _call_in_statement(source: Source, at: int, main: str) -> tuple[int | None, int]:
    """Returns the offset after the ( of the call that sets `main` in a statement, or None, and the statement's end."""
    text, here = source.text, at
    sets = re.compile(rf"\b{main}\s*=(?!=)")
    while here < len(text) and text[here] != "\n":
        if text[here] == "(":
            end = _closing(source, here)
            if sets.search(text, here + 1, end):
                return here + 1, end
            here = end
        elif text[here] in "\"'":
            here = quoted(source, here)[1]
        elif text[here] == "#":
            here = after_gap(source, here)
            break
        else:
            here += 1
    return None, max(here, at + 1)


def _closing(source: Source, opening: int) -> int:
    """Returns the offset after the bracket that closes the one at `opening`."""
    text, here, depth = source.text, opening, 0
    while here < len(text):
        if found := _INSIDE.match(text, here):
            here = found.end()
            continue
        sign = text[here]
        if sign in "\"'":
            here = quoted(source, here)[1]
            continue
        if sign == "#":
            here = after_gap(source, here)
            continue
        depth += (sign in "([{") - (sign in ")]}")
        here += 1
        if depth == 0:
            return here
    raise source.error(opening, "this bracket is not closed; put a ) where the call ends")


def _arguments(source: Source, at: int, known: Mapping[str, Node]) -> dict[str, Node]:
    """Returns the keyword arguments of the call whose ( ends at `at`."""
    found: dict[str, Node] = {}
    here = after_gap(source, at)
    while here < len(source.text) and source.text[here] != ")":
        name = _NAME.match(source.text, here)
        value = after_gap(source, name.end()) if name else here
        if name and name[1] in found:
            raise source.error(here, f"{name[1]} is given twice; keep one")
        if _LITERAL.match(source.text, value):
            node, here = read_value(source, value)
        else:
            here = _expression_end(source, value)
            node = _variable(source, value, here, known)
        if name:
            found[name[1]] = node
        here = after_gap(source, here)
        if source.text[here : here + 1] not in (",", ")"):
            raise source.error(min(here, len(source.text)), "a comma is missing before this; put one")
        here = after_gap(source, here + 1) if source.text[here] == "," else here
    return found


def _expression_end(source: Source, at: int) -> int:
    """Returns the offset of the comma or closing bracket that ends an argument."""
    text, here = source.text, at
    while here < len(text) and text[here] not in ",)":
        if text[here] in "([{":
            here = _closing(source, here)
        elif text[here] in "\"'":
            here = quoted(source, here)[1]
        else:
            here += 1
    if here == at:
        raise source.error(at, f"{show(text[at : at + 20])} is not an argument; write name=value")
    return here


def _variable(source: Source, start: int, end: int, known: Mapping[str, Node]) -> Node:
    text = source.text[start:end].strip()
    if text in known:
        return known[text]
    seed = _SEEDED.search(text)
    return Node(int(seed[1]) if seed else None, start, {})


def pipeline_fields(
    source: Source, data: Mapping[str, Node], more: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    """Returns the fields of a recipe that arguments of a diffusers pipeline set; `more` names further whole numbers."""
    fields: dict[str, Any] = {}
    for name, (low, high) in more.items():
        if name in data:
            fields[name] = number_of(source, data[name], name, low, high, whole=True)
    if "num_inference_steps" in data:
        fields["steps"] = number_of(source, data["num_inference_steps"], "num_inference_steps", 1, 1000, whole=True)
    if "guidance_scale" in data:
        fields["cfg"] = number_of(source, data["guidance_scale"], "guidance_scale", 0, MAX_CFG)
    for name in ("width", "height"):
        if name in data and data[name].value is not None:
            side = number_of(source, data[name], name, 8, 8192, whole=True)
            if side % 8:
                raise source.error(
                    data[name].at, f"{name} {show(side)} is not a multiple of 8; write {side - side % 8}"
                )
            fields[name] = side
    return fields


def generator_seed(source: Source, data: Mapping[str, Node]) -> int | None:
    """Returns the seed of the argument `generator`, None where it is not a plain ``manual_seed(7)``."""
    node = data.get("generator")
    if node is None or node.value is None:
        return None
    seed: int = number_of(source, node, "the seed of the generator", 0, MAX_SEED, whole=True)
    return seed


def note_unread(source: Source, names: list[str]) -> None:
    """Adds a note about settings that have no place in a recipe."""
    if names:
        source.note(f"not in a recipe, and left out: {', '.join(name[:40] for name in names[:20])}")
