"""``@matryoshka`` and ``@quantized`` from a user's side."""

from __future__ import annotations

import json

import pytest

from pytest_embedqa.core.properties import CURVE


def suite(pytester, *decorators, task='"ArguAna"'):
    """One test with these markers beside a task."""
    lines = "\n".join(decorators)
    pytester.makepyfile(
        f"from pytest_embedqa import *\nimport pytest\n{lines}\n@mteb_task({task})\ndef test_it(task_result):\n    print('whole', task_result.encoder.identity.dim, task_result.encoder.quantization)\n"
    )


def test_losses_are_judged_and_shown(pytester, run):
    """Each size has its verdict, and the curve its row: score, loss, bytes and what is saved."""
    suite(
        pytester,
        "@matryoshka(dims=[8, 32], max_loss=0.9)",
        '@quantized("int8", max_loss=0.9)',
        '@quantized("ubinary", max_loss=0.9, rescore=4)',
    )
    result = run("-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "*whole None None*",
            "ArguAna @32 *ndcg_at_10 *≥ * pass",
            "ArguAna @8 *ndcg_at_10 *≥ * pass",
            "ArguAna ubinary, rescore=4 * pass",
            "ArguAna *ndcg_at_10 *loss *bytes *saved",
            "whole * 0.0000 * 256 * 0%",
            "@32 * 128 * 50%",
            "int8 * 64 * 75%",
            "@8 * 32 * 88%",
            "ubinary, rescore=4 * 8 * 97%",
        ],
        consecutive=False,
    )


def test_too_much_loss_fails(pytester, run):
    """With both scores, the allowed loss, and what to do."""
    suite(pytester, "@matryoshka(dims=[1], max_loss=0.01)")
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "ArguAna @1: main_score * is below * (whole vectors *, allowed loss 0.01, difference -*); 95 % interval *",
            "*promised *max_loss=0.01",
            "*saves *98%: 4 bytes a vector instead of 256",
            "*try *keep more dimensions*",
        ]
    )


def test_thresholds_of_the_task_are_for_whole_vectors(pytester, run):
    """``min_`` holds for the whole, while the cut loses all."""
    suite(pytester, "@matryoshka(dims=[1])", task='"ArguAna", min_ndcg_at_10=0.5')
    result = run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["ArguAna *0.5000 *pass", "@1 *"])


def test_nothing_is_encoded_again(pytester, run):
    """All sizes come from the vectors of one encoding pass."""
    pytester.makepyfile("""
        from pytest_embedqa import matryoshka, mteb_task, quantized
        import bag
        @mteb_task("ArguAna")
        def test_whole():
            bag.CALLS.append("whole")
        @matryoshka(dims=[8, 16, 32], max_loss=0.99)
        @quantized("int8", max_loss=0.99)
        @quantized("ubinary", max_loss=0.99)
        @mteb_task("ArguAna")
        def test_smaller():
            assert bag.CALLS[-1] == "whole"
    """)
    run().assert_outcomes(passed=2)


@pytest.mark.parametrize("task", ['"STSBenchmark"', '"Banking77Classification"', '"Tatoeba", subsets=["cmn-eng"]'])
def test_other_types_of_task(pytester, run, task):
    """Every type sees the smaller vectors."""
    suite(pytester, "@matryoshka(dims=[2])", '@quantized("ubinary")', task=task)
    result = run("--junitxml=out.xml")
    result.assert_outcomes(passed=1)
    text = (pytester.path / "out.xml").read_text()
    assert CURVE in text


def test_bound_by_model(pytester, run):
    """Only the model that is named has to keep it."""
    suite(pytester, '@matryoshka(dims=[1], max_loss={"org/other": 0.01})')
    run().assert_outcomes(passed=1)
    suite(pytester, '@matryoshka(dims=[1], max_loss={"bag:encode": 0.01})')
    run().assert_outcomes(failed=1)


def test_more_dimensions_than_the_model_has(pytester, run):
    """Names both numbers."""
    suite(pytester, "@matryoshka(dims=[4096], max_loss=0.01)")
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*4096 dimensions were asked of *, but its model has 64.*"])


def test_more_dimensions_than_the_spec_leaves(pytester, run):
    """What ``dim=`` of the spec has cut off is no part of the whole."""
    suite(pytester, "@matryoshka(dims=[48], max_loss=0.01)")
    result = run(model="python:bag:encode?dim=32")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*48 dimensions were asked of *, but it is cut to 32.*"])


def test_loss_is_against_the_same_run(pytester, run):
    """Not against what is published of the model: that is for whole vectors, and of another set-up maybe."""
    suite(pytester, "@matryoshka(dims=[1], max_loss=0.01)", task='"ArguAna", min_ndcg_at_10=0.5')
    result = run(model="python:bag:encode?name=sentence-transformers/all-MiniLM-L6-v2")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["ArguAna @1: *(whole vectors *", "ArguAna * 0.5017 *pass"])
    result.stdout.no_fnmatch_line("*@1*0.5017*")


def test_body_of_the_test_has_the_curve(pytester, run):
    """``task_result`` stays the whole; its ``curve`` has all sizes."""
    pytester.makepyfile("""
        from pytest_embedqa import matryoshka, mteb_task, quantized

        @mteb_task("ArguAna")
        @matryoshka(dims=[8])
        @quantized("int8")
        def test_it(task_result):
            assert [point.label for point in task_result.curve] == ["whole", "int8", "@8"]
            assert task_result.curve[0].score == task_result.main_score > task_result.curve[2].score
    """)
    run().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("decorator", "task", "text"),
    [
        ("@matryoshka(dims=[])", '"ArguAna"', "*@matryoshka: dims=[[]] must be a list of dimensions, e.g. dims=*"),
        ("@matryoshka(dims=[8, 8])", '"ArguAna"', "*'@8' is given twice on one test. Remove one of them.*"),
        ("@matryoshka(dims=[8], max_loss=1.5)", '"ArguAna"', "*an allowed drop is a number from 0 up to 1*"),
        (
            "@matryoshka(dims=[8], max_loss=True)",
            '"ArguAna"',
            "*@matryoshka: max_loss=True must be a number, or numbers by model name*",
        ),
        ("@matryoshka(dims=[8], max_loss=float('nan'))", '"ArguAna"', "*max_loss=nan must be a number*"),
        (
            "@pytest.mark.matryoshka(dim=[8])",
            '"ArguAna"',
            "*has no argument dim. Did you mean dims? It takes: dims, max_loss*",
        ),
        (
            "@pytest.mark.matryoshka([8])",
            '"ArguAna"',
            "*takes keyword arguments only, but got [[]8]. It takes: dims, max_loss*",
        ),
        (
            '@quantized("int4")',
            '"ArguAna"',
            "*@quantized takes one precision, int8 or ubinary, but got 'int4'. Did you mean 'int8'?*",
        ),
        ('@quantized("int8", rescore=0)', '"ArguAna"', "*@quantized: rescore=0 must be a whole number from 1 up*"),
        ('@quantized("int8", rescore=4)', '"STSBenchmark"', "*rescore= is for tasks that rank documents*STS*"),
    ],
)
def test_wrong_arguments_stop_the_run(pytester, run, decorator, task, text):
    """At collection, naming what was wrong and what to write."""
    suite(pytester, decorator, task=task)
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([text])


@pytest.mark.parametrize("beside", ["", '@parity(reference="builtin", min_cosine=0.9)'])
def test_without_a_task_it_is_an_error(pytester, run, beside):
    """A modifier alone must not pass silently."""
    pytester.makepyfile(f"from pytest_embedqa import *\n@matryoshka(dims=[8])\n{beside}\ndef test_it(): ...\n")
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*@matryoshka changes how a task is measured: put it beside @mteb_task*"])


def test_curve_is_json(pytester, run):
    """For reports: a point a size."""
    suite(pytester, "@matryoshka(dims=[8])")
    pytester.makeconftest(f"""
        import json
        def pytest_runtest_logreport(report):
            if report.when == "call":
                print("FACTS", dict(report.user_properties)["{CURVE}"])
    """)
    (line,) = [line for line in run("-s").outlines if "FACTS" in line]
    facts = json.loads(line.partition("FACTS ")[2])
    assert [point["label"] for point in facts["points"]] == ["whole", "@8"]
    assert facts["points"][1]["saved"] == 1 - 8 / 64
    assert facts["points"][0]["score"] - facts["points"][1]["score"] == pytest.approx(facts["points"][1]["loss"])
