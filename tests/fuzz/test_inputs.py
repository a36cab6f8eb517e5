"""Whatever is read from users, files and servers gives a right result or one error of ours, and nothing hangs."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import re
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import Phase, find, settings
from hypothesis import strategies as st
from mutating import mangled, mutated, places

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.core.evaluation import Evaluation, Subject
from pytest_embedqa.core.evidence import Evidence, Exhibit, Units
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.load import read_all_options
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.engine_parity.mark import read_mark as read_parity
from pytest_embedqa.quality.mark import read_mark as read_quality
from pytest_embedqa.quality.own_tasks import bitext_task, pair_task, read_pairs, sts_task
from pytest_embedqa.rag.choices import HttpRetrieval
from pytest_embedqa.rag.http import HttpRetriever
from pytest_embedqa.rag.reading import read_arguments, read_file, read_retrieval
from pytest_embedqa.speed.mark import read_mark as read_speed
from pytest_embedqa.upgrade import baseline as baselines

SPECS = (
    "builtin",
    "builtin?batch_size=8&dim=64",
    "st:sentence-transformers/all-MiniLM-L6-v2@main?dtype=half&dim=256&clean=nfc",
    "openai:m?url=http://127.0.0.1:9/v1&timeout=5&concurrency=2&query_prompt=query%3A%20",
    "ray+st:ORG/MODEL?replicas=2&cpus=1",
    "python:package.module:attribute?version=1",
    "llamacpp:model.gguf?pooling=mean&max_length=256",
)


def test_specs(fuzz, result_of):
    """What a spec is read as is what stands in it; it reads itself again."""

    def check(text):
        spec = result_of(parse_spec, text)
        if spec is None:
            return
        assert spec.text == text
        assert parse_spec(spec.text) == spec
        assert str(spec).strip()
        options = result_of(read_all_options, spec)
        for value in (options or {}).values():
            assert not isinstance(value, float) or math.isfinite(value)

    fuzz(check, text=st.sampled_from(SPECS).flatmap(mangled))


QUALITY = {
    "min_ndcg_at_10": 0.5,
    "max_regression": 0.01,
    "splits": ["test"],
    "subsets": ["default"],
    "languages": ["eng"],
    "limit": 100,
    "max_minutes": 5,
    "dims": [128, 64],
}
SPEED = {"min_texts_per_s": 100, "max_p95_ms": 20.5, "batch_size": 8, "length": [16, "max"], "max_seconds": 3}
PARITY = {"reference": "builtin", "min_cosine": 0.99, "batch_sizes": [1, 8], "strata": ["short"], "max_tokens": 64}


@pytest.mark.parametrize(
    ("read", "valid"),
    [
        (lambda **given: read_quality(pytest.mark.mteb_task("ArguAna", **given).mark, Path()), QUALITY),
        (lambda **given: read_speed(pytest.mark.throughput(**given).mark), SPEED),
        (lambda **given: read_parity(pytest.mark.parity(**given).mark), PARITY),
    ],
    ids=["mteb_task", "throughput", "parity"],
)
def test_markers(fuzz, result_of, read, valid):
    """Arguments of another kind are said to be wrong; no bound that is taken is NaN."""

    def check(given):
        if not isinstance(given, dict):
            return
        mark = result_of(read, **given)
        for requirement in (
            getattr(mark, "requirements", ()) if isinstance(getattr(mark, "requirements", ()), tuple) else ()
        ):
            assert not math.isnan(requirement.bound)

    fuzz(check, given=mutated(valid))


PROBES = {
    "corpus": "documents",
    "encoding": {"old/*.txt": "gb18030"},
    "chunk": {"by": "headings", "size": 120, "overlap": 10, "heading_path": True},
    "retrieve": {"by": "rerank", "k": 4, "candidates": 50},
    "pass_rate": 0.92,
    "mrr": {"some/model": 0.5},
    "expected_failures": {"model": {"a reason": ["limit"]}},
    "robustness": {"typos": {"keep": 0.8}, "noise": {"levels": [10]}},
    "probes": [
        {
            "name": "three",
            "ask": "哪三种架构？",
            "translation": "Which three?",
            "expect": {"source": "a.pdf", "all_of": ["云", {"contains": "去", "page": [24, 25]}], "page_span": ">15"},
            "required": True,
        },
        {
            "name": "limit",
            "ask": "How many?",
            "expect": {"contains": "100", "regex": r"\b100\b", "page": 3, "rank": 1},
            "reject": [{"contains": "1000", "margin": 0.05}, {"any_of": ["ignore", "previous"]}],
            "max_latency_ms": 200,
            "expected_failures": {"other": "why"},
        },
    ],
}
HTTP = {
    "url": "http://127.0.0.1:9/search",
    "body": {"query": "{query}", "k": "{k}", "more": [1, None]},
    "hits": "hits[*].hit",
    "text": "body.text",
    "source": "name",
    "page": "page",
    "score": "score",
    "headers": {"X-Kind": "test"},
    "timeout": 5,
    "page_offset": 1,
}
YAML = """\
corpus: &folder documents
chunk: {by: sentences, size: 120}
retrieve: {by: dense, k: 4}
pass_rate: 0.5
probes:
  - &first
    name: one
    ask: "How long?"
    expect: &e {contains: 30 days}
  - <<: *first
    name: two
  - name: three
    ask: |
      How long
      may I?
    expect:
      <<: *e
      regex: '\\b[a-z]+ 3\\d'
    reject: {any_of: [a, 'b'], margin: 0.05}
"""


def _numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, int | float):
        yield value


def check_file(file, given):
    """Probes in the order of the file, and no number that is none."""
    assert [(probe.name, probe.ask) for probe in file.probes] == [(one["name"], one["ask"]) for one in given["probes"]]
    assert type(file.retrieval.k) is int
    assert file.retrieval.k <= file.retrieval.candidates
    assert all(map(math.isfinite, _numbers(file.bounds)))
    margins = [reject.margin for probe in file.probes for reject in probe.reject]
    assert all(margin is None or math.isfinite(margin) for margin in margins)
    for probe in file.probes:
        for pattern in probe.patterns:
            assert all(type(page) is int and page > 0 for page in pattern.page)


@pytest.fixture
def read(result_of, tmp_path, monkeypatch):
    """Reads bytes as a file; an error names file and line of each thing that is wrong, in characters that can be printed."""
    monkeypatch.chdir(tmp_path)

    def read(function, name, content):
        path = tmp_path / name
        path.write_bytes(content)

        def said():
            try:
                return function(path)
            except DataError as error:
                str(error).encode()
                wrong = [line for line in str(error).splitlines() if not re.match(rf"{re.escape(name)}:\d+: .", line)]
                assert not wrong
                raise

        return result_of(said)

    return read


def test_probe_files(fuzz, read):
    """JSON is YAML: what is accepted has the values that Python's own reader of JSON gives."""

    def check(given):
        file = read(read_file, "a.probe.yaml", json.dumps(given).encode())
        if file is not None:
            check_file(file, given)

    fuzz(check, given=mutated(PROBES))


def test_probe_files_of_a_service(fuzz, result_of, read):
    """Settings that are accepted make a retriever, or an error that says what is wrong with them."""

    def check(given):
        settings = read(read_retrieval, "how.yaml", json.dumps({"http": given, "k": 3}).encode())
        if settings is not None and (retriever := result_of(HttpRetriever, settings[1])):
            retriever.close()

    fuzz(check, given=mutated(HTTP))


def test_text_of_probe_files(fuzz, read):
    """An error of YAML has file and line, whatever stands there."""

    def check(text):
        if file := read(read_file, "a.probe.yaml", text.encode("utf-8", "surrogatepass")):
            assert file.probes

    fuzz(check, text=mangled(YAML, most=6))


def test_arguments_of_a_probe(fuzz, result_of, tmp_path):
    """What a marker says is checked as what a file says."""
    valid = {key: PROBES[key] for key in ("corpus", "chunk", "retrieve")} | PROBES["probes"][1]
    del valid["name"]

    def check(given):
        if isinstance(given, dict) and (file := result_of(read_arguments, given, "test_a", tmp_path / "test_a.py")):
            check_file(file, {"probes": [{"name": "test_a", "ask": given["ask"]}]})

    fuzz(check, given=mutated(valid))


ROWS = {
    sts_task: {"sentence1": "a", "sentence2": "b", "score": 3.5},
    pair_task: {"sentence1": "a", "sentence2": "b", "label": 1},
    bitext_task: {"sentence1": "a", "sentence2": "b"},
}


def test_own_data(fuzz, result_of, tmp_path):
    """Rows that are accepted are texts and grades as they stand in the file."""
    path = tmp_path / "pairs.jsonl"

    def check(task, rows, text):
        lines = "\n".join(map(json.dumps, rows)) if text is None else text
        path.write_bytes(lines.encode("utf-8", "surrogatepass"))
        found = result_of(read_pairs, task(path))
        if found is not None and text is None:
            given = [{key: row[key] for key in ROWS[task]} for row in rows]
            for one, right in zip(found, given, strict=True):
                assert (one["sentence1"], one["sentence2"]) == (right["sentence1"], right["sentence2"])
                for key in ("score", "label"):
                    assert one.get(key) == (float(right[key]) if key in right else None)
                    assert not isinstance(right.get(key), bool)

    def rows(task):
        row = mutated(ROWS[task], most=1)
        text = mangled(json.dumps(ROWS[task]) + "\n" + json.dumps(ROWS[task]))
        return st.tuples(st.just(task), st.lists(row, min_size=1, max_size=3), st.none() | text)

    fuzz(lambda case: check(*case), case=st.sampled_from(list(ROWS)).flatmap(rows))


@pytest.fixture(scope="module")
def server():
    """A server that answers whatever it is told to; ``body(request)`` gives the bytes."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = self.server.body(request)
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_args): ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        Thread(target=served.serve_forever, daemon=True).start()
        served.url = f"http://127.0.0.1:{served.server_address[1]}"
        yield served
        served.shutdown()


EMBEDDINGS = {
    "object": "list",
    "model": "m",
    "data": [
        {"object": "embedding", "index": 0, "embedding": [0.5, -1.25, 3.0]},
        {"object": "embedding", "index": 1, "embedding": [1.0, 2.0, -0.125]},
    ],
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}


def embedded(request):
    """A right answer to a request of any number of texts."""
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    rows = [{"index": row, "embedding": [1.0 + row, 2.0, len(str(text))]} for row, text in enumerate(texts)]
    return json.dumps({"data": rows}).encode()


@pytest.mark.slow
def test_answers_of_embedding_servers(fuzz, result_of, server):
    """Vectors are the numbers of the answer in the order of their indexes, finite and of one length; or an error says why not."""
    from pytest_embedqa.encoders.engines.openai import OpenAIEngine

    server.body = embedded
    spec = parse_spec(f"openai:m?url={server.url}/v1&retries=1&concurrency=1")
    engine = OpenAIEngine.load(spec, read_all_options(spec))

    def check(answer):
        server.body = lambda _request: json.dumps(answer).encode()
        vectors = result_of(engine.embed, ["a", "b"])
        if vectors is None:
            return
        assert vectors.shape == (2, 3)
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()
        rows = answer["data"]
        order = [0, 1] if rows[0].get("index") in {None, 0} else [1, 0]
        plain = [rows[row]["embedding"] for row in order]
        if all(isinstance(one, list) for one in plain):
            np.testing.assert_array_equal(vectors, np.array(plain, dtype=np.float32))

    try:
        fuzz(check, answer=mutated(EMBEDDINGS))
    finally:
        engine.close()


HITS = {
    "hits": [
        {"hit": {"body": {"text": "the first"}, "name": "a.md", "page": 0, "score": 0.9}},
        {"hit": {"body": {"text": "the second"}, "name": "b.md", "page": "1", "score": 0.5}},
    ]
}


def test_answers_of_retrievers(fuzz, result_of, server):
    """Passages are the hits of the answer, in their order; or an error says which path finds something else."""
    settings = {**HTTP, "url": f"{server.url}/search"}
    retriever = HttpRetriever(HttpRetrieval(**settings))

    def check(answer):
        server.body = lambda _request: json.dumps(answer).encode()
        passages = result_of(retriever, "question", 5)
        for passage in passages or []:
            assert isinstance(passage.text, str)
            assert passage.page is None or passage.page >= 1
            assert passage.score is None or math.isfinite(passage.score)
        if passages is not None:
            hits = [one["hit"] for one in answer["hits"] if isinstance(one, dict) and one.get("hit") is not None]
            assert [passage.text for passage in passages] == [hit["body"]["text"] for hit in hits][:5]

    try:
        fuzz(check, answer=mutated(HITS))
    finally:
        retriever.close()


def _evaluation(name, statistic, labels=None):
    part = ("test", "default")
    ids = ("q0", "q1", "q2")
    values = np.array([1.0, 0.5, 0.0])
    evidence = Evidence(statistic, "queries", (Units(*part, ids, values, labels),))
    exhibit = Exhibit(
        dict.fromkeys(ids, "question"), {one: ["d0", "d1"] for one in ids}, {one: ["d0"] for one in ids}, {"d0": "text"}
    )
    return Evaluation(
        subject=Subject(name),
        type="Retrieval",
        metric="ndcg_at_10",
        score=evidence.value,
        parts={part: evidence.value},
        data_revision="abc",
        libraries={"mteb": "2.26.24"},
        evidence=evidence,
        exhibits={part: exhibit},
    )


def test_baselines(fuzz, result_of, tmp_path):
    """Also with checksums that fit, a file that says something else is no baseline; what is read is what was written."""
    path = tmp_path / "base.json"
    written = baselines.Baseline(
        {"spec": "builtin", "digest": "d" * 64, "prompts_from": "none", **Identity("m", "st").as_dict()},
        np.eye(3, 4, dtype=np.float32),
        (_evaluation("Faq", "mean"), _evaluation("Pairs", "spearman", np.array([3.0, 2.0, 1.0]))),
    )
    baselines.write_baseline(path, written)
    facts = json.loads(path.read_text(encoding="utf-8"))
    beside = baselines.evidence_file(path)
    evidence = json.loads(gzip.decompress(beside.read_bytes()))

    def check(facts, evidence, packs):
        packed = gzip.compress(json.dumps(evidence).encode())
        beside.write_bytes(packed)
        if isinstance(facts, dict):
            if packs and isinstance(facts.get("evidence"), dict):
                facts["evidence"]["sha256"] = hashlib.sha256(packed).hexdigest()
            facts.pop("checksum", None)
            with suppress(ValueError):  # of NaN there may be none
                facts["checksum"] = baselines._checksum(facts)
        path.write_text(json.dumps(facts), encoding="utf-8")
        read = result_of(baselines.read_baseline, path)
        for evaluation in read.evaluations if read else ():
            assert math.isfinite(evaluation.score)
            assert all(isinstance(score, int | float) and math.isfinite(score) for score in evaluation.parts.values())
            if evaluation.evidence:
                assert abs(evaluation.evidence.value - evaluation.score) < 1e-6

    fuzz(
        check,
        facts=mutated(facts),
        evidence=mutated(evidence, most=2),
        packs=st.sampled_from([True, True, True, False]),
    )


def _part(value, place):
    for key in place:
        if not (isinstance(value, dict) and key in value) and not (
            isinstance(value, list) and key in range(len(value))
        ):
            return None
        value = value[key]
    return value


def test_mutations_reach_every_part():
    """The strategies change what they are given; else all that is tried here would be valid."""
    reached = [place for place in places(PROBES) if len(place) in {1, 3}]
    for place in reached:
        find(
            mutated(PROBES),
            lambda value, place=place: _part(value, place) != _part(PROBES, place),
            settings=settings(max_examples=20_000, database=None, deadline=None, phases=[Phase.generate]),
        )
    assert len(reached) > 20
