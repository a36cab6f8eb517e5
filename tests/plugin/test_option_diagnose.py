"""``--embedqa-diagnose``: why a score is low, when it fails, and when a model is far below its published score."""

from __future__ import annotations

import gzip
import json
import xml.etree.ElementTree as ET

import pytest

PLAIN = """
    import pytest
    from pytest_embedqa import mteb_task
    {mark}
    @mteb_task("ArguAna"{arguments})
    def test_it(): ...
"""
CUT = "python:bag:encode?dim=1"


@pytest.fixture
def suite(pytester):
    """Writes a test on ArguAna."""

    def write(arguments="", mark=""):
        pytester.makepyfile(PLAIN.format(arguments=arguments, mark=mark))

    return write


def diagnoses(path="out.xml"):
    """What stands in the properties of a JUnit file."""
    return [
        json.loads(one.get("value"))
        for one in ET.parse(path).iter("property")
        if one.get("name") == "embedqa.diagnosis"
    ]


def test_failure_names_its_cause(run, suite):
    """The likely cause, the points that undoing it gives back, and what to do; the whole diagnosis in the properties."""
    suite(", min_ndcg_at_10=0.99")
    result = run("--junitxml=out.xml", model=CUT)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  cause      vectors are cut to 1 of 64 dimensions: * dim=*", "  try        *"])
    (found,) = diagnoses()
    assert found["task"] == "ArguAna"
    assert found["model"] == CUT
    assert found["findings"][0]["recovered"] > 0.1


def test_off_looks_for_nothing(run, suite):
    """The failure alone."""
    suite(", min_ndcg_at_10=0.99")
    result = run("--embedqa-diagnose=off", "--junitxml=out.xml", model=CUT)
    result.assert_outcomes(failed=1)
    assert "cause" not in result.stdout.str()
    assert diagnoses() == []


def test_passed_tests_are_not_diagnosed_unless_asked(run, suite):
    """``auto`` costs a passing run nothing; ``always`` says so in a note."""
    suite()
    run("--junitxml=out.xml", model=CUT).assert_outcomes(passed=1)
    assert diagnoses() == []
    result = run("--embedqa-diagnose=always", "--junitxml=out.xml", model=CUT)
    result.assert_outcomes(passed=1)
    assert len(diagnoses()) == 1
    result.stdout.fnmatch_lines(["note: ArguAna: vectors are cut to 1 of 64 dimensions: *"])


def test_gate_failure_is_diagnosed(run, suite):
    """With what differs from the baseline's encoder beside it."""
    suite()
    result = run("--embedqa-baseline=python:bag:encode", model=CUT)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["  differs    dim: none to 1", "  cause      vectors are cut to 1 of 64 dimensions: *"]
    )


@pytest.mark.parametrize(
    ("arguments", "mark"),
    [
        (", min_ndcg_at_10=0.99", '@pytest.mark.xfail(reason="known")'),
        (", max_truncated=0.0", ""),
        (", max_ndcg_at_10=0.001", ""),
        ("", "from pytest_embedqa import matryoshka\n    @matryoshka(dims=[1], max_loss=0.01)"),
    ],
    ids=["expected", "no score", "too high", "compression"],
)
def test_what_no_set_up_explains_is_not_diagnosed(run, suite, arguments, mark):
    """An expected failure, a score that could not be measured, one that is too high, vectors that were made smaller on purpose."""
    suite(arguments, mark)
    run(
        "--junitxml=out.xml", model="python:bag:encode" if "matryoshka" in mark else "python:bag:coarse"
    ).assert_outcomes(**({"xfailed": 1} if "xfail" in mark else {"failed": 1}))
    assert diagnoses() == []


NEEDY = """
    import bag
    def encode(texts):
        return bag.encode([text if text.startswith(("query: ", "passage: ")) else text[:3] for text in texts])
"""


def test_published_score_decides_what_is_a_cause(pytester, run, suite):
    """The same gain is a cause where it brings the published score, an observation where none is known; at that score nothing is tried."""
    pytester.makepyfile(needy=NEEDY)
    suite(", min_ndcg_at_10=0.999")

    def told(model, **published):
        arguments = ["--junitxml=out.xml"]
        for name, score in published.items():
            entry = {"scores": {"test": {"default": score}}, "data_revision": "x", "model_revision": "a"}
            snapshot = json.dumps({"models": {"org/model": {"ArguAna": [entry]}}}).encode()
            (pytester.path / f"{name}.json.gz").write_bytes(gzip.compress(snapshot))
            arguments.append(f"--embedqa-published={name}.json.gz")
        result = run(*arguments, model=f"python:needy:encode?version=1{model}")
        result.assert_outcomes(failed=1)
        verdict = next(
            json.loads(one.get("value"))
            for one in ET.parse("out.xml").iter("property")
            if one.get("name") == "embedqa.verdict"
        )
        (found,) = diagnoses()
        return result.stdout, verdict["value"], found

    right = 1.0  # with its prompts, which the evidence below says
    text, wrong, found = told("&name=org/model", right=right)
    assert wrong < 0.9
    text.fnmatch_lines(
        [f"  cause      prompts are missing: with 'query: ' in front of *, as published ({right:.4f}). Set *"]
    )
    assert found["standing"] == {
        "measure": "ndcg_at_10",
        "score": wrong,
        "published": right,
        "interval": found["standing"]["interval"],
    }
    text, _, found = told("")
    text.fnmatch_lines(
        ["  cause      no cause is sure.", "             observed, no advice: with 'query: ' in front of *"]
    )
    text.fnmatch_lines(
        ["*. Nothing says that the model was trained with that, and there is no published score to decide."]
    )
    assert (found["findings"], found["standing"]) == ([], None)
    text, _, found = told("&name=org/model", equal=wrong)
    text.fnmatch_lines(
        [
            f"  cause      set up as published (ndcg_at_10 {wrong:.4f} here, {wrong:.4f} published); this model scores no more here."
        ]
    )
    assert (found["findings"], found["observations"], found["tried"]) == ([], [], {})


def test_published_model_far_below_its_score_is_diagnosed_without_a_failure(pytester, run, suite):
    """More than three points below what was published is a wrong set-up, whatever the test asks for."""
    model = "python:bag:coarse?version=1&name=org/model"
    suite()
    for published, count in ((0.9, 1), (0.1, 0)):
        entry = {"scores": {"test": {"default": published}}, "data_revision": "x", "model_revision": "y"}
        snapshot = {"models": {"org/model": {"ArguAna": [entry]}}}
        (pytester.path / f"{count}.json.gz").write_bytes(gzip.compress(json.dumps(snapshot).encode()))
        result = run(f"--embedqa-published={count}.json.gz", "--junitxml=out.xml", model=model)
        result.assert_outcomes(passed=1)
        assert len(diagnoses()) == count


def test_encoder_that_fails_meanwhile_still_reports_the_score(pytester, run, suite):
    """A diagnosis that can't be made never hides the failure it was for."""
    pytester.makepyfile(
        tired="""
        import bag
        def encode(texts):
            if len(bag.CALLS) > 4: raise RuntimeError("gone")
            return bag.coarse(texts)
    """
    )
    suite(", min_ndcg_at_10=0.99")
    result = run("--embedqa-store=off", model="python:tired:encode")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["ArguAna: ndcg_at_10 * is below 0.9900*"])


def test_unforeseen_error_does_not_hide_the_failure(run, suite, monkeypatch):
    """Whatever goes wrong in a diagnosis is a line of the failure that it was for."""

    def broken(*_):
        raise KeyError("column")

    monkeypatch.setattr("pytest_embedqa.session.Session.diagnosis", broken)
    suite(", min_ndcg_at_10=0.99")
    result = run(model="python:bag:coarse")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["ArguAna: ndcg_at_10 * is below 0.9900*", "  cause      could not be looked for: KeyError: 'column'"]
    )


def test_wrong_word_is_refused(run, suite):
    """By the parser, with what there is."""
    suite()
    result = run("--embedqa-diagnose=sometimes")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--embedqa-diagnose: invalid choice: 'sometimes'*"])
