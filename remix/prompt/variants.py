r"""Variants and wildcards in prompts, as in sd-dynamic-prompts: a text with choices becomes one without.

- ``{red|green}`` is one of its options; ``{2::red|green}`` gives red twice the weight. Options nest.
- ``{2$$a|b|c}`` is two different options, joined by ", "; ``{1-2$$ and $$a|b|c}`` one or two, joined by " and ".
- ``__animals__`` is a line of the word list ``animals.txt``; ``__pets/*__`` one of all lists below ``pets``.
- ``\{`` and ``\}`` are braces.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from remix.errors import BadInput

MOST_NESTED = 20
"""The largest depth of choices within choices, and of word lists that name others."""

LONGEST = 100_000
"""The largest number of letters that a prompt may become."""

MOST_WORK, TEXT_WORK = 1_000_000, 5
"""The most work that all choices of a recipe may take, about a second, and that of a text. An option takes one."""

_WEIGHT = re.compile(r"\s*(\d{1,9}(?:\.\d{0,9})?)::")
_COUNT = re.compile(r"\s*(\d{1,4})(?:-(\d{1,4}))?\$\$(?:([^|{}$]*)\$\$)?")
_LIST = re.compile(r"__([A-Za-z0-9*][\w*/ .-]{0,99}?)__")
_BRACE = re.compile(r"\\[{}]|[{}]")
_NEXT = re.compile(r"\\[{}]|[{}]|__")

Draw = Callable[[str], random.Random]
"""A function from the text of a choice to the source of its random numbers."""

Lists = Callable[[str], Sequence[str] | None]
"""A function from the name of a word list to its lines, None if there is none."""


def has_variants(text: str) -> bool:
    """Returns whether a text has choices or word lists.

    >>> has_variants("a {red|green} cat"), has_variants("a red cat_ear")
    (True, False)
    """
    return "{" in text or _LIST.search(text) is not None


@dataclass
class Work:
    """Counts the work of choices. Word lists that name each other could make a few letters take years."""

    left: int = field(default_factory=lambda: MOST_WORK)

    def spend(self, work: int) -> None:
        """Raises BadInput if more work was spent than is allowed."""
        self.left -= work
        if self.left < 0:
            raise BadInput(
                "prompt: all choices together take too long; write fewer, and no word lists that name each other again "
                "and again"
            )


def expand(text: str, draw: Draw, lists: Lists, work: Work | None = None) -> str:
    """Returns a text in which every choice is made. The same seeds give the same choices on every machine.

    `work` limits several texts together. Raises BadInput, with the place, for braces that are not closed, too many
    levels or options, and word lists that do not exist.

    >>> source = random.Random("1")
    >>> expand("a {red|green} {cat|dog}", lambda text: source, lambda name: None)
    'a red cat'
    """
    return _Expansion(draw, lists, text, work or Work()).text(text, 0)


@dataclass(frozen=True)
class _Expansion:
    """The choices of one text. `whole` is the text as written, for errors."""

    draw: Draw
    lists: Lists
    whole: str
    work: Work

    def text(self, text: str, depth: int) -> str:
        """Returns a part of the text with its choices made."""
        if depth > MOST_NESTED:
            raise self.error(
                f"has choices within choices more than {MOST_NESTED} levels deep; write fewer levels", text
            )
        self.work.spend(TEXT_WORK)
        found: list[str] = []
        at = length = 0
        while mark := _NEXT.search(text, at):
            before = text[at : mark.start()]
            piece, at = self._at(text, mark, depth)
            found += [before, piece]
            length += len(before) + len(piece)
            if length > LONGEST:
                raise self.error(f"becomes longer than {LONGEST} letters; write shorter options", text)
        return "".join([*found, text[at:]])

    def _at(self, text: str, mark: re.Match[str], depth: int) -> tuple[str, int]:
        """Returns the replacement of what begins at a mark, and where the text continues."""
        if mark[0].startswith("\\"):
            return mark[0][1], mark.end()
        if mark[0] == "__":
            name = _LIST.match(text, mark.start())
            return (self._word(name[1], depth), name.end()) if name else ("__", mark.end())
        if mark[0] == "}":
            return "}", mark.end()
        end = _closing(text, mark.start())
        if end is None:
            raise self.error("has a { that is not closed; write \\{ for a brace", text[mark.start() :])
        inside = text[mark.end() : end]
        return self._choice(inside, depth), end + 1

    def _choice(self, inside: str, depth: int) -> str:
        options, draw = _options(inside), self.draw(inside)
        low = high = 1
        joint = ", "
        if count := _COUNT.match(options[0]):
            low = int(count[1])
            high = int(count[2] or low)
            joint = joint if count[3] is None else count[3]
            options[0] = options[0][count.end() :]
        if not low <= high <= len(options):
            raise self.error(f"asks for {low} to {high} of {len(options)} options; ask for fewer", inside)
        left = [(float(found[1]) if (found := _WEIGHT.match(option)) else 1.0, option) for option in options]
        left = [(weight, _WEIGHT.sub("", option, count=1)) for weight, option in left]
        chosen = []
        for _ in range(draw.randint(low, high)):
            if not sum(weight for weight, _ in left):
                raise self.error("has options of weight 0 alone; give one a weight", inside)
            self.work.spend(len(left))
            (index,) = draw.choices(range(len(left)), [weight for weight, _ in left])
            chosen.append(self.text(left.pop(index)[1], depth + 1))
        return joint.join(chosen)

    def _word(self, name: str, depth: int) -> str:
        words = self.lists(name)
        if words is None:
            raise self.error(f"names the word list {name!r}, which does not exist; add {name}.txt", f"__{name}__")
        if not words:
            raise self.error(f"names the word list {name!r}, which is empty; add a line to it", f"__{name}__")
        return self.text(words[self.draw(f"__{name}__").randrange(len(words))], depth + 1)

    def error(self, problem: str, part: str) -> BadInput:
        at = self.whole.find(part)
        place = f" at letter {at + 1}" if at >= 0 else ""
        return BadInput(f"prompt{place}: {part[:60]!r} {problem}")


def _closing(text: str, start: int) -> int | None:
    """Returns the place of the brace that closes the one at `start`."""
    depth = 0
    for mark in _BRACE.finditer(text, start):
        if mark[0] in "{}":
            depth += 1 if mark[0] == "{" else -1
            if depth == 0:
                return mark.start()
    return None


def _options(inside: str) -> list[str]:
    """Returns the options between the braces of a choice."""
    options, depth, start = [], 0, 0
    for mark in re.finditer(r"\\[{}|]|[{}|]", inside):
        if mark[0] == "|" and depth == 0:
            options.append(inside[start : mark.start()])
            start = mark.end()
        elif mark[0] in "{}":
            depth += 1 if mark[0] == "{" else -1
    return [*options, inside[start:]]


def matching(name: str, known: Sequence[str]) -> list[str]:
    """Returns the names of word lists that match a name, which may have ``*``."""
    return [each for each in known if each == name or ("*" in name and fnmatchcase(each, name))]
