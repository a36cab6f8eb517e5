"""Measure how well a sample (limit=) predicts the whole task's score, and which of two encoders is better.

python benchmarks/sampling.py --datasets DIR
python benchmarks/sampling.py --datasets DIR --tasks MyTask --models st:models/old st:models/new

Each model is encoded once; all samples are scored from the store. The plugin has one seed; here are several, to see
what a sample's draw alone does.
"""

from __future__ import annotations

import argparse
import os
from itertools import combinations
from pathlib import Path
from unittest import mock

import numpy as np

from pytest_embedqa.core.measures import Floats
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.quality import evaluator, sampling
from pytest_embedqa.quality.mteb.evaluation import evaluate
from pytest_embedqa.quality.task import TaskQuery

MODELS = (
    "builtin",
    "builtin?dim=128",
    "builtin?pooling=cls",
    "builtin?max_length=32",
    "onnx:build/models/minilm-onnx?file=model_int8.onnx",
    "python:suites.multilingual:universal?version=0.2.1",
)
TASKS = ("MBPPRetrieval", "STSBenchmark", "Banking77Classification", "SciFact")
# Encoders that are closer than this on the whole task have no order that a sample could miss.
APART = 0.005


def main() -> None:
    """Print a row for each task and limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, default=os.environ.get("EMBEDQA_DATASETS"))
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="SPEC")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--limits", nargs="+", type=int, default=(50, 100, 200))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--store", type=Path, help="keep vectors here between runs")
    given = parser.parse_args()
    store = Store(given.store)
    encoders = [load_encoder(parse_spec(text), store, mteb_prompts=evaluator.mteb_prompts) for text in given.models]
    print(f"{'':<24} {'':>5} | {'sample − whole':^23} | {'differences of two encoders':^33}")
    print(
        f"{'task':<24} {'limit':>5} | {'mean':>7} {'lowest':>7} {'highest':>7} | {'whole':>7} {'error':>7} {'ordered alike':>17}"
    )
    for task in given.tasks:
        whole = _scores(TaskQuery(task), encoders, given.datasets)
        for text, score in zip(given.models, whole, strict=True):
            print(f"# {task} {text}: {score:.4f}", flush=True)
        for limit in given.limits:
            samples = []
            for seed in range(given.seeds):
                with mock.patch.object(sampling, "SEED", seed):
                    samples.append(_scores(TaskQuery(task, limit=limit), encoders, given.datasets))
            _print_row(task, limit, whole, np.array(samples))


def _scores(query: TaskQuery, encoders: list[Encoder], datasets: Path | None) -> Floats:
    """Return the main score of each encoder."""
    return np.array([evaluate(query, encoder, datasets=datasets).score() for encoder in encoders])


def _print_row(task: str, limit: int, whole: Floats, samples: Floats) -> None:
    """Print errors of the scores, shape (seeds, encoders), and of the differences between any two encoders."""
    bias = samples - whole
    pairs = list(combinations(range(len(whole)), 2))
    true = np.array([whole[one] - whole[other] for one, other in pairs])
    seen = np.array([[row[one] - row[other] for one, other in pairs] for row in samples])
    apart = abs(true) > APART
    alike = (np.sign(seen) == np.sign(true))[:, apart]
    order = f"{alike.sum()} of {alike.size}"
    print(
        f"{task:<24} {limit:>5} | {bias.mean():>+7.3f} {bias.min():>+7.3f} {bias.max():>+7.3f} "
        f"| {abs(true).mean():>7.3f} {abs(seen - true).mean():>7.3f} {order:>17}",
        flush=True,
    )


if __name__ == "__main__":
    main()
