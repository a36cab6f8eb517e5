"""A LlamaIndex pipeline under test, as it is:  pytest docs/examples/llama_index."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.schema import TextNode

from pytest_embedqa import Passage


class UnderTest(BaseEmbedding):
    """The encoder under test, as LlamaIndex calls one."""

    encoder: Any

    def _get_text_embedding(self, text):
        return self.encoder.encode([text], kind="document")[0].tolist()

    def _get_query_embedding(self, query):
        return self.encoder.encode([query], kind="query")[0].tolist()

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)


@pytest.fixture
def retriever(encoder, probe_corpus):
    """Your own index stands here: whatever it does, a probe sees the passages that come back."""
    files = sorted(probe_corpus.glob("*.md"))
    nodes = [TextNode(text=file.read_text("utf-8"), metadata={"source": file.name}) for file in files]
    for node in nodes:
        node.excluded_embed_metadata_keys = ["source"]
    index = VectorStoreIndex(nodes, embed_model=UnderTest(encoder=encoder))

    def search(query, k):
        found = index.as_retriever(similarity_top_k=k).retrieve(query)
        return [Passage(one.text, one.metadata["source"], score=one.score) for one in found]

    return search
