"""Smaller vectors of other kinds: each is told what makes it smaller instead."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.quality.compression import Compression, require_dense


@pytest.mark.parametrize(
    ("kind", "instead"),
    [
        ("multi-vector", r"sentence-transformers cuts no token vectors; it pools them: .*pool_factor=2\."),
        ("sparse", r"keeps its largest weights: .*max_active_dims=64\."),
        ("reranker", r"its kind is reranker\.$"),
    ],
)
def test_error_names_what_the_kind_has_instead(kind, instead):
    """Before anything is evaluated."""
    with pytest.raises(
        SpecError, match=rf"'@128' \(@matryoshka, @quantized\) makes dense vectors smaller, .*{instead}"
    ):
        require_dense(SimpleNamespace(kind=kind, spec="st:x"), [Compression(dim=128)], [None])
