"""Make the DOCX and PDF documents of ``documents/formats`` from ``formats.txt``; the others are kept as they are.

In the text, ``=== sensors.docx`` begins a document, ``--- page 2`` a page, ``#`` and ``##`` a heading and ``|`` each
cell of a table; any other line is a paragraph.
"""

import io
import os
import re
import zipfile
from pathlib import Path

TEXT = Path(__file__).with_name("formats.txt")
FOLDER = Path(__file__).with_name("documents") / "formats"
HEADING = re.compile(r"(#+) (.*)")


def build(folder: Path = FOLDER) -> Path:
    """Write the documents into a folder, unless they exist and are newer than their sources.

    The bytes are the same each time; several processes may build at once.

    Args:
        folder: Folder to write to; made if it does not exist.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    newest = max(Path(source).stat().st_mtime for source in (TEXT, __file__))
    _, *parts = re.split(r"^=== (.+)\n", TEXT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        path = folder / name
        if path.exists() and path.stat().st_mtime > newest:
            continue
        unfinished = folder / f".{name}.{os.getpid()}"  # hidden: nobody takes it for a document
        unfinished.write_bytes({".docx": _docx, ".pdf": _pdf}[path.suffix](text))
        unfinished.replace(path)
    return folder


def _docx(text: str) -> bytes:
    from docx import Document  # only who builds needs it

    document = Document()
    table = None
    for line in text.splitlines():
        if line.startswith("|"):
            cells = line[1:].split("|")
            table = table or document.add_table(0, len(cells))
            for cell, content in zip(table.add_row().cells, cells, strict=True):
                cell.text = content.strip()
            continue
        table = None
        if heading := HEADING.fullmatch(line):
            document.add_heading(heading[2], level=len(heading[1]))
        else:
            document.add_paragraph(line)
    buffer = io.BytesIO()
    document.save(buffer)
    return _without_times(buffer)


def _without_times(archive: io.BytesIO) -> bytes:
    """Return the same archive with its members dated 1980: a DOCX records when it was saved."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _pdf(text: str) -> bytes:
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

    styles = getSampleStyleSheet()
    story = []
    for page in re.split(r"^--- page \d+\n", text, flags=re.MULTILINE)[1:]:
        for line in page.splitlines():
            heading = HEADING.fullmatch(line)
            style = f"Heading{len(heading[1])}" if heading else "BodyText"
            story.append(Paragraph(heading[2] if heading else line, styles[style]))
        story.append(PageBreak())
    buffer = io.BytesIO()
    SimpleDocTemplate(buffer, invariant=1).build(story)
    return buffer.getvalue()


if __name__ == "__main__":
    build()
