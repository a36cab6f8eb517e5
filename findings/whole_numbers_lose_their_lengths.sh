#!/usr/bin/env bash
# usearch 2.26.6: an index of int8 (dtype="i8") compared by the squared Euclidean distance (metric="l2sq"), float32 vectors added.
# Guess: int8 costs a few per cent of the neighbours, as scalar quantisation with one scale does.
# Seen: each vector is scaled by its own length before it is rounded, for a distance too that is about lengths: of the ten
# nearest of 2,000 random vectors (64 dimensions, 50 queries) fewer than half are found, by a full scan, and nothing is said.
# With vectors of one length, which is what the scaling assumes, nine of ten are found.
# Effect: an index compared by distance loses half of its recall with a setting that looks like a matter of memory.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 usearch==2.26.6
cat > "$folder/check.py" <<'P'
import numpy as np
from usearch.index import Index

random = np.random.default_rng(0)
stored, asked = (random.standard_normal((rows, 64)).astype(np.float32) for rows in (2000, 50))


def share(stored, asked):
    index = Index(ndim=64, metric="l2sq", dtype="i8")
    index.add(np.arange(len(stored)), stored)
    found = index.search(asked, 10, exact=True).keys
    nearest = np.argsort(((asked[:, None] - stored[None]) ** 2).sum(axis=2), axis=1)[:, :10]
    return np.mean([len({*row.tolist()} & {*true.tolist()}) / 10 for row, true in zip(found, nearest)])


def of_one_length(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


as_they_are, of_length_one = share(stored, asked), share(of_one_length(stored), of_one_length(asked))
print(f"of the ten nearest: {as_they_are:.3f} as they are, {of_length_one:.3f} with length 1")
assert as_they_are < 0.6, "lengths are kept now: this finding is over"
assert of_length_one > 0.85, "vectors of length 1 lose their neighbours, too: this finding is another one"
P
"$folder/venv/bin/python" "$folder/check.py"
