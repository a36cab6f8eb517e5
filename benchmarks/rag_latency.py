"""Measure the time from question to passages: BM25, a model of any kind, both fused, and the model behind BM25.

python benchmarks/rag_latency.py [--model SPEC] [--random-vectors] [--index lancedb] [--passages 10000] [--queries 200]

The model encodes every query anew, or scores every pair; nothing is looked up. With --random-vectors it does not encode the
passages, which takes minutes: the cost of a search does not depend on what the vectors mean. The chains take turns,
query by query, so that other load on the machine affects all of them.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.load import load_model
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, TextKind
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.engine_parity.texts import strata
from pytest_embedqa.rag.choices import INDEXES, Retrieval
from pytest_embedqa.rag.retrieval import build_chain

if TYPE_CHECKING:
    from pytest_embedqa.encoders.engine import Vectors

RETRIEVALS = ("bm25", "model", "rrf", "rerank")
WORDS_OF_PASSAGE, WORDS_OF_QUERY = 100, 10


class RandomPassages(Encoder):
    """A dense encoder that encodes queries and invents the vectors of passages, the same in every chain."""

    def encode(self, texts: Sequence[str], kind: TextKind | str = DOCUMENT, task: Any = None) -> Vectors:
        """Return real vectors of queries, random vectors of passages."""
        if kind != DOCUMENT:
            vectors: Vectors = super().encode(texts, kind, task)
            return vectors
        return np.random.default_rng(len(texts)).normal(size=(len(texts), self.dim or 0)).astype(np.float32)


def main() -> None:
    """Print a row for each retrieval method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin", help="spec of the model, of any kind")
    parser.add_argument("--random-vectors", action="store_true")
    parser.add_argument("--index", choices=INDEXES, default="memory")
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=200)
    given = parser.parse_args()
    model = load_model(parse_spec(given.model), Store(None))
    corpus, queries = _texts(given.passages, given.queries)
    print(f"{len(corpus):,} passages, index {given.index}; peak memory with the model loaded: {_peak_mb():,} MB")
    if given.random_vectors:
        model = RandomPassages(model._engine, None, spec=model.spec)  # noqa: SLF001
    elif isinstance(model, Encoder):
        began = time.perf_counter()
        model.encode([passage.text for passage in corpus], kind=DOCUMENT)
        print(f"encoding: {time.perf_counter() - began:.0f} s")

    with tempfile.TemporaryDirectory(prefix="embedqa-rag-") as place:
        seconds, builds = _measure(corpus, queries, model, given.index, Path(place))
    print(f"load average: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print(
        "| retrieval | p50 ms | p95 ms | p99 ms | index built s | peak memory by then MB |\n|---|---|---|---|---|---|"
    )
    for by, measured in seconds.items():
        shown = " | ".join(f"{1000 * value:.1f}" for value in np.percentile(measured, (50, 95, 99)))
        built, peak = builds.get(by, (0, 0))
        print(f"| {by} | {shown} | {f'{built:.1f} | {peak:,}' if built else '- | -'} |")


def _measure(
    corpus: list[Passage], queries: list[str], model: Encoder | Reranker, index: str, folder: Path
) -> tuple[dict[str, list[float]], dict[str, tuple[float, int]]]:
    """Return each query's seconds by each chain, each chain's build seconds, and the peak memory in MB after that."""
    chains, builds = {}, {}
    for by in RETRIEVALS if isinstance(model, Encoder) else ("bm25", "rerank"):
        began = time.perf_counter()
        chains[by] = build_chain(corpus, Retrieval(by=by, index=index), model, folder / by).fresh()
        builds[by] = time.perf_counter() - began, _peak_mb()
        chains[by](queries[0], 5)  # lazy loading is not part of a query
    asked: dict[str, Callable[[str, int], object]] = {**chains}
    if isinstance(model, Encoder):  # the model's share of that time
        computing = model.computing()
        asked = {"query's vector alone": lambda query, _: computing.encode([query], kind=QUERY), **asked}
    seconds: dict[str, list[float]] = {by: [] for by in asked}
    for query in queries:
        for by, ask in asked.items():
            began = time.perf_counter()
            ask(query, 5)
            seconds[by].append(time.perf_counter() - began)
    return seconds, builds


def _texts(passages: int, queries: int) -> tuple[list[Passage], list[str]]:
    """Return a corpus with the word frequencies of real texts, and queries with words of one passage each."""
    random = np.random.default_rng(1)
    known = " ".join(text for _, (_, some) in strata(400, None).items() for text in some).split()
    drawn = [random.choice(known, WORDS_OF_PASSAGE) for _ in range(passages)]
    chosen = random.choice(passages, queries, replace=queries > passages)
    return (
        [Passage(" ".join(words), f"{number}.txt") for number, words in enumerate(drawn)],
        [" ".join(random.choice(drawn[number], WORDS_OF_QUERY, replace=False)) for number in chosen],
    )


def _peak_mb() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
