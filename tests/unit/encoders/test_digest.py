"""Digests: the content of files decides, not their names or ages."""

from __future__ import annotations

import hashlib
import os
import shutil

import pytest

from pytest_embedqa.encoders.digest import file_digest, folder_digest


@pytest.fixture
def folder(tmp_path):
    """A small model folder."""
    model = tmp_path / "model"
    (model / "1_Pooling").mkdir(parents=True)
    (model / "config.json").write_text('{"hidden_size": 8}')
    (model / "model.safetensors").write_bytes(bytes(range(256)))
    (model / "1_Pooling" / "config.json").write_text("{}")
    return model


def test_file_digest_is_sha256_of_the_content(tmp_path):
    """The digest can be compared with what sha256sum and the Hub say, also beyond one block."""
    content = b"0123456789abcdef" * 100_000
    (tmp_path / "weights").write_bytes(content)
    assert file_digest(tmp_path / "weights") == hashlib.sha256(content).hexdigest()


def test_folder_digest_ignores_place_and_age(folder, tmp_path):
    """A copy elsewhere, with other times, is the same model."""
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "other-name")
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    assert folder_digest(copy) == folder_digest(folder)


def _change_a_byte(folder):
    path = folder / "model.safetensors"
    times = path.stat()
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        _change_a_byte,
        lambda folder: (folder / "config.json").rename(folder / "other.json"),
        lambda folder: (folder / "1_Pooling" / "config.json").rename(folder / "pooling.json"),
        lambda folder: (folder / "new.json").touch(),
        lambda folder: (folder / "1_Pooling" / "config.json").unlink(),
    ],
    ids=["content, same size and time", "name", "place", "new file", "removed file"],
)
def test_folder_digest_changes_with_names_and_contents(folder, change):
    """Whatever a model could read differently makes another digest."""
    before = folder_digest(folder)
    change(folder)
    assert folder_digest(folder) != before


@pytest.mark.parametrize("name", ["README.md", "logo.png", ".gitattributes", ".cache/state", "onnx/model.onnx"])
def test_files_that_change_no_vector_are_ignored(folder, name):
    """Documentation, hidden files and other formats of the model do not make it another model."""
    before = folder_digest(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("something")
    assert folder_digest(folder) == before


def test_what_a_link_points_to_counts(folder, tmp_path):
    """Folders of models are put together from links: to files, and to folders."""
    shared = shutil.move(folder / "1_Pooling", tmp_path / "shared")
    copied = folder_digest(shutil.copytree(tmp_path, tmp_path.with_name("copy"), symlinks=True) / "model")
    (folder / "1_Pooling").symlink_to(shared)
    linked = folder_digest(folder)
    assert linked != copied
    (shared / "config.json").write_text('{"pooling_mode": "cls"}')
    assert folder_digest(folder) not in {linked, copied}


def test_a_link_to_a_folder_above_ends_there(folder):
    """A folder that holds a link to itself is read once."""
    (folder / "itself").symlink_to(folder)
    (folder / "1_Pooling" / "up").symlink_to(folder)
    assert len(folder_digest(folder)) == len(hashlib.sha256().hexdigest())


@pytest.mark.parametrize("name", ["README.md", "onnx/test.jsonl"])
def test_every_file_of_data_counts(folder, name):
    """The README of a dataset declares its files, and a folder of them may be called like an engine."""
    (folder / name).parent.mkdir(exist_ok=True)
    before = folder_digest(folder, of_data=True)
    (folder / name).write_text("configs: []")
    assert folder_digest(folder, of_data=True) != before


def test_link_into_a_hub_cache_is_trusted_without_reading(tmp_path):
    """A Hub cache names large files by their SHA-256; gigabytes are not read again to learn it."""
    name = "ab" * 32
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / name).write_text("not the content of this digest, so that reading it would show")
    (tmp_path / "model.safetensors").symlink_to(f"blobs/{name}")
    assert file_digest(tmp_path / "model.safetensors") == name


@pytest.mark.parametrize("name", ["ab" * 20, "AB" * 32, "ab" * 32 + ".incomplete"])
def test_other_links_are_read(tmp_path, name):
    """Small files of a Hub cache are named by a git digest, which says nothing; those are read."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / name).write_text("content")
    (tmp_path / "config.json").symlink_to(f"blobs/{name}")
    assert file_digest(tmp_path / "config.json") == hashlib.sha256(b"content").hexdigest()


def test_link_to_a_file_of_such_a_name_elsewhere_is_read(tmp_path):
    """Only a Hub cache promises that a file called by a digest has that digest."""
    (tmp_path / ("ab" * 32)).write_text("content")
    (tmp_path / "test.tsv").symlink_to("ab" * 32)
    assert file_digest(tmp_path / "test.tsv") == hashlib.sha256(b"content").hexdigest()


def test_file_that_only_looks_content_addressed_is_read(tmp_path):
    """A plain file is trusted by its content alone, whatever its name."""
    path = tmp_path / ("ab" * 32)
    path.write_text("content")
    assert file_digest(path) == hashlib.sha256(b"content").hexdigest()


def test_snapshot_of_a_hub_cache_equals_a_plain_copy(folder, tmp_path):
    """The same model has the same digest in the Hub's cache and in a folder."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    blobs.mkdir()
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        blob = blobs / hashlib.sha256(path.read_bytes()).hexdigest()
        shutil.copy(path, blob)
        link = snapshot / path.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    assert folder_digest(snapshot) == folder_digest(folder)
