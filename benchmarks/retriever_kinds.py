"""Measure each kind of retriever on a task: score, bytes of a document in an index, texts or pairs a second.

    python benchmarks/retriever_kinds.py --datasets DIR --models build/models [--task SciFact] [--only builtin,bm25]

The models are small ones that tools/make_retrievers.py makes (`make models`): they show what a kind costs beside others
of its size, not how good it can be. Each spec is a pytest run of its own with an empty store, so that everything is
encoded. A second is one of the whole evaluation, with search and scoring, without imports and loading. DIR holds the
task's data in the Hub's layout, DIR/ORG/NAME.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SPECS = {
    "builtin": "dense: all-MiniLM-L6-v2",
    "st:{models}/minilm-multi-vector": "multi-vector: the same weights",
    "st:{models}/tiny-sparse": "sparse: SPLADE-tiny",
    "st:{models}/tiny-sparse-idf": "sparse: the same documents, queries without a model",
    "bm25": "BM25",
    "hybrid:[builtin][bm25]": "hybrid of dense and BM25, rrf",
    "rerank:[bm25][st:{models}/tiny-cross-encoder]?top_k=20": "cross-encoder on 20 of BM25",
    "rerank:[bm25][builtin]?top_k=100": "dense on 100 of BM25",
}
TEST = """
from pytest_embedqa import mteb_task


@mteb_task({task!r}, min_ndcg_at_10=0.001)
def test_task(): ...
"""


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--task", default="SciFact")
    parser.add_argument("--only", help="a part of each spec to measure, with commas between")
    given = parser.parse_args()
    print(f"| {given.task} | ndcg_at_10 | bytes a document | encoded | a second |\n|---|---|---|---|---|", flush=True)
    for template, name in SPECS.items():
        spec = template.format(models=given.models.resolve())
        if given.only and not any(part in template for part in given.only.split(",")):
            continue
        found = measured(spec, given.task, given.datasets.resolve())
        size = f"{found['bytes']:,.0f}" if found["bytes"] is not None else "1,536"
        pace = f"{found['encoded'] / found['seconds']:,.0f}" if found["encoded"] else "–"
        print(f"| {name} | {found['score']:.4f} | {size} | {found['encoded']:,} | {pace} |", flush=True)


def measured(spec: str, task: str, datasets: Path) -> dict[str, Any]:
    """Return score, bytes a document, number of encoded texts and seconds of a run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_task.py").write_text(TEST.format(task=task), encoding="utf-8")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "test_task.py", "-p", "no:cacheprovider"]
        command += [f"--embedqa-model={spec}", f"--embedqa-datasets={datasets}", "--embedqa-json=run.json"]
        command += [f"--embedqa-store={folder / 'store.sqlite'}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603  our own
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        (test,) = json.loads((folder / "run.json").read_text(encoding="utf-8"))["tests"]
        (result,) = test["facts"]["task"]
        return {key: result.get(key) for key in ("score", "bytes", "encoded", "seconds")}


if __name__ == "__main__":
    main()
