"""A syntax as one row, and the shape of a text, the argument of every `looks`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from remix.errors import RecipeError
from remix.plan.recipe import Recipe
from remix.syntax.text.boxes import Boxes, read_boxes
from remix.syntax.text.export import Export
from remix.syntax.text.literal import after_gap
from remix.syntax.text.over_steps import Construct, constructs
from remix.syntax.text.pairs import Pair, read_pairs
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.source import Source, Span, quoted

_TOKEN = re.compile(r"""["']|[\[\]{}]""")


class Shape:
    """The structure of a text, parsed once for all syntaxes; it does not depend on any of them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.start = after_gap(source, 0)
        """Offset of the first character after blanks and comments."""
        self.braced = self.text.startswith("{", self.start)

    @cached_property
    def keys(self) -> list[str]:
        """Returns the quoted keys at the top level of an object in braces, as far as it can be read."""
        keys: list[str] = []
        depth, here = 0, self.start
        while self.braced and (found := _TOKEN.search(self.text, here)):
            here = found.end()
            if found[0] in "[{":
                depth += 1
            elif found[0] in "]}":
                depth -= 1
                if depth == 0:
                    break
            else:
                try:
                    text, here = quoted(self.source, found.start())
                except RecipeError:
                    break
                after = self.source.after_blanks(here)
                if depth == 1 and self.text[after : after + 1] == ":":
                    keys.append(text.text)
        return keys

    def has_keys(self, *names: str) -> bool:
        """Returns whether this is an object with all of these keys at its top level."""
        return all(name in self.keys for name in names)

    @cached_property
    def pairs(self) -> list[Pair] | None:
        """Returns the pairs ``key: value, ...`` that the text consists of, None if it cannot be read so."""
        try:
            return read_pairs(Source(self.text, nested=True))
        except RecipeError:
            return None

    @cached_property
    def lines(self) -> list[str]:
        """Returns the lines that are not blank, stripped."""
        return [line.strip() for line in self.text.split("\n") if line.strip()]

    @cached_property
    def boxes(self) -> Boxes:
        """Returns the prompt lines, negative lines and settings."""
        return read_boxes(self.source)

    @cached_property
    def prompt_lines(self) -> list[Span]:
        """Returns the lines of the prompt box that are not blank."""
        return [line for line in self.boxes.prompt if line.text]

    @cached_property
    def constructs(self) -> list[Construct]:
        """Returns the constructs of A1111 or prompt-control in the prompt box."""
        return constructs("\n".join(line.text for line in self.prompt_lines))


@dataclass(frozen=True)
class Syntax:
    """A syntax: its name, its tool, and how it is detected, read and, where possible, written.

    `looks` returns whether a text that every syntax before it in the table has rejected is in this one. It raises
    RecipeError for a text that no later syntax should accept. `emphasis` is the rule by which its tool reads weights in
    prompts, None for that of recipes. `wraps` is true if the reader itself adds the `before`
    and `after` of its options around prompts.
    """

    name: str
    title: str
    looks: Callable[[Shape], bool]
    read: Callable[[Source, Options], Parts]
    write: Callable[[Recipe, str], Export] | None = None
    wraps: bool = True
    emphasis: str | None = None
