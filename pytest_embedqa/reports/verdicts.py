"""What travels in ``user_properties``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.requirement import MAIN_SCORE
from pytest_embedqa.core.showing import inert
from pytest_embedqa.core.verdict import Verdict
from pytest_embedqa.rag.judging import place_of, snippet_of

if TYPE_CHECKING:
    from pytest_embedqa.diagnosis.result import Diagnosis
    from pytest_embedqa.encoders.encoder import Encoder
    from pytest_embedqa.engine_parity.comparison import ParityResult
    from pytest_embedqa.quality.task import TaskResult
    from pytest_embedqa.rag.group import Decay
    from pytest_embedqa.rag.judging import Answer
    from pytest_embedqa.rag.probe import ProbeFile
    from pytest_embedqa.speed.measuring import SpeedResult
    from pytest_embedqa.upgrade.gate import Comparison

PREFIX = "embedqa."
VERDICT = "embedqa.verdict"
TASK = "embedqa.task"
ENCODER = "embedqa.encoder"
NOTE = "embedqa.note"
TRUNCATION = "embedqa.truncation"
PARITY = "embedqa.parity"
CURVE = "embedqa.curve"
SPEED = "embedqa.speed"
UPGRADE = "embedqa.upgrade"
DIAGNOSIS = "embedqa.diagnosis"
PROBE = "embedqa.probe"
DECAY = "embedqa.decay"
LEFT_OUT = "embedqa.left_out"


def encoder_facts(encoder: Encoder) -> dict[str, Any]:
    """Spec and identity of an encoder, JSON-serialisable."""
    return {
        "spec": str(encoder.spec),
        "digest": encoder.identity.digest,
        "prompts_from": encoder.prompts.origin,
        **encoder.identity.as_dict(),
    }


def task_facts(result: TaskResult) -> dict[str, Any]:
    """What a task is and what it scored, part by part, JSON-serialisable."""
    scores = result.details
    metric = scores.metric(MAIN_SCORE)
    return {
        "model": str(result.encoder.spec),
        "task": scores.task,
        "type": scores.type,
        "measure": metric,
        "score": scores.score(),
        "units": scores.units,
        "limit": scores.limit,
        "seconds": scores.seconds,
        "encoded": scores.encoded,
        "data_revision": scores.data_revision,
        "parts": [
            {
                "split": split,
                "subset": subset,
                "languages": [str(one).partition("-")[0] for one in part.get("languages", ())],
                "score": float(part[metric]),
            }
            for split, subsets in scores.scores.items()
            for subset, part in subsets.items()
        ],
    }


def truncation_facts(result: TaskResult) -> dict[str, Any]:
    """What of a task's texts the encoder under test did not see, JSON-serialisable."""
    return {
        "model": str(result.encoder.spec),
        "task": result.query.name,
        "max_length": result.identity.max_length,
        **asdict(result.details.truncation),
    }


def curve_facts(result: TaskResult) -> dict[str, Any]:
    """Quality of a task over the size of a vector, JSON-serialisable."""
    return {
        "model": str(result.encoder.spec),
        "task": result.query.name,
        "measure": result.details.main_score,
        "points": [asdict(point) for point in result.curve],
    }


def upgrade_facts(encoder: Encoder, comparison: Comparison, differences: Sequence[str]) -> dict[str, Any]:
    """A comparison with the baseline, the units that got worse most, and what differs between the encoders."""
    return {"model": str(encoder.spec), **comparison.as_dict(), "differences": list(differences)}


def diagnosis_facts(result: TaskResult, diagnosis: Diagnosis) -> dict[str, Any]:
    """Why a task's score is low, JSON-serialisable."""
    return {"model": str(result.encoder.spec), "task": result.query.name, **asdict(diagnosis)}


def speed_facts(result: SpeedResult) -> dict[str, Any]:
    """Measured figures, JSON-serialisable."""
    return {"model": str(result.encoder.spec), **asdict(result.details)}


def parity_facts(result: ParityResult) -> dict[str, Any]:
    """A comparison of two encoders, JSON-serialisable."""
    return {
        "model": str(result.encoder.spec),
        "reference": str(result.reference().spec),
        **asdict(result.comparison),
    }


def probe_facts(file: ProbeFile, answer: Answer, model: str, shown: str) -> dict[str, Any]:
    """What a probe asked, what came back, and what was wrong with it, JSON-serialisable; ``shown`` names its file."""
    expect = answer.probe.expect
    return {
        "model": model,
        "file": shown,
        "path": str(file.path),
        "name": answer.probe.name,
        "ask": answer.probe.ask,
        "holds": answer.holds,
        "rank": answer.rank,
        "recall": answer.recall,
        "expected": [str(piece) for piece in expect.pieces] if expect else [],
        "missing": list(answer.missing),
        "intruders": list(answer.intruders),
        "milliseconds": answer.milliseconds,
        "too_slow": answer.too_slow,
        "in_short": answer.in_short,
        "passages": [
            {"source": one.source, "pages": place_of(one), "score": one.score, "snippet": snippet_of(one, answer.probe)}
            for one in answer.passages
        ],
        "notes": list(answer.notes),
    }


def decay_facts(decays: Sequence[Decay], model: str, shown: str) -> dict[str, Any]:
    """What a variation does to the probes of a file, level by level, JSON-serialisable."""
    return {"model": model, "file": shown, "levels": [asdict(one) for one in decays]}


def verdicts_of(properties: Iterable[tuple[str, object]]) -> list[Verdict]:
    """Verdicts among the properties of a test report."""
    return [Verdict.from_dict(facts) for facts in read(properties, VERDICT)]


def write(name: str, facts: dict[str, Any]) -> tuple[str, str]:
    """A property: JSON, which xdist carries and readers of JUnit files can parse."""
    return name, inert(json.dumps(facts, ensure_ascii=False))


def read(properties: Iterable[tuple[str, object]], wanted: str) -> list[dict[str, Any]]:
    """Facts of all properties of that name."""
    return [json.loads(str(value)) for name, value in properties if name == wanted]
