#!/usr/bin/env bash
# hnswlib 0.8.0: an index with allow_replace_deleted=True. A hundred rows are deleted and added again, with new vectors, under
# their old labels (replace_deleted=True), as an update of documents does.
# Guess: the new rows take the places of the deleted ones, and every label stands for its new vector.
# Seen: a row takes the place of any deleted row, and with that place the label that it had before is forgotten, even if it has
# been used again by then. About half of the labels can no longer be read or deleted ("Label not found"), while a search still
# returns their rows.
# Effect: documents that were updated once can't be updated or removed any more, and stay in the results.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet setuptools wheel numpy==2.4.6 pybind11
"$folder/venv/bin/pip" install --quiet hnswlib==0.8.0
cd "$folder"
cat > check.py <<'P'
import hnswlib
import numpy as np

rng = np.random.default_rng(5)
vectors = rng.normal(size=(1000, 16)).astype(np.float32)
index = hnswlib.Index("l2", 16)
index.init_index(max_elements=1000, allow_replace_deleted=True)
index.add_items(vectors, np.arange(1000))
index.set_ef(200)
for label in range(100):
    index.mark_deleted(label)
index.add_items(vectors[:100] + 1, np.arange(100), replace_deleted=True)
lost = []
for label in range(100):
    try:
        index.get_items([label])
    except RuntimeError as error:
        lost.append(label)
        said = error
found, _ = index.knn_query(vectors[lost] + 1, k=1)
alive = int((found[:, 0] == np.array(lost)).sum())
print(f"{len(lost)} of 100 labels can no longer be read or deleted ({said}); a search still finds {alive} of these")
assert 20 < len(lost) < 80 and alive > 0.9 * len(lost)
P
"$folder/venv/bin/python" check.py
