"""What all clients of indexes share."""

from __future__ import annotations

from pathlib import Path

import pytest
from made import made, measured

from pytest_embedqa.core.errors import MissingExtraError, SpecError
from pytest_embedqa.index import client
from pytest_embedqa.index.spec import CLIENTS, client_class, parse_index

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_a_missing_package_names_its_extra(monkeypatch, name):
    """Without the client's package the error names the extra, which there is."""
    monkeypatch.setattr(client, "find_spec", lambda _: None)
    found = client_class(name)
    with pytest.raises(MissingExtraError) as caught:
        measured("faiss:Flat" if name == "faiss" else name, made(20, queries=5))
    assert f"The index '{found.extra}' needs the package '{found.package}', which is not installed" in str(caught.value)
    assert f'pip install "pytest-embedqa[{found.extra}]"' in str(caught.value)
    assert f"\n{found.extra} = [" in PROJECT.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_each_client_says_how_it_is_named(name):
    """Its docstring begins with the form of its spec."""
    assert client_class(name).__doc__.startswith(f"``{name}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "fais:Flat",
            "index='fais:Flat' names no index. Did you mean 'faiss'? The form is CLIENT[:TYPE][?setting=value&...]",
        ),
        ("flat", "An index of your own is a class with build(vectors, ids) and search(queries, k)."),
        ("hnswlib?M", "the value in M= is wrong: a whole number from 1 up is expected"),
        ("hnswlib?&", "has '&' after '?', where setting=value is expected"),
        ("hnswlib?M=8&M=8", "index='hnswlib?M=8&M=8' gives the setting 'M' twice"),
        ("hnswlib?m=8", "there is no setting 'm'. It has: space, M, ef_construction"),
    ],
)
def test_a_wrong_spec_is_one_clear_error(text, said):
    """It names what is wrong, and what there is."""
    with pytest.raises(SpecError) as caught:
        parse_index(text)
    assert said in str(caught.value)
