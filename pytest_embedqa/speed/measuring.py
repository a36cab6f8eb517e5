"""The timing of a model: every text is new, so that no store and no cache answers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from pytest_embedqa.core.errors import EncoderFaultError, EngineError
from pytest_embedqa.core.statistics import median_interval
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.system import System
from pytest_embedqa.speed.mark import LATENCY, RATIO, SpeedMark
from pytest_embedqa.speed.workload import Input, Timed, Workload

# Most rounds, most seconds, fewest rounds.
_BULK = (50, 5.0, 5)
_LATENCY = (200, 10.0, 20)
_BATCHES_A_ROUND = 4
_WARM_UP = 2
_FEWEST_PAIRS, _PAIRS_A_LOOK = 10, 5
# Repeated looks at the data need more than the usual 95 %.
_SURE = 0.99

# Runs ``target`` on the output of ``setup``, for a number of rounds after warm-up rounds; returns each round's seconds.
Timer = Callable[[Callable[[list[Input]], object], Callable[[], list[Input]], int, int], list[float]]


@dataclass(frozen=True)
class Ratio:
    """The speed relative to another encoder, measured in the same run.

    Attributes:
        value: Median over pairs of rounds.
        interval: 99 % interval of that median.
        pairs: Pairs of rounds.
    """

    value: float
    interval: tuple[float, float]
    pairs: int


@dataclass(frozen=True)
class Speed:
    """The measured speed of an encoder.

    Attributes:
        figures: Value by measure: texts (or pairs) and tokens a second (median round), percentiles of single queries
            in milliseconds, peak memory in MB, and the ratio.
        length: Tokens in a text, or in a pair.
        batch_size: Texts in a batch, or pairs.
        rounds: Number of rounds of the bulk measurement.
        calls: Number of timed single queries.
        ratio: The comparison, if there was one.
        notes: Notes for the reader.
        unit: What was counted: ``texts``, or the ``pairs`` of a reranker.
    """

    figures: dict[str, float]
    length: int
    batch_size: int
    rounds: int = 0
    calls: int = 0
    ratio: Ratio | None = None
    notes: tuple[str, ...] = ()
    unit: str = "texts"


@dataclass
class SpeedResult:
    """The value of the fixture ``speed_result``: figures, measured on first use.

    Attributes:
        encoder: The encoder or reranker under test.
        measure: Function that measures.
    """

    encoder: System
    measure: Callable[[], Speed] = field(repr=False)

    @cached_property
    def details(self) -> Speed:
        """The whole measurement."""
        return self.measure()

    def __getitem__(self, measure: str) -> float:
        """Return a figure by its name.

        The names are ``texts_per_s`` (of a reranker ``pairs_per_s``), ``tokens_per_s``, ``p50_ms``, ``p95_ms``, ``p99_ms``, ``memory_mb``,
        ``gpu_memory_mb`` and ``ratio``.
        """
        figures = self.details.figures
        if measure not in figures:
            raise KeyError(f"speed_result has {', '.join(figures)}, not {measure!r}")
        return figures[measure]


def measure_speed(
    encoder: System, mark: SpeedMark, length: int | str, timer: Timer, reference: Callable[[], System]
) -> Speed:
    """Measure the figures that a marker asks for.

    Args:
        encoder: The encoder or reranker under test.
        mark: The parsed marker.
        length: Tokens in a text, or in a pair.
        timer: Times the rounds that the benchmark report shows: bulk, or single queries if only they are bounded.
        reference: Function that loads the model to compare with.

    Raises:
        NotMeasurableError: If the model can't accept such texts.
        EncoderFaultError: If the answer came from something other than the model, such as a cache.
        EngineError: If there is no single model to time, or a reranker would be compared with an encoder.
    """
    if not isinstance(encoder, Encoder | Reranker):
        raise EngineError(
            f"'{encoder.spec}' is no single model, but {encoder.kind}: its speed depends on the corpus. Measure the models it is made of."
        )
    # A call of a reranker is a query with the documents that were found for it.
    queries = Workload(encoder, length, QUERY, mark.batch_size if encoder.kind == "reranker" else 1, part=1)
    workload = queries if mark.only_latency else Workload(encoder, length, DOCUMENT, mark.batch_size, _BATCHES_A_ROUND)
    figures: dict[str, float] = {}
    rounds = calls = 0
    start_of_memory = _reset_peak()
    if not mark.only_latency:
        times = _timed(encoder, workload, timer, _BULK)
        rounds, seconds = len(times), float(np.median(times))
        figures[f"{workload.unit}_per_s"] = workload.size / seconds
        if workload.counted:
            figures["tokens_per_s"] = workload.size * workload.length / seconds
    figures |= _peaks(encoder, start_of_memory)
    if mark.only_latency or mark.measures & set(LATENCY):
        times = _timed(encoder, queries, timer if mark.only_latency else stopwatch, _LATENCY)
        calls = len(times)
        figures |= {f"p{q}_ms": float(np.percentile(times, q)) * 1000 for q in (50, 95, 99)}
    ratio = None
    if mark.against:
        (bound,) = [one.bound for one in mark.requirements if one.measure == RATIO]
        pairs = Workload(encoder, length, DOCUMENT, mark.batch_size, part=2)
        ratio = interleaved((encoder, _comparable(encoder, reference())), pairs, bound, mark.max_seconds)
        figures[RATIO] = ratio.value
    notes = () if workload.counted else ("this engine does not count tokens: length is in words",)
    return Speed(figures, workload.length, mark.batch_size, rounds, calls, ratio, notes, workload.unit)


def _comparable(encoder: Timed, reference: System) -> Timed:
    """Return the model to compare with, if it does the same work."""
    if not isinstance(reference, Encoder | Reranker) or (encoder.kind == "reranker") is not (
        reference.kind == "reranker"
    ):
        raise EngineError(
            f"'{encoder.spec}' ({encoder.kind}) can't be timed in turns with '{reference.spec}' ({reference.kind}): "
            "against= must be a reranker for a reranker, and an encoder for an encoder."
        )
    return reference


def stopwatch(
    target: Callable[[list[Input]], object], setup: Callable[[], list[Input]], rounds: int, warm_up: int
) -> list[float]:
    """Return the seconds of each round, after the warm-up."""
    times = []
    for number in range(-warm_up, rounds):
        texts = setup()
        began = time.perf_counter()
        target(texts)
        if number >= 0:
            times.append(time.perf_counter() - began)
    return times


def _timed(encoder: Timed, workload: Workload, timer: Timer, limits: tuple[int, float, int]) -> list[float]:
    """Return the seconds of each round of the workload; as many rounds as fit the limits."""
    most, seconds, fewest = limits
    computing = encoder.computing(batch_size=workload.batch_size)

    def encode(texts: list[Input]) -> object:
        return workload.run(computing, texts)

    def setup() -> list[Input]:
        texts = workload.texts()
        _synchronize()
        return texts

    (once,) = stopwatch(encode, setup, 1, 1)
    rounds = int(min(most, max(fewest, seconds / once)))
    before = computing.encoded
    times = timer(encode, setup, rounds, _WARM_UP)
    _require_computed(computing, computing.encoded - before, workload.size * (rounds + _WARM_UP))
    return times


def interleaved(both: tuple[Timed, Timed], workload: Workload, bound: float, max_seconds: float) -> Ratio:
    """Time two models in turns until their ratio is clearly above or below the bound, or time is over.

    Other load on the machine slows both down, and the order of a pair alternates.

    Args:
        both: The model under test, and the model to compare with.
        workload: Texts to encode, or pairs to score.
        bound: Least ratio.
        max_seconds: Seconds after which to stop without an answer.
    """
    computing = [one.computing(batch_size=workload.batch_size) for one in both]
    given, ratios = 0, list[float]()
    began = time.monotonic()
    while True:
        texts = workload.texts()
        given += workload.size
        seconds = [0.0, 0.0]
        for which in (0, 1) if len(ratios) % 2 else (1, 0):
            _synchronize()
            start = time.perf_counter()
            workload.run(computing[which], texts)
            seconds[which] = time.perf_counter() - start
        if given > _WARM_UP * workload.size:
            ratios.append(seconds[1] / seconds[0])
        if len(ratios) >= _FEWEST_PAIRS and len(ratios) % _PAIRS_A_LOOK == 0:
            low, high = median_interval(np.array(ratios), _SURE)
            if low >= bound or high < bound or time.monotonic() - began > max_seconds:
                break
    for one in computing:
        _require_computed(one, one.encoded, given)
    return Ratio(float(np.median(ratios)), (low, high), len(ratios))


def _require_computed(encoder: Timed, computed: int, given: int) -> None:
    if computed != given:
        raise EncoderFaultError(
            f"Of {given:,} texts given to '{encoder.spec}', {computed:,} went through the model: the rest came from a store or cache, so the time says nothing."
        )


def _synchronize() -> None:
    """Wait for the GPU to finish earlier work; vectors on the host are complete once they are returned."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _reset_peak() -> bool:
    """Reset the high-water mark of memory; return whether the host's could be reset (Linux)."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return True
    return False


def _peaks(encoder: Timed, reset: bool) -> dict[str, float]:
    """Return this process's peak memory in MB, of host and GPU; of the host since its start, if it can't be reset."""
    found = {}
    if reset:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
        found["memory_mb"] = int(line.split()[1]) / 1024
    else:
        with suppress(ImportError):  # Windows has no such module
            import resource

            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            found["memory_mb"] = peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
    torch = sys.modules.get("torch")
    if torch is not None and encoder.identity.device == "cuda" and torch.cuda.is_initialized():
        found["gpu_memory_mb"] = torch.cuda.max_memory_allocated() / 2**20
    return found
