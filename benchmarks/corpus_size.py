"""Measure how time and memory of one evaluation grow with the corpus.

    python benchmarks/corpus_size.py [--passages 10000,100000,1000000] [--dim 384] [--folder DIR]

For each size a folder with synthetic passages and 1,000 questions is written, and evaluated twice by a `pytest` run of
its own: with nothing stored ("cold"), and again from the stored vectors ("warm"). The encoder computes vectors from
numbers in the texts, in almost no time, so that only the rest is measured: reading, the store, the search,
scoring. Peak memory is the process's own (RssAnon), sampled every 20 ms; pages of files that the system
maps into it do not count, because they can be dropped at any time. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

QUESTIONS = 1000

ENCODER = '''
import numpy as np

DIM = {dim}
COLUMNS = np.arange(DIM, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)


def noise(numbers):
    """Numbers from -1 to 1 that depend on the number alone."""
    mixed = (numbers[:, None] + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9) + COLUMNS
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0x94D049BB133111EB)
    return (mixed >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - 1


def encode(texts):
    """A passage has the vector of its number; a question that of its passage, under much noise."""
    words = [text.split()[1] for text in texts]
    numbers = np.array([int(word) if word.isdigit() else 0 for word in words], dtype=np.uint64)
    asked = np.array([text.startswith("Question") for text in texts])
    vectors = noise(numbers)
    vectors[asked] += 3.5 * noise(numbers[asked] + np.uint64(1 << 32))
    return vectors
'''

SUITE = """
from pathlib import Path

from pytest_embedqa import mteb_task, retrieval_task


@mteb_task(retrieval_task("data"))
def test_corpus(task_result):
    Path(__file__).with_name("score.txt").write_text(f"{task_result.main_score}")
"""

WORDS = "of all that is said here nothing matters but the number at the beginning which makes the vector "


@dataclass(frozen=True)
class Run:
    """The cost of one evaluation (seconds, peak MiB) and its score."""

    seconds: float
    peak: float
    score: float


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", default="10000,100000,1000000", help="sizes of the corpora")
    parser.add_argument("--dim", type=int, default=384, help="dimensions of the vectors (default: 384)")
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    arguments = parser.parse_args()
    print(f"{'passages':>10}{'vectors MiB':>13}{'':>3}{'cold s':>8}{'us each':>9}{'peak MiB':>10}", end="")
    print(f"{'':>3}{'warm s':>8}{'us each':>9}{'peak MiB':>10}{'ndcg@10':>10}")
    for passages in map(int, arguments.passages.split(",")):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            folder = Path(name)
            write(folder, passages, arguments.dim)
            cold, warm = run(folder), run(folder)
        print(f"{passages:>10,}{passages * arguments.dim * 4 / 2**20:>13,.0f}", end="")
        for one in (cold, warm):
            each = 1e6 * one.seconds / passages
            print(f"{'':>3}{one.seconds:>8.1f}{each:>9.0f}{one.peak:>10,.0f}", end="")
        print(f"{warm.score:>10.4f}", flush=True)
        if cold.score != warm.score:
            sys.exit(f"The score from stored vectors differs: {cold.score} before, {warm.score} after.")


def write(folder: Path, passages: int, dim: int) -> None:
    """Write a suite, an encoder, and a retrieval task with so many passages."""
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "synthetic.py").write_text(ENCODER.format(dim=dim), encoding="utf-8")
    (folder / "test_corpus.py").write_text(SUITE, encoding="utf-8")
    data = folder / "data"
    (data / "qrels").mkdir(parents=True)
    with (data / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for number in range(passages):
            text = f"Passage {number} {WORDS[: 60 + number % 37]}{WORDS}"
            file.write(json.dumps({"_id": f"p{number}", "text": text}) + "\n")
    asked = range(0, passages, max(1, passages // QUESTIONS))
    with (data / "queries.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"_id": f"q{number}", "text": f"Question {number}"}) + "\n" for number in asked)
    with (data / "qrels" / "test.tsv").open("w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        file.writelines(f"q{number}\tp{number}\t1\n" for number in asked)


def run(folder: Path) -> Run:
    """Run one evaluation in a process of its own, with caches in the folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(folder)}
    spec = "python:synthetic:encode?batch_size=1024&batch_tokens=1000000"
    command = [sys.executable, "-m", "pytest", "-q", f"--embedqa-model={spec}", "--embedqa-store=store.sqlite"]
    with (folder / "log").open("w+", encoding="utf-8") as log:
        began = perf_counter()
        process = subprocess.Popen(  # noqa: S603  our own command
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        watch = Watch(process.pid)
        watch.start()
        process.wait()
        seconds = perf_counter() - began
        watch.join()
        if process.returncode:
            log.seek(0)
            sys.exit(f"{log.read()[-4000:]}\nThe run ended with exit code {process.returncode}.")
    return Run(seconds, watch.peak, float((folder / "score.txt").read_text("utf-8")))


class Watch(threading.Thread):
    """A thread that samples the memory of a process until it ends.

    Attributes:
        peak: Largest sampled memory, in MiB.
    """

    def __init__(self, pid: int) -> None:
        """Watch the process with this number."""
        super().__init__(daemon=True)
        self.peak = 0.0
        self._status = Path(f"/proc/{pid}/status")
        self._pause = threading.Event()

    def run(self) -> None:
        """Sample until the process has ended."""
        while True:
            try:
                lines = self._status.read_text("utf-8").splitlines()
            except OSError:
                return
            held = [line for line in lines if line.startswith("RssAnon")]
            if not held:
                return
            self.peak = max(self.peak, int(held[0].split()[1]) / 1024)
            self._pause.wait(0.02)


if __name__ == "__main__":
    main()
