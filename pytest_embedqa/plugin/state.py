"""The keys of pytest's stash: the session, the running test, the budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_embedqa.encoders.encoder import Progress
    from pytest_embedqa.encoders.system import System
    from pytest_embedqa.plugin.progress import Place
    from pytest_embedqa.session import Session
    from pytest_embedqa.settings import Settings

SESSION: pytest.StashKey[Session] = pytest.StashKey()
# The running test; set by the hooks.
PLACE: pytest.StashKey[Place] = pytest.StashKey()
# Wraps progress so that a run with a budget times its encodings and stops them.
BUDGET: pytest.StashKey[Callable[[Progress], Progress]] = pytest.StashKey()


def get_session(config: pytest.Config) -> Session:
    """Return the plugin's session object, made when the first test needs it."""
    if SESSION not in config.stash:
        from pytest_embedqa.plugin.progress import progress_of, tell_waits
        from pytest_embedqa.session import Session

        tell_waits(config)
        progress = progress_of(config, config.stash.get(PLACE, None))
        watched = config.stash[BUDGET](progress) if BUDGET in config.stash else progress
        config.stash[SESSION] = Session(settings_of(config), watched)
    return config.stash[SESSION]


def under_test(config: pytest.Config, given: object) -> System:
    """Return the system behind the fixture ``encoder`` or ``reranker``, which a project may override to return its own model."""
    from pytest_embedqa.core.errors import EmbedQAError

    try:
        return get_session(config).encoders.given(given)
    except EmbedQAError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


# The xfail mark that ``expected_failures`` gives a probe once its answer is there; the next try begins without it.
EXCUSED: pytest.StashKey[pytest.Mark] = pytest.StashKey()
_SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()


def settings_of(config: pytest.Config) -> Settings:
    """Return the settings of a run, read on first use.

    Raises:
        pytest.UsageError: If a value is wrong; the message says which values are accepted.
    """
    if _SETTINGS not in config.stash:
        from pytest_embedqa.core.showing import shown  # an unrelated run never needs it
        from pytest_embedqa.plugin.read_settings import read_settings

        try:
            config.stash[_SETTINGS] = read_settings(config)
        except pytest.UsageError as error:
            raise pytest.UsageError(shown(str(error))) from None
    return config.stash[_SETTINGS]
