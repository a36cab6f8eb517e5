"""``@parity``: bounds on the agreement with another encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.properties import ENCODER, PARITY, VERDICT, write
from pytest_embedqa.encoders.wording import encoder_facts
from pytest_embedqa.engine_parity.causes import find_causes
from pytest_embedqa.engine_parity.facts import parity_facts, parity_failure_text
from pytest_embedqa.engine_parity.mark import read_mark
from pytest_embedqa.engine_parity.verdicts import parity_verdicts

if TYPE_CHECKING:
    from pytest_embedqa.engine_parity.comparison import ParityResult
    from pytest_embedqa.session import Session


def read(item: pytest.Item, mark: pytest.Mark) -> None:  # noqa: ARG001  as every sort of marker
    """Understand a marker.

    Raises:
        SpecError: If it can't hold.
    """
    read_mark(mark)


def check(item: pytest.Function, mark: pytest.Mark, session: Session) -> None:
    """Compare, and fail the item if a bound does not hold."""
    parity = read_mark(mark)
    result = cast("ParityResult", item.funcargs["parity_result"])
    problem = None
    try:
        judged = parity_verdicts(parity.requirements, result)
        failed = [verdict for verdict in judged if not verdict.passed]
        if failed:
            causes = find_causes(result.encoder, result.reference(), result.comparison, session.variant)
            problem = parity_failure_text(failed, result, causes)
    except EmbedQAError as error:
        judged, problem = [], f"parity with {parity.reference}: {error}"
    item.user_properties += [write(VERDICT, verdict.as_dict()) for verdict in judged]
    if judged:
        item.user_properties += [
            write(ENCODER, encoder_facts(result.encoder)),
            write(PARITY, parity_facts(result)),
        ]
    if problem:
        pytest.fail(problem, pytrace=False)
