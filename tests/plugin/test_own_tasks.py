"""A user's own data as a task, by one line."""

from __future__ import annotations

import os

import pytest

from pytest_embedqa.commands import main

WORSE = """
def of_a(texts):
    vectors = encode(texts)
    for row, text in enumerate(texts):
        if "zebra" in text:
            vectors[row] = np.random.default_rng(zlib.crc32(text.encode())).normal(size=64)
    return vectors
"""


@pytest.fixture
def data(pytester, hub):
    """One file or folder of each kind, made of the tiny data."""
    folder = pytester.path / "data"
    (folder / "faq" / "qrels").mkdir(parents=True)
    for name in ("corpus", "queries"):
        (folder / "faq" / f"{name}.jsonl").write_text((hub / "mteb/arguana" / f"{name}.jsonl").read_text())
    rows = "".join(f"q{number}\td{number}\t1\n" for number in range(16))
    (folder / "faq" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    (folder / "graded.jsonl").write_text((hub / "mteb/stsbenchmark-sts/test.jsonl").read_text())
    (folder / "pairs.csv").write_text(
        'sentence1,sentence2,label\n"warm bread","bread, warm",1\n"warm bread",loud drum,0\nnight train,train at night,1\nnight train,rye crust,0\n'
    )
    (folder / "bitext.tsv").write_text(
        "sentence1\tsentence2\nheavy rain\train heavy\nloud drum\tdrum loud\nrye crust\tcrust rye\n"
    )
    return folder


def test_each_kind_is_evaluated_by_mteb(pytester, run, data):
    """Retrieval, graded pairs, labelled pairs and bitext take one line each."""
    pytester.makepyfile("""
        from pytest_embedqa import bitext_task, mteb_task, pair_task, retrieval_task, sts_task
        @mteb_task(retrieval_task("data/faq"), min_ndcg_at_10=0.7, min_spearman=0.5)
        def test_retrieval(task_result): assert task_result.details.units == 16
        @mteb_task(sts_task("data/graded.jsonl", name="my pairs"), min_spearman=0.2)
        def test_sts(): ...
        @mteb_task(pair_task("data/pairs.csv"), min_max_ap=0.9, min_spearman=0.5)
        def test_pairs(): ...
        @mteb_task(bitext_task("data/bitext.tsv"), min_f1=0.9)
        def test_bitext(): ...
    """)
    result = run(data=False)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["my pairs *"])


def test_paths_start_at_the_test_file(pytester, run, data):
    """A suite can be run from anywhere."""
    sub = pytester.mkdir("suite")
    data.rename(sub / "data")
    (sub / "test_here.py").write_text(
        "from pytest_embedqa import mteb_task, retrieval_task\n"
        "@mteb_task(retrieval_task('data/faq'), min_ndcg_at_10=0.7)\ndef test_it(): ...\n"
    )
    run(data=False).assert_outcomes(passed=1)


def test_what_has_no_bound_is_shown_too(pytester, run, data):
    """A test without a bound promises nothing, and still says what was measured; one with a bound is not told twice."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task, retrieval_task
        @mteb_task(retrieval_task("data/faq"))
        def test_faq(): ...
    """)
    result = run(data=False)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["without a bound * value", "data/faq * ndcg_at_10 * 1.0000"])
    result = run("--embedqa-baseline=python:bag:other", data=False)
    result.stdout.no_fnmatch_line("without a bound*")
    result = run("--embedqa-model=python:bag:other", data=False)
    result.stdout.fnmatch_lines(
        [
            "python:bag:encode",
            "without a bound *",
            "data/faq *",
            "",
            "python:bag:other",
            "without a bound *",
            "data/faq *",
        ],
        consecutive=True,
    )


def test_broken_line_is_named_before_any_encoding(pytester, run, data):
    """File and line of the mistake, and no vector was computed for it."""
    (data / "graded.jsonl").open("a").write('{"sentence1": "x", "sentence2": "y", "score": 9}\n')
    pytester.makepyfile("""
        import bag
        from pytest_embedqa import mteb_task, sts_task
        @mteb_task(sts_task("data/graded.jsonl"), min_spearman=0.2)
        def test_sts(): ...
        def test_calls(): assert sum(bag.CALLS) == 1
    """)
    result = run(data=False)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*graded.jsonl:257: score lies outside (0.0, 5.0), but it is 9.*"])


def test_two_files_of_one_name_are_two_tasks(pytester, run, data):
    """Both are in the baseline by their paths, from whatever folder and process they are run, and each is held to its own score."""
    rows = (data / "graded.jsonl").read_text()
    for team, text in (("a", rows.replace('"sentence1": "', '"sentence1": "zebra ')), ("b", rows)):
        pytester.mkdir(f"team_{team}").joinpath("sim.jsonl").write_text(text)
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task, sts_task
        @mteb_task(sts_task("team_a/sim.jsonl"))
        def test_a(): ...
        @mteb_task(sts_task("team_b/sim.jsonl"))
        def test_b(): ...
    """)
    result = run("-n2", "--embedqa-save-baseline=old.json", data=False)
    result.stdout.fnmatch_lines(["*saved the baseline *old.json: 2 tasks (team_a/sim, team_b/sim)"])
    pytester.makepyfile(worse=(pytester.path / "bag.py").read_text() + WORSE)
    result = run(
        "--embedqa-baseline=old.json", "--embedqa-save-baseline=new.json", model="python:worse:of_a", data=False
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["team_a/sim *FAIL", "team_b/sim *pass"])
    assert main(["compare", "old.json", "new.json"]) == 1


@pytest.mark.parametrize("name", ["SciFact", "STS", "query"])
def test_name_of_something_of_mteb_is_refused(pytester, run, data, name):
    """A public task, a type of tasks and a kind of text have prompts and published scores, which are not of the user's data."""
    (data / "faq").rename(pytester.path / name)
    pytester.makepyfile(f"""
        from pytest_embedqa import mteb_task, retrieval_task
        @mteb_task(retrieval_task({name!r}), vs_published=-0.015)
        def test_it(): ...
    """)
    result = run(data=False)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            f"*test_it: Your own data *{name} is called '{name}', a name that mteb uses too, to find a model's prompts and published scores. Give it another name with name=."
        ]
    )
    path = pytester.path / "test_name_of_something_of_mteb_is_refused.py"
    path.write_text(
        path.read_text().replace("vs_published=-0.015", "min_ndcg_at_10=0.7").replace("'),", "', name='mine'),")
    )
    run(data=False).assert_outcomes(passed=1)


def test_baseline_is_of_what_was_read(pytester, run, data):
    """Judgements that change behind a link are other data; what lies beside a task, or is its other split, is not."""
    (data / "faq" / "qrels").rename(pytester.path / "labels")
    (data / "faq" / "qrels").symlink_to(pytester.path / "labels")
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task, retrieval_task
        @mteb_task(retrieval_task("data/faq"), max_regression=0.01)
        def test_it(): ...
    """)
    run("--embedqa-save-baseline=data/faq/old.json", data=False).assert_outcomes(passed=1)
    judged = pytester.path / "labels" / "test.tsv"
    (pytester.path / "labels" / "dev.tsv").write_text(judged.read_text())
    run("--embedqa-baseline=data/faq/old.json", data=False).assert_outcomes(passed=1)
    judged.write_text(judged.read_text().replace("q3\td3", "q3\td4"))
    result = run("--embedqa-baseline=data/faq/old.json", data=False)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the baseline was measured on the data sha256:*, this run on sha256:*"])


def test_folder_whose_name_is_no_text(pytester, run, data):
    """A name of other bytes is shown escaped, in the table, the baseline and every report."""
    (data / "faq").rename(pytester.path / os.fsdecode(b"caf\xe9"))
    pytester.makepyfile("""
        import os
        from pytest_embedqa import mteb_task, retrieval_task
        @mteb_task(retrieval_task(os.fsdecode(b"caf\\xe9")), max_regression=0.01)
        def test_it(): ...
    """)
    run("--embedqa-save-baseline=old.json", data=False).assert_outcomes(passed=1)
    result = run(
        "--embedqa-baseline=old.json", "--embedqa-html=r.html", "--embedqa-json=r.json", "--junitxml=r.xml", data=False
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([r"caf\udce9 *pass"])


def test_two_tasks_of_one_name_are_refused_at_once(pytester, run, data):
    """Reports and baselines know a task by its name: two of one name stop the run, the same task twice does not."""
    other = pytester.mkdir("sub")
    (data / "faq").rename(other / "faq")
    other.joinpath("data").symlink_to(data)
    for name, tasks in {
        "one": ['sts_task("data/graded.jsonl", name="mine")', 'sts_task("sub/data/graded.jsonl", name="mine")'],
        "two": ['pair_task("data/pairs.csv", name="mine")', 'sts_task("data/graded.jsonl", name="mine")'],
        "three": ['sts_task("data/graded.jsonl")', 'sts_task("data/graded.jsonl", score_range=(0, 6))'],
    }.items():
        lines = [f"@mteb_task({task})\ndef test_{number}(): ...\n" for number, task in enumerate(tasks)]
        path = pytester.path / f"test_{name}.py"
        path.write_text("from pytest_embedqa import mteb_task, pair_task, sts_task\n" + "".join(lines))
    run("test_one.py", data=False).assert_outcomes(passed=2)
    for name in ("two", "three"):
        result = run(f"test_{name}.py", data=False)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [
                f"*test_{name}.py:4: test_1: Two different things are called '*', by which reports and baselines know them. Tell them apart with name=."
            ]
        )
