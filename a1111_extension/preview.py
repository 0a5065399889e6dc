"""What the panel shows back of its texts: the table and the curves of a schedule, or what is wrong, and where."""

from __future__ import annotations

import base64
from collections.abc import Sequence
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
"""In the colours and the fonts of the host's theme, light or dark; a long list scrolls within its own frame."""
LEGEND, CELL, WHOLE = 40, 120, 400
"""The most letters of a text that a legend and a cell show, and that each shows when the mouse rests on it."""


def shown(
    schedule: Schedule, syntax: str = "", notes: Sequence[str] = (), without: Sequence[str] = (), below: str = ""
) -> str:
    """Returns HTML with what was understood: one line about the film, its curves, and a table of its frames.

    `syntax` is the name of the one that was read, `notes` what there is to say about it; the columns `without` are
    left out. `below` is a sentence that stands under the table.
    """
    recipe = schedule.recipe
    seconds = f"{len(schedule) / recipe.fps:.1f} s at {recipe.fps:g} fps"
    read = f", read as {escape(SYNTAXES[syntax].title)}" if syntax else ""
    loop = ", in a loop" if recipe.loop else ""
    frames = f"{len(schedule)} frame{'s' if len(schedule) > 1 else ''}"
    remarks = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    head = f"<p><b>{frames}</b>, {seconds}{loop}{read}</p>"
    curves = f'<div class="curves">{"".join(map(_curve, bands(schedule)))}</div>'
    under = f'<p class="note under">{escape(below)}</p>' if below else ""
    return _box(f"{head}{remarks}{curves}{_table(schedule, without)}{under}")


def refused(error: RemixError, text: str = "") -> str:
    """Returns HTML with what is wrong in one sentence and, where the place in `text` is known, its line and a caret."""
    sentence, excerpt = str(error), ""
    if isinstance(error, RecipeError):
        excerpt = error.excerpt or _excerpt(text, error)
        sentence = sentence.removesuffix(f"\n{error.excerpt}") if error.excerpt else sentence
    placed = f"<pre>{escape(excerpt)}</pre>" if excerpt else ""
    return _box(f'<div class="wrong">{escape(sentence)}{placed}</div>')


def asked(sentence: str) -> str:
    """Returns HTML with a sentence about what to write, while nothing is there yet."""
    return _box(f'<p class="note">{escape(sentence)}</p>')


def _box(inner: str) -> str:
    return f'{STYLE}<div class="remix-said">{inner}</div>'


def _excerpt(text: str, error: RecipeError) -> str:
    """The line with its caret, where the error points into `text`."""
    inside = error.line is not None and 1 <= error.line <= text.count("\n") + 1
    return caret(text, error) if inside else ""


def _curve(band: Band) -> str:
    """A band below its name and its legend; the picture lies within the page, nothing is on disk."""
    held = BytesIO()
    Image.fromarray(band.picture).save(held, "PNG")
    source = f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode('ascii')}"
    legend = "".join(
        f'<span{_title(text, LEGEND)}><i style="background: rgb{colour}"></i>{_cut(text, LEGEND)}</span>'
        for colour, text in band.legend
    )
    name = escape(band.name)
    return f'<div class="band"><b>{name}</b>{legend}<img alt="{name}" src="{source}"></div>'


def _table(schedule: Schedule, without: Sequence[str]) -> str:
    columns = [name for name in columns_of(schedule) if name not in without]
    keyframes = set(schedule.recipe.positions())
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        f'<tr class="key">{cells}</tr>' if index in keyframes else f"<tr>{cells}</tr>"
        for index in chosen_rows(schedule)
        for cells in ["".join(_cell(text) for text in row_of(schedule, index, columns))]
    )
    return f'<div class="rows"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    return f"<td{_title(text, 20)}>{_cut(text, CELL)}</td>"


def _title(text: str, room: int) -> str:
    """The attribute with what a longer text says, for the mouse that rests on it."""
    return f' title="{_cut(text, WHOLE)}"' if len(text) > room else ""


def _cut(text: str, most: int) -> str:
    return escape(text if len(text) <= most else f"{text[: most - 3]}...")
