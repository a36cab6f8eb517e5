"""Measure the speed of one model on this CPU by engine, number format and threads, as ratios to torch, with parity.

python benchmarks/cpu_engines.py --models build/models [--datasets DIR] [--texts 96] [--rounds 5] [--threads 2]

`builtin` (torch) is compared with `onnx:` in float32 and in int8, each with a single thread and with all threads that
this process may use. All take turns in one process and each round gives a ratio, so that other load on the machine
affects all. Long texts are the documents of `suites/data/handbook` joined to chunks of 1,200 characters, short texts
its queries; with --datasets the texts come from ArguAna and STSBenchmark (DIR holds them in the Hub's layout). `make
models` makes the models.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np

from pytest_embedqa.core.measures import paired_cosine
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.threads import usable_cores

ROOT = Path(__file__).parents[1]
HANDBOOK = ROOT / "suites" / "data" / "handbook"
CHUNK = 1200


def texts_of(datasets: Path | None, count: int) -> dict[str, list[str]]:
    """Return long and short texts, the latter four times as many: at most ``count`` and 4 ``count``."""
    if datasets:
        found = {
            "long": [f"{row['title']} {row['text']}" for row in _rows(datasets / "mteb/arguana/corpus.jsonl")],
            "short": [row["sentence1"] for row in _rows(datasets / "mteb/stsbenchmark-sts/test.jsonl")],
        }
    else:
        whole = " ".join(row["text"] for row in _rows(HANDBOOK / "corpus.jsonl"))
        found = {
            "long": [whole[start : start + CHUNK] for start in range(0, len(whole), CHUNK)],
            "short": [row["text"] for row in _rows(HANDBOOK / "queries.jsonl")],
        }
    random = np.random.default_rng(1)
    most = {"long": count, "short": 4 * count}
    return {kind: [texts[at] for at in random.permutation(len(texts))[: most[kind]]] for kind, texts in found.items()}


def _rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=ROOT / "build" / "models", help="made by `make models`")
    parser.add_argument("--datasets", type=Path, help="folder with mteb/arguana and mteb/stsbenchmark-sts")
    parser.add_argument("--texts", type=int, default=96, help="long texts; there are four times as many short ones")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=usable_cores(), help="default: the cores this process may use")
    given = parser.parse_args()
    folder = f"onnx:{given.models}/minilm-onnx"
    print(
        f"{'texts':<6} {'threads':>7} {'engine':<8} {'texts/s':>8} {'to torch':>8} {'lowest':>7} {'highest':>7} {'cosine':>9}"
    )
    everything = texts_of(given.datasets, given.texts)
    # The number of threads is torch's for the whole process, so it is set before each table.
    for threads in sorted({1, given.threads}):
        specs = {"torch": "builtin", "onnx": folder, "int8": f"{folder}?dtype=int8"}
        sides = {name: _load(spec, threads) for name, spec in specs.items()}
        for kind, texts in everything.items():
            _table(kind, threads, sides, texts, given.rounds)
        for encoder in sides.values():
            encoder.close()
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")


def _load(spec: str, threads: int) -> Encoder:
    separator = "&" if "?" in spec else "?"
    # Nothing is stored or reused: every text goes through the model.
    return load_encoder(parse_spec(f"{spec}{separator}threads={threads}"), None).computing()


def _table(kind: str, threads: int, sides: dict[str, Encoder], texts: list[str], rounds: int) -> None:
    vectors = {name: encoder.encode(texts) for name, encoder in sides.items()}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sides if number % 2 else reversed(sides):
            began = time.perf_counter()
            sides[name].encode(texts)
            seconds[name].append(time.perf_counter() - began)
    for name in sides:
        ratios = sorted(torchs / own for torchs, own in zip(seconds["torch"], seconds[name], strict=True))
        speed = len(texts) / statistics.median(seconds[name])
        print(
            f"{kind:<6} {threads:>7} {name:<8} {speed:>8,.1f} {statistics.median(ratios):>8.2f} {ratios[0]:>7.2f} {ratios[-1]:>7.2f} "
            f"{paired_cosine(vectors['torch'], vectors[name]).min():>9.6f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
