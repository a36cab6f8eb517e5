"""Ids of tests by their encoders, without secrets: ids stand in every report, and in pytest's cache."""

from __future__ import annotations

import pytest

from pytest_embedqa.markers import ENCODER
from pytest_embedqa.plugin.items import uses_encoder


class Ids:
    """A plugin that names a test by what people may see of its spec; another project's parameter ``encoder`` stays as it is."""

    def __init__(self) -> None:
        """No function is being parametrized yet."""
        self._is_ours = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Note whether the function that is parametrized now uses our encoder."""
        self._is_ours = uses_encoder(metafunc.definition)

    def pytest_make_parametrize_id(self, val: object, argname: str) -> str | None:
        """Return the spec without its secrets, where it holds any."""
        if not self._is_ours or argname != ENCODER or not isinstance(val, str):
            return None
        from pytest_embedqa.encoders.spec import public_spec

        public = public_spec(val)
        return public if public != val else None
