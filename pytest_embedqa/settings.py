"""The settings of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_embedqa.encoders.spec import Spec

if TYPE_CHECKING:
    from pytest_embedqa.rag.allowed import Allowed
    from pytest_embedqa.rag.override import Override

DEFAULT_MODEL = Spec("builtin", engine="builtin", model="")


@dataclass(frozen=True)
class Settings:
    """The settings of a run, read from the command line, the ini file and the environment.

    Attributes:
        models: Encoders under test; several make a comparison.
        devices: Environment variables of each process that holds an encoder, under pytest-xdist.
        budget: Seconds that the run may take; ``None`` for no limit.
        baseline: Encoder or baseline file that ``max_regression`` compares with.
        save_baseline: File to write the scores of this run to, as a baseline.
        max_regression: Allowed drop against the baseline, for tests that name none.
        min_speed_ratio: Least speed relative to the baseline's encoder, for tests that name none.
        datasets: Folder of task data in the Hub's layout.
        published: Folder of published scores that replaces the snapshot of this package.
        store: Vector store; ``None`` for a temporary one.
        missing_data: ``skip`` or ``fail`` for tests whose data can't be reached.
        strict: Whether an inconclusive verdict fails.
        retriever: Retrieval method for all probe files; by default each file's own.
        diagnose: When to look for the cause of a low score: ``off``, ``auto`` (failed, or far below the published),
            ``always``.
        allowed: Permissions of probe files; ``None`` where the run reads none.
        allowed_specs: Encoders that a baseline file may load, whatever they start, import or reach.
        html: File to write the HTML report to.
        json: File to write the JSON report to.
    """

    models: tuple[Spec, ...] = (DEFAULT_MODEL,)
    devices: tuple[Mapping[str, str], ...] = ({},)
    budget: int | None = None
    baseline: Spec | Path | None = None
    save_baseline: Path | None = None
    max_regression: float = 0.01
    min_speed_ratio: float = 0.8
    datasets: Path | None = None
    published: Path | None = None
    store: Path | None = None
    missing_data: str = "skip"
    strict: bool = False
    retriever: Override | None = None
    diagnose: str = "auto"
    allowed: Allowed | None = None
    allowed_specs: tuple[Spec, ...] = ()
    html: Path | None = None
    json: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the settings that a reader of a report needs, JSON-serialisable."""
        return {
            "models": [str(spec) for spec in self.models],
            "baseline": str(self.baseline) if self.baseline else None,
            "data": str(self.datasets) if self.datasets else "Hub",
            "published": str(self.published) if self.published else "snapshot",
            "max_regression": self.max_regression,
            "strict": self.strict,
            "budget_seconds": self.budget,
            "missing_data": self.missing_data,
            "diagnose": self.diagnose,
        }
