"""A run that ended before its end: what is known of it, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interruption:
    """How a run was interrupted.

    Attributes:
        reason: What interrupted it: the name of a signal, or what pytest says.
        ran: How many tests of embedding quality came to their end.
        selected: How many there were to be.
        running: Ids of the tests that were running.
    """

    reason: str
    ran: int
    selected: int
    running: tuple[str, ...]

    @property
    def progress(self) -> str:
        """How many of how many tests ran."""
        return f"{self.ran:,} of {self.selected:,} tests ran"

    @property
    def note(self) -> str:
        """All that is known, on one line."""
        running = f"; this was running: {', '.join(self.running)}" if self.running else ""
        return f"the run was interrupted ({self.reason}): {self.progress}{running}"
