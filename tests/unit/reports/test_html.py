"""The HTML report as a text: what it holds, in what order, and that no text of a run becomes markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pytest_embedqa.core.requirement import Kind
from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.reports import html as package
from pytest_embedqa.reports.html import render
from pytest_embedqa.reports.html.bars import WIDTH, bar_of
from pytest_embedqa.reports.html.words import MOST_PASSAGE, MOST_TEXT, duration, first_line, number
from pytest_embedqa.reports.run import Run
from pytest_embedqa.reports.run import Test as Ran

# The run is shared with the tests in a browser.
sys.path.insert(0, str(Path(__file__).parents[2] / "report"))

from example_run import HOSTILE, NAN, curve, diagnosis, encoder, example, hostile, large, probe, upgrade, verdict

pytest.importorskip("jinja2", reason="needs the extra 'report'")
pytest.importorskip("vl_convert", reason="needs the extra 'report'")

FOLDER = Path(package.__file__).parent
VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """What a page is made of: tags with their attributes, texts, and whether all that opens is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.titles, self._open = [], {}, [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        """A tag opens."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """A tag that closes itself, as in SVG."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """What opened last closes first."""
        assert self._open.pop() == tag

    def handle_data(self, data):
        """Text, by the tag around it."""
        where = self._open[-1] if self._open else ""
        self.texts[where] = self.texts.get(where, "") + data

    def all(self, name):
        """Values of an attribute, in order."""
        return [attributes[name] for _, attributes in self.tags if name in attributes]

    @property
    def sections(self):
        """Names of the sections, in order."""
        return [attributes["id"] for tag, attributes in self.tags if tag == "section"]

    @property
    def text(self):
        """All that is read."""
        return "".join(text for tag, text in self.texts.items() if tag not in {"script", "style"})


@pytest.fixture(scope="module")
def everything():
    """The page of a run with every kind of fact."""
    return render(example())


def one(outcome="passed", capability="quality", text="", **facts):
    """A run of one test."""
    return Run((Ran("t.py::test_a", "t.py", 1, outcome, 1.0, capability, text, facts),))


def cells(page, beginning):
    """Cells of the first row of a table whose text begins so."""
    rows = [re.sub(r"<title>.*?</title>", "", row) for row in re.findall(r"<tr[ >].*?</tr>", page, re.DOTALL)]
    found = [[re.sub(r"<[^>]+>", " ", cell).split() for cell in re.split(r"</t[dh]>", row)] for row in rows]
    texts = [[" ".join(cell) for cell in row][:-1] for row in found]
    return next(row for row in texts if " ".join(row).startswith(beginning))


def test_hostile_texts_are_escaped_everywhere():
    """Whatever stands in names, ids, texts, specs and notes, the page has the tags of a page with harmless texts."""
    page = Page(render(example(hostile())))
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in Page(render(example())).tags}
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}]
    assert page.texts["script"] == (FOLDER / "page.js").read_text(encoding="utf-8")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]


def test_hostile_texts_are_shown_as_they_are():
    """No text is lost or computed; what can't be seen, or turns the order of what follows, is written out."""
    html = render(example(hostile()))
    text = Page(html).text
    for hostile_text in HOSTILE[:4] + HOSTILE[5:7]:
        assert hostile_text in text
    assert "\\u202eright to left" in text
    assert "\\u0000\\u001b[31m\\ud800&lt;" in text
    assert not re.search("[\x00\x1b\u202e\ud800]", html)
    html.encode("utf-8")


def test_policy_allows_our_own_script_and_style_alone(everything):
    """The policy names both by what they hold; nothing is allowed in general, and nothing may be loaded."""
    page = Page(everything)
    (policy,) = [attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes]
    told = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert told["default-src"] == "'none'"
    assert "unsafe" not in policy
    for tag, name in (("script", "script-src"), ("style", "style-src")):
        digest = base64.b64encode(hashlib.sha256(page.texts[tag].encode()).digest()).decode()
        assert told[name] == f"'sha256-{digest}'"
    assert [href for href in page.all("href") if not href.startswith("#")] == ["data:,"]
    assert page.all("src") == []


def test_every_link_has_a_target_and_every_id_is_one(everything):
    """Table of contents and rows lead somewhere; two plots or tests never share an id."""
    page = Page(everything)
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in page.all("href") if href.startswith("#")} <= set(ids)


def test_sections_stand_in_the_order_of_a_readers_questions(everything):
    """Verdict, what failed, thresholds, comparison, baseline, causes, figures, probes, the rest; the contents agree."""
    page = Page(everything)
    assert page.sections == [
        "failed",
        "thresholds",
        "comparison",
        "gate",
        "diagnosis",
        "figures",
        "probes",
        "invariants",
        "truncation",
        "notes",
        "tests",
        "encoders",
        "environment",
    ]
    assert page.all("href")[2 : 2 + len(page.sections)] == [f"#{name}" for name in page.sections]


@pytest.mark.parametrize(
    ("facts", "section"),
    [
        ({"outcome": "failed", "text": "low"}, "failed"),
        ({"verdict": [verdict("m", "faq", 0.95)]}, "thresholds"),
        ({"upgrade": [upgrade("m", str)]}, "gate"),
        ({"diagnosis": [diagnosis("m", str)]}, "diagnosis"),
        ({"curve": [curve("m", str)]}, "figures"),
        ({"capability": "rag", "probe": [probe("m", str, "p")]}, "probes"),
        ({"capability": "invariants"}, "invariants"),
        ({"note": [{"text": "sampled"}]}, "notes"),
        ({"outcome": "skipped", "text": "no data"}, "tests"),
        ({"encoder": [encoder("m", str)]}, "encoders"),
    ],
)
def test_a_section_is_there_only_with_its_data(facts, section):
    """A fact brings its section; without it there is no heading without content."""
    assert section in Page(render(one(**facts))).sections
    assert set(Page(render(one(**facts))).sections) <= {section, "tests"}


def test_numbers_are_those_of_the_facts(everything):
    """Value, interval, bound, published, baseline, change and shares stand in the page as they were measured."""
    assert cells(everything, "✗ FAIL faq")[:9] == [
        "✗ FAIL",
        "faq",
        "ndcg_at_10",
        "0.5675 0.4144 to 0.7697",
        "≥ 0.9000",
        "",
        "0.8000",
        "",
        "builtin",
    ]
    assert cells(everything, "✓ pass speed")[3:5] == ["12.5", "≤ 50.0"]
    assert cells(everything, "✓ pass parity")[3:5] == ["0.99991", "≥ 0.99990"]
    assert cells(everything, "? unsure faq ndcg_at_10 0.8123")[3:] == [
        "0.8123",
        "0.7611",
        "-0.0512",
        "-0.0921 to -0.0103",
        "0.0456",
    ]
    assert cells(everything, "faq ndcg_at_10 0.7611")[2:] == ["0.7611", "0.9321 ★ best", "+0.1710"]
    assert cells(everything, "faq builtin 200")[2:] == ["200", "25.0%", "12.5%", "256"]
    assert cells(everything, "✓ pass found")[2:] == ["1", "0.8765", "a.md page 3"]
    assert cells(everything, "✗ FAIL stale")[4] == "rejected text came back"
    assert cells(everything, "a change")[1] == "+0.200"


def test_failures_come_first(everything):
    """In the tables of thresholds and of probes, what failed stands before what is unsure, and that before the rest."""
    assert re.findall(r"data-outcome=\"(\w+)\"", everything) == ["FAIL", "FAIL", "unsure", "xfail", *["pass"] * 4]
    probes = everything.partition('id="probes"')[2]
    assert re.findall(r'#test-\d+">(\w+)</a>', probes)[:4] == ["missed", "stale", "known", "found"]


def test_a_diagnosis_without_a_cause_says_which_of_three_it_is():
    """A model at its published score, a gain that is no advice, and nothing that tells itself from chance."""
    reached = {"measure": "ndcg_at_10", "score": 0.7, "published": 0.702, "interval": None}
    told = {"findings": [], "observations": [], "tried": {}, "not_tried": {}, "seen": []}
    page = render(one(diagnosis=[diagnosis("m", str, **{**told, "standing": reached})]))
    assert (
        "<p>set up as published (ndcg_at_10 0.7000 here, 0.7020 published); this model scores no more here.</p>" in page
    )
    assert "What was tried" not in page
    seen = {"evidence": "with pooling=cls +0.036", "reason": "The model itself says mean.", "gained": 0.036}
    page = render(one(diagnosis=[diagnosis("m", str, **{**told, "observations": [seen], "tried": {"pooling": 0.036}})]))
    assert (
        "<p>no cause is sure.</p>\n<p>observed, no advice: with pooling=cls +0.036. The model itself says mean.</p>"
        in page
    )
    assert "What was tried" in page
    page = render(one(diagnosis=[diagnosis("m", str, **told)]))
    assert "<p>nothing that was tried recovers more than chance (ndcg_at_10 0.500 on 60 queries).</p>" in page
    page = render(one(diagnosis=[diagnosis("m", str)]))
    assert "<h4>a cause</h4>\n<p>evidence. <b>Advice.</b></p>" in page
    assert "recovers more than chance" not in page


def test_probes_are_in_their_own_table_alone():
    """The verdicts of a probe are not repeated among the thresholds, as in the terminal."""
    told = {"probe": [probe("m", str, "p")], "verdict": [verdict("m", "p", 1.0, measure="found")]}
    assert Page(render(one(capability="rag", **told))).sections == ["probes", "tests"]


@pytest.mark.parametrize(
    ("run", "status", "said"),
    [
        (Run(()), "NOTHING RAN", "There was no test of embedding quality."),
        (one("skipped", text="no data"), "NOTHING RAN", "Every test was skipped."),
        (one("error", text="gone"), "FAILED", "1 of 1 test failed."),
        (one("xfailed", text="known"), "PASSED", "1 test ran, and none failed."),
        (
            one(verdict=[verdict("m", "faq", 0.8, outcome=Outcome.INCONCLUSIVE)]),
            "PASSED",
            "1 test ran, and none failed. 1 verdict is unsure: chance explains the drop.",
        ),
    ],
    ids=["empty", "skipped", "errors", "expected", "unsure"],
)
def test_the_page_begins_with_the_verdict(run, status, said):
    """Passed, failed, or nothing ran, in words; a run of nothing is no pass."""
    page = Page(render(run))
    assert page.texts["h1"].strip() == status
    assert page.texts["title"].startswith(f"{status}: ")
    assert said in page.text


def test_what_is_no_number_is_shown_as_none():
    """NaN has a row and no bar; a run read back from JSON, where it is null, has the same page but for a dash."""
    run = one("failed", text="NaN", verdict=[verdict("m", "faq", NAN, outcome=Outcome.FAIL)], curve=[curve("m", str)])
    assert cells(render(run), "✗ FAIL faq")[3:6] == ["NaN", "≥ 0.9000", ""]
    facts = json.loads(json.dumps(example().as_dict(), allow_nan=False))
    del facts["form"]
    again = render(Run(**{**facts, "tests": tuple(Ran(**one) for one in facts["tests"])}))
    assert cells(again, "✗ FAIL nothing")[3:6] == ["–", "≥ 0.9000", ""]


def test_long_texts_are_cut():
    """A passage and a failure are cut where they would make the page slow, and a mark says so."""
    html = render(one("failed", "rag", "e" * 2 * MOST_TEXT, probe=[probe("m", str, "p", ask="q" * 2 * MOST_PASSAGE)]))
    assert "e" * MOST_TEXT + "…" in html
    assert "q" * MOST_PASSAGE + "…" in html
    assert "q" * (MOST_PASSAGE + 1) not in html


def test_a_page_of_many_tests_stays_small():
    """500 tests with 3,000 verdicts and long failures need less than 3 MB, and each verdict has its row."""
    html = render(large())
    assert len(html.encode()) < 3_000_000
    assert html.count("<tr data-outcome=") == 3_000


def test_units_that_got_worse_stand_side_by_side(everything):
    """A query, what was found before and now, which of it is relevant in a word, and where the first relevant is."""
    unit = re.sub(r"<[^>]+>|\s+", " ", everything.partition('<p class="query"')[2].partition("</article>")[0])
    unit = " ".join(unit.split())
    assert "a question before first relevant at 1 ★ relevant d2 document 2 d1 document 1" in unit
    assert unit.endswith("now first relevant at 2 d1 document 1 ★ relevant d2 document 2")


def test_a_smaller_error_is_the_better():
    """Where a bound is an upper one, the model with the lowest value is marked as the best."""
    told = {"measure": "p99_ms", "requirement": "max_p99_ms=50", "kind": Kind.MAX, "digits": 1}
    run = one(
        verdict=[verdict("a", "speed", 20, 50, **told), verdict("b", "speed", 10, 50, **told)],
        encoder=[encoder("a", str), encoder("b", str)],
    )
    html = render(replace(run, settings={"models": ["a", "b"]}))
    assert cells(html, "speed p99_ms")[2:] == ["20.0", "10.0 ★ best", "-10.0"]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"value": 0.5, "bound": 0.75}, (0, 1, False, 60.0, 90.0, (90.0, WIDTH))),
        ({"value": 0.9999, "bound": 0.9997, "measure": "cosine"}, (0.9996, 1, True, 90.0, 30.0, (30.0, WIDTH))),
        ({"value": -0.5, "bound": 0.5, "measure": "spearman"}, (-1, 1, False, 30.0, 90.0, (90.0, WIDTH))),
        (
            {"value": 80.0, "bound": 40.0, "measure": "p99_ms", "requirement": "max_p99_ms=40", "kind": Kind.MAX},
            (0, 100, False, 96.0, 48.0, (0.0, 48.0)),
        ),
        (
            {
                "value": 0.0,
                "bound": 0.00001,
                "measure": "cosine",
                "requirement": "max_cosine=0.00001",
                "kind": Kind.MAX,
            },
            (0, 0.000015, False, 0.0, 80.0, (0.0, 80.0)),
        ),
    ],
    ids=["score", "near one", "negative", "milliseconds", "near zero"],
)
def test_each_bar_has_a_scale_on_which_its_marks_differ(facts, expected):
    """Scores lie between 0 and 1, times begin at 0; where that would hide a difference, the axis is what is around it."""
    told = {"measure": "ndcg_at_10", "requirement": "min_it", "reason": "", "outcome": Outcome.PASS, **facts}
    bar = bar_of(Verdict("m", "t", **told))
    low, high, *rest = expected
    assert (bar.low, bar.high) == pytest.approx((low, high))
    assert [bar.broken, bar.value, bar.bound, bar.allowed] == rest


def test_a_bar_needs_numbers():
    """What was not measured has no bar."""
    assert bar_of(Verdict("m", "t", "min_f1=0.5", "f1", NAN, 0.5, Outcome.FAIL, "")) is None


def test_a_failure_begins_with_what_is_wrong():
    """The first line of our own failures; of a traceback the error, not the source of the test."""
    assert first_line("\nfaq: too low.\n  encoder") == "faq: too low."
    assert first_line("def test():\n>   f()\nE   ValueError: no\nE   more") == "ValueError: no"
    assert first_line("") == ""


def test_numbers_and_times_as_a_reader_says_them():
    """Missing is a dash, NaN is called so, differences have a sign, minutes and hours are not seconds."""
    assert [number(None), number(NAN), number(1234.5, 1), number(0.25, 2, "+")] == ["–", "NaN", "1,234.5", "+0.25"]
    assert [duration(3.21), duration(75), duration(3_700)] == ["3.2 s", "1 min 15 s", "1 h 1 min"]
