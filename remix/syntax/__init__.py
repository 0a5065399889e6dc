r"""Schedules as other tools write them, read into the parts of a recipe, and recipes written for other tools.

    >>> from remix.plan import plan
    >>> from remix.syntax import detect, read, write
    >>> text = '"0": "spring", "max_f/2": "summer --neg snow", "47": "winter"'
    >>> detect(text)
    'fizznodes'
    >>> plan(read(text, frames=48).recipe())[12].prompt.items
    (('spring', 0.5), ('summer', 0.5))
    >>> write(read(text, frames=48).recipe(), "sd-webui-animatediff").text
    '0: spring\n24: summer\n47: winter\n'

Each syntax has a file: how to recognize it, how to read it and, where possible, how to write it. The file ends with the
row. To add a syntax, write its file and put its row into `SYNTAXES` (`remix.syntax.table`). What syntaxes share is in
`remix.syntax.text`. Every error about a text is a RecipeError with line and column.
"""

from remix.syntax.table import SYNTAXES, WRITTEN, ReadText, detect, load, read, read_text, write
from remix.syntax.text.export import Export
from remix.syntax.text.parts import Parts
from remix.syntax.text.syntax import Syntax

__all__ = [
    "SYNTAXES",
    "WRITTEN",
    "Export",
    "Parts",
    "ReadText",
    "Syntax",
    "detect",
    "load",
    "read",
    "read_text",
    "write",
]
