"""A LangChain pipeline under test, as it is:  pytest docs/examples/langchain."""

from __future__ import annotations

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore

from pytest_embedqa import Passage


class UnderTest(Embeddings):
    """The encoder under test, as LangChain calls one."""

    def __init__(self, encoder):
        self.encoder = encoder

    def embed_documents(self, texts):
        return self.encoder.encode(texts, kind="document").tolist()

    def embed_query(self, text):
        return self.encoder.encode([text], kind="query")[0].tolist()


@pytest.fixture
def retriever(encoder, probe_corpus):
    """Your own chain stands here: whatever it does, a probe sees the passages that come back."""
    store = InMemoryVectorStore(UnderTest(encoder))
    files = sorted(probe_corpus.glob("*.md"))
    store.add_documents([Document(file.read_text("utf-8"), metadata={"source": file.name}) for file in files])

    def search(query, k):
        found = store.similarity_search_with_score(query, k)
        return [Passage(one.page_content, one.metadata["source"], score=score) for one, score in found]

    return search
