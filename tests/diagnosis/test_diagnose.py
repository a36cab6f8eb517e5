"""A diagnosis on encoders without a model: the cause is named, chance is not, and time is kept."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
from word_encoders import E5, SPEC, WordEngine, ask, loader, prompts, ranking

from pytest_embedqa.core.errors import EngineError, TimeLimitError
from pytest_embedqa.core.slice import Pairs
from pytest_embedqa.diagnosis.changes import facts
from pytest_embedqa.diagnosis.diagnose import diagnose
from pytest_embedqa.diagnosis.trials import Trials
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import Prompts

NEEDS = loader(needs=("query: ", "passage: "))


@pytest.mark.parametrize(
    ("cause", "advice", "arguments"),
    [
        (
            "query prompt is missing",
            "Set query_prompt=query:%20&document_prompt=passage:%20",
            {"load": NEEDS, "prompts": prompts("", "passage: "), "known": [E5]},
        ),
        ("prompts are missing", "name=", {"load": NEEDS, "known": [E5]}),
        ("vectors are cut to 4 of 64 dimensions", "dim=", {"dim": 4}),
        ("texts are lower-cased (clean=lower)", "Take clean=lower out", {"clean": "lower"}),
        ("texts are cut at 2 tokens", "Take max_length=2 out", {"options": {"max_length": "2"}}),
        ("pooling is cls by the spec", "Take pooling=cls out", {"options": {"pooling": "cls"}}),
        ("float16", "dtype=float32", {"options": {"dtype": "float16"}}),
        ("what else is in the batch", "padding_side", {"load": loader(padding=3.0)}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_names_the_cause_and_what_to_do(cause, advice, arguments):
    """The first finding is the fault, with points, the number of queries, both scores, and what to set."""
    found = ask(**arguments)
    first = found.findings[0]
    assert cause in first.cause
    assert advice in first.advice
    assert first.recovered > 0.05
    assert f"{first.recovered:+.3f} on 60 queries ({found.score:.3f} -> " in first.evidence
    assert found.lines[0] == f"{first.cause}: {first.evidence}. {first.advice}"


def test_a_sound_encoder_has_no_cause():
    """Nothing is named where nothing is wrong, and what was tried is listed."""
    found = ask(known=[E5])
    assert found.findings == ()
    assert found.lines[0].startswith("nothing that was tried recovers more than chance (ndcg_at_10 0.")
    best = max(found.tried, key=found.tried.get)
    assert f"; the most: {found.tried[best]:+.3f} {best}, {len(found.tried) - 1} other changes less." in found.lines[0]
    assert found.tried["with pooling=cls"] < 0
    assert "without 'query: ' in front of queries" not in found.tried  # there is none


def test_declared_prompts_are_known():
    """What the model's own files declare is tried without being told."""

    def load(spec):
        engine = WordEngine(spec.options, needs=("query: ", "passage: "))
        engine.prompts = Prompts("model", E5.prefixes)
        return Encoder(engine, None, spec=spec)

    found = ask(load, prompts=prompts("", "passage: "))
    assert found.findings[0].cause == "query prompt is missing"
    assert not any("search_query" in done for done in found.tried)


def test_pairs_have_symmetric_prompts():
    """Neither side of a pair asks; the advice names where a prompt for such texts is declared."""
    some = ranking()
    gold = np.array([1.0, 0.0] * 60)
    first = [text for text in some.first for _ in range(2)]
    second = [text for pair in zip(some.second, some.second[::-1], strict=True) for text in pair]
    part = Pairs(first, second, gold)
    found = ask(loader(needs=("query: ",)), part, known=[Prompts("mteb", {"query": "query: "}, default="query")])
    assert found.findings[0].cause == "each text has no prompt"
    assert "default_prompt_name" in found.findings[0].advice
    assert (found.measure, found.units) == ("spearman", "120 pairs")


class LowerCaseEngine(WordEngine):
    """Reads texts in lower case."""

    def _vector(self, text):
        return super()._vector(text.lower())


def test_what_can_not_be_undone_is_said():
    """Texts that are cut and case that is not read are said, with how many and where."""
    encoder = Encoder(LowerCaseEngine({"max_length": "3"}), None, spec=SPEC)
    trials = Trials(encoder, None, None, time.monotonic() + 60)
    cut, case = facts(trials, ranking())
    assert re.fullmatch(r"\d+% of the texts are cut at 3 tokens\.", cut)
    assert case.startswith("The encoder does not tell upper from lower case. If its model does, something")


def test_a_trial_after_its_time():
    """No text is encoded once the time is over."""
    trials = Trials(loader()(SPEC), None, None, time.monotonic() - 1)
    with pytest.raises(TimeLimitError, match="the time for the diagnosis is over"):
        trials.values(ranking())


def test_absent_documents_are_counted():
    """A corpus that lacks relevant documents is named with how many, and what complete queries score."""
    part = ranking()
    lost = set(range(0, 60, 3))
    relevant = {query: {} if query in lost else part.relevant[query] for query in range(60)}
    part = replace(part, relevant=relevant, absent={query: [1.0] for query in lost}, judged=300, missing=100)
    found = ask(part=part).findings[0]
    assert found.cause == "the corpus is incomplete"
    assert found.evidence.startswith(
        "100 of 300 relevant documents are not in it; queries whose documents are all there"
    )
    assert "Fetch the data again" in found.advice
    assert 0.2 < found.recovered < 0.5


def test_what_can_not_be_loaded_is_said():
    """A variant that fails explains nothing, and the failure is shown; the rest is tried."""

    def load(spec):
        if "pooling" in spec.options:
            raise EngineError("no room\nfor a second model")
        return loader()(spec)

    found = ask(load)
    assert found.not_tried["with pooling=cls"] == "EngineError: no room"
    assert "not tried, EngineError: no room: with pooling=cls, with pooling=lasttoken." in found.lines


def test_time_is_kept():
    """A slow encoder gets a small slice, what does not fit is listed, and little more than the time is spent."""

    class Slow(WordEngine):
        def embed(self, texts):
            time.sleep(0.002 * len(texts))
            return super().embed(texts)

    def load(spec):
        return Encoder(Slow(spec.options), None, spec=spec)

    began = time.monotonic()
    found = ask(load, ranking(400), seconds=1.5)
    assert time.monotonic() - began < 4
    assert int(found.units.split()[0]) < 60
    nothing = ask(load, ranking(400), seconds=0.01)
    assert nothing.score is None
    assert nothing.lines == [
        "nothing that was tried recovers more than chance (nothing measured).",
        "not tried, 0.01 seconds did not suffice for 16 queries: everything.",
    ]


def test_the_encoder_stays_as_it_is():
    """What a test counts afterwards is about its own texts; nothing of the diagnosis stays behind."""
    encoder = loader()(SPEC)
    encoder.encode(["a b c"])
    before = (encoder.encoded, asdict(encoder.truncation), encoder.prompts)
    diagnose(encoder, ranking(), None, loader(), seconds=600)
    assert (encoder.encoded, asdict(encoder.truncation), encoder.prompts) == before


def test_is_written_as_json():
    """Everything that is said can travel in a report."""
    found = ask(options={"pooling": "cls"})
    again = json.loads(json.dumps(asdict(found)))
    assert again["findings"][0]["recovered"] == pytest.approx(found.findings[0].recovered)
    assert again["seconds"] > 0
