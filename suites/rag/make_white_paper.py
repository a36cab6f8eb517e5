"""Make ``documents/white_paper/white_paper.pdf``, a Chinese document of 28 pages, from ``white_paper.txt``.

In the text, ``--- page 5`` begins a page, ``#`` and ``##`` a heading and ``|`` each cell of a table; any other line is
a paragraph, which runs over the page break if it ends without a full stop.
"""

import io
import os
import re
from pathlib import Path

TEXT = Path(__file__).with_name("white_paper.txt")
FOLDER = Path(__file__).with_name("documents") / "white_paper"
FONT, SIZE, MARGIN = "STSong-Light", 11, 72  # points
HEADINGS = {"# ": 17, "## ": 13}
# A line may break before any Chinese sign, but not inside a number or Latin word, nor before closing punctuation.
UNBROKEN = re.compile(r"(?:[!-~]+|[^!-~])[，。；：、）》！？%]*")


def build(folder: Path = FOLDER) -> Path:
    """Write the PDF into a folder, unless it exists and is newer than its source.

    The bytes are the same each time; several processes may build at once.

    Args:
        folder: Folder to write to; made if it does not exist.

    Returns:
        The path of the PDF.
    """
    path = folder / "white_paper.pdf"
    if path.exists() and path.stat().st_mtime > max(Path(source).stat().st_mtime for source in (TEXT, __file__)):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{path.name}.{os.getpid()}"  # hidden: nobody takes it for a document
    unfinished.write_bytes(_pdf(pages(TEXT.read_text(encoding="utf-8"))))
    unfinished.replace(path)
    return path


def pages(text: str) -> list[list[str]]:
    """Return the lines of each page."""
    return [page.splitlines() for page in re.split(r"^--- page \d+\n", text, flags=re.MULTILINE)[1:]]


def _pdf(all_pages: list[list[str]]) -> bytes:
    from reportlab.lib.pagesizes import A4  # only who builds needs it
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    width, height = A4
    for lines in all_pages:
        writer = canvas.beginText(MARGIN, height - MARGIN)
        table: list[list[str]] = []
        for line in [*lines, ""]:
            if line.startswith("|"):
                table.append([cell.strip() for cell in line[1:].split("|")])
                continue
            _write_table(writer, table)
            table = []
            mark = next((mark for mark in HEADINGS if line.startswith(mark)), "")
            _write_paragraph(writer, line.removeprefix(mark), HEADINGS.get(mark, SIZE), width - 2 * MARGIN)
        if writer.getY() < MARGIN:
            raise ValueError(f"the page that begins with {lines[0]!r} is too long: shorten its text")
        canvas.drawText(writer)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _write_paragraph(writer, text: str, size: int, width: float) -> None:
    writer.setFont(FONT, size, leading=size * 1.6)
    line = ""
    for piece in UNBROKEN.findall(text):
        if _width(line + piece.rstrip(), size) > width:
            writer.textLine(line.rstrip())
            line = piece.lstrip()
        else:
            line += piece
    if line:
        writer.textLine(line)
    writer.moveCursor(0, size / 2)


def _write_table(writer, rows: list[list[str]]) -> None:
    if not rows:
        return
    writer.setFont(FONT, SIZE)
    columns = [max(_width(cell, SIZE) for cell in column) + 2 * SIZE for column in zip(*rows, strict=True)]
    for row in rows:
        y = writer.getY()
        for number, cell in enumerate(row):
            writer.setTextOrigin(MARGIN + sum(columns[:number]), y)
            writer.textOut(cell)
        writer.setTextOrigin(MARGIN, y - SIZE * 1.6)
    writer.moveCursor(0, SIZE / 2)


def _width(text: str, size: int) -> float:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return stringWidth(text, FONT, size)


if __name__ == "__main__":
    build()
