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

`SYNTAXES` has all of them by name. Every error about a text is a RecipeError with line and column.
"""

from remix.syntax.detect import detect
from remix.syntax.parts import Parts
from remix.syntax.table import SYNTAXES, Syntax, load, read, write
from remix.syntax.writing import Export

__all__ = ["SYNTAXES", "Export", "Parts", "Syntax", "detect", "load", "read", "write"]
