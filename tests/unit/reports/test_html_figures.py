"""The plots of the HTML report."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pytest

from pytest_embedqa.reports.html.figures import Figure, figures
from pytest_embedqa.reports.run import Run
from pytest_embedqa.reports.run import Test as Told

A, B = "builtin", "builtin?max_length=4"
HOSTILE = "<script>alert(1)</script>\"'</svg>${x}{{y}}]]><!--&amp;\\u003c"
NAN = float("nan")


def run_of(*compared, **facts):
    """A run of one test that told these facts; ``compared`` are the models of its command line."""
    encoders = [{"spec": spec} for spec in compared]
    test = Told("test.py::test", "test.py", 1, "passed", 1.0, "quality", "", {**facts, "encoder": encoders})
    return Run((test,), settings={"models": compared})


def curve(model, task, *points, measure="ndcg_at_10"):
    """A curve of (label, bytes, score)."""
    whole = points[0][2]
    return {
        "model": model,
        "task": task,
        "measure": measure,
        "points": [
            {"label": label, "bytes": size, "score": score, "loss": whole - score, "saved": 1 - size / points[0][1]}
            for label, size, score in points
        ],
    }


def task(model, name, kind, score, *parts):
    """A task with parts of (languages, score)."""
    return {
        "model": model,
        "task": name,
        "type": kind,
        "score": score,
        "parts": [
            {"split": "test", "subset": "-".join(languages), "languages": languages, "score": of}
            for languages, of in parts
        ],
    }


def speed(model, length, batch_size=32, notes=(), **measured):
    """What a speed test measured."""
    return {"model": model, "length": length, "batch_size": batch_size, "figures": measured, "notes": notes}


def parity(model, *strata):
    """A comparison with strata of (name, worst cosine, mean cosine)."""
    keys = {"texts": 8, "overlap": 0.9, "batch_size": 4, "text": "x"}
    return {
        "model": model,
        "reference": A,
        "strata": [{"name": name, "worst": worst, "mean": mean, **keys} for name, worst, mean in strata],
    }


def decay(file, variation, *levels):
    """What a variation did, as (level, probes, held)."""
    return {
        "model": A,
        "file": file,
        "levels": [
            {"variation": variation, "level": level, "probes": probes, "held": held, "lost": []}
            for level, probes, held in levels
        ],
    }


def index(name, task_name, *states, curve=(), model=A):
    """An index with states of (name, recall) and points of (value, recall)."""
    keys = {"worst_decile": 0.2, "p50_ms": 0.5, "p95_ms": 0.75, "build_s": 1.0, "short": 3}
    return {
        "model": model,
        "index": name,
        "task": task_name,
        "rows": 20_000,
        "queries": 300,
        "k": 10,
        "states": [{"name": state, "recall_at_10": recall, **keys} for state, recall in states],
        "curve": [{"setting": "ef", "value": value, "recall": recall, "p50_ms": 1.5} for value, recall in curve],
        "notes": [],
    }


POINTS = (("whole", 1536, 0.82), ("@256", 1024, 0.81), ("int8", 384, 0.8125), ("ubinary", 48, 0.79))
TWO_LANGUAGES = (["eng"], 0.7), (["zho", "eng"], 0.3)
FACTS = {
    "curve": [curve(A, "SciFact", *POINTS), curve(B, "SciFact", *POINTS[:2])],
    "task": [
        task(A, "SciFact", "Retrieval", 0.65, (["eng"], 0.65)),
        task(A, "STS17", "STS", 0.5, *TWO_LANGUAGES),
        task(B, "STS17", "STS", 0.4, (["eng"], 0.75), (["zho", "eng"], 0.05)),
    ],
    "speed": [speed(A, 16, texts_per_s=500.0, tokens_per_s=8000.0), speed(A, 128, texts_per_s=80.0, p95_ms=12.5)],
    "parity": [parity(B, ("cjk", 0.99999, 1.0), ("emoji", 0.5, 0.75))],
    "decay": [decay("faq", "typos", (1, 10, 9), (2, 10, 5)), decay("faq", "case", (1, 0, 0))],
    "index": [
        index("faiss:HNSW32", "SciFact", ("", 0.9), ("reopened", 0.8), curve=[("16", 0.7)]),
        index("Mine", "SciFact", ("", 1.0)),
    ],
}


@pytest.fixture(scope="module")
def drawn():
    """All sections, drawn once."""
    return figures(run_of(**FACTS))


def texts_of(figure):
    """All that is written in a picture."""
    return ["".join(one.itertext()) for one in ET.fromstring(figure.svg).iter("{http://www.w3.org/2000/svg}text")]


def points_of(figure):
    """How many points of the first series are drawn; its symbol in the legend is not counted."""
    return len(re.findall(r'<path transform="translate[^>]* fill="var\(--c1\)"', figure.svg)) - 1


def test_a_run_without_facts_has_no_figures():
    """A section without data is absent, and so are all of an empty run."""
    assert figures(Run(())) == {}
    assert list(figures(run_of(speed=FACTS["speed"]))) == ["speed"]


def test_the_table_has_what_was_measured(drawn):
    """Every number of the facts stands in the table of its figure, computed by hand where it is derived."""
    (compression,) = drawn["compression"]
    assert compression.rows[0] == (A, "whole", "1,536", "0.8200", "0.0000", "0%")
    assert (A, "ubinary", "48", "0.7900", "0.0300", "97%") in compression.rows
    assert [row[:2] for row in compression.rows[-2:]] == [(B, "whole"), (B, "@256")]
    scores, _, means = drawn["tasks"]
    assert scores.rows == (
        ("Retrieval", "SciFact", "eng", "0.6500"),
        ("STS", "STS17", "all", "0.5000"),
        ("STS", "STS17", "eng", "0.7000"),
        ("STS", "STS17", "zho-eng", "0.3000"),
    )
    assert means.rows == (
        ("Retrieval", A, "1", "0.6500"),
        ("STS", A, "1", "0.5000"),
        ("STS", B, "1", "0.4000"),
    )
    texts, tokens, latency = drawn["speed"]
    assert texts.rows == ((A, "32", "16", "500.0"), (A, "32", "128", "80.0"))
    assert tokens.rows == ((A, "32", "16", "8,000.0"),)
    assert latency.rows == ((A, "128", "–", "12.50", "–"),)
    assert drawn["parity"][0].rows == (
        ("emoji", "8", "0.500000", "0.750000", "0.900", "4"),
        ("cjk", "8", "0.999990", "1.000000", "0.900", "4"),
    )
    assert drawn["robustness"][0].rows == (
        ("faq", "case", "1", "0", "0", "–"),
        ("faq", "typos", "1", "10", "9", "90%"),
        ("faq", "typos", "2", "10", "5", "50%"),
    )
    (recall,) = drawn["index"]
    assert recall.rows == (
        ("faiss:HNSW32 (reopened)", "built", "0.9000", "0.2000", "–", "0.50", "0.75", "3"),
        ("faiss:HNSW32 (reopened)", "reopened", "0.8000", "0.2000", "–", "0.50", "0.75", "3"),
        ("faiss:HNSW32 (reopened)", "ef=16", "0.7000", "–", "–", "1.50", "–", "–"),
        ("Mine", "built", "1.0000", "0.2000", "–", "0.50", "0.75", "3"),
    )


def test_the_caption_names_the_main_figures(drawn):
    """Who can't see the picture reads what matters in it."""
    captions = {name: found[0].caption for name, found in drawn.items()}
    assert (
        "smaller ones lose between 0.0075 as int8 (384 bytes) and 0.0300 as ubinary (48 bytes)"
        in captions["compression"]
    )
    assert "from 0.5000 (STS17) to 0.6500 (SciFact), the mean of 2 tasks is 0.5750" in captions["tasks"]
    assert captions["speed"] == "builtin: 500.0 texts a second at 16 tokens; 80.0 texts a second at 128 tokens."
    assert "0.500000 on emoji" in captions["parity"]
    assert captions["index"] == "faiss:HNSW32 (reopened): from 0.7000 (ef=16) to 0.9000 (built). Mine: 1.0000."
    assert captions["robustness"] == "faq: fewest hold with typos at level 2, 5 of 10."


def test_the_picture_shows_what_the_table_says(drawn):
    """Cells, points and bars carry their numbers and names."""
    scores, _, means = drawn["tasks"]
    assert {"0.65", "0.50", "0.70", "0.30", "SciFact", "STS17", "zho-eng", "Retrieval"} <= set(texts_of(scores))
    assert {"0.65", "0.50", "0.40", A, B} <= set(texts_of(means))
    assert points_of(drawn["compression"][0]) == 4
    assert {"whole", "@256", "int8", "ubinary", "bytes of a vector", "ndcg_at_10"} <= set(
        texts_of(drawn["compression"][0])
    )
    assert {"p50", "p95", "p99", "milliseconds"} <= set(texts_of(drawn["speed"][2]))
    assert {"emoji", "cjk", "worst text", "0.9999"} <= set(texts_of(drawn["parity"][0]))
    assert {"typos", "case", "50%", "level"} <= set(texts_of(drawn["robustness"][0]))
    assert {"Mine", "recall@10", "milliseconds, median of a search"} <= set(texts_of(drawn["index"][0]))
    assert points_of(drawn["index"][0]) == 3


def test_models_that_are_compared_show_their_difference():
    """Of two models of the command line the cells show the second less the first, by language."""
    difference, means = figures(run_of(A, B, task=FACTS["task"]))["tasks"]
    assert difference.head[3:] == (A, B, "difference")
    assert difference.rows == (
        ("STS", "STS17", "all", "0.5000", "0.4000", "-0.1000"),
        ("STS", "STS17", "eng", "0.7000", "0.7500", "+0.0500"),
        ("STS", "STS17", "zho-eng", "0.3000", "0.0500", "-0.2500"),
    )
    assert {"-10.0", "+5.0", "-25.0"} <= set(texts_of(difference))
    assert "better on 0 of 1 tasks, worse on 1" in difference.caption
    assert means.title.startswith("Mean")


def test_compared_models_without_a_common_task_have_no_difference():
    """Nothing to compare is no figure and no error."""
    apart = [task(A, "one", "STS", 0.5, (["eng"], 0.5)), task(B, "other", "STS", 0.4, (["eng"], 0.4))]
    assert figures(run_of(A, B, task=apart)) == {}


def all_of(drawn):
    """All figures of all sections."""
    return [figure for found in drawn.values() for figure in found]


def test_a_picture_fits_into_any_page(drawn):
    """It scales, has a name, takes its colours and font from the page, and shares no id or class with it."""
    for figure in all_of(drawn):
        root = ET.fromstring(figure.svg)
        assert "width" not in root.attrib
        assert root.attrib["viewBox"].startswith("0 0 360 ")
        assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", figure.title)
        inside = {name for one in root.iter() for name in one.attrib if one is not root}
        assert not inside & {"id", "class", "role", "font-family", "aria-label"}
        colours = {one.attrib[name] for one in root.iter() for name in ("fill", "stroke") if name in one.attrib}
        assert {one for one in colours if not one.startswith("var(--")} <= {"none", "currentColor", "transparent"}
        assert {one.attrib["font-size"] for one in root.iter() if "font-size" in one.attrib} == {"12px"}


def test_hostile_names_stay_text():
    """A name of a model, task, type, language, measure or file is written and never becomes markup or code."""
    drawn = figures(
        run_of(
            curve=[curve(HOSTILE, HOSTILE, (HOSTILE, 384, 0.5), ("@64", 256, 0.4), measure=HOSTILE)],
            task=[
                task(HOSTILE, HOSTILE, HOSTILE, 0.5, ([HOSTILE], 0.5)),
                task(HOSTILE, "STS17", "STS", 0.5, *TWO_LANGUAGES),
            ],
            speed=[speed(HOSTILE, 16, texts_per_s=1.0, tokens_per_s=16.0, p50_ms=1.0, notes=[HOSTILE])],
            parity=[parity(HOSTILE, (HOSTILE, 0.5, 0.6))],
            decay=[decay(HOSTILE, HOSTILE, (1, 3, 2))],
            index=[index(HOSTILE, HOSTILE, (HOSTILE, 0.5), model=HOSTILE)],
        )
    )
    assert {name: len(found) for name, found in drawn.items()} == {
        "compression": 1,
        "tasks": 2,
        "speed": 3,
        "parity": 1,
        "robustness": 1,
        "index": 1,
    }
    for figure in all_of(drawn):
        known = {one.tag.rpartition("}")[2] for one in ET.fromstring(figure.svg).iter()}
        assert known <= {"svg", "g", "path", "line", "text"}
        assert figure.svg.count("</svg>") == 1
        assert any("<scr" in text for text in texts_of(figure))
    assert HOSTILE in drawn["compression"][0].title


@pytest.mark.parametrize("nothing", [None, NAN, math.inf])
def test_a_number_that_is_missing_leaves_a_gap(nothing):
    """Null, NaN or infinity is a dash in the table and no point in the picture; what is there stays."""
    gone = curve(A, "SciFact", *POINTS)
    gone["points"][1] |= {"score": nothing, "loss": nothing}
    gone["points"].append({**gone["points"][2], "label": "int8, rescore=4", "score": nothing, "loss": nothing})
    strata = [("emoji", nothing, nothing), ("cjk", 0.9, 0.95)]
    drawn = figures(
        run_of(
            curve=[gone],
            task=[task(A, "STS17", "STS", nothing, (["eng"], 0.7), (["deu"], nothing)), FACTS["task"][0]],
            speed=[speed(A, 16, texts_per_s=nothing, p50_ms=nothing), speed(A, 64, texts_per_s=5.0, p50_ms=2.0)],
            parity=[parity(B, *strata)],
            index=[index("Mine", "SciFact", ("", nothing)), index("Other", "SciFact", ("", 0.5), ("late", nothing))],
        )
    )
    assert (A, "@256", "1,024", "–", "–", "33%") in drawn["compression"][0].rows
    assert not {"@256", "int8 · rescore=4"} & set(texts_of(drawn["compression"][0]))
    assert [points_of(drawn[name][0]) for name in ("compression", "speed", "parity")] == [3, 1, 1]
    assert ("STS", "STS17", "all", "–") in drawn["tasks"][0].rows
    assert ("STS", "STS17", "deu", "–") in drawn["tasks"][0].rows
    assert texts_of(drawn["tasks"][0]).count("–") == 2
    assert ("STS", A, "1", "–") in drawn["tasks"][1].rows
    assert drawn["speed"][0].rows[0][-1] == "–"
    assert drawn["parity"][0].rows[0][2] == "–"
    assert [row[2] for row in drawn["index"][0].rows] == ["–", "0.5000", "–"]
    assert drawn["index"][0].caption == "Mine: nothing was measured. Other (late): 0.5000."
    for figure in all_of(drawn):
        assert not re.search(r"NaN|Infinity|null|undefined", figure.svg)


def test_a_single_point_is_drawn():
    """One size, one length or one cosine is a plot with one point."""
    drawn = figures(
        run_of(
            curve=[curve(A, "SciFact", POINTS[0])],
            speed=[speed(A, 16, texts_per_s=5.0)],
            parity=[parity(B, ("cjk", 1.0, 1.0))],
            decay=[decay("faq", "typos", (1, 1, 1))],
        )
    )
    assert [type(figure) for figure in all_of(drawn)] == [Figure] * 4
    assert [points_of(figure) for figure in all_of(drawn)] == [1, 1, 1, 2]  # and level 0
    assert {"whole", "0.820", "0.824"} <= set(texts_of(drawn["compression"][0]))
    assert "no score of smaller ones" in drawn["compression"][0].caption
    for figure in all_of(drawn):
        assert not re.search(r"NaN|Infinity", figure.svg)


def test_many_languages_wrap_and_the_last_are_in_the_table_only():
    """However many languages a task has, the picture keeps its width, and no score is lost from the table."""
    parts = [([f"l{number:02}"], number / 100) for number in range(60)]
    (figure,) = figures(run_of(task=[task(A, "Many", "STS", 0.3, *parts)]))["tasks"]
    assert len(figure.rows) == 61
    written = texts_of(figure)
    assert "l48" in written
    assert "l49" not in written
    assert figure.caption.endswith(" 11 more languages are in the table only.")


def test_tests_of_the_same_task_share_a_plot():
    """Sizes that two tests measured, and figures of the same length, are gathered; what is measured twice counts once."""
    drawn = figures(
        run_of(
            curve=[curve(A, "SciFact", *POINTS[:2]), curve(A, "SciFact", POINTS[0], POINTS[3])],
            speed=[
                speed(A, 16, texts_per_s=5.0),
                speed(A, 16, tokens_per_s=80.0),
                speed(A, 16, batch_size=8, texts_per_s=4.0),
            ],
        )
    )
    assert [row[1] for row in drawn["compression"][0].rows] == ["whole", "@256", "ubinary"]
    assert [figure.rows for figure in drawn["speed"]] == [
        ((A, "8", "16", "4.0"), (A, "32", "16", "5.0")),
        ((A, "32", "16", "80.0"),),
    ]
    assert {f"{A}, batch 8", f"{A}, batch 32"} <= set(texts_of(drawn["speed"][0]))


def test_notes_of_speed_reach_the_caption():
    """That an engine does not count tokens is said where its lengths are shown."""
    found = figures(run_of(speed=[speed(A, 16, texts_per_s=5.0, notes=["length is in words"])]))["speed"]
    assert found[0].caption.endswith(" builtin: length is in words.")


def test_better_agreement_stands_further_right():
    """Cosines of the same text stand in their order, the perfect one at the end of the axis and not nowhere."""
    strata = [("opposite", -1.0, 0.0), ("poor", 0.5, 0.5), ("good", 0.9999, 1.0), ("perfect", 1.0, 1.0)]
    (figure,) = figures(run_of(parity=[parity(B, *strata)]))["parity"]
    found = re.findall(r'<path transform="translate\((\S+),\S+\)"[^>]* fill="var\(--c1\)"', figure.svg)
    across = [float(one) for one in found][:-1]  # the last is the legend's
    assert across[0] == 0
    assert across == sorted(set(across))
    assert len(across) == 4
