"""``@throughput``: bounds on speed, measured by pytest-benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.properties import ENCODER, NOTE, SPEED, VERDICT, write
from pytest_embedqa.encoders.wording import encoder_facts
from pytest_embedqa.plugin import saved_runs
from pytest_embedqa.plugin.checks.check import Check
from pytest_embedqa.speed.facts import speed_facts, speed_failure_text
from pytest_embedqa.speed.mark import SpeedMark, read_mark
from pytest_embedqa.speed.saved_run import computed_with
from pytest_embedqa.speed.verdicts import named, speed_verdicts
from pytest_embedqa.speed.workload import NotMeasurableError

if TYPE_CHECKING:
    from pytest_embedqa.session import Session
    from pytest_embedqa.speed.measuring import SpeedResult


class SpeedCheck(Check[SpeedMark]):
    """The check of ``@throughput``."""

    def parse(self, item: pytest.Item, mark: pytest.Mark) -> SpeedMark:  # noqa: ARG002
        """Parse the bounds."""
        return read_mark(mark)

    def judge(self, item: pytest.Function, parsed: SpeedMark, session: Session) -> None:
        """Measure speed, and fail the test if a bound does not hold."""
        benchmark = item.funcargs["benchmark"]
        if hasattr(item.config, "workerinput"):
            _leave_out(item, session, "speed tests need -n0: under xdist other tests share the machine with them")
        if benchmark.disabled:  # type: ignore[attr-defined]  # pytest-benchmark's fixture
            _leave_out(item, session, "speed was not measured: --benchmark-disable")
        result = cast("SpeedResult", item.funcargs["speed_result"])
        speed, uncompared = session.speed_mark(parsed, result.encoder)
        allowed = saved_runs.take_over(item)
        try:
            judged = list(speed_verdicts(speed, result.details, result.encoder))
        except NotMeasurableError as error:
            pytest.skip(str(error))
        except EmbedQAError as error:
            raise pytest.fail.Exception(f"speed: {error}", pytrace=False) from None
        facts = speed_facts(result)
        measured = {"encoder": encoder_facts(result.encoder), **facts, **computed_with(result.encoder)}
        benchmark.extra_info["embedqa"] = measured  # type: ignore[attr-defined]
        compared, no_bases = saved_runs.compare(item, allowed, measured, named(result.details, result.encoder))
        judged += compared
        item.user_properties += [write(VERDICT, verdict.as_dict()) for verdict in judged]
        item.user_properties += [write(ENCODER, encoder_facts(result.encoder)), write(SPEED, facts)]
        problems = [uncompared] if uncompared else []
        problems += no_bases
        for problem in problems:
            item.user_properties.append(write(NOTE, {"text": f"{item.name}: speed was not compared: {problem}"}))
        # A table that shows a saved run without a condition asks for no verdict.
        if session.settings.strict and (uncompared or (allowed and not compared)):
            pytest.fail("\n".join(f"speed was not compared: {problem}" for problem in problems), pytrace=False)
        failed = [verdict for verdict in judged if not session.holds(verdict)]
        if failed:
            pytest.fail(speed_failure_text(failed, result), pytrace=False)


CHECK = SpeedCheck()


def _leave_out(item: pytest.Item, session: Session, reason: str) -> None:
    """Skip the test in a way that nobody overlooks; fail it where everything must be judged."""
    item.user_properties.append(write(NOTE, {"text": f"{item.name}: {reason}"}))
    if session.settings.strict:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
