"""HTML for the panel: the table and the curves of a schedule, or an error and its position."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Sequence
from html import escape
from io import BytesIO

from PIL import Image

from remix.errors import RecipeError, RemixError
from remix.plan import Schedule
from remix.plan.expression import caret
from remix.show.plot import Band, bands
from remix.show.table import chosen_rows, columns_of, row_of
from remix.syntax import SYNTAXES

STYLE = """<style>
.remix-use { align-self: end; height: 2.7em; border-radius: 4px }
.remix-said { color: var(--body-text-color); line-height: 1.4; padding: .5em 0 .2em }
.remix-said p { margin: 0 0 .3em }
.remix-said .note, .remix-said .band b { color: var(--body-text-color-subdued); font-weight: 400 }
.remix-said .under { margin: .5em 0 0 }
.remix-said .band { margin: .3em 0 .6em }
.remix-said .band b { display: inline-block; min-width: 4em }
.remix-said .band img { display: block; width: 100%; height: 3.6em; border-radius: 4px; margin: .15em 0 0 }
.dark .remix-said .band img.curve { filter: invert(1) hue-rotate(180deg) }
.remix-said .curves { max-height: 22em; overflow: auto }
.remix-said .band span { margin-right: 1em }
.remix-said .band i { display: inline-block; width: .75em; height: .75em; border-radius: 2px; margin-right: .35em }
.remix-said .rows { max-height: 12.5em; overflow: auto; border: 1px solid var(--border-color-primary);
  border-radius: 4px }
.remix-said .rows table { width: 100%; border-collapse: collapse; margin: 0; border: 0 }
.remix-said .rows table tr { border: 0 !important }
.remix-said .rows table :is(th, td) { padding: .12em .7em !important; text-align: left; white-space: nowrap; border: 0;
  background: var(--background-fill-primary); font-weight: 400 }
.remix-said .rows table th { position: sticky; top: 0; color: var(--body-text-color-subdued) }
.remix-said .rows table td { max-width: 17em; overflow: hidden; text-overflow: ellipsis }
.remix-said .rows table .key td { background: var(--background-fill-secondary); font-weight: 600 }
.remix-said .wrong { border-left: 4px solid #d33; padding: .3em .8em }
.remix-said .wrong pre { margin: .4em 0 0; padding: 0; overflow: auto; white-space: pre; background: none;
  color: inherit; font-family: var(--font-mono) }
</style>"""
"""Uses the colors and fonts of the host's theme, light or dark. Long lists scroll in their own frame."""
CURVES = ("cfg", "denoise")
"""Bands that are line plots, on a white background."""

LEGEND, CELL, WHOLE = 40, 120, 400
"""Maximum number of characters in a legend, in a cell, and in the tooltip of either."""


def shown(
    schedule: Schedule,
    syntax: str = "",
    notes: Sequence[str] = (),
    random: Collection[int] = (),
    below: str = "",
) -> str:
    """Returns HTML with a film: a summary line, its curves, and a table of its frames.

    `syntax` is the name of the detected syntax, `notes` are sentences about it, `random` are frames whose seed is not
    known yet, and `below` is a sentence under the table.
    """
    recipe = schedule.recipe
    seconds = f"{len(schedule) / recipe.fps:.1f} s at {recipe.fps:g} fps"
    read = f", read as {escape(SYNTAXES[syntax].title)}" if syntax else ""
    loop = ", in a loop" if recipe.loop else ""
    frames = f"{len(schedule)} frame{'s' if len(schedule) > 1 else ''}"
    remarks = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    head = f"<p><b>{frames}</b>, {seconds}{loop}{read}</p>"
    known = [band for band in bands(schedule) if not (random and band.name == "seed")]
    curves = f'<div class="curves">{"".join(map(_curve, known))}</div>'
    under = f'<p class="note under">{escape(below)}</p>' if below else ""
    return _box(f"{head}{remarks}{curves}{_table(schedule, random)}{under}")


def refused(error: RemixError, text: str = "", reword: Callable[[str], str] = str) -> str:
    """Returns HTML with an error in one sentence and, if its position in `text` is known, its line with a caret.

    `reword` changes the sentence.
    """
    sentence, excerpt = str(error), ""
    if isinstance(error, RecipeError):
        excerpt = error.excerpt or _excerpt(text, error)
        sentence = sentence.removesuffix(f"\n{error.excerpt}") if error.excerpt else sentence
    placed = f"<pre>{escape(excerpt)}</pre>" if excerpt else ""
    return _box(f'<div class="wrong">{escape(reword(sentence))}{placed}</div>')


def hint(sentence: str) -> str:
    """Returns HTML with a sentence about what to do first."""
    return _box(f'<p class="note">{escape(sentence)}</p>')


def _box(inner: str) -> str:
    return f'{STYLE}<div class="remix-said">{inner}</div>'


def _excerpt(text: str, error: RecipeError) -> str:
    """Returns the line with its caret, if the error has a position in `text`."""
    inside = error.line is not None and 1 <= error.line <= text.count("\n") + 1
    return caret(text, error) if inside else ""


def _curve(band: Band) -> str:
    """Returns a band below its name and its legend. The picture is part of the page; nothing is written to disk."""
    held = BytesIO()
    Image.fromarray(band.picture).save(held, "PNG")
    source = f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode('ascii')}"
    legend = "".join(
        f'<span{_title(text, LEGEND)}><i style="background: rgb{colour}"></i>{_cut(text, LEGEND)}</span>'
        for colour, text in band.legend
    )
    name = escape(band.name)
    kind = ' class="curve"' if band.name in CURVES or band.name.startswith("LoRA ") else ""
    return f'<div class="band"><b>{name}</b>{legend}<img{kind} alt="{name}" src="{source}"></div>'


def _table(schedule: Schedule, random: Collection[int]) -> str:
    columns = columns_of(schedule)
    keyframes = set(schedule.recipe.positions())
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        f'<tr class="key">{cells}</tr>' if index in keyframes else f"<tr>{cells}</tr>"
        for index in chosen_rows(schedule)
        for cells in [
            "".join(
                _cell("random" if name == "seed" and index in random else text)
                for name, text in zip(columns, row_of(schedule, index, columns), strict=True)
            )
        ]
    )
    return f'<div class="rows"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    return f"<td{_title(text, 20)}>{_cut(text, CELL)}</td>"


def _title(text: str, room: int) -> str:
    """Returns a title attribute for a text that is cut off."""
    return f' title="{_cut(text, WHOLE)}"' if len(text) > room else ""


def _cut(text: str, most: int) -> str:
    return escape(text if len(text) <= most else f"{text[: most - 3]}...")
