#!/usr/bin/env bash
# mteb 2.26.24 (pytrec-eval-terrier 0.5.11): a search model returns two documents, the relevant one first by a billionth.
# Guess: nDCG@1 and MRR are 1, for the relevant document has the higher score.
# Seen: nDCG@1 of this query is 0 and its MRR 1. trec_eval keeps scores in single precision, in which both are equal, and puts the greater
# id first; mteb computes MRR itself, in double precision. And a query that the model leaves out of its answer, as it found
# nothing, is left out of every mean: nDCG rises from 0.5 to 1. With an empty answer it counts as 0.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 mteb==2.26.24 pytrec-eval-terrier==0.5.11
cd "$folder"
cat > check.py <<'P'
import mteb
from datasets import Dataset
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models.model_meta import ModelMeta


class Two(AbsTaskRetrieval):
    metadata = TaskMetadata(
        name="Two", description="two documents", type="Retrieval", category="t2t", reference=None, eval_splits=["test"],
        eval_langs=["eng-Latn"], main_score="ndcg_at_1", dataset={"path": "local/two", "revision": "1"},
    )

    def load_data(self, **_):
        rows = {name: Dataset.from_list([{"id": f"{name[0]}{one}", "text": f"{name} {one}"} for one in (1, 2)]) for name in ("corpus", "queries")}
        judged = {"q1": {"c1": 1}, "q2": {"c2": 1}}
        self.dataset = {"default": {"test": {**rows, "relevant_docs": judged, "top_ranked": None}}}
        self.data_loaded = True


class Search:
    mteb_model_meta = ModelMeta.create_empty(overwrites={"name": "own/search"})

    def __init__(self, answers):
        self.answers = answers

    def index(self, corpus, **_): ...

    def search(self, queries, **_):
        return self.answers


def scores(answers):
    (result,) = mteb.evaluate(Search(answers), Two(), cache=None, co2_tracker=False, show_progress_bar=False)
    found = result.scores["test"][0]
    return found["ndcg_at_1"], found["mrr_at_1"]


close = scores({"q1": {"c1": 0.500000002, "c2": 0.500000001}, "q2": {"c2": 1.0}})
print("relevant document first by a billionth: nDCG@1, MRR =", close)
empty, left_out = scores({"q1": {"c1": 1.0}, "q2": {}}), scores({"q1": {"c1": 1.0}})
print("nothing found for one of two queries: with an empty answer", empty, " left out", left_out)
assert close == (0.5, 1.0) and empty == (0.5, 0.5) and left_out == (1.0, 1.0), "mteb scores this otherwise now: this finding is over"
P
"$folder/venv/bin/python" check.py
