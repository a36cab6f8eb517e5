#!/usr/bin/env bash
# usearch 2.26.6: an index is made without naming a number format, float32 vectors are added, and exact=True asks for a full scan.
# Guess: the neighbours that numpy finds with the same vectors, all of them.
# Seen: the default format is bfloat16, into which vectors are rounded without a word. The exact search finds 99.2 % of the
# ten nearest of 2,000 random vectors (64 dimensions, 50 queries), and its distances are off by up to 0.0008. dtype="f32" finds all.
# Effect: who takes such a scan for the ground truth of a recall counts the rounding as a fault, or as no fault, of the index under test.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 usearch==2.26.6
cat > "$folder/check.py" <<'P'
import numpy as np
from usearch.index import Index

random = np.random.default_rng(0)
stored, asked = (random.standard_normal((rows, 64)).astype(np.float32) for rows in (2000, 50))
unit = [vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (stored, asked)]
nearest = np.argsort(-(unit[1] @ unit[0].T), axis=1)[:, :10]


def share(**chosen):
    index = Index(ndim=64, metric="cos", **chosen)
    index.add(np.arange(len(stored)), stored)
    found = index.search(asked, 10, exact=True)
    right = np.mean([len({*row.tolist()} & {*true.tolist()}) / 10 for row, true in zip(found.keys, nearest)])
    return str(index.dtype), right


default, named = share(), share(dtype="f32")
print("by default", *default, "| with dtype='f32'", *named)
assert named[1] == 1.0, "a scan in float32 is not exact either now: this finding is another one"
assert "BF16" in default[0] and default[1] < 1.0, "the default format is no bfloat16 now: this finding is over"
P
"$folder/venv/bin/python" "$folder/check.py"
