"""Measure real indexes on real vectors: recall, its worst decile, what it costs in nDCG, time, bytes and build time.

    python benchmarks/index_recall.py --datasets DIR [--rows 20000 200000] [--indexes faiss:HNSW32 chroma] [--store FILE]
    python benchmarks/index_recall.py --datasets DIR --rows 100000 --from 5000    # how well rows= tells it from 5,000

The rows are the documents of SciFact and MBPPRetrieval, and other texts of DIR beside them, with the duplicates that these
have. The queries are those of the two tasks; `stored` is what the same index gives for queries that are stored vectors.
Give --store: 200,000 texts take half an hour of a core, once.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from index_texts import Texts

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.index.data import Data
from pytest_embedqa.index.growth import grown
from pytest_embedqa.index.mark import IndexMark
from pytest_embedqa.index.measuring import measure
from pytest_embedqa.index.spec import parse_index

# Each client as its user gets it, and with settings that its documentation names for more recall.
INDEXES = (
    "faiss:HNSW32",
    "faiss:HNSW32?efConstruction=200&efSearch=128",
    "faiss:IVF1024,Flat",
    "faiss:IVF1024,Flat?nprobe=32",
    "faiss:IVF1024,PQ48?nprobe=32",
)
STORED = 300
K = 10
NEAR = 0.95


def main() -> None:
    """Print a row for each index, and for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, default=os.environ.get("EMBEDQA_DATASETS"))
    parser.add_argument("--rows", nargs="+", type=int, default=[20_000])
    parser.add_argument("--indexes", nargs="+", default=INDEXES, metavar="SPEC")
    parser.add_argument(
        "--from", type=int, dest="start", help="also sample so many of the rows, and grow them to all again"
    )
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--store", type=Path, help="keep vectors here between runs")
    given = parser.parse_args()
    texts = Texts(given.datasets, given.model, given.store)
    for rows in given.rows:
        data = _data(texts, rows)
        print(f"\n{rows:,} rows, {len(data.query_ids) - STORED:,} queries; {_duplicates(data.vectors)}; {_processor()}")
        if given.start:
            _compare_growth(data, given.start, given.indexes, texts)
            continue
        print(
            "\n| index | recall@10 | worst 10 % | stored | nDCG@10 lost | p50 ms | p95 ms | bytes | built s |\n|---|---|---|---|---|---|---|---|---|"
        )
        for spec in given.indexes:
            print(f"| `{spec}` | {' | '.join(_measured(spec, data, texts))} |", flush=True)


def _data(texts: Texts, rows: int) -> Data:
    """Return documents of the judged tasks and others beside them, queries of these tasks, and stored vectors as queries."""
    documents, queries, relevant = texts.judged()
    others = list(itertools.islice(texts.mixed(), rows - len(documents)))
    vectors = np.concatenate([texts.encode(documents.values()), texts.encode(others)])
    if len(vectors) < rows:
        raise SystemExit(f"there are {len(vectors):,} texts, and --rows asks for {rows:,}")
    asked = np.concatenate(
        [
            texts.encode(queries.values(), queries=True),
            vectors[np.random.default_rng(1).choice(rows, STORED, replace=False)],
        ]
    )
    ids = [*documents, *(f"other-{number}" for number in range(len(others)))]
    asked_ids = [*queries, *(f"stored-{number}" for number in range(STORED))]
    return Data("mixed", ids, vectors, asked_ids, asked, relevant, "cosine")


def _measured(spec: str, data: Data, texts: Texts) -> Iterator[str]:
    try:
        result = measure(IndexMark(parse_index(spec), k=K), data, texts.model)
    except EmbedQAError as error:
        yield str(error)
        return
    (state,) = result.states
    recalls, seconds = state.recalls[:-STORED], state.seconds[:-STORED]
    yield f"{recalls.mean():.3f}"
    yield f"{np.sort(recalls)[: len(recalls) // 10].mean():.3f}"
    yield f"{state.recalls[-STORED:].mean():.3f}"
    yield f"{state.ndcg_loss:.4f}"
    yield from (f"{1e3 * value:.2f}" for value in np.percentile(seconds, (50, 95)))
    yield f"{result.size / len(data.ids):,.0f}" if result.size else "–"
    yield f"{result.build_s:.0f}"


def _compare_growth(data: Data, start: int, indexes: Iterable[str], texts: Texts) -> None:
    """Print what an index returns of all rows, of a sample of them, and of the sample grown to as many rows as there are."""
    chosen = np.random.default_rng(1).choice(len(data.ids), start, replace=False)
    sample = replace(data, ids=[data.ids[row] for row in chosen], vectors=data.vectors[chosen], relevant={})
    sides = {"all": replace(data, relevant={}), "sample": sample, "grown": grown(sample, len(data.ids))}
    print(
        f"\n| index | {' | '.join(f'{name}, recall@10 | worst 10 %' for name in sides)} |\n|---|{'---|---|' * len(sides)}"
    )
    for spec in indexes:
        cells = [_grown(spec, side, texts) for side in sides.values()]
        print(f"| `{spec}` | {' | '.join(cells)} |", flush=True)


def _grown(spec: str, data: Data, texts: Texts) -> str:
    try:
        recalls = measure(IndexMark(parse_index(spec), k=K), data, texts.model).states[0].recalls[:-STORED]
    except EmbedQAError as error:
        return f"{error} | "
    return f"{recalls.mean():.3f} | {np.sort(recalls)[: len(recalls) // 10].mean():.3f}"


def _duplicates(vectors: Floats) -> str:
    """Count the rows that have a copy, and those of a sample that nearly have."""
    copies = len(vectors) - len(np.unique(vectors, axis=0))
    sample = np.random.default_rng(1).choice(len(vectors), 1_000, replace=False)
    near = np.mean([np.sort(vectors @ vectors[row])[-2] >= NEAR for row in sample])
    return f"{copies / len(vectors):.1%} copies, {near:.1%} with another at a cosine of {NEAR} or more"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    flags = "AVX-512" if info.exists() and "avx512f" in info.read_text() else "no AVX-512"
    return f"{names[0].partition(': ')[2] if names else platform.processor()}, {flags}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
