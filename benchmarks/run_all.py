"""Run all comparisons with the underlying tools: plain mteb, sentence-transformers, bare vLLM, bare pytest.

    python benchmarks/run_all.py --datasets DIR [--vllm-python .venv-vllm/bin/python] [--models build/models]

Each comparison is a script here, and prints its ratios; README.md says how to read them. Scripts that can't run (no
vLLM, no models of other formats) are named at the end. Exit code 1: a comparison failed, or its scores or vectors
differ.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

HERE = Path(__file__).parent
VLLM = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}


def main() -> int:
    """Run the scripts one after the other, so that none disturbs another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", default=os.environ.get("EMBEDQA_DATASETS"), help="default: $EMBEDQA_DATASETS")
    parser.add_argument("--tasks", help="tasks for the comparison with mteb (default: those of quality_vs_mteb.py)")
    parser.add_argument("--models", type=Path, default=Path("build/models"), help="made by `make models`")
    parser.add_argument(
        "--vllm-python", type=Path, default=Path(".venv-vllm/bin/python"), help="made by `make engines`"
    )
    arguments = parser.parse_args()

    here, others = [sys.executable], ["onnx", "llamacpp", "openai"] if arguments.models.exists() else []
    comparisons: dict[str, list[str]] = {"an unrelated pytest run": [*here, "startup.py"]}
    left_out = []
    if others:
        comparisons["bare engines"] = [*here, "engine_overhead.py", "st", *others, "--models", str(arguments.models)]
    else:
        comparisons["plain sentence-transformers"] = [*here, "engine_overhead.py", "st"]
        left_out.append(f"onnx, llamacpp and openai: {arguments.models} is not there, make models")
    if arguments.vllm_python.exists():
        comparisons["bare vLLM"] = [str(arguments.vllm_python), "engine_overhead.py", "vllm"]
    else:
        left_out.append(f"vLLM: {arguments.vllm_python} is not there, make .venv-vllm/.installed")
    if arguments.datasets:
        comparisons["plain mteb"] = [*here, "quality_vs_mteb.py", "--smaller", "--datasets", arguments.datasets]
        comparisons["plain mteb"] += ["--tasks", arguments.tasks] if arguments.tasks else []
    else:
        left_out.append("mteb: --datasets DIR or EMBEDQA_DATASETS is needed")

    failed = []
    for number, (name, (python, script, *options)) in enumerate(comparisons.items(), 1):
        print(f"=== {number} of {len(comparisons)}: {name}", flush=True)
        began = perf_counter()
        done = subprocess.run(  # noqa: S603  our own scripts
            [python, str(HERE / script), *options],
            env={**os.environ, **(VLLM if name == "bare vLLM" else {})},
            check=False,
        )
        print(f"=== {name}: {perf_counter() - began:.0f} s\n", flush=True)
        if done.returncode:
            failed.append(name)
    for line in left_out:
        print(f"left out: {line}")
    for name in failed:
        print(f"FAILED: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
