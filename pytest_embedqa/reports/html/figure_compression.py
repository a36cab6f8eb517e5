"""The plots of quality over the size of a vector."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pytest_embedqa.core.properties import CURVE
from pytest_embedqa.reports.html.figure_drawing import WIDTH, Figure, by_series, draw, known, logarithmic, number, plot
from pytest_embedqa.reports.run import Run

_HEIGHT = 220
# Pixels of width that a letter of a slanted label takes.
_LETTER = 4


def compression_figures(run: Run) -> Iterator[Figure]:
    """Yield a plot for each task, with all models that were evaluated on it."""
    tasks: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    measures: dict[str, str] = {}
    for facts in run.facts(CURVE):
        measures[facts["task"]] = facts["measure"]
        for point in facts["points"]:
            tasks.setdefault(facts["task"], {})[facts["model"], point["label"]] = point
    for task, found in tasks.items():
        models = list(dict.fromkeys(model for model, _ in found))
        points = [{**point, "score": known(point["score"]), "series": model} for (model, _), point in found.items()]
        points.sort(key=lambda point: (models.index(point["series"]), -point["bytes"]))
        title = f"{task}: quality by size of a vector"
        yield Figure(
            title,
            draw(title, _curve(points, models, measures[task])),
            " ".join(_losses(model, [point for point in points if point["series"] == model]) for model in models),
            ("model", "vectors", "bytes", measures[task], "loss", "saved"),
            tuple(
                (
                    point["series"],
                    point["label"],
                    f"{point['bytes']:,}",
                    number(point["score"]),
                    number(point["loss"]),
                    number(point["saved"], ".0%"),
                )
                for point in points
            ),
        )


def _curve(points: list[dict[str, Any]], models: list[str], measure: str) -> dict[str, Any]:
    for point in points:
        # Cut dimensions make a curve; number formats are points beside it.
        point["cut"] = point["label"] == "whole" or point["label"].startswith("@")
    scores = [point["score"] for point in points if point["score"] is not None] or [0.0]
    room = (max(scores) - min(scores)) or 0.01  # a single point has no range
    labels = _labels(points)
    place = {
        "x": logarithmic("bytes", (point["bytes"] for point in points), "bytes of a vector", _room(labels)),
        "y": {
            "field": "score",
            "type": "quantitative",
            # Leave room above the highest point for its label.
            "scale": {"domain": [min(scores) - room / 8, max(scores) + room * 0.7], "nice": False},
            "axis": {"title": measure, "tickCount": 5},
        },
    }
    series = by_series(models)
    return plot(
        points,
        [
            {
                "transform": [{"filter": {"field": "cut", "equal": True}}],
                "mark": "line",
                "encoding": {**place, "color": series["color"]},
            },
            {"mark": {"type": "point", "filled": True}, "encoding": {**place, **series}},
            {
                "data": {"values": labels},
                "mark": {"type": "text", "align": "right", "baseline": "middle", "angle": 60, "dx": -8},
                "encoding": {**place, "text": {"field": "label", "type": "nominal"}},
            },
        ],
        _HEIGHT,
    )


def _labels(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the labels of the points; points of the same size share a label at the highest of them."""
    sizes: dict[int, list[dict[str, Any]]] = {}
    for point in points:
        if point["score"] is not None:
            sizes.setdefault(point["bytes"], []).append(point)
    return [
        {
            "bytes": size,
            "score": max(point["score"] for point in some),
            # int8 · rescore=4
            "label": " · ".join(dict.fromkeys(part for point in some for part in point["label"].split(", "))),
        }
        for size, some in sizes.items()
    ]


def _room(labels: list[dict[str, Any]]) -> float:
    """Return the divisor of the smallest size that lets its slanted label end where the logarithmic axis starts."""
    if not labels:
        return 2.0
    label = min(labels, key=lambda one: one["bytes"])["label"]
    share = (_LETTER * len(label) + 10) / (WIDTH - 80)
    sizes = [one["bytes"] for one in labels]
    return math.exp(share / (1 - share) * (math.log(max(sizes) / min(sizes)) + 0.2))


def _losses(model: str, points: list[dict[str, Any]]) -> str:
    whole = next((point for point in points if point["label"] == "whole"), {"score": None})
    smaller = [point for point in points if point is not whole and known(point["loss"]) is not None]
    if not smaller:
        return f"{model}: {number(whole['score'])} as whole vectors, and no score of smaller ones."
    best, worst = (pick(smaller, key=lambda point: point["loss"]) for pick in (min, max))
    costs = " and ".join(
        f"{one['loss']:.4f} as {one['label']} ({one['bytes']:,} bytes)"
        for one in ([best] if best is worst else [best, worst])
    )
    return f"{model}: {number(whole['score'])} as whole vectors; smaller ones lose {'between ' if best is not worst else ''}{costs}."
