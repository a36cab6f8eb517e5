"""The invariants that a model promises: those of other kinds of models are deselected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_embedqa.markers import ENCODER, INVARIANTS, RERANKER
from pytest_embedqa.plugin.items import encoder_fixtures, find_mark, own_reranker, parameters_of, uses_encoder
from pytest_embedqa.plugin.state import settings_of

if TYPE_CHECKING:
    import pytest

    from pytest_embedqa.encoders.spec import Spec


def deselect_foreign(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect invariants that are for another kind of model than the one under test, where its files tell its kind.

    Where only the loaded model tells it, such an invariant is skipped with the reason.
    """
    about = [item for item in items if (mark := find_mark(item)) and mark.name == INVARIANTS]
    if not about:
        return
    from pytest_embedqa.encoders.known_kind import known_kind

    kinds: dict[Spec, str | None] = {}
    foreign = []
    for item in about:
        spec, chosen = _spec_of(item), parameters_of(item).get("invariant")
        if spec is None or chosen is None:
            continue
        if spec not in kinds:
            kinds[spec] = known_kind(spec)
        if kinds[spec] not in {None, *chosen.invariant.kinds}:
            foreign.append(item)
    if foreign:
        gone = set(foreign)
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=foreign)


def _spec_of(item: pytest.Item) -> Spec | None:
    """Return the spec of the model under test; ``None`` where a fixture of the project's own returns it."""
    from pytest_embedqa.core.errors import EmbedQAError
    from pytest_embedqa.encoders.spec import Spec, parse_spec

    if len(encoder_fixtures(item)) > 1 or not uses_encoder(item) or own_reranker(item, needed=False):
        return None
    if RERANKER in parameters_of(item):
        return None  # the fixture says that it takes none
    given = parameters_of(item).get(ENCODER)
    if isinstance(given, Spec):
        return given
    try:
        return parse_spec(given) if isinstance(given, str) else settings_of(item.config).models[0]
    except EmbedQAError:
        return None  # the fixture says what is wrong
