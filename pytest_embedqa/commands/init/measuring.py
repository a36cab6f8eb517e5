"""The measurement of a model, done once, and the bounds that follow from it."""

from __future__ import annotations

import importlib.util
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, TextIO

from pytest_embedqa.core.errors import EmbedQAError, MissingDataError, MissingExtraError
from pytest_embedqa.core.requirement import MAIN_SCORE
from pytest_embedqa.core.showing import shown
from pytest_embedqa.core.statistics import interval
from pytest_embedqa.encoders.cache import cache_folder
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.store import default_path
from pytest_embedqa.encoders.wording import identity_line, prompts_line
from pytest_embedqa.invariants.catalogue import catalogue
from pytest_embedqa.invariants.invariant import NotApplicableError
from pytest_embedqa.quality import evaluator
from pytest_embedqa.quality.own_tasks import retrieval_task
from pytest_embedqa.quality.task import TaskQuery
from pytest_embedqa.session import Session
from pytest_embedqa.settings import Settings

if TYPE_CHECKING:
    from pytest_embedqa.encoders.encoder import Encoder, Progress

TEMPLATE = Path(__file__).parent / "template"
OWN_DATA = "data/help_center"
PROBES, DOCUMENTS = "help_center.probe.yaml", "documents"
# Well-known tasks in English, one for each skill, and the datasets they read.
TASKS = {
    "STSBenchmark": "mteb/stsbenchmark-sts",
    "SciFact": "mteb/scifact",
    "MBPPRetrieval": "embedding-benchmark/MBPP",
    "Banking77Classification": "mteb/banking77",
    "TwitterSemEval2015": "mteb/twittersemeval2015-pairclassification",
    "AskUbuntuDupQuestions": "mteb/AskUbuntuDupQuestions",
}
# Minutes after which a task that nobody asked for is left out: without stored vectors, every later run would take as
# long.
MOST_MINUTES = 2.0
# Invariants that tokenizer and training decide. All others are about the set-up: a failure is a fault.
BY_DESIGN = frozenset(
    {
        "accents_distinct",
        "case_distinct",
        "cjk_distinct",
        "languages",
        "mixed_languages",
        "unicode_forms",
        "white_space",
    }
)
_DECIMALS = 1_000
# Characters of a counterexample: enough to recognise its kind.
_EXAMPLE = 100


@dataclass(frozen=True)
class Plan:
    """The order for a suite.

    Attributes:
        spec: The model.
        folder: Folder of the suite, as the user wrote it.
        tasks: Tasks of mteb; ``None`` for those tasks of ``TASKS`` whose data is at hand and that take few minutes.
        datasets: Folder of task data that the suite names.
        margin: Distance of the bounds from the scores; ``None`` derives it from the units.
    """

    spec: Spec
    folder: Path
    tasks: tuple[str, ...] | None = None
    datasets: Path | None = None
    margin: float | None = None

    @property
    def place(self) -> Path:
        """The absolute path of the suite's folder."""
        return self.folder.expanduser().resolve()

    @property
    def command(self) -> str:
        """The command that measures the model again."""
        words = ["embedqa", "init", str(self.folder), "--model", self.spec.text]
        words += ["--datasets", str(self.datasets)] if self.datasets else []
        words += ["--margin", f"{self.margin:g}"] if self.margin is not None else []
        words += ["--tasks", *self.tasks] if self.tasks is not None else []
        return shlex.join([*words, "--force"])


@dataclass(frozen=True)
class Proposal:
    """A proposed bound: a task, the model's score on it, and the bound that follows.

    Attributes:
        task: Name of the task.
        metric: Its main score.
        score: The measured score.
        bound: The proposed bound.
        units: Number of units that the score rests on (queries, pairs, texts); 0 if unknown.
        unit: Name of the units, in the plural.
        interval: 95 % interval of the score, where it has units.
    """

    task: str
    metric: str
    score: float
    bound: float
    units: int = 0
    unit: str = "units"
    interval: tuple[float, float] | None = None


@dataclass
class Measured:
    """The measurements that a suite is made of.

    Attributes:
        model: The encoder, in one line.
        prompts: Its prompts, in one line.
        own: The task on the suite's own data.
        tasks: Tasks of mteb.
        expected: Invariants that fail by design, with the counterexample; ``None`` if none were checked.
        faults: Invariants that fail although any model can hold them.
        probes: Number of probes that hold, and of all; ``None`` if none were asked.
        left_out: What was not measured, with the reason.
    """

    model: str
    prompts: str
    own: Proposal
    tasks: list[Proposal] = field(default_factory=list)
    expected: dict[str, str] | None = None
    faults: dict[str, str] = field(default_factory=dict)
    probes: tuple[int, int] | None = None
    left_out: list[str] = field(default_factory=list)


def bound_below(score: float, units: int, margin: float | None = None) -> float:
    """Return a score lowered by what noise and an accepted loss may take away, rounded down to three decimals.

    The same model reproduces its score up to rounding, which may swap passages. So the bound allows the same drop as
    the upgrade gate, and at least the weight of a single unit.

    Args:
        score: The measured score.
        units: Number of units it rests on; 0 if unknown.
        margin: Distance from the score to use instead.
    """
    if margin is None:
        margin = max(Settings.max_regression, 1 / units if units else 0.0)
    return math.floor((score - margin) * _DECIMALS) / _DECIMALS


def measure(plan: Plan, datasets: Path | None, say: Callable[[str], object]) -> Measured:
    """Measure a model for a suite, on the data that its folder already has instead of the template's.

    Args:
        plan: The order for the suite.
        datasets: Folder with task data in the Hub's layout; ``None`` for the Hub and its cache.
        say: Called with each line of progress.

    Raises:
        EmbedQAError: If the model can't be loaded, or a requested task can't be measured.
    """
    for name in plan.tasks or ():
        evaluator.check(TaskQuery(name), ())
    # The store that pytest uses, too, so that the first run of the suite finds the vectors.
    settings = Settings(models=(plan.spec,), datasets=datasets, store=default_path())
    with closing(Session(settings, _progress(sys.stderr))) as session:
        say(f"loading {plan.spec}")
        encoder = session.encoder(plan.spec)
        run = _Run(session, encoder, plan.margin, say)
        found = Measured(
            identity_line(encoder.identity.as_dict()),
            prompts_line(encoder.prompts.origin, encoder.identity.prompts),
            run.proposal(TaskQuery(retrieval_task(_present(plan.place, OWN_DATA)))),
        )
        if plan.tasks is not None:
            found.tasks = [run.named(name) for name in plan.tasks]
        else:
            run.add_tasks_at_hand(found, datasets)
        run.add_invariants(found)
        if not (plan.place / PROBES).exists():
            run.add_probes(found, plan.place)
        for note in session.notes:
            say(f"note: {note}")
    return found


def _present(folder: Path, name: str) -> Path:
    """Return the path of suite data: the user's if it exists, otherwise the template's."""
    return folder / name if (folder / name).exists() else TEMPLATE / name


@dataclass
class _Run:
    """The measurement in progress, which reports each step."""

    session: Session
    encoder: Encoder
    margin: float | None
    say: Callable[[str], object]

    def proposal(self, query: TaskQuery, max_minutes: float | None = None) -> Proposal:
        self.say(f"measuring {query.name}")
        scores = self.session.result(query, self.encoder, max_minutes).details
        metric, score = scores.metric(MAIN_SCORE), scores.score()
        evidence = scores.evidence.get(metric)
        bound = bound_below(score, scores.units, self.margin)
        if not bound > 0:
            raise EmbedQAError(
                f"{query.name}: {metric} {score:.4f} leaves no room for a bound above 0. Is this the right task for the model, "
                "and are its prompts and its pooling right? A smaller --margin would leave some room."
            )
        return Proposal(
            query.name,
            metric,
            score,
            bound,
            scores.units,
            evidence.unit if evidence else "units",
            interval(evidence) if evidence else None,
        )

    def named(self, task: str) -> Proposal:
        try:
            return self.proposal(TaskQuery(task))
        except MissingDataError as error:
            if self.session.settings.datasets:  # the message says how to get the data into that folder
                raise
            raise MissingDataError(f"{error}. {_fetch([task], None)}") from None

    def add_tasks_at_hand(self, found: Measured, datasets: Path | None) -> None:
        absent = []
        for name, dataset in TASKS.items():
            if not _at_hand(dataset, datasets):
                absent.append(name)
                continue
            try:
                found.tasks.append(self.proposal(TaskQuery(name), MOST_MINUTES))
            except EmbedQAError as error:
                found.left_out.append(f"{name}: {error} (--tasks {name} has no limit)")
        if absent:
            found.left_out.append(f"no data at hand for {', '.join(absent)}. {_fetch(absent, datasets)}")

    def add_invariants(self, found: Measured) -> None:
        if importlib.util.find_spec("hypothesis") is None:
            found.left_out.append(str(MissingExtraError("hypothesis", "invariants", "test_invariants.py")))
            return
        # Hypothesis would keep its examples in the current folder, which may hold no test of the user's.
        os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(cache_folder() / "hypothesis"))
        found.expected = {}
        self.say("checking invariants")
        for name, invariant in catalogue().items():
            try:
                verdict, finding = invariant.judge(self.encoder)
            except NotApplicableError:
                continue
            except EmbedQAError as error:
                found.faults[name] = str(error)
                continue
            if not verdict.passed:
                seen = f"{verdict.reason.partition(', off by')[0]}: {shorten(finding.example, _EXAMPLE)}"
                (found.expected if name in BY_DESIGN else found.faults)[name] = seen

    def add_probes(self, found: Measured, folder: Path) -> None:
        from pytest_embedqa.rag.reading import read_file  # asks for the extra at once

        self.say(f"asking {PROBES}")
        try:
            file = replace(read_file(TEMPLATE / PROBES), corpus=_present(folder, DOCUMENTS))
            answers = self.session.probing.answers(file, self.session.probing.retriever(file, self.encoder))
        except MissingExtraError as error:
            found.left_out.append(str(error))
            return
        found.probes = sum(answer.holds for answer in answers), len(answers)


def _fetch(tasks: list[str], datasets: Path | None) -> str:
    """Return the command that gets the data of tasks."""
    command = f"embedqa fetch {' '.join(tasks)} --to {shlex.quote(str(datasets or 'DIR'))}"
    return f"Get it where the Hub can be reached:  {command}" + ("" if datasets else ", then --datasets DIR")


def _at_hand(dataset: str, datasets: Path | None) -> bool:
    """Return whether a dataset can be read without the network."""
    if datasets:
        return (datasets / dataset).is_dir()
    if importlib.util.find_spec("huggingface_hub") is None:
        return False
    from huggingface_hub import constants

    return (Path(constants.HF_HUB_CACHE) / f"datasets--{dataset.replace('/', '--')}").is_dir()


def _progress(stream: TextIO) -> Progress:
    """Make a bar for each long encoding, on the present stream: the evaluation redirects it later."""
    from tqdm import tqdm

    @contextmanager
    def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
        often, late = (0.1, 1.0) if stream.isatty() else (30.0, 30.0)  # each update is a line of a log
        with tqdm(
            total=total, desc=shown(label), unit="text", leave=False, file=stream, mininterval=often, delay=late
        ) as bar:
            yield bar.update

    return progress
