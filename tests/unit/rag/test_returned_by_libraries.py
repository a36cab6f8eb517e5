"""What vector stores and frameworks really return is read as passages, their distances as distances."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.retrievers.callables import require_callable
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.retrievers.returned import passages_of
from pytest_embedqa.rag.asking import Asker
from pytest_embedqa.rag.probe import Expect, Pattern, Probe, Reject

TEXTS = ["The ferry leaves at seven.", "The old ferry left at six.", "Bread is baked daily."]
VECTORS = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1]], dtype=np.float32)
QUERY = np.array([1, 0, 0], dtype=np.float32)
# The second text, which is rejected, is searched for: it is nearest, and the expected one farther by 0.4 (squared L2).
WRONG = VECTORS[1]
MARGIN = Probe("p", "q", Expect((Pattern("at seven"),)), (Reject(Pattern("at six"), 0.05),))


def installed(name):
    """A library, or a skip: not all of them are among what this project is tested with."""
    return pytest.importorskip(name, reason=f"{name} is not installed")


def chroma():
    """A client of Chroma in memory that tells nobody: a process has one, with the same settings each time."""
    chromadb = installed("chromadb")
    return chromadb.EphemeralClient(chromadb.Settings(anonymized_telemetry=False))


def answer(found, k=2):
    """What comes back, judged."""
    return Asker().ask(lambda *_: found, MARGIN, k)


def test_chroma():
    """The dictionary of one query is read whole, and its distances are distances."""
    table = chroma().get_or_create_collection("embedqa-ferries", embedding_function=None)
    table.upsert(ids=list("abc"), documents=TEXTS, embeddings=VECTORS, metadatas=[{"source": "timetable.md"}] * 3)
    found = table.query(query_embeddings=[QUERY], n_results=2)
    assert passages_of(found, "mine")[0] == Passage(TEXTS[0], "timetable.md", score=0, distance=0)
    assert answer(found).holds
    assert "it is -0.4000" in answer(table.query(query_embeddings=[WRONG], n_results=2)).intruders[0]
    with pytest.raises(EngineError, match="not the answer to one query with its texts"):
        answer(table.query(query_embeddings=[QUERY], include=["distances"]))


def test_lancedb(tmp_path):
    """Rows with columns of a user's own are read, and ``_distance`` is a distance."""
    lancedb = installed("lancedb")
    rows = [
        {"text": text, "vector": vector, "source": "timetable.md", "chapter": 1}
        for text, vector in zip(TEXTS, VECTORS, strict=True)
    ]
    table = lancedb.connect(tmp_path).create_table("ferries", rows)
    found = table.search(QUERY).limit(2).to_list()
    assert passages_of(found, "mine")[0] == Passage(TEXTS[0], "timetable.md", score=0, distance=0)
    assert answer(found).holds
    assert "it is -0.4000" in answer(table.search(WRONG).limit(2).to_list()).intruders[0]
    with pytest.raises(EngineError, match="returned a Table"):
        answer(table.search(QUERY).to_arrow())


def test_langchain():
    """Documents, and pairs of a document and its score, are read."""
    installed("langchain_core")
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore

    class Fixed(Embeddings):
        def embed_documents(self, texts):
            return VECTORS[: len(texts)].tolist()

        def embed_query(self, text):  # noqa: ARG002
            return QUERY.tolist()

    store = InMemoryVectorStore(Fixed())
    store.add_texts(TEXTS, [{"source": "timetable.md", "page": 0}] * 3)
    found = store.similarity_search_with_score("q", 2)
    assert passages_of(found, "mine")[0] == Passage(TEXTS[0], "timetable.md", score=pytest.approx(1))
    assert answer(found).holds
    documents = store.as_retriever(search_kwargs={"k": 2}).invoke("q")
    assert passages_of(documents, "mine") == [Passage(text, "timetable.md") for text in TEXTS[:2]]
    with pytest.raises(EngineError, match="returned a VectorStoreRetriever, which can't be called"):
        require_callable(store.as_retriever())


def test_distances_of_langchain():
    """Its Chroma gives a distance where another store gives a score: refused, and declared in one line."""
    Chroma = installed("langchain_chroma").Chroma  # noqa: N806
    from langchain_core.embeddings.fake import FakeEmbeddings

    store = Chroma("embedqa-pairs", client=chroma(), embedding_function=FakeEmbeddings(size=3))
    store._collection.upsert(ids=list("abc"), documents=TEXTS, embeddings=VECTORS)
    found = store.similarity_search_by_vector_with_relevance_scores(WRONG.tolist(), 2)
    with pytest.raises(EngineError, match="contradict its order"):
        answer(found)
    assert "it is -0.4000" in answer([Passage(one.page_content, distance=far) for one, far in found]).intruders[0]


def test_llama_index():
    """Nodes with their scores are read, without the metadata that it puts before texts."""
    installed("llama_index.core")
    from llama_index.core.schema import NodeWithScore, TextNode

    nodes = [TextNode(text=text, metadata={"file_name": "timetable.md", "page_label": "iv"}) for text in TEXTS]
    found = [NodeWithScore(node=node, score=score) for node, score in zip(nodes, (0.9, 0.5), strict=False)]
    assert passages_of(found, "mine")[0] == Passage(TEXTS[0], "timetable.md", score=0.9)
    assert passages_of(nodes[:1], "mine") == [Passage(TEXTS[0], "timetable.md")]
    assert answer(found).holds


def test_haystack():
    """What a retriever of Haystack runs to is read."""
    Document = installed("haystack").Document  # noqa: N806
    found = {"documents": [Document(content=TEXTS[0], meta={"file_path": "timetable.md"}, score=0.9)]}
    assert passages_of(found, "mine") == [Passage(TEXTS[0], "timetable.md", score=0.9)]


def test_faiss():
    """Its arrays are of all queries at once: refused; distances in hand-made pairs, and its fillers, too."""
    faiss = installed("faiss")
    index = faiss.IndexFlatL2(3)
    index.add(VECTORS)
    distances, rows = index.search(WRONG[None], 5)
    with pytest.raises(EngineError, match="at rank 1 a ndarray"):
        answer((distances, rows))
    pairs = [(TEXTS[row], far) for row, far in zip(rows[0], distances[0], strict=True)]
    with pytest.raises(EngineError, match=r"at rank 4 .* with which faiss fills places without a hit"):
        answer(pairs)
    with pytest.raises(EngineError, match="contradict its order"):
        answer(pairs[:2])


def test_usearch():
    """Its matches hold no texts: refused; its distances in passages are taken."""
    index = installed("usearch.index").Index(ndim=3, metric="cos", dtype="f32")
    index.add(np.arange(3), VECTORS)
    found = index.search(QUERY, 2)
    with pytest.raises(EngineError, match="returned a Matches"):
        answer(found)
    assert answer([Passage(TEXTS[one.key], distance=one.distance) for one in found]).holds


def test_hnswlib():
    """Its arrays are of all queries at once: refused; its distances in passages are taken."""
    index = installed("hnswlib").Index("cosine", 3)
    index.init_index(3)
    index.add_items(VECTORS)
    rows, distances = index.knn_query(QUERY, 2)
    with pytest.raises(EngineError, match="at rank 1 a ndarray"):
        answer((rows, distances))
    assert answer([Passage(TEXTS[row], distance=far) for row, far in zip(rows[0], distances[0], strict=True)]).holds


def test_qdrant():
    """Its points hold a payload of a user's own: refused; with a Euclidean distance its score is one."""
    qdrant = installed("qdrant_client")
    client, models = qdrant.QdrantClient(":memory:"), qdrant.models
    settings = models.VectorParams(size=3, distance=models.Distance.EUCLID)
    client.create_collection("ferries", vectors_config=settings)
    points = [
        models.PointStruct(id=row, vector=VECTORS[row].tolist(), payload={"text": TEXTS[row]}) for row in range(3)
    ]
    client.upsert("ferries", points)
    found = client.query_points("ferries", query=WRONG.tolist(), limit=2)
    with pytest.raises(EngineError, match="returned a QueryResponse"):
        answer(found)
    with pytest.raises(EngineError, match="at rank 1 a ScoredPoint"):
        answer(found.points)
    with pytest.raises(EngineError, match="contradict its order"):
        answer([Passage(one.payload["text"], score=one.score) for one in found.points])
    assert (
        "it is -0.6325"
        in answer([Passage(one.payload["text"], distance=one.score) for one in found.points]).intruders[0]
    )


def test_tables_of_pandas():
    """A table yields the names of its columns: refused; its records are read."""
    pandas = installed("pandas")
    table = pandas.DataFrame({"text": TEXTS[:2], "score": [0.9, 0.5]})
    with pytest.raises(EngineError, match="returned a DataFrame"):
        answer(table)
    assert answer(table.to_dict("records")).holds
