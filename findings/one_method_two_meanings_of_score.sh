#!/usr/bin/env bash
# langchain-core 1.8.3 and langchain-community 0.4.2: two vector stores with the same texts, the same vectors of length 1, and the
# same call, similarity_search_with_score, which both have from one base class.
# Guess: numbers that can be compared, more for the better text, as the name says.
# Seen: InMemoryVectorStore gives cosines (1.0 for the text itself, less behind it), FAISS gives squared Euclidean distances
# (0.0 for the text itself, more behind it). Both lists have the best first, and nothing in the result tells which is which.
# Effect: a threshold, a margin or a fusion by scores that was tuned on one store keeps the wrong texts on the other.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-core==1.8.3 langchain-community==0.4.2 faiss-cpu==1.15.1 numpy==2.4.6
cat > "$folder/check.py" <<'P'
import warnings

warnings.filterwarnings("ignore")
from langchain_community.vectorstores import FAISS
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore


class Fixed(Embeddings):
    """Vectors of length 1, by text."""

    vectors = {"a dog": [1.0, 0.0], "a puppy": [0.8, 0.6], "a tax form": [0.0, 1.0]}

    def embed_documents(self, texts):
        return [self.vectors[text] for text in texts]

    def embed_query(self, text):
        return self.vectors[text]


def scores(store):
    found = store.from_texts(list(Fixed.vectors), Fixed()).similarity_search_with_score("a dog", k=3)
    return [(document.page_content, round(float(score), 2)) for document, score in found]


memory, faiss = scores(InMemoryVectorStore), scores(FAISS)
print("InMemoryVectorStore", memory)
print("FAISS", faiss)
assert [text for text, _ in memory] == [text for text, _ in faiss] == list(Fixed.vectors)
assert [score for _, score in memory] == [1.0, 0.8, 0.0], "the store in memory gives other scores now: this finding is over"
assert [score for _, score in faiss] == [0.0, 0.4, 2.0], "FAISS gives no squared distances now: this finding is over"
P
"$folder/venv/bin/python" "$folder/check.py"
