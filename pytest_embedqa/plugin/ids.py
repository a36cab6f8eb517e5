"""Ids of tests by their encoders, without secrets: ids stand in every report, and in pytest's cache."""

from __future__ import annotations

import pytest

from pytest_embedqa.markers import ENCODER
from pytest_embedqa.plugin.items import uses_encoder


class Ids:
    """A plugin that names a test by what people may see of its spec; another project's parameter ``encoder`` stays as it is."""

    def __init__(self) -> None:
        """Start before pytest parametrizes its first function."""
        self._function: pytest.Item | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Note which function is being parametrized."""
        self._function = metafunc.definition

    def pytest_make_parametrize_id(self, val: object, argname: str) -> str | None:
        """Return the spec without its secrets, where it holds any."""
        if argname != ENCODER or not isinstance(val, str) or not (self._function and uses_encoder(self._function)):
            return None
        from pytest_embedqa.encoders.spec import public_spec

        public = public_spec(val)
        return public if public != val else None
