"""Credentials of the environment: what this package and the libraries below it read there, and no text may show."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.request import getproxies

from pytest_embedqa.core.secrets import hide, hide_given, is_secret_name


def hide_environment() -> None:
    """Hide values of variables that are named like secrets (``OPENAI_API_KEY``, ``HF_TOKEN``, …), and passwords of proxies."""
    for name, value in os.environ.items():
        if is_secret_name(name) and not Path(value).exists():  # of credentials in a file, the file's name is none
            hide(value)
    for proxy in getproxies().values():
        hide_given(proxy)
