"""The plots of the distance between two encoders' vectors, by kind of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_embedqa.core.properties import PARITY
from pytest_embedqa.reports.html.figure_drawing import Figure, by_series, draw, known, number, plot
from pytest_embedqa.reports.run import Run

_ROW = 24
# Rounding in float32 alone has this size; a logarithm needs a positive number.
_LEAST = 1e-7
# The cosine of opposite vectors is -1.
_MOST = 2
_KINDS = {"worst": "worst text", "mean": "mean of all"}


def parity_figures(run: Run) -> Iterator[Figure]:
    """Yield a plot for each model and reference."""
    compared: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
    for facts in run.facts(PARITY):
        by = facts.get("by", "cosine")
        strata = compared.setdefault((facts["model"], facts["reference"], by), {})
        strata.update({one["name"]: one for one in facts["strata"]})
    for (model, reference, by), strata in compared.items():
        # A missing cosine is worse than any number.
        found = sorted(strata.values(), key=lambda one: -2.0 if known(one["worst"]) is None else one["worst"])
        low, high = found[0], found[-1]
        title = f"{model} against {reference}: distance of {'rankings' if by == 'kendall' else 'vectors'}"
        yield Figure(
            title,
            draw(title, _dumbbells(found, by)),
            f"The worst {by} of {model} with {reference} is {number(low['worst'], '.6f')} on {low['name']}, "
            f"and {number(high['worst'], '.6f')} on {high['name']}, which agree best.",
            ("texts", "how many", f"worst {by}", f"mean {by}", "overlap@10", "worst at batch size"),
            tuple(
                (
                    one["name"],
                    str(one["texts"]),
                    number(one["worst"], ".6f"),
                    number(one["mean"], ".6f"),
                    number(one["overlap"], ".3f"),
                    str(one["batch_size"]),
                )
                for one in found
            ),
        )


def _dumbbells(strata: list[dict[str, Any]], by: str) -> dict[str, Any]:
    """Plot cosines, or Kendall's tau, by the logarithm of their distance from 1: otherwise 0.999 and 0.99999 would coincide.

    The axis is the same for all models.
    """
    values = [
        {
            "texts": one["name"],
            "series": label,
            "distance": None if (cosine := known(one[kind])) is None else max(_LEAST, 1 - cosine),
        }
        for one in strata
        for kind, label in _KINDS.items()
    ]
    place = {
        "x": {
            "field": "distance",
            "type": "quantitative",
            "scale": {"type": "log", "domain": [_LEAST, _MOST], "nice": False, "reverse": True},
            "axis": {
                "title": by,
                "values": [1, 1e-1, 1e-2, 1e-4, 1e-6],
                "labelExpr": "format(1 - datum.value, '~')",
            },
        },
        "y": {
            "field": "texts",
            "type": "nominal",
            "scale": {"domain": [one["name"] for one in strata]},
            "axis": {"title": None},
        },
    }
    return plot(
        values,
        [
            {
                "mark": {"type": "line", "color": "var(--line)", "strokeWidth": 3},
                "encoding": {**place, "detail": {"field": "texts", "type": "nominal"}},
            },
            {"mark": {"type": "point", "filled": True}, "encoding": {**place, **by_series(list(_KINDS.values()))}},
        ],
        {"step": _ROW},
    )
