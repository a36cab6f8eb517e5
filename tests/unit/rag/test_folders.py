"""Folders as they are on disk: every document is read, or named."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys

import pytest

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.rag.documents import digest, read_documents

WITHOUT_ROOT = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
READ = (
    "import sys; from pathlib import Path; from pytest_embedqa.rag.documents import read_documents\n"
    "print([one.source for one in read_documents(Path(sys.argv[1]))])"
)


@pytest.fixture
def corpus(tmp_path):
    """A folder with one document."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("Text.", encoding="utf-8")
    return folder


def sources(corpus):
    """The names of the documents."""
    return [one.source for one in read_documents(corpus)]


def test_links_are_followed(corpus, tmp_path):
    """A linked folder and a linked file are read under the names that they have in the corpus, also of one document."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "policy.MD").write_text("Policy.", encoding="utf-8")
    (corpus / "shared").symlink_to(shared)
    (corpus / "also.md").symlink_to(shared / "policy.MD")
    assert sources(corpus) == ["a.md", "also.md", "shared/policy.MD"]
    before = digest(corpus)
    (shared / "policy.MD").write_text("Other.", encoding="utf-8")
    assert digest(corpus) != before


def test_two_links_to_a_folder(corpus, tmp_path):
    """A folder that is linked twice is no circle."""
    for name in ("b", "c"):
        (tmp_path / "shared").mkdir(exist_ok=True)
        (tmp_path / "shared" / "x.txt").write_text("x", encoding="utf-8")
        (corpus / name).symlink_to(tmp_path / "shared")
    assert sources(corpus) == ["a.md", "b/x.txt", "c/x.txt"]


def test_circle_of_links(corpus):
    """A link to a folder above is an error that names it."""
    (corpus / "up").symlink_to(corpus)
    with pytest.raises(DataError, match=r"docs/up is a link to a folder that it is in\. Take it out"):
        sources(corpus)


@pytest.mark.parametrize("target", ["nowhere.md", "gone.md"])
def test_dangling_link(corpus, target):
    """A link to what is not there, or to itself, is an error that names it and where it leads."""
    (corpus / "gone.md").symlink_to(target)
    with pytest.raises(DataError, match=rf"docs/gone\.md is a link to {re.escape(target)}, which is not there"):
        sources(corpus)


def test_socket(corpus, monkeypatch):
    """What is neither file nor folder is named rather than passed over."""
    monkeypatch.chdir(corpus)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("s.sock")
        with pytest.raises(DataError, match=r"s\.sock is neither a file nor a folder"):
            sources(corpus)


@pytest.mark.parametrize("closed", ["closed", "closed/x.md"])
def test_closed_to_this_user(corpus, closed):
    """A folder or file without permission is an error that names it."""
    (corpus / "closed").mkdir()
    (corpus / "closed" / "x.md").write_text("x", encoding="utf-8")
    (corpus / closed).chmod(0)
    command = [sys.executable, "-c", READ, str(corpus)]
    if os.geteuid() == 0:  # root reads all, unless it gives that up
        command = [*WITHOUT_ROOT, *command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        (corpus / closed).chmod(0o755)
    assert f"DataError: {corpus / closed} can't be read: Permission denied. Let this user read it" in done.stderr


def test_what_systems_leave(corpus):
    """Locks, thumbnails and settings that systems put into folders are no documents."""
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "~$a.docx", ".~lock.a.docx#"):
        (corpus / name).write_bytes(b"x")
    assert sources(corpus) == ["a.md"]


def test_name_in_another_charset(corpus):
    """A name that is not UTF-8, as of an archive from another system, is read and shown with its bytes."""
    try:
        (corpus / os.fsdecode(b"\xcd\xcb.txt")).write_text("x", encoding="utf-8")
    except OSError as error:
        pytest.skip(f"this file system takes no such name: {error}")
    assert sources(corpus) == ["\\xcd\\xcb.txt", "a.md"]
    assert digest(corpus)
