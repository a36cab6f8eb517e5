"""Saved runs of pytest-benchmark: which of them are a base for a measurement, and what takes longer than in them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_embedqa.core.arguments import is_number
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.core.verdict import Verdict, judge
from pytest_embedqa.encoders.system import System
from pytest_embedqa.encoders.threads import cpu_threads, usable_cores

# What a measurement was made on, beside the processor.
_MACHINE = {"threads": "threads", "gpu": "GPU"}
# What was timed.
_WORK = {"unit": "unit", "length": "tokens", "batch_size": "batch size"}
# Facts of an encoder that don't make it another model: a slower library is what the comparison is there to find.
_SAME_MODEL = {"spec", "digest", "libraries", "prompts_from"}
# Bounds below this need more decimals, in milliseconds.
_SHORT = 1.0


@dataclass(frozen=True)
class Allowance:
    """A condition of ``--benchmark-compare-fail``: how much longer a round may take than in the saved run.

    Attributes:
        figure: Name of pytest-benchmark's figure: ``min``, ``median``, …
        most: The part that is allowed beyond the saved figure, in percent or in seconds.
        percent: Whether that is a percentage.
    """

    figure: str
    most: float
    percent: bool

    def bound(self, saved: float) -> float:
        """Return the largest figure that is allowed, in the unit of the saved one."""
        return saved * (1 + self.most / 100) if self.percent else saved + self.most

    def __str__(self) -> str:
        """Return the option as the user wrote it."""
        return f"--benchmark-compare-fail={self.figure}:{self.most:g}{'%' if self.percent else ''}"


@dataclass(frozen=True)
class SavedBenchmark:
    """The figures of one test in a saved run.

    Attributes:
        file: The saved run's file.
        facts: The test's entry in that file.
        processor: Name of the processor it was measured on; empty if unknown.
        processor_now: Name of the processor of this run.
    """

    file: str
    facts: Mapping[str, Any]
    processor: str
    processor_now: str

    def why_no_base(self, now: Mapping[str, Any], allowed: Sequence[Allowance]) -> str:
        """Say why a measurement can't be compared with this one; an empty text if it can.

        Args:
            now: What ``extra_info`` says of the measurement.
            allowed: Conditions whose figures are needed.
        """
        was = _mapping(_mapping(self.facts.get("extra_info")).get("embedqa"))
        stats = _mapping(self.facts.get("stats"))
        missing = [one.figure for one in allowed if not is_number(stats.get(one.figure)) or stats[one.figure] < 0]
        if not was:
            reasons = ["extra_info does not say what was measured"]
        else:
            reasons = [*self._differences(was, json.loads(json.dumps(now)))]
        reasons += [f"it has no figure '{name}'" for name in missing]
        return f"{self.file} is no base: {'; '.join(reasons)}" if reasons else ""

    def _differences(self, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
        if not self.processor or self.processor != self.processor_now:
            yield f"processor {self.processor or 'unknown'}, now {self.processor_now or 'unknown'}"
        for name, words in (_MACHINE | _WORK).items():
            if str(was.get(name)) != str(now.get(name)):
                yield f"{words} {was.get(name, 'unknown')}, now {now.get(name, 'unknown')}"
        if bool(was.get("rounds")) is not bool(now["rounds"]):
            bulk = ("single queries", "batches")
            yield f"{bulk[bool(was.get('rounds'))]} were timed, now {bulk[bool(now['rounds'])]}"
        names = _other_facts(_mapping(was.get("encoder")), now["encoder"])
        if "model" in names:
            yield f"model {_mapping(was.get('encoder')).get('model', 'unknown')}, now {now['encoder']['model']}"
        elif names:
            yield f"its model differs in {', '.join(names)}"

    def verdict(self, allowance: Allowance, now: float, of: Mapping[str, Any]) -> Verdict:
        """Judge a figure of this run, in seconds; ``of`` has the attributes of the verdict that name the test."""
        saved = self.facts["stats"][allowance.figure] * 1000
        requirement = Requirement(Kind.MAX, f"{allowance.figure}_ms", allowance.bound(saved / 1000) * 1000)
        outcome, bound, reason = judge(requirement, value := now * 1000)
        digits = requirement.digits if bound >= _SHORT else 4
        change = f", {value / saved - 1:+.0%}" if saved else ""
        reason = (
            f"{requirement.measure} {value:.{digits}f} of a round, {saved:.{digits}f} in the saved run {self.file}{change}; "
            f"at most {bound:.{digits}f} is allowed ({allowance})."
        )
        judged = outcome, bound, reason
        return Verdict.of(requirement, value, judged, requirement=str(allowance), baseline=saved, digits=digits, **of)


def computed_with(model: System) -> dict[str, Any]:
    """Return the number of threads that a model computes with, and the name of the GPU it runs on."""
    torch = sys.modules.get("torch")
    if torch is None or "torch" not in model.identity.libraries:
        return {"threads": model.spec.options.get("threads") or cpu_threads() or usable_cores()}
    on_gpu = model.identity.device == "cuda" and torch.cuda.is_available()
    gpu = {"gpu": torch.cuda.get_device_name()} if on_gpu else {}
    return {"threads": torch.get_num_threads(), **gpu}


def processor(machine: object) -> str:
    """Name the processor in pytest-benchmark's ``machine_info``; an empty text if it is not there.

    Virtual machines give processors of several generations one name: family and model tell them apart.
    """
    facts = _mapping(machine)
    cpu = _mapping(facts.get("cpu"))
    name = cpu.get("brand_raw") or facts.get("processor") or facts.get("machine") or ""
    numbers = ", ".join(f"{one} {cpu[one]}" for one in ("family", "model") if one in cpu)
    return f"{name} ({numbers})" if numbers else str(name)


def _other_facts(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names of the facts in which two encoders differ as models."""
    # What can't be seen from outside has an identity of its own in each run, so that no vectors are reused; the speed of
    # the same function or server is what the comparison is about.
    both = [{**facts, "options": {**_mapping(facts.get("options")), "run": ""}} for facts in (was, now)]
    return [name for name in both[0] | both[1] if name not in _SAME_MODEL and both[0].get(name) != both[1].get(name)]


def _mapping(value: object) -> dict[str, Any]:
    """Return what should be an object in a file that anybody may have written."""
    return value if isinstance(value, dict) else {}
