"""All probes of a file together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.verdict import Outcome
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.choices import Chunking, Retrieval
from pytest_embedqa.rag.group import decay, evaluation, evidence, variations, verdict
from pytest_embedqa.rag.judging import judge
from pytest_embedqa.rag.probe import Expect, Pattern, Probe, ProbeFile, Reject, Robustness

FOUND = [Passage("alpha"), Passage("beta"), Passage("gamma")]


def probe(name, *texts, reject=()):
    """A probe that expects passages with these texts."""
    pieces = tuple(Pattern(text) for text in texts)
    return Probe(name, f"question {name}", Expect(pieces) if texts else None, tuple(reject))


PROBES = (
    probe("first", "alpha"),
    probe("third", "gamma"),
    probe("half", "beta", "delta"),
    probe("none", "delta"),
    probe("reject only", reject=[Reject(Pattern("delta"))]),
)
ANSWERS = [judge(one, FOUND) for one in PROBES]
FILE = ProbeFile(Path("a/faq.probe.yaml"), None, Chunking(), Retrieval(), PROBES)


def test_measures_of_a_file():
    """pass_rate counts probes that hold, recall_at_k pieces, mrr first ranks; computed by hand."""
    assert evidence("pass_rate", ANSWERS).value == pytest.approx(3 / 5)
    assert evidence("recall_at_k", ANSWERS).value == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert evidence("mrr", ANSWERS).value == pytest.approx((1 + 1 / 3 + 1 / 2 + 0) / 4)


def test_a_bound_on_a_file_is_judged_with_its_certainty():
    """The verdict has value, bound, interval and the number of probes; it fails just above its value."""
    held = verdict(FILE, "pass_rate", 0.6, ANSWERS, "m")
    assert (held.outcome, held.units, held.requirement) == (Outcome.PASS, 5, "pass_rate=0.6")
    assert held.interval[0] < 0.6 < held.interval[1]
    assert verdict(FILE, "pass_rate", 0.61, ANSWERS, "m").outcome is Outcome.FAIL


def test_recall_without_expectations_is_an_error():
    """Nothing expected is no recall, and not a recall of 0 or 1."""
    with pytest.raises(SpecError, match="mrr needs probes that expect something"):
        evidence("mrr", [ANSWERS[-1]])


def test_what_the_gate_compares():
    """Each probe is a unit, shown with its question, what came back and what should have."""
    whole = evaluation("a/faq.probe.yaml", ANSWERS, "revision")
    assert (whole.metric, whole.score, whole.subject.task) == ("pass_rate", 0.6, "a/faq.probe.yaml")
    (exhibit,) = whole.exhibits.values()
    assert exhibit.texts["third"] == "question third"
    assert exhibit.relevant["third"] == ["third/3"]
    assert [exhibit.documents[one] for one in exhibit.rankings["third"]] == ["alpha", "beta", "gamma"]


def test_decay_counts_probes_that_held():
    """Only probes that hold unvaried are varied; those that can't be varied do not count."""
    probes = [replace(one, translation="translated" if one.name == "first" else None) for one in PROBES]
    answers = [judge(one, FOUND) for one in probes]
    asked = []

    def again(one, level):
        asked.append((one.name, one.ask, level))
        return judge(one, FOUND[1:])

    (one,) = decay("other_language", variations(Robustness("other_language", (1,)), answers, noise=False), again)
    assert asked == [("first", "translated", 1)]
    assert (one.probes, one.held, one.lost, one.share) == (1, 0, ("first",), 0.0)
    ten, hundred = decay("noise", variations(Robustness("noise", (10, 100)), answers, noise=True), again)
    assert (ten.probes, ten.held, ten.lost) == (3, 2, ("first",))
    assert hundred.level == 100


def test_a_variation_that_fits_no_probe_has_no_share():
    """NaN, which no bound accepts, and not a share of 1."""
    (one,) = decay("other_language", variations(Robustness("other_language", (1,)), ANSWERS, noise=False), judge)
    assert one.probes == 0
    assert one.share != one.share
