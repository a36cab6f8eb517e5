"""Servers as bad as they may be: whoever asks one gets what it said rightly, or one clear error, in time and in little memory."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import re
import socketserver
import threading
import time
import zlib
from types import SimpleNamespace

import httpcore
import numpy as np
import pytest
from huggingface_hub import constants

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.waiting import oldest
from pytest_embedqa.encoders import bounds
from pytest_embedqa.encoders.engines import openai_endpoint
from pytest_embedqa.encoders.hub import hub_is_reachable
from pytest_embedqa.encoders.load import load_encoder, load_model
from pytest_embedqa.encoders.pairs import split
from pytest_embedqa.encoders.plain_pairs import PROBE
from pytest_embedqa.encoders.servers import Server
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.rag.choices import HttpRetrieval
from pytest_embedqa.rag.http import HttpRetriever
from pytest_embedqa.rag.openwebui import OpenWebUIRetriever, OpenWebUISettings

MIB = 2**20
# What is right: a vector for each text, or a passage.
VECTOR = [0.5, -1.0, 2.0]
RIGHT = {
    "openai": {"data": [{"index": 0, "embedding": VECTOR}]},
    "rerank": {"results": [{"index": 0, "relevance_score": 0.5}]},
    "http": {"hits": [{"text": "Grüße"}]},
    "openwebui": {"documents": [["Grüße"]], "metadatas": [[{}]], "distances": [[0.5]]},
}
# Scores of the documents by which a rerank API is learned.
LEARNED = {"results": [{"index": place, "relevance_score": place / 4} for place in range(4)]}
PROBED = split(PROBE[0])[1].encode()
# Nothing of the language that reads an answer belongs into an error about a server.
OF_PYTHON = re.compile(r"NoneType|object has no|unhashable|Expecting|Traceback|\w+Error\b|codec can't|argument")


def answer(body=b"", status="200 OK", *, sized=True, **headers):
    """An answer as it goes over the wire."""
    body = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    fields = {"Content-Type": "application/json", "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    if sized:
        fields.setdefault("Content-Length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def slowly(*parts, seconds=0.05):
    """Parts with pauses between them, each shorter than any timeout."""
    for part in parts:
        yield part
        time.sleep(seconds)


def drip(head, byte=b" "):
    """Something, and then a byte now and then without end."""
    yield head
    while True:
        time.sleep(0.05)
        yield byte


def flood(head, part):
    """Something, and then the same without end."""
    yield head
    while True:
        yield part


class _Handler(socketserver.BaseRequestHandler):
    def handle(self):
        """One request, and what the server has for its path."""
        received = b""
        while b"\r\n\r\n" not in received:
            if not (part := self.request.recv(65536)):
                return
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        size = int((re.search(rb"(?i)content-length: (\d+)", head) or [0, 0])[1])
        while len(body) < size:
            if not (part := self.request.recv(self.server.read_at_a_time)):
                return
            body += part
            time.sleep(self.server.seconds_a_read)
        self.server.seen.append((head, body))
        path = head.split()[1].decode()
        made = next((made for end, made in self.server.answers.items() if path.endswith(end)), None)
        made = made(body) if callable(made) else made
        with contextlib.suppress(OSError):
            for part in [made] if isinstance(made, bytes) else made or [answer({}, "404 Not Found")]:
                self.request.sendall(part)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    read_at_a_time, seconds_a_read = 65536, 0.0


@contextlib.contextmanager
def serving(answers):
    """A server with an answer for each end of a path; yields it and its address."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.answers, server.seen = answers, []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def ask(who, made, **options):
    """What each who asks makes of an answer."""
    answers = {
        "/v1/embeddings": made,
        # Learning the server comes before.
        "/v1/rerank": lambda body: answer(LEARNED) if PROBED in body else made(body),
        "/search": made,
        "/query/collection": made,
        "/retrieval/config": answer({"ENABLE_RAG_HYBRID_SEARCH": False}),
        "/knowledge/mine": answer({}),
    }
    with serving(answers) as server:
        if who == "openai":
            given = "&".join(f"{key}={value}" for key, value in {"retries": 1, "timeout": 1, **options}.items())
            encoder = load_encoder(parse_spec(f"openai:m?url={server.url}/v1&{given}"), None)
            with contextlib.closing(encoder):
                return encoder.encode(["a text"])
        if who == "rerank":
            reranker = load_model(parse_spec(f"rerank-api:m?url={server.url}/v1&api=rerank&retries=1&timeout=1"), None)
            with contextlib.closing(reranker):
                return reranker.score([("a question", "a text")])
        if who == "http":
            settings = HttpRetrieval(f"{server.url}/search", {"q": "{query}"}, "hits", "text", timeout=1)
            retriever = HttpRetriever(settings)
        else:
            retriever = OpenWebUIRetriever(OpenWebUISettings(server.url, knowledge="mine", timeout=1))
        with contextlib.closing(retriever):
            return retriever("a text", 1)


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """No keys, no proxies and no pauses of this machine."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENWEBUI_API_KEY", "sk-1")
    monkeypatch.setattr(openai_endpoint, "sleep", lambda _seconds: None)


WHO = pytest.mark.parametrize("who", RIGHT)


def _chunked(body):
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def _written(who):
    return json.dumps(RIGHT[who], ensure_ascii=False).encode()


GOOD = {
    "byte order mark": lambda who: answer(b"\xef\xbb\xbf" + _written(who)),
    "byte order mark, and a charset": lambda who: answer(
        b"\xef\xbb\xbf" + _written(who), Content_Type="application/json; charset=utf-8"
    ),
    "another charset, named": lambda who: answer(
        json.dumps(RIGHT[who], ensure_ascii=False).encode("utf-16"), Content_Type="application/json; charset=utf-16"
    ),
    "no content type": lambda who: answer(RIGHT[who], Content_Type=None),
    "a wrong content type": lambda who: answer(RIGHT[who], Content_Type="text/html"),
    "gzip": lambda who: answer(gzip.compress(_written(who)), Content_Encoding="gzip"),
    "chunks": lambda who: answer(_chunked(_written(who)), sized=False, Transfer_Encoding="chunked"),
    "no length": lambda who: answer(RIGHT[who], sized=False, Connection="close"),
    "in parts": lambda who: slowly(answer(RIGHT[who])[:40], answer(RIGHT[who])[40:]),
    "an interim answer before": lambda who: b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(RIGHT[who]),
    "odd fields beside": lambda who: answer({**RIGHT[who], "usage": "none", "model": [1], "object": None}),
}


@WHO
@pytest.mark.parametrize("form", GOOD)
def test_unusual_and_right_is_right(who, form):
    """What HTTP and JSON allow is understood."""
    found = ask(who, lambda _body: GOOD[form](who))
    if who == "openai":
        np.testing.assert_array_equal(found, [VECTOR])
    elif who == "rerank":
        np.testing.assert_array_equal(found, [0.5])
    else:
        assert [passage.text for passage in found] == ["Grüße"]


# A server that has answered before is asked once more.
LATE = r"did not answer within 1 seconds(, twice)?\. (If it is slow|Look at its log)"
LONG = r"sends an answer of more than 16 MiB, which is more than is read\. Is .* API"
BROKEN = r"(can't be reached, after 1 more attempts|broke off) "
# Kept small here; unpacked they are larger than any answer may be.
BOMB = gzip.compress(bytes(17 * MIB))

BAD = {
    "a body that drips": (lambda: drip(answer(sized=False, Content_Length="1000000")), LATE),
    "headers that drip": (lambda: drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"), LATE),
    "interim answers without end": (lambda: drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), LATE),
    "silence": (lambda: slowly(b"", b"", seconds=1.5), LATE),
    "a flood of a length that is told": (lambda: flood(answer(sized=False, Content_Length="9" * 12), bytes(MIB)), LONG),
    "a flood in chunks": (
        lambda: flood(answer(sized=False, Transfer_Encoding="chunked"), b"100000\r\n%s\r\n" % bytes(MIB)),
        LONG,
    ),
    "a flood of a refusal": (lambda: flood(answer(status="500 Oops", sized=False, Connection="close"), bytes(MIB)), LONG),
    "a flood that unpacks": (lambda: answer(BOMB, Content_Encoding="gzip"), LONG),
    "another compression": (
        lambda: answer(zlib.compress(b"{}"), Content_Encoding="zstd"),
        r"compressed its answer by 'zstd', which the request did not allow\. Is .* API",
    ),
    "no gzip": (lambda: answer(b"{}", Content_Encoding="gzip"), r"says that its answer is compressed by gzip, which it is"),
    "a charset for names": (
        lambda: answer(b"{}", Content_Type="application/json; charset=punycode"),
        r"answered in 'punycode', which is not a charset of texts",
    ),
    "another charset than it names": (
        lambda: answer(b'{"a": "\xff"}'),
        r"can't be read as UTF-8: its header content-type must name the charset",
    ),
    "an unknown charset": (
        lambda: answer(b"{}", Content_Type="application/json; charset=utf-9"),
        r"can't be read as utf-9: its header content-type must name the charset",
    ),
    "a body cut short": (lambda: answer(b"{", sized=False, Content_Length="10"), BROKEN),
    "chunks cut short": (lambda: answer(b"a\r\n{}", sized=False, Transfer_Encoding="chunked"), BROKEN),
    "a length that is too small": (lambda: answer({}, Content_Length="1"), r"is not JSON: '\{'"),
    "a length that is none": (lambda: answer({}, Content_Length="some"), BROKEN),
    "no HTTP": (lambda: b"220 mail.test ESMTP\r\n", BROKEN),
    "nothing": (lambda: b"", BROKEN),
    "no content": (lambda: answer(status="204 No Content", Content_Length=None), r"is not JSON: nothing"),
    "another protocol": (lambda: answer(status="101 Switching Protocols"), rf"(answered 101|{BROKEN})"),
    "not modified": (lambda: answer(status="304 Not Modified", Content_Length=None), r"answered 304"),
    "a page": (
        lambda: answer(b"<html><body>Log in</body></html>", Content_Type="text/html"),
        r"(a page of HTML, 'Log in'|is not JSON: '<html><body>Log in)",
    ),
    "a page as refusal": (
        lambda: answer(b"<html><body>Down</body></html>", "503 Down", Content_Type="text/html"),
        r"(?s)answered 503.*Down",
    ),
    "levels without end": (lambda: answer(b"[" * 200 + b"]" * 200), r"is JSON of more than 100 levels"),
    "levels in objects": (lambda: answer(b'{"error":' * 150 + b"1" + b"}" * 150), r"is JSON of more than 100 levels"),
    "levels in a refusal": (
        lambda: answer(b'{"error":' * 150 + b"1" + b"}" * 150, "400 Bad"),
        r"""(?s)answered 400.*\{"error":\{"error":""",
    ),
    "a key twice": (lambda: answer(b'{"a": {"b": 1, "b": 2}}'), r"has the key 'b' twice in one object of its JSON"),
    "a number of thousands of digits": (lambda: answer(b"[%s]" % (b"1" * 5000)), r"holds a number of thousands of digits"),
    "half of JSON": (lambda: answer(b'{"data": ['), r"""is not JSON: '\{"data": \['"""),
    "null": (lambda: answer(None), r"(null, without the list 'data'|and not a list of objects|where a list is expected|form that is not known)"),
    "a number": (lambda: answer(7), r"(7, without the list 'data'|and not a list of objects|where a list is expected|form that is not known)"),
    "a text": (lambda: answer("x"), r"""("x", without the list 'data'|and not a list of objects|where a list is expected|form that is not known)"""),
    "a list": (lambda: answer([1]), r"(\[1\], without the list 'data'|and not a list of objects|where a list is expected|form that is not known)"),
    "an error in a 200": (
        lambda: answer({"error": {"message": "no such index"}}),
        r"(no such index|an object with the keys error|form that is not known)",
    ),
}  # fmt: skip


@WHO
@pytest.mark.parametrize("fault", BAD)
def test_wrong_is_one_clear_error(who, fault):
    """It names the server and what it did, comes in time, and whoever asked holds no more than a small answer."""
    made, text = BAD[fault]
    began = time.monotonic()
    with pytest.raises(EngineError, match=text) as found:
        ask(who, lambda _body: made())
    assert time.monotonic() - began < 5
    assert re.match(r"The (server|OpenWebUI) at http://127\.0\.0\.1:\d+", str(found.value))
    assert not OF_PYTHON.search(str(found.value))
    assert len(str(found.value)) < 1200
    assert oldest() is None


def test_a_request_has_one_deadline_for_all_its_steps_and_redirects():
    """A step has what is left of it, however long it may take by itself; a connection has seconds."""
    times = {"connect": 120.0, "read": 60.0}
    first, redirected = (SimpleNamespace(extensions={"timeout": times}) for _ in range(2))
    bounds._begin(first)
    assert times["connect"] == 10
    until = bounds._now.until
    bounds._begin(redirected)
    assert bounds._now.until == until
    assert bounds._left(5, "httpcore") == 5
    assert 50 < bounds._left(120, "httpcore") <= 60
    bounds._now.until = time.monotonic() - 1
    with pytest.raises(httpcore.ReadTimeout, match="the time of the whole request is over"):
        bounds._left(5, "httpcore")


def row(embedding=None, index=0):
    """An answer with a row for one text."""
    return {"data": [{"index": index, "embedding": VECTOR if embedding is None else embedding}]}


def packed(raw):
    """Bytes in base64."""
    return row(base64.b64encode(raw).decode())


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", r"an answer that is not JSON: '\{'"),
        (row([]), r"vectors that hold no numbers"),
        (row(""), r"vectors that hold no numbers"),
        (row([10**400, 1]), r"a vector with a number beyond any float: \[10+"),
        (row([1e300, 1]), r"NaN or infinity in a vector"),
        (row([float("nan"), 1]), r"NaN or infinity in a vector"),
        (row([float("inf"), 1]), r"NaN or infinity in a vector"),
        (row([None, 1]), r"does not consist of numbers: \[null, 1\]"),
        (row(["0.5", "1"]), r"""does not consist of numbers: \["0.5", "1"\]"""),
        (row([True, False]), r"does not consist of numbers: \[true, false\]"),
        (row([[1.0], [1.0, 2.0]]), r"a vector for each token"),
        (row([1.0, [2.0]]), r"does not consist of numbers: \[1.0, \[2.0\]\]"),
        (row({"0": 1}), r"""\{"0": 1\} instead of a vector"""),
        (row(7), r"7 instead of a vector"),
        (packed(b"abcde"), r"not base64 of float32: 'YWJjZGU='"),
        (row("no base64!"), r"not base64 of float32: 'no base64!'"),
        (row("ü"), r"not base64 of float32: 'ü'"),
        (row(index=1), r"1 vectors with the indexes \[1\]… for 1 texts"),
        (row(index=-1), r"the indexes \[-1\]…"),
        (row(index=0.0), r"the indexes \[0.0\]…"),
        (row(index=False), r"the indexes \[false\]…"),
        (row(index="0"), r"""the indexes \["0"\]…"""),
        (row(index=[0]), r"the indexes \[\[0\]\]…"),
        ({"data": row()["data"] * 2}, r"2 vectors with the indexes \[0, 0\]… for 1 texts"),
        ({"data": [{"index": 0, "embedding": VECTOR[:n]} for n in (2, 3)]}, r"2 vectors with the indexes"),
        ({"data": {"0": VECTOR}}, r"an object of data, without the list 'data'"),
        ({"data": None}, r"an object of data, without the list 'data'"),
        ({"data": [VECTOR]}, r"'data' is not a list of objects with an 'embedding'"),
    ],
)  # fmt: skip
def test_vectors_that_cant_be_right_are_one_clear_error(body, text):
    """What a library would make a vector of, or its own error, is said of the server."""
    with pytest.raises(EngineError, match=f"gave an impossible answer for the model 'm': .*{text}") as found:
        ask("openai", answer(body))
    assert not OF_PYTHON.search(str(found.value))


@pytest.mark.parametrize(
    "told",
    [
        {"owned_by": 7, "max_model_len": "many", "meta": [1]},
        {"owned_by": "x" * 10**4, "max_model_len": 1e400, "meta": {"n_ctx": 10**400}},
        {"max_model_len": True, "meta": "x"},
    ],
)
def test_what_a_server_tells_wrongly_of_its_model_is_left_out(told):
    """A limit that is none and an owner that is no name decide nothing."""
    answers = {"/v1/models": answer({"data": [{"id": "m", **told}]}), "/v1/embeddings": answer(RIGHT["openai"])}
    with serving(answers) as server:
        encoder = load_encoder(parse_spec(f"openai:m?url={server.url}/v1&retries=1"), None)
        assert encoder.identity.max_length is None
        assert all(len(name) < 100 for name in encoder.identity.libraries)
        encoder.close()


def test_answer_may_be_as_long_as_its_vectors(monkeypatch):
    """The bound grows with what was asked for."""
    monkeypatch.setattr(bounds, "MOST_BYTES", 2000)
    texts = [f"text {at}" for at in range(32)]

    def vector(text):
        return np.random.default_rng(zlib.crc32(text.encode())).standard_normal(60).astype(np.float32)

    def vectors(body):
        rows = enumerate(json.loads(body)["input"])
        return answer({"data": [{"index": at, "embedding": vector(text).tolist()} for at, text in rows]})

    with serving({"/v1/embeddings": vectors}) as server:
        encoder = load_encoder(parse_spec(f"openai:m?url={server.url}/v1&retries=1"), None)
        np.testing.assert_array_equal(encoder.encode(texts), [vector(text) for text in texts])
        encoder.close()


@pytest.mark.parametrize(("worked", "asked"), [(0, 1), (1, 2)])
def test_server_that_hangs_is_asked_once_and_again_only_if_it_worked(worked, asked):
    """Never six times in silence: one that loads its model would begin anew, and one that hangs goes on to hang."""
    requests = []

    def vectors(body):
        requests.append(body)
        return answer(RIGHT["openai"]) if len(requests) <= worked else slowly(b"", b"", seconds=3)

    with serving({"/v1/embeddings": vectors}) as server:
        spec = parse_spec(f"openai:m?url={server.url}/v1&timeout=1&version=1")
        with pytest.raises(EngineError, match=f"did not answer within 1 seconds{', twice' if worked else ''}"):
            load_encoder(spec, None).encode(["a text"])
    assert len(requests) - worked == asked


def test_of_several_servers_one_that_hangs_is_asked_once_for_a_request():
    """Others answer in its place; if none does, the error comes after each had its time."""
    requests = []

    def vectors(body):
        requests.append(body)
        return answer(RIGHT["openai"]) if len(requests) <= 8 else slowly(b"", b"", seconds=3)

    with serving({"/v1/embeddings": vectors}) as one, serving({"/v1/embeddings": vectors}) as other:
        spec = parse_spec(f"openai:m?url={one.url}/v1,{other.url}/v1&timeout=1&version=1")
        encoder = load_encoder(spec, None)
        requests[:] = [b""] * 8
        with pytest.raises(EngineError, match=r"None of the 2 servers answers") as found:
            encoder.encode(["a text"])
        assert str(found.value).count("did not answer within 1 seconds") == 2
        assert len(requests) == 8 + 2


@pytest.mark.parametrize(
    ("header", "paused"),
    [
        ({"Retry_After": "3"}, 3),
        ({"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"Retry_After": "soon"}, 0.5),
        ({"Retry_After": "nan"}, 0.5),
        ({"Retry_After": "3000"}, None),
        ({"x_should_retry": "false"}, None),
    ],
)
def test_server_says_when_it_wants_to_be_asked_again(monkeypatch, header, paused):
    """Seconds, a date, or never; what is too long for a run is never too."""
    pauses, left = [], [answer({}, "429 Later", **header)]
    monkeypatch.setattr(openai_endpoint, "sleep", pauses.append)
    made = lambda _body: left.pop() if left else answer(RIGHT["openai"])  # noqa: E731
    if paused is None:
        with pytest.raises(EngineError, match="answered 429"):
            ask("openai", made, retries=2)
        assert pauses == []
    else:
        np.testing.assert_array_equal(ask("openai", made, retries=2), [VECTOR])
        assert pauses == [paused]


def test_server_that_takes_a_document_slowly_has_its_time_and_no_more(monkeypatch, tmp_path):
    """Sending counts: a server that reads a little now and then does not hold an upload."""
    (tmp_path / "a.bin").write_bytes(bytes(20 * MIB))
    settings = {"/retrieval/config": answer({"ENABLE_RAG_HYBRID_SEARCH": False}), "/create": answer({"id": "new"})}
    with serving({**settings, "/delete": answer(True)}) as server:  # noqa: FBT003  JSON
        monkeypatch.setattr(server, "read_at_a_time", 65536, raising=False)
        server.seconds_a_read = 0.1
        began = time.monotonic()
        with pytest.raises(EngineError, match=r"did not take in 'a\.bin'\. .* did not answer within 2 seconds"):
            OpenWebUIRetriever(OpenWebUISettings(server.url, timeout=2), tmp_path)
        assert time.monotonic() - began < 8


def test_hub_that_drips_is_not_reachable_after_seconds(monkeypatch):
    """Its client bounds each wait, and the whole question has no more time."""
    with serving({"": lambda _body: drip(b"HTTP/1.1 200 OK\r\nX: ", b"x")}) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr("pytest_embedqa.encoders.hub._PROBE_SECONDS", 1)
        hub_is_reachable.cache_clear()
        began = time.monotonic()
        assert not hub_is_reachable()
        assert time.monotonic() - began < 3
        hub_is_reachable.cache_clear()


DRIPPING = (
    "import socket, sys, time\n"
    "listening = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
    "while True:\n"
    "    connection, _ = listening.accept()\n"
    "    try:\n"
    "        connection.sendall(b'HTTP/1.1 200 OK\\r\\nX: ')\n"
    "        for _ in range(100):\n"
    "            connection.sendall(b'x')\n"
    "            time.sleep(0.1)\n"
    "    except OSError:\n"
    "        pass\n"
)


def test_started_server_whose_health_drips_ends_in_time(monkeypatch):
    """The page has its seconds, and start_timeout= holds."""
    monkeypatch.setattr("pytest_embedqa.encoders.servers._SECONDS_FOR_A_PAGE", 0.5)
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"did not answer at http://127\.0\.0\.1:\d+ within 1 seconds"):
        Server(["python3", "-c", DRIPPING, "{port}"], timeout=1)
    assert time.monotonic() - began < 5
