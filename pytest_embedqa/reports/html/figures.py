"""The plots of the HTML report: static SVG, each with the same content in words and in numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pytest_embedqa.reports.html.figure_compression import compression_figures
from pytest_embedqa.reports.html.figure_drawing import Figure
from pytest_embedqa.reports.html.figure_index import index_figures
from pytest_embedqa.reports.html.figure_parity import parity_figures
from pytest_embedqa.reports.html.figure_robustness import robustness_figures
from pytest_embedqa.reports.html.figure_speed import speed_figures
from pytest_embedqa.reports.html.figure_tasks import task_figures
from pytest_embedqa.reports.run import Run

__all__ = ["Figure", "figures"]

_SECTIONS: Mapping[str, Callable[[Run], Iterator[Figure]]] = {
    "compression": compression_figures,
    "tasks": task_figures,
    "speed": speed_figures,
    "parity": parity_figures,
    "robustness": robustness_figures,
    "index": index_figures,
}


def figures(run: Run) -> dict[str, list[Figure]]:
    """Return the plots by section; a section without data is absent.

    Args:
        run: The run to report. Missing numbers (NaN, or null as in JSON) leave a gap.
    """
    drawn = {name: list(section(run)) for name, section in _SECTIONS.items()}
    return {name: found for name, found in drawn.items() if found}
