"""The plots of what indexes return: recall over the time of a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_embedqa.core.properties import INDEX
from pytest_embedqa.reports.html.figure_drawing import Figure, by_series, draw, known, number, plot
from pytest_embedqa.reports.run import Run

_HEIGHT = 200


def index_figures(run: Run) -> Iterator[Figure]:
    """Yield a plot for each model, task, number of rows and of neighbours: a point for each index in each state and setting."""
    groups: dict[tuple[str, str, int, int], dict[str, Mapping[str, Any]]] = {}
    for facts in run.facts(INDEX):
        groups.setdefault((facts["model"], facts["task"], facts["rows"], facts["k"]), {})[_name(facts)] = facts
    for (model, task, rows, k), found in groups.items():
        title = f"{model} on {task}: recall of indexes of {rows:,} rows"
        points = [point for name, facts in found.items() for point in _points(name, facts)]
        yield Figure(
            title,
            draw(title, _cloud(points, list(found), k)),
            " ".join(_range(name, [point for point in points if point["series"] == name]) for name in found),
            ("index", "state", f"recall@{k}", "worst 10 %", "nDCG@10 lost", "p50 ms", "p95 ms", "queries with too few"),
            tuple(_row(point) for point in points),
        )


def _name(facts: Mapping[str, Any]) -> str:
    """Name an index, with the states that it was brought into: two tests may ask different things of one index."""
    states = ", ".join(state["name"] for state in facts["states"] if state["name"])
    return f"{facts['index']} ({states})" if states else str(facts["index"])


def _points(name: str, facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for state in facts["states"]:
        yield {
            **state,
            "series": name,
            "state": state["name"] or "built",
            "recall": known(state[f"recall_at_{facts['k']}"]),
            "ms": known(state["p50_ms"]),
        }
    for point in facts["curve"]:
        state = f"{point['setting']}={point['value']}"
        yield {"series": name, "state": state, "recall": known(point["recall"]), "ms": known(point["p50_ms"])}


def _cloud(points: list[dict[str, Any]], names: list[str], k: int) -> dict[str, Any]:
    series = by_series(names)
    shown = [{name: point[name] for name in ("series", "recall", "ms")} for point in points]
    axis = {"title": "milliseconds, median of a search", "tickCount": 4, "grid": False}
    place = {
        "x": {"field": "ms", "type": "quantitative", "scale": {"type": "log"}, "axis": axis},
        "y": {
            "field": "recall",
            "type": "quantitative",
            "scale": {"zero": False},
            "axis": {"title": f"recall@{k}", "tickCount": 4},
        },
    }
    drawn = [one for one in shown if one["recall"] is not None and one["ms"]]
    return plot(drawn, [{"mark": {"type": "point", "filled": True}, "encoding": {**place, **series}}], _HEIGHT)


def _range(name: str, points: list[dict[str, Any]]) -> str:
    recalls = {point["state"]: point["recall"] for point in points if point["recall"] is not None}
    if not recalls:
        return f"{name}: nothing was measured."
    low, high = min(recalls, key=recalls.__getitem__), max(recalls, key=recalls.__getitem__)
    if recalls[low] == recalls[high]:
        return f"{name}: {recalls[low]:.4f}."
    return f"{name}: from {recalls[low]:.4f} ({low}) to {recalls[high]:.4f} ({high})."


def _row(point: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        point["series"],
        point["state"],
        number(point["recall"]),
        number(point.get("worst_decile")),
        number(point.get("ndcg_loss")),
        number(point["ms"], ".2f"),
        number(point.get("p95_ms"), ".2f"),
        str(point.get("short", "–")),
    )
