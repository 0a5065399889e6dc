"""Charts as SVG for pages. Their colors come from the page's style sheet, so they follow its light or dark theme."""

from __future__ import annotations

import re
import sys
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from remix.show.page.templates import require

if TYPE_CHECKING:
    from markupsafe import Markup

NARROW, WIDE = 400, 920
"""The widths of charts in pixels: of one in a column or on a phone, and of one across the page."""

HEIGHT = 190

COLORS = 13
"""The number of colors of the style sheet, ``--color-0`` to ``--color-12``. The last one is gray."""

LABELS = 5
"""The approximate number of labels on the vertical axis."""

_SVG = "{http://www.w3.org/2000/svg}"


def line_chart(
    points: Sequence[tuple[float, float]],
    *,
    alt: str,
    labels: Sequence[int],
    marks: Sequence[tuple[float, float]] = (),
    level: float | None = None,
    from_zero: bool = False,
    width: int = NARROW,
) -> Markup:
    """Returns a line through `points` as SVG, with a dot and a tooltip at each of `marks`.

    `alt` describes the chart to screen readers. `labels` are the labeled places of the horizontal axis. `level` adds a
    dashed horizontal line. `from_zero` starts the vertical axis at 0.
    """
    chart = _library().XY(**_options(width), x_labels=list(labels), xrange=(points[0][0], points[-1][0]))
    heights = [y for _, y in (*points, *marks)]
    low, high = min(heights), max(heights)
    if low == high:
        low, high = low - 0.5, high + 0.5
    chart.range = (0 if from_zero else low, high)
    chart.add(None, list(points))
    if level is not None:
        chart.add(None, [(points[0][0], level), (points[-1][0], level)])
    chart.add(None, list(marks), stroke=False, show_dots=True)
    return _drawn(chart, alt, "line-chart")


def lines_chart(
    series: Sequence[Sequence[tuple[float, float]]],
    *,
    alt: str,
    labels: Sequence[float] = (),
    from_zero: bool = False,
    dots: bool = False,
    width: int = NARROW,
    height: int = HEIGHT,
) -> Markup:
    """Returns several lines as SVG, each in its own color of the style sheet: the colors of a legend, in its order.

    `dots` marks each point. The other arguments are those of `line_chart`.
    """
    chart = _library().XY(**{**_options(width), "height": height, "show_dots": dots}, x_labels=list(labels) or None)
    points = [point for line in series for point in line]
    low, high = min(y for _, y in points), max(y for _, y in points)
    chart.range = (0 if from_zero else low, high if high > low else low + 1)
    for line in series:
        chart.add(None, list(line))
    return _drawn(chart, alt, "lines-chart")


def shares_chart(
    shares: Sequence[Sequence[float]],
    *,
    alt: str,
    places: Sequence[int],
    labels: Sequence[int],
    width: int = NARROW,
) -> Markup:
    """Returns stacked areas as SVG: `shares` has a series of values from 0 to 1 for each color, the first one lowest.

    `places` are the horizontal places of the values, evenly spaced. The other arguments are those of `line_chart`.
    """
    chart = _library().StackedLine(**_options(width), fill=True, range=(0, 1), show_minor_x_labels=False)
    if len(places) == 1:  # one frame alone is drawn as two, so that its shares have a width
        shares, places = [[*series, *series] for series in shares], [*places, *places]
    names = _names(places, labels)
    chart.x_labels = [names.get(at, "") for at in range(len(places))]
    chart.x_labels_major = list(names.values())
    for series in shares:
        chart.add(None, list(series))
    return _drawn(chart, alt, "shares-chart")


@lru_cache(1)
def _library() -> Any:
    """Returns pygal, without the import hook that it installs."""
    require()
    import pygal

    # The hook is for map plugins. It lacks `find_spec`, which Python 3.10 and 3.11 warn about at every import.
    sys.meta_path[:] = [hook for hook in sys.meta_path if type(hook).__module__ != pygal.__name__]
    return pygal


def _names(places: Sequence[int], labels: Sequence[int]) -> dict[int, str]:
    """Returns the labels by the number of the nearest of `places`."""
    names = {}
    for label in labels:
        right = min(bisect_left(places, label), len(places) - 1)
        left = max(right - 1, 0)
        names[right if places[right] - label <= label - places[left] else left] = str(label)
    return names


def _options(width: int) -> Mapping[str, Any]:
    """Returns the options of all charts. Fonts and colors of the library are not used."""
    return {
        "width": width,
        "height": HEIGHT,
        "margin": 6,
        "spacing": 6,
        "css": (),
        "js": (),
        "no_prefix": True,
        "show_legend": False,
        "show_dots": False,
        "dots_size": 5,
        "max_scale": LABELS,
        "min_scale": 2,
        "truncate_label": -1,
        "x_value_formatter": _plain,
        "value_formatter": _plain,
    }


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _drawn(chart: Any, alt: str, kind: str) -> Markup:
    """Returns a chart's SVG without the library's scripts, style sheet, comments and dates."""
    from markupsafe import Markup

    # Parsed again, so that the result is the same whether the library used lxml or not.
    root = ElementTree.fromstring(chart.render(disable_xml_declaration=True, is_unicode=True))
    _strip(root)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
    size = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib.update({"viewBox": size, "class": f"chart {kind}", "role": "img", "aria-label": alt})
    return Markup(ElementTree.tostring(root, encoding="unicode"))


_DROPPED = {"defs", "title", "desc", "script", "style"}
_OVERLAYS = {"tooltip-overlay", "text-overlay"}


def _strip(parent: ElementTree.Element) -> None:
    """Removes what a page must not contain, and turns the value of each dot into its tooltip."""
    before: ElementTree.Element | None = None
    for child in list(parent):
        kinds = set(child.get("class", "").split())
        if "value" in kinds and before is not None:
            ElementTree.SubElement(before, "title").text = child.text
        if child.tag.removeprefix(_SVG) in _DROPPED or kinds & _OVERLAYS:
            parent.remove(child)
            continue
        for name in ("x", "y", "cx", "cy"):
            if "." in (number := child.get(name, "")):
                child.set(name, f"{float(number):.1f}")
        if path := child.get("d"):
            child.set("d", re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.1f}", path))
        _strip(child)
        before = child
