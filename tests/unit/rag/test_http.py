"""The HTTP retriever against a real server: what it sends, what it reads, and that every fault is one clear error."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pytest_embedqa.core.errors import EngineError, MissingExtraError, SpecError
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.servers import Server
from pytest_embedqa.rag.choices import HttpRetrieval
from pytest_embedqa.rag.http import HttpRetriever, Service

HITS = [
    {"_source": {"body": "The first.", "file": "a/b.md", "page": 3}, "_score": 0.9},
    {"_source": {"body": "The second.", "file": None, "page": "12"}, "_score": 1},
    {"_source": {"body": "The third."}},
]
PATHS = {
    "hits": "hits.hits",
    "text": "_source.body",
    "source": "_source.file",
    "page": "_source.page",
    "score": "_score",
}


class Endpoint(ThreadingHTTPServer):
    """Answers every request in the same way, and keeps what came.

    Attributes:
        seen: Headers and body of each request.
        paths: Path and query of each.
    """

    daemon_threads = True

    def __init__(self, answer, status=200, fault="", port=0, headers=None):
        """Listen; on a free port by default."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.status, self.fault, self.headers = status, fault, headers or {}
        self.seen, self.paths = [], []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/search"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Keep quiet."""

    def do_GET(self):
        """Whether it runs."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        """Answer, or break off in the middle."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append(self.path)
        self.server.seen.append((dict(self.headers), json.loads(body)))
        if self.server.fault == "slow":
            time.sleep(2)
        if self.server.fault == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        answer = self.server.answer
        with contextlib.suppress(OSError):  # nobody waits for the slow one
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(answer)))
            for name, value in self.server.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer[: len(answer) // 2] if self.server.fault == "half" else answer)
            self.close_connection = self.server.fault == "half"


@contextlib.contextmanager
def serving(answer=None, status=200, fault="", headers=None):
    """An endpoint that runs until the context ends."""
    server = Endpoint({"hits": {"hits": HITS}} if answer is None else answer, status, fault, headers=headers)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def retriever(url, **settings):
    """A retriever on an endpoint like Elasticsearch's."""
    return HttpRetriever(
        HttpRetrieval(**{"url": url, "body": {"query": "{query}", "size": "{k}"}, **PATHS, **settings})
    )


def test_hits_become_passages():
    """Text, source, page and score are read where the paths say; what a hit lacks is none."""
    with serving() as server:
        assert retriever(server.url)("anything", 5) == [
            Passage("The first.", source="a/b.md", page=3, score=0.9),
            Passage("The second.", page=12, score=1.0),
            Passage("The third."),
        ]


def test_a_server_may_give_distances():
    """Where less is better, the path is that of a distance."""
    with serving() as server:
        found = retriever(server.url, score=None, distance="_score")("anything", 1)
    assert found == [Passage("The first.", source="a/b.md", page=3, distance=0.9)]


def test_no_more_than_k_come_back():
    """A server that ignores k does not make the retriever better than it is."""
    with serving() as server:
        assert [passage.text for passage in retriever(server.url)("anything", 2)] == ["The first.", "The second."]


def test_body_is_filled_in_at_any_depth():
    """The query and k replace their places in lists, objects and longer strings; k alone is a number."""
    body = {
        "knn": {"text": "{query}", "k": "{k}"},
        "filters": ["top {k} of {query}", 7, None, True],
        "{k}": "a key is no place",
    }
    with serving() as server:
        retriever(server.url, body=body)("bread?", 5)
        assert server.seen[0][1] == {
            "knn": {"text": "bread?", "k": 5},
            "filters": ["top 5 of bread?", 7, None, True],
            "{k}": "a key is no place",
        }


def test_query_arrives_as_it_is():
    """Braces, quotes, line breaks and other scripts in a query are text, and nothing is replaced in them."""
    query = 'What is {k} in "{query}"?\n第2页 \\ Ω'
    with serving() as server:
        retriever(server.url)(query, 3)
        assert server.seen[0][1] == {"query": query, "size": 3}


@pytest.mark.parametrize(
    ("page", "offset", "expected"), [(0, 1, 1), ("0", 1, 1), (4, 1, 5), (5, 0, 5), (None, 1, None)]
)
def test_pages_count_from_one(page, offset, expected):
    """``page_offset`` moves the pages of a server that counts from 0."""
    with serving([{"t": "x", "p": page}]) as server:
        settings = {"hits": "@", "text": "t", "page": "p", "source": None, "score": None, "page_offset": offset}
        assert retriever(server.url, **settings)("q", 1) == [Passage("x", page=expected)]


def test_headers_take_secrets_from_the_environment(monkeypatch):
    """A header is sent with the variable's value, without the line break with which it was stored."""
    monkeypatch.setenv("SEARCH_KEY", "s3cret\n")
    with serving() as server:
        retriever(server.url, headers={"Authorization": "ApiKey ${SEARCH_KEY}", "X-Tenant": "docs"})("q", 1)
        assert server.seen[0][0]["Authorization"] == "ApiKey s3cret"
        assert server.seen[0][0]["X-Tenant"] == "docs"


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"your key s3cret is wrong", 200), (b"your key s3cret is wrong", 500), (["your key s3cret is wrong"], 200)],
)
def test_secrets_are_in_no_error(monkeypatch, answer, status):
    """A server that repeats a key in its answer does not bring it into the report."""
    monkeypatch.setenv("SEARCH_KEY", "s3cret")
    headers = {"Authorization": "ApiKey ${SEARCH_KEY}"}
    with serving(answer, status) as server, pytest.raises(EngineError) as found:
        retriever(server.url, hits="@", headers=headers)("q", 1)
    assert "your key *** is wrong" in str(found.value)
    assert "s3cret" not in str(found.value) + repr(HttpRetrieval(server.url, {}, "", "", headers=headers))


def test_query_of_the_address_goes_behind_each_path():
    """Of a service with several paths, too; errors show neither its values nor a token of the address it redirects to."""
    with serving(status=500) as server:
        service = Service(f"{server.url}?key=K&x=1", timeout=5)
        with pytest.raises(EngineError, match=r"^The server at .*/search/api\?key=\*\*\*&x=~\w{8} answered 500"):
            service.request("POST", "/api", json={})
        assert server.paths == ["/search/api?key=K&x=1"]
        service.close()
    away = {"Location": "http://h/login?token=T"}
    to = r"redirects to http://h/login\?token=\*\*\* \(302\)"
    with serving(status=302, headers=away) as server, pytest.raises(EngineError, match=to):
        retriever(server.url)("q", 1)


@pytest.mark.parametrize(
    ("value", "variable", "text"),
    [
        (
            "Bearer ${NO_SUCH}",
            None,
            r"The header Authorization needs the environment variable NO_SUCH, which is not set",
        ),
        ("Bearer ${NO_SUCH}", " ", r"needs the environment variable NO_SUCH, which is not set"),
        (
            "Bearer ${NO_SUCH}",
            "s3cr\net",
            r"Authorization \(Bearer \$\{NO_SUCH\}\) holds characters that are not printable",
        ),
        (
            "Bearer ${NO_SUCH}",
            "s3crét",
            r"Authorization \(Bearer \$\{NO_SUCH\}\) holds characters that are not printable",
        ),
    ],
)
def test_header_that_cant_be_sent_names_the_variable(monkeypatch, value, variable, text):
    """The error comes before any request, and does not show the value."""
    monkeypatch.delenv("NO_SUCH", raising=False)
    if variable:
        monkeypatch.setenv("NO_SUCH", variable)
    with pytest.raises(SpecError, match=text) as found:
        retriever("http://127.0.0.1:9/search", headers={"Authorization": value})
    assert "s3cr" not in str(found.value)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"hits": "hits..hits"}, r"hits: 'hits\.\.hits' is not JMESPath"),
        ({"distance": "_score["}, r"distance: '_score\[' is not JMESPath"),
        ({"score": "_score["}, r"score: '_score\[' is not JMESPath"),
        ({"text": ""}, r"text: '' is not JMESPath"),
        ({"body": {"size": "{k}"}}, r"needs \{query\} where the query belongs"),
        ({"url": "127.0.0.1:9200/search"}, r"'127\.0\.0\.1:9200/search' is not the address of a server"),
        ({"url": "ftp://host/search"}, r"must be http://HOST:PORT"),
        ({"url": "http://host:99999/"}, r"is not an address"),
        ({"url": "http://me:secret@host/"}, r"must not hold a password"),
    ],
)
def test_settings_that_cant_work_are_refused_at_once(settings, text):
    """The error names the setting, and comes before any request."""
    with pytest.raises(SpecError, match=text) as found:
        retriever(**{"url": "http://127.0.0.1:9/", **settings})
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"results": []}, r"answered other than the retriever's settings say\. hits: hits\.hits finds nothing where a list is expected, in an object with the keys results"),
        ({"hits": {"hits": {"0": 1}}}, r"finds an object with the keys 0 where a list is expected"),
        ({"hits": {"hits": [{"_source": {}}]}}, r"text: _source\.body finds nothing where a text is expected, in an object"),
        ({"hits": {"hits": [{"_source": {"body": ""}}]}}, r"finds str '' where a text is expected"),
        ({"hits": {"hits": [{"_source": {"body": ["x"]}}]}}, r"finds list \['x'\] where a text is expected"),
        ({"hits": {"hits": ["x"]}}, r"text: _source\.body finds nothing where a text is expected, in str 'x'"),
        ({"hits": {"hits": [{"_source": {"body": "x", "page": "iv"}}]}}, r"page: _source\.page finds 'iv' where a whole number"),
        ({"hits": {"hits": [{"_source": {"body": "x", "page": 1.5}}]}}, r"finds 1\.5 where a whole number"),
        ({"hits": {"hits": [{"_source": {"body": "x", "page": 0}}]}}, r"page 0 can't be.*page_offset: 1 is for"),
        ({"hits": {"hits": [{"_source": {"body": "x"}, "_score": "0.5"}]}}, r"score: _score finds '0\.5' where a number"),
        ({"hits": {"hits": [{"_source": {"body": "x"}, "_score": float("nan")}]}}, r"finds nan where a number"),
        (b'{"hits": {"hits": [{"_source": {"body": "x"}, "_score": 1' + b"0" * 400 + b"}]}}", r"score: _score finds 10+ where"),
        ({"hits": {"hits": [{"_source": {"body": "x", "file": ["a.md"]}}]}}, r"source: _source\.file finds list \['a\.md'\] where a text"),
        ({"hits": {"hits": [{"_source": {"body": "x", "file": {"name": "a.md"}}}]}}, r"finds an object with the keys name where"),
        (b"[" * 100_000 + b"]" * 100_000, r"answered what is JSON of more than 100 levels"),
        (b"<html>Sign in</html>", r"answered what is not JSON: '<html>Sign in</html>'. Is the address that of the API\?"),
        (b"", r"answered what is not JSON: nothing\. Is the address"),
    ],
)  # fmt: skip
def test_answer_in_another_form_is_one_clear_error(answer, text):
    """The error names the path, what it found, and where; nothing is guessed."""
    with serving(answer) as server, pytest.raises(EngineError, match=text) as found:
        retriever(server.url)("q", 1)
    assert server.url in str(found.value)


def test_a_redirect_names_the_other_address():
    """A request is sent to the address that is given, and the error says which the server wants."""
    with (
        serving(b"", 307, headers={"Location": "/search/"}) as server,
        pytest.raises(EngineError, match=r"redirects to /search/ \(307\)\. Name that address instead\."),
    ):
        retriever(server.url)("q", 1)


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "utf-8-sig", "UTF-8"])
def test_the_charset_of_an_answer_is_obeyed(charset):
    """JSON is to be UTF-8, but a server that says what else it sends is understood."""
    hits = {"hits": {"hits": [{"_source": {"body": "Rückgabe"}}]}}
    data = json.dumps(hits, ensure_ascii=False).encode(charset)
    named = {"Content-Type": f"application/json; charset={charset.removesuffix('-sig')}"}
    with serving(data, headers=named) as server:
        assert retriever(server.url)("q", 1) == [Passage("Rückgabe")]


@pytest.mark.parametrize("charset", ["", "; charset=utf-9"])
def test_a_charset_that_is_not_named_or_unknown(charset):
    """The error speaks of bytes and charset, not of an address that might be wrong."""
    with (
        serving('{"a": "Rück"}'.encode("latin-1"), headers={"Content-Type": f"application/json{charset}"}) as server,
        pytest.raises(
            EngineError, match=r"answered what can't be read as .*its header content-type must name the charset\.$"
        ),
    ):
        retriever(server.url)("q", 1)


def test_path_with_a_function_of_another_type_is_one_clear_error():
    """What a path can't be applied to is said as an answer of another form."""
    with (
        serving() as server,
        pytest.raises(
            EngineError,
            match=r"hits: keys\(hits\.hits\) can't be applied .*in an object",
        ),
    ):
        retriever(server.url, hits="keys(hits.hits)")("q", 1)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (401, r"answered 401: 'no such index'\. Credentials belong into headers, as \$\{NAME\} of the environment"),
        (404, r"answered 404: 'no such index'"),
        (500, r"answered 500: 'no such index'"),
        (302, r"answered 302: 'no such index'"),
    ],
)
def test_refusal_shows_status_and_words(status, text):
    """What is not a success is an error with what the server said."""
    with serving(b"no\nsuch  index", status) as server, pytest.raises(EngineError, match=text):
        retriever(server.url)("q", 1)


def test_refused_credentials_are_named_by_their_variable(monkeypatch):
    """Who sends a token from the environment is not told to do so."""
    monkeypatch.setenv("SEARCH_TOKEN", "wrong")
    with (
        serving(b"no", 401) as server,
        pytest.raises(EngineError, match=r"answered 401: 'no'\. Is what SEARCH_TOKEN holds right\?$"),
    ):
        retriever(server.url, headers={"Authorization": "Bearer ${SEARCH_TOKEN}"})("q", 1)


def test_only_the_start_of_a_long_answer_is_shown():
    """A page of HTML does not fill the report."""
    with serving(b"x" * 10_000, 500) as server, pytest.raises(EngineError) as found:
        retriever(server.url)("q", 1)
    assert "x" * 300 + "…" in str(found.value)
    assert len(str(found.value)) < 500


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("drop", r"broke off .*Is it still running\? Look at its log"),
        ("half", r"broke off .*Is it still running\? Look at its log"),
        ("slow", r"did not answer within 0\.3 seconds\. Look at its log, or set a longer timeout"),
    ],
)
def test_connection_that_fails_is_one_clear_error(fault, text):
    """A connection that is dropped, ends in the middle of the answer, or stays silent."""
    with serving(fault=fault) as server, pytest.raises(EngineError, match=text) as found:
        retriever(server.url, timeout=0.3)("q", 1)
    assert server.url in str(found.value)


def test_server_that_is_killed_is_one_clear_error(tmp_path):
    """A process that answered a moment ago and is gone: the address, and the question whether it runs."""
    server = Server([sys.executable, str(Path(__file__)), "{port}"], timeout=60)
    search = retriever(server.url.replace("/v1", "/search"))
    assert len(search("q", 3)) == 3
    server.stop()
    with pytest.raises(EngineError, match=r"/search can't be reached \(.*refused\)\. Is it running"):
        search("q", 3)
    search.close()


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "socks://127.0.0.1:9"])
def test_proxy_of_the_environment_stands_before_other_machines_alone(monkeypatch, proxy):
    """This machine is reached without it; elsewhere the error names it, or that it can't be used."""
    for name in ("ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("NO_PROXY", "")
    with serving() as server:
        assert len(retriever(server.url)("x", 3)) == 3
    with pytest.raises(
        EngineError, match=r"\(by the proxy http://127.0.0.1:9 of the |The proxies of the environment \(HTTP_PROXY"
    ):
        retriever("http://search.test/")("x", 3)


def test_close_closes_the_connection():
    """Nothing stays open behind a retriever that is no longer needed."""
    with serving() as server:
        search = retriever(server.url)
        search("q", 1)
        search.close()
        assert search._service._client.is_closed


@pytest.mark.parametrize("package", ["httpx", "jmespath"])
def test_missing_package_names_the_install_command(monkeypatch, package):
    """Without a package the error is the command that installs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else object())
    with pytest.raises(MissingExtraError, match=rf"(?s)'{package}'.*pip install \"pytest-embedqa\[rag\]\""):
        retriever("http://127.0.0.1:9/")


if __name__ == "__main__":  # a process of its own, to be killed
    Endpoint({"hits": {"hits": HITS}}, port=int(sys.argv[1])).serve_forever()
