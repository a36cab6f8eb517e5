"""``xfail`` as pytest reads it: which failures are expected, and what the reports say of each."""

from __future__ import annotations

import json
import random

import pytest

WORDS = [
    "parcel",
    "return",
    "refund",
    "order",
    "invoice",
    "blue",
    "green",
    "shirt",
    "size",
    "late",
    "broken",
    "phone",
    "cable",
    "account",
    "password",
    "reset",
]
TESTS = """
    import pytest
    from pytest_embedqa import mteb_task, sts_task
    low = mteb_task(sts_task("sim.tsv"), min_spearman=0.99999)
    @pytest.fixture
    def late(request): request.node.add_marker(pytest.mark.xfail(reason="known"))
    @pytest.fixture
    def late_raises(request): request.node.add_marker(pytest.mark.xfail(reason="known", raises=ValueError))
"""
# What stands above a test, the arguments of the test, and whether its failure is an expected one.
FORMS = {
    "plain": ("", "", False),
    "known": ('@pytest.mark.xfail(reason="known")', "", True),
    "true": ('@pytest.mark.xfail(True, reason="known")', "", True),
    "false": ('@pytest.mark.xfail(False, reason="elsewhere")', "", False),
    "false_text": ('@pytest.mark.xfail("1 > 2", reason="elsewhere")', "", False),
    "raises_another": ("@pytest.mark.xfail(raises=ValueError)", "", False),
    "raises_it": ("@pytest.mark.xfail(raises=(ValueError, pytest.fail.Exception))", "", True),
    "two_false": ('@pytest.mark.xfail(False, reason="a")\n    @pytest.mark.xfail(1 > 2, reason="b")', "", False),
    "one_of_two": ('@pytest.mark.xfail(False, reason="a")\n    @pytest.mark.xfail(True, reason="b")', "", True),
    "strict": ('@pytest.mark.xfail(strict=True, reason="known")', "", True),
    "added": ("", "late", True),
    "added_raises": ("", "late_raises", False),
}


@pytest.fixture
def told(pytester, run):
    """Runs a module on own data; returns the result, and each test by name as the JSON report has it."""
    chance = random.Random(1)
    rows = ["sentence1\tsentence2\tscore"]
    for number in range(24):
        first, shared = chance.sample(WORDS, 6), number % 7
        others = chance.sample([word for word in WORDS if word not in first], 6 - shared)
        rows.append(f"{' '.join(first)}\t{' '.join(first[:shared] + others)}\t{shared * 5 / 6:.1f}")
    (pytester.path / "sim.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")

    def run_it(text, *arguments):
        pytester.makepyfile(test_it=TESTS + text)
        result = run("--embedqa-json=out.json", "--embedqa-html=out.html", *arguments)
        tests = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))["tests"]
        return result, {one["id"].rpartition("::")[2]: one for one in tests}

    return run_it


@pytest.mark.parametrize("runxfail", [False, True])
def test_which_failures_have_their_cause(told, runxfail):
    """Each that pytest takes for a failure, and none that it takes for an expected one."""
    result, tests = told(
        "".join(
            f"\n    {mark}\n    @low\n    def test_{name}({arguments}): ...\n"
            for name, (mark, arguments, _) in FORMS.items()
        ),
        *(["--runxfail"] if runxfail else []),
    )
    wanted = {f"test_{name}": expected and not runxfail for name, (_, _, expected) in FORMS.items()}
    result.assert_outcomes(failed=list(wanted.values()).count(False), xfailed=list(wanted.values()).count(True))
    found = {name: (one["outcome"], "diagnosis" in one["facts"]) for name, one in tests.items()}
    assert found == {name: ("xfailed", False) if expected else ("failed", True) for name, expected in wanted.items()}


def test_asking_pytest_disturbs_nobody(pytester, told):
    """Hooks of others see one report a phase: what is asked in between is no report of a test."""
    pytester.makeconftest("""
        import pytest
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            with open("seen", "a") as file:
                print(report.when, report.outcome, file=file)
            return report
    """)
    told('\n    @pytest.mark.xfail(reason="known")\n    @low\n    def test_known(): ...\n')
    seen = (pytester.path / "seen").read_text(encoding="utf-8").split("\n")
    assert seen[:3] == ["setup passed", "call skipped", "teardown passed"]


PASSES = """
    @pytest.mark.xfail(reason="was weak")
    @mteb_task(sts_task("sim.tsv"), min_spearman=0.1)
    def test_it(): ...
"""


def test_an_unexpected_pass(pytester, told):
    """It is 'xpassed' with its reason in JSON, and 'passed unexpectedly' on the page."""
    result, tests = told(PASSES)
    result.assert_outcomes(xpassed=1)
    assert (tests["test_it"]["outcome"], tests["test_it"]["text"]) == ("xpassed", "was weak")
    assert tests["test_it"]["facts"]["verdict"][0]["outcome"] == "pass"
    page = (pytester.path / "out.html").read_text(encoding="utf-8")
    assert "passed unexpectedly" in page


@pytest.mark.parametrize(
    ("arguments", "strict", "outcome"),
    [(("--runxfail",), False, "passed"), (("-o", "xfail_strict=true"), False, "failed"), ((), True, "failed")],
)
def test_an_unexpected_pass_that_counts(told, arguments, strict, outcome):
    """Under --runxfail it is a pass, where xfail is strict a failure that says so."""
    _, tests = told(PASSES.replace("xfail(", "xfail(strict=True, " if strict else "xfail("), *arguments)
    assert tests["test_it"]["outcome"] == outcome
    assert ("[XPASS(strict)]" in tests["test_it"]["text"]) == (outcome == "failed")


BREAKS = "@pytest.fixture\n    def breaks():\n        yield\n        raise OSError('gone')\n    "
ENDS = {
    "body_xfails": ("@mid\n    def test_it(): pytest.xfail('said here')", "xfailed", "said here"),
    "fixture_xfails": (
        "@pytest.fixture\n    def gives_up(): pytest.xfail('in a fixture')\n    @mid\n    def test_it(gives_up): ...",
        "xfailed",
        "in a fixture",
    ),
    "not run": (
        "@pytest.mark.xfail(run=False, reason='crashes')\n    @mid\n    def test_it(): ...",
        "xfailed",
        "crashes",
    ),
    "added in the body": (
        "@mid\n    def test_it(request):\n        request.node.add_marker(pytest.mark.xfail(reason='late'))\n        assert 0",
        "xfailed",
        "late",
    ),
    "passes, and its teardown fails": (
        BREAKS + "@pytest.mark.xfail(raises=ValueError, reason='weak')\n    @mid\n    def test_it(breaks): ...",
        "error",
        "gone",
    ),
}


@pytest.mark.parametrize(("text", "outcome", "said"), ENDS.values(), ids=ENDS)
def test_how_a_test_ends(told, text, outcome, said):
    """However a test comes to its xfail, the report has the outcome and the reason of pytest."""
    _, tests = told("\n    mid = mteb_task(sts_task('sim.tsv'), min_spearman=0.1)\n    " + text + "\n")
    assert tests["test_it"]["outcome"] == outcome
    assert said in tests["test_it"]["text"]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("-n2",), ("--reruns=1",)], ids=["xdist", "rerunfailures"])
def test_the_same_on_workers_and_in_a_second_try(told, arguments):
    """Expected, unexpected and real ends are what they are in one process."""
    text = "".join(
        f"\n    {mark}\n    @low\n    def test_{name}({given}): ...\n" for name, (mark, given, _) in FORMS.items()
    )
    result, tests = told(text + PASSES, *arguments)
    expected = [name for name, (_, _, known) in FORMS.items() if known]
    assert {name for name, one in tests.items() if one["outcome"] == "xfailed"} == {f"test_{name}" for name in expected}
    assert tests["test_it"]["outcome"] == "xpassed"
    assert sum(one["outcome"] == "failed" for one in tests.values()) == len(FORMS) - len(expected)
    if "-n2" not in arguments:
        result.stdout.fnmatch_lines(["*rerun*"])
