"""The gate of ``@index_recall``: an index against the baseline's, and what of a change is the model's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.index.evaluations import Kept, change_lines, with_this_model
from pytest_embedqa.upgrade.gate import compare, gate_verdict
from pytest_embedqa.upgrade.session_gate import SAME_ENCODER
from pytest_embedqa.upgrade.wording import upgrade_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_embedqa.core.evaluation import Evaluation, Subject
    from pytest_embedqa.core.verdict import Verdict
    from pytest_embedqa.encoders.system import System
    from pytest_embedqa.index.mark import IndexMark
    from pytest_embedqa.session import Session


@dataclass(frozen=True)
class Gated:
    """What the gate says of an index.

    Attributes:
        verdicts: Verdicts on recall, and on nDCG where documents are judged, in each state of the index.
        facts: Their comparisons, for reports.
        lines: What got worse, the index or the model, in each state.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def allowed_drop(mark: IndexMark, model: System, session: Session) -> Requirement | None:
    """Return the drop that is allowed against a baseline; ``None`` if the test is not compared with one."""
    given = mark.max_regression
    named = given.get(session.tested(model).name) if isinstance(given, Mapping) else given
    if named is None and not (session.gate and session.is_under_test(model)):
        return None
    bound = session.settings.max_regression if named is None else named
    return Requirement(Kind.MAX_REGRESSION, f"recall_at_{mark.k}", bound)


def gated(
    allowed: Requirement,
    kept: Sequence[Kept],
    model: System,
    session: Session,
    again: Callable[[System], Sequence[Kept]],
) -> Gated:
    """Compare an index with the baseline's.

    Args:
        allowed: The allowed drop.
        kept: What was measured, by state.
        model: The model under test.
        session: The session, with a gate.
        again: Measures the index with the vectors of another model.

    Raises:
        EmbedQAError: If the baseline has nothing to compare with.
    """
    assert session.gate  # noqa: S101  only asked with a baseline
    found, gate = Gated(), session.gate
    differences = gate.differences(model)
    for after in kept:
        compared = [
            gate.compare(one.subject, model, partial(_given, one), partial(_measured, again, one.subject), anew=True)
            for one in after.all()
        ]
        was = Kept(*(one.before for one in compared))
        same = any(SAME_ENCODER in one.notes for one in compared)
        found.lines.extend(
            f"{after.recall.subject.index}: {line}" for line in change_lines(was, after, same_model=same)
        )
        for old, new in ((was.recall, after.recall), (with_this_model(was, after), after.ndcg)):
            if old and new:
                one = compare(old, new)
                found.verdicts.append(gate_verdict(replace(allowed, measure=new.metric), one, str(model.spec)))
                found.facts.append(upgrade_facts(model, one, differences))
    return found


def _given(evaluation: Evaluation) -> Evaluation:
    return evaluation


def _measured(again: Callable[[System], Sequence[Kept]], subject: Subject, model: System) -> Evaluation:
    return next(one for kept in again(model) for one in kept.all() if one.subject == subject)
