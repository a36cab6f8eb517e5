"""The plots of the share of probes that still hold when questions or documents are varied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_embedqa.core.properties import DECAY
from pytest_embedqa.reports.html.figure_drawing import Figure, by_series, draw, number
from pytest_embedqa.reports.run import Run

_PANEL, _HEIGHT = 138, 100
_COLUMNS = 2


def robustness_figures(run: Run) -> Iterator[Figure]:
    """Yield a figure for each model, with a panel for each variation and a line for each probe file."""
    models: dict[str, dict[tuple[str, str, int], dict[str, Any]]] = {}
    for facts in run.facts(DECAY):
        for one in facts["levels"]:
            models.setdefault(facts["model"], {})[facts["file"], one["variation"], one["level"]] = one
    for model, found in models.items():
        levels = {key: found[key] for key in sorted(found)}
        title = f"{model}: probes that still hold"
        yield Figure(
            title,
            draw(title, _panels(levels)),
            _weakest(levels),
            ("file", "variation", "level", "probes", "still hold", "share"),
            tuple(
                (file, variation, str(level), str(one["probes"]), str(one["held"]), number(_share(one), ".0%"))
                for (file, variation, level), one in levels.items()
            ),
        )


def _share(level: dict[str, Any]) -> float | None:
    """Return the share of probes that still hold; ``None`` where no probe could be varied."""
    return level["held"] / level["probes"] if level["probes"] else None


def _panels(levels: dict[tuple[str, str, int], dict[str, Any]]) -> dict[str, Any]:
    """Draw a panel for each variation: levels are edits, percent or documents, and share no axis.

    Each line starts at level 0, the unchanged questions: only probes that hold there are varied.
    """
    pairs = dict.fromkeys((file, variation) for file, variation, _ in levels)
    values = [{"series": file, "variation": variation, "level": 0, "share": 1.0} for file, variation in pairs]
    values += [
        {"series": file, "variation": variation, "level": level, "share": _share(one)}
        for (file, variation, level), one in levels.items()
    ]
    series = by_series(list(dict.fromkeys(file for file, _ in pairs)))
    place = {
        "x": {"field": "level", "type": "ordinal", "axis": {"title": "level", "labelAngle": 0}},
        "y": {
            "field": "share",
            "type": "quantitative",
            "scale": {"domain": [0, 1]},
            "axis": {"title": None, "format": ".0%", "tickCount": 3},
        },
    }
    return {
        "data": {"values": values},
        "facet": {"field": "variation", "type": "nominal"},
        "columns": _COLUMNS,
        "resolve": {"scale": {"x": "independent"}},
        "spec": {
            "width": _PANEL,
            "height": _HEIGHT,
            "layer": [
                {"mark": "line", "encoding": {**place, "color": series["color"]}},
                {"mark": {"type": "point", "filled": True}, "encoding": {**place, **series}},
            ],
        },
    }


def _weakest(levels: dict[tuple[str, str, int], dict[str, Any]]) -> str:
    """Say for each file which variation it withstands least."""
    shares = {key: share for key, one in levels.items() if (share := _share(one)) is not None}
    lowest: dict[str, tuple[str, str, int]] = {}
    for key in sorted(shares, key=shares.__getitem__, reverse=True):
        lowest[key[0]] = key
    return " ".join(
        f"{file}: fewest hold with {variation} at level {level}, {levels[file, variation, level]['held']} of {levels[file, variation, level]['probes']}."
        for file, variation, level in lowest.values()
    )
