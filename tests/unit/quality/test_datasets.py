"""Where data comes from: folders before the Hub, fresh rows, and errors that tell missing from malformed."""

from __future__ import annotations

import json
import os
import re

import datasets as hf_datasets
import pytest

from pytest_embedqa.core.errors import DataError, MissingDataError, TaskError
from pytest_embedqa.encoders.hub import hub_is_reachable
from pytest_embedqa.quality import datasets
from pytest_embedqa.quality.datasets import loading, locate, revision_of


@pytest.fixture(autouse=True)
def _without_network(monkeypatch, tmp_path):
    """No test reaches out, or writes into the user's cache."""
    monkeypatch.setattr(datasets, "hub_is_reachable", lambda: False)
    monkeypatch.setattr(datasets, "cache_folder", lambda: tmp_path / "cache")


@pytest.fixture
def folder(tmp_path):
    """A dataset of two rows in the Hub's layout."""
    path = tmp_path / "data" / "org" / "name"
    path.mkdir(parents=True)
    write_rows(path, ["first", "second"])
    return path


def write_rows(folder, texts):
    """Write the rows of a dataset."""
    (folder / "test.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def load_rows(folder):
    """Load them as mteb does."""
    with loading("org/name", folder):
        return hf_datasets.load_dataset(str(folder), split="test")["text"][:]


def test_folder_stands_for_its_name_on_the_hub(folder, tmp_path):
    """Data lies in ROOT/ORG/NAME."""
    assert locate(tmp_path / "data", "org/name") == folder


@pytest.mark.parametrize("name", ["org/other", "org/name/test.jsonl"])
def test_missing_folder_is_missing_data(folder, tmp_path, name):
    """What is not in the folder is missing, with both names; nothing is fetched instead."""
    root = tmp_path / "data"
    with pytest.raises(
        MissingDataError,
        match=f"^{re.escape(f'no data: {name} is not in {root}. Fetch it with:  embedqa fetch TASK --to {root}')}$",
    ):
        locate(root, name)


def test_rows_are_fresh_after_a_change(folder):
    """Rows changed in place, to the same size and time, are the rows that are scored: no stale cache."""
    assert load_rows(folder) == ["first", "second"]
    file = folder / "test.jsonl"
    before = file.stat()
    write_rows(folder, ["FIRST", "SECOND"])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert load_rows(folder) == ["FIRST", "SECOND"]


def test_cache_setting_is_put_back(folder):
    """The cache is another for this loading alone, also after an error."""
    before = hf_datasets.config.HF_DATASETS_CACHE
    with loading("org/name", folder):
        inside = hf_datasets.config.HF_DATASETS_CACHE
    with pytest.raises(DataError), loading("org/name", folder):
        raise ValueError
    assert hf_datasets.config.HF_DATASETS_CACHE == before != inside


def test_each_content_has_a_cache_of_its_own(folder):
    """Other rows, or another README that declares them, go to another cache; a revision names the content."""
    caches, revisions = [], [revision_of(folder)]
    for name in ("test.jsonl", "README.md"):
        with loading("org/name", folder):
            caches.append(hf_datasets.config.HF_DATASETS_CACHE)
        with (folder / name).open("a") as file:
            file.write("\n")
        revisions.append(revision_of(folder))
    assert len(set(caches)) == 2
    assert len(set(revisions)) == 3
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", revision) for revision in revisions)


def test_missing_part_of_a_folder_is_missing_data(folder):
    """A folder without the configuration that a task asks for lacks data; it is not malformed."""
    says = rf"^no data: {folder} lacks a part that the task needs \(BuilderConfig 'de' not found"
    with pytest.raises(MissingDataError, match=says), loading("org/name", folder):
        hf_datasets.load_dataset(str(folder), "de")


@pytest.mark.parametrize(
    ("line", "problem"), [('{"text": "cut', "not valid JSON: "), ("[1]", "a JSON object is expected, not a list")]
)
def test_malformed_line_of_a_folder_is_named(folder, line, problem):
    """Whatever the loader says about broken JSON, the user reads file and line."""
    with (folder / "test.jsonl").open("a") as file:
        file.write(f"\n{line}\n")
    with (
        pytest.raises(DataError, match=f"^{re.escape(f'{folder}/test.jsonl:4: {problem}')}"),
        loading("org/name", folder),
    ):
        raise ValueError("whatever the loader says")


def test_other_failure_of_a_folder_is_malformed_data(folder):
    """What can't be read otherwise is told with the first line of the cause."""
    says = f"{folder} can't be read as org/name: KeyError: 'no column'"
    with pytest.raises(DataError, match=f"^{re.escape(says)}$") as error, loading("org/name", folder):
        raise KeyError("no column")
    assert isinstance(error.value.__cause__, KeyError)


@pytest.mark.parametrize("error", [TaskError("ours"), MissingDataError("ours")])
def test_our_own_errors_pass_unchanged(folder, error):
    """An error that says already what is wrong is not wrapped in another."""
    with pytest.raises(type(error), match=r"^ours$"), loading("org/name", folder):
        raise error


def test_interrupt_passes(folder):
    """Ctrl-C is no fault of the data."""
    with pytest.raises(KeyboardInterrupt), loading("org/name", folder):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("reachable", "error", "raised", "says"),
    [
        (
            False,
            ConnectionError("no route"),
            MissingDataError,
            "no data: org/name is not in the Hub's cache, and the Hub can't be",
        ),
        (
            False,
            ValueError("odd"),
            MissingDataError,
            "no data: org/name is not in the Hub's cache, and the Hub can't be",
        ),
        (
            True,
            FileNotFoundError("gone"),
            MissingDataError,
            "no data: org/name is not in the Hub's cache, and the Hub can't be",
        ),
        (True, ValueError("odd\nmore"), DataError, "org/name from the Hub can't be read: ValueError: odd$"),
    ],
)
def test_failure_of_the_hub(monkeypatch, reachable, error, raised, says):
    """Data that can't be reached is missing; data that was reached and can't be read is malformed."""
    monkeypatch.setattr(datasets, "hub_is_reachable", lambda: reachable)
    with pytest.raises(raised, match=f"^{says}"), loading("org/name", None):
        raise error


def test_without_the_hub_its_cache_is_used_at_once(monkeypatch):
    """Offline, the libraries are told so for the time of loading, instead of minutes of retries."""
    import huggingface_hub

    modules = (huggingface_hub.constants, hf_datasets.config)
    for module in modules:
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", False)
    with loading("org/name", None):
        assert [module.HF_HUB_OFFLINE for module in modules] == [True, True]
    assert [module.HF_HUB_OFFLINE for module in modules] == [False, False]
    monkeypatch.setattr(datasets, "hub_is_reachable", lambda: True)
    with loading("org/name", None):
        assert [module.HF_HUB_OFFLINE for module in modules] == [False, False]


@pytest.mark.parametrize(
    ("offline", "answers", "reachable", "asked"),
    [(True, True, False, 0), (False, True, True, 1), (False, False, False, 1)],
    ids=["told to be offline", "answers", "no answer"],
)
def test_hub_is_asked_once(monkeypatch, offline, answers, reachable, asked):
    """One short question a process decides; with HF_HUB_OFFLINE none is asked."""
    from huggingface_hub import constants, utils

    calls = []

    class Web:
        def head(self, url, timeout):
            calls.append((url, timeout))
            if not answers:
                raise ConnectionError

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(utils, "get_session", Web)
    hub_is_reachable.cache_clear()
    try:
        assert [hub_is_reachable(), hub_is_reachable()] == [reachable] * 2
    finally:
        hub_is_reachable.cache_clear()
    assert calls == [(constants.ENDPOINT, 5)] * asked
