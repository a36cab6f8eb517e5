"""``openai:`` with several servers: balanced by load, one may die, all must be the same."""

from __future__ import annotations

import base64
import contextlib
import threading
import time

import fault_server
import numpy as np
import pytest
from fault_server import MODEL, serving, vector

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.engines import openai_endpoint, openai_servers
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec

TEXTS = [f"text number {number}" for number in range(400)]
RIGHT = np.stack([vector(text) for text in TEXTS])


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """The pauses between attempts are the only thing here that is not real."""
    monkeypatch.setattr(openai_endpoint, "sleep", lambda _seconds: None)
    monkeypatch.setattr(openai_servers, "_PAUSE_SECONDS", (0.01, 0.1))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def connect(*servers, retries=2, request_texts=8, concurrency=2, engine="openai"):
    """An encoder on servers, without store; small requests, so that there are many."""
    urls = ",".join(getattr(server, "url", server) for server in servers)
    keys = f"retries={retries}&request_texts={request_texts}&concurrency={concurrency}"
    return load_encoder(parse_spec(f"{engine}:{MODEL}?url={urls}&{keys}"), None)


@pytest.fixture
def slowed(monkeypatch):
    """Seconds that a server takes, by server; and the most requests that each had at a time."""
    seconds, most, now = {}, {}, {}
    answer = fault_server._Handler._answer

    def slowly(handler, rows):
        server = handler.server
        with server.lock:
            now[server] = now.get(server, 0) + 1
            most[server] = max(most.get(server, 0), now[server])
        time.sleep(seconds.get(server, 0.002))
        with server.lock:
            now[server] -= 1
        answer(handler, rows)

    monkeypatch.setattr(fault_server._Handler, "_answer", slowly)
    return seconds, most


def asked(server):
    """Requests that a server got after it was loaded and compared."""
    return len(server.requests) - 3


@pytest.mark.parametrize("engine", ["openai", "ollama"])
def test_the_fast_server_gets_most(slowed, engine):
    """Balanced by load, at most ``concurrency`` requests each, every vector in its place."""
    seconds, most = slowed
    with serving() as slow, serving() as fast:
        seconds[slow] = 0.4
        encoder = connect(fast, slow, engine=engine)
        np.testing.assert_array_equal(encoder.computing(len(TEXTS)).encode(TEXTS), RIGHT)
        assert asked(slow) + asked(fast) >= 50
        assert asked(fast) > 3 * asked(slow) > 0
        assert most == {slow: 2, fast: 2}
        assert encoder.identity.options["url"] == f"{fast.url}/,{slow.url}/"
        assert encoder.identity.engine == engine
        encoder.close()


def test_equal_servers_share_what_is_little(slowed):
    """No queue at one while another is idle, also where the first could take all."""
    seconds, _ = slowed
    with serving() as one, serving() as two:
        seconds[one] = seconds[two] = 0.3
        encoder = connect(one, two, concurrency=4)
        encoder._engine.embed(TEXTS[:32])
        assert (asked(one), asked(two)) == (2, 2)
        encoder.close()


@pytest.mark.parametrize("fault", ["drop", "503", "429", "nan", "html"])
def test_one_that_fails_is_left_out_and_the_others_answer(slowed, monkeypatch, fault):
    """Whatever it fails with, its requests are answered elsewhere, and it is asked less and less."""
    monkeypatch.setattr(openai_servers, "_PAUSE_SECONDS", (0.1, 30))
    with serving(fault) as bad, serving() as good:
        encoder = connect(bad, good)
        bad.arm()
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
        assert 0 < asked(bad) < 20
        assert asked(good) >= 50
        assert slowed[1][good] == 2
        encoder.close()


def test_one_that_dies_in_mid_run_costs_no_vector(slowed):
    """It is gone with requests on their way: connections drop, then nobody listens."""
    seconds, _ = slowed
    with serving() as good, contextlib.ExitStack() as alive:
        bad = alive.enter_context(serving("drop"))
        seconds[bad] = seconds[good] = 0.02
        encoder = connect(bad, good)

        def die():
            while asked(bad) < 5:
                time.sleep(0.001)
            bad.arm()
            alive.close()

        dying = threading.Thread(target=die)
        dying.start()
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
        dying.join()
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
        assert asked(good) > 70
        assert 5 <= asked(bad) < 30
        encoder.close()


def test_one_that_fails_at_once_is_not_all_that_is_tried(monkeypatch):
    """A dead server has never an unanswered request, so it is always the freest: a request must wait for the busy one."""
    monkeypatch.setattr(openai_servers, "_PAUSE_SECONDS", (0.0, 0.0))

    class Alone:
        """A server that answers, slowly, or never."""

        identity, limits, prompts, counts_tokens = (
            Identity(MODEL, "openai", options={"url": "x"}),
            Limits(),
            None,
            False,
        )

        def __init__(self, alive):
            self.alive = alive

        def split(self, texts):
            return [[text] for text in texts]

        def request(self, texts):
            if not self.alive:
                raise openai_servers.UnavailableError("gone")
            time.sleep(0.01)
            return np.stack([vector(text) for text in texts])

        def close(self):
            pass

    servers = openai_servers.OpenAIServers([Alone(alive=False), Alone(alive=True)], concurrency=1, attempts=3)
    np.testing.assert_array_equal(servers.embed(TEXTS[:60]), RIGHT[:60])
    servers.close()


def test_one_that_recovers_is_asked_again(slowed):
    """It was left out for a while, not for good."""
    with serving("503", times=2) as shaky, serving() as good:
        encoder = connect(shaky, good)
        shaky.arm()
        np.testing.assert_array_equal(encoder.encode(TEXTS * 3), np.tile(RIGHT, (3, 1)))
        encoder.computing().encode(TEXTS)
        assert shaky.left == 0
        assert asked(shaky) > 10
        encoder.close()


def test_all_down_is_one_error_that_names_all():
    """With what each said, after as many attempts as ``retries`` allows for each."""
    with serving("503") as one, serving("drop") as two:
        encoder = connect(one, two, retries=1)
        one.arm()
        two.arm()
        with pytest.raises(
            EngineError, match=r"(?s)None of the 2 servers answers; a request was tried 4 times"
        ) as found:
            encoder.encode(TEXTS[:8])
        assert f"{one.url}/ answered 503" in str(found.value)
        assert f"{two.url}/ can't be reached" in str(found.value)
        encoder.close()


def test_what_a_server_refuses_for_good_is_not_tried_elsewhere():
    """A text that is too long is too long for all: one error, as with one server."""
    with serving("too long") as one, serving("too long") as two:
        encoder = connect(one, two)
        one.arm()
        two.arm()
        texts = [*TEXTS[:7], "x" * (fault_server.LONGEST + 1)]
        with pytest.raises(EngineError, match=r"(?s)maximum context length is 256.*tokenizer=FOLDER&max_length=N"):
            encoder.encode(texts)
        assert min(asked(one), asked(two)) == 0
        # In halves, down to the text, and whether the server still takes another.
        assert max(asked(one), asked(two)) <= 2 * 3 + 2
        encoder.close()


def test_servers_with_different_models_are_refused(monkeypatch):
    """Vectors of the same text, dimensions, and what they tell of themselves; the error says which and what."""
    with serving() as one, serving() as two, serving(owner="someone else") as three:
        with pytest.raises(
            EngineError, match=r"its server is {'openai': .*'someone else': 'unknown'} and not {.*'tests'"
        ):
            connect(one, three)
        other = {}
        answer = fault_server._Handler._answer

        def answered(handler, rows):
            change = other.get(handler.server.url)
            answer(handler, [change(row) for row in rows] if change else rows)

        monkeypatch.setattr(fault_server._Handler, "_answer", answered)
        other[two.url] = lambda row: {**row, "embedding": [1.0] * fault_server.DIM}
        with pytest.raises(
            EngineError, match=r"its vector of the same text has a cosine of .* to the other's"
        ) as found:
            connect(one, two)
        assert f"{two.url}/ differs from {one.url}/: " in str(found.value)
        assert "Give each the same model, version and settings, or test them one by one." in str(found.value)
        other[two.url] = lambda row: {**row, "embedding": [1.0, 2.0]}
        with pytest.raises(EngineError, match="its dimensions is 2 and not 8"):
            connect(one, two)
        # Half precision is no other model.
        other[two.url] = lambda row: {**row, "embedding": halved(row["embedding"])}
        connect(one, two).close()


def halved(encoded):
    """The same vector in half precision."""
    return np.frombuffer(base64.b64decode(encoded), np.float32).astype(np.float16).astype(float).tolist()


def test_servers_that_are_asked_in_different_ways_are_all_in_the_identity():
    """One takes base64, the other gives decimals: a vector may come from either."""
    with serving() as one, serving("float only") as two:
        for encoder in (connect(one, two), connect(two, one)):
            np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
            assert encoder.identity.options["encoding"] == "base64,float"
            encoder.close()


def test_one_that_is_down_at_the_start_is_named():
    """It can't be compared, so it is no part of the run."""
    with serving() as one, pytest.raises(EngineError, match=r"127.0.0.1:9/v1/ can't be reached, after 1 more attempts"):
        connect(one, "http://127.0.0.1:9/v1", retries=1)
