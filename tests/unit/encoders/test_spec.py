"""Specs: every accepted form, and errors that show it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.encoders import spec
from pytest_embedqa.encoders.spec import (
    FORM,
    Spec,
    boolean,
    choice,
    engines,
    nearest,
    parse_spec,
    positive,
    read_options,
    usage,
)

PARSERS = {"dim": positive, "normalize": boolean, "dtype": choice("float32", "half"), "device": str}

# Letters of several scripts, composed and decomposed, with controls and what a format might trip over.
TRICKY = 'aZ0 é\u0301ß漢\U0001f642\0\n\t"\\/@?&=+%:;#'
texts = st.text(TRICKY).filter(lambda text: "\0" not in text)
words = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789._-", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("text", "engine", "model", "revision", "options"),
    [
        ("builtin", "builtin", "", None, {}),
        ("builtin?dim=128", "builtin", "", None, {"dim": "128"}),
        ("all-MiniLM-L6-v2", "st", "all-MiniLM-L6-v2", None, {}),
        ("org/model", "st", "org/model", None, {}),
        ("org/model@abc123", "st", "org/model", "abc123", {}),
        ("st:org/model", "st", "org/model", None, {}),
        ("st:org/model@main?dtype=half&dim=256", "st", "org/model", "main", {"dtype": "half", "dim": "256"}),
        ("st:./models/minilm/", "st", "./models/minilm/", None, {}),
        ("/abs/path/model?dim=3", "st", "/abs/path/model", None, {"dim": "3"}),
        ("C:\\models\\minilm", "st", "C:\\models\\minilm", None, {}),
        ("python:pkg.encoders:encode", "python", "pkg.encoders:encode", None, {}),
        ("python:pkg:encode?version=2", "python", "pkg:encode", None, {"version": "2"}),
        ("  builtin \n", "builtin", "", None, {}),
        ("org/model?query_prompt=query%3A+", "st", "org/model", None, {"query_prompt": "query: "}),
        ("org/model?query_prompt=", "st", "org/model", None, {"query_prompt": ""}),
        ("org/model?query_prompt=who?&name=a/b@c", "st", "org/model", None, {"query_prompt": "who?", "name": "a/b@c"}),
    ],
)
def test_accepted_forms(text, engine, model, revision, options):
    """Engine, model, revision and options of each form that the documentation shows."""
    spec = parse_spec(text)
    assert (spec.engine, spec.model, spec.revision, dict(spec.options)) == (engine, model, revision, options)
    assert str(spec) == text


@pytest.mark.parametrize(
    ("gpu", "vllm", "visible", "engine"),
    [
        (True, True, None, "vllm"),
        (True, True, "-1", "st"),
        (True, False, None, "st"),
        (False, True, None, "st"),
    ],
)
def test_bare_model_takes_vllm_where_it_can_run(monkeypatch, gpu, vllm, visible, engine):
    """A bare name means vLLM where it is installed and a GPU is there and visible, else sentence-transformers."""
    monkeypatch.setattr(Path, "exists", lambda path: gpu and str(path) == "/dev/nvidiactl")
    monkeypatch.setattr(spec, "find_spec", lambda name: name if vllm else None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert parse_spec("org/model").engine == engine
    assert parse_spec("builtin").engine == "builtin"


def test_blank_at_the_end_of_a_prompt_is_kept():
    """The blank in ``query: `` is part of the prompt also where the prompt ends the spec: it changes the tokens."""
    assert parse_spec("st:m?query_prompt=query: ").options == {"query_prompt": "query: "}
    assert parse_spec("st:m?query_prompt=query: &dim=3").options["query_prompt"] == "query: "


@given(
    engine=st.sampled_from(["st", "vllm", "onnx"]),
    model=st.lists(words, min_size=1, max_size=3).map("/".join),
    revision=st.none() | words,
    options=st.dictionaries(words, texts, max_size=3),
)
def test_spec_round_trip(engine, model, revision, options):
    """A spec written out of its parts gives these parts again, whatever text the options hold."""
    query = "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in options.items())
    text = f"{engine}:{model}{'@' + revision if revision else ''}{'?' + query if query else ''}"
    assert parse_spec(text) == Spec(text, engine, model, revision, options)


@given(engine=st.sampled_from(["openai", "ollama", "python", "llamacpp"]), model=st.text("aZ0@._:/-", min_size=1))
@example("openai", "nomic-embed-text-v1.5@q8_0")
@example("openai", "@cf/baai/bge-m3")
def test_name_without_revisions_is_taken_whole(engine, model):
    """On a server, in Python or in a file ``@`` is a part of the name, also on Ray and with other options."""
    for text in (f"{engine}:{model}", f"ray+{engine}:{model}?dim=4"):
        spec = parse_spec(text)
        assert (spec.off_ray().engine, spec.model, spec.revision) == (engine, model, None)
        assert parse_spec(str(spec.with_options(dim="8"))).model == model


@given(texts)
@example("null\0byte@main")
@example("x" * 300 + "@main")
def test_any_text_is_a_spec_or_a_spec_error(text):
    """No text makes the parser fail in another way than with its own error."""
    try:
        spec = parse_spec(text)
    except SpecError:
        return
    assert spec.model or spec.engine == text.partition("?")[0].strip()


@pytest.mark.parametrize("text", ["", "  ", "?dim=3", "st:", "builtin:", "st:?dim=3"])
def test_spec_without_a_model_shows_the_accepted_form(text):
    """A spec that names no model is answered with the form and with examples."""
    with pytest.raises(SpecError, match=r"names no model\.\nA spec is ENGINE:MODEL\[@REVISION\]\[\?key=value") as error:
        parse_spec(text)
    assert f"The spec '{text}' names" in str(error.value)
    assert usage() in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pyton:pkg:encode", "Unknown engine 'pyton' in the spec 'pyton:pkg:encode'. Did you mean 'python'?\n"),
        ("builtinn:x", "Unknown engine 'builtinn' in the spec 'builtinn:x'. Did you mean 'builtin'?\n"),
        ("quux:org/model", "Unknown engine 'quux' in the spec 'quux:org/model'.\n"),
        ("bultin", "'bultin' is neither an engine nor a folder. Did you mean 'builtin'?\n"),
    ],
)
def test_unknown_engine_is_answered_with_the_nearest_and_the_form(text, says):
    """A slip in the engine's name names the nearest engine, and always shows the accepted form."""
    with pytest.raises(SpecError, match=f"^{re.escape(says + 'A spec is ' + FORM)}"):
        parse_spec(text)


def test_folder_named_almost_like_an_engine_is_a_model(tmp_path, monkeypatch):
    """An existing folder is meant as a model, however near its name is to an engine's."""
    (tmp_path / "bultin").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse_spec("bultin").model == "bultin"


@pytest.mark.parametrize("text", ["st:org/model@", "st:@main", "@main"])
def test_empty_revision_or_model_around_the_sign_is_refused(text):
    """An '@' promises a model before it and a revision after it."""
    with pytest.raises(SpecError, match=rf"The spec '{text}' has an empty model or revision around '@'\.\nA spec is"):
        parse_spec(text)


def test_existing_path_with_the_sign_has_no_revision(tmp_path):
    """A folder whose name holds an '@' is found under its whole name."""
    folder = tmp_path / "model@home"
    folder.mkdir()
    assert parse_spec(f"st:{folder}").model == str(folder)
    assert parse_spec(f"st:{folder}").revision is None


def test_revision_stands_after_the_last_sign(tmp_path):
    """A path with an '@' can still be given a revision."""
    spec = parse_spec(f"st:{tmp_path}/a@b@v1")
    assert (spec.model, spec.revision) == (f"{tmp_path}/a@b", "v1")


@pytest.mark.parametrize("name", ["run?lr=2e-5", "run?", "a?b?c", "my model", "50%", "a&b=c", "ab:c", "model@epoch3"])
@pytest.mark.parametrize("engine", ["st:", ""])
@pytest.mark.parametrize("options", ["", "?dim=8&name=a%3Fb"])
def test_a_folder_may_have_any_name(tmp_path, monkeypatch, name, engine, options):
    """Trainers name checkpoints by their settings; what exists is the model, and options stand behind it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    (tmp_path / "run").mkdir(exist_ok=True)
    parsed = parse_spec(f"{engine}{name}{options}")
    wanted = {"dim": "8", "name": "a?b"} if options else {}
    assert (parsed.engine, parsed.model, parsed.revision, parsed.options) == ("st", name, None, wanted)
    again = parsed.with_options(dim="4")
    assert parse_spec(str(again)) == again
    assert again.options == {**wanted, "dim": "4"}


def test_options_of_a_spec_on_ray_stand_behind_the_folder_too(tmp_path, monkeypatch):
    """The folder is looked for without the words in front of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run?lr=2").mkdir()
    parsed = parse_spec("ray+st:run?lr=2?replicas=2&dim=8")
    assert (parsed.engine, parsed.model, parsed.options) == ("ray+st", "run?lr=2", {"replicas": "2", "dim": "8"})
    assert parsed.off_ray() == parse_spec("st:run?lr=2?dim=8")


@pytest.mark.parametrize("query", ["dim", "dim=1&", "=&dim", "dim=1&&dtype=half"])
def test_malformed_options_are_refused(query):
    """What follows the question mark must be pairs."""
    with pytest.raises(SpecError, match=r"The part after '\?' in the spec 'st:m\?.*' is not key=value&key=value"):
        parse_spec(f"st:m?{query}")


def test_key_given_twice_is_refused():
    """Of two values none is silently dropped; the keys are named."""
    with pytest.raises(SpecError, match=r"sets dim, dtype more than once\. Write each key once\.$"):
        parse_spec("st:m?dtype=half&dim=1&dtype=half&name=x&dim=2")


def test_specs_are_hashable_and_equal_by_value():
    """Equal texts make equal specs, as the session keeps encoders by spec; other options make others."""
    assert {parse_spec("st:m?dim=3"), parse_spec("st:m?dim=3")} == {parse_spec("st:m?dim=3")}
    assert parse_spec("st:m?dim=3") != parse_spec("st:m?dim=4")


def test_options_are_parsed_by_key():
    """Each raw value goes through the parser of its key."""
    spec = parse_spec("st:m?dim=256&normalize=No&dtype=half&device=cuda:1")
    assert read_options(spec, PARSERS) == {"dim": 256, "normalize": False, "dtype": "half", "device": "cuda:1"}


def test_unknown_key_names_the_nearest_and_all_known():
    """A slip in a key is answered with the nearest key and the list of all."""
    says = "Unknown key 'dims' in the spec 'st:m?dims=3'. Did you mean 'dim'?\nThe engine 'st' knows: device, dim, dtype, normalize."
    with pytest.raises(SpecError, match=f"^{re.escape(says)}$"):
        read_options(parse_spec("st:m?dims=3"), PARSERS)


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("dim=0", "a whole number from 1 up is expected"),
        ("dim=-3", "a whole number from 1 up is expected"),
        ("dim=1.5", "a whole number from 1 up is expected"),
        ("dim=٣٢", "a whole number from 1 up is expected"),
        ("dim=9999999999", "a whole number of at most 9 digits is expected"),
        ("dim=²", "a whole number from 1 up is expected"),
        ("normalize=maybe", "true or false is expected"),
        ("dtype=int4", "one of float32, half is expected"),
    ],
)
def test_bad_value_is_named_with_what_was_expected(pair, says):
    """A wrong value is shown with its key, its spec and what is accepted."""
    with pytest.raises(
        SpecError, match=rf"^In the spec 'st:m\?{re.escape(pair)}', {re.escape(pair)} is wrong: {says}\.$"
    ):
        read_options(parse_spec(f"st:m?{pair}"), PARSERS)


@pytest.mark.parametrize(
    ("raw", "value"), [("true", True), ("YES", True), ("1", True), ("False", False), ("no", False), ("0", False)]
)
def test_boolean_words(raw, value):
    """Yes and no in their usual spellings."""
    assert boolean(raw) is value


def test_usage_lists_the_engines_of_this_package():
    """Help and errors list what is installed: at least our own engines."""
    assert {"st", "builtin", "python"} <= set(engines())
    assert ", ".join(sorted(engines())) in usage()


def test_nearest_is_silent_without_a_near_name():
    """No far-fetched suggestion is made."""
    assert nearest("ArguAnna", ["ArguAna", "STS12"]) == " Did you mean 'ArguAna'?"
    assert nearest("zzz", ["ArguAna", "STS12"]) == ""


def test_other_options_of_the_same_spec():
    """Options are set, replaced and taken out, and what is shown is a spec that can be parsed again."""
    spec = parse_spec("st:org/model@v2?query_prompt=query:%20&dim=4")
    other = spec.with_options(dim=None, pooling="cls")
    assert dict(other.options) == {"query_prompt": "query: ", "pooling": "cls"}
    assert (other.engine, other.model, other.revision) == ("st", "org/model", "v2")
    assert parse_spec(str(other)) == other
    assert str(other.with_options(query_prompt=None, pooling=None)) == "st:org/model@v2"
