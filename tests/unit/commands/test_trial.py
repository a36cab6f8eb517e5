"""What ``embedqa doctor`` says of a reranker: ten questions whose order is plain, its scale, and signs of a wrong set-up."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_embedqa.commands import main
from pytest_embedqa.commands.trial import Trial
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.pairs import split
from pytest_embedqa.encoders.plain_pairs import PLAIN_PAIRS
from pytest_embedqa.encoders.representations import SCORES
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.spec import parse_spec

ANSWERS = {(one.question, one.answer) for one in PLAIN_PAIRS}


class Engine:
    """Scores pairs by a function of whether it is an answer, and of the pair."""

    options, prompts, counts_tokens, representation = {}, None, False, SCORES
    identity, limits = Identity("fake", "fake", full_dim=1), Limits()

    def __init__(self, score):
        self.score = score

    def embed(self, texts):
        """A score for each."""
        pairs = [split(text) for text in texts]
        return np.array([self.score(pair in ANSWERS, *pair) for pair in pairs], np.float32)

    def lengths(self, texts):
        """Of no interest."""
        return [len(text) for text in texts]

    def close(self):
        """Nothing to free."""


def spread(pair):
    """A number between 0 and 1 that differs between pairs."""
    return sum(map(ord, "".join(pair))) % 97 / 97


def tried(score):
    """The trial of a reranker."""
    trial = Trial(Reranker(Engine(score), None, spec=parse_spec("builtin")))
    assert trial.lines.pop(0).startswith("2 pairs scored: ")
    return trial


def test_working_reranker_is_praised():
    """All ten, and its scale as it is."""
    trial = tried(lambda answers, *pair: 0.9 + spread(pair) / 20 if answers else spread(pair) / 20)
    assert trial.lines[0] == "10 of 10 questions score their answer above a passage about something else"
    assert trial.lines[1].startswith("scores from 0.00")
    assert trial.lines[1].endswith("within 0 and 1 as after a sigmoid")
    assert len(trial.lines) == 2
    assert trial.problem == ""


def test_raw_scores_are_called_raw():
    """Logits lie beyond 0 and 1."""
    trial = tried(lambda answers, *pair: 7 + spread(pair) if answers else -9 - spread(pair))
    assert "beyond 0 and 1: raw, before any sigmoid" in trial.lines[1]


def test_wrong_order_is_a_problem_and_each_question_is_shown():
    """A head of random numbers."""
    trial = tried(lambda _answers, *pair: spread(pair))
    wrong = [line for line in trial.lines if line.startswith("wrong: ")]
    assert (
        trial.lines[0] == f"{10 - len(wrong)} of 10 questions score their answer above a passage about something else"
    )
    assert wrong
    assert all(any(one.question in line and one.unrelated in line for one in PLAIN_PAIRS) for line in wrong)
    assert trial.problem.startswith(f"{len(wrong)} of 10 questions score their answer no higher than a passage")
    assert "Qwen3-Reranker without its template" in trial.remedy


def test_tie_is_not_the_right_order():
    """A model that sees the question alone puts no answer first."""
    trial = tried(lambda _answers, question, _document: spread((question,)))
    assert trial.lines[0].startswith("0 of 10 questions")
    assert trial.problem


def test_model_of_one_language_is_no_problem():
    """What it does not know is shown all the same."""
    trial = tried(lambda answers, *pair: 1 + spread(pair) if answers and pair[0].isascii() else spread(pair))
    assert trial.problem == ""
    assert any(line.startswith("wrong: ") for line in trial.lines)
    assert not any(line.startswith("wrong: ") and line.isascii() for line in trial.lines)


@pytest.mark.parametrize(
    ("score", "note"),
    [
        (lambda answers, *pair: 1.0 if answers else spread(pair) / 2, "10 have exactly 1, so their order is lost"),
        (lambda answers, *pair: 0.9 - spread(pair) / 2 if answers else 0.0, "10 have exactly 0, so their order is lost"),
        (lambda answers, *pair: 0.7 + spread(pair) / 40 if answers else 0.51 + spread(pair) / 40, "all scores lie between 0.5 and 0.731, as probabilities do after another sigmoid"),
        (lambda answers, *pair: 0.8 + spread(pair) / 100 + answers / 50, "all scores lie within 0.03 of each other, as where the template of a model is missing"),
    ],
)  # fmt: skip
def test_signs_of_a_wrong_set_up_are_notes(score, note):
    """Saturation, a sigmoid too many, a template too few: the scores show it."""
    trial = tried(score)
    notes = [line for line in trial.lines if line.startswith("note: ")]
    assert len(notes) == 1
    assert note in notes[0]
    assert trial.problem == ""


def test_working_scores_have_no_note():
    """Neither of probabilities nor of logits that happen to lie near 0.5 to 0.73."""
    for score in (
        lambda answers, *pair: 0.49 + answers / 5 + spread(pair) / 50,
        lambda answers, *pair: answers + spread(pair) / 3 - 0.1,
    ):
        assert not [line for line in tried(score).lines if line.startswith("note: ")]


@pytest.mark.slow
def test_command_asks_a_reranker(capsys, monkeypatch, tmp_path):
    """A server whose scores are the letters that a question shares with a passage: lines and exit code of the command."""
    import sys
    from pathlib import Path

    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "engines"))
    sys.modules.pop("rerank_server", None)
    from rerank_server import serving

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with serving("jina") as server:
        code = main(["doctor", "--model", f"rerank-api:fake?url={server.url}"])
    out = " ".join(capsys.readouterr().out.split())
    assert "of 10 questions score their answer above a passage about something else" in out
    assert "within 0 and 1 as after a sigmoid" in out
    assert ("the reranker does not work as it is set up" in out) == bool(code)
