#!/usr/bin/env bash
# usearch 2.26.6: an index of three vectors is asked for ten neighbours, for two queries at once.
# Guess: three results for each query, or places that are marked by a key that no document has (faiss gives -1).
# Seen: the array `keys` has ten places, of which seven hold key 0, the key of a document; only the distances beside them
# (NaN) and `counts` tell. One query alone gets three.
# Effect: who reads `keys` gives the first document to every question whose answers run out: filtered searches, small tenants.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 usearch==2.26.6
cat > "$folder/check.py" <<'P'
import numpy as np
from usearch.index import Index

index = Index(ndim=4, metric="cos", dtype="f32")
index.add(np.arange(3), np.eye(4, dtype=np.float32)[:3])
asked = np.array([[0, 1, 0, 0], [0, 0, 1, 0]], dtype=np.float32)
alone, together = index.search(asked[0], 10), index.search(asked, 10)
print("one query:", alone.keys.tolist())
print("two queries:", together.keys.tolist(), together.distances.tolist(), together.counts.tolist())
assert len(alone.keys) == 3, "one query alone is filled up, too: this finding is another one"
assert together.keys.shape == (2, 10), "places without a hit are left out now: this finding is over"
assert (together.keys[:, 3:] == 0).all(), "places without a hit have another key now: this finding is over"
P
"$folder/venv/bin/python" "$folder/check.py"
