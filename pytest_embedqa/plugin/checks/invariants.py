"""``@parametrize_with_invariants``: properties that must hold for any model of a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.properties import ENCODER, VERDICT, write
from pytest_embedqa.encoders.wording import encoder_facts
from pytest_embedqa.invariants.facts import invariant_failure_text
from pytest_embedqa.invariants.invariant import Chosen, NotApplicableError
from pytest_embedqa.markers import RERANKER
from pytest_embedqa.plugin.checks.check import Check
from pytest_embedqa.plugin.items import own_reranker
from pytest_embedqa.plugin.state import under_test

if TYPE_CHECKING:
    from pytest_embedqa.encoders.encoder import Encoder
    from pytest_embedqa.encoders.reranker import Reranker
    from pytest_embedqa.session import Session


class InvariantCheck:
    """The value of the fixture ``invariant``: call it with an encoder or a reranker to check the invariant.

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

    def __call__(self, model: object) -> None:
        """Fail the test unless the invariant holds for this model; a second call checks nothing again."""
        model = cast("Encoder | Reranker", under_test(self._item.config, model))
        if model.identity.digest in self._checked:
            return
        self._checked.add(model.identity.digest)
        reason = self._chosen.expected_for(model)
        if reason:
            self._item.add_marker(pytest.mark.xfail(reason=reason))
        try:
            verdict, finding = self._chosen.invariant.judge(model, self._chosen.bound)
        except NotApplicableError as absence:
            pytest.skip(f"{self.name}: {absence}")
        except EmbedQAError as error:
            raise pytest.fail.Exception(f"{self.name}: {error}", pytrace=False) from None
        self._item.user_properties += [
            write(VERDICT, verdict.as_dict()),
            write(ENCODER, encoder_facts(model)),
        ]
        if not verdict.passed:
            pytest.fail(invariant_failure_text(verdict, self._chosen.invariant, finding, model), pytrace=False)


class InvariantsCheck(Check[None]):
    """The check of ``@parametrize_with_invariants``."""

    def parse(self, item: pytest.Item, mark: pytest.Mark) -> None:
        """Parse nothing: the decorator has parsed the arguments."""

    def judge(self, item: pytest.Function, parsed: None, session: Session) -> None:  # noqa: ARG002
        """Check the test's invariant for its model: of the project's own fixture ``reranker``, if the test names it."""
        name = RERANKER if own_reranker(item, needed=False) else "encoder"
        cast("InvariantCheck", item.funcargs["invariant"])(item.funcargs[name])


CHECK = InvariantsCheck()
