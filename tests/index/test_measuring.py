"""Recall against exact search: what counts, what is refused, and which cause is named."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import pytrec_eval
from made import Flat, made, measured, recalls, with_relevant

from pytest_embedqa.core.errors import IndexFaultError, SpecError
from pytest_embedqa.core.retrieval_data import RetrievalData
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.representations.dense import DENSE
from pytest_embedqa.index.causes import find_causes
from pytest_embedqa.index.losses import losses
from pytest_embedqa.index.mark import IndexMark
from pytest_embedqa.index.measured_indexes import MeasuredIndexes

DATA = made(400)


class Copies(Flat):
    """Of several copies it returns the last first."""

    def search(self, queries, k):
        """Sort backwards."""
        vectors = np.array([self.vectors[id_] for id_ in self.ids])[::-1]
        rows = [np.argsort(-self.score(vectors, query).round(5), kind="stable")[:k] for query in queries]
        return [[self.ids[::-1][row] for row in some] for some in rows]


def answering(change):
    """An index that changes the ids that were found: ``change(ids)``."""

    class Changed(Flat):
        def search(self, queries, k):
            return [change(ids) for ids in super().search(queries, k)]

    return Changed


def test_an_exact_index_finds_all():
    """Exact search through the seam has recall 1, for each query."""
    result = measured(Flat, DATA)
    assert result["recall_at_10"] == result["worst_decile"] == 1
    assert result.states[0].short == 0


def test_any_of_equal_documents_counts():
    """Of four copies of a text either may come back, but one of them ten times is one of ten."""
    data = made(400, copies=4)
    assert measured(Copies, data)["recall_at_10"] == 1
    assert measured(answering(lambda ids: ids[:1] * 10), data)["recall_at_10"] == pytest.approx(0.1)


@pytest.mark.parametrize("length", [1e-3, 1, 1e3])
def test_ties_are_as_wide_as_vectors_are_long(length):
    """Dot products of long and of short vectors tell right answers from wrong as cosines do."""
    data = replace(made(400, similarity="dot"), vectors=DATA.vectors * np.float32(length))
    assert measured(Flat, data)["recall_at_10"] == 1
    farthest = measured(type("Farthest", (Flat,), {"score": lambda _, some, query: -(some @ query)}), data)
    assert farthest["recall_at_10"] == 0


def test_missing_hits_are_lost_and_named():
    """An index that gives 4 of 10 has recall 0.4, and the cause says how many are missing."""
    result = measured(answering(lambda ids: ids[:4]), DATA)
    assert result["recall_at_10"] == pytest.approx(0.4)
    assert result.states[0].short == len(DATA.query_ids)
    assert find_causes(result) == ["too few documents came back: 0.60 of all that were asked for are missing."]


def test_a_few_missing_hits_do_not_explain_many_wrong_ones():
    """Where one of ten is missing and eight are wrong, the cause is the index first, and what is missing only after it."""
    junk = [f"d{row}" for row in range(300, 308)]
    result = measured(answering(lambda ids: ids[:1] + junk), DATA)
    causes = find_causes(result)
    assert causes[0].startswith("the index, not the model")
    assert causes[1:] == ["too few documents came back: 0.10 of all that were asked for are missing."]


def test_fewer_rows_than_neighbours_are_no_loss():
    """Among six rows, six are all that can come back."""
    result = measured(Flat, made(6, queries=3))
    assert result["recall_at_10"] == 1
    assert result.states[0].short == 0


def test_hits_beyond_k_do_not_count():
    """An index that returns more than it was asked for gains nothing."""
    junk = [f"d{row}" for row in range(300, 310)]
    assert measured(answering(lambda ids: junk + ids), DATA)["recall_at_10"] < 0.3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda ids: [int(id_[1:]) for id_ in ids], "of the type int, which it was not given"),
        (
            lambda ids: [*ids[:9], "d400"],
            "returned the id 'd400', which it was not given. search() returns ids as build() got them",
        ),
        (lambda ids: [[id_] for id_ in ids], "of the type list, which it was not given"),
        (lambda _: None, "returned [None] for one query: search() returns a list of ids for each query, in a list"),
        (lambda ids: ids[0], "for one query: search() returns a list of ids for each query"),
    ],
)
def test_wrong_ids_are_errors(change, said):
    """Ids of another type, unknown ids and lists of another shape are one clear error each."""
    with pytest.raises(IndexFaultError) as caught:
        measured(answering(change), DATA)
    assert said in str(caught.value)


def test_two_lists_for_one_query_are_an_error():
    """Distances and ids side by side, as faiss and hnswlib return them, are no list of ids."""

    class Pair(Flat):
        def search(self, queries, k):
            return np.zeros((1, k)), super().search(queries, k)

    with pytest.raises(IndexFaultError, match="for one query: search"):
        measured(Pair, DATA)


@pytest.mark.parametrize(("step", "said"), [(1, "the document before its own"), (-1, "the document after its own")])
def test_ids_off_by_one_are_named(step, said):
    """Where each id stands for the next document, the cause says so."""
    result = measured(answering(lambda ids: [f"d{(int(id_[1:]) + step) % 400}" for id_ in ids]), DATA)
    assert result["recall_at_10"] < 0.2
    assert find_causes(result)[0].startswith(f"ids are off by one: each stands for {said}")


def test_ids_that_slip_after_a_removal_are_named():
    """Where a removal shifts the ids of other rows, the cause is not the width of the search."""

    class Slips(Flat):
        def remove(self, ids):
            rows = [self.ids.index(id_) for id_ in ids]
            super().remove(ids)
            kept = np.array(list(self.vectors.values()))
            self.vectors = dict(zip(self.ids, np.roll(kept, len(rows), axis=0), strict=True))

    result = measured(Slips, DATA, delete_nearest=1)
    assert recalls(result) == {"": 1, "after deleting the nearest 1": pytest.approx(0, abs=0.1)}
    cause = find_causes(result)[0]
    assert "ids slip: of stored vectors 1.00 came back under their own ids at first, and 0.0" in cause
    assert "after deleting the nearest 1. Removed rows shift" in cause


def test_deleted_rows_must_not_come_back():
    """A deleted row in a result is an error that names it."""
    keeps = type("Keeps", (Flat,), {"remove": lambda *_: None})
    with pytest.raises(
        IndexFaultError, match=r"\(after deleting the nearest 3\) returned the id 'd\d+': this row was deleted"
    ):
        measured(keeps, DATA, delete_nearest=3)


class Slotted(Flat):
    """An index with a filter."""

    def build_with_slots(self, vectors, ids, slots):
        """Keep slots."""
        self.build(vectors, ids)
        self.slots = dict(zip(ids, slots, strict=True))

    def search_below(self, queries, k, slot):
        """Sort all, and leave out what does not pass."""
        return [[id_ for id_ in ids if self.slots[id_] < slot][:k] for ids in self.search(queries, len(self.ids))]


def test_a_filter_is_held_to_its_rows():
    """Under a filter only its rows count, all of them; a row that does not pass is an error."""
    result = measured(Slotted, DATA, filter=0.1)
    assert recalls(result) == {"": 1, "filter 10.0%": 1}
    assert result.states[1].exact.among.mean() == pytest.approx(0.1, abs=0.05)
    late = type("Late", (Slotted,), {"search_below": lambda self, queries, k, _: self.search(queries, k)})
    with pytest.raises(
        IndexFaultError, match=r"\(filter 10.0%\) returned the id 'd\d+': this row does not pass the filter"
    ):
        measured(late, DATA, filter=0.1)


def test_a_filter_that_nothing_passes_is_an_error():
    """Without a row that passes, there is nothing to find."""
    with pytest.raises(IndexFaultError, match=r"\(filter 0.1%\): no row is left to search. Take more rows"):
        measured(Slotted, made(20, queries=5), filter=0.001)


def test_a_filter_is_searched_before_rows_change():
    """A row that is added again has no slot, so the filter comes first."""
    states = [state.name for state in measured(Slotted, DATA, filter=0.1, churn=1, delete_nearest=1).states]
    assert states == ["", "filter 10.0%", "after deleting the nearest 1", "after 1 rounds of changes"]


def test_changes_are_made():
    """Churn removes and adds a fifth of the rows a round, and deletes nothing for good."""
    calls = []

    class Counted(Flat):
        def remove(self, ids):
            calls.append(("remove", len(ids)))
            super().remove(ids)

        def add(self, vectors, ids):
            calls.append(("add", len(ids)))
            super().add(vectors, ids)

    assert measured(Counted, DATA, churn=2)["recall_at_10"] == 1
    assert calls == [("add", 400), ("remove", 80), ("add", 80), ("remove", 80), ("add", 80)]


SCORES = {
    "cosine": lambda _, some, query: (some @ query) / np.linalg.norm(some, axis=1),
    "dot product": lambda _, some, query: some @ query,
    "L2 distance": lambda _, some, query: -np.square(some - query).sum(axis=1),
}


@pytest.mark.parametrize("deleted", [0, 20])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("by", SCORES)
def test_a_wrong_metric_is_named(by, similarity, deleted):
    """Vectors of all lengths are ranked by another metric than the model's: the cause is the metric, after deletions, too."""
    data = made(400, queries=10, lengths=(0.3, 3), similarity=similarity)
    index = type("By", (Flat,), {"score": SCORES[by]})
    result = measured(index, data, **({"delete_nearest": deleted} if deleted else {}))
    mine = {"cosine": "cosine", "dot": "dot product"}[similarity]
    if by == mine:
        assert result["recall_at_10"] == 1
    else:
        assert result["recall_at_10"] < 0.9
        assert find_causes(result)[0].startswith(f"the index ranks by {by}, the model by {mine}: 1.00 of these")


@pytest.mark.parametrize("part", [16, 8])
def test_cut_dimensions_are_named(part):
    """An index of the first half or quarter of the dimensions is named."""
    cut = type(
        "Cut", (Flat,), {"score": lambda self, some, query: SCORES["cosine"](self, some[:, :part], query[:part])}
    )
    result = measured(cut, DATA)
    assert result["recall_at_10"] < 0.7
    assert find_causes(result)[0].startswith(f"the index holds the first {part} of 32 dimensions: 1.00 of these")


def test_a_coarse_index_is_to_blame_itself():
    """Where nothing else explains the loss, the index does."""

    class Half(Flat):
        def search(self, queries, k):
            return [ids[::2] for ids in super().search(queries, 2 * k)]

    result = measured(Half, DATA)
    assert result["recall_at_10"] == pytest.approx(0.5)
    assert find_causes(result)[0].startswith(
        "the index, not the model: exact search over the same vectors finds all 10."
    )


def own_documents(*, is_own_result):
    """Data whose queries are documents, too, as ArguAna's are."""
    data = made(400, queries=20)
    ids = [*data.query_ids, *data.ids[20:]]
    return with_relevant(replace(data, ids=ids, queries=data.vectors[:20]), {}, is_own_result=is_own_result)


def test_a_querys_own_document_is_no_neighbour():
    """Where a query's own document is no result, finding it gains nothing, and not finding it costs nothing."""
    data = own_documents(is_own_result=False)
    result = measured(Flat, data)
    assert result["recall_at_10"] == 1
    assert result.states[0].exact.rows.shape == (20, 10)
    own_alone = answering(lambda ids: [id_ for id_ in ids if id_.startswith("q")][:1])
    assert measured(own_alone, data)["recall_at_10"] == 0

    class WithoutOwn(Flat):
        def search(self, queries, k):
            return [ids[1:] for ids in super().search(queries, k + 1)]

    assert measured(WithoutOwn, data)["recall_at_10"] == 1
    assert measured(own_alone, own_documents(is_own_result=True))["recall_at_10"] == pytest.approx(0.1)


def test_the_worst_decile_is_that_of_the_queries():
    """Of 40 queries, the four that fare worst decide it."""
    lost = {tuple(DATA.queries[row]) for row in (3, 7, 11)}

    class Blind(Flat):
        def search(self, queries, k):
            return [
                [] if tuple(query) in lost else ids
                for query, ids in zip(queries, super().search(queries, k), strict=True)
            ]

    result = measured(Blind, DATA)
    assert result["recall_at_10"] == pytest.approx(37 / 40)
    assert result["worst_decile"] == pytest.approx(1 / 4)
    assert result.intervals[""][0] < 37 / 40 < result.intervals[""][1]


def test_ndcg_is_that_of_trec_eval():
    """What the index costs in nDCG@10 is the difference of two of trec_eval's."""
    random = np.random.default_rng(1)
    nearest = DATA.exact(12).rows
    relevant = {
        query: {DATA.ids[row]: int(random.integers(1, 4)) for row in random.choice(rows, 5, replace=False)}
        for query, rows in zip(DATA.query_ids[:30], nearest, strict=False)
    }
    data = with_relevant(DATA, relevant)
    drops = answering(lambda ids: ids[1::2])
    state = measured(drops, data).states[0]
    judge = pytrec_eval.RelevanceEvaluator(relevant, {"ndcg_cut.10"})

    def ndcg(hits):
        run = {
            query: {data.ids[row]: -place for place, row in enumerate(rows)}
            for query, rows in zip(data.query_ids, hits, strict=True)
        }
        return np.array([judge.evaluate(run)[query]["ndcg_cut_10"] for query in relevant])

    assert state.ndcg == pytest.approx(ndcg(state.rows))
    assert state.exact_ndcg == pytest.approx(ndcg(data.exact(10).rows))
    assert state.ndcg_loss == pytest.approx(ndcg(data.exact(10).rows).mean() - ndcg(state.rows).mean())
    assert state.ndcg_loss > 0.1


def test_an_index_is_closed_whatever_happens():
    """What an index holds is freed, after an error, too."""
    closed = []
    fails = type("Fails", (Flat,), {"search": lambda *_: 1 / 0, "close": lambda self: closed.append(self)})  # noqa: PLW0108
    with pytest.raises(ZeroDivisionError):
        measured(fails, DATA)
    assert len(closed) == 1


def test_an_index_without_proof_says_so():
    """Of a user's own class it is not known whether it searches exactly."""
    assert "a method proof(queries, k) would show it" in measured(Flat, DATA).notes[0]


@pytest.mark.parametrize(
    ("arguments", "method"), [({"churn": 1}, "remove"), ({"filter": 0.1}, "search_below"), ({"reopen": True}, "reopen")]
)
def test_what_an_index_lacks_is_said_at_collection(arguments, method):
    """An argument needs a method that the class has not."""
    least = type("Least", (), {"build": Flat.build, "search": Flat.search})
    with pytest.raises(SpecError, match=f"needs an index with the method {method}, and Least has none"):
        measured(least, DATA, **arguments)


def test_what_makes_no_index_is_an_error():
    """A function that returns something else is named, with what its result lacks."""
    with pytest.raises(IndexFaultError, match=r"gave int, which lacks build\(vectors, ids\) or search\(queries, k\)"):
        measured(lambda: 3, DATA)


def test_what_model_and_index_lose_is_told_apart():
    """A relevant document that exact search does not find is the model's loss; one that it finds is the index's."""
    data = made(200, 3)
    nearest, far = data.exact(3).rows, data.exact(200).rows[:, -1]
    ids = [[data.ids[row] for row in rows] for rows in nearest]
    relevant = {
        query: {ids[number][0]: 1.0, ids[number][2]: 1.0, data.ids[far[number]]: 1.0}
        for number, query in enumerate(data.query_ids)
    }
    result = measured(answering(lambda found: found[1:]), replace(data, relevant=relevant), k=3)
    first, *examples = losses(result)
    assert first == (
        "the index loses 3 of the 6 relevant documents that the model finds; 3 more are not among its nearest 3."
    )
    assert examples == [
        f"by the index: '{ids[number][0]}' is at rank 1 by exact search for the query '{query}'"
        for number, query in sorted(enumerate(data.query_ids), key=lambda one: ids[one[0]][0])
    ]
    assert losses(measured(answering(lambda found: found[1:]), data, k=3)) == []


def test_an_index_may_change_what_it_is_given():
    """An index that normalises in place and keeps the list of ids changes neither the data nor what is exact."""

    class InPlace(Flat):
        def build(self, vectors, ids):
            super().build(vectors, ids)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            ids.clear()

        def search(self, queries, k):
            found = super().search(queries, k)
            queries *= 0
            return found

    data = replace(made(400, lengths=(1, 5)), similarity="dot")
    kept = data.vectors.copy(), data.queries.copy(), list(data.ids)
    found, by_cosine = measured(InPlace, data)["recall_at_10"], measured(Flat, data)["recall_at_10"]
    assert found == by_cosine < 0.9
    assert np.array_equal(data.vectors, kept[0])
    assert np.array_equal(data.queries, kept[1])
    assert data.ids == kept[2]


def test_an_index_that_needs_arguments_is_an_error():
    """A class whose arguments nobody gives is named, with what to write; an error inside of it is its own."""
    needs = type("Needs", (Flat,), {"__init__": lambda self, path: None})  # noqa: ARG005
    with pytest.raises(IndexFaultError, match=r"index='Needs' can't be called without arguments.*'path'.*index=lambda"):
        measured(needs, DATA)
    with pytest.raises(TypeError, match="str"):
        measured(lambda: Flat() + "", DATA)


def test_an_index_without_a_hash_is_measured_once():
    """An index object that is compared by value, as a dataclass is, needs no hash."""
    built = []

    class Unhashable(Flat):
        __hash__ = None

        def __eq__(self, other):
            return isinstance(other, Unhashable)

        def build(self, vectors, ids):
            built.append(self)
            super().build(vectors, ids)

    random = np.random.default_rng(0)
    model = Mock(Encoder, representation=DENSE, encode=lambda texts, **_: random.normal(size=(len(texts), 8)))
    texts = Mock(key="texts", of=lambda _: (RetrievalData("made", {"d": "a", "e": "b"}, {"q": "c"}), None))
    recalls, marks = MeasuredIndexes(), [IndexMark(Unhashable()), IndexMark(Unhashable())]
    for mark in (*marks, *marks):
        assert recalls.result(texts, mark, model)["recall_at_10"] == 1
    assert len(built) == 2


def test_ndcg_under_a_filter_is_of_the_rows_that_pass():
    """A query whose relevant documents are all left out says nothing; a filter that loses the others costs all of their nDCG."""

    class Blind(Slotted):
        def search_below(self, queries, k, slot):
            return [rows[:0] for rows in super().search_below(queries, k, slot)]

    relevant = {f"q{row}": {f"d{row}": 1.0, "d399": 1.0} for row in range(40)}
    result = measured(Blind, replace(DATA, relevant=relevant), filter=0.1)
    state = next(one for one in result.states if one.name.startswith("filter"))
    passing = state.exact.among
    assert not passing[399]
    assert 0 < len(state.ndcg) == passing[:40].sum() < 40
    assert not state.ndcg.any()
    assert result.measures(state)["ndcg_loss"] == state.exact_ndcg.mean() > 0.3


def test_a_curve_says_where_it_is_exact_search():
    """A point whose setting makes the index search all rows, or has no effect, is noted."""
    pytest.importorskip("faiss")
    result = measured("faiss:HNSW32?efSearch=16", made(), sweep={"efSearch": [16, 4000]})
    assert [note for note in result.notes if "the curve" in note] == [
        note for note in result.notes if note.startswith("the curve with efSearch=4000: faiss compares each query with")
    ]
    assert sum("the curve" in note for note in result.notes) == 1


def test_close_hides_nothing():
    """What an index raises as it is closed is a warning; figures and earlier errors stand."""

    class Stuck(Flat):
        def close(self):
            raise OSError("busy")

    class Wrong(Stuck):
        def search(self, queries, k):
            return [["x", *rows] for rows in super().search(queries, k)]

    with pytest.warns(UserWarning, match=r"Stuck.close\(\) failed: OSError: busy"):
        assert measured(Stuck, DATA)["recall_at_10"] == 1
    with (
        pytest.warns(UserWarning, match="busy"),
        pytest.raises(IndexFaultError, match="which it was not given"),
    ):
        measured(Wrong, DATA)
