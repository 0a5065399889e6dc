"""Finds wording that tests/words.toml lists, in pages, docstrings, comments, messages and names.

python -m tests.words [PATH ...]     prints each hit with its file and line, and what to write instead
"""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
RULES = Path(__file__).with_name("words.toml")
SUFFIXES = {".md", ".in", ".py", ".js", ".json", ".toml", ".yml"}
TEXT = {".md", ".in", ".js", ".toml", ".yml"}
JSON_PAGES = ("example_workflows/", "locales/en/")
OTHER_LANGUAGES = re.compile(r"/(de|fr)[/.]")
"""Part of the paths of pages in German and French, for which the rules are not."""
EXCLUDED = ("tests/words.toml", "tests/recorded", "client/playground/weights", "constraints.txt")

Text = tuple[int, str]
"""The line on which a text begins, and the text."""


@dataclass(frozen=True)
class Hit:
    """One place where a rule applies."""

    path: str
    line: int
    found: str
    write: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found!r}; write: {self.write}"


@cache
def rules() -> Mapping[str, Any]:
    """Returns the parsed rules."""
    return tomllib.loads(RULES.read_text(encoding="utf-8"))


@cache
def phrases() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Returns the pattern of each phrase with what to write instead."""
    return tuple(
        (re.compile(row["find"].replace(" ", r"\s+"), re.IGNORECASE), row["write"]) for row in rules()["phrase"]
    )


def in_text(text: str) -> Iterator[tuple[int, str, str]]:
    """Yields the offset of each listed phrase in a text, the phrase, and what to write instead."""
    shown = _without_code(text)
    for pattern, write in phrases():
        for match in pattern.finditer(shown):
            yield match.start(), " ".join(match[0].split()), write


def _without_code(text: str) -> str:
    """Masks code, which is no prose, without moving anything."""

    def masked(match: re.Match[str]) -> str:
        return re.sub(r"[^\n`]", "x", match[0])

    text = re.sub(r"^```.*?^```", masked, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"(`+)[^`\n]+\1", masked, text)
    return re.sub(r"\]\([^)\n]*\)|https?://\S+", masked, text)


def texts_of(path: Path) -> Iterator[Text]:
    """Yields the prose of a file."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from _python_texts(source, docstrings_only=path.is_relative_to(ROOT / "tests"))
    elif path.suffix == ".json":
        yield from ((1, text) for text in _strings(json.loads(source)))
    elif path.suffix in TEXT:
        yield 1, re.sub(r"(?m)^(\s*)(//|#) ", r"\1  ", source) if path.suffix != ".md" else source


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _python_texts(source: str, *, docstrings_only: bool) -> Iterator[Text]:
    tree = ast.parse(source)
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    standing = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if docstrings_only and id(node) not in standing:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
            if " " in node.value:
                yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield node.lineno, "".join(parts)
    yield from _comments(source)


def _comments(source: str) -> Iterator[Text]:
    """Yields each block of comment lines as one text."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        if block and line != last + 1:
            yield first, "\n".join(block)
            block = []
        if not block:
            first = line
        block.append(token.string.lstrip("#! "))
        last = line
    if block:
        yield first, "\n".join(block)


def _names(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def hits(path: Path) -> list[Hit]:
    """Returns all hits in a file, in the order of its lines."""
    name = path.relative_to(ROOT).as_posix()
    found = [
        Hit(name, line + text.count("\n", 0, offset), phrase, write)
        for line, text in texts_of(path)
        for offset, phrase, write in in_text(text)
    ]
    if path.suffix == ".py":
        better = rules()["names"]
        found += [Hit(name, line, word, better[word]) for line, word in _names(path) if word in better]
    return sorted(found, key=lambda hit: hit.line)


def files() -> list[Path]:
    """Returns every file of the repository that people read."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name and not name.startswith(EXCLUDED)]
    return [path for path in paths if path.is_file() and _is_read(path)]


def _is_read(path: Path) -> bool:
    if path.suffix == ".json":
        return path.relative_to(ROOT).as_posix().startswith(JSON_PAGES)
    return path.suffix in SUFFIXES and not OTHER_LANGUAGES.search(f"/{path.relative_to(ROOT).as_posix()}")


def room_of(name: str) -> str:
    """Returns the room of a file: the longest one of the allowances that its path begins with, else its first part."""
    rooms = [room for room in rules()["allowance"] if name == room or name.startswith(f"{room}/")]
    return max(rooms, key=len) if rooms else name.split("/")[0]


@cache
def by_room() -> dict[str, list[Hit]]:
    """Returns the hits of each room."""
    found: dict[str, list[Hit]] = {}
    for path in files():
        found.setdefault(room_of(path.relative_to(ROOT).as_posix()), []).extend(hits(path))
    return found


def report(paths: list[str]) -> Iterator[str]:
    """Yields a line for each hit below these paths, or for all hits, and one for each room."""
    below = tuple(f"{path.rstrip('/')}/" for path in paths)
    for listed in by_room().values():
        yield from (str(hit) for hit in listed if not paths or hit.path in paths or hit.path.startswith(below))
    for room, listed in sorted(by_room().items()):
        yield f"{room}: {len(listed)}, allowed {rules()['allowance'].get(room, 0)}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in report(sys.argv[1:]))
