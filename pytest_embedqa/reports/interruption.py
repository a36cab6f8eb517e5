"""An interrupted run: the known facts, and their wording."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interruption:
    """The interruption of a run.

    Attributes:
        reason: Cause: the name of a signal, or pytest's own text.
        ran: Number of embedding tests that were completed.
        selected: Number of embedding tests that were selected.
        running: Ids of the tests that were running.
    """

    reason: str
    ran: int
    selected: int
    running: tuple[str, ...]

    @property
    def progress(self) -> str:
        """The number of tests that ran, of all."""
        return f"{self.ran:,} of {self.selected:,} tests ran"

    @property
    def note(self) -> str:
        """All known facts, on one line."""
        running = f"; this was running: {', '.join(self.running)}" if self.running else ""
        return f"the run was interrupted ({self.reason}): {self.progress}{running}"
