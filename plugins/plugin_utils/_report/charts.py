# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts by pygal: its geometry, our colours. The SVG stands in the page and takes its colours from there.

Out of pygal's SVG go its script, its style sheet and its tooltips; in come a title and a description. What tells the
proved from the others is a shape as well as a colour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

try:
    import pygal  # type: ignore[import-untyped]
    from pygal.style import Style  # type: ignore[import-untyped]
except ImportError:
    HAS_PYGAL = False
else:
    HAS_PYGAL = True

_SVG = "http://www.w3.org/2000/svg"
# Nearly as wide as a phone, so that its letters are as large there as the text around it.
_WIDTH, _HEIGHT = 320, 200
_CROSS = "\N{MULTIPLICATION X}"
_LABELS = 4
# A target much higher than everything else would press it all into one line.
_TARGET_IN_SIGHT = 4
_NOT_DRAWN = {"script", "style", "defs", "desc", "title"}
_NOT_DRAWN_CLASSES = {"tooltip"}
#: Where a line across a chart may stand: at times and sizes that people count in.
TIMES = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800)
SIZES = tuple(factor * 1000**power for power in range(5) for factor in (1, 2, 5, 10, 20, 50, 100, 200, 500))
_LINES = 4


@dataclass(frozen=True)
class Point:
    """One drill in a chart; without a value when it proved nothing that could be measured."""

    label: str
    value: float | None
    proved: bool = True


@dataclass(frozen=True)
class Chart:
    """:param shows: how a value is written at the axis and in the description.
    :param steps: between the lines across the chart, from which the one that fits is taken.
    """

    name: str
    title: str
    points: Sequence[Point]
    shows: Callable[[float], str]
    steps: Sequence[float]
    target: float | None = None

    @property
    def values(self) -> list[float]:
        return [point.value for point in self.points if point.value is not None]

    @property
    def target_in_sight(self) -> bool:
        return self.target is not None and bool(self.values) and self.target <= _TARGET_IN_SIGHT * max(self.values)

    @property
    def caption(self) -> str:
        """What the chart shows, for those who do not see it and for those in a hurry."""
        if not self.values:
            return "Nothing has been measured yet."
        newest = next((point.value for point in reversed(self.points) if point.value is not None), None)
        lowest, highest = map(self.shows, (min(self.values), max(self.values)))
        said = [f"Newest {self.shows(newest or 0)}, lowest {lowest}, highest {highest}"]
        if self.target is not None:
            where = "the dashed line" if self.target_in_sight else "far above this chart"
            said.append(f"target {self.shows(self.target)}, {where}")
        bad = sum(not point.proved for point in self.points)
        if bad:
            said.append(f"{bad} of {len(self.points)} without a proof ({_CROSS})")
        return "; ".join(said) + "."


def line(chart: Chart) -> str | None:
    """A trend, with its target. None when there is nothing to draw, or nothing to draw it with."""
    if not HAS_PYGAL or not chart.values:
        return None
    drawing = pygal.Line(**_options(chart), dots_size=3.5, stroke_style={"width": 2})
    low = _top(chart) * 0.06
    drawing.add("value", [point.value for point in chart.points], allow_interruptions=True)
    drawing.add("no proof", [None if point.proved else _crossed(low) for point in chart.points], stroke=False)
    if chart.target_in_sight:
        dashed = {"width": 1.5, "dasharray": "6,4"}
        drawing.add("target", [chart.target] * len(chart.points), show_dots=False, stroke_style=dashed)
    return _svg(drawing, chart)


def bars(chart: Chart) -> str | None:
    """Sizes. Those without a proof are hollow and crossed."""
    if not HAS_PYGAL or not chart.values:
        return None
    drawing = pygal.StackedBar(**_options(chart))
    drawing.add("proved", [point.value if point.proved else None for point in chart.points])
    drawing.add("no proof", [None if point.proved else _crossed(point.value or 0) for point in chart.points])
    return _svg(drawing, chart)


def _crossed(value: float) -> dict[str, Any]:
    return {"value": value, "label": _CROSS}


def _options(chart: Chart) -> dict[str, Any]:
    # From the newest backwards, so that it is among them.
    every = max(1, -(-len(chart.points) // _LABELS))
    last = len(chart.points) - 1
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "style": Style(font_family="inherit", label_font_size=13, major_label_font_size=13, value_label_font_size=13),
        "css": (),
        "js": (),
        "show_legend": False,
        "x_labels": ["" if (last - place) % every else point.label for place, point in enumerate(chart.points)],
        "truncate_label": -1,
        "y_labels": _lines(chart),
        "range": (0, _top(chart)),
        "value_formatter": chart.shows,
        "print_labels": True,
        "margin": 6,
        # Half of the last label, which stands below the last point.
        "margin_right": 20,
        "spacing": 6,
        "no_prefix": True,
    }


def _lines(chart: Chart) -> list[float]:
    """Where the lines across the chart stand."""
    highest = max([*chart.values, chart.target if chart.target_in_sight and chart.target else 0.0]) or 1.0
    step = next((step for step in chart.steps if step * _LINES >= highest), highest)
    return [step * count for count in range(_LINES + 1) if step * (count - 1) < highest]


def _top(chart: Chart) -> float:
    return _lines(chart)[-1]


def _svg(drawing: Any, chart: Chart) -> str:
    root = drawing.render_tree()
    _strip(root)
    root.attrib.pop("id", None)
    name, description = f"{chart.name}-title", f"{chart.name}-description"
    root.set("role", "img")
    root.set("aria-labelledby", f"{name} {description}")
    for position, (tag, identity, text) in enumerate(
        (("title", name, chart.title), ("desc", description, chart.caption))
    ):
        element = ElementTree.Element(tag, {"id": identity})
        element.text = text
        root.insert(position, element)
    return ElementTree.tostring(root, encoding="unicode")


def _strip(element: Any) -> None:
    for child in list(element):
        drawn = isinstance(child.tag, str) and child.tag.rpartition("}")[2] not in _NOT_DRAWN
        if drawn and not _NOT_DRAWN_CLASSES & set(child.get("class", "").split()):
            _strip(child)
        else:
            element.remove(child)
