"""What is said of documents and packages that a search in documents needs."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from pypdf import PdfWriter
from pypdf.generic import NameObject
from reportlab.pdfgen.canvas import Canvas

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.rag.documents import lines, read_documents
from pytest_embedqa.rag.index import LanceIndex


def test_pdf_encrypted_in_another_way(tmp_path):
    """A PDF that is encrypted by a handler of some vendor is named, with what to do."""
    canvas = Canvas(str(tmp_path / "plain.pdf"))
    canvas.drawString(72, 700, "Secret")
    canvas.save()
    writer = PdfWriter(clone_from=tmp_path / "plain.pdf")
    writer.encrypt("", "owner", algorithm="RC4-128")
    writer._encrypt_entry[NameObject("/Filter")] = NameObject("/Vendor")
    (tmp_path / "plain.pdf").unlink()
    writer.write(tmp_path / "a.pdf")
    with pytest.raises(DataError, match=r"a\.pdf is encrypted in a way that is not read\. Save it without encryption"):
        list(read_documents(tmp_path))


def test_hyphens_without_the_dictionary(monkeypatch):
    """A hyphen that has to be judged needs the package with the dictionary, which is named."""
    monkeypatch.setitem(sys.modules, "spellchecker", None)
    lines._dictionary.cache_clear()
    with pytest.raises(MissingExtraError, match=r"(?s)Telling compounds from parted words needs the package 'pyspell"):
        lines.continued("well-", "known", lines.Words([]))


def test_index_without_lancedb(tmp_path, monkeypatch):
    """An index that is chosen and not installed is an error that names its package and extra."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(
        MissingExtraError, match=r"(?s)The index 'lancedb' needs the package 'lancedb'.*embedqa\[lancedb\]"
    ):
        LanceIndex(tmp_path)
