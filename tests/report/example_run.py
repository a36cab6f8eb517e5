"""A run with all that a report can show, made of facts as the plugin writes them."""

from __future__ import annotations

from pytest_embedqa.core.requirement import Kind
from pytest_embedqa.core.statistics import Difference
from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.reports.run import Run, Test

# Texts that a page must show and never obey.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'</script></style></svg></pre><b onclick=alert(1)>",
    "{{7*7}} ${7*7} {% raw %}",
    "\u202eright to left",
    "w" * 300,
    "🙂 你好 السلام عليكم",
    "\x00\x1b[31m\ud800&lt;",
)
NAN = float("nan")


def verdict(model, task, value, bound=0.9, outcome=Outcome.PASS, **more):
    """A verdict on a minimum of nDCG@10, unless ``more`` says otherwise."""
    told = {"requirement": f"min_ndcg_at_10={bound:g}", "measure": "ndcg_at_10", "reason": f"{task} is {value}."}
    return Verdict(model, task, value=value, bound=bound, outcome=outcome, **{**told, **more}).as_dict()


def encoder(spec, say):
    """What is known of an encoder."""
    return {
        "spec": spec,
        "digest": "d" * 64,
        "prompts_from": "mteb",
        "model": say("a model"),
        "engine": "st",
        "weights": "c4a57a7f00",
        "revision": None,
        "libraries": {"torch": "2.13.0"},
        "dtype": "float32",
        "device": "cpu",
        "pooling": "mean",
        "normalize": True,
        "similarity": "cosine",
        "max_length": 256,
        "full_dim": 384,
        "options": {say("option"): say("value")},
        "dim": None,
        "quantization": None,
        "clean": "none",
        "prompts": {say("query"): say("prompt: ")},
    }


def upgrade(model, say):
    """A task against the baseline, with a query that got worse and a pair that did."""
    documents = [{"id": say(f"d{n}"), "text": say(f"document {n}"), "relevant": n == 2} for n in (1, 2)]
    moved = {"part": "test/default", "text": say("a question"), "before": 1.0, "after": 0.5, "label": None}
    ranked = {"found_before": documents[::-1], "found_after": documents, "rank_before": 1, "rank_after": 2}
    unranked = {"found_before": [], "found_after": [], "rank_before": None, "rank_after": None}
    change = Difference(-0.0512, (-0.0921, -0.0103), 0.012, 0.0456, 7, 60, "queries")
    return {
        "model": model,
        "task": say("faq"),
        "subject": say("faq"),
        "measure": "ndcg_at_10",
        "before": 0.8123,
        "after": 0.7611,
        "change": {**vars(change), "interval": list(change.interval)},
        "parts": [
            {"part": say("test/en"), "before": 0.9, "after": 0.7},
            {"part": say("test/de"), "before": 0.7, "after": 0.8},
        ],
        "worst": [
            {**moved, **ranked, "unit": say("q1")},
            {**moved, **unranked, "unit": say("q2"), "label": 4.0, "before": -0.1, "after": -0.4},
        ],
        "better": 3,
        "worse": 4,
        "notes": [],
        "differences": [say("pooling: mean to cls")],
    }


def diagnosis(model, say, **more):
    """Why a score is low."""
    finding = {"cause": say("a cause"), "evidence": say("evidence"), "advice": say("Advice."), "recovered": 0.2}
    told = {"findings": [finding], "score": 0.5, "measure": "ndcg_at_10", "units": "60 queries", "seconds": 1.0}
    told |= {"tried": {say("a change"): 0.2, say("another"): -0.01}, "not_tried": {say("a third"): say("no time")}}
    return {"model": model, "task": say("faq"), **told, "seen": [say("a fact")], **more}


def observation(say):
    """What gains and is no advice."""
    return {"evidence": say("seen"), "reason": say("no reason"), "gained": 0.1}


def loss(say):
    """An expected passage that came too late."""
    ranks = [{"kind": "model", "stage": say("exact search"), "rank": 7, "of": 9}]
    line = say("by the model: '30 days' is at rank 7 of 9 by exact search. k=7 would bring it back.")
    told = {
        "piece": say("'30 days'"),
        "stage": "model",
        "ranks": ranks,
        "found": "",
        "remedy": say("k=7"),
        "let_in": False,
    }
    return {**told, "line": line}


def probe(model, say, name, **more):
    """A probe whose answer came back first, from a long passage."""
    passages = [
        {"source": say("a.md"), "pages": say("a.md page 3"), "score": 0.8765, "snippet": say("a passage")},
        {"source": say("b.md"), "pages": say("b.md"), "score": None, "snippet": "long " * 300},
    ]
    told = {"ask": say("How long?"), "holds": True, "rank": 1, "recall": 1.0, "expected": [say("'30 days'")]}
    told |= {
        "by": say("multi-vector"),
        "scale": say("MaxSim"),
        "lost": [],
        "missing": [],
        "intruders": [],
        "milliseconds": 12.34,
        "too_slow": False,
        "in_short": "",
        "notes": [],
        "passages": passages,
    }
    file = {"file": say("kb.probe.yaml"), "path": say("suites/kb.probe.yaml")}
    return {"model": model, "name": say(name), **file, **told, **more}


def example(say=str, models=("builtin", "st:other")):
    """A run with every kind of fact and outcome.

    Args:
        say: What becomes of each text that a user, a model or data decides.
        models: Specs of the encoders under test.
    """
    spec = say(models[0])
    unsure = {
        "outcome": Outcome.INCONCLUSIVE,
        "requirement": "max_regression=0.01",
        "kind": Kind.MAX_REGRESSION,
        "baseline": 0.8123,
    }
    tests = []

    def add(name, outcome="passed", capability="quality", text="", **facts):
        tests.append(
            Test(f"suites/test_it.py::{say(name)}", say("suites/test_it.py"), 7, outcome, 1.5, capability, text, facts)
        )

    low = verdict(spec, say("faq"), 0.5675, outcome=Outcome.FAIL, interval=(0.4144, 0.7697), published=0.8, units=6)
    worse = verdict(spec, say("faq"), 0.7611, 0.8023, **unsure)
    add(
        "test_low",
        "failed",
        text=say("faq: ndcg_at_10 0.5675 is below 0.9000.") + "\n  encoder    " + say("a model"),
        verdict=[low, worse, verdict(spec, say("nothing"), NAN, outcome=Outcome.FAIL)],
        encoder=[encoder(spec, say)],
        task=[
            {
                "model": spec,
                "task": say("faq"),
                "type": "Retrieval",
                "measure": "ndcg_at_10",
                "score": 0.5675,
                "units": 6,
                "limit": None,
                "seconds": 1.0,
                "encoded": 12,
                "data_revision": "sha256:1",
                "parts": [{"split": "test", "subset": "default", "languages": [say("eng")], "score": 0.5675}],
            }
        ],
        truncation=[
            {
                "model": spec,
                "task": say("faq"),
                "max_length": 256,
                "texts": 200,
                "cut": 50,
                "tokens": 1000,
                "lost": 125,
                "uncounted": 0,
            }
        ],
        upgrade=[upgrade(spec, say)],
        diagnosis=[
            diagnosis(spec, say),
            {
                **diagnosis(spec, say, findings=[], score=None, tried={}, observations=[observation(say)]),
                "task": say("other"),
            },
        ],
        note=[{"text": say("sampled")}],
    )
    second = say(models[-1])
    better = verdict(second, say("faq"), 0.9321, published=0.8, notes=(say("other data"),))
    add("test_fine", verdict=[better], encoder=[encoder(second, say)])
    add("test_curve", curve=[curve(spec, say)])
    add(
        "test_speed",
        capability="speed",
        verdict=[
            verdict(spec, "speed", 12.5, 50, measure="p99_ms", requirement="max_p99_ms=50", kind=Kind.MAX, digits=1)
        ],
        speed=[
            {
                "model": spec,
                "figures": {"texts_per_s": 120.5, "tokens_per_s": 1928.0, "p50_ms": 8.0, "p99_ms": 12.5},
                "length": 16,
                "batch_size": 32,
                "rounds": 5,
                "calls": 20,
                "ratio": None,
                "notes": [],
            }
        ],
    )
    near = {"measure": "cosine", "requirement": "min_cosine=0.9999", "digits": 5}
    stratum = {"texts": 4, "worst": 0.99991, "mean": 0.99999, "overlap": 1.0, "batch_size": 8, "text": say("a text")}
    add(
        "test_parity",
        capability="parity",
        verdict=[verdict(spec, "parity", 0.99991, 0.9999, **near)],
        parity=[
            {
                "model": spec,
                "reference": say("st:ref"),
                "strata": [{"name": say("short"), **stratum}],
                "worst_by_batch_size": {"1": 0.99995, "8": 0.99991},
                "norms": [[1.0, 1.0], [1.0, 1.0]],
                "notes": [],
            }
        ],
    )
    held = verdict(spec, say("finite"), 0.0, 0.0, requirement="max_not_finite=0", kind=Kind.MAX, measure="not_finite")
    add("test_invariant[finite]", capability="invariants", verdict=[held])
    merged = verdict(
        spec, say("case"), 1.0, 0.0, Outcome.FAIL, requirement="max_collisions=0", kind=Kind.MAX, measure="collisions"
    )
    add("test_invariant[case]", "xfailed", "invariants", say("an uncased model"), verdict=[merged])
    add("test_invariant[prompts]", "skipped", "invariants", say("it has no prompts"))
    missed = {"holds": False, "rank": None, "recall": 0.0, "missing": [say("'30 days' is not among the 2 passages.")]}
    missed |= {"in_short": say("not found"), "lost": [loss(say)]}
    add("kb[found]", capability="rag", probe=[probe(spec, say, "found")])
    add("kb[missed]", "failed", "rag", say("missed: not found"), probe=[probe(spec, say, "missed", **missed)])
    add("kb[known]", "xfailed", "rag", say("needs a reranker"), probe=[probe(spec, say, "known", **missed)])
    rejected = {"holds": False, "intruders": [say("'60 days' came back")], "in_short": say("rejected text came back")}
    add("kb[stale]", "failed", "rag", say("stale"), probe=[probe(spec, say, "stale", **rejected)])
    levels = [{"variation": "typos", "level": level, "probes": 4, "held": 4 - level, "lost": []} for level in (1, 2)]
    add("kb[robust]", capability="rag", decay=[{"model": spec, "file": say("kb.probe.yaml"), "levels": levels}])
    state = {"recall_at_10": 0.91, "worst_decile": 0.4, "ndcg_loss": 0.01, "p50_ms": 0.4, "p95_ms": 0.8, "short": 0}
    index = {"model": spec, "index": say("faiss:HNSW32"), "task": say("faq"), "rows": 20_000, "queries": 300, "k": 10}
    index |= {"states": [{"name": "", **state}, {"name": say("reopened"), **state}], "notes": [say("by EXPLAIN")]}
    curve_of_ef = [{"setting": say("ef"), "value": say("16"), "recall": 0.8, "p50_ms": 0.2}]
    add("test_index", capability="index", index=[{**index, "curve": curve_of_ef}])
    add("test_broken", "error", "", say("def f():") + "\nE       " + say("NameError: no name"))
    add("test_better_than_feared", "xpassed", text=say("was expected to fail"))
    settings = {"models": [say(model) for model in models], "baseline": say("baselines/prod.json"), "strict": False}
    environment = {"python": "3.11.7", "packages": {"pytest-embedqa": "0.1.0"}, "gpus": [say("a card")]}
    return Run(tuple(tests), {"passed": 12}, settings, environment, "2026-01-02T03:04:05+00:00", 75.0)


def curve(model, say):
    """Quality over the size of a vector."""
    points = [("whole", 0.9, 0.0, 1536, 0.0), ("@256", 0.88, 0.02, 1024, 1 / 3), ("int8", NAN, NAN, 384, 0.75)]
    keys = ("label", "score", "loss", "bytes", "saved")
    shown = [dict(zip(keys, point, strict=True)) for point in points]
    return {"model": model, "task": say("faq"), "measure": "ndcg_at_10", "points": shown}


def hostile():
    """A function that puts another hostile text in front of each text."""
    number = 0

    def say(text):
        nonlocal number
        number += 1
        return f"{HOSTILE[number % len(HOSTILE)]} {text}"

    # The same text must stay the same: a spec names an encoder wherever it stands.
    known = {}
    return lambda text: known.setdefault(text, say(text)) if text not in known else known[text]


def large(tests=500):
    """A run of many tests, each with several verdicts and some with long texts."""
    made = []
    for number in range(tests):
        bad = number % 10 == 0
        outcome = Outcome.FAIL if bad else Outcome.PASS
        verdicts = [
            verdict("builtin", f"Task{number:03}", 0.5 + number / 1000 - part / 100, 0.5, outcome, interval=(0.4, 0.9))
            for part in range(6)
        ]
        text = f"Task{number:03}: ndcg_at_10 is below 0.5.\n" + "  line of a long failure\n" * 4_000 if bad else ""
        made.append(
            Test(
                f"suites/test_many.py::test_many[{number}]",
                "suites/test_many.py",
                number + 1,
                "failed" if bad else "passed",
                0.5,
                "quality",
                text,
                {"verdict": verdicts, "encoder": [encoder("builtin", str)]},
            )
        )
    return Run(tuple(made), {}, {"models": ["builtin"]}, {"python": "3.11.7"}, "2026-01-02T03:04:05+00:00", 250.0)
