"""Prompts after a time or a command in brackets, as in tools for video models: FramePack, MiniMax, WanGP.

``[0s-2s: a cat] [2s: a dog]`` or ``[00:00-00:10] a cat``: each prompt starts at its time, and the end of the last range
is the length of the film. Text before the first bracket belongs to all of them.

``[/duration=5s] a cat``, ``[/duration=121,/new_shot] a dog``: consecutive windows, each as long as its duration in
frames, seconds or percent of the film; those without one share the rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from remix.plan.fields import show
from remix.plan.moments import MAX_FRAMES
from remix.plan.recipe import Recipe
from remix.syntax.text.boxes import read_boxes, recipe_fields
from remix.syntax.text.lines import constant_tracks
from remix.syntax.text.pairs import by_frame
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, Span, join
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, clip, to_keyframes

_GAP = r"\s{0,9}"
_SECONDS = r"[0-9]{1,9}(?:\.[0-9]{0,9})?"
_UNIT = r"\s?(?:ms|s|secs?|seconds?)"
_STAMP = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]{1,3})?"
_TIME = rf"(?:{_STAMP}|{_SECONDS}{_UNIT})"
_TO = r"\s{0,9}(?:-->|->|-|\u2013|\u2014|~|to)\s{0,9}"
_TIMES = rf"(?:(?P<from>{_STAMP}|{_SECONDS}(?:{_UNIT})?){_TO}(?P<to>{_TIME})|(?P<at>{_TIME}))"
_OPENING = re.compile(
    rf"\[{_GAP}{_TIMES}{_GAP}(?:(?P<closed>\])|:(?!{_GAP}[0-9.]{{1,20}}{_GAP}\]))"
    rf"|\({_GAP}{_TIMES.replace('?P<', '?P<r')}{_GAP}\)",
    re.IGNORECASE | re.ASCII,
)
"""``[0s-2s:``, whose prompt ends with its bracket, or ``[0s-2s]`` and ``(0s)``, whose prompt follows."""
_ONE = re.compile(rf"({_SECONDS})\s?(ms)?", re.ASCII)
_COMMANDS = re.compile(r"\[\s{0,9}/([A-Za-z_][^\[\]\n]{0,400})\]")
_DURATION = re.compile(r"/?duration\s{0,9}=\s{0,9}([0-9]{1,9}(?:\.[0-9]{0,9})?)\s{0,9}(s|%)?", re.ASCII)


class Timed(NamedTuple):
    """A prompt with its start, and its end if the text sets one, in seconds; `mark` is the bracket."""

    start: Fraction
    end: Fraction | None
    prompt: Span
    mark: Span


def looks_timed(shape: Shape) -> bool:
    lines = shape.prompt_lines
    first = next((found for line in lines if (found := _OPENING.match(line.text))), None)
    return first is not None and _times(first)[0] == 0


def _times(found: re.Match[str]) -> tuple[Fraction, Fraction | None]:
    start = found["from"] or found["rfrom"] or found["at"] or found["rat"]
    end = found["to"] or found["rto"]
    unit = "ms" if end and end.lower().endswith("ms") else ""
    return _seconds(start, unit), _seconds(end, unit) if end else None


def _seconds(text: str, unit: str = "") -> Fraction:
    """Returns the seconds of a time; `unit` is that of the other end of a range, for a number that has none."""
    if ":" in text:
        total = Fraction(0)
        for part in text.replace(",", ".").split(":"):
            total = 60 * total + Fraction(part)
        return total
    found = _ONE.match(text)
    assert found is not None
    bare = found[0] == text
    return Fraction(found[1]) / (1000 if found[2] or (bare and unit) else 1)


def read_timed(source: Source, options: Options) -> Parts:
    """Returns the parts of prompts with times in brackets."""
    boxes = read_boxes(source)
    text = join([line for line in boxes.prompt if line.text], "\n")
    head, timed = _split(source, text)
    fps = options.fps or Recipe.fps
    found, ends = [], []
    for item in timed:
        start, end = (None if t is None else _frame(source, item, t, fps) for t in (item.start, item.end))
        assert start is not None
        whole = join([options.before.strip(), head, item.prompt, options.after.strip()], ", ")
        found.append((start, item.mark, prompt_of(source, whole)))
        ends.append(end)
    stops = [Stop(frame, prompt, "hold") for frame, prompt in by_frame(source, found)]
    _note_gaps(source, timed)
    length = max((end for end in ends if end is not None), default=None)
    frames = options.frames or (length if length and length > stops[-1].frame else None)
    if len(stops) > 1:
        source.note("each prompt holds until the next; to travel between them, set ease to linear in the recipe")
    tracks = {"prompt": clip(source, stops, frames), **constant_tracks(source, boxes)}
    keyframes, ease = to_keyframes(source, tracks)
    fields = recipe_fields(source, boxes.settings)
    return Parts(keyframes, frames=frames, fps=options.fps, loop=options.loop or None, ease=ease, **fields)


def _frame(source: Source, item: Timed, seconds: Fraction, fps: float) -> int:
    frame = (seconds * Fraction(repr(fps)) + Fraction(1, 2)).__floor__()
    if frame > MAX_FRAMES:
        raise source.error(item.mark.start, f"{show(item.mark.text)} is too far away; keep to frame {MAX_FRAMES}")
    return frame


def _split(source: Source, text: Span) -> tuple[Span, list[Timed]]:
    """Returns the text before the first bracket, and the prompts with their times."""
    marks = list(_OPENING.finditer(text.text))
    if not marks:
        raise source.error(0, "there are no times; write [0s: a cat] [2s: a dog]")
    head = join([text[: marks[0].start()].strip()], "")
    timed = []
    for found, after in zip(marks, [*(mark.start() for mark in marks[1:]), len(text.text)], strict=True):
        inside = found[0].startswith("[") and not found["closed"]
        end = _bracket_end(text.text, found.end(), after) if inside else after
        mark = text[found.start() : found.end()]
        if end is None:
            raise source.error(mark.start, "this bracket is not closed; put a ] where the prompt ends")
        rest = text[end + 1 : after].strip() if inside else text[after:after]
        if rest.text.strip(" ,.;\n"):
            raise source.error(rest.start, f"{show(rest.text)} is between brackets; put it into one of them")
        prompt = text[found.end() : end].strip()
        if not prompt.text:
            raise source.error(mark.start, f"there is no prompt after {show(mark.text)}; write one")
        start, stop = _times(found)
        if stop is not None and stop <= start:
            raise source.error(mark.start, f"{show(mark.text)} runs backwards; write the earlier time first")
        timed.append(Timed(start, stop, join(prompt.split("\n"), " "), mark))
    return head, timed


def _bracket_end(text: str, start: int, end: int) -> int | None:
    """Returns the offset of the ] that closes a bracket whose prompt begins at `start`."""
    depth = 1
    for i in range(start, end):
        depth += (text[i] == "[") - (text[i] == "]")
        if depth == 0:
            return i
    return None


def _note_gaps(source: Source, timed: Sequence[Timed]) -> None:
    ordered = sorted(timed, key=lambda item: item.start)
    for earlier, later in pairwise(ordered):
        if earlier.end is not None and earlier.end != later.start:
            source.note(f"{earlier.mark.text.strip(' :')} does not end where the next begins; it holds until then")


class Window(NamedTuple):
    """A prompt with its duration: frames, seconds ("s") or percent ("%"), None without one."""

    prompt: Span
    duration: Fraction | None
    unit: str
    mark: Span


def looks_windows(shape: Shape) -> bool:
    return any(_COMMANDS.match(line.text) for line in shape.prompt_lines)


def read_windows(source: Source, options: Options) -> Parts:
    """Returns the parts of WanGP's windows: a prompt on each line or, if some are blank, in each paragraph."""
    boxes = read_boxes(source)
    windows = [_window(source, text) for text in _texts(boxes.prompt)]
    windows = [window for window in windows if window.prompt.text]
    lengths = _lengths(source, windows, options)
    stops, at = [], 0
    for window, length in zip(windows, lengths, strict=True):
        whole = join([options.before.strip(), window.prompt, options.after.strip()], ", ")
        stops.append(Stop(at, prompt_of(source, whole), "hold"))
        at += length
    frames = options.frames or at
    if len(stops) > 1:
        source.note("each window holds its prompt; to travel between them, set ease to linear in the recipe")
    tracks = {"prompt": clip(source, stops, frames), **constant_tracks(source, boxes)}
    keyframes, ease = to_keyframes(source, tracks)
    fields = recipe_fields(source, boxes.settings)
    return Parts(keyframes, frames=frames, fps=options.fps, loop=options.loop or None, ease=ease, **fields)


def _texts(lines: Sequence[Span]) -> list[Span]:
    """Returns the prompts of windows: lines, or paragraphs where blank lines separate them."""
    groups: list[list[Span]] = [[]]
    for line in lines:
        if line.text:
            groups[-1].append(line)
        elif groups[-1]:
            groups.append([])
    groups = [group for group in groups if group]
    return [join(group, " ") for group in groups] if len(groups) > 1 else [line for group in groups for line in group]


def _window(source: Source, text: Span) -> Window:
    duration, unit, end, mark = None, "", 0, text
    while found := _COMMANDS.match(text.text, end):
        mark = text[found.start() : found.end()]
        for command in found[1].split(","):
            name = command.strip().lstrip("/")
            if known := _DURATION.fullmatch(command.strip()):
                duration, unit = Fraction(known[1]), known[2] or ""
            elif name.partition("=")[0] == "duration":
                raise source.error(mark.start, f"{show(name)} is not a duration; write duration=121, 5s or 20%")
            elif name != "new_shot":  # prompts hold here, so that every window is a cut
                source.note(f"[/{name[:40]}] is a command for a video model; it is left out")
        end = found.end() + len(text.text[found.end() :]) - len(text.text[found.end() :].lstrip())
    return Window(text[end:].strip(), duration, unit, mark)


def _lengths(source: Source, windows: Sequence[Window], options: Options) -> list[int]:
    """Returns the frames of each window; those without a duration share the rest of the film evenly."""
    if not windows:
        raise source.error(0, "there are no prompts; write one after each bracket")
    fps, total = Fraction(repr(options.fps or Recipe.fps)), options.frames
    lengths: list[int | None] = []
    for window in windows:
        if window.duration is None:
            lengths.append(None)
            continue
        if window.unit == "%" and total is None:
            raise source.error(window.mark.start, "a share of the film needs its length; give frames (--frames 48)")
        scale = {"": Fraction(1), "s": fps, "%": Fraction(total or 0, 100)}[window.unit]
        length = (window.duration * scale + Fraction(1, 2)).__floor__()
        if not 1 <= length <= MAX_FRAMES:
            raise source.error(window.mark.start, f"{length} frames are outside 1 to {MAX_FRAMES}; change the duration")
        lengths.append(length)
    open_ = lengths.count(None)
    if open_ and total is None:
        window = windows[lengths.index(None)]
        raise source.error(window.prompt.start, "this window has no duration; write one, or give frames (--frames 48)")
    left = (total or 0) - sum(length for length in lengths if length is not None)
    if open_ and left < open_:
        raise source.error(0, f"the durations leave {max(left, 0)} frames for {open_} windows; give more frames")
    shares = iter([left * (i + 1) // open_ - left * i // open_ for i in range(open_)] if open_ else [])
    return [next(shares) if length is None else length for length in lengths]


TIMED = Syntax("time-brackets", "FramePack's and MiniMax' times in brackets", looks_timed, read_timed)
WANGP = Syntax("wangp", "WanGP's windows", looks_windows, read_windows)
