"""``@parity``: bounds on the agreement of the encoder with a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.properties import ENCODER, PARITY, VERDICT, write
from pytest_embedqa.encoders.wording import encoder_facts
from pytest_embedqa.engine_parity.causes import find_causes
from pytest_embedqa.engine_parity.facts import parity_facts, parity_failure_text
from pytest_embedqa.engine_parity.mark import ParityMark, read_mark
from pytest_embedqa.engine_parity.verdicts import parity_verdicts
from pytest_embedqa.plugin.checks.check import Check

if TYPE_CHECKING:
    from pytest_embedqa.engine_parity.comparison import ParityResult
    from pytest_embedqa.session import Session


class ParityCheck(Check[ParityMark]):
    """The check of ``@parity``."""

    def parse(self, item: pytest.Item, mark: pytest.Mark) -> ParityMark:  # noqa: ARG002
        """Parse the bounds."""
        return read_mark(mark)

    def shared(self, item: pytest.Item, parsed: ParityMark) -> str:  # noqa: ARG002
        """Name the reference, which is loaded once."""
        return f"parity with {parsed.reference}"

    def judge(self, item: pytest.Function, parsed: ParityMark, session: Session) -> None:
        """Compare the encoders, and fail the test if a bound does not hold."""
        result = cast("ParityResult", item.funcargs["parity_result"])
        try:
            judged = parity_verdicts(parsed.requirements, result)
            failed = [verdict for verdict in judged if not verdict.passed]
            causes = (
                find_causes(result.encoder, result.reference(), result.comparison, session.variant) if failed else []
            )
        except EmbedQAError as error:
            raise pytest.fail.Exception(f"parity with {parsed.reference}: {error}", pytrace=False) from None
        item.user_properties += [write(VERDICT, verdict.as_dict()) for verdict in judged]
        if judged:
            item.user_properties += [
                write(ENCODER, encoder_facts(result.encoder)),
                write(PARITY, parity_facts(result)),
            ]
        if failed:
            pytest.fail(parity_failure_text(failed, result, causes), pytrace=False)


CHECK = ParityCheck()
