"""The Hub, where it can be reached, and its cache, where it can't."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache

from pytest_embedqa.encoders.bounds import within

_PROBE_SECONDS = 5


@cache
def hub_is_reachable() -> bool:
    """Whether the Hub answers; asked once a process."""
    from huggingface_hub import constants  # noqa: PLC0415
    from huggingface_hub.utils import get_session  # noqa: PLC0415

    if constants.HF_HUB_OFFLINE:
        return False

    def answers() -> bool:
        # By the Hub's own client, which has its proxies and certificates.
        get_session().head(constants.ENDPOINT, timeout=_PROBE_SECONDS)
        return True

    return within(_PROBE_SECONDS, answers) or False


@contextlib.contextmanager
def hub_or_cache() -> Iterator[None]:
    """Around the loading of a model by its name: without the Hub, use its cache at once instead of minutes of retries."""
    from huggingface_hub import constants  # noqa: PLC0415

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = not hub_is_reachable()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
