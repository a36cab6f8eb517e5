"""A marked test that nobody has judged never passes, whoever runs it."""

from __future__ import annotations

import pytest

FAILS = '@rag_probe(ask="how long to bake the loaf", corpus="documents", expect={"contains": "99 minutes"})'
HOLDS = '@rag_probe(ask="how long to bake the loaf", corpus="documents", expect={"contains": "40 minutes"})'
IMPORTS = "import asyncio, functools, unittest, pytest\nfrom pytest_embedqa import *\n"


@pytest.fixture(autouse=True)
def documents(pytester):
    """A corpus of one sentence."""
    (pytester.path / "documents").mkdir()
    (pytester.path / "documents" / "bread.md").write_text(
        "Bake the loaf for 40 minutes in a hot oven.", encoding="utf-8"
    )


@pytest.fixture
def module(pytester):
    """Writes a test module."""

    def write(text, **others):
        pytester.makepyfile(test_it=IMPORTS + text, **{name: IMPORTS + other for name, other in others.items()})

    return write


@pytest.mark.parametrize(
    ("form", "ran"),
    [
        ("class Test(unittest.TestCase):\n    {}\n    def test_it(self): RAN.append(1)", 1),
        ("{}\nclass Test(unittest.TestCase):\n    def test_it(self): RAN.append(1)", 1),
        ("pytestmark = {0}\nclass Test(unittest.TestCase):\n    def test_it(self): RAN.append(1)", 1),
        ("class Test(unittest.IsolatedAsyncioTestCase):\n    {}\n    async def test_it(self): RAN.append(1)", 1),
        ("class Test:\n    @staticmethod\n    {}\n    def test_it(): RAN.append(1)", 1),
        ("class Test:\n    {}\n    @staticmethod\n    def test_it(): RAN.append(1)", 1),
        pytest.param(
            "class Test:\n    {}\n    @classmethod\n    def test_it(cls): RAN.append(1)",
            1,
            marks=pytest.mark.skipif(pytest.version_tuple < (8, 4), reason="no test for this pytest"),
        ),
        ("class Base:\n    {}\n    def test_it(self): RAN.append(1)\nclass Test(Base): ...", 1),
        ("{}\nclass Base: ...\nclass Test(Base):\n    def test_it(self): RAN.append(1)", 1),
        ("pytestmark = [{0}]\ntest_it = functools.partial(lambda: RAN.append(1))", 1),
        (
            '@pytest.mark.parametrize("n", [pytest.param(1, marks={0}), 2])\ndef test_it(n): RAN.append(1) if n == 1 else None',
            1,
        ),
        ("{}\ndef test_it(): RAN.append(1)", 1),
    ],
)
@pytest.mark.parametrize("plain", [False, True], ids=["decorator", "pytest.mark"])
def test_it_is_judged_in_any_form(module, run, form, ran, plain):
    """In classes, TestCases, as static or partial functions, on a module or a parameter: fails by its bound, or holds and runs."""
    for probe, outcome in ((FAILS, {"failed": 1}), (HOLDS, {"passed": 1})):
        mark = probe.replace("@rag_probe", "@pytest.mark.rag_probe") if plain else probe
        marked = form.format(mark.removeprefix("@")) if "{0}" in form else form.format(mark)
        siblings = {"passed": outcome.get("passed", 0) + 1} if "pytest.param" in form else {}
        module(
            f"RAN = []\n{marked}\n",
            test_last=f"import test_it\ndef test_ran(): assert len(test_it.RAN) == {ran * (probe == HOLDS)}\n",
        )
        result = run("-p", "no:randomly")
        wanted = {**outcome, **siblings}
        result.assert_outcomes(**{**wanted, "passed": wanted.get("passed", 0) + 1})


def test_several_models_and_a_static_method(module, run):
    """A marker outside of ``@staticmethod`` is seen in time to make a test for each model."""
    mark = HOLDS.replace("@rag_probe", "@pytest.mark.rag_probe")
    module(f"class Test:\n    {mark}\n    @staticmethod\n    def test_it(): ...\n")
    run("--embedqa-model=python:bag:other?version=1").assert_outcomes(passed=2)


def test_several_models_and_a_test_case(module, run):
    """A TestCase can't become one test for each model: that is said, for the second would never be judged."""
    module(f"class Test(unittest.TestCase):\n    {HOLDS}\n    def test_it(self): ...\n")
    result = run("--embedqa-model=python:bag:other?version=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*@rag_probe makes several tests of this one (one for each --embedqa-model), which pytest can't do*"]
    )


def test_several_tasks_of_a_benchmark_and_a_test_case(module, run):
    """Nor one for each task of a benchmark."""
    module('class Test(unittest.TestCase):\n    @mteb_benchmark("MTEB(eng, v2)")\n    def test_it(self): ...\n')
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*@mteb_benchmark makes several tests of this one (one for each task)*"])


def test_a_marker_that_a_hook_adds(pytester, module, run):
    """As good as one on the function: judged, labelled, and shown."""
    module("def test_it(): ...\ndef test_other(): ...\n")
    pytester.makeconftest(
        "from pytest_embedqa import rag_probe\ndef pytest_collection_modifyitems(items):\n"
        f"    items[0].add_marker({FAILS.removeprefix('@')})\n"
    )
    result = run("--embedqa-json=out.json")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*'99 minutes' is not among the 1 passages that came back.*"])


def test_a_marker_that_comes_while_the_test_runs(module, run):
    """Too late for its fixture: alone and beside other tests of ours the error says where it belongs."""
    late = f"@pytest.fixture\ndef late(request): request.node.add_marker({HOLDS.removeprefix('@')})\ndef test_it(late): ...\n"
    module(late)
    alone = run()
    alone.assert_outcomes(failed=1)
    alone.stdout.fnmatch_lines(["*@rag_probe was added to the test while it ran, too late to be checked and judged. *"])
    module(late + f"{HOLDS}\ndef test_beside(): ...\n")
    beside = run()
    beside.assert_outcomes(failed=1, passed=1)
    beside.stdout.fnmatch_lines(
        ["*@rag_probe was added to the test while it ran, too late to be checked and judged. *"]
    )


def test_a_marker_on_what_is_no_function(pytester, run):
    """An item of another plugin has no fixtures to judge it by: refused, not passed."""
    pytester.makeconftest(
        "import pytest\nfrom pytest_embedqa import rag_probe\n"
        "class Check(pytest.Item):\n    def runtest(self): ...\n"
        "class File(pytest.File):\n    def collect(self): yield Check.from_parent(self, name='check')\n"
        "def pytest_collect_file(file_path, parent):\n"
        "    return File.from_parent(parent, path=file_path) if file_path.suffix == '.check' else None\n"
        f"def pytest_collection_modifyitems(items):\n    items[0].add_marker({HOLDS.removeprefix('@')})\n"
    )
    (pytester.path / "a.check").touch()
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*@rag_probe belongs on a test function, class or module; this is a Check.*"])


def test_another_plugin_runs_the_body(pytester, module, run):
    """A pass that no hook of ours has seen is none."""
    module(f"{HOLDS}\ndef test_it(): ...\n")
    pytester.makeconftest(
        "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_protocol(item, nextitem):\n"
        "    from _pytest.runner import CallInfo\n"
        "    call = CallInfo.from_call(lambda: item.obj(), 'call')\n"
        "    item.ihook.pytest_runtest_logreport(report=item.ihook.pytest_runtest_makereport(item=item, call=call))\n"
        "    return True\n"
    )
    result = run("-p", "no:rerunfailures")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*@rag_probe was not judged: the test ran without the hooks of pytest*"])


def test_another_plugin_runs_a_body_again(pytester, module, run):
    """What was judged in one try says nothing of the next."""
    module(f"{HOLDS}\ndef test_it(): ...\n")
    pytester.makeconftest("""
        from _pytest.runner import CallInfo, call_and_report, runtestprotocol
        def pytest_runtest_protocol(item, nextitem):
            runtestprotocol(item, log=True, nextitem=None)
            item._initrequest()
            call_and_report(item, "setup", log=True)
            call = CallInfo.from_call(lambda: item.obj(), "call")
            item.ihook.pytest_runtest_logreport(report=item.ihook.pytest_runtest_makereport(item=item, call=call))
            call_and_report(item, "teardown", log=True, nextitem=nextitem)
            return True
    """)
    run().assert_outcomes(passed=1, failed=1)


MARKERS = {
    "mteb_task": 'mteb_task("ArguAna", min_ndcg_at_10=0.99)',
    "mteb_benchmark": 'mteb_benchmark("MTEB(eng, v2)", min_mean=0.99)',
    "parity": 'parity(reference="builtin", min_cosine=1.0)',
    "throughput": "throughput(min_texts_per_s=1e9)",
    "rag_probe": HOLDS.removeprefix("@"),
    "parametrize_with_invariants": "parametrize_with_invariants()",
}


def test_without_the_plugin(pytester):
    """Each marker says that nobody would judge the test, and how to get the plugin, on functions and modules."""
    modules = {f"test_on_function_{name}": f"@{call}\ndef test_it(): ..." for name, call in MARKERS.items()}
    modules |= {
        f"test_on_module_{name}": f"pytestmark = {call}\ndef test_it(): ..."
        for name, call in MARKERS.items()
        if name != "parametrize_with_invariants"  # a decorator alone
    }
    pytester.makepyfile(**{module: IMPORTS + text for module, text in modules.items()})
    result = pytester.runpytest_subprocess("-p", "no:embedqa", "-p", "no:cacheprovider")
    result.assert_outcomes(errors=len(modules))
    for name, count in {name: 1 if name == "parametrize_with_invariants" else 2 for name in MARKERS}.items():
        text = f"@{name} is a marker of pytest-embedqa, but this run has not loaded the plugin"
        assert sum(text in line and "-p embedqa" in line for line in result.outlines) == count


@pytest.mark.parametrize(
    ("name", "fixture"), [("rag_probe", "probe_result"), ("mteb_task", "task_result"), ("throughput", "speed_result")]
)
def test_without_the_plugin_but_with_its_markers(pytester, module, name, fixture):
    """Where a project lists the markers itself, the fixture that they bring is missing, on functions and in classes."""
    pytester.makeini("[pytest]\nmarkers =\n    rag_probe: ours\n    mteb_task: ours\n    throughput: ours\n")
    for form in (
        "@{}\ndef test_it(): ...",
        "@{}\nclass Test:\n    def test_it(self): ...",
        "class Test(unittest.TestCase):\n    @{}\n    def test_it(self): ...",
    ):
        module(form.format(MARKERS[name]) + "\n")
        result = pytester.runpytest_inprocess("-p", "no:embedqa", "-p", "no:cacheprovider")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([f"*fixture '{fixture}' not found"])


def test_without_the_plugin_and_a_marker_of_a_conftest(pytester):
    """A marker that is made before the run begins asks for the plugin where it is used: on a module, a class, a parameter."""
    pytester.makeconftest("from thresholds import probe")
    pytester.makepyfile(
        thresholds=f"from pytest_embedqa import rag_probe\nprobe = {MARKERS['rag_probe']}\n",
        test_module="from thresholds import probe\npytestmark = probe\ndef test_it(): ...",
        test_class="from thresholds import probe\nclass TestIt:\n    pytestmark = [probe]\n    def test_it(self): ...",
        test_parameter="import pytest\nfrom thresholds import probe\n"
        "@pytest.mark.parametrize('n', [pytest.param(1, marks=probe)])\ndef test_it(n): ...",
        test_function="from thresholds import probe\n@probe\ndef test_it(): ...",
    )
    result = pytester.runpytest_subprocess("-p", "no:embedqa", "-p", "no:cacheprovider")
    result.assert_outcomes(errors=4)
    assert str(result.stdout).count("nobody would judge the test") >= 4


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        ('@mteb_task("ArguAna", min_ndcg_at_10=0.99, dims=[])', "dims=[[]] must be a list of dimensions, e.g. *"),
        ("@parametrize_with_invariants(only=[])", "only= names no invariant. Leave it out for all of them."),
    ],
)
def test_lists_of_nothing(module, run, mark, says):
    """Bounds at no dimension, and no invariant at all, would pass without a look at anything."""
    module(f"{mark}\ndef test_it(): ...\n")
    result = run()
    assert result.ret not in (0, 5)
    (result.stderr if "dims" in mark else result.stdout).fnmatch_lines([f"*{says}*"])
