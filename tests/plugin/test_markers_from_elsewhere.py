"""Markers that hooks, fixtures, parameters and classes add: each is judged with its label, or an error says where it belongs."""

from __future__ import annotations

import json

import pytest

TASK = 'mteb_task("ArguAna", min_ndcg_at_10={})'
FAILS = 'mteb_task("ArguAna", max_ndcg_at_10=0.5)'
PROBE = 'rag_probe(ask="how long to bake the loaf", corpus="documents", expect={{"contains": "{} minutes"}})'
IMPORTS = "import pytest\nfrom pytest_embedqa import *\n"
LATE = "*@{} was added to the test while it ran, too late to be checked and judged. Put the marker on the function*"


@pytest.fixture(autouse=True)
def documents(pytester):
    """A corpus of one sentence."""
    (pytester.path / "documents").mkdir()
    (pytester.path / "documents" / "bread.md").write_text("Bake the loaf for 40 minutes.", encoding="utf-8")


@pytest.fixture
def told(pytester, run):
    """Runs a module; returns the result, and each test of ours by name as the JSON report has it."""

    def run_it(text, *arguments, conftest="", **options):
        pytester.makepyfile(test_it=IMPORTS + text)
        pytester.makeconftest(IMPORTS + conftest)
        result = run("--embedqa-json=out.json", "--embedqa-diagnose=off", *arguments, **options)
        file = pytester.path / "out.json"
        tests = json.loads(file.read_text(encoding="utf-8"))["tests"] if file.exists() else []
        return result, {one["id"].rpartition("::")[2]: one for one in tests}

    return run_it


RUN_TIME = {
    "alone": "def test_it(late): ...",
    "beside its fixture": "def test_it(late, {fixture}): ...",
    "of an autouse fixture": "@pytest.fixture(autouse=True)\ndef always(late): ...\ndef test_it(): ...",
    "in the test": "def test_it(request): request.node.add_marker({late})",
    "in an expected failure": "@pytest.mark.xfail\ndef test_it(request): request.node.add_marker({late})",
    "beside one that holds": "@{holds}\ndef test_it(late): ...",
    "in a test with one that holds": "@{holds}\ndef test_it(request): request.node.add_marker({late})",
    "before one that holds": "@{holds}\ndef test_it(request, first): ...",
    "from a parameter": '@pytest.mark.parametrize("late", [1], indirect=True)\ndef test_it(late): ...',
}


@pytest.mark.parametrize("form", RUN_TIME.values(), ids=RUN_TIME)
@pytest.mark.parametrize("name", ["mteb_task", "rag_probe"])
def test_a_marker_of_run_time_is_an_error(told, form, name):
    """Whether its bound holds or not, alone or beside one of the function, in a fixture or in the test."""
    late, fixture = {
        "mteb_task": (TASK.format(0.001), "task_result"),
        "rag_probe": (PROBE.format(40), "probe_result"),
    }[name]
    text = (
        f"@pytest.fixture\ndef late(request): request.node.add_marker({late})\n"
        f"@pytest.fixture\ndef first(request): request.node.add_marker({late}, append=False)\n"
    )
    result, _ = told(text + form.format(late=late, holds=PROBE.format(40), fixture=fixture))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([LATE.format(name)])
    result.stdout.no_fnmatch_line("*KeyError*")


def test_modifiers_of_run_time(told):
    """What stands beside a task is no less a marker, and a marker of a module is one of each of its tests."""
    text = f"@pytest.fixture\ndef late(request): request.node.add_marker(matryoshka(dims=[8]))\n@{TASK.format(0.01)}\ndef test_it(late): ...\n"
    result, _ = told(text)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([LATE.format("matryoshka")])
    result, _ = told(
        f"@pytest.fixture(scope='module', autouse=True)\ndef late(request): request.node.add_marker({PROBE.format(40)})\n"
        "def test_one(): ...\ndef test_two(): ...\n"
    )
    result.assert_outcomes(failed=2)


HOOKS = {
    "plain": "def",
    "first": "@pytest.hookimpl(tryfirst=True)\ndef",
    "last": "@pytest.hookimpl(trylast=True)\ndef",
}


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
@pytest.mark.parametrize("body", ["def test_it(): ...", "def test_it(encoder): ..."], ids=["bare", "with the encoder"])
@pytest.mark.parametrize(("mark", "capability"), [(FAILS, "quality"), (PROBE.format(99), "rag")], ids=["task", "probe"])
def test_a_marker_of_a_hook_is_judged_and_labelled(told, hook, body, mark, capability):
    """By its bound, under its own capability, also where the test was one of the encoder alone before."""
    result, tests = told(
        body, conftest=f"{hook} pytest_collection_modifyitems(items):\n    items[0].add_marker({mark})\n"
    )
    result.assert_outcomes(failed=1)
    assert tests["test_it"]["capability"] == capability
    assert tests["test_it"]["facts"]["verdict"][0]["outcome"] == "fail"


def test_a_marker_of_a_hook_is_selected(told):
    """By -m, as any marker that a hook adds."""
    conftest = f"def pytest_collection_modifyitems(items):\n    items[0].add_marker({PROBE.format(40)})\n"
    for selection, outcome in (("rag", {"passed": 1}), ("not rag", {"passed": 1}), ("quality", {})):
        result, tests = told("def test_it(): ...\ndef test_other(): ...\n", "-m", selection, conftest=conftest)
        result.assert_outcomes(**outcome, deselected=2 - outcome.get("passed", 0))
        assert list(tests) == (["test_it"] if selection == "rag" else []) or result.ret == 0


def test_a_hook_takes_bounds_from_parameters(told):
    """Each test of a parametrised function has its own bound, also where the parameter goes through a fixture."""
    conftest = (
        "def pytest_collection_modifyitems(items):\n    for item in items:\n"
        '        item.add_marker(mteb_task("ArguAna", **item.callspec.params["bounds"]))\n'
    )
    text = (
        'BOTH = [{"min_ndcg_at_10": 0.5}, {"max_ndcg_at_10": 0.5}]\n'
        "@pytest.fixture\ndef bounds(request): return request.param\n"
        '@pytest.mark.parametrize("bounds", BOTH, indirect=True)\ndef test_it(bounds, task_result): ...\n'
        '@pytest.mark.parametrize("bounds", BOTH)\ndef test_plain(bounds): ...\n'
    )
    result, tests = told(text, conftest=conftest)
    result.assert_outcomes(passed=2, failed=2)
    assert [one["outcome"] for one in tests.values()] == ["passed", "failed"] * 2


def test_the_test_asserts_a_bound_from_a_fixture(told):
    """With the result of a marker that has no bound of its own."""
    text = (
        "@pytest.fixture\ndef most(request): return request.param\n"
        '@mteb_task("ArguAna")\n@pytest.mark.parametrize("most", [1.0, 0.5], indirect=True)\n'
        "def test_it(task_result, most): assert task_result.main_score <= most\n"
    )
    result, tests = told(text)
    result.assert_outcomes(passed=1, failed=1)
    assert [one["capability"] for one in tests.values()] == ["quality"] * 2


GENERATED = {
    "parameters": "metafunc.parametrize('n', [pytest.param(1, marks={}), 2])",
    "the function": "{}(metafunc.function)",
}


@pytest.mark.parametrize("way", GENERATED.values(), ids=GENERATED)
def test_a_marker_of_generate_tests(told, way):
    """On parameters or the function it is judged."""
    body = "def test_it(n): ..." if "param(" in way else "def test_it(): ..."
    result, tests = told(body, conftest=f"def pytest_generate_tests(metafunc):\n    {way.format(PROBE.format(99))}\n")
    result.assert_outcomes(failed=1, passed=int("param(" in way))
    assert [one["capability"] for one in tests.values()] == ["rag"]


def test_a_marker_of_a_definition(told):
    """On metafunc.definition it reaches no test, which is said: else the test would pass unjudged."""
    result, _ = told(
        "def test_it(): ...",
        conftest=f"def pytest_generate_tests(metafunc):\n    metafunc.definition.add_marker({PROBE.format(99)})\n",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*@rag_probe was added to metafunc.definition, from where no test gets it.*"])


@pytest.mark.parametrize("form", ["{0}", "[{0}]", "pytest.mark.usefixtures('tmp_path'), {0}"])
def test_a_function_whose_pytestmark_is_written(told, form):
    """One marker, or a list of them, with its result fixture."""
    if "," in form:
        form = f"[{form}]"
    result, _ = told(f"def test_it(): ...\ntest_it.pytestmark = {form.format(PROBE.format(99))}\n")
    result.assert_outcomes(failed=1)


INHERITED = {
    "of the base": "class Base:\n    pytestmark = {0}\nclass Test(Base):\n    def test_it(self): ...",
    "of the test in the base": "class Base:\n    @{0}\n    def test_it(self): ...\nclass Test(Base): ...",
    "of an outer class": "@{0}\nclass Test:\n    class TestInner:\n        def test_it(self): ...",
    "of a list on the module": "pytestmark = [pytest.mark.filterwarnings('ignore'), {0}]\nclass Test:\n    def test_it(self): ...",
}


@pytest.mark.parametrize("form", INHERITED.values(), ids=INHERITED)
def test_an_inherited_marker(told, form):
    """It is judged for the test that has it from elsewhere."""
    for minutes, outcome in ((99, "failed"), (40, "passed")):
        result, tests = told(form.format(PROBE.format(minutes)))
        result.assert_outcomes(**{outcome: 1})
        assert [one["outcome"] for one in tests.values()] == [outcome]


@pytest.mark.parametrize("mark", ["{0}", "pytest.mark.{0}"], ids=["ours", "pytest's"])
def test_classes_that_share_a_test(told, mark):
    """One without a marker runs as without the plugin, and each other has the fixture of its own marker alone."""
    text = "class Shared:\n    def test_it(self, request): print('has', request.fixturenames)\n"
    for name, mine in (("Probe", PROBE.format(40)), ("Task", TASK.format(0.01))):
        text += f"@{mark.format(mine)}\nclass Test{name}(Shared): ...\n"
    result, _ = told(text + "class TestUnmarked(Shared): ...\n", "-s")
    result.assert_outcomes(passed=3)
    had = [line for line in result.outlines if "has [" in line]
    assert [("probe_result" in line, "task_result" in line) for line in had] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_stacked_markers_are_refused_by_name(pytester, told):
    """One test has one task: the error names each by what it is about, its own data too, and no test runs."""
    (pytester.path / "sim.tsv").write_text("sentence1\tsentence2\tscore\na b\ta b\t5\na\tc\t0\n", encoding="utf-8")
    stacked = f'@mteb_task(sts_task("sim.tsv"), min_spearman=0.1)\n@{TASK.format(0.01)}\n@{PROBE.format(40)}\n@parity(reference="builtin")\ndef test_it(): ...\n'
    inherited = f"@{PROBE.format(40)}\nclass Test:\n    @{PROBE.format(99)}\n    def test_it(self): ...\n"
    for text, names in (
        (stacked, "this one has 4: @parity(builtin), @rag_probe(how long to bake the loaf), @mteb_task(ArguAna), @mteb_task(sim)."),
        (inherited, "this one has 2: @rag_probe(how long to bake the loaf), @rag_probe(how long to bake the loaf)."),
    ):  # fmt: skip
        result, _ = told(text)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"*test_it.py:*a test takes one task, but {names} Write a test for each.*"])


SKIPPED = {
    "skip": '@pytest.mark.skip(reason="not here")',
    "skipif": '@pytest.mark.skipif(True, reason="not here")',
    "xfail without a run": '@pytest.mark.xfail(reason="not here", run=False)',
}


@pytest.mark.parametrize("mark", SKIPPED.values(), ids=SKIPPED)
@pytest.mark.parametrize("order", [0, 1])
def test_a_marked_test_that_is_not_run(told, mark, order):
    """It is neither asked nor judged, and the reports have the reason."""
    lines = [mark, f"@{PROBE.format(99)}"]
    result, tests = told("\n".join(lines[:: -1 if order else 1]) + "\ndef test_it(): ...\n")
    outcome = "xfailed" if "xfail" in mark else "skipped"
    result.assert_outcomes(**{outcome: 1})
    assert (tests["test_it"]["outcome"], "verdict" in tests["test_it"]["facts"]) == (outcome, False)
    assert "not here" in tests["test_it"]["text"]


def test_skipif_that_does_not_apply_and_usefixtures(told):
    """Both leave the test to be judged."""
    text = (
        "@pytest.fixture\ndef used(): print('USED')\n"
        f"@pytest.mark.usefixtures('used')\n@pytest.mark.skipif(False, reason='no')\n@{PROBE.format(99)}\ndef test_it(): ...\n"
    )
    result, _ = told(text, "-rA")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["USED"])


SELECTED = """
    @{0}
    def test_a(): ...
    @{1}
    def test_b(): ...
    @{0}
    def test_c(): ...
"""


def test_selection_and_stepping(pytester, hub):
    """--deselect, -k, --stepwise and --lf take tests of ours as any other, and what they leave is judged."""
    text = "\n".join(line[4:] for line in SELECTED.format(PROBE.format(40), PROBE.format(99)).splitlines())
    pytester.makepyfile(test_it=IMPORTS + text)
    for arguments, outcomes in (
        (("--deselect=test_it.py::test_b",), {"passed": 2, "deselected": 1}),
        (("-k", "test_b"), {"failed": 1, "deselected": 2}),
        (("--stepwise",), {"passed": 1, "failed": 1}),
        (("--stepwise",), {"failed": 1, "deselected": 1}),
        (("--lf",), {"failed": 1}),
    ):
        assert hub.exists()
        result = pytester.runpytest_inprocess("--embedqa-model=python:bag:encode", "--embedqa-store=off", *arguments)
        result.assert_outcomes(**outcomes)


def test_throughput_of_a_hook_and_in_a_test_case(told):
    """Its test has pytest-benchmark's fixture too, however late the marker came."""
    text = "import unittest\nclass Test(unittest.TestCase):\n    @throughput(min_texts_per_s=1e9, length=4, batch_size=2)\n    def test_case(self): ...\ndef test_it(): ...\n"
    conftest = "def pytest_collection_modifyitems(items):\n    items[-1].add_marker(throughput(min_texts_per_s=1e9, length=4, batch_size=2))\n"
    result, tests = told(text, conftest=conftest)
    result.assert_outcomes(failed=2)
    assert [one["facts"]["verdict"][0]["outcome"] for one in tests.values()] == ["fail", "fail"]


def test_a_late_marker_in_an_expected_failure_is_a_failure_in_junit(pytester, told):
    """An expectation to fail does not hide there that nobody has judged."""
    told(
        f"@pytest.mark.xfail\ndef test_it(request): request.node.add_marker({PROBE.format(40)})", "--junitxml=junit.xml"
    )
    assert "<failure" in (pytester.path / "junit.xml").read_text(encoding="utf-8")


def test_a_marker_of_a_hook_goes_to_a_worker_with_a_device(told):
    """Under xdist its test is one of those that need the encoder, though no fixture of the function says so."""
    conftest = (
        f"def pytest_collection_modifyitems(items):\n    items[0].add_marker({PROBE.format(40)})\n"
        "@pytest.hookimpl(trylast=True)\ndef pytest_collection_finish(session):\n"
        "    from pytest_embedqa.plugin.xdist import units_of\n"
        "    print('UNITS', [bool(unit) for unit in units_of(session.items)])\n"
    )
    result, _ = told("def test_it(): ...\ndef test_other(): ...\n", "-s", conftest=conftest)
    result.stdout.fnmatch_lines(["*UNITS [[]True, False[]]*"])


def test_markers_of_models_bring_the_model(told):
    """``encoder`` can be parametrised in a function whose markers stand at its models alone."""
    models = (
        f'pytest.param("python:bag:encode", marks={TASK.format(0.5)}), pytest.param("python:bag:other", marks={FAILS})'
    )
    text = f'@pytest.mark.parametrize("encoder", [{models}], indirect=True)\ndef test_it(task_result): ...\n'
    result, tests = told(text)
    result.assert_outcomes(passed=1, failed=1)
    assert [one["outcome"] for one in tests.values()] == ["passed", "failed"]
