"""Columns of text that were extracted across, put one after the other."""

from __future__ import annotations

from functools import cache

from pytest_embedqa.rag.documents.lines import columns, in_sentence
from pytest_embedqa.rag.documents.pdf_lines import IS_CJK, Line

# Columns have at least this many lines side by side and characters a line; columns of tables are seldom prose.
_FEWEST_LINES = 3
_NARROWEST = 20
_CONTINUED = 0.4
_ONE_SIDED = 0.25


def in_reading_order(lines: list[Line]) -> list[Line]:
    """Return lines with columns that were drawn across put one after the other; tables stay as they are."""
    ordered: list[Line] = []
    sizes = [line.size for line in lines]

    @cache  # each line is part of many continuations
    def part(number: int, which: int, count: int) -> tuple[Line, str, int]:
        # `count` pieces end before the edge
        pieces = lines[number].pieces
        ends = sorted(piece.end for piece in pieces)
        edge = ends[count] if count < len(ends) else float("inf")
        line = Line([piece for piece in pieces if (piece.end >= edge) == which])
        return line, line.text, columns(line.text)

    def columns_from(at: int) -> tuple[int, list[Line], list[Line]] | None:
        """Return two columns that begin at a line: where they end, the left column and the right column."""
        for first, second in zip(lines[at].pieces, lines[at].pieces[1:], strict=False):
            counts = _beside(lines, sizes, at, first.end, second.start)
            both = [n for n, count in enumerate(counts) if 0 < count < len(lines[at + n].pieces)]
            if len(both) < _FEWEST_LINES or both[-1] + 1 - len(both) > _ONE_SIDED * len(both):
                continue
            left, right = (
                [
                    part(at + n, which, count)
                    for n, count in enumerate(counts)
                    if (count < len(lines[at + n].pieces) if which else count)
                ]
                for which in (0, 1)
            )
            if all(_is_prose([text for _, text, _ in side], [width for _, _, width in side]) for side in (left, right)):
                return at + len(counts), [line for line, _, _ in left], [line for line, _, _ in right]
        return None

    at = 0
    while at < len(lines):
        if parted := columns_from(at):
            at, left, right = parted
            ordered += in_reading_order(left) + in_reading_order(right)
        else:
            ordered.append(lines[at])
            at += 1
    return ordered


def _beside(lines: list[Line], sizes: list[float], at: int, low: float, high: float) -> list[int]:
    """Return for each line, as long as the gap between two columns continues, its number of pieces left of the gap."""
    counts: list[int] = []
    for number in range(at, len(lines)):
        new_low, new_high, count = low, high, 0
        pieces = lines[number].pieces
        for piece in pieces:
            if piece.end < high:
                count += 1
                new_low = max(new_low, piece.end)
            elif piece.start < new_high:
                new_high = piece.start
        if new_high - new_low < sizes[number] / 3 or (counts and pieces[0].base >= lines[number - 1].pieces[0].base):
            break
        low, high = new_low, new_high
        counts.append(count)
    return counts


def _is_prose(texts: list[str], widths: list[int]) -> bool:
    """Return whether lines continue sentences, as the lines of a column do and the cells of a table do not."""
    if sum(widths) < _NARROWEST * len(widths):
        return False
    full = 0.9 * max(widths)
    going_on = sum(
        in_sentence(before, after) and (after[0].islower() or bool(IS_CJK.match(after) and width >= full))
        for before, after, width in zip(texts, texts[1:], widths, strict=False)
    )
    return going_on >= _CONTINUED * (len(texts) - 1)
