"""Say what works here: packages, devices, engines, data, store.

Exit code: 0 all that was asked for, 1 something is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_embedqa.commands import BAD, GOOD
from pytest_embedqa.commands.arguments import add_datasets, path
from pytest_embedqa.commands.extras import OURS, install, missing, state
from pytest_embedqa.commands.lines import say, wrapped
from pytest_embedqa.commands.trial import Trial
from pytest_embedqa.core.errors import DataError, EmbedQAError
from pytest_embedqa.core.secrets import public_url, redacted
from pytest_embedqa.encoders.hub import hub_is_reachable
from pytest_embedqa.encoders.load import load_model
from pytest_embedqa.encoders.spec import engines, parse_spec, public_spec
from pytest_embedqa.encoders.store import default_path
from pytest_embedqa.encoders.wording import identity_line, prompts_line
from pytest_embedqa.quality.evaluator import mteb_prompts
from pytest_embedqa.reports.environment import versions

if TYPE_CHECKING:
    from pytest_embedqa.quality.mteb.listing import Listed

HELP = "what works here, what does not, and the command that mends it"
# The extra of an engine that has another name than the engine; None: the engine needs no extra.
_ENGINE_EXTRA = {"ollama": "openai", "rerank-api": "openai", "python": None}
# The extra that a capability or engine needs, by its name.
_CAPABILITIES = {
    "quality": ("mteb", "@mteb_task, @mteb_benchmark"),
    "speed": ("speed", "@throughput"),
    "invariants": ("invariants", "invariants that look for a text"),
    "rag": ("rag", "RAG probes"),
    "lancedb": ("lancedb", "index: lancedb, @index_recall"),
    "report": ("report", "--embedqa-html"),
}
_VARIABLES = re.compile(
    r"CI|EMBEDQA_.*|HF_.*|HUGGING_?FACE_.*|OLLAMA_.*|OPENAI_.*|OPENWEBUI_.*|VLLM_.*|CUDA_VISIBLE_DEVICES|OMP_NUM_THREADS"
    r"|GITHUB_(ACTIONS|SHA|STEP_SUMMARY)|CI_COMMIT_SHA|PYTEST_(ADDOPTS|PLUGINS|DISABLE_PLUGIN_AUTOLOAD)|https?_proxy|no_proxy",
    re.IGNORECASE,
)
_SECRET = re.compile(r"TOKEN|KEY|SECRET|PASSWORD|AUTH|HEADER", re.IGNORECASE)
_TORCH = "import json, torch; print(json.dumps([torch.cuda.is_available(), torch.backends.mps.is_available()]))"
# The environment variable that tells the collecting pytest which file to write to.
COLLECTED = "EMBEDQA_DOCTOR_COLLECTED"
_SECONDS = 300  # seconds that another process may take to answer


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "suites", nargs="*", type=path, metavar="PATH", help="tests: say which would lack data or packages"
    )
    parser.add_argument(
        "--model", action="append", default=[], metavar="SPEC", help="load it, and encode two texts or score some pairs"
    )
    add_datasets(parser)


def run(given: argparse.Namespace) -> int:
    """Print each section as soon as it is complete."""
    doctor = _Doctor(given)
    for title, lines in doctor.sections():
        say(title)
        for line in lines:
            say(wrapped(line))
        say()
    for problem, mend in doctor.problems:
        say(f"{wrapped(problem, 'PROBLEM ')}\n  {mend}")
    if not doctor.problems:
        say("Nothing that was asked for is missing.")
    return BAD if doctor.problems else GOOD


class _Doctor:
    """The examination that ``embedqa doctor`` prints.

    Attributes:
        problems: Faults, each with its remedy; complete after all sections.
    """

    def __init__(self, given: argparse.Namespace) -> None:
        self.problems: list[tuple[str, str]] = []
        self._given = given
        self._folder: Path | None = given.datasets

    def sections(self) -> Iterator[tuple[str, Iterable[str]]]:
        """Yield each section's title and lines."""
        yield "packages", self._packages()
        yield "machine", self._machine()
        yield "engines", self._engines()
        yield "tests", self._tests()
        yield "data", self._data()
        yield "environment", self._environment()
        yield "store", self._store()
        for spec in self._given.model:
            yield f"model {public_spec(spec)}", self._model(spec)
        if self._given.suites:
            yield f"suites {shlex.join(map(str, self._given.suites))}", self._suites()

    def _packages(self) -> Iterator[str]:
        yield f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
        yield ", ".join(f"{name} {number}" for name, number in versions().items())

    def _machine(self) -> Iterator[str]:
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        memory = ""
        with suppress(AttributeError, ValueError, OSError):  # not on Windows
            memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.0f} GB of memory"
        yield f"{cpus} CPUs{memory}"
        gpus = _output(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
        yield from (f"GPU: {line}" for line in gpus.splitlines())
        if not find_spec("torch"):
            yield "torch: not installed"
            return
        try:
            cuda, mps = json.loads(_output([sys.executable, "-c", _TORCH]) or "none")
        except ValueError:
            self.problems.append(("torch is installed and can't be imported.", f"{sys.executable} -c 'import torch'"))
            return
        yield f"torch computes on: {'cuda' if cuda else 'mps' if mps else 'cpu'}"
        if gpus and not cuda:
            yield f"torch {version('torch')} can't use the GPU: install its CUDA build, by the command on PyTorch's install page"

    def _engines(self) -> Iterator[str]:
        for name, point in sorted(engines().items()):
            distribution = point.dist.name if point.dist else OURS
            extra = _ENGINE_EXTRA.get(name, name) if distribution == OURS else None
            yield f"{name:<10} {state(extra)}{'' if distribution == OURS else f' (from {distribution})'}"

    def _tests(self) -> Iterator[str]:
        for extra, what in _CAPABILITIES.values():
            yield f"{what:<32} {state(extra)}"
        yield f"{'pytest -n (parallel)':<32} {'ready' if find_spec('xdist') else 'pip install pytest-xdist'}"

    def _data(self) -> Iterator[str]:
        if self._folder and not self._folder.is_dir():
            self.problems.append(
                (f"--datasets: {self._folder} is not a folder.", f"embedqa fetch TASK --to {self._folder}")
            )
            return
        tasks = _tasks()
        there = [task.name for task in tasks if task.place(self._folder)]
        where = f"folder {self._folder}" if self._folder else "cache of the Hub"
        yield f"{where}: {len(there)} of {len(tasks)} tasks"
        if there:
            yield ", ".join(there)
        if self._folder:
            yield "Nothing else is read: a test on another task has no data."
            if not there and tasks:
                self.problems.append(
                    (
                        f"{self._folder} holds data of no task; DIR/ORG/NAME is expected.",
                        f"embedqa fetch TASK --to {self._folder}",
                    )
                )
        elif find_spec("huggingface_hub"):
            yield f"Hub: {'reachable' if hub_is_reachable() else _unreachable()}"

    def _environment(self) -> Iterator[str]:
        names = sorted(name for name in os.environ if _VARIABLES.fullmatch(name))
        for name in names:
            value = os.environ[name]
            value = public_url(value) if "://" in value else redacted(value)
            yield f"{name}={'(set)' if _SECRET.search(name) else value}{_meaning(name, value)}"
        if not names:
            yield "nothing that matters here is set"

    def _store(self) -> Iterator[str]:
        path = default_path()
        yield f"{path} (--embedqa-store=FILE for another)"
        folder = next(parent for parent in path.parents if parent.exists())
        try:
            with tempfile.TemporaryFile(dir=folder):
                free = shutil.disk_usage(folder).free
            vectors = _store_contents(path) if path.exists() else "not there yet"
        except (OSError, sqlite3.Error) as error:
            self.problems.append((f"The vector store {path} can't be written: {error}.", "pytest --embedqa-store=FILE"))
            return
        yield f"{vectors}; writable, {free / 1e9:.0f} GB free"

    def _model(self, text: str) -> Iterator[str]:
        try:
            model = load_model(parse_spec(text), None, mteb_prompts=mteb_prompts)
            with closing(model):
                trial = Trial(model)
        except EmbedQAError as error:
            said, _, mend = str(error).partition("\n")
            self.problems.append(
                (f"--model {public_spec(text)}: {said}", mend or "Give another model: embedqa doctor --model SPEC")
            )
            yield "does not work"
            return
        yield identity_line(model.identity.as_dict())
        yield f"prompts: {prompts_line(model.prompts.origin, model.identity.prompts)}"
        yield from trial.lines
        if trial.problem:
            self.problems.append((f"--model {public_spec(text)}: {trial.problem}", trial.remedy))

    def _suites(self) -> Iterator[str]:
        try:
            found = _collected(self._given.suites, self._folder)
        except EmbedQAError as error:
            self.problems.append((str(error), f"pytest --collect-only {shlex.join(map(str, self._given.suites))}"))
            return
        counts = Counter(one["capability"] for one in found)
        yield ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no test that needs an encoder"
        for name, count in counts.items():
            extra, what = _CAPABILITIES.get(name, (None, ""))
            if missing(extra):
                self.problems.append(
                    (f"What {what} needs is missing: {count} of {len(found)} tests fail.", install(extra))
                )
        names = {one["task"]: None for one in found if one["task"]}
        lacking = [task.name for task in _tasks(names) if not task.place(self._folder)]
        if lacking and not self._folder and hub_is_reachable():
            yield f"fetched from the Hub at the first run: {', '.join(lacking)}"
        elif lacking:
            skipped = sum(one["task"] in lacking for one in found)
            self.problems.append(
                (
                    f"No data for {skipped} of {len(found)} tests, which are skipped (under CI they fail): {', '.join(lacking)}.",
                    f"embedqa fetch {shlex.join(lacking)} --to {self._folder or 'DIR'}",
                )
            )


def _tasks(names: Iterable[str] | None = None) -> Sequence[Listed]:
    """Return the tasks of these names, or all tasks; none where mteb is not installed."""
    if find_spec("mteb") is None:
        return []
    from pytest_embedqa.quality.mteb import listing  # imports mteb: seconds

    return listing.every_task() if names is None else listing.chosen(names)


def _meaning(name: str, value: str) -> str:
    """Describe the effect of an environment variable on a run."""
    meanings = {
        "CI": "a test without data fails, and is not skipped",
        "HF_HUB_OFFLINE": "the Hub is not asked",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "pytest loads no plugin by itself: add -p pytest_embedqa.plugin",
    }
    said = meanings.get(name, "") if value.lower() not in {"", "0", "false"} else ""
    return f"  ({said})" if said else ""


def _unreachable() -> str:
    from huggingface_hub import constants  # a second to import

    offline = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "it does not answer"
    return f"not reachable ({offline}): only tasks in its cache have data. Elsewhere: embedqa fetch TASK --to DIR"


def _store_contents(path: Path) -> str:
    """Describe the content of a vector store, opened as a run would open it."""
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as connection:
        (encoders,) = connection.execute("SELECT count(*) FROM identities").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    return f"vectors of {encoders} encoders, {path.stat().st_size / 1e6:.1f} MB"


def _collected(suites: Iterable[Path], folder: Path | None) -> list[dict[str, Any]]:
    """Collect the embedding tests below some paths: each test's capability and mteb task.

    Raises:
        DataError: If pytest can't collect them.
    """
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", "-p", "pytest_embedqa.commands.collecting"]
    if folder:
        options.append(f"--embedqa-datasets={folder.resolve()}")
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch) / "collected"
        done = subprocess.run(  # noqa: S603  this interpreter, and paths of the user's
            [sys.executable, "-m", "pytest", *options, *map(str, suites)],
            env={**os.environ, COLLECTED: str(written)},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode not in {0, 5}:  # 5: there are no tests
            said = (done.stdout + done.stderr).strip().splitlines()[-8:]
            raise DataError(f"The tests can't be collected: {' '.join(said)}")
        lines = written.read_text(encoding="utf-8").splitlines() if written.exists() else []
        return [json.loads(line) for line in lines]


def _output(command: list[str]) -> str:
    """Return the output of a program; nothing where it is missing or fails."""
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False).stdout.strip()  # noqa: S603
    return ""
