#!/usr/bin/env bash
# LanceDB 0.40.0: a column with several vectors a row (late interaction), and a search by the dot product.
# Guess: an error, for the documentation says that multivector search supports the cosine alone.
# Seen: without an index it searches by the dot product, also of vectors that are not of length 1, and ranks by MaxSim. What it
# calls _distance is the number of query vectors less MaxSim, for the dot product as for the cosine, so it is below zero where
# dot products are large, and two queries of different lengths have distances on different scales.
# Effect: a bound on _distance that is tuned on short questions lets through or refuses something else on long ones.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lancedb==0.40.0 pyarrow==26.0.1 numpy
cd "$folder"
cat > check.py <<'P'
import tempfile

import lancedb
import numpy as np
import pyarrow as pa

rng = np.random.default_rng(7)
width = 16
# Token vectors of many lengths: a cosine and a dot product differ.
documents = [(rng.normal(size=(count, width)) * 3).astype(np.float32) for count in (2, 5, 9, 3, 7)]
query = (rng.normal(size=(4, width)) * 3).astype(np.float32)
rows = pa.table(
    {"id": pa.array(range(5)), "vector": pa.array([one.tolist() for one in documents], pa.list_(pa.list_(pa.float32(), width)))}
)
table = lancedb.connect(tempfile.mkdtemp()).create_table("documents", rows)

def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

dots = np.array([(query @ one.T).max(axis=1).sum() for one in documents])
cosines = np.array([(unit(query) @ unit(one).T).max(axis=1).sum() for one in documents])
for kind, scores in (("dot", dots), ("cosine", cosines)):
    found = table.search(query.tolist(), vector_column_name="vector").distance_type(kind).limit(5).to_list()
    distances = np.array([one["_distance"] for one in sorted(found, key=lambda one: one["id"])])
    print(kind, "distance plus score:", np.round(distances + scores, 4))
    assert np.allclose(distances, len(query) - scores, atol=1e-3), f"{kind} is no longer the number of query vectors less MaxSim"
P
"$folder/venv/bin/python" check.py
