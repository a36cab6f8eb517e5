"""Specs of several models together: their form, what is said of a wrong one, and their secrets."""

from __future__ import annotations

import re

import pytest

from pytest_embedqa.core.errors import MissingExtraError, SpecError
from pytest_embedqa.encoders import composites as module
from pytest_embedqa.encoders.from_files import why_refused
from pytest_embedqa.encoders.load import load_model, read_all_options
from pytest_embedqa.encoders.spec import Spec, parse_spec

KEY = "abcd1234efgh"


def read(text):
    """The options of a spec, read as the command line does."""
    return read_all_options(parse_spec(text))


def test_brackets_hold_whole_specs():
    """Each with its own options, nested, with brackets in values and in names."""
    spec = parse_spec("rerank:[hybrid:[bm25][st:a/b?query_prompt=[Q] x?]?k=2][st:c/d?max_length=8]?top_k=50")
    first, second = spec.parts
    assert (spec.engine, spec.options, second) == ("rerank", {"top_k": "50"}, parse_spec("st:c/d?max_length=8"))
    assert first.options == {"k": "2"}
    assert first.parts == (parse_spec("bm25"), parse_spec("st:a/b?query_prompt=[Q] x?"))
    assert [str(one) for one in spec.models] == ["st:a/b?query_prompt=[Q] x?", "st:c/d?max_length=8"]
    assert parse_spec(str(spec)) == spec


def test_brackets_that_are_no_pair_are_quoted(tmp_path):
    """In the name of a folder and in a value."""
    folder = tmp_path / "a]b"
    folder.mkdir()
    _, part = parse_spec(f"hybrid:[bm25][st:{tmp_path}/a%5Db?query_prompt=1%5D]").parts
    assert (part.model, part.options) == (str(folder), {"query_prompt": "1]"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "hybrid",
            "The spec 'hybrid:…' has 0 in square brackets, where hybrid takes 2 to 20. The forms are bm25, hybrid:",
        ),
        ("hybrid:[bm25]", "has 1 in square brackets, where hybrid takes 2 to 20."),
        ("rerank:[bm25][a/b][c/d]", "has 3 in square brackets, where rerank takes 2."),
        ("bm25:[a/b]", "has 1 in square brackets, where bm25 takes none."),
        ("rerank:a/b", "has 'a/b' outside square brackets. The forms are bm25, hybrid:"),
        ("rerank:[bm25] [a/b]x", "has ' [a/b]x' outside square brackets. The forms are"),
        ("rerank:[bm25][a/b", "has a square bracket that is not closed; within a spec in brackets, write %5B and %5D"),
        ("rerank:[[[[[[bm25]]]]]][bm25]", "has more than 4 square brackets within each other"),
        ("ray+hybrid:[bm25][a/b]", "puts several models on Ray at once. Write ray+ before each."),
        ("hybrid:[bm25][nonsense:x]", "Unknown engine 'nonsense' in the spec 'nonsense:x'"),
        ("hybrid:[bm25][a/b]?weights=0,1", "numbers above 0, with commas between them, are expected"),
        ("hybrid:[bm25][a/b]?fusion=sum", "one of rrf, dbsf, rsf is expected"),
        ("hybrid:[bm25][a/b]?depth=3", "Unknown key 'depth'"),
        ("hybrid:[bm25][st:a/b?dtype=int3]", "one of float32, float16"),
        ("bm25?k1=2", "Unknown key 'k1'"),
    ],
)
def test_wrong_forms_are_named(text, says):
    """Each by what is wrong with it, before anything is loaded."""
    with pytest.raises(SpecError, match=re.escape(says)):
        read(text)


def test_secrets_of_parts_are_hidden():
    """In the public form, in errors, and in a spec that can't be read."""
    whole = f"hybrid:[bm25][openai:m?url=http://u:{KEY}@h/v1&api_key={KEY}]"
    for text in (whole, f"rerank:[{whole}][bm25]?name=x"):
        spec = parse_spec(text)
        assert KEY not in f"{spec} {spec!r}"
        assert "api_key=***" in str(spec)
        assert not spec.is_public
        assert parse_spec(str(spec)).is_public
    for wrong in (whole[:-1], whole + "x", whole.replace("m?", "[")):
        with pytest.raises(SpecError) as caught:
            parse_spec(wrong)
        assert KEY not in str(caught.value)


def test_file_may_name_what_its_parts_may():
    """A part that does more than load a model is refused, however deep it stands, unless it is allowed."""
    assert why_refused(parse_spec("hybrid:[bm25][st:a/b]?k=2")) == ""
    deep = parse_spec("rerank:[hybrid:[bm25][python:m:f]][st:a/b]")
    assert why_refused(deep) == "the engine 'python' imports a module"
    assert why_refused(deep, {parse_spec("python:m:f")}) == ""
    assert why_refused(parse_spec("rerank:[bm25][openai:m?start=serve]")) == "start= runs a command"


def test_parts_can_be_exchanged():
    """The options stay."""
    spec = parse_spec("hybrid:[bm25][a/b]?k=2").with_parts([parse_spec("a/b"), parse_spec("c/d")])
    assert spec == parse_spec("hybrid:[a/b][c/d]?k=2")
    assert spec.with_options(k="7") == parse_spec("hybrid:[a/b][c/d]?k=7")


def test_one_model_is_loaded_where_one_is_needed():
    """A server's doctor, parity and the like take a single model."""
    with pytest.raises(
        SpecError,
        match=r"'hybrid:.*' names no single model: it ranks documents, in tasks that do so \(@mteb_task\) and for RAG probes",
    ):
        load_model(parse_spec("hybrid:[bm25][a/b]"), None)


@pytest.mark.parametrize(("library", "extra"), [("bm25s", "bm25"), ("Stemmer", "bm25"), ("mteb", "quality")])
def test_missing_packages_are_named(monkeypatch, library, extra):
    """With the extra that brings them."""
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == library else name)
    with pytest.raises(MissingExtraError, match=rf"(?s)'bm25' needs the package .*pytest-embedqa\[{extra}\]"):
        module.composite(parse_spec("bm25"), lambda spec: spec, {})


def test_names_of_engines_stay_free():
    """Only these three words are composites; folders and names that begin like them are not."""
    assert not parse_spec("org/bm25").is_composite
    assert not Spec("bm25x", "st", "bm25x").is_composite
    assert parse_spec("st:bm25").model == "bm25"
