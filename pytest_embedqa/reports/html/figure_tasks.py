"""The plots of task scores by type and language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from pytest_embedqa.core.properties import TASK
from pytest_embedqa.reports.html.figure_drawing import WIDTH, Figure, by_series, draw, known, number, plot
from pytest_embedqa.reports.run import Run

_ALL, _MIXED = "all", "mixed"
_PAIR = 2
# Pixels of a heat map.
_ROW, _CELL, _GAP = 24, 50, 2
_COLUMNS = 4
# With more languages, the rest is left to the table: nobody compares so many by eye.
_MOST_LANGUAGES = 50
# The strongest colour that still keeps the contrast of the text on it, on light and on dark.
_STRONGEST = 0.5

# Main score, or a difference of two scores, by task and then by language.
_Table = Mapping[str, Mapping[str, float | None]]


def task_figures(run: Run) -> Iterator[Figure]:
    """Yield main scores of each model, differences of compared models to the first, and means by type of task."""
    tasks: dict[str, dict[str, dict[str, Any]]] = {}
    for facts in run.facts(TASK):
        tasks.setdefault(facts["model"], {})[facts["task"]] = facts
    types = {name: facts["type"] for of in tasks.values() for name, facts in of.items()}
    tables = {
        model: {name: _by_language(of[name]) for name in sorted(of, key=lambda name: (types[name], name))}
        for model, of in tasks.items()
    }
    compared = [model for model in run.compared if model in tasks]
    alone = [model for model in tasks if len(compared) < _PAIR or model not in compared]
    for model in compared[1:]:
        if tables[compared[0]].keys() & tables[model].keys():
            yield _differences(compared[0], model, tables, types)
    for model in alone:
        yield _main_scores(model, tables[model], types)
    if len(set(types.values())) > 1:
        yield _means(tasks)


def _by_language(facts: Mapping[str, Any]) -> dict[str, float | None]:
    """Return main scores by language or pair of languages, after the task's own if it has several."""
    parts: dict[str, list[float | None]] = {}
    for part in facts["parts"]:
        languages = list(dict.fromkeys(part["languages"]))
        if languages:
            parts.setdefault("-".join(languages) if len(languages) <= _PAIR else _MIXED, []).append(part["score"])
    if len(parts) == 1:
        return dict.fromkeys(parts, known(facts["score"]))
    return {_ALL: known(facts["score"]), **{language: _mean(scores) for language, scores in parts.items()}}


def _mean(scores: Sequence[float | None]) -> float | None:
    """Return the mean; ``None`` if a score is missing, since a mean of the others would be another number."""
    numbers = [score for score in map(known, scores) if score is not None]
    return fmean(numbers) if scores and len(numbers) == len(scores) else None


def _main_scores(model: str, table: _Table, types: Mapping[str, str]) -> Figure:
    title = f"{model}: main scores"
    overall = {name: score for name, score in _overall(table).items() if score is not None}
    caption = "No task has a score."
    if overall:
        low, high = min(overall, key=overall.__getitem__), max(overall, key=overall.__getitem__)
        caption = f"{model}: from {overall[low]:.4f} ({low}) to {overall[high]:.4f} ({high})"
        caption += f", the mean of {len(overall)} tasks is {fmean(overall.values()):.4f}." if len(overall) > 1 else "."
    return Figure(
        title,
        draw(title, _heat_map(table, types, lambda score: (f"{score:.2f}", "var(--c1)", score))),
        caption + _left_out(table),
        ("type", "task", "language", "main score"),
        tuple(
            (types[name], name, language, number(score)) for name, of in table.items() for language, score in of.items()
        ),
    )


def _differences(first: str, second: str, tables: Mapping[str, _Table], types: Mapping[str, str]) -> Figure:
    before, after = tables[first], tables[second]
    pairs = {
        name: {language: (old, after[name].get(language)) for language, old in of.items()}
        for name, of in before.items()
        if name in after
    }
    table = {
        name: {
            language: new - old if old is not None and new is not None else None for language, (old, new) in of.items()
        }
        for name, of in pairs.items()
    }
    # The colour scale spans at least one point: noise is not painted as a change.
    largest = max([0.01, *(abs(one) for of in table.values() for one in of.values() if one is not None)])
    title = f"{second} less {first}: main scores in points of 0.01"
    overall = {name: change for name, change in _overall(table).items() if change is not None}
    caption = "No task has a score of both."
    if overall:
        low, high = min(overall, key=overall.__getitem__), max(overall, key=overall.__getitem__)
        caption = (
            f"{second} against {first}: better on {sum(one > 0 for one in overall.values())} of {len(overall)} tasks, "
            f"worse on {sum(one < 0 for one in overall.values())}; from {overall[low]:+.4f} ({low}) to {overall[high]:+.4f} ({high})."
        )
    return Figure(
        title,
        draw(
            title,
            _heat_map(
                table,
                types,
                lambda one: (f"{100 * one:+.1f}", "var(--good)" if one > 0 else "var(--bad)", abs(one) / largest),
            ),
        ),
        caption + _left_out(table),
        ("type", "task", "language", first, second, "difference"),
        tuple(
            (types[name], name, language, number(old), number(new), number(table[name][language], "+.4f"))
            for name, of in pairs.items()
            for language, (old, new) in of.items()
        ),
    )


def _overall(table: _Table) -> dict[str, float | None]:
    """Return the first value of each task, which is the value of the whole task."""
    return {name: next(iter(of.values())) for name, of in table.items()}


def _languages(table: _Table) -> list[str]:
    """Return the columns: the whole task first, then languages, those of most tasks first."""
    counts: dict[str, int] = {}
    for of in table.values():
        for language in of:
            counts[language] = counts.get(language, 0) + 1
    return sorted(counts, key=lambda language: (language != _ALL, -counts[language], language))


def _left_out(table: _Table) -> str:
    more = len(_languages(table)) - _MOST_LANGUAGES
    return f" {more} more languages are in the table only." if more > 0 else ""


def _heat_map(
    table: _Table, types: Mapping[str, str], cell: Callable[[float], tuple[str, str, float]]
) -> dict[str, Any]:
    """Draw a row for each task under its type and a column for each language, in several blocks if too wide.

    All is placed in pixels, since Vega-Lite has no axis for a heat map that wraps.

    Args:
        table: Values by task and language.
        types: Type of each task.
        cell: Function that returns a value's text, its colour, and the colour's strength in [0, 1].
    """
    languages = _languages(table)[:_MOST_LANGUAGES]
    left = WIDTH - _CELL * min(_COLUMNS, len(languages))
    kinds: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    heads: list[dict[str, Any]] = []
    cells: list[dict[str, Any]] = []
    y = 0
    for start in range(0, len(languages), _COLUMNS):
        block = {language: left + _CELL * column for column, language in enumerate(languages[start:][:_COLUMNS])}
        heads += [{"x": x + _CELL / 2, "y": y + _ROW / 2, "text": language} for language, x in block.items()]
        previous = None
        for name, of in table.items():
            if not block.keys() & of.keys():
                continue
            if types[name] != previous:
                previous = types[name]
                # The heading of the first type shares its line with the names of the columns.
                y += 0 if y == heads[-1]["y"] - _ROW / 2 else _ROW
                kinds.append({"x": 0, "y": y + _ROW / 2, "text": previous})
            y += _ROW
            labels.append({"x": 8, "y": y + _ROW / 2, "text": name})
            for language, x in block.items():
                if language in of:
                    value = of[language]
                    text, colour, strength = ("–", "none", 0.0) if value is None else cell(value)
                    cells.append(
                        {
                            "x": x + _CELL / 2,
                            "y": y + _ROW / 2,
                            "text": text,
                            "colour": colour,
                            "opacity": _STRONGEST * min(1.0, max(0.0, strength)),
                        }
                    )
        y += 2 * _ROW
    place = {"x": _pixels("x"), "y": _pixels("y")}
    written = {"text": {"field": "text", "type": "nominal"}}
    aside = {"type": "text", "align": "left", "baseline": "middle", "limit": left - 12}
    middle = {"type": "text", "align": "center", "baseline": "middle", "limit": _CELL * 1.15}
    return {
        "width": WIDTH,
        "height": y - _ROW,
        "autosize": "none",
        "padding": 0,
        "layer": [
            {
                "data": {"values": labels},
                "mark": aside,
                "encoding": {**place, **written},
            },
            {
                "data": {"values": kinds},
                "mark": {**aside, "fontWeight": "bold"},
                "encoding": {**place, **written},
            },
            {"data": {"values": heads}, "mark": middle, "encoding": {**place, **written}},
            {
                "data": {"values": cells},
                "mark": {"type": "rect", "width": _CELL - _GAP, "height": _ROW - _GAP, "stroke": "var(--line)"},
                "encoding": {
                    **place,
                    "fill": _as_is("colour"),
                    "fillOpacity": {**_as_is("opacity"), "type": "quantitative"},
                },
            },
            {"data": {"values": cells}, "mark": middle, "encoding": {**place, **written}},
        ],
    }


def _pixels(field: str) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "scale": None, "axis": None}


def _as_is(field: str) -> dict[str, Any]:
    return {"field": field, "type": "nominal", "scale": None}


def _means(tasks: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Figure:
    """Plot bars rather than a radar: lengths from one line are compared more surely than the corners of a polygon.

    The area of a polygon also depends on the arbitrary order of the types.
    """
    title = "Mean main score by type of task"
    kinds = sorted({facts["type"] for of in tasks.values() for facts in of.values()})
    values = [
        {"series": model, "type": kind, "score": _mean(scores), "tasks": len(scores)}
        for kind in kinds
        for model, of in tasks.items()
        if (scores := [facts["score"] for facts in of.values() if facts["type"] == kind])
    ]
    for value in values:
        value["text"] = number(value["score"], ".2f")
    numbers = [value["score"] for value in values if value["score"] is not None]
    place = {
        "y": {"field": "type", "type": "nominal", "sort": None, "scale": {"domain": kinds}, "axis": {"title": None}},
        "yOffset": {"field": "series", "type": "nominal", "scale": {"domain": list(tasks)}},
        "x": {
            "field": "score",
            "type": "quantitative",
            # Leave room behind the longest bar for its number.
            "scale": {"domain": [min([0.0, *numbers]), 1.15 * max([0.1, *numbers])]},
            "axis": {"title": "mean main score", "tickCount": 5},
        },
    }
    return Figure(
        title,
        draw(
            title,
            plot(
                values,
                [
                    {"mark": {"type": "bar"}, "encoding": {**place, "color": by_series(list(tasks))["color"]}},
                    {
                        "mark": {"type": "text", "align": "left", "dx": 4},
                        "encoding": {**place, "text": {"field": "text", "type": "nominal"}},
                    },
                ],
                {"step": _ROW - _GAP},
            ),
        ),
        "; ".join(
            f"{model}: "
            + ", ".join(f"{one['type']} {number(one['score'])}" for one in values if one["series"] == model)
            for model in tasks
        )
        + ".",
        ("type", "model", "tasks", "mean main score"),
        tuple((one["type"], one["series"], str(one["tasks"]), number(one["score"])) for one in values),
    )
