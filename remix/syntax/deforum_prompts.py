"""Deforum's prompts: ``{"0": "bunny --neg photo", "max_f-20": "durian `10*sin(t)`"}``, each held until the next.

In keys and backticks `max_f` is the last frame. ``(a):0.7 AND (b):0.3``, as its Interpolation mode writes it,
is a mix.
"""

from __future__ import annotations

import json
import re

from remix.plan.mix import Mix
from remix.plan.recipe import Recipe
from remix.syntax.fizznodes import surrounded
from remix.syntax.literal import gap
from remix.syntax.pairs import Pair, frame_of, in_order, read_pairs
from remix.syntax.parts import Given, Parts
from remix.syntax.prompts import Spoken, composed, tracks
from remix.syntax.scan import Source
from remix.syntax.tracks import Stop, lay
from remix.syntax.writing import Export, Sheet, refused_in, said

NAMED = re.compile(r"(?:animation_)?prompts\s*=\s*\{")
"""How Deforum's notebook begins them."""


def read(source: Source, given: Given) -> Parts:
    """The parts that a set of prompts says."""
    name = NAMED.match(source.text, gap(source, 0))
    pairs = read_pairs(source, start=name.end() - 1 if name else 0)
    keyframes, ease = lay(source, prompt_tracks(source, pairs, given, "hold"))
    if len(pairs) > 1:
        source.note('each prompt holds until the next; for Deforum\'s mode "Interpolation", read it as fizznodes')
    return Parts(keyframes, frames=given.frames, fps=given.fps, ease=ease)


def prompt_tracks(source: Source, pairs: list[Pair], given: Given, ease: str) -> dict[str, list[Stop]]:
    """The tracks of prompts in pairs, with the `ease` of Deforum's animation mode."""
    clock = given.clock()
    found = []
    for pair in pairs:
        if not pair.quoted:
            raise source.refuse(pair.value.start, "this prompt is not in quotes; put it in quotes")
        found.append((frame_of(source, pair.key, clock), pair.key, surrounded(source, pair.value, given, " ")))
    spoken = [Spoken(frame, prompt, ease) for frame, prompt in in_order(source, found)]
    return tracks(source, spoken, given.frames, given.names(), composed)


def write(recipe: Recipe, field: str) -> Export:
    """The recipe as Deforum's prompts; mixes are written as ``a :0.7 AND b :0.3``."""
    sheet = Sheet(recipe)
    moves = [line for line in sheet.lines if not line.holds]
    lines = sheet.travelling() if moves else sheet.lines
    if moves and len(sheet.lines) > 1:
        sheet.lose('the ways between prompts, unless Deforum\'s animation mode is "Interpolation": others hold')
    if recipe.loop:
        home = "the text travels home, and " if moves and len(sheet.lines) > 1 else ""
        sheet.lose(f"whether the film loops: {home}the player has to repeat it")
    entries = {}
    for line in lines:
        negative = _composed(sheet, line.negative)
        entries[str(line.frame)] = (
            f"{_composed(sheet, line.prompt)} --neg {negative}".rstrip(" ")
            if negative
            else (_composed(sheet, line.prompt))
        )
    return sheet.export(json.dumps(entries, ensure_ascii=False, indent=2) + "\n")


def _composed(sheet: Sheet, mix: Mix[str]) -> str:
    for value in mix.values:
        refused_in(sheet, value, {"`": "the beginning of an expression", "--neg": "the beginning of the negative"})
        if len(mix.items) > 1:
            refused_in(sheet, value, {"AND": "the beginning of another part", ":": "the beginning of a weight"})
    if len(mix.items) == 1:
        return mix.values[0]
    return " AND ".join(f"{value} :{said(weight)}" for value, weight in mix.items)
