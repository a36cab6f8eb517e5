"""The texts that index_recall.py and index_growth.py index: documents of judged tasks, and sentences beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pytest_embedqa.core.measures import Floats
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store

_T = TypeVar("_T")
# Queries and documents with judgements: scientific claims, and programs that are asked for in words.
JUDGED = ("mteb/scifact", "embedding-benchmark/MBPP")
STS = ("stsbenchmark-sts", "sts12-sts", "sts14-sts", "sts16-sts")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_SHORTEST = 20
# Texts that are encoded at a time: a killed run goes on behind them.
_STEP = 4_000


class Texts:
    """The texts of a folder of data sets in the Hub's layout."""

    def __init__(self, datasets: Path, model: str, store: Path | None) -> None:
        """Load the model; vectors are kept in the store."""
        self._datasets = datasets
        self.model: Encoder = load_encoder(parse_spec(model), Store(store))

    def rows(self, path: str) -> list[dict[str, Any]]:
        """Return the rows of a file of JSON Lines."""
        with (self._datasets / path).open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def judged(self) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, float]]]:
        """Return documents, queries and grades of the judged tasks, by ids of their own."""
        documents: dict[str, str] = {}
        queries: dict[str, str] = {}
        relevant: dict[str, dict[str, float]] = {}
        for name in JUDGED:
            documents |= {
                f"{name}/{row.get('_id', row.get('id'))}": _text(row) for row in self.rows(f"{name}/corpus.jsonl")
            }
            queries |= {
                f"{name}/{row.get('_id', row.get('id'))}": row["text"] for row in self.rows(f"{name}/queries.jsonl")
            }
            for row in self.rows(f"{name}/qrels/test.jsonl"):
                if row["score"] > 0:
                    grades = relevant.setdefault(f"{name}/{row['query-id']}", {})
                    grades[f"{name}/{row['corpus-id']}"] = float(row["score"])
        return documents, {id_: text for id_, text in queries.items() if id_ in relevant}, relevant

    def sentences(self) -> list[str]:
        """Return sentences of the documents of SciFact and ArguAna, in an order of their own."""
        found = [
            sentence.strip()
            for name in ("mteb/scifact", "mteb/arguana")
            for row in self.rows(f"{name}/corpus.jsonl")
            for sentence in _SENTENCE.split(row["text"])
            if len(sentence.strip()) >= _SHORTEST
        ]
        return _shuffled(found)

    def translations(self) -> list[str]:
        """Return the English side of Tatoeba, where many sentences come more than once."""
        return _shuffled(row["sentence2"].strip() for row in self.rows("mteb/tatoeba-bitext-mining/test.jsonl"))

    def pairs(self) -> list[str]:
        """Return both sides of sentence pairs, many of which differ in a word."""
        return _shuffled(
            row[side]
            for name in STS
            for row in self.rows(f"mteb/{name}/test.jsonl")
            for side in ("sentence1", "sentence2")
        )

    def questions(self) -> list[str]:
        """Return the questions of customers of a bank, which are about few subjects."""
        return _shuffled(row["text"] for part in ("train", "test") for row in self.rows(f"mteb/banking77/{part}.jsonl"))

    def arguments(self) -> list[str]:
        """Return the whole documents of ArguAna."""
        return [_text(row) for row in self.rows("mteb/arguana/corpus.jsonl")]

    def encode(self, texts: Iterable[str], *, queries: bool = False) -> Floats:
        """Encode, and keep what is done."""
        texts = list(texts)
        parts = [texts[start : start + _STEP] for start in range(0, len(texts), _STEP)]
        return np.concatenate([self.model.encode(part, kind=QUERY if queries else DOCUMENT) for part in parts])

    def mixed(self) -> Iterator[str]:
        """Yield all unjudged texts, so that any number of the first is a sample of all sorts."""
        sorts = [self.sentences(), self.translations(), self.pairs(), self.questions(), self.arguments()]
        drawn = _shuffled(sort for sort, texts in enumerate(sorts) for _ in texts)
        left = [iter(texts) for texts in sorts]
        for sort in drawn:
            yield next(left[sort])


def _text(row: Mapping[str, Any]) -> str:
    """Return title and text, joined as mteb joins them."""
    return f"{row.get('title', '')} {row['text']}".strip()


def _shuffled(items: Iterable[_T]) -> list[_T]:
    found = list(items)
    return [found[place] for place in np.random.default_rng(1).permutation(len(found))]
