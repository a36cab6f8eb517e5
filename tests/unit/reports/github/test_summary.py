"""The summary of a CI job: what a reader sees of it, read by a parser of GitHub's Markdown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_embedqa.core.requirement import Kind
from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.reports.github import markup
from pytest_embedqa.reports.github.summary import LIMIT, SHARE, summary
from pytest_embedqa.reports.run import Run
from pytest_embedqa.reports.run import Test as Result

PARSER = MarkdownIt("commonmark").enable("table")
IDENTITY = {
    "model": "mini",
    "device": "cpu",
    "dtype": "float32",
    "dim": None,
    "full_dim": 8,
    "max_length": 256,
    "pooling": "mean",
    "normalize": True,
    "libraries": {},
    "weights": "c4a57a7f00",
    "prompts": {},
    "prompts_from": "model",
}
HOSTILE = (
    "a|b \\| `c` ``` <img src=x onerror=alert(1)> </details> @octocat #12 GH-3 org/repo#4 "
    "https://evil.example www.evil.example me@evil.example [x](javascript:1) ![i](https://evil.example/i.png) "
    "*b* _i_ ~~s~~ $x$ :smile: &lt; \x1b[31m \u202egnp \ud800 end\\"
)
STATE = {
    "name": "",
    "short": 2,
    "recall_at_10": 0.5,
    "worst_decile": 0.25,
    "ndcg_loss": 0.1,
    "p50_ms": 0.75,
    "p95_ms": 1.5,
}
INDEX = {
    "model": "mini",
    "index": "Mine",
    "task": "faq",
    "rows": 20,
    "queries": 3,
    "k": 10,
    "states": [STATE],
    "curve": [],
}
LINES = f"first\n\n```\n# no heading\r\n| a |\n</details>\n{HOSTILE}\n"


def verdict(outcome=Outcome.PASS, task="faq", model="mini", **more):
    """A verdict as it travels."""
    facts = {"requirement": "min_ndcg_at_10=0.9", "measure": "ndcg_at_10", "value": 0.95, "bound": 0.9, "reason": "why"}
    return Verdict(model=model, task=task, outcome=outcome, **{**facts, **more}).as_dict()


def result(outcome="passed", *verdicts, name="test_a", text="", capability="quality", **facts):
    """A test with what it told."""
    facts |= {"verdict": verdicts} if verdicts else {}
    return Result(f"t.py::{name}", "t.py", 7, outcome, 1.0, capability, text, facts)


def moved(unit, text="where is it", **more):
    """A query that got worse, with what was found."""
    found = [{"id": f"d{place}", "text": f"document {place}", "relevant": place == 1} for place in (1, 2)]
    rank = {"rank_before": 1, "rank_after": 0, "label": None, "before": 1.0, "after": 0.0, "part": "test/default"}
    return {"unit": unit, "text": text, "found_before": found, "found_after": found[1:], **rank, **more}


def compared(task="faq", *worst, **more):
    """A comparison with the baseline."""
    change = {"interval": [-0.3, -0.1], "smallest_drop": 0.05, "unit": "queries", "units": 9}
    scores = {"measure": "ndcg_at_10", "before": 0.9, "after": 0.7, "change": change, "parts": []}
    told = {"worse": 3, "better": 1, "notes": [], "differences": ["max_length: 256 to 8"]}
    return {"model": "mini", "task": task, "subject": task, "worst": worst, **scores, **told, **more}


def tokens(text):
    """All tokens, those within lines too."""
    return [inner for token in PARSER.parse(text) for inner in (token, *(token.children or ()))]


def code_of(text):
    """What is shown as code."""
    return [one.content for one in tokens(text) if one.type in {"code_inline", "fence"}]


def tables(text):
    """Each table as rows of cells, in the words that are shown."""
    found, before = [], None
    for token in PARSER.parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif before in {"td_open", "th_open"}:
            found[-1][-1].append("".join(one.content for one in token.children))
        before = token.type
    return found


def test_what_failed_stands_first_and_what_holds_is_folded():
    """The heading says failed in words; the open table has failure and unsure, the folded one the rest."""
    run = Run(
        (
            result("passed", verdict(), verdict(Outcome.INCONCLUSIVE, "sts", baseline=0.9)),
            result("failed", verdict(Outcome.FAIL, value=0.5, published=0.8), name="test_b", text="why it failed"),
            result("xfailed", verdict(Outcome.FAIL, "known"), name="test_c"),
        ),
        {"failed": 1},
        {"baseline": "prod.json"},
        seconds=12.3,
    )
    text = summary(run)
    assert text.startswith("## Embedding quality: ❌ failed, 1 of 3 tests\n")
    assert "1 passed, 1 failed, 1 xfailed, in 12 s. Other tests: 1 failed. Compared with `prod.json`." in text
    shown, folded = tables(text)
    assert shown == [
        ["verdict", "task", "measure", "value", "bound", "published", "baseline"],
        ["❌ fail", "faq test_b", "ndcg_at_10", "0.5000", "≥ 0.9000", "0.8000", ""],
        ["⚠️ unsure", "sts", "ndcg_at_10", "0.9500", "≥ 0.9000", "", "0.9000"],
    ]
    assert [row[:2] for row in folded[1:]] == [["expected failure", "known"], ["✅ pass", "faq test_a"]]
    assert "<details><summary>2 thresholds as expected</summary>" in text
    assert "why it failed\n" in code_of(text)


@pytest.mark.parametrize(
    ("tests", "heading"),
    [
        ([result("passed", verdict())], "✅ passed, 1 test"),
        ([result("passed", verdict()), result("skipped")], "✅ passed, 2 tests, 1 of them skipped"),
        ([result("passed", verdict(Outcome.INCONCLUSIVE))], "⚠️ passed, 1 of 1 test unsure"),
        ([result("skipped"), result("skipped")], "⚠️ nothing was tested, 2 tests skipped"),
        ([result("error")], "❌ failed, 1 of 1 test"),
    ],
)
def test_the_heading_never_calls_a_run_better_than_it_was(tests, heading):
    """Skipped tests alone, unsure ones and errors are no plain pass."""
    assert summary(Run(tuple(tests))).splitlines()[0] == f"## Embedding quality: {heading}"


def test_two_models_stand_side_by_side():
    """Values of each, the difference to the first, and a dash where one has none."""
    run = Run(
        (
            result("passed", verdict(model="old", value=0.9), encoder=[{"spec": "old", **IDENTITY}]),
            result("passed", verdict(model="new", value=0.8), encoder=[{"spec": "new", **IDENTITY}]),
            result("passed", verdict(task="sts", model="new", value=0.7)),
        ),
        settings={"models": ["old", "new"]},
    )
    text = summary(run)
    assert tables(text)[1] == [
        ["task", "measure", "[1]", "[2]", "[2] − [1]"],
        ["faq", "ndcg_at_10", "0.9000", "0.8000", "-0.1000"],
        ["sts", "ndcg_at_10", "–", "0.7000", "–"],
    ]
    assert tables(text)[0][1][:3] == ["✅ pass", "faq", "old"]
    assert "mini · cpu float32 · 8 dimensions" in text


def test_the_gate_shows_the_queries_that_got_worse():
    """The table has scores, interval and what can be seen; below it each query with both rankings side by side."""
    gate = verdict(
        Outcome.FAIL, requirement="max_regression=0.01", kind=Kind.MAX_REGRESSION, value=0.7, bound=0.89, baseline=0.9
    )
    good = {**gate, "task": "sts", "outcome": "pass"}
    told = [compared("faq", moved("q1")), compared("sts", moved("q9"), after=0.895)]
    text = summary(Run((result("failed", gate, good, upgrade=told, encoder=[{"spec": "mini", **IDENTITY}]),)))
    table, worst = tables(text)[-2:]
    assert table[1] == ["❌ fail", "faq", "0.9000", "0.7000", "-0.2000", "-0.3000 to -0.1000", "0.0500", "3", "1"]
    assert table[2][:2] == ["✅ pass", "sts"]
    assert "gate: 2 tasks, 1 worse, 0 unsure; " in text
    assert "- `max_length: 256 to 8`" in text
    assert "`test/default q1 rank 1 to >10`: `where is it`" in text
    assert worst == [
        ["place", "before", "now"],
        ["1", "✅ relevant: d1 document 1", "d2 document 2"],
        ["2", "d2 document 2", ""],
    ]
    assert "q9" not in text


def test_probes_causes_skips_and_notes_are_told():
    """A probe says what was missing, a diagnosis its cause, a skip its reason with the tests it hit, a note its text."""
    probe = {"model": "mini", "file": "f.probe.yaml", "path": "f", "ask": "why?", "expected": ["x"], "intruders": []}
    probe |= {"milliseconds": 5.0, "too_slow": True, "passages": [{"pages": "a.md p. 2"}], "recall": 1.0}
    missed = {**probe, "name": "lost", "holds": False, "rank": 0, "missing": ["'x' is not there."]}
    missed["lost"] = [{"stage": "cut", "let_in": False, "line": "by the cut at k: 'x' is at rank 7. k=7 would."}]
    found = {**probe, "name": "found", "holds": True, "rank": 1, "missing": [], "too_slow": False, "lost": []}
    cause = {"cause": "cut", "evidence": "+0.2", "advice": "Raise max_length=.", "recovered": 0.2}
    diagnosis = {
        "model": "mini",
        "task": "faq",
        "findings": [cause],
        "score": 0.4,
        "measure": "m",
        "units": "9 queries",
    }
    cut = {"model": "mini", "task": "faq", "max_length": 8, "texts": 10, "cut": 5, "tokens": 100, "lost": 20}
    curve = {"model": "mini", "task": "faq", "points": [{"label": "dim 2", "score": 0.5, "loss": 0.1}]}
    curve["points"][0] |= {"bytes": 8, "saved": 0.75}
    run = Run(
        (
            result("failed", capability="rag", probe=[missed]),
            result("passed", capability="rag", probe=[found]),
            result("passed", verdict(notes=("a sample",)), diagnosis=[diagnosis], truncation=[cut], curve=[curve]),
            *(result("skipped", name=f"test_{number}", text="no data: x/y") for number in range(12)),
            result("passed", speed=[{"model": "mini", "length": 128, "batch_size": 8, "figures": {"p99_ms": 3.0}}]),
            result("passed", note=[{"text": "so it is"}], decay=[{"file": "f", "levels": [
                {"variation": "typos", "level": 1, "held": 2, "probes": 3}
            ]}], index=[INDEX]),
        )
    )  # fmt: skip
    text = summary(run)
    rows = [row for table in tables(text) for row in table]
    assert [
        "❌ fail",
        "lost",
        "f.probe.yaml",
        "why?",
        "'x' is not there. took 5 ms " + f"Lost {missed['lost'][0]['line']}",
    ] in rows
    assert ["✅ pass", "found", "f.probe.yaml", "why?", "1", "a.md p. 2"] in rows
    assert ["no data: x/y", ", ".join(f"t.py::test_{number}" for number in range(10)) + " and 2 more"] in rows
    assert ["faq", "dim 2", "0.5000", "0.1000", "8", "75%"] in rows
    assert ["128", "8", "3.00"] in rows
    assert ["f", "typos", "1", "2 of 3"] in rows
    assert "\nMine on faq: 20 rows, 3 queries\n" in text
    assert re.search(r"^built +0\.5000 +0\.2500 +0\.1000 +0\.75 +1\.50 +2$", text, re.MULTILINE)
    for line in ("cut: +0.2. Raise max_length=.", "faq: a sample", "so it is", "f.probe.yaml: lost: 1 by the cut at k"):
        assert f"- `{line}`\n" in text
    assert "faq: 50.0% of its texts are cut at 8 tokens; 20.0% of its tokens are never seen" in text


def test_what_is_no_cause_is_told_too():
    """A model at its published score, and a gain that is no advice, each in words of its own."""
    facts = {"model": "mini", "task": "faq", "findings": [], "score": 0.4, "measure": "m", "units": "9 queries"}
    reached = {"measure": "ndcg_at_10", "score": 0.7, "published": 0.75, "interval": [0.6, 0.8]}
    seen = {"evidence": "with pooling=cls +0.036", "reason": "The model itself says mean.", "gained": 0.036}
    told = [{**facts, "standing": reached}, {**facts, "observations": [seen]}]
    text = summary(Run(tuple(result("failed", diagnosis=[one]) for one in told)))
    for line in (
        "taken as set up as published: ndcg_at_10 0.7000 here, 0.7500 published, within the 95 % interval 0.6000 to 0.8000 of this score.",
        "no cause is sure.",
        "observed, no advice: with pooling=cls +0.036. The model itself says mean.",
    ):
        assert f"- `{line}`\n" in text


def hostile_run():
    """Every text that is not ours is an attack."""
    facts = {**compared(HOSTILE, moved(HOSTILE, HOSTILE)), "model": HOSTILE, "differences": [HOSTILE]}
    facts["worst"][0]["found_before"][0] |= {"id": HOSTILE, "text": HOSTILE}
    gate = verdict(
        Outcome.FAIL,
        HOSTILE,
        HOSTILE,
        measure=HOSTILE,
        requirement="max_regression=0",
        kind=Kind.MAX_REGRESSION,
        notes=(HOSTILE,),
    )
    probe = {"model": HOSTILE, "file": HOSTILE, "path": HOSTILE, "name": HOSTILE, "ask": HOSTILE, "holds": False}
    probe |= {"rank": 0, "missing": [HOSTILE], "intruders": [], "milliseconds": 1.0, "too_slow": False, "passages": []}
    probe["lost"] = [{"stage": "model", "let_in": False, "line": HOSTILE}]
    identity = {**IDENTITY, "model": HOSTILE, "prompts": {HOSTILE: HOSTILE}, "prompts_from": HOSTILE}
    encoders = [{"spec": HOSTILE, **identity}, {"spec": "mini", **IDENTITY}]
    diagnosis = {"model": HOSTILE, "task": HOSTILE, "findings": [], "score": None, "measure": "m", "units": HOSTILE}
    observed = {"evidence": HOSTILE, "reason": HOSTILE, "gained": 0.1}
    return Run(
        (
            result("failed", gate, name=HOSTILE, text=LINES, upgrade=[facts], encoder=encoders),
            result("failed", capability="rag", name=HOSTILE, text=LINES, probe=[probe]),
            result(
                "passed",
                diagnosis=[{**diagnosis, "seen": [HOSTILE]}, {**diagnosis, "observations": [observed]}],
                note=[{"text": HOSTILE}],
                index=[{**INDEX, "index": LINES, "task": LINES, "states": [{**STATE, "name": LINES}]}],
            ),
            result("skipped", name=HOSTILE, text=LINES),
        ),
        settings={"baseline": HOSTILE, "models": [HOSTILE, "mini"]},
    )


def test_hostile_text_is_shown_and_does_nothing():
    """Markup, HTML, mentions, references, links and fences of the data stand in code; tables and folds stay whole."""
    text = summary(hostile_run())
    found = tokens(text)
    assert not {"link_open", "image", "em_open", "strong_open", "hr"} & {one.type for one in found}
    plain = "".join(one.content for one in found if one.type == "text")
    assert "evil" not in plain
    assert "octocat" not in plain
    html = [one.content.strip() for one in found if one.type in {"html_block", "html_inline"}]
    opened = [line for line in html if line.startswith("<details><summary>")]
    assert len(opened) == html.count("</details>") == 3
    assert len(opened) + html.count("</details>") == len(html)
    assert not any("<img" in line for line in html)
    shown = code_of(text)
    assert sum(content == markup.clean(HOSTILE) for content in shown) > 15
    assert all(len(row) == len(table[0]) for table in tables(text) for row in table)
    assert not any(sign in text for sign in "\x1b\u202e\ud800")


@given(st.text(), st.text(alphabet="`|\\ a\n<"))
def test_any_text_in_a_cell_is_shown_as_it_is(one, other):
    """No text of any sort breaks a table; but for what can't be shown, it is the same that was given."""
    rows = [[markup.code(one), "x", markup.code(other)]]
    (table,) = tables(markup.table(("a", "b", "c"), rows))
    assert table[1] == [cell for cell in (markup.clean(one), "x", markup.clean(other)) if cell]


@given(st.text(alphabet="`~\n\r a<"))
def test_any_text_in_a_block_stays_in_it(text):
    """No text of any sort ends its block of code."""
    fence, after, *_ = PARSER.parse(f"{markup.fenced(text)}\n\nafter")
    assert (fence.type, after.type) == ("fence", "paragraph_open")


def test_a_summary_stays_below_the_limit_and_names_what_it_leaves_out():
    """However much there is to say, verdict and thresholds are there, and what is not is named."""
    worst = [moved(f"q{number}", "问" * 400) for number in range(10)]
    tests = []
    for number in range(300):
        gate = verdict(Outcome.FAIL, f"task{number}", requirement="max_regression=0.01", kind=Kind.MAX_REGRESSION)
        told = [compared(f"task{number}", *worst)]
        tests.append(result("failed", gate, name=f"test_{number}", text="问" * 20_000, upgrade=told))
    text = summary(Run(tuple(tests)))
    assert 500_000 < len(text.encode()) <= LIMIT
    assert tables(text)[0][1][1] == "task0"
    assert len(tables(text)[0]) == 1 + markup.MOST_ROWS
    assert "… and 100 rows more" in text
    assert text.rstrip().splitlines()[-1].startswith("Left out, for GitHub's summaries have a limit: `text of t.py::")
    small = summary(Run(tuple(tests)), before=LIMIT - 20_000)
    assert 100 < len(small.encode()) <= 15_000
    assert "❌ failed, 300 of 300 tests" in small


def test_any_number_of_runs_in_a_step_stay_below_the_limit():
    """Each takes a part of what the ones before it left: it says so, keeps its verdict as long as it can, and then says nothing."""
    run, written = Run(tuple(result("failed", name=f"test_{one}", text="x" * 8_000) for one in range(400))), ""
    sizes = []
    while text := summary(run, before=len(written.encode())):
        written += text
        sizes.append(len(text.encode()))
    assert LIMIT - 1_000 < len(written.encode()) <= LIMIT
    assert sizes == sorted(sizes, reverse=True)
    assert written.count("## Embedding quality: ❌ failed, 400 of 400 tests") == len(sizes) > 4
    assert "kB stand in this one already: `text of t.py::test_" in written
    assert written.count("stand in this one already") == written.count("Left out") - 1
    assert summary(run, before=LIMIT + 1) == ""


@pytest.mark.parametrize("limit", range(40_000, 48_000, 500))
def test_names_of_what_is_left_out_have_room_too(limit):
    """Long names at the end do not lift a summary above its limit, wherever the last part that fits may end."""
    tests = tuple(result("failed", name=f"{number}{'问' * 290}", text="x" * 1_500) for number in range(40))
    text = summary(Run(tests), LIMIT - int(limit / SHARE))
    assert "Left out" in text
    assert len(text.encode()) <= limit
