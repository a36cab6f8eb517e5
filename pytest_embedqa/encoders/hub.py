"""The Hub where it can be reached, and its cache where it can't."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache

from pytest_embedqa.encoders.bounds import within

_PROBE_SECONDS = 5


@cache
def hub_is_reachable() -> bool:
    """Return whether the Hub answers; it is asked once in each process."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    if constants.HF_HUB_OFFLINE:
        return False

    def answers() -> bool:
        # The Hub's own client knows its proxies and certificates.
        get_session().head(constants.ENDPOINT, timeout=_PROBE_SECONDS)
        return True

    return within(_PROBE_SECONDS, answers) or False


@contextlib.contextmanager
def hub_or_cache() -> Iterator[None]:
    """Use the Hub's cache at once inside this context if the Hub can't be reached, instead of minutes of retries."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = not hub_is_reachable()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
