"""``--embedqa-budget``: as many verdicts as a time allows. The cheapest tests run first, the rest is skipped."""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_embedqa.core.errors import EmbedQAError, TimeLimitError
from pytest_embedqa.core.properties import LEFT_OUT, VERDICT, write
from pytest_embedqa.core.verdict import Outcome
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.spec import Spec, parse_spec
from pytest_embedqa.markers import BENCHMARK, ENCODER, MEAN, TASK
from pytest_embedqa.plugin import checks
from pytest_embedqa.plugin.faults import contained
from pytest_embedqa.plugin.items import find_mark, has_encoder, names_its_system, parameters_of, system_of
from pytest_embedqa.plugin.state import BUDGET, get_session, settings_of
from pytest_embedqa.quality import cost
from pytest_embedqa.quality.cost import Pace
from pytest_embedqa.quality.evaluator import benchmark_queries
from pytest_embedqa.quality.mark import read_mark
from pytest_embedqa.quality.work import Work

if TYPE_CHECKING:
    from pytest_embedqa.encoders.encoder import Progress
    from pytest_embedqa.encoders.system import System
    from pytest_embedqa.quality.task import TaskQuery
    from pytest_embedqa.settings import Settings

# The start of the run, as xdist's workers are told it.
BEGAN = "embedqa_began"
# Reading a larger task takes minutes, so the store is not asked which of its texts it holds.
_MOST_LOOKED_UP = 50_000
Key = tuple[float, int, bool]


@contained
class Budget:
    """A plugin that orders the tests of a run, and stops evaluations that would exceed the run's budget."""

    def __init__(self, config: pytest.Config, seconds: int) -> None:
        """Start the clock, or take over the start of the run from the process that started this worker."""
        self._config = config
        self._seconds = seconds
        self.began: float = getattr(config, "workerinput", {}).get(BEGAN) or time.time()
        self._work: dict[TaskQuery, Work | None] = {}
        self._paces: dict[str, Pace] = {}
        self._evaluated: set[tuple[str, TaskQuery]] = set()
        # The encoding work of the running test, and the reason why it was stopped.
        self._running: Work | None = None
        self._stopped = ""
        config.stash[BUDGET] = self.watched

    @property
    def left(self) -> float:
        """The seconds that are left, by the wall clock, which all processes share."""
        return self.began + self._seconds - time.time()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # xdist's own type
        """Tell an xdist worker when the run began."""
        node.workerinput[BEGAN] = self.began

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Order the tests of encoders by cost per verdict; all other tests keep their places.

        This comes before pytest's own ordering by fixtures, which brings tests of one model together again. Measured
        times play no part: xdist requires the same order in all workers.
        """
        places = [place for place, item in enumerate(items) if has_encoder(item)]
        ours = [items[place] for place in places]
        asked = [self._queries(item) for item in ours]
        tests = Counter(queries[0] for queries in asked if len(queries) == 1)
        first: dict[TaskQuery, int] = {}
        for place, queries in enumerate(asked):
            for query in queries if len(queries) == 1 else ():
                first.setdefault(query, place)

        def key(place: int) -> Key:
            """Sort by cost per verdict, keep together what is evaluated together, and put a mean after its parts."""
            parts = [(self._cost(query) / tests.get(query, 1), first.get(query, place)) for query in asked[place]]
            return (*max(parts, default=(math.inf, len(ours))), len(parts) > 1)

        for place, index in zip(places, sorted(range(len(ours)), key=key), strict=True):
            items[place] = ours[index]

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip a test that does not fit into the time left."""
        self._stopped, self._running = "", None
        planned = item.config.getoption("setuponly", default=False)  # nothing is loaded or measured under --setup-only
        if planned or not has_encoder(item):
            return
        needs = self._needs(item)
        if needs == 0 or (self.left > 0 and (needs or 0) <= self.left):
            return
        left = f"{_words(self.left)} of the budget of {_words(self._seconds)} are left" if self.left > 0 else self._over
        reason = f"not run: needs about {_words(needs)}, {left}" if needs else f"not run: {left}"
        self._note(item, reason)
        (pytest.fail if self._settings.strict else pytest.skip)(reason)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Report a stopped test as having no verdict, unless it had already failed."""
        if not has_encoder(item):
            return
        if call.excinfo and self._stopped and not _has_failed(item):
            self._note(item, self._stopped)
            if not self._settings.strict:
                call.excinfo = pytest.CallInfo.from_call(lambda: pytest.skip(self._stopped), call.when).excinfo
        elif call.when == "call":
            self._evaluated.update((_system(item, self._settings), query) for query in self._queries(item))

    def watched(self, progress: Progress) -> Progress:
        """Return the same progress, which also times the encodings and stops them when the budget is spent."""

        @contextlib.contextmanager
        def timed(label: str, total: int) -> Iterator[Callable[[int], None]]:
            began, done = time.monotonic(), 0

            def advance(count: int) -> None:
                nonlocal done
                done += count
                forward(count)
                if done < total:
                    self._stop_if_over(done, total)

            self._stop_if_over(done, total)
            with progress(label, total) as forward:
                try:
                    yield advance
                finally:
                    if self._running and label in self._paces:
                        self._paces[label].count(self._running, done, time.monotonic() - began)

        return timed

    def _stop_if_over(self, done: int, total: int) -> None:
        if self.left > 0:
            return
        self._stopped = f"not done: {self._over}; {done:,} of {total:,} texts were encoded"
        if self._settings.store:
            self._stopped += ". They are stored; the next run goes on from there."
        raise TimeLimitError(self._stopped)

    @property
    def _over(self) -> str:
        return f"the budget of {_words(self._seconds)} is over"

    @property
    def _settings(self) -> Settings:
        return settings_of(self._config)

    def _queries(self, item: pytest.Item) -> list[TaskQuery]:
        """Return the tasks that an item evaluates: its own, all tasks for a benchmark's mean, none outside quality."""
        mark = find_mark(item)
        if mark is None or mark.name not in {TASK, BENCHMARK}:
            return []
        task = parameters_of(item).get("embedqa_task")
        try:
            if task != MEAN:
                return [checks.parsed(item, mark).query]
            return [read_mark(mark, item.path.parent, name).query for name in benchmark_queries(mark.args[0])]
        except EmbedQAError:
            return []  # faults of the marker are reported when all markers are checked

    def _cost(self, query: TaskQuery) -> float:
        found = self._known(query)
        return found.characters if found else math.inf

    def _known(self, query: TaskQuery) -> Work | None:
        if query not in self._work:
            try:
                self._work[query] = cost.work(query)
            except EmbedQAError:
                self._work[query] = None
        return self._work[query]

    def _needs(self, item: pytest.Item) -> float | None:
        """Return the seconds that an item is likely to take; ``None`` if unknown."""
        settings, session, spec = self._settings, get_session(self._config), _spec(item, self._settings)
        queries = [query for query in self._queries(item) if (_system(item, settings), query) not in self._evaluated]
        works = [self._known(query) for query in queries]
        mark = find_mark(item)
        if not queries or not all(works) or (mark and names_its_system(mark)):  # nobody knows a pipeline's pace
            return 0 if not queries and self._queries(item) else None
        if self.left <= 0:
            return None
        self._running = works[0] if len(works) == 1 else None
        # A gate against another encoder evaluates that encoder too.
        times = 2 if isinstance(settings.baseline, Spec) and spec in settings.models else 1
        try:
            encoder = session.system(spec)
            pace = self._paces.setdefault(str(spec), Pace(encoder.identity.max_length))
            found = [
                self._seconds_of(query, work, encoder, pace) for query, work in zip(queries, works, strict=True) if work
            ]
        except EmbedQAError:
            return None  # the test itself reports the fault
        return times * sum(seconds for seconds in found if seconds)

    def _seconds_of(self, query: TaskQuery, work: Work, encoder: System, pace: Pace) -> float | None:
        seconds = pace.seconds(work)
        looked_up = isinstance(encoder, Encoder) and work.texts <= _MOST_LOOKED_UP and not query.top_k
        if seconds is None or seconds <= self.left or not looked_up:
            return seconds
        return pace.seconds(cost.missing(query, cast("Encoder", encoder), self._settings.datasets))

    def _note(self, item: pytest.Item, reason: str) -> None:
        facts = {"test": item.name, "reason": reason, "budget": _words(self._seconds)}
        item.user_properties.append(write(LEFT_OUT, facts))


def _spec(item: pytest.Item, settings: Settings) -> Spec:
    given = parameters_of(item).get(ENCODER) or settings.models[0]
    return parse_spec(given) if isinstance(given, str) else given


def _system(item: pytest.Item, settings: Settings) -> str:
    return system_of(item) or str(settings.models[0])


def _has_failed(item: pytest.Item) -> bool:
    return any(
        name == VERDICT and f'"outcome": "{Outcome.FAIL.value}"' in str(value) for name, value in item.user_properties
    )


def _words(seconds: float) -> str:
    """Format a duration: ``40 s``, ``12 min`` or ``1 h 30 min``."""
    if seconds < 100:  # noqa: PLR2004  two digits
        return f"{math.ceil(seconds)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join(f"{number} {unit}" for number, unit in ((hours, "h"), (minutes, "min")) if number)
