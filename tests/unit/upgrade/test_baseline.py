"""Baselines on disk: whole, readable, and refused where they are not what was written."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

from pytest_embedqa.core.errors import BaselineError
from pytest_embedqa.core.evaluation import Subject
from pytest_embedqa.core.evidence import Evidence
from pytest_embedqa.upgrade.baseline import evidence_file, is_baseline, read_baseline, write_baseline


@pytest.fixture
def path(tmp_path, baseline):
    """A written baseline."""
    path = tmp_path / "baselines" / "prod.json"
    write_baseline(path, baseline)
    return path


def test_what_is_written_is_read(path, baseline):
    """Scores, subjects, units, labels, rankings and texts survive."""
    found = read_baseline(path)
    assert found.encoder == baseline.encoder
    assert np.array_equal(found.fingerprint, baseline.fingerprint)
    assert {one.subject for one in found.evaluations} == {one.subject for one in baseline.evaluations}
    for before in baseline.evaluations:
        after = found.find(before.subject)
        assert (after.score, after.parts, after.metric, after.type) == (
            before.score,
            before.parts,
            before.metric,
            before.type,
        )
        assert after.exhibits == before.exhibits
        assert (after.evidence is None) == (before.evidence is None)
        if before.evidence:
            (old,), (new,) = before.evidence.parts, after.evidence.parts
            assert new.ids == old.ids
            assert np.array_equal(new.values, old.values)
            assert np.array_equal(new.labels, old.labels) if old.labels is not None else new.labels is None


def test_path_that_is_no_text_survives(tmp_path, baseline):
    """The spec of a model in a folder called by other bytes than UTF-8 is kept; the file is UTF-8 all the same."""
    spec = {**baseline.encoder, "spec": "st:caf\udce9"}
    write_baseline(tmp_path / "b.json", replace(baseline, encoder=spec))
    assert r'"spec": "st:caf\udce9"' in (tmp_path / "b.json").read_text(encoding="utf-8")
    assert read_baseline(tmp_path / "b.json").encoder == spec


def test_the_same_baseline_gives_the_same_bytes(path, baseline):
    """Nothing of the moment is in it, so that version control shows only what changed."""
    before = path.read_bytes(), evidence_file(path).read_bytes()
    write_baseline(path, baseline)
    assert (path.read_bytes(), evidence_file(path).read_bytes()) == before
    assert before[1][4:8] == bytes(4)  # gzip's own field for the time


def test_one_changed_score_changes_few_lines(path, baseline, queries):
    """A score a line: the score itself, its part, the digests."""
    before = path.read_text().splitlines()
    write_baseline(path, baseline.updated(queries([1.0, 0.5, 0.1])))
    changed = [line for line in path.read_text().splitlines() if line not in before]
    assert len(changed) == 4
    assert '"ndcg_at_10"' in path.read_text()


def test_nothing_is_left_of_drafts(path):
    """Both files, and no others."""
    assert sorted(one.name for one in path.parent.iterdir()) == ["prod.evidence.json.gz", "prod.json"]


def test_a_baseline_that_cant_be_written_whole_leaves_the_older_one(path, baseline, queries):
    """A disk that is full before the second file: evidence and readable file still belong together."""
    older = read_baseline(path)
    (draft := path.with_name(f"{path.name}.draft")).mkdir()  # where a full disk would fail
    with pytest.raises(BaselineError, match=r"can't be written: "):
        write_baseline(path, baseline.updated(queries([1.0, 0.5, 0.1])))
    draft.rmdir()
    assert read_baseline(path).as_dict() == older.as_dict()


def edit(path, change):
    """Change the readable file as a hand would."""
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts, indent=2))


def repack(path, change):
    """Change the evidence, and make both digests fit, as somebody who knows the format could."""
    beside = evidence_file(path)
    evidence = json.loads(gzip.decompress(beside.read_bytes()))
    change(evidence)
    beside.write_bytes(gzip.compress(json.dumps(evidence).encode()))


DAMAGE = {
    "cut short": (lambda path: path.write_text(path.read_text()[:200]), "not valid JSON"),
    "empty": (lambda path: path.write_text(""), "not valid JSON"),
    "marks of a merge": (lambda path: path.write_text("<<<<<<< HEAD\n" + path.read_text()), "a merge left marks"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "can't be used: it is not a file"),
    "binary": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "it is not UTF-8 text"),
    "another file": (lambda path: path.write_text('{"benchmarks": [], "machine_info": {}}'), "not a baseline of pytest-embedqa .*benchmarks, machine_info"),
    "a list": (lambda path: path.write_text("[1]"), "not a baseline of pytest-embedqa"),
    "older": (lambda path: edit(path, lambda facts: facts.update(version=0)), "has format 0, and this version reads format 1"),
    "newer": (lambda path: edit(path, lambda facts: facts.update(version=2)), "has format 2"),
    "score edited": (lambda path: edit(path, lambda facts: facts["tasks"][0].update(score=0.1)), "changed after it was written"),
    "spec edited": (lambda path: edit(path, lambda facts: facts["encoder"].update(spec="st:new")), "changed after it was written"),
    "NaN": (lambda path: path.write_text(path.read_text().replace('"score": 0.5', '"score": NaN')), "it holds NaN, which is not a finite number"),
    "evidence gone": (lambda path: evidence_file(path).unlink(), "its evidence .* is missing. Both files belong together in version control"),
    "evidence cut short": (lambda path: evidence_file(path).write_bytes(evidence_file(path).read_bytes()[:50]), "is not the file that was written with it"),
    "evidence of another run": (lambda path: repack(path, lambda evidence: evidence["fingerprint"].clear()), "is not the file that was written with it"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_baseline_is_refused(path, name):
    """Whatever happened to it, the error says what, and how to make it anew; it is never half read."""
    damage, says = DAMAGE[name]
    damage(path)
    with pytest.raises(BaselineError, match=says) as caught:
        read_baseline(path)
    assert str(caught.value).startswith(f"the baseline {path} can't be used: ")
    how = "Fetch it from version control, or make a new one with the old model:  pytest ... --embedqa-model=OLD"
    assert str(caught.value).endswith(f"{how} --embedqa-save-baseline={path}")


def test_evidence_that_contradicts_its_score_is_refused(path):
    """Even where every digest fits: a score is what its units give."""
    from pytest_embedqa.upgrade import baseline as module

    def worse(evidence):
        for task in evidence["tasks"]:
            if task and task["statistic"] == "mean":
                task["parts"][0]["values"] = [0.0, 0.0, 0.0]

    repack(path, worse)
    facts = json.loads(path.read_text())
    facts["evidence"]["sha256"] = module.hashlib.sha256(evidence_file(path).read_bytes()).hexdigest()
    del facts["checksum"]
    facts["checksum"] = module._checksum(facts)
    path.write_text(json.dumps(facts))
    with pytest.raises(BaselineError, match=r"score for Faq is 0.500000, but its evidence gives 0.000000"):
        read_baseline(path)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_none_is_not_written(tmp_path, baseline, queries, score):
    """NaN would make every later comparison meaningless; the old file stays."""
    broken = baseline.updated(queries([1.0], "Faq", evidence=None, score=score))
    with pytest.raises(BaselineError, match=r"its score for Faq is (nan|inf)"):
        write_baseline(tmp_path / "prod.json", broken)
    assert list(tmp_path.iterdir()) == []


def test_a_statistic_that_is_not_known_is_refused(tmp_path, baseline, queries):
    """A baseline of a later version may rest on something that can't be computed here: it is named."""
    broken = baseline.updated(queries([1.0], evidence=Evidence("median", "queries", ()), score=1.0))
    with pytest.raises(BaselineError, match=r"it knows a statistic 'median' that this version does not"):
        write_baseline(tmp_path / "prod.json", broken)


def test_missing_task_names_the_nearest_and_the_command(path):
    """A task that was renamed, or added since."""
    with pytest.raises(BaselineError, match=r"has no score for Faqs; it has Faq\. Add what is missing") as caught:
        read_baseline(path).find(Subject("Faqs"))
    how = "Add what is missing with the old model:  pytest ... --embedqa-model='st:models/old'"
    assert str(caught.value).endswith(f"{how} --embedqa-save-baseline={path}")


def test_a_folder_that_was_moved_is_told(baseline, queries):
    """Own data is known by its path: where a file of that name is known by another, it is named, with the reason."""
    moved = baseline.updated(replace(queries([1.0]), subject=Subject("team_a/sim")))
    says = (
        r"has no score for data/sim; it has team_a/sim \(own files are known by their path below pytest's rootdir\)\. "
    )
    with pytest.raises(BaselineError, match=says):
        moved.find(Subject("data/sim"))
    with pytest.raises(BaselineError, match=r"it has the task with other settings: team_a/sim\. "):
        moved.find(Subject("team_a/sim", limit=2))


def test_the_same_task_asked_otherwise_is_told(path):
    """Another limit is another sample: no score to compare with, and the text says which there is."""
    with pytest.raises(
        BaselineError, match=r"no score for Faq \(limit=100\); it has the task with other settings: Faq\."
    ):
        read_baseline(path).find(Subject("Faq", limit=100))
    with pytest.raises(BaselineError, match=r"with other settings: Pairs @64 \(splits=\['test'\], limit=7\)"):
        read_baseline(path).find(Subject("Pairs"))


def test_newer_scores_take_the_place_of_older(baseline, queries):
    """One score a subject."""
    updated = baseline.updated(queries([0.0, 0.0, 0.0]))
    assert len(updated.evaluations) == len(baseline.evaluations)
    assert updated.find(Subject("Faq")).score == 0


@pytest.mark.parametrize(
    ("content", "ours"), [('{"format": "pytest-embedqa baseline"}', True), ("{}", False), ("[]", False), ("x", False)]
)
def test_only_baselines_are_written_over(tmp_path, content, ours):
    """Any version and state of ours, and nothing else."""
    path = tmp_path / "file.json"
    path.write_text(content)
    assert is_baseline(path) is ours


def test_folder_that_can_not_be_written_is_named(tmp_path, baseline):
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BaselineError, match="can't be written"):
        write_baseline(tmp_path / "file" / "prod.json", baseline)
