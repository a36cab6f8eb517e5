"""The plots of throughput and latency over the length of a text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_embedqa.core.properties import SPEED
from pytest_embedqa.reports.html.figure_drawing import Figure, by_series, draw, known, logarithmic, number, plot
from pytest_embedqa.reports.run import Run

_HEIGHT = 180
_THROUGHPUTS = {"texts_per_s": "texts a second", "pairs_per_s": "pairs a second", "tokens_per_s": "tokens a second"}
_PERCENTILES = {"p50_ms": "p50", "p95_ms": "p95", "p99_ms": "p99"}
_LENGTH = "tokens of a text"


def speed_figures(run: Run) -> Iterator[Figure]:
    """Yield a plot each for texts a second, tokens a second, and percentiles of the latency of a query."""
    measured: dict[tuple[str, int, int], dict[str, float | None]] = {}
    for facts in run.facts(SPEED):
        # A zero, which a broken clock gives, has no place on a logarithmic axis either.
        figures = {name: value if known(value) else None for name, value in facts["figures"].items()}
        measured.setdefault((facts["model"], facts["batch_size"], facts["length"]), {}).update(figures)
    points = dict(sorted(measured.items()))
    notes = dict.fromkeys(f" {facts['model']}: {note}." for facts in run.facts(SPEED) for note in facts["notes"])
    for name, what in _THROUGHPUTS.items():
        if found := {key: figures[name] for key, figures in points.items() if name in figures}:
            yield _throughput(what, found, "".join(notes))
    if queries := {key: figures for key, figures in points.items() if figures.keys() & _PERCENTILES}:
        yield _latency(queries, "".join(notes))


def _throughput(what: str, points: Mapping[tuple[str, int, int], float | None], notes: str) -> Figure:
    title = f"{what.capitalize()} by length"
    several = len({batch for _, batch, _ in points}) > 1
    values: list[dict[str, Any]] = [
        {"series": f"{model}, batch {batch}" if several else model, "length": length, "value": value}
        for (model, batch, length), value in points.items()
    ]
    numbers = [value for value in points.values() if value is not None] or [1.0]
    low, high = min(numbers), max(numbers)
    encoding = {
        "x": logarithmic("length", (length for _, _, length in points), _LENGTH),
        "y": {
            "field": "value",
            "type": "quantitative",
            "scale": {"type": "log", "domain": [low / 1.5, high * 1.5], "nice": False},
            "axis": {"title": what, "format": "~s", "values": _steps(low / 1.5, high * 1.5)},
        },
    }
    return Figure(
        title,
        draw(title, _lines(values, encoding)),
        _spans((one["series"], one["length"], one["value"], what) for one in values) + notes,
        ("model", "texts of a batch", _LENGTH, what),
        tuple(
            (model, str(batch), f"{length:,}", number(value, ",.1f"))
            for (model, batch, length), value in points.items()
        ),
    )


def _latency(points: Mapping[tuple[str, int, int], Mapping[str, float | None]], notes: str) -> Figure:
    title = "Latency of a single query by length"
    # One text a call, whatever batch size the throughput was measured with.
    single = {(model, length): figures for (model, _, length), figures in points.items()}
    values: list[dict[str, Any]] = [
        {"series": model, "length": length, "percentile": short, "value": figures.get(name)}
        for (model, length), figures in sorted(single.items())
        for name, short in _PERCENTILES.items()
    ]
    encoding = {
        "x": logarithmic("length", (length for _, length in single), _LENGTH),
        "y": {"field": "value", "type": "quantitative", "axis": {"title": "milliseconds", "tickCount": 5}},
    }
    kind = {
        "field": "percentile",
        "type": "nominal",
        "legend": {
            "orient": "bottom",
            "direction": "horizontal",
            "symbolFillColor": "currentColor",
            "symbolStrokeColor": "currentColor",
        },
    }
    names = list(_PERCENTILES.values())
    dash = {**kind, "scale": {"domain": names, "range": [[1, 0], [6, 3], [2, 3]]}}
    shape = {**kind, "scale": {"domain": names, "range": ["circle", "square", "triangle-up"]}}
    return Figure(
        title,
        draw(title, _lines(values, encoding, {"strokeDash": dash}, {"shape": shape})),
        _spans(
            (one["series"], one["length"], one["value"], "ms at p95") for one in values if one["percentile"] == "p95"
        )
        + notes,
        ("model", _LENGTH, *(f"{short} (ms)" for short in _PERCENTILES.values())),
        tuple(
            (model, f"{length:,}", *(number(figures.get(name), ",.2f") for name in _PERCENTILES))
            for (model, length), figures in sorted(single.items())
        ),
    )


def _lines(
    values: list[dict[str, Any]],
    encoding: Mapping[str, Any],
    of_lines: Mapping[str, Any] | None = None,
    of_points: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    series = by_series(list(dict.fromkeys(one["series"] for one in values)))
    return plot(
        values,
        [
            {"mark": "line", "encoding": {**encoding, "color": series["color"], **(of_lines or {})}},
            {"mark": {"type": "point", "filled": True}, "encoding": {**encoding, **series, **(of_points or {})}},
        ],
        _HEIGHT,
    )


def _steps(low: float, high: float) -> list[float]:
    """Return the steps 1, 2, 5, 10, 20, … between two numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    return [step for power in powers for digit in (1, 2, 5) if low <= (step := digit * 10.0**power) <= high]


def _spans(figures: Iterable[tuple[str, int, float | None, str]]) -> str:
    """Describe each series by its figure at the shortest and at the longest text."""
    by_name: dict[str, list[str]] = {}
    for name, length, value, unit in figures:
        by_name.setdefault(name, []).append(f"{number(value, ',.1f')} {unit} at {length:,} tokens")
    return " ".join(f"{name}: {'; '.join(dict.fromkeys((some[0], some[-1])))}." for name, some in by_name.items())
