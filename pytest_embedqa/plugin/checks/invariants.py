"""``@parametrize_with_invariants``: properties that must hold for any encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.properties import ENCODER, VERDICT, write
from pytest_embedqa.encoders.wording import encoder_facts
from pytest_embedqa.invariants.facts import invariant_failure_text
from pytest_embedqa.invariants.invariant import Chosen, NotApplicableError
from pytest_embedqa.plugin.checks.check import Check
from pytest_embedqa.plugin.state import under_test

if TYPE_CHECKING:
    from pytest_embedqa.encoders.encoder import Encoder
    from pytest_embedqa.session import Session


class InvariantCheck:
    """The value of the fixture ``invariant``: call it with an encoder to check the invariant.

    Attributes:
        name: Name of the invariant.
        promise: The property that holds, as a sentence.
    """

    def __init__(self, chosen: Chosen, item: pytest.Item) -> None:
        """Check ``chosen`` for the test ``item``."""
        self.name = chosen.invariant.name
        self.promise = chosen.invariant.promise
        self._chosen = chosen
        self._item = item
        self._checked: set[str] = set()

    def __call__(self, encoder: Encoder) -> None:
        """Fail the test unless the invariant holds for this encoder; a second call checks nothing again."""
        encoder = cast("Encoder", under_test(self._item.config, encoder))
        if encoder.identity.digest in self._checked:
            return
        self._checked.add(encoder.identity.digest)
        reason = self._chosen.expected_for(encoder)
        if reason:
            self._item.add_marker(pytest.mark.xfail(reason=reason))
        try:
            verdict, finding = self._chosen.invariant.judge(encoder, self._chosen.bound)
        except NotApplicableError as absence:
            pytest.skip(f"{self.name}: {absence}")
        except EmbedQAError as error:
            raise pytest.fail.Exception(f"{self.name}: {error}", pytrace=False) from None
        self._item.user_properties += [
            write(VERDICT, verdict.as_dict()),
            write(ENCODER, encoder_facts(encoder)),
        ]
        if not verdict.passed:
            pytest.fail(invariant_failure_text(verdict, self._chosen.invariant, finding, encoder), pytrace=False)


class InvariantsCheck(Check[None]):
    """The check of ``@parametrize_with_invariants``."""

    def parse(self, item: pytest.Item, mark: pytest.Mark) -> None:
        """Parse nothing: the decorator has parsed the arguments."""

    def judge(self, item: pytest.Function, parsed: None, session: Session) -> None:  # noqa: ARG002
        """Check the test's invariant for its encoder."""
        cast("InvariantCheck", item.funcargs["invariant"])(cast("Encoder", item.funcargs["encoder"]))


CHECK = InvariantsCheck()
