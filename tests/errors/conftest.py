"""Some of these tests run pytest within theirs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import inner_runs  # noqa: F401
