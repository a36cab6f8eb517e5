"""``--embedqa-allow-...`` and ``embedqa_probe_env``: the command line allows, and no file does."""

from __future__ import annotations

import pytest

FAQ = "corpus: {0}\nprobes:\n  - {{name: a, ask: bread, expect: {{contains: yeast}}}}\n"


@pytest.fixture
def faq(pytester):
    """A project whose documents lie beside it; its folder."""
    (pytester.path / "bread.md").write_text("Dough rises with yeast.", encoding="utf-8")
    project = pytester.mkdir("project")
    (project / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (project / "faq.probe.yaml").write_text(FAQ.format("../bread.md"), encoding="utf-8")
    return project


def test_the_command_line_allows(faq, run):
    """And nothing else is needed."""
    result = run("--rootdir=project", "project/faq.probe.yaml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["project/faq.probe.yaml:1: the corpus *bread.md is not read, as it leads out of *"])
    run("--rootdir=project", "project/faq.probe.yaml", "--embedqa-allow-outside").assert_outcomes(passed=1)


def test_so_does_the_environment(faq, run, monkeypatch):
    """Which is whoever's that starts the run."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "--embedqa-allow-outside")
    run("--rootdir=project", "project/faq.probe.yaml").assert_outcomes(passed=1)


def test_workers_hear_of_it(faq, run):
    """Under pytest-xdist, from the process that started them."""
    run("--rootdir=project", "project/faq.probe.yaml", "--embedqa-allow-outside", "-n1").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "option", ["--embedqa-allow-outside", "--embedqa-allow-host=search.example.org", "--embedqa-allow-spec=builtin"]
)
def test_an_ini_file_does_not(faq, run, option):
    """Its addopts give any other option: a branch can change them."""
    (faq / "pytest.ini").write_text(f"[pytest]\naddopts = {option}\n", encoding="utf-8")
    result = run("-c", "project/pytest.ini", "project/faq.probe.yaml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    name = option.partition("=")[0]
    result.stderr.fnmatch_lines(
        [
            f"*{name} can be given only on the command line (or in PYTEST_ADDOPTS in the environment), but *pytest.ini gives it: a file can't give itself permissions. Remove it there."
        ]
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--embedqa-allow-host=https://a", "*--embedqa-allow-host: 'https://a' is not a host.*"),
        ("--embedqa-allow-host=", "*argument --embedqa-allow-host: its value is empty.*"),
        ("--embedqa-probe-env=TOKEN", "*embedqa_probe_env: 'TOKEN' is not NAME=URL*"),
        ("--embedqa-probe-env=", "*argument --embedqa-probe-env: its value is empty.*"),
        ("--embedqa-allow-spec=opnai:m?url=1", "*Unknown engine 'opnai'*"),
    ],
)
def test_a_wrong_value_is_a_usage_error(faq, run, option, message):
    """Before anything is collected."""
    result = run(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pytest.ini", "[pytest]\nembedqa_probe_env =\n    TOKEN=http://127.0.0.1:9\n    OTHER=http://127.0.0.1:9\n"),
        (
            "pyproject.toml",
            '[tool.pytest.ini_options]\nembedqa_probe_env = ["TOKEN=http://127.0.0.1:9", "OTHER=http://127.0.0.1:9"]\n',
        ),
        (
            "pyproject.toml",
            '[tool.pytest.ini_options]\nembedqa_probe_env = """\nTOKEN=http://127.0.0.1:9\nOTHER=http://127.0.0.1:9"""\n',
        ),
    ],
)
def test_an_ini_file_says_which_variable_goes_where(pytester, run, monkeypatch, name, content):
    """One rule a line, or a list: the file comes as far as the server, which is not there."""
    monkeypatch.setenv("TOKEN", "sk-first-secret")
    monkeypatch.setenv("OTHER", "sk-other-secret")
    (pytester.path / "live.probe.yaml").write_text(
        "retrieve:\n  http: {url: 'http://127.0.0.1:9/q', headers: {A: '${TOKEN}', B: '${OTHER}'}, body: {q: '{query}'}, hits: h, text: t}\n"
        "probes:\n  - {name: a, ask: bread, expect: {contains: yeast}}\n",
        encoding="utf-8",
    )
    run("live.probe.yaml").assert_outcomes(errors=1)
    (pytester.path / name).write_text(content, encoding="utf-8")
    result = run("live.probe.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*The server at http://127.0.0.1:9/q can't be reached*"])


def test_the_file_of_a_retriever_is_a_probe_file(pytester, run):
    """Though the command line names it, a branch can change what it holds."""
    (pytester.path / "how.yaml").write_text(
        "http: {url: 'http://search.example.org', body: {q: '{query}'}, hits: h, text: t}\n", encoding="utf-8"
    )
    result = run("--embedqa-retriever=how.yaml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--embedqa-retriever: how.yaml: the host search.example.org is not asked*"])
