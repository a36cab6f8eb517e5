"""``embedqa tasks``: mteb's own list, with what this package knows beside it."""

from __future__ import annotations

import json
import os
import sys

import pytest
from huggingface_hub import constants

from pytest_embedqa.commands import main, tasks
from pytest_embedqa.quality.mteb.listing import chosen

CQA_PARTS = [source.path for source in chosen(["CQADupstackRetrieval"])[0].sources]


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    """Neither a folder of data nor a cache of the Hub from outside."""
    monkeypatch.delenv("EMBEDQA_DATASETS", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def listed(capsys):
    """Runs the command; returns its lines."""

    def run(*arguments):
        assert main(["tasks", *arguments]) == 0
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def refused(capsys):
    """Runs the command where it can't answer; returns the error."""

    def run(*arguments):
        assert main(["tasks", *arguments]) == 2
        return capsys.readouterr().err

    return run


def row(lines, name):
    """The cells of a task's row."""
    (found,) = [line.split() for line in lines if line.split()[:1] == [name]]
    return found


def facts(listed, *arguments):
    """What ``--json`` says, by name."""
    return {one["name"]: one for one in json.loads("\n".join(listed(*arguments, "--json")))}


def test_every_task_fits_the_terminal(listed):
    """80 columns, however long a name is, and each name in full."""
    lines = listed()
    assert max(len(line) for line in lines) <= 80
    names = [line.split()[0] for line in lines if line and not line.startswith(" ")]
    assert {"ArguAna", "STSBenchmark", "TweetSentimentExtractionClassification"} <= set(names)
    assert f"{len(names) - len(blocks(lines)) - 3} tasks." in "\n".join(lines)


def blocks(lines):
    """Heads of the tables."""
    return [line for line in lines if " metric " in line]


def test_row_says_what_a_task_is(listed):
    """Metric as a test names it, language, size as mteb counts it, the published score, and that its data is missing."""
    lines = listed("STSBenchmark")
    assert row(lines, "STSBenchmark") == ["STSBenchmark", "spearman", "eng", "1,379", "0.8203", "-"]
    assert row(listed("STS17"), "STS17")[2:4] == ["9", "langs"]


@pytest.mark.parametrize(
    ("pattern", "fit", "other"),
    [
        ("arguana", "ArguAna-PL", "SciFact"),
        ("banking*", "Banking77Classification", "ArguAna"),
        ("sts?", "STSB", "STS12"),
    ],
)
def test_pattern_is_a_part_or_a_glob_in_any_case(listed, pattern, fit, other):
    """A part of a name anywhere; a glob fits the whole name."""
    found = facts(listed, pattern)
    assert fit in found
    assert other not in found


def test_name_of_a_benchmark_lists_its_tasks(listed):
    """All of them, and no other."""
    found = facts(listed, "mteb(ENG, v2)")
    assert len(found) == 41
    assert {"ArguAna", "STSBenchmark"} <= set(found)


@pytest.mark.parametrize(
    ("pattern", "near"), [("arguna", "ArguAna"), ("MTEB(eng", "MTEB(eng, v1)"), ("STSBenchmrk", "STSBenchmark")]
)
def test_no_match_names_the_nearest(refused, pattern, near):
    """Tasks and benchmarks, with exit code 2."""
    error = refused(pattern)
    assert f"has no task or benchmark like '{pattern}'" in error
    assert near in error


def test_type_and_language_choose(listed):
    """Both must fit; a type is known in any case."""
    found = facts(listed, "--type", "bitextmining", "--language", "ces")
    assert "Tatoeba" in found
    assert {one["type"] for one in found.values()} == {"BitextMining"}
    assert all("ces" in one["languages"] for one in found.values())


def test_unknown_type_and_language_are_told(refused):
    """With the types there are, and the form of a language."""
    types = "--type: no task is of the type 'Retrival'. Did you mean 'Retrieval'? There are: "
    assert types in refused("--type", "Retrival")
    assert "no task of 'ArguAna' has the language 'en'. Three letters" in refused("ArguAna", "--language", "en")


@pytest.mark.parametrize(
    ("spec", "score"),
    [("BAAI/bge-m3", "0.5404"), ("st:models/mine?name=BAAI/bge-m3", "0.5404"), ("builtin?max_length=4", "0.5017")],
)
def test_published_scores_are_of_the_model_of_a_spec(listed, spec, score):
    """By its name on the Hub, or by ``name=``; nothing is loaded."""
    lines = listed("ArguAna", "--model", spec)
    assert row(lines, "ArguAna")[4] == score


def test_model_without_published_scores_is_told(listed):
    """Below the table, which is right all the same."""
    lines = listed("SciFact", "--model", "BAAI/bge-m4")
    assert row(lines, "SciFact")[4] == "-"
    assert "no published scores are known for the model 'BAAI/bge-m4'. Did you mean 'BAAI/bge-m3'?" in " ".join(
        " ".join(lines).split()
    )


def test_data_in_a_folder_is_at_hand(listed, tmp_path, monkeypatch):
    """With the option or the environment variable; a task of several datasets needs all of them."""
    for path in ["mteb/scifact", *CQA_PARTS[1:]]:
        (tmp_path / "hub" / path).mkdir(parents=True)
    at_hand = facts(listed, "--at-hand", "--datasets", str(tmp_path / "hub"))
    assert at_hand["SciFact"]["data"] == "folder"
    assert "CQADupstackRetrieval" not in at_hand
    (tmp_path / "hub" / CQA_PARTS[0]).mkdir(parents=True)
    monkeypatch.setenv("EMBEDQA_DATASETS", str(tmp_path / "hub"))
    assert facts(listed, "--at-hand")["CQADupstackRetrieval"]["data"] == "folder"


def test_data_in_the_cache_of_the_hub_is_at_hand(listed, tmp_path):
    """At the revision of the task, and only without a folder: with one, a run reads nothing else."""
    snapshots = tmp_path / "cache" / "datasets--mteb--scifact" / "snapshots"
    (snapshots / "0123456789").mkdir(parents=True)
    assert facts(listed, "SciFact")["SciFact"]["data"] is None
    (snapshots / facts(listed, "SciFact")["SciFact"]["sources"][0]["revision"]).mkdir()
    assert facts(listed, "SciFact")["SciFact"]["data"] == "cache"
    (tmp_path / "hub").mkdir()
    assert facts(listed, "SciFact", "--datasets", str(tmp_path / "hub"))["SciFact"]["data"] is None


def test_nothing_at_hand_is_told_with_the_way_to_get_it(refused, tmp_path):
    """And a folder that is not there is not the same as an empty one."""
    said = refused("SciFact", "--at-hand")
    assert "--at-hand: no task of 'SciFact' has its data in the cache of the Hub. " in said
    assert "Fetch it:  embedqa fetch TASK --to DIR" in said
    assert "nowhere is not a folder. Make one:  embedqa fetch" in refused("--datasets", str(tmp_path / "nowhere"))


def test_json_has_all_in_full(listed):
    """What the table cuts: languages, parts, datasets with their revisions, and what takes a task's place."""
    found = facts(listed, "STS17")["STS17"]
    assert found["main_score"] == "cosine_spearman"
    assert found["languages"][:2] == ["ara", "deu"]
    assert "en-de" in found["parts"]["test"]
    assert found["sources"][0]["path"] == "mteb/sts17-crosslingual-sts"
    assert len(found["sources"][0]["revision"]) == 40
    assert facts(listed, "BUCC")["BUCC"]["superseded_by"] == "BUCC.v2"


@pytest.mark.parametrize("command", [["tasks"], ["fetch", "SciFact", "--to", "data"]])
def test_without_mteb_the_extra_is_named(command, capsys, monkeypatch):
    """Both commands that ask mteb say how to install it."""
    monkeypatch.setattr(tasks, "find_spec", {}.get)
    assert main(command) == 2
    assert 'pip install "pytest-embedqa[mteb]"' in capsys.readouterr().err


def test_reader_that_has_seen_enough_is_no_error(monkeypatch):
    """``embedqa tasks | head`` ends without a traceback, also when Python closes the output."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert main(["tasks", "STS"]) == 0
