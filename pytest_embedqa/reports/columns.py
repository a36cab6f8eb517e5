"""Names in the columns of tables: in one line, and no two of them alike."""

from __future__ import annotations
