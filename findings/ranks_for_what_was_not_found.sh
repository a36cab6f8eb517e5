#!/usr/bin/env bash
# mteb 2.26.24 with bm25s 0.3.16: BM25 in a hybrid search (HybridSearch, reciprocal rank fusion).
# Guess: a document that holds no word of the query is not in BM25's list, and gets nothing from it.
# Seen: BM25's list is filled up to top_k with such documents, at score 0.0, and the fusion orders them by descending id and counts
# their ranks: "i", which the dense model has at rank 9 of 10, comes before "b", its second.
# Also seen: given candidates (top_ranked), BM25 searches the whole corpus and drops the candidates that are not among its first top_k.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 mteb==2.26.24 bm25s==0.3.16 PyStemmer==3.1.0
cd "$folder"
cat > check.py <<'P'
import mteb
from datasets import Dataset
from mteb.models.hybrid_wrappers import fuse_rrf
from mteb.models.model_implementations.bm25 import BM25Search

about = {"task_metadata": mteb.get_task("SciFact").metadata, "hf_split": "test", "hf_subset": "default", "encode_kwargs": {}}
texts = dict.fromkeys("abcdefghi", "bread and butter") | {"j": "a night train"}
bm25 = BM25Search()
bm25.index(Dataset.from_list([{"id": one, "title": "", "text": text} for one, text in texts.items()]), **about)
query = Dataset.from_list([{"id": "q", "text": "trains"}])
found = bm25.search(query, top_k=10, **about)["q"]
print("BM25:", found)
assert list(found.values()).count(0.0) == 9, "what was not found is left out now: this finding is over"
dense = {one: 1 - place / 10 for place, one in enumerate("abcdefghij")}
fused = fuse_rrf([dense, found], [0.5, 0.5])
order = sorted(fused, key=lambda one: (fused[one], one), reverse=True)
print("dense:", "".join(dense), " fused:", "".join(order))
assert order.index("i") < order.index("b"), "the fusion knows what was not found now: this finding is over"
kept = bm25.search(query, top_k=1, top_ranked={"q": ["a", "b"]}, **about)["q"]
print("of the candidates a and b, with top_k=1:", kept)
assert not kept, "candidates are all scored now: this finding is over"
P
"$folder/venv/bin/python" check.py
