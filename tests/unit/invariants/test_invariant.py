"""Choosing invariants, judging them, and looking for a text that breaks one."""

from __future__ import annotations

import contextlib
import re
from typing import ClassVar

import numpy as np
import pytest

from pytest_embedqa.core.errors import MissingExtraError, SpecError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.invariants import counterexamples
from pytest_embedqa.invariants.catalogue import catalogue
from pytest_embedqa.invariants.invariant import Chosen, NotApplicableError, Tolerance, choose
from pytest_embedqa.invariants.translations import ENGLISH, TRANSLATIONS

CATALOGUE = catalogue()


class WordEngine:
    """A vector for each word, added up: order of words and white space do not count."""

    options: ClassVar = {}
    counts_tokens = True
    limits = Limits(batch_tokens=100_000, batch_size=64)

    def __init__(self, prompts=None, **facts):
        """An engine that promises ``facts``."""
        promised = {"max_length": 128, "dtype": "float32", "normalize": True, "full_dim": 32, **facts}
        self.identity = Identity(model="words", engine="words", **promised)
        self.prompts = prompts
        self.texts = []

    def embed(self, texts):
        """Vectors of a batch."""
        self.texts += texts
        rows = []
        for text in texts:
            words = text.split()[: self.identity.max_length - 1] or ["(blank)"]
            seeds = [sum(map(ord, word)) * 131 + len(word) for word in words]
            row = sum(np.random.default_rng(seed).standard_normal(32) for seed in seeds)
            rows.append(row / np.linalg.norm(row))
        return np.array(rows, dtype=np.float32)

    def lengths(self, texts):
        """A token a word, and one behind them."""
        return [len(text.split()) + 1 for text in texts]

    def close(self):
        """Nothing to free."""


class UntouchableStore:
    """A store that must not be asked."""

    def get(self, *_):
        """Fail."""
        pytest.fail("an invariant read from the store")

    put = get


def encoder_of(engine, store=None):
    """An encoder of a fake engine."""
    return Encoder(engine, store, spec=parse_spec("builtin"), prompts=engine.prompts or Prompts())


class FaultyEngine(WordEngine):
    """An engine whose vectors are wrong where ``wrong`` says so, of the text and the size of its batch."""

    def __init__(self, wrong, value):
        """Vectors that are wrong have ``value`` added to their first component."""
        super().__init__()
        self._wrong, self._value = wrong, value

    def embed(self, texts):
        """Vectors of a batch."""
        vectors = super().embed(texts)
        vectors[[self._wrong(text, len(texts)) for text in texts], 0] += self._value
        return vectors


def test_every_invariant_says_what_it_promises_and_where_it_was_seen():
    """A promise in a sentence, and a public issue."""
    for one in CATALOGUE.values():
        assert re.fullmatch(r"[A-Z].*\.", one.promise), one.name
        assert re.fullmatch(r"[A-Za-z0-9_.-]+#\d+(, [A-Za-z0-9_.-]+#\d+)*", one.source), one.name


def test_no_invariant_takes_a_vector_from_the_store():
    """What was stored says nothing about what is computed."""
    engine = WordEngine(Prompts("spec", {"query": "query: "}))
    for one in CATALOGUE.values():
        with contextlib.suppress(NotApplicableError):
            one.judge(encoder_of(engine, UntouchableStore()))
    assert len(engine.texts) > 1000


@pytest.mark.parametrize("name", ["deterministic", "duplicates_equal", "batch_size_independent"])
def test_every_text_is_computed_each_time(name):
    """Nothing is reused within a call or between calls: what is asked for twice goes through the model twice."""
    engine = WordEngine()
    asked = []
    encoder = encoder_of(engine)
    real = Encoder.encode

    def encode(self, texts, *rest):
        asked.extend(texts)
        return real(self, texts, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Encoder, "encode", encode)
        CATALOGUE[name].judge(encoder)
    # The encoder itself looks twice at two texts of its first batch of each variant.
    assert len(engine.texts) >= len(asked)
    assert sorted(set(engine.texts)) == sorted(set(asked))


@pytest.mark.parametrize(
    ("name", "value", "wrong", "example"),
    [
        ("white_space", 9, lambda text, _: "\t" in text, r"\\t"),
        # What no fixed text has is found by those that are drawn.
        ("batch_size_independent", 0.1, lambda text, size: size > 1 and not text.isascii(), r"in a batch of 4"),
        ("finite", np.nan, lambda text, _: any("\u1300" <= char < "\u1400" for char in text), "\u13a0"),
        ("finite", np.nan, lambda text, _: any(char > "\U000f0000" for char in text), r"\\U000f"),
    ],
)
def test_a_fault_of_few_texts_is_found(name, value, wrong, example):
    """Tabs, texts beyond ASCII, a script or plane that the tokenizer has not: found though all plain sentences are right."""
    invariant = CATALOGUE[name]
    assert invariant.judge(encoder_of(WordEngine()))[0].passed
    verdict, finding = invariant.judge(encoder_of(FaultyEngine(wrong, value)))
    assert not verdict.passed
    assert re.search(example, finding.example)


def test_tolerance_depends_on_the_number_format():
    """Half precision may be coarser; an unknown format is taken for it."""
    tolerance = Tolerance(1e-6, 1e-2)
    assert tolerance.of(Identity("m", "e", dtype="float32")) == 1e-6
    assert tolerance.of(Identity("m", "e", dtype="bfloat16")) == 1e-2
    assert tolerance.of(Identity("m", "e")) == 1e-2


def test_bound_can_be_set():
    """The same finding, another verdict."""
    invariant = CATALOGUE["languages"]
    verdict, finding = invariant.judge(encoder_of(WordEngine()))
    assert not verdict.passed
    assert verdict.requirement == "min_nearer_share=0.9"
    assert finding.example.count(",") == len(TRANSLATIONS) - 1
    assert invariant.judge(encoder_of(WordEngine()), 0.01)[0].bound == 0.01


def test_expected_failure_by_model():
    """For any encoder, or for the one that is named."""
    encoder = encoder_of(WordEngine())
    assert Chosen(CATALOGUE["blank"], expected="why").expected_for(encoder) == "why"
    assert Chosen(CATALOGUE["blank"], expected={"words": "why"}).expected_for(encoder) == "why"
    assert Chosen(CATALOGUE["blank"], expected={"other": "why"}).expected_for(encoder) is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"only": ["finit"]}, r"no invariant 'finit'. Did you mean 'finite'\? There are: dimension"),
        ({"bounds": {"norm": 1}}, r"no invariant 'norm'"),
        ({"expected_failures": {"cases": "x"}}, r"no invariant 'cases'"),
        ({"only": ["finite"], "bounds": {"blank": 0.1}}, r"'blank', but only= leaves it out"),
        ({"bounds": {"finite": "0.1"}}, r"bound of the invariant 'finite' must be a number, not '0.1'"),
        ({"bounds": {"languages": 90}}, r"did you mean 0.9\?"),
        ({"bounds": {"finite": float("nan")}}, r"must be a number, not nan"),
    ],
)
def test_wrong_choices_are_errors(arguments, text):
    """The message names what was wrong and what there is."""
    given = {"only": None, "bounds": {}, "expected_failures": {}, **arguments}
    with pytest.raises(SpecError, match=text):
        choose(CATALOGUE, **given)


def test_search_shrinks_what_it_finds():
    """The smallest text that breaks the promise, not the first."""
    found = counterexamples.worst(counterexamples.texts, lambda text: float("é" in text or len(text) > 5), 0.5)
    assert found.value == 1.0
    assert len(eval(found.example)) in {1, 6}  # noqa: S307


def test_search_finds_the_same_each_time():
    """Derandomised: a run of the same code has the same outcome."""
    seen = [[], []]
    for texts in seen:
        counterexamples.worst(counterexamples.texts, lambda text, texts=texts: texts.append(text) or 0.0, 0.5)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) > 20


def test_search_counts_nan_as_a_failure():
    """NaN is below no bound."""
    assert (
        counterexamples.worst(counterexamples.texts, lambda text: float("nan") if text else 0.0, 0.5).example == "'0'"
    )


def test_white_space_is_all_that_differs():
    """Both texts of an example have the same words."""
    found = counterexamples.worst(counterexamples.spaced, lambda pair: float(pair[0].split() != pair[1].split()), 0.5)
    assert found.value == 0.0
    found = counterexamples.worst(counterexamples.spaced, lambda pair: float(pair[0] != pair[1]), 0.5)
    assert found.value == 1.0


def test_missing_hypothesis_names_the_install_command(monkeypatch):
    """Without it the error is the command that installs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(
        MissingExtraError, match=r"An invariant that looks for a failing text needs the package 'hypothesis'"
    ):
        counterexamples.worst(counterexamples.texts, len, 0.5)


def test_every_language_has_every_sentence():
    """At least 20 languages, each with all sentences, none twice."""
    assert len(TRANSLATIONS) >= 20
    for language, sentences in TRANSLATIONS.items():
        assert len(set(sentences)) == len(ENGLISH), language
        assert not set(sentences) & set(ENGLISH), language


@pytest.mark.parametrize(
    ("name", "facts", "reason"),
    [
        ("unit_norm", {"normalize": False}, "does not normalise"),
        ("dtype", {"dtype": "bfloat16"}, "the encoder computes in bfloat16, not in float32"),
        ("tail_counts", {"max_length": None}, "how long a text"),
        ("cut_where_promised", {"max_length": 1_000_000, "device": "cpu"}, "takes too long"),
        ("closing_token", {"pooling": "mean"}, "the pooling is mean, not of the last token"),
        ("instruction_matters", {}, "queries have no prompt"),
    ],
)
def test_what_is_not_promised_is_not_checked(name, facts, reason):
    """Said with its reason, and no pass."""
    with pytest.raises(NotApplicableError, match=reason):
        CATALOGUE[name].judge(encoder_of(WordEngine(**facts)))


def test_longest_texts_are_said_to_be_left_out():
    """A model for a million tokens is tried with as many as a machine can take, and the note says so."""
    verdict, _ = CATALOGUE["tail_counts"].judge(encoder_of(WordEngine(max_length=1_000_000, device="cpu")))
    assert verdict.passed
    assert verdict.notes == ("nothing above 4096 of 1000000 tokens was tried",)
