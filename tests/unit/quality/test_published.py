"""Published scores: the figures of the snapshot, of a checkout, and what is said where there is none."""

from __future__ import annotations

import gzip
import json
import re

import mteb
import pytest

from pytest_embedqa.core.errors import PublishedScoreError
from pytest_embedqa.quality.published import Published, PublishedScores

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
SNAPSHOT = PublishedScores()


@pytest.mark.parametrize(
    ("task", "evaluated", "score"),
    [("ArguAna", {"test": {"default": {}}}, 0.50167), ("Tatoeba", {"test": {"cmn-eng": {}}}, 0.019155)],
)
def test_figures_of_the_snapshot(task, evaluated, score):
    """Two figures of all-MiniLM-L6-v2 as they stand in mteb's public results repository."""
    assert SNAPSHOT.find(MINILM, task).score(evaluated) == pytest.approx(score, abs=1e-9)


def test_data_revision_is_known():
    """The snapshot says on which revision of the data a score was measured."""
    assert SNAPSHOT.find(MINILM, "ArguAna").data_revision == "c22ab2a51041ffd869aaddef7af8d8215647e41a"


PUBLISHED = Published({"test": {"en": 0.2, "de": 0.4, "fr": 0.9}, "dev": {"en": 0.6}}, "revision")


@pytest.mark.parametrize(
    ("evaluated", "score"),
    [
        ({"test": {"en": {}}}, 0.2),
        ({"test": {"en": {}, "de": {}}}, 0.3),
        ({"test": {"de": {}}, "dev": {"en": {}}}, 0.5),
    ],
)
def test_score_is_the_mean_over_what_was_evaluated(evaluated, score):
    """A run on some subsets is compared with the published scores of exactly these."""
    assert PUBLISHED.score(evaluated) == pytest.approx(score)


@pytest.mark.parametrize(
    ("evaluated", "missing"),
    [
        ({"test": {"en": {}, "ru": {}}}, "test/ru"),
        ({"train": {"en": {}}}, "train/en"),
        ({"dev": {"de": {}}, "test": {"ru": {}}}, "dev/de, test/ru"),
    ],
)
def test_subset_that_was_not_published_is_named(evaluated, missing):
    """A mean over other subsets is another number: what is missing is named, and what to do."""
    with pytest.raises(
        PublishedScoreError, match=f"^the published result lacks {missing}; choose subsets= that it has$"
    ):
        PUBLISHED.score(evaluated)


def test_unknown_model_is_answered_with_the_nearest_and_three_ways_out():
    """A slip in the name gets the nearest known one; name=, a checkout or an absolute bound help else."""
    with pytest.raises(PublishedScoreError) as error:
        SNAPSHOT.find("sentence-transformer/all-MiniLM-L6-v2", "ArguAna")
    text = str(error.value)
    assert text.startswith("no published scores are known for the model 'sentence-transformer/all-MiniLM-L6-v2'.")
    assert f"Did you mean '{MINILM}'?" in text
    assert all(advice in text for advice in ("name= in the spec", "--embedqa-published", "min_<metric>="))


def test_unknown_task_of_a_known_model():
    """A model without a score on this task is told with both names and a way out."""
    with pytest.raises(
        PublishedScoreError,
        match=rf"^no published score of '{MINILM}' on NoSuchTask is known; use an absolute bound \(min_<metric>=\)$",
    ):
        SNAPSHOT.find(MINILM, "NoSuchTask")


RESULT = {"scores": {"test": {"default": 0.25}}, "data_revision": "r", "model_revision": "m"}
SNAPSHOT_LIKE = {"models": {"org/model": {"T": [RESULT]}}}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_another_file_like_the_snapshot(tmp_path, pack):
    """A snapshot of one's own, packed or not, stands in for ours."""
    path = tmp_path / "scores"
    path.write_bytes(pack(json.dumps(SNAPSHOT_LIKE).encode()))
    assert PublishedScores(path).find("org/model", "T") == Published({"test": {"default": 0.25}}, "r", "m")
    with pytest.raises(PublishedScoreError, match=MINILM):
        PublishedScores(path).find(MINILM, "ArguAna")


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"not json",
        b"\xff\xfe",
        b"{}",
        b"[]",
        gzip.compress(b"not json"),
        gzip.compress(json.dumps(SNAPSHOT_LIKE).encode())[:-12],
        b"\x1f\x8b" + b"not gzip" * 10,
        gzip.compress(b"{}")[:10] + b"\xff" * 20,
    ],
    ids=["missing", "garbage", "not UTF-8", "no models", "a list", "packed garbage", "cut off", "no gzip", "damaged"],
)
def test_unreadable_file_is_named(tmp_path, content):
    """A file that can't be read as published scores is told with its path; it is not an empty one."""
    path = tmp_path / "scores.json.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        PublishedScoreError,
        match=rf"{path.name} can't be read as published scores \(.*Name another with --embedqa-published$",
    ):
        PublishedScores(path).find("org/model", "T")


def result_file(root, revision, score):
    """Write a result as the results repository keeps it."""
    path = root / "results" / "org__model" / revision / "T.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = {"hf_subset": "default", "main_score": score, "ndcg_at_10": 0.0, "languages": ["eng-Latn"]}
    path.write_text(json.dumps({"dataset_revision": f"data of {revision}", "scores": {"test": [part]}}))
    return path


@pytest.mark.parametrize("below", [".", "results"])
def test_checkout_of_the_results_repository(tmp_path, below):
    """The layout results/ORG__MODEL/REVISION/TASK.json is read, from the repository or its folder of results."""
    result_file(tmp_path, "abc", 0.25)
    found = PublishedScores(tmp_path / below).find("org/model", "T")
    assert found == Published({"test": {"default": 0.25}}, "data of abc", "abc")


def test_commit_goes_before_no_revision(tmp_path):
    """Of several revisions of a model one that names a commit is taken: what the others measured is not known."""
    result_file(tmp_path, "no_revision_available", 0.1)
    result_file(tmp_path, "bcd", 0.2)
    result_file(tmp_path, "external", 0.3)
    assert PublishedScores(tmp_path).find("org/model", "T").parts == {"test": {"default": 0.2}}


def test_result_of_the_revision_that_is_evaluated(tmp_path):
    """Of several revisions that of the spec counts, also if only its beginning is given, and wherever its name sorts."""
    for revision, score in (("bcd" * 13, 0.2), ("abc" * 13, 0.1), ("fff" * 13, 0.3)):
        result_file(tmp_path, revision, score)
    for revision in ("bcd" * 13, "bcdbcdb"):
        assert PublishedScores(tmp_path).find("org/model", "T", revision).parts == {"test": {"default": 0.2}}


def test_several_revisions_that_differ_are_an_error(tmp_path):
    """Nothing says which of the results is meant: they are named, and how to name one of them."""
    for revision, score in (("a" * 40, 0.1), ("f" * 40, 0.2), ("external", 0.3)):
        result_file(tmp_path, revision, score)
    for unknown in (None, "9" * 40):
        with pytest.raises(
            PublishedScoreError,
            match=r"the published results of 'org/model' on T differ between the revisions a{12}, f{12}; "
            r"name the revision in the spec \(st:ORG/NAME@REVISION\), or use an absolute bound",
        ):
            PublishedScores(tmp_path).find("org/model", "T", unknown)


def test_equal_results_of_several_revisions_are_one(tmp_path):
    """A result that is published again for another revision leaves nothing to choose."""
    for revision in ("a" * 40, "f" * 40):
        result_file(tmp_path, revision, 0.1)
    assert PublishedScores(tmp_path).find("org/model", "T").parts == {"test": {"default": 0.1}}


def test_result_of_the_revision_that_mteb_names(tmp_path):
    """Without a revision in the spec mteb's own entry of the model decides, as on its leaderboard, not the order of names."""
    model = "intfloat/multilingual-e5-small"
    right = mteb.get_model_meta(model).revision
    for revision, score in (("0" * 40, 0.1), (right, 0.2), ("f" * 40, 0.9), ("no_revision_available", 0.3)):
        path = tmp_path / model.replace("/", "__") / revision / "T.json"
        path.parent.mkdir(parents=True)
        path.write_text(result_file(tmp_path, revision, score).read_text())
    assert PublishedScores(tmp_path).find(model, "T").score({"test": {"default": {}}}) == 0.2


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "0.8", 82.03, True])
def test_published_value_that_is_no_score(tmp_path, value):
    """Null and NaN of a run that failed, text and percentages are told with their split and subset; other parts count."""
    path = result_file(tmp_path, "abc", value)
    content = json.loads(path.read_text())
    content["scores"]["dev"] = [{"hf_subset": "default", "main_score": 0.5}]
    path.write_text(json.dumps(content))
    found = PublishedScores(tmp_path).find("org/model", "T")
    shown = re.escape(json.dumps(value))
    with pytest.raises(
        PublishedScoreError,
        match=f"the published result has {shown} for test/default, which is not a score; choose splits= and subsets= that have one",
    ):
        found.score({"dev": {"default": {}}, "test": {"default": {}}})
    assert found.score({"dev": {"default": {}}}) == 0.5


@pytest.mark.parametrize(("model", "task"), [("org/other", "T"), ("org/model", "Other")])
def test_checkout_without_the_result(tmp_path, model, task):
    """A checkout without the result is no score, and the snapshot does not step in."""
    result_file(tmp_path, "abc", 0.25)
    with pytest.raises(PublishedScoreError, match=f"no published score of '{model}' on {task} is known"):
        PublishedScores(tmp_path).find(model, task)


@pytest.mark.parametrize("content", ["not json", "{}", "[]", '{"scores": {"test": [{}]}, "dataset_revision": "r"}'])
def test_unreadable_result_of_a_checkout_is_named(tmp_path, content):
    """A broken file of a checkout is told with its path, like a broken snapshot."""
    result_file(tmp_path, "abc", 0.25).write_text(content)
    with pytest.raises(
        PublishedScoreError, match=r"abc/T\.json can't be read .* Restore it in the checkout, or update the checkout"
    ):
        PublishedScores(tmp_path).find("org/model", "T")
