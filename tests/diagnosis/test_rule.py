"""A diagnosis is right or silent: what contradicts the model's own files is a cause only where its published score shows it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
from word_encoders import E5, SPEC, WordEngine, ask, loader, noise, prompts, ranking

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.diagnosis.causes import ChangeResult, explain
from pytest_embedqa.diagnosis.diagnose import diagnose
from pytest_embedqa.diagnosis.published import Standing
from pytest_embedqa.diagnosis.result import Diagnosis, LikelyCause
from pytest_embedqa.diagnosis.trials import Change, Trials
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.quality.task import TaskQuery, TaskResult, TaskScores
from pytest_embedqa.session import Session
from pytest_embedqa.settings import Settings

# Faults in the model's own files: engine and what it needs, the cause, what is done about it, what speaks against that.
IN_FILES = {
    "pooling": (
        {"right": "cls"},
        "pooling is mean",
        "with pooling=cls",
        "The model itself says pooling=mean, and",
    ),
    "closing token": (
        {"closing": "[SEP]"},
        "the tokenizer does not append the model's closing token",
        "with '[SEP]' behind each text",
        "The model's own tokenizer does not append it, and",
    ),
    "similarity": (
        {"unit": False, "similarity": "dot"},
        "vectors are not normalised",
        "with the cosine",
        "The model itself says dot product, and",
    ),
    "prompts": (
        {"needs": ("query: ", "passage: ")},
        "prompts are missing",
        "with 'query: ' in front of queries and with 'passage: ' in front of documents (as E5)",
        "Nothing says that the model was trained with that, and",
    ),
}
IDS = list(IN_FILES)


def score(encoder):
    """What an encoder scores on the whole task, which is the slice here."""
    return float(Trials(encoder, None, None, time.monotonic() + 60).values(ranking()).mean())


def published(load, value, reach=0.01):
    """Where an encoder stands to a published score, and how another is scored again."""

    def stands(encoder, seconds=60):
        assert 0 < seconds <= 120
        here = score(encoder)
        return Standing("ndcg_at_10", here, value, (here - reach, here + reach))

    return stands(load(SPEC)), stands


def normalising(**engine):
    """As ``loader``, with the key ``normalize`` of a spec."""

    def load(spec):
        options = dict(spec.options)
        unit = options.pop("normalize", None) == "true" or engine.get("unit", True)
        return loader(**{**engine, "unit": unit})(Spec(spec.text, spec.engine, spec.model, None, options))

    return load


@pytest.mark.parametrize("name", IDS)
def test_without_a_published_score_the_files_are_right(name):
    """A change that they speak against is an observation with its points, whatever it gains, and says what speaks against it."""
    engine, _, done, against = IN_FILES[name]
    found = ask(normalising(**engine))
    assert found.findings == ()
    seen = next(one for one in found.observations if one.evidence.startswith(done))
    assert seen.gained > 0.05
    assert seen.reason == f"{against} there is no published score to decide."
    assert found.lines[0] == "no cause is sure."
    assert f"observed, no advice: {seen.evidence}. {seen.reason}" in found.lines


def test_what_the_spec_overrides_is_undone_and_the_files_stay():
    """normalize=false in front of a model that normalises is the only cause; its modules.json is not doubted."""

    def load(spec):
        options = dict(spec.options)
        unit = options.pop("normalize", "true") == "true"
        return loader(unit=unit, similarity="dot")(Spec(spec.text, spec.engine, spec.model, None, options))

    value = score(load(SPEC))
    encoder = load(SPEC.with_options(normalize="false"))
    encoder.spec = SPEC.with_options(normalize="false")
    here = Standing("ndcg_at_10", score(encoder), value)
    found = diagnose(encoder, ranking(), None, load, standing=here, rescore=published(load, value)[1], seconds=600)
    assert [one.cause for one in found.findings] == ["normalize=false stands in the spec, not in the model"]
    assert found.findings[0].advice == "Take normalize=false out of the spec."


@pytest.mark.parametrize("name", IDS)
def test_what_brings_the_published_score_is_the_cause(name):
    """Then the files are wrong; the evidence has the score of the whole task beside the published one."""
    engine, cause, done, _ = IN_FILES[name]
    load = normalising(**engine)
    value = score(loader()(SPEC))
    if name == "prompts":
        value = score(load(SPEC).with_prompts(prompts("query: ", "passage: ")))
    found = ask(load, published=published(load, value))
    first = found.findings[0]
    assert first.cause.startswith(cause)
    assert first.evidence.startswith(done)
    assert first.evidence.endswith(f" on the whole task, as published ({value:.4f})")
    assert found.observations == ()
    assert not found.is_as_published


@pytest.mark.parametrize("name", IDS)
def test_what_does_not_bring_the_published_score_is_no_cause(name):
    """Neither less nor more than is published: the score of the whole task decides, not the gain on the slice."""
    engine, _, done, against = IN_FILES[name]
    load = normalising(**engine)
    low, high = score(load(SPEC)), score(loader()(SPEC))
    value = (low + high) / 2
    found = ask(load, published=published(load, value))
    assert found.findings == ()
    seen = next(one for one in found.observations if one.evidence.startswith(done))
    assert seen.reason.startswith(against)
    assert seen.reason.endswith(f", not the published {value:.4f}.")


def test_a_model_at_its_published_score_is_left_alone():
    """Nothing is loaded, encoded or tried, however much a change would gain; the text has both scores."""
    encoder = loader(right="cls")(SPEC).variant(dim=4)
    here = 0.5
    for value in (here, here + 0.0049, here - 0.2):
        found = diagnose(encoder, ranking(), None, loader(), standing=Standing("ndcg_at_10", here, value))
        assert found.is_as_published
        assert (found.findings, found.observations, found.tried) == ((), (), {})
        assert encoder.encoded == 0
        assert found.lines == [
            f"set up as published (ndcg_at_10 {here:.4f} here, {value:.4f} published); this model scores no more here."
        ]


def test_within_its_interval_only_the_set_up_is_doubted():
    """The model's own files stay what they are; what the spec says otherwise is still a cause."""
    load = loader(right="cls")
    here = score(load(SPEC))
    found = ask(load, published=(Standing("ndcg_at_10", here, here + 0.02, (here - 0.03, here + 0.03)),))
    assert found.is_as_published
    assert not any("pooling" in done for done in found.tried)
    assert found.lines[0] == (
        f"taken as set up as published: ndcg_at_10 {here:.4f} here, {here + 0.02:.4f} published, "
        f"within the 95 % interval {here - 0.03:.4f} to {here + 0.03:.4f} of this score."
    )
    cut = ask(
        options={"max_length": "2"}, published=(Standing("ndcg_at_10", here, here + 0.02, (here - 0.03, here + 0.03)),)
    )
    assert "texts are cut at 2 tokens" in cut.findings[0].cause
    assert not cut.is_as_published


def test_what_was_not_scored_again_is_said():
    """For want of time, or because it fails: the change is an observation, and the reason is shown."""
    load = loader(right="cls")

    def fail(encoder, seconds):
        raise EngineError("no room")

    found = ask(load, published=(Standing("ndcg_at_10", 0.5, 0.9), fail))
    assert found.findings == ()
    assert found.observations[0].reason.endswith("whether it brings the published 0.9000 was not measured.")
    assert found.not_tried["the whole task with pooling=cls"] == "EngineError: no room"


def test_the_dot_product_can_not_be_scored_again():
    """No key of a spec sets it, so that it stays an observation."""
    found = ask(loader(unit=False), published=published(loader(unit=False), 0.99))
    assert not any("dot product" in one.cause for one in found.findings)


def test_prompts_in_force_that_are_known_are_right():
    """Those that mteb has are the published ones; others that the model's files declare gain here, and are no advice."""

    def load(spec):
        engine = WordEngine(spec.options, needs=("other: ",))
        engine.prompts = prompts("other: ", "other: ")
        return Encoder(engine, None, spec=spec)

    found = ask(load, known=[E5], prompts=E5)
    assert found.findings == ()
    assert found.observations[0].gained > 0.05
    assert found.observations[0].reason.startswith("The prompts in force are those that mteb has for the model, and")


def test_a_folder_that_says_nothing_is_not_contradicted(tmp_path):
    """pooling= of the spec may be what the model's card says, where no file says anything."""
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 512}')

    def load(spec):
        return loader()(spec)

    spec = Spec(f"st:{tmp_path}?pooling=cls", "st", str(tmp_path), None, {"pooling": "cls"})
    silent = diagnose(load(spec), ranking(), None, load, seconds=600)
    assert silent.findings == ()
    assert silent.observations[0].reason.startswith("The spec says pooling=cls, and")
    (tmp_path / "modules.json").write_text(
        json.dumps(
            [
                {"type": "sentence_transformers.models.Transformer", "path": ""},
                {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
            ]
        )
    )
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    said = diagnose(load(spec), ranking(), None, load, seconds=600)
    assert said.findings[0].cause == "pooling is cls by the spec, not by the model"


class LineEngine(WordEngine):
    """Reads a text to its first line break, or is confused by one."""

    reads_on = False

    def _vector(self, text):
        first, broken, _ = text.partition("\n")
        if not self.reads_on:
            return super()._vector(first)
        return super()._vector(text) + (12 * noise(text) if broken else 0)


class ConfusedEngine(LineEngine):
    """Reads on, and makes noise of line breaks."""

    reads_on = True


@pytest.mark.parametrize(("engine", "sure"), [(LineEngine, True), (ConfusedEngine, False)])
def test_line_breaks_are_a_cause_where_the_text_behind_them_is_lost(engine, sure):
    """That vectors show; that white space costs points may be as it should be, for instance in code."""
    part = ranking()
    part = replace(part, second=[text.replace(" ", "\n", 1) for text in part.second])
    encoder = Encoder(engine({}), None, spec=SPEC)
    found = diagnose(encoder, part, None, lambda spec: Encoder(engine(spec.options), None, spec=spec), seconds=600)
    if sure:
        assert found.findings[0].cause == (
            "the encoder reads a text to its first line break (50% of the texts have line breaks or needless white space)"
        )
    else:
        assert found.findings == ()
        assert "with clean=whitespace" in found.observations[0].evidence
        assert found.observations[0].reason.startswith("The encoder reads on behind a line break, and")


class CapitalEngine(WordEngine):
    """Makes noise of capital letters."""

    def _vector(self, text):
        words = np.sum([noise(word) for word in text.lower().split()], axis=0)
        return words + (12 * noise(text) if text != text.lower() else 0)


@pytest.mark.parametrize(("words", "sure"), [(["word", "##s"], True), (["word", "Word"], False)])
def test_capitals_are_a_cause_where_the_tokenizer_has_no_word_with_one(tmp_path, words, sure):
    """Its own vocabulary says that the model is for lower case; special tokens do not count."""
    vocabulary = {word: row for row, word in enumerate(["[UNK]", *words])}
    tokenizer = {"added_tokens": [{"content": "[UNK]"}], "model": {"vocab": vocabulary}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    spec = Spec(f"st:{tmp_path}", "st", str(tmp_path))

    def load(spec):
        return Encoder(CapitalEngine(spec.options), None, spec=spec)

    found = diagnose(load(spec), ranking(), None, load, seconds=600)
    if sure:
        assert found.findings[0].cause.startswith("capital letters, for which the tokenizer has no words, in 100%")
    else:
        assert found.findings == ()
        assert found.observations[0].reason.startswith(
            "Nothing says that the model is for lower-case letters alone, and"
        )


@pytest.mark.parametrize(("proven", "causes"), [(True, ["it"]), (False, [])])
def test_a_proven_fault_needs_no_luck(proven, causes):
    """Two of sixty queries may gain by chance; where the vectors show the fault they are named all the same."""
    before, after = np.zeros(60), np.repeat([1.0, 0.0], [2, 58])
    result = ChangeResult(Change("batches", "it", "with", "Do.", proven=proven), after, before, 0.0)
    findings, observed = explain([result], ranking(), before, None, None)
    assert [one.cause for one in findings] == causes
    assert observed == ()


def test_the_published_score_needs_no_luck_either():
    """On a slow machine the slice is small: what brings the published score of the whole task is a cause all the same."""
    before, after = np.zeros(60), np.repeat([1.0, 0.0], [2, 58])
    results = [
        ChangeResult(Change("pooling", name, "with", "Do.", against="no"), after, before, 0.0)
        for name in ("right", "other")
    ]
    standing = Standing("ndcg_at_10", 0.5, 0.7)

    def rescore(change):
        return replace(standing, score=0.701 if change.cause == "right" else 0.6)

    findings, observed = explain(results, ranking(), before, standing, rescore)
    assert ([one.cause for one in findings], observed) == (["right"], ())
    assert explain(results[1:], ranking(), before, standing, rescore) == ((), ())


def test_the_part_that_lacks_most_is_diagnosed(tmp_path, monkeypatch):
    """Of several subsets not the lowest, but the one farthest below what is published; none at its published score."""
    published = {"a": 0.2, "b": 0.9}
    result = {"scores": {"test": published}, "data_revision": "x", "model_revision": ""}
    entry = {"models": {"org/model": {"T": [result]}}}
    (tmp_path / "known.json").write_text(json.dumps(entry))
    session = Session(Settings(published=tmp_path / "known.json"))
    asked = []
    monkeypatch.setattr(session._evaluator, "slice", lambda _, part: asked.append(part))
    encoder = Encoder(WordEngine({}), None, spec=SPEC, name="org/model")

    def diagnosis(**scores):
        parts = {"test": {subset: {"main_score": value, "f1": value} for subset, value in scores.items()}}
        return session.diagnosis(
            TaskResult(TaskQuery("T"), encoder, lambda *_: TaskScores("T", "Retrieval", "f1", parts, {}, "x"))
        )

    assert diagnosis(a=0.2, b=0.5) is None
    assert asked == [("test", "b")]
    assert diagnosis(a=0.2, b=0.899).lines == [
        "set up as published (f1 0.8990 here, 0.9000 published); this model scores no more here."
    ]
    assert len(asked) == 1


def test_what_travels_in_a_report_comes_back():
    """Causes, observations and both scores."""
    found = ask(loader(right="cls"), published=(Standing("ndcg_at_10", 0.5, 0.9, (0.4, 0.6)),))
    assert found.observations
    assert found.standing
    assert Diagnosis.from_dict(json.loads(json.dumps(asdict(found), default=list))).lines == found.lines
    old = {"findings": [asdict(LikelyCause("a", "b", "c", 0.1))], "score": 0.5, "measure": "m", "units": "9 queries"}
    assert Diagnosis.from_dict(old).lines == ["a: b. c"]
