"""What is said of documents and packages that a search in documents needs."""

from __future__ import annotations

import importlib.util
import sys

import pypdf
import pytest
from pypdf.errors import DependencyError

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.rag.documents import read_documents
from pytest_embedqa.rag.index import LanceIndex
from pytest_embedqa.rag.validation import require_valid


def test_encrypted_pdf_without_the_package_that_opens_it(tmp_path, monkeypatch):
    """A PDF whose encryption needs a further package is named, with pypdf's word for the package."""

    def refuse(_path):
        raise DependencyError("cryptography>=3.1 is required for AES algorithm")

    monkeypatch.setattr(pypdf, "PdfReader", refuse)
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(
        DataError, match=r"a\.pdf is encrypted: cryptography.*\. Install that, or save it without encryption\."
    ):
        list(read_documents(tmp_path))


def test_index_without_lancedb(tmp_path, monkeypatch):
    """An index that is chosen and not installed is an error that names its package and extra."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(
        MissingExtraError, match=r"(?s)The index 'lancedb' needs the package 'lancedb'.*embedqa\[lancedb\]"
    ):
        LanceIndex(tmp_path)


def test_probe_file_without_jsonschema(tmp_path, monkeypatch):
    """A probe file that can't be checked is not read unchecked."""
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(MissingExtraError, match=r"(?s)faq\.probe\.yaml needs the package 'jsonschema'.*embedqa\[rag\]"):
        require_valid({}, tmp_path / "faq.probe.yaml")
