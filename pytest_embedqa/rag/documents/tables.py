"""Tables as Markdown writes them."""

from __future__ import annotations


def markdown_table(rows: list[list[str]]) -> str:
    """A table; the first row is its head."""
    rows = [row for row in rows if any(map(str.strip, row))]
    lines = [f"| {' | '.join(' '.join(cell.split()) for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]) if rows else ""
