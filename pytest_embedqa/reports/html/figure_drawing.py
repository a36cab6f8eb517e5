"""The common parts of all plots: figure, colours, fonts, and the conversion of Vega-Lite to static SVG."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_embedqa.core.showing import one_line

# Pixels: the width of a small phone, where text keeps its size; wider screens show several figures in a row.
WIDTH = 360
COLOURS = tuple(f"var(--c{number})" for number in range(1, 7))
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
_TEXT, _LINE = "currentColor", "var(--line)"
# Pixels. Texts are measured a little larger than drawn: the page's font may be wider than the measured font.
_MEASURED, _DRAWN = 13.5, 12
_CONFIG = {
    "aria": False,  # the picture as a whole has a name; a text and a table beside it say what it shows
    "background": None,
    "font": "sans-serif",  # the font that texts are measured with; the page sets its own
    "view": {"stroke": None},
    "axis": {
        "domainColor": _LINE,
        "gridColor": _LINE,
        "tickColor": _LINE,
        "labelColor": _TEXT,
        "labelFontSize": _MEASURED,
        "labelLimit": 150,
        "titleColor": _TEXT,
        "titleFontSize": _MEASURED,
        "titleFontWeight": "normal",
    },
    "header": {"title": None, "labelColor": _TEXT, "labelFontSize": _MEASURED},
    "legend": {
        "title": None,
        "orient": "top",
        "direction": "vertical",
        "labelColor": _TEXT,
        "labelFontSize": _MEASURED,
        "labelLimit": 210,
    },
    "text": {"color": _TEXT, "fontSize": _MEASURED},
    "point": {"size": 50, "opacity": 1},
}
# Names of models share their beginning and differ at their end.
_CUT = "length(datum.label) > 29 ? slice(datum.label, 0, 8) + '…' + slice(datum.label, -20) : datum.label"
_TAG = re.compile(r"<[^>]*>")
# Roles would be read out part by part, classes could clash with the page's own, and the page's font is inherited.
_NOISE = re.compile(r' (?:role|aria-[a-z]+|class|pointer-events|font-family)="[^"]*"')
_OPENING = re.compile(r'^<svg ([^>]*?) width="[^"]*" height="[^"]*" viewBox="0 0 ([\d.]+) ([\d.]+)"')


@dataclass(frozen=True)
class Figure:
    """A plot, with its content in words and in numbers.

    Attributes:
        title: Subject of the plot, e.g. ``STSBenchmark: quality by size of a vector``.
        svg: The picture; its colours are CSS variables (``--c1`` … ``--c6``, ``--line``, ``--good``, ``--bad``) and the
            colour of the text around it. It has a name and no size of its own.
        caption: Sentence that says what the plot shows, with the main figures.
        head: Names of the table's columns.
        rows: All plotted values.
    """

    title: str
    svg: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def draw(title: str, specification: Mapping[str, Any]) -> str:
    """Convert a Vega-Lite specification to static SVG.

    User text stands in its data and domains only: titles of axes and expressions are ours.

    Args:
        title: Name of the picture.
        specification: Without ``config``.
    """
    import vl_convert  # 0.4 s, for a report only

    svg: str = vl_convert.vegalite_to_svg({**_visible(specification), "config": _CONFIG})
    svg = _TAG.sub(lambda tag: _NOISE.sub("", tag[0]).replace(f'"{_MEASURED}px"', f'"{_DRAWN}px"'), svg)

    def opening(found: re.Match[str]) -> str:
        wide = max(WIDTH, float(found[2]))  # a narrow plot stays narrow, and is not blown up
        return (
            f'<svg role="img" aria-label="{html.escape(one_line(title))}" {found[1]} viewBox="0 0 {wide:g} {found[3]}"'
        )

    return _OPENING.sub(opening, svg)


def _visible(value: Any) -> Any:
    """Write out what can't be seen in the texts of a specification; half a surrogate pair is in no JSON."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {_visible(name): _visible(one) for name, one in value.items()}
    return [_visible(one) for one in value] if isinstance(value, Sequence) else value


def plot(values: Iterable[Mapping[str, Any]], layers: Sequence[Mapping[str, Any]], height: object) -> dict[str, Any]:
    """Return the specification of layers over the same values, as wide as a phone with everything around them."""
    return {
        "width": WIDTH,
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": list(values)},
        "layer": list(layers),
    }


def by_series(names: Sequence[str]) -> dict[str, Any]:
    """Return the encoding of colours and shapes for the field ``series``."""
    encoding = {"field": "series", "type": "nominal", "legend": {"labelExpr": _CUT}}
    repeated = range(len(names))
    return {
        "color": {**encoding, "scale": {"domain": names, "range": [COLOURS[one % len(COLOURS)] for one in repeated]}},
        "shape": {**encoding, "scale": {"domain": names, "range": [_SHAPES[one % len(_SHAPES)] for one in repeated]}},
    }


def logarithmic(field: str, values: Iterable[float], title: str, room: float = 1.2) -> dict[str, Any]:
    """Return a logarithmic x axis with a tick at each positive number, and room at its left end."""
    ticks = sorted(set(values))
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"type": "log", "domain": [ticks[0] / room, ticks[-1] * 1.2], "nice": False},
        "axis": {
            "values": ticks,
            "format": ",d",
            "grid": False,
            "title": title,
            "labelOverlap": "greedy",
            "labelSeparation": 4,
        },
    }


def known(value: float | None) -> float | None:
    """Return the number, or ``None`` for a missing number (NaN, infinity, null)."""
    return value if value is not None and math.isfinite(value) else None


def number(value: float | None, form: str = ".4f") -> str:
    """Format a number for the table; a dash if it is missing."""
    return "–" if known(value) is None else format(value, form)
