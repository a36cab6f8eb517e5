#!/usr/bin/env bash
# sentence-transformers 6.2.0: a model's folder declares the prompts "query" and "passage", as models of the E5 family do.
# Guess: encode_document() puts the prompt "passage" in front, for its documentation lists "document", "passage" and "corpus".
# Seen: it puts nothing in front. A model is given empty prompts "query" and "document" before the folder's own are read,
# "document" is looked for first, and an empty prompt counts as found. encode_query() does apply "query".
# Effect: documents are encoded without the prompt that the model was trained with, and nothing says so.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 sentence-transformers==6.2.0
cd "$folder"
cat > check.py <<'P'
import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import BoW

words = ["query:", "passage:", "river", "water"]
made = SentenceTransformer(modules=[BoW(words)], prompts={"query": "query: ", "passage": "passage: "}, device="cpu")
made.save_pretrained("model", create_model_card=False)
model = SentenceTransformer("model", device="cpu")
print("prompts of the loaded model:", model.prompts)

with_prompt = model.encode(["river"], prompt_name="passage")
as_document = model.encode_document(["river"])
as_query = model.encode_query(["river"])
without = model.encode(["river"], prompt="")
print("prompt_name='passage':", with_prompt[0], " encode_document:", as_document[0], " no prompt:", without[0])
assert not np.array_equal(with_prompt, without), "the prompt makes no difference here, so nothing is shown"
assert np.array_equal(as_query, model.encode(["river"], prompt_name="query")), "encode_query has changed"
assert np.array_equal(as_document, without), "encode_document now applies the passage prompt: this finding is over"
P
"$folder/venv/bin/python" check.py
