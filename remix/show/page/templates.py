"""Templates of pages. Every value is escaped, because prompts and file names may come from anyone."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from remix.errors import MissingPackage

if TYPE_CHECKING:
    import jinja2

REQUIREMENTS = ("jinja2", "pygal")
"""The packages that pages need. `pip install remix-toolkit` installs them; a host may lack them."""

FOLDERS = (Path(__file__).parent, Path(__file__).parents[1])
"""The folders with templates: the foundation of all pages, and the pages of `remix.show`."""


def lacking() -> list[str]:
    """Returns the packages in `REQUIREMENTS` that are not installed."""
    return [name for name in REQUIREMENTS if find_spec(name) is None]


def require() -> None:
    """Raises MissingPackage unless pages can be written."""
    if names := lacking():
        raise MissingPackage.of("a page", *names, install=" ".join(names))


@lru_cache(1)
def _environment() -> jinja2.Environment:
    require()
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDERS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def template(name: str) -> jinja2.Template:
    """Returns the template called `name`, such as ``report.html``. Raises MissingPackage without Jinja2 or pygal.

    A template extends ``base.html``, which has the blocks `title` and `content`, and imports macros from
    ``parts.html``. Autoescaping is always on. Plots are `markupsafe.Markup` from `remix.show.page.charts`.
    """
    return _environment().get_template(name)
