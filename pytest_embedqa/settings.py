"""What a run was asked to do."""

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
    """What a run was asked to do.

    Attributes:
        models: Encoders under test; several make a comparison.
        devices: Environment of each process that holds an encoder, under pytest-xdist.
        budget: Seconds that the run may take; ``None`` for as long as it takes.
        baseline: What ``max_regression`` compares with: an encoder, or the file of a baseline.
        save_baseline: Where to write what this run scores as a baseline.
        max_regression: Allowed drop against the baseline where a test names none.
        min_speed_ratio: Least speed relative to the baseline's encoder where a test names none.
        datasets: Folder with task data in the Hub's layout.
        published: Published scores other than the snapshot of this package.
        store: Vector store; ``None`` for a temporary one.
        missing_data: ``skip`` or ``fail`` for tests whose data can't be reached.
        strict: Whether an inconclusive verdict fails.
        retriever: How all probe files are searched, if not as each says.
        diagnose: When to find out why a score is low: ``off``, ``auto`` (it failed, or is far below the published), ``always``.
        allowed: What probe files may reach; ``None`` where no run reads any.
        allowed_specs: Encoders that the file of a baseline may load, whatever they start, import or reach.
        html: Where to write the report as a page.
        json: Where to write it as JSON.
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
        """What a reader of a report needs to know of them, JSON-serialisable."""
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
