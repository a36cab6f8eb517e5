"""Credentials in the environment, which this package and its libraries read there and no text may show."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.request import getproxies

from pytest_embedqa.core.secrets import hide, hide_given, is_secret_name


def hide_environment() -> None:
    """Hide values of variables named like secrets (``OPENAI_API_KEY``, ``HF_TOKEN``, …), and passwords of proxies."""
    for name, value in os.environ.items():
        if is_secret_name(name) and not Path(value).exists():  # the path of a credentials file is no secret
            hide(value)
    for proxy in getproxies().values():
        hide_given(proxy)
