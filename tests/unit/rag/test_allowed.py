"""What a probe file may reach: by itself its project and this machine, and what the command line allows."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_embedqa.core.errors import DataError, SpecError
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.rag.allowed import Allowed, read_hosts, read_rules
from pytest_embedqa.rag.choices import Chunking, HttpRetrieval, Retrieval
from pytest_embedqa.rag.openwebui import OpenWebUISettings
from pytest_embedqa.rag.probe import ProbeFile


def asking(url, **headers):
    """A live system of a probe file."""
    return HttpRetrieval(url, {"q": "{query}"}, "hits", "text", headers=headers)


def with_corpus(root, corpus):
    """A probe file below a folder."""
    path = root / "tests" / "a.probe.yaml"
    return ProbeFile(path, path.parent / corpus, Chunking(), Retrieval(), (), lines={"corpus": 3})


@pytest.fixture
def project(tmp_path):
    """A project with documents beside its tests, and a folder beside the project."""
    for folder in ("project/tests/documents", "project/documents", "project-of-others"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.md").write_text("a", encoding="utf-8")
    return tmp_path / "project"


@pytest.mark.parametrize(
    "corpus", ["documents", "documents/a.md", "../documents", "not-there", "../tests/../documents"]
)
def test_documents_of_the_project_are_read(project, corpus):
    """Wherever in it they lie, also by an absolute path."""
    Allowed(project).check(with_corpus(project, corpus))
    Allowed(project).check(with_corpus(project, project / "tests" / corpus))


def test_documents_beside_a_probe_file_elsewhere_are_read(project):
    """A probe file that is given by its path brings its own folder."""
    Allowed(project / "documents").check(with_corpus(project, "documents"))


@pytest.mark.parametrize(
    "corpus", ["../../project-of-others", "../../project-of-others/a.md", "../../../..", "../../nowhere"]
)
def test_documents_elsewhere_are_refused(project, corpus):
    """With file and line, and the option that allows it."""
    with pytest.raises(
        DataError,
        match=r"a\.probe\.yaml:3: the corpus .* is not read, as it leads out of .*project, the rootdir\. If you trust it, allow it on the command line:  --embedqa-allow-outside",
    ):
        Allowed(project).check(with_corpus(project, corpus))
    Allowed(project, outside=True).check(with_corpus(project, corpus))


@pytest.mark.parametrize("target", ["../../../project-of-others", "../../../project-of-others/a.md"])
def test_a_link_that_leads_out_is_refused(project, target):
    """Of a folder or of a file; one that stays in the project is followed."""
    link = project / "tests/documents/linked"
    link.symlink_to("../../documents")
    Allowed(project).check(with_corpus(project, "documents"))
    link.unlink()
    link.symlink_to(target)
    with pytest.raises(DataError, match=r"the rootdir: .*documents/linked\S* is a link there\."):
        Allowed(project).check(with_corpus(project, "documents"))


def test_a_header_names_no_other_host():
    """A server that passes requests on by their ``Host`` would send a variable to a host that nobody allowed."""
    allowed = {"variables": read_rules(["TOKEN=https://search.example.org"])}
    for url in ("https://search.example.org/q", "http://localhost:8080/q"):
        (problem,) = Allowed(Path(), **allowed).problems_of(asking(url, host="Other.example"))
        assert re.fullmatch(
            r"the header Host: 'other\.example' is not sent to https?://\S+, as a server may pass the request on to that host\. If you trust it, allow it on the command line, with --embedqa-allow-host\.",
            problem,
        )
        assert (
            list(
                Allowed(Path(), hosts=read_hosts(["other.example"]), **allowed).problems_of(
                    asking(url, host="Other.example")
                )
            )
            == []
        )
    same = asking("https://search.example.org/q", Host="search.example.org:443", Authorization="${TOKEN}")
    assert list(Allowed(Path(), **allowed).problems_of(same)) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/q", "http://localhost/q", "https://[::1]/q"])
def test_this_machine_may_be_asked(url):
    """It is where a stranger has no server."""
    assert list(Allowed(Path()).problems_of(asking(url))) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://search.example.org/q",
        "https://SEARCH.example.org:443/q",
        "http://127.0.0.1.example.org/q",
        "http://169.254.169.254/latest",
        "http://2130706433/q",
        "http://localhost.example.org/q",
    ],
)
def test_another_host_is_refused(url):
    """However it is written."""
    (problem,) = Allowed(Path()).problems_of(asking(url))
    assert (
        "is not asked, as only a file names it. If you trust it, allow it on the command line:  --embedqa-allow-host="
        in problem
    )


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1@search.example.org/", "http://a:b@127.0.0.1/", "ftp://127.0.0.1/", "http://"]
)
def test_what_is_no_address_is_refused(url):
    """Two readers of a URL may disagree on who is asked."""
    assert list(Allowed(Path()).problems_of(asking(url)))


@pytest.mark.parametrize(
    ("host", "holds"),
    [
        ("search.example.org", True),
        ("SEARCH.example.org", True),
        ("search.example.org:8443", True),
        ("search.example.org:443", False),
        ("example.org", False),
        ("other.example.org", False),
    ],
)
def test_a_host_is_allowed_by_its_whole_name(host, holds):
    """With or without its port."""
    allowed = Allowed(Path(), hosts=read_hosts([host]))
    assert (list(allowed.problems_of(asking("https://search.example.org:8443/q"))) == []) is holds


@pytest.mark.parametrize("host", ["[2001:db8::1]", "[2001:db8::1]:8443"])
def test_a_numeric_host_is_allowed(host):
    """Its brackets are no part of the name."""
    assert list(Allowed(Path(), hosts=read_hosts([host])).problems_of(asking("https://[2001:db8::1]:8443/q"))) == []


@pytest.mark.parametrize("text", ["", "https://search.example.org", "a b", "user@host", "host/path", "*"])
def test_what_is_no_host(text):
    """The form is shown."""
    with pytest.raises(
        SpecError, match=r"is not a host\. Write its name alone, or HOST:PORT, e\.g\. search\.example\.org\."
    ):
        read_hosts([text])


def test_a_variable_is_sent_only_where_it_may_go():
    """The rule names it and the server; then the server may be asked, too."""
    service = asking("https://search.example.org/q", A="Bearer ${TOKEN}", B="${TOKEN}${OTHER}")
    allowed = Allowed(
        Path(), variables=read_rules(["TOKEN=https://search.example.org", "OTHER = https://search.example.org/"])
    )
    assert list(allowed.problems_of(service)) == []
    allowed = Allowed(Path(), variables=read_rules(["TOKEN=https://search.example.org:443"]))
    assert list(allowed.problems_of(service)) == [
        (
            "the environment variable OTHER is not sent to https://search.example.org, as only a file asks for that. If you trust it, "
            "allow it:  --embedqa-probe-env=OTHER=https://search.example.org  (ini file: embedqa_probe_env)"
        )
    ]


def test_this_machine_gets_no_variable_unasked():
    """Whoever may listen there."""
    (problem,) = Allowed(Path()).problems_of(asking("http://127.0.0.1:8080/q", A="${HOME}"))
    assert "--embedqa-probe-env=HOME=http://127.0.0.1:8080 " in problem


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [({"OPENWEBUI_API_KEY": "k"}, ["OPENWEBUI_API_KEY"]), ({}, ["OPENWEBUI_EMAIL", "OPENWEBUI_PASSWORD"])],
)
def test_openwebui_gets_its_credentials_only_where_they_may_go(monkeypatch, environment, wanted):
    """Those by which the connection would be signed in."""
    monkeypatch.delenv("OPENWEBUI_API_KEY", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    service = OpenWebUISettings("http://127.0.0.1:3000")
    problems = list(Allowed(Path()).problems_of(service))
    assert [problem.split()[3] for problem in problems] == wanted
    rules = read_rules([f"{name}=http://127.0.0.1:3000" for name in wanted])
    assert list(Allowed(Path(), variables=rules).problems_of(service)) == []


@pytest.mark.parametrize(
    "text", ["", "TOKEN", "TOKEN=", "TOKEN=search.example.org", "=https://a", "A=https://u@a", "A=https://u:p@a/path"]
)
def test_what_is_no_rule(text):
    """The form is shown."""
    with pytest.raises(
        SpecError,
        match=r"is not NAME=URL, an environment variable and who may get it, e\.g\. SEARCH_TOKEN=https://search\.example\.org",
    ):
        read_rules([text])


@pytest.mark.parametrize("rest", ["/query", "/query?top=3", "?top=3", "/#part"])
def test_the_url_of_a_probe_file_is_answered_with_its_server(rest):
    """Who pastes the whole URL reads what to write in its place."""
    with pytest.raises(
        SpecError,
        match=r"^TOKEN is allowed for a whole server, so its address must end with the host and port: TOKEN=http://search\.local:8000\.$",
    ):
        read_rules([f"TOKEN=http://search.local:8000{rest}"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("python:mine:score", "the engine 'python' imports a module"),
        ("openai:m?url=http://x/v1", "the engine 'openai' asks a server"),
        ("openai:m?start=serve+{port}", "start= runs a command"),
        ("st:m?trust_remote_code=true", "it sets trust_remote_code"),
        ("rerank:[bm25][python:mine:score]", "the engine 'python' imports a module"),
    ],
)
def test_a_reranker_that_does_more_than_load_a_model(project, text, reason):
    """A file that names it is refused with its line and the option that allows it, unless the run may load it anyway."""
    spec = parse_spec(text)
    file = replace(with_corpus(project, "documents"), retrieval=Retrieval("bm25", reranker=spec), lines={"retrieve": 4})
    with pytest.raises(DataError) as error:
        Allowed(project).check(file)
    assert str(error.value).endswith(
        f"a.probe.yaml:4: the reranker '{spec}' is not loaded: {reason}, and a probe file may only name a model in files. "
        f"If you trust it, allow it on the command line:  --embedqa-allow-spec={shlex.quote(str(spec))}"
    )
    Allowed(project, specs=(spec,)).check(file)
    Allowed(project).check(file, own_reranker=False)
    Allowed(project).check(replace(file, retrieval=Retrieval("bm25", reranker=parse_spec("st:models/mine"))))
