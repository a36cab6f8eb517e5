"""Evidence of a score: its per-unit values, of which mteb's result has only the means.

mteb hands them out in two places: per-query scores with the rankings behind them, and the predictions that it can
save for every other type of task. A recorder catches both in memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from mteb.abstasks import (
    AbsTask,
    AbsTaskClassification,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
)
from mteb.abstasks.multilabel_classification import AbsTaskMultilabelClassification
from mteb.abstasks.regression import AbsTaskRegression
from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining

from pytest_embedqa.core.evidence import Evidence, Exhibit, Units
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.quality.mteb.corpus import Corpus
from pytest_embedqa.quality.mteb.tasks import PER_QUERY, gold_of, rows_of

# Numbers for each ranking: documents kept, documents kept with text, characters kept of a text, characters read of it.
_RANKED, _SHOWN, _CHARACTERS, _READ = 100, 10, 160, 400
# Evidence whose score differs from mteb's by more than this is dropped. mteb rounds retrieval scores to five digits.
_SAME = 1e-5


class EvidenceRecorder:
    """A recorder of the per-unit values of an evaluation.

    Attributes:
        exhibits: Texts and rankings of the units to show, by split and subset.
    """

    def __init__(self, tasks: Iterable[AbsTask]) -> None:
        """Listen to tasks, which must be instances of their own."""
        self.exhibits: dict[tuple[str, str], Exhibit] = {}
        self._tasks = list(tasks)
        self._units: dict[str, list[Units]] = defaultdict(list)
        self._kinds: dict[str, tuple[str, str]] = {}
        for task in self._tasks:
            task._save_task_predictions = self._listener(task)  # noqa: SLF001  the only access to mteb's predictions
            if isinstance(task, AbsTaskRetrieval):
                self._listen_to_queries(task)

    def stop(self) -> None:
        """Let go of the tasks: until then, recorder and tasks hold each other, and so all their data, in memory."""
        for task in self._tasks:
            for listener in ("_save_task_predictions", "task_specific_scores"):
                vars(task).pop(listener, None)
        self._tasks = []

    def evidence(self, scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Evidence]:
        """Return evidence by metric, for the metrics whose units give exactly mteb's score.

        Args:
            scores: mteb's metrics by split and subset.
        """
        self._add_repetitions(scores)
        found = {metric: Evidence(*self._kinds[metric], tuple(parts)) for metric, parts in self._units.items()}
        flat = [part for subsets in scores.values() for part in subsets.values()]
        return {
            metric: evidence
            for metric, evidence in found.items()
            if all(isinstance(part.get(metric), int | float) for part in flat)
            and abs(evidence.value - np.mean([part[metric] for part in flat])) < _SAME
        }

    def _add(self, metric: str, units: Units, *, statistic: str = "mean", unit: str) -> None:
        self._units[metric].append(units)
        self._kinds[metric] = (statistic, unit)

    def _listener(self, task: AbsTask) -> Callable[..., None]:
        read = next((read for kind, read in self._readers().items() if isinstance(task, kind)), None)

        def listen(predictions: Any, *_: Any, hf_split: str, hf_subset: str) -> None:
            if read:
                read(task, predictions, hf_split, hf_subset)

        return listen

    def _readers(self) -> dict[type[AbsTask], Callable[[Any, Any, str, str], None] | None]:
        """Return the reader of each type's predictions; a special case of another type comes before that type."""
        return {
            AbsTaskMultilabelClassification: None,
            AbsTaskRegression: None,
            AbsTaskClassification: self._classes,
            AbsTaskSTS: self._grades,
            AbsTaskPairClassification: self._pairs,
            AbsTaskBitextMining: self._translations,
        }

    def _listen_to_queries(self, task: AbsTaskRetrieval) -> None:
        own = task.task_specific_scores

        def listen(
            scores: Mapping[str, Mapping[str, float]],
            qrels: Mapping[str, Mapping[str, int]],
            results: Mapping[str, Mapping[str, float]],
            hf_split: str,
            hf_subset: str,
        ) -> dict[str, float]:
            ids = tuple(scores)
            for stem, key in PER_QUERY.items():
                for k in task.k_values:
                    values = np.array([scores[query][f"{key}_{k}"] for query in ids])
                    self._add(f"{stem}_at_{k}", Units(hf_split, hf_subset, ids, values), unit="queries")
            self.exhibits[hf_split, hf_subset] = _rankings(rows_of(task, hf_split, hf_subset), ids, qrels, results)
            specific: dict[str, float] = own(scores, qrels, results, hf_split=hf_split, hf_subset=hf_subset)
            return specific

        task.task_specific_scores = listen

    def _classes(
        self, task: AbsTaskClassification, predictions: Sequence[Sequence[Any]], split: str, subset: str
    ) -> None:
        rows = rows_of(task, split, subset)
        labels = np.asarray(rows[task.label_column_name])
        if task.is_cross_validation or not isinstance(task.input_column_name, str):
            return
        right = np.mean([np.asarray(one) == labels for one in predictions], axis=0)
        texts = self._show(split, subset, rows[task.input_column_name])
        self._add("accuracy", Units(split, subset, texts, right), unit="texts")

    def _grades(self, task: AbsTaskSTS, predictions: Mapping[str, Any], split: str, subset: str) -> None:
        rows = rows_of(task, split, subset)
        ids = self._show(split, subset, *(rows[column] for column in task.column_names))
        units = Units(split, subset, ids, _array(predictions["cosine_scores"]), _array(rows["score"]))
        for metric in ("spearman", "pearson"):
            self._add(f"cosine_{metric}", units, statistic=metric, unit="pairs")

    def _pairs(self, task: AbsTaskPairClassification, predictions: Mapping[str, Any], split: str, subset: str) -> None:
        rows = rows_of(task, split, subset)
        rows = rows[0] if len(rows) == 1 else rows
        ids = self._show(split, subset, rows[task.input1_column_name], rows[task.input2_column_name])
        labels = _array(rows[task.label_column_name])
        best = None
        for name in ("cosine_scores", "dot_scores", "similarity_scores", "manhattan_distances", "euclidean_distances"):
            sign = -1 if name.endswith("distances") else 1
            units = Units(split, subset, ids, sign * _array(predictions[name]), labels)
            self._add(f"{name.partition('_')[0]}_ap", units, statistic="average_precision", unit="pairs")
            value = Evidence("average_precision", "pairs", (units,)).value
            if best is None or value > best[0]:
                best = value, units
        if best:
            self._add("max_ap", best[1], statistic="average_precision", unit="pairs")

    def _translations(self, task: AbsTaskBitextMining, predictions: Mapping[str, Any], split: str, subset: str) -> None:
        rows = task.dataset[split] if subset == "parallel" else rows_of(task, split, subset)
        for pair, neighbours in predictions.items():
            first, second = pair.split("-", 1)
            gold = gold_of(rows, len(neighbours))
            found = [one["corpus_id"] for one in neighbours]
            part = pair if subset == "parallel" else subset
            ids = self._show(split, part, rows[first])
            rankings = {unit: [str(place)] for unit, place in zip(ids, found, strict=True)}
            relevant = {unit: [str(place)] for unit, place in zip(ids, gold, strict=True)}
            wanted = sorted({*found, *gold})
            texts = {str(place): _cut(rows[second][place]) for place in wanted}
            self.exhibits[split, part] = Exhibit(self.exhibits[split, part].texts, rankings, relevant, texts)
            hits = np.array([a == b for a, b in zip(found, gold, strict=True)], dtype=np.float64)
            for metric, values in (("accuracy", hits), ("recall", hits), ("f1", _f1_of_labels(gold, found))):
                self._add(metric, Units(split, part, ids, values), unit="sentences")

    def _add_repetitions(self, scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Add mteb's repetitions where there are no units: clusterings of samples, classifiers trained on draws."""
        for split, subsets in scores.items():
            for subset, part in subsets.items():
                by_level = part.get("v_measures")
                if by_level:
                    values = list(by_level.values()) if isinstance(by_level, Mapping) else [by_level]
                    self._repeated("v_measure", "clusterings", split, subset, np.concatenate(values))
                experiments = part.get("scores_per_experiment") or [{}]
                for metric in set(experiments[0]) - {"accuracy"}:
                    values = [experiment.get(metric) for experiment in experiments]
                    if all(isinstance(value, int | float) for value in values):
                        self._repeated(metric, "experiments", split, subset, np.array(values))

    def _repeated(self, metric: str, unit: str, split: str, subset: str, values: Floats) -> None:
        ids = tuple(str(number) for number in range(len(values)))
        self._add(metric, Units(split, subset, ids, np.asarray(values, dtype=np.float64)), unit=unit)

    def _show(self, split: str, subset: str, *columns: Sequence[str]) -> tuple[str, ...]:
        """Keep the texts of rows, and return the ids of the rows, which are their numbers."""
        texts = {str(row): _cut(" ↔ ".join(parts)) for row, parts in enumerate(zip(*columns, strict=True))}
        self.exhibits[split, subset] = Exhibit(texts)
        return tuple(texts)


def _rankings(
    rows: Any,  # mteb's data of a split
    ids: Sequence[str],
    qrels: Mapping[str, Mapping[str, int]],
    results: Mapping[str, Mapping[str, float]],
) -> Exhibit:
    best = {
        # Among equal scores, trec_eval puts the greater id first.
        query: sorted(results[query], key=lambda document: (results[query][document], document), reverse=True)[:_RANKED]
        for query in ids
    }
    relevant = {query: [document for document, grade in qrels[query].items() if grade > 0] for query in ids}
    wanted = {document for documents in (*best.values(), *relevant.values()) for document in documents[:_SHOWN]}
    queries, corpus = rows["queries"], Corpus(rows["corpus"])
    numbers = corpus.numbers(wanted)
    documents = dict(zip(numbers, map(_cut, corpus.texts(list(numbers.values()))), strict=True))
    texts = {id_: _cut(text) for id_, text in zip(queries["id"], queries["text"], strict=True)}
    return Exhibit(texts, best, relevant, documents)


def _array(values: Any) -> Floats:  # a list, or a tensor
    return np.asarray(values, dtype=np.float64)


def _f1_of_labels(gold: Sequence[int], found: Sequence[int]) -> Floats:
    """Return the F1 of each unit's own label: mteb's weighted F1 is the mean of these."""
    right: dict[int, int] = defaultdict(int)
    named: dict[int, int] = defaultdict(int)
    for label, prediction in zip(gold, found, strict=True):
        right[label] += label == prediction
        named[label] += 1
        named[prediction] += 1
    return np.array([2 * right[label] / named[label] for label in gold])


def _cut(text: object) -> str:
    whole = str(text)
    head = whole[:_READ]
    # A terminal would obey characters that can't be printed.
    line = " ".join("".join(one if one.isprintable() else " " for one in head).split())
    return line if len(line) <= _CHARACTERS and head == whole else f"{line[: _CHARACTERS - 1]}…"
