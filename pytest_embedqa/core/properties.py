"""Facts that travel in ``user_properties``, through xdist and JUnit, to every report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pytest_embedqa.core.showing import inert

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
INDEX = "embedqa.index"
LEFT_OUT = "embedqa.left_out"


def write(name: str, facts: dict[str, Any]) -> tuple[str, str]:
    """Return facts as a property: a name and JSON, which xdist carries and readers of JUnit files can parse."""
    return name, inert(json.dumps(facts, ensure_ascii=False))


def read(properties: Iterable[tuple[str, object]], wanted: str) -> list[dict[str, Any]]:
    """Return the facts of all properties of this name."""
    return [json.loads(str(value)) for name, value in properties if name == wanted]
