"""An index that was measured, as evaluations for the upgrade gate, and what of a change is the index's and what the model's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pytest_embedqa.core.evaluation import Evaluation, Subject
from pytest_embedqa.core.evidence import Evidence, Exhibit, Units
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.statistics import ALPHA, difference
from pytest_embedqa.index.mark import CUT_OFF
from pytest_embedqa.index.result import IndexResult, State

NDCG = f"ndcg_at_{CUT_OFF}"
EXACT = f"exact_{NDCG}"
_PART = ("", "default")
_UNIT = "queries"
# Characters kept of a text.
_SHOWN = 160
# What got worse: the index, the model.
_WORSE = {
    (True, False): "the index, not the model",
    (True, True): "the index, and the model too",
    (False, True): "the model, not the index",
}


@dataclass(frozen=True)
class Kept:
    """What a baseline keeps of an index in one state, query by query.

    Attributes:
        recall: Share of each query's nearest documents that came back.
        ndcg: ndcg_at_10 through the index; ``None`` where nothing is judged.
        exact: ndcg_at_10 of exact search over the same vectors.
    """

    recall: Evaluation
    ndcg: Evaluation | None = None
    exact: Evaluation | None = None

    def all(self) -> list[Evaluation]:
        """Return those that there are."""
        return [one for one in (self.recall, self.ndcg, self.exact) if one]


def subject(of: Subject, test: str, measure: str, state: str = "") -> Subject:
    """Return what was evaluated.

    Args:
        of: The task, or the part of a task.
        test: Name of the test that names the index: the index may be another next time.
        measure: What is measured.
        state: What had been done to the index.
    """
    return replace(of, index=", ".join(filter(None, [test, state])), measure=measure)


def evaluations(result: IndexResult, of: Subject, test: str) -> list[Kept]:
    """Return what is kept of each state, in their order."""
    return [_kept(result, state, of, test) for state in result.states]


def _kept(result: IndexResult, state: State, of: Subject, test: str) -> Kept:
    data = result.data
    texts = data.texts.queries if data.texts else {}
    made = len(data.ids) - len(data.texts.documents) if data.texts else 0
    revision = (data.texts.revision if data.texts else "") + (f" and {made:,} made rows" if made else "")
    judged = [query for query in data.query_ids if query in state.exact.relevant]

    def evaluation(measure: str, queries: list[str], values: Floats, exhibit: Exhibit) -> Evaluation:
        evidence = Evidence("mean", _UNIT, (Units(*_PART, tuple(queries), np.asarray(values, dtype=np.float64)),))
        return Evaluation(
            subject(of, test, measure, state.name),
            "Index",
            measure,
            evidence.value,
            {_PART: evidence.value},
            revision,
            evidence=evidence,
            exhibits={_PART: exhibit},
            stages={"index": result.index},
        )

    shown = Exhibit({query: " ".join(texts.get(query, "").split())[:_SHOWN] for query in data.query_ids})
    recall = evaluation(f"recall_at_{result.k}", list(data.query_ids), state.recalls, shown)
    if state.ndcg is None or state.exact_ndcg is None or not judged:
        return Kept(recall)
    places = zip(data.query_ids, state.rows, strict=True)
    ranked = Exhibit(
        shown.texts,
        {query: [data.ids[row] for row in rows[:CUT_OFF]] for query, rows in places},
        {query: list(state.exact.relevant[query]) for query in judged},
    )
    return Kept(
        recall,
        evaluation(NDCG, judged, state.ndcg, ranked),
        evaluation(EXACT, judged, state.exact_ndcg, Exhibit()),
    )


def with_this_model(before: Kept, after: Kept) -> Evaluation | None:
    """Return the nDCG that the baseline's index would give of the model of this run; only the index makes a difference to it.

    It is the nDCG of exact search now, less what the index lost then; with the same model, the nDCG of the baseline.
    """
    if not (before.ndcg and before.ndcg.evidence and before.exact and before.exact.evidence and after.exact):
        return None
    exact_before, ndcg, exact = (_units(one) for one in (before.exact, before.ndcg, after.exact))
    values = exact.values - (exact_before.values - ndcg.values)
    evidence = Evidence("mean", _UNIT, (replace(ndcg, values=values),))
    return replace(before.ndcg, score=evidence.value, parts={_PART: evidence.value}, evidence=evidence)


def change_lines(before: Kept, after: Kept, *, same_model: bool) -> Iterator[str]:
    """Say what got worse, the index or the model, and each one's part in numbers."""
    index = _is_worse(before.recall, after.recall) or _is_worse(with_this_model(before, after), after.ndcg)
    model = _is_worse(before.exact, after.exact)
    yield (
        f"worse by more than chance explains: {_WORSE[index, model]}"
        if index or model
        else "neither the index nor the model is worse by more than chance explains"
    )
    names = dict.fromkeys(one.recall.stages.get("index", "unknown") for one in (before, after))
    losses = [one.exact.score - one.ndcg.score for one in (before, after) if one.exact and one.ndcg]
    lost = f"; {NDCG} lost {losses[0]:.4f}, now {losses[1]:.4f}" if len(losses) > 1 else ""
    yield f"index: {' to '.join(names)}; {_moved(before.recall, after.recall)}{lost}"
    which = "the same" if same_model else "another"
    if before.exact and after.exact:
        yield f"model: {which}; {_moved(before.exact, after.exact)}"
    else:
        yield f"model: {which}; recall is of its own nearest documents, and no judgements tell how good they are"


def _is_worse(before: Evaluation | None, after: Evaluation | None) -> bool:
    both = before and after and before.evidence and after.evidence
    return bool(both and difference(before.evidence, after.evidence).is_drop)  # type: ignore[union-attr, arg-type]


def _moved(before: Evaluation, after: Evaluation) -> str:
    if not (before.evidence and after.evidence):
        return f"{after.metric} {before.score:.4f} to {after.score:.4f}"
    change = difference(before.evidence, after.evidence)
    if not change.moved:
        return f"{after.metric} unchanged at {after.score:.4f}"
    low, high = change.interval
    sure = "" if change.p_value < ALPHA else ", which chance explains"
    return f"{after.metric} {before.score:.4f} to {after.score:.4f} ({change.value:+.4f}; 95 % interval {low:+.4f} to {high:+.4f}{sure})"


def _units(evaluation: Evaluation) -> Units:
    assert evaluation.evidence  # noqa: S101  asked only where there are units
    return evaluation.evidence.parts[0]
