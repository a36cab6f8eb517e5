"""What the plugin tests share: tiny data in the Hub's layout, and encoders that need no model."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import inner_runs  # noqa: F401
from fork_server import ForkServer
from word_search import CONFTEST, NO_MODEL, SEARCH, TEST

# A bag of hashed words: real similarity between texts that share words, without a model. One function a fault.
BAG = """
import re, zlib
import numpy as np

CALLS = []

def encode(texts):
    CALLS.append(len(texts))
    vectors = np.zeros((len(texts), 64), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in re.findall(r"\\w+", text.lower()):
            vectors[row, zlib.crc32(word.encode()) % 64] += 1
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, 1e-9)

def other(texts):
    return encode(texts)

def coarse(texts):
    return encode([text[:3] for text in texts])

def shuffled(texts):
    return encode(texts)[::-1]

def constant(texts):
    return np.ones((len(texts), 64), dtype=np.float32)

def nan(texts):
    vectors = encode(texts)
    if len(texts) > 1:
        vectors[len(texts) // 2] = np.nan
    return vectors

def raising(texts):
    raise RuntimeError("the server is gone")
"""

TOPICS = {
    "bread": [
        "dough rises with yeast",
        "bake the loaf in a hot oven",
        "knead flour and water",
        "the crust of rye bread",
    ],
    "rain": [
        "clouds bring heavy rain",
        "an umbrella against the storm",
        "wind and rain tonight",
        "the forecast says showers",
    ],
    "train": [
        "the train leaves platform nine",
        "a ticket for the railway",
        "the night train to the coast",
        "a delayed train",
    ],
    "music": [
        "a violin in the orchestra",
        "the choir sings a song",
        "tune the guitar strings",
        "a loud drum and a song",
    ],
}

Write = Callable[[str, Mapping[str, Iterable[Mapping[str, Any]]], Mapping[str, tuple[str, str]]], None]


def jsonl(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def write_dataset(pytester: pytest.Pytester) -> Write:
    """Write one dataset: files by name, and (config, split) -> file as the README declares them."""

    def write(
        name: str, files: Mapping[str, Iterable[Mapping[str, Any]]], configs: Mapping[str, tuple[str, str]]
    ) -> None:
        folder = pytester.path / "hub" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, rows in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(jsonl(rows), encoding="utf-8")
        lines = ["---", "configs:"]
        by_config: dict[str, list[tuple[str, str]]] = {}
        for key, (split, file) in configs.items():
            by_config.setdefault(key.partition("/")[0], []).append((split, file))
        for config, splits in by_config.items():
            lines += [f"- config_name: {config}", "  data_files:"]
            lines += [line for split, file in splits for line in (f"  - split: {split}", f"    path: {file}")]
        (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")

    return write


@pytest.fixture
def hub(pytester: pytest.Pytester, write_dataset: Write) -> Path:
    """One tiny dataset for each type of task, under names that mteb knows."""
    pytester.makepyfile(bag=BAG)
    texts = [(topic, text) for topic, group in TOPICS.items() for text in group]
    corpus = [{"_id": f"d{number}", "title": topic, "text": text} for number, (topic, text) in enumerate(texts)]
    queries = [{"_id": f"q{number}", "text": text.split(maxsplit=1)[1]} for number, (_, text) in enumerate(texts)]
    qrels = [{"query-id": f"q{number}", "corpus-id": f"d{number}", "score": 1} for number in range(len(texts))]
    retrieval = {
        "default/": ("test", "qrels.jsonl"),
        "corpus/": ("corpus", "corpus.jsonl"),
        "queries/": ("queries", "queries.jsonl"),
    }
    files = {"corpus.jsonl": corpus, "queries.jsonl": queries, "qrels.jsonl": qrels}
    write_dataset("mteb/arguana", files, retrieval)
    ranked = [{"query-id": query["_id"], "corpus-ids": [document["_id"] for document in corpus]} for query in queries]
    write_dataset(
        "mteb/AskUbuntuDupQuestions",
        {**files, "ranked.jsonl": ranked},
        {**retrieval, "top_ranked/": ("test", "ranked.jsonl")},
    )

    pairs = [(a, b) for a in texts for b in texts]
    graded = [
        {"sentence1": a[1], "sentence2": b[1], "score": 5.0 if a == b else 2.5 if a[0] == b[0] else 0.0}
        for a, b in pairs
    ]
    write_dataset("mteb/stsbenchmark-sts", {"test.jsonl": graded}, {"default/": ("test", "test.jsonl")})
    labelled = [{"sent1": a[1], "sent2": b[1], "labels": int(a[0] == b[0])} for a, b in pairs]
    write_dataset(
        "mteb/sprintduplicatequestions-pairclassification",
        {"test.jsonl": labelled},
        {"default/": ("test", "test.jsonl")},
    )
    translated = [{"sentence1": text, "sentence2": f"{text} {topic}", "lang": "cmn-eng"} for topic, text in texts]
    write_dataset("mteb/tatoeba-bitext-mining", {"test.jsonl": translated}, {"default/": ("test", "test.jsonl")})

    label = {topic: number for number, topic in enumerate(TOPICS)}
    train = [
        {"text": f"{text} {topic} {number}", "label": label[topic]} for topic, text in texts for number in range(4)
    ]
    test = [{"text": f"{text} {topic}", "label": label[topic]} for topic, text in texts]
    splits = {"default/a": ("train", "train.jsonl"), "default/b": ("test", "test.jsonl")}
    write_dataset("mteb/banking77", {"train.jsonl": train, "test.jsonl": test}, splits)
    topics = [{"text": row["text"], "category": list(TOPICS)[row["label"]], "index_id": 0} for row in train * 4]
    sib = {f"eng_Latn/{split}": (split, "all.jsonl") for split in ("train", "validation", "test")}
    write_dataset("mteb/sib200", {"all.jsonl": topics}, sib)
    return pytester.path / "hub"


@pytest.fixture
def forked_workers(fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that xdist starts from this process do not load anew what an evaluation needs."""
    io = pytest.importorskip("execnet.gateway_io")

    def start(self: Any, args: list[str], execmodel: Any) -> None:
        (stdin, write), (read, stdout) = os.pipe(), os.pipe()
        self.popen = fork_server.python(*args[2:], streams=(stdin, stdout, 2))
        for theirs in (stdin, stdout):
            os.close(theirs)
        io.Popen2IO.__init__(self, os.fdopen(write, "wb", 0), os.fdopen(read, "rb"), execmodel)

    monkeypatch.setattr(io.Popen2IOMaster, "__init__", start)


@pytest.fixture
def run(
    pytester: pytest.Pytester, hub: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., pytest.RunResult]:
    """Run pytest in this process (mteb is imported once) on the tiny data with the bag-of-words encoder."""
    for variable in ("CI", "EMBEDQA_DATASETS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "cache"))

    def run_pytest(*arguments: str, model: str = "python:bag:encode", data: bool = True) -> pytest.RunResult:
        source = ["--embedqa-datasets", str(hub)] if data else []
        models = [] if "--embedqa-model" in arguments else ["--embedqa-model", model]
        if any(str(argument).startswith("-n") for argument in arguments):
            request.getfixturevalue("forked_workers")
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *models, *source, *arguments)

    return run_pytest


@pytest.fixture
def judged(pytester: pytest.Pytester, hub: Path) -> Path:
    """A BEIR-style folder with 16 documents and queries, of which 15 are judged."""
    folder = pytester.path / "data"
    (folder / "qrels").mkdir(parents=True)
    for name in ("corpus", "queries"):
        (folder / f"{name}.jsonl").write_text((hub / "mteb/arguana" / f"{name}.jsonl").read_text())
    rows = "".join(f"q{number}\td{number}\t1\n" for number in range(15))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    return folder


@pytest.fixture
def suite(
    pytester: pytest.Pytester, judged: Path, run: Callable[..., pytest.RunResult]
) -> Callable[..., pytest.RunResult]:
    """Run a test file with the search beside it, without any model."""
    pytester.makepyfile(search=SEARCH)
    pytester.makeconftest(CONFTEST)

    def ran(test: str = TEST, *arguments: str, model: str = NO_MODEL, data: bool = False) -> pytest.RunResult:
        pytester.makepyfile(test_it=test)
        return run(*arguments, model=model, data=data)

    return ran
