#!/usr/bin/env bash
# sentence-transformers 6.2.0: a folder whose modules end in Normalize, and whose config_sentence_transformers.json has truncate_dim.
# Guess: vectors of length 1, for the last module normalises.
# Seen: vectors are cut after the last module, so their lengths are below 1 and differ from text to text. With
# similarity_fn_name "dot", which is the same as the cosine for whole vectors of this model, neighbours come in another order.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 sentence-transformers==6.2.0
cd "$folder"
cat > check.py <<'P'
import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import Pooling, WordEmbeddings
from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

words = ["river", "water", "house"]
table = np.array([[3, 1, 0, 4], [4, 3, 0, 0], [1, 0, 5, 1]], dtype=np.float32)
modules = [WordEmbeddings(WhitespaceTokenizer(words, stop_words=set()), table), Pooling(4, "mean"), Normalize()]
SentenceTransformer(modules=modules, truncate_dim=2, similarity_fn_name="dot", device="cpu").save_pretrained("model", create_model_card=False)

model = SentenceTransformer("model", device="cpu")
vectors = model.encode(words)
lengths = np.linalg.norm(vectors, axis=1)
print("last module:", type(model[-1]).__name__, " lengths of the vectors:", lengths.round(3))
by_dot = np.argsort(-(vectors @ vectors.T)[0])
by_cosine = np.argsort(-((vectors / lengths[:, None]) @ (vectors / lengths[:, None]).T)[0])
print("nearest to 'river' by the model's own similarity:", [words[row] for row in by_dot], " by the cosine:", [words[row] for row in by_cosine])
assert (lengths < 0.99).any() and len(set(lengths.round(3))) == 3, "vectors are normalised after the cut now: this finding is over"
assert by_dot.tolist() != by_cosine.tolist(), "both orders agree now: this finding is over"
P
"$folder/venv/bin/python" check.py
