"""Under pytest-xdist: one model a device, with no flag, and the same verdicts."""

from __future__ import annotations

import json

import pytest

from pytest_embedqa.encoders.devices import Gpus
from pytest_embedqa.plugin import read_settings
from pytest_embedqa.quality.task import TaskQuery
from pytest_embedqa.upgrade.baseline import read_baseline

MEASURED = """
    import os, pytest
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", min_ndcg_at_10=0.5, min_recall_at_100=0.5)
    def test_retrieval(): ...
    @mteb_task("STSBenchmark", min_spearman=0.99)
    def test_sts(): ...
    @mteb_task("ArguAna", min_ndcg_at_10=0.1, dims=[8])
    def test_shorter(): ...
    @mteb_task("Banking77Classification", min_accuracy=0.1)
    def test_labels(): ...
    def test_encoder(encoder): assert encoder.encode(["a"]).shape == (1, 64)
    def test_other(): ...
"""
# What says that a worker has loaded its encoder.
LOADING = """
    import os, pathlib
    import bag
    def pytest_sessionfinish():
        worker = os.environ.get("PYTEST_XDIST_WORKER")
        if worker and bag.CALLS: pathlib.Path(f"{worker}-threads{os.environ.get('OMP_NUM_THREADS')}").touch()
"""


@pytest.mark.slow
def test_results_are_those_of_one_process(pytester, run, monkeypatch):
    """One process, two workers with one encoder, and two with an encoder each: same verdicts, same baseline, one table."""
    pytest.importorskip("xdist")
    monkeypatch.setattr(read_settings, "find_gpus", Gpus)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    pytester.makeconftest(LOADING)
    pytester.makepyfile(MEASURED)
    seen, encoders = [], []
    for number, how in enumerate([(), ("-n2",), ("-n2", "--embedqa-devices=2")]):
        # No vectors are handed from run to run, nor from worker to worker.
        files = (f"--embedqa-json={number}.json", f"--embedqa-save-baseline=b{number}.json", "--embedqa-store=off")
        result = run(*how, *files)
        result.assert_outcomes(passed=5, failed=1)
        result.stdout.fnmatch_lines(["*embedding quality*", "ArguAna * pass"])
        tests = json.loads((pytester.path / f"{number}.json").read_text(encoding="utf-8"))["tests"]
        baseline = read_baseline(pytester.path / f"b{number}.json")
        verdicts = {test["id"]: (test["outcome"], test["facts"].get("verdict")) for test in tests}
        seen.append((verdicts, {str(one.subject): one.score for one in baseline.evaluations}))
        encoders.append([path.name.partition("-")[2] for path in pytester.path.glob("gw*-threads*")])
    assert len(seen[0][1]) == 4
    assert seen[0] == seen[1] == seen[2]
    assert encoders[:2] == [[], ["threadsNone"]]
    assert len(encoders[2]) == 3  # the one of the second run, and two
    assert "threadsNone" in encoders[2]


@pytest.mark.parametrize("wrong", ['"ArguAnna"', '"ArguAna", min_ndcg_at_10=7'])
def test_wrong_marker_stops_the_run(pytester, run, wrong):
    """A usage error in the workers is a failed run that names the marker, not an empty success."""
    pytest.importorskip("xdist")
    pytester.makepyfile(f"from pytest_embedqa import mteb_task\n@mteb_task({wrong})\ndef test_it(): ...")
    result = run("-n2")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["test_wrong_marker_stops_the_run.py:2: test_it: *"])
    result.stdout.no_fnmatch_line("*read_mark*")  # its words, and no traceback through the plugin


def test_without_xdist(pytester, run):
    """The plugin does not need xdist."""
    pytester.makepyfile(MEASURED)
    run("-p", "no:xdist").assert_outcomes(passed=5, failed=1)


# A line says where a worker or a test ran.
CONFTEST = """
    import os, pathlib, pytest
    def note(name):
        if worker := os.environ.get("PYTEST_XDIST_WORKER"):
            with pathlib.Path("ran.txt").open("a") as file:
                print(name, worker, os.environ.get("CUDA_VISIBLE_DEVICES", ""), file=file)
    def pytest_sessionstart(): note("start")
"""
LIGHT = """
    import os, pytest
    from conftest import note
    @pytest.mark.parametrize("number", range(3))
    def test_encoder(encoder, number, request):
        note(request.node.path.stem)
        if request.node.nodeid == os.environ.get("CRASH"): os._exit(1)
    def test_other(): note("other")
"""


@pytest.fixture
def light(pytester, monkeypatch):
    """Runs light tests in three files on a machine with two GPUs; gives the result, and who ran what with which GPU."""
    pytest.importorskip("xdist")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        bag="def encode(texts): return [[float(len(text)), 1.0] for text in texts]",
        **dict.fromkeys(("test_a", "test_b", "test_c"), LIGHT),
    )
    monkeypatch.setattr(read_settings, "find_gpus", lambda: Gpus(("0", "1")))

    def run_light(*arguments):
        options = ("-p", "no:cacheprovider", "--embedqa-model=python:bag:encode")
        result = pytester.runpytest_inprocess(*options, *arguments)
        return result, [line.split(" ") for line in (pytester.path / "ran.txt").read_text().splitlines()]

    return run_light


@pytest.mark.slow
def test_each_device_has_one_worker(light):
    """Two GPUs of three workers: two of them share the encoder tests out, each with a GPU of its own."""
    result, ran = light("-n3")
    result.assert_outcomes(passed=12)
    result.stdout.fnmatch_lines(["embedqa: 2 encoders side by side: CUDA_VISIBLE_DEVICES=0; CUDA_VISIBLE_DEVICES=1"])
    assert {(worker, gpu) for name, worker, gpu in ran if name.startswith("test")} == {("gw0", "0"), ("gw1", "1")}
    assert all(len({worker for name, worker, _ in ran if name == file}) == 1 for file in ("test_a", "test_b", "test_c"))


@pytest.mark.slow
def test_a_new_worker_has_the_device_of_a_crashed_one(light, monkeypatch):
    """A crash fails its test, and nothing else: what is left runs on the same devices."""
    monkeypatch.setenv("CRASH", "test_a.py::test_encoder[1]")
    result, ran = light("-n2")
    result.assert_outcomes(failed=1, passed=11)
    result.stdout.fnmatch_lines(["*crashed while running 'test_a.py::test_encoder?1?'*"])
    crashed = next(gpu for name, _, gpu in ran if name == "test_a")
    assert ["start", "gw2", crashed] in ran
    assert (
        sorted(name for name, *_ in ran)
        == ["other"] * 3 + ["start"] * 3 + ["test_a"] * 3 + ["test_b"] * 3 + ["test_c"] * 3
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", ["worksteal", "loadfile"])
def test_another_dist_is_obeyed(light, how):
    """Where the user chooses the scheduling, any worker may load an encoder; the devices are shared out to all."""
    result, ran = light("-n3", f"--dist={how}")
    result.assert_outcomes(passed=12)
    assert {(worker, gpu) for _, worker, gpu in ran} == {("gw0", "0"), ("gw1", "1"), ("gw2", "0")}


def test_nothing_is_left_behind(pytester, monkeypatch):
    """Workers write down which tests belong together; the folder goes with the run."""
    temporary = pytester.mkdir("temporary")
    monkeypatch.setenv("TMPDIR", str(temporary))
    pytester.makepyfile("def test_a(): ...")
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n1").assert_outcomes(passed=1)
    assert list(temporary.glob("embedqa-*")) == []


def test_a_run_that_is_not_ours_is_left_alone(pytester, monkeypatch):
    """Without an option of ours on the command line or in the ini file, workers keep the environment of the run."""
    pytest.importorskip("xdist")
    monkeypatch.setattr(read_settings, "find_gpus", lambda: Gpus(("0", "1")))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    pytester.makepyfile("""
        import os, pytest
        @pytest.mark.parametrize("number", range(2))
        def test_it(number): assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    """)
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-n2").assert_outcomes(passed=2)


SHARING = """
    import pytest
    from pytest_embedqa import mteb_benchmark, mteb_task, parity, rag_probe
    @mteb_task("STS12", min_spearman=0.1)
    def test_one(): ...
    @mteb_task("STS12", min_pearson=0.1, dims=[8])
    def test_same(): ...
    @mteb_task("STS12", limit=9)
    def test_sample(): ...
    @mteb_task("STS12", limit="nine")
    def test_wrong(): ...
    @parity(reference="st:x", min_cosine=0.9)
    def test_parity(): ...
    @pytest.mark.parametrize("encoder", ["st:a", "st:b"], indirect=True)
    def test_models(encoder): ...
    def test_plain(encoder): ...
    def test_other(): ...
    @rag_probe(ask="Who?", corpus="docs", expect={"contains": "me"})
    def test_ask(): ...
    @rag_probe(ask="What?", corpus="docs", expect={"contains": "it"})
    def test_ask_more(): ...
"""


def units_by_test(pytester):
    """The unit of each test of a suite."""
    pytest.importorskip("xdist")
    from pytest_embedqa.plugin.xdist import units_of

    items, _ = pytester.inline_genitems("-p", "no:cacheprovider")
    return dict(zip([item.name for item in items], units_of(items), strict=True))


def test_what_is_shared_stays_together(pytester):
    """One evaluation, reference or index is made once; other tests of a file, with its fixtures, are one unit a model."""
    pytester.makepyfile(SHARING)
    units = units_by_test(pytester)
    assert units["test_other"] is None
    assert units["test_one"] == units["test_same"]
    assert units["test_ask"] == units["test_ask_more"]
    assert units["test_plain"] == units["test_wrong"]  # what is wrong is said by the test
    assert [units[f"test_models[st:{model}]"].model for model in "ab"] == ["st:a", "st:b"]
    alone = ("test_one", "test_sample", "test_parity", "test_ask", "test_plain")
    assert len({units[name] for name in alone}) == len(alone)


def test_tasks_of_a_mean_stay_together(pytester, monkeypatch):
    """The mean of a benchmark needs all its tasks in one process, and so does another test of one; without it they part."""
    some = [TaskQuery("STS12"), TaskQuery("STS13")]
    monkeypatch.setattr("pytest_embedqa.quality.mteb.tasks.benchmark_queries", lambda _: some)
    pytester.makepyfile("""
        from pytest_embedqa import mteb_benchmark, mteb_task
        @mteb_benchmark("Ours", min_mean=0.1)
        def test_mean(): ...
        @mteb_benchmark("Theirs", limit=9)
        def test_parts(): ...
        @mteb_task("STS12")
        def test_one(): ...
    """)
    units = units_by_test(pytester)
    ours = {units[f"test_mean[{task}]"] for task in ("STS12", "STS13", "mean")}
    assert ours == {units["test_one"]}
    assert len(ours | {units[f"test_parts[{task}]"] for task in ("STS12", "STS13")}) == 3
