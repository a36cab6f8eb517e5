"""Invariants of rerankers: a pair has one score, whatever stands beside it, on the scale that the model promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pytest_embedqa.core.errors import EmbedQAError, NotFiniteError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.encoders.prompts import NO_PROMPTS, QUERY
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.invariants.catalogue import Check, invariant
from pytest_embedqa.invariants.counterexamples import texts as any_text
from pytest_embedqa.invariants.counterexamples import worst
from pytest_embedqa.invariants.invariant import RERANKER, Finding, NotApplicableError, Tolerance
from pytest_embedqa.invariants.questions import ANSWERS
from pytest_embedqa.invariants.relevance import relevance
from pytest_embedqa.invariants.texts import BLANK, LONG, PLANES, SENTENCES, WORDS

_BATCH_SIZES = (1, 2, 5, 16, 64)
_QUESTIONS, _PASSAGES = [question for question, _ in ANSWERS], [passage for _, passage in ANSWERS]
# Short and long passages for each question, so that every batch is padded.
_PAIRS = [
    (question, passage)
    for row, question in enumerate(_QUESTIONS)
    for passage in (_PASSAGES[row], SENTENCES[row], LONG[row % len(LONG)])
]
_SAME = Tolerance(1e-4, 5e-2)
# sigmoid(0) and sigmoid(1), between which all scores lie that went through a sigmoid twice.
_TWICE = (0.5, 0.7311)
_ROUNDING = 1e-4
_MOST_TOKENS = 2048
_SMALLEST = 1e-6


def _of_scores(
    measure: str, *, at_most: float | Tolerance | None = None, at_least: float | None = None, source: str
) -> Callable[[Check], Check]:
    return invariant(measure, at_most=at_most, at_least=at_least, source=source, kinds=(RERANKER,))


def _spread(reranker: Reranker) -> float:
    """Return the distance between the lowest and the highest score of plain pairs: the unit of differences."""
    found = relevance(reranker, _QUESTIONS, _PASSAGES)
    return max(float(np.ptp(found)), _SMALLEST)


def _furthest(
    reranker: Reranker, first: Floats, second: Floats, pairs: Sequence[tuple[str, str]], where: str
) -> Finding:
    apart = np.abs(first - second)
    row = int(apart.argmax())
    shown = f"{pairs[row][0]!r} with {pairs[row][1][:60]!r} has {first[row]:.6g} and {second[row]:.6g}{where}"
    return Finding(float(apart[row]) / _spread(reranker), shown)


@_of_scores("not_finite", at_most=0, source="node-llama-cpp#550")
def scores_finite(reranker: Reranker, bound: float) -> Finding:
    """No document gives NaN or infinity: single words, every Unicode plane, and whatever Hypothesis thinks of."""

    def broken(some: Sequence[str]) -> bool:
        try:
            return not np.isfinite(reranker.score([(_QUESTIONS[0], text) for text in some])).all()
        except NotFiniteError:
            return True

    for part in (list(WORDS), *(PLANES[start : start + 64] for start in range(0, len(PLANES), 64))):
        if broken(part):
            alone = [text for text in part if broken([text])]
            return Finding(len(alone) / len(part) or 1 / len(part), repr(alone[0] if alone else part))
    return worst(any_text, lambda text: float(broken([text])), bound)


@_of_scores("broken_share", at_most=0, source="OpenViking#1712")
def scores_blank(reranker: Reranker, _bound: float) -> Finding:
    """A pair with an empty or blank text, or one far too long, has a finite score, and is no error."""
    pairs = [
        *((_QUESTIONS[0], text) for text in BLANK),
        *((text, _PASSAGES[0]) for text in BLANK),
        (_QUESTIONS[0], " ".join(SENTENCES * 200)),
        (" ".join(SENTENCES * 20), _PASSAGES[0]),
    ]
    broken = []
    for query, document in pairs:
        try:
            problem = "" if np.isfinite(reranker.score([(query, document)])).all() else "NaN or infinity"
        except EmbedQAError as error:
            problem = str(error)
        broken += [f"{query[:20]!r} with {document[:20]!r}: {problem}"] if problem else []
    return Finding(len(broken) / len(pairs), broken[0] if broken else "")


@_of_scores("coarse_share", at_most=0, source="haiku.rag#529, mteb#4932")
def scores_dtype(reranker: Reranker, _bound: float) -> Finding:
    """A reranker that says float32 does not return scores that went through half precision, in which near scores tie."""
    if reranker.identity.dtype != "float32":
        raise NotApplicableError(f"the reranker computes in {reranker.identity.dtype}, not in float32")
    scores = np.ascontiguousarray(reranker.score(_PAIRS))
    # The lower 16 bits of a float32 are all zero if it was a bfloat16, the lower 13 bits if it was a float16.
    coarse = (scores.view(np.uint32) & 0x1FFF) == 0
    return Finding(float(coarse.all()), "every score fits in 16 bits" if coarse.all() else "")


@_of_scores("score_shift", at_most=Tolerance(1e-5, 1e-2), source="transformers#403")
def scores_deterministic(reranker: Reranker, _bound: float) -> Finding:
    """The same pairs have the same scores each time, also after others were computed in between."""
    first = reranker.score(_PAIRS)
    reranker.score(_PAIRS[::4])
    return _furthest(reranker, first, reranker.score(_PAIRS), _PAIRS, " the next time")


@_of_scores("score_shift", at_most=_SAME, source="AutoRAG#403, ColBERT#314")
def scores_batch_independent(reranker: Reranker, _bound: float) -> Finding:
    """A pair has the same score in a batch of any size, beside short and long texts."""
    alone = reranker.computing(batch_size=1).score(_PAIRS)
    found = [
        _furthest(reranker, alone, reranker.computing(batch_size=size).score(_PAIRS), _PAIRS, f" in batches of {size}")
        for size in _BATCH_SIZES[1:]
    ]
    return max(found, key=lambda one: one.value)


@_of_scores("score_shift", at_most=_SAME, source="ollama#6187, mem0#5714")
def scores_order_independent(reranker: Reranker, _bound: float) -> Finding:
    """A document has the same score wherever it stands among the documents of a query, and whatever they are."""
    # Passages of about the same length: a reranker sorts by length, which would undo a different order of unequal texts.
    pairs = [(_QUESTIONS[0], passage) for passage in (*_PASSAGES, *SENTENCES)]
    straight = reranker.computing(batch_size=8).score(pairs)
    found = []
    for order in (np.arange(len(pairs))[::-1], np.random.default_rng(1).permutation(len(pairs))):
        shuffled = reranker.computing(batch_size=8).score([pairs[place] for place in order])
        back = shuffled[np.argsort(order)]
        found.append(_furthest(reranker, straight, back, pairs, " in another order of the documents"))
    few = reranker.score(pairs[:2])
    found.append(_furthest(reranker, straight[:2], few, pairs, " among fewer documents"))
    return max(found, key=lambda one: one.value)


@_of_scores("unread_share", at_most=0, source="MiniSearch#2260, sentence-transformers#3787")
def documents_read_to_the_end(reranker: Reranker, _bound: float) -> Finding:
    """The last eighth of a document changes its score, at every length up to the promised maximum."""
    promised = reranker.identity.max_length
    if promised is None or reranker.count_tokens([("x", "x")]) is None:
        raise NotApplicableError("the engine does not say how long a pair its model takes, or does not count tokens")
    most = min(promised, _MOST_TOKENS)
    unread, tried = [], 0
    for length in [*(2**power for power in range(5, 20) if 2**power < most), most]:
        words = _words(reranker, length)
        kept = len(words) - max(1, len(words) // 8)
        if kept < 1:
            continue
        tried += 1
        texts = [" ".join(words), " ".join([*words[:kept], *("justice" for _ in words[kept:])])]
        scores = reranker.computing(batch_size=1).score([(_QUESTIONS[0], text) for text in texts])
        unread += [length] if scores[0] == scores[1] else []
    notes = (f"nothing above {most} of {promised} tokens was tried",) if most < promised else ()
    shown = f"the last eighth of a document does not count in a pair of {unread[0]} tokens" if unread else ""
    return Finding(len(unread) / max(tried, 1), shown, notes)


def _words(reranker: Reranker, tokens: int) -> list[str]:
    """Return the words of a document that fill a pair up to a number of tokens, or just below."""
    words = [word for sentence in SENTENCES * (tokens // 8 + 1) for word in sentence.split()]
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        (counted,) = reranker.count_tokens([(_QUESTIONS[0], " ".join(words[:middle]))]) or [0]
        low, high = (middle, high) if counted <= tokens else (low, middle - 1)
    return words[:low]


@_of_scores("broken_share", at_most=0, source="node-llama-cpp#617, hindsight#1727")
def scale_as_promised(reranker: Reranker, _bound: float) -> Finding:
    """Scores are on the promised scale: probabilities after a sigmoid, logits without; and no sigmoid came twice."""
    scores = relevance(reranker, _QUESTIONS, _PASSAGES).ravel()
    low, high = float(scores.min()), float(scores.max())
    promised = reranker.identity.options.get("activation")
    shown = f"plain pairs have scores from {low:.4f} to {high:.4f}"
    if _TWICE[0] - _ROUNDING <= low and high <= _TWICE[1] + _ROUNDING:
        return Finding(1.0, f"{shown}, as after two sigmoids")
    if promised == "sigmoid" and (low < 0 or high > 1):
        return Finding(1.0, f"{shown}; after a sigmoid they would be in 0 to 1")
    if promised == "none" and low >= 0 and high <= 1:
        return Finding(1.0, f"{shown}; without a sigmoid they would not all be in 0 to 1")
    return Finding(0.0)


@_of_scores("ties", at_most=0, source="haiku.rag#529")
def scores_apart(reranker: Reranker, _bound: float) -> Finding:
    """Different passages have different scores for a question: scores that are saturated, or rounded, tie."""
    found = relevance(reranker, _QUESTIONS, _PASSAGES)
    ties = [len(row) - len(np.unique(row)) for row in found]
    worst_row = int(np.argmax(ties))
    shown = f"{ties[worst_row] + 1} or more of {len(found)} passages share a score for {_QUESTIONS[worst_row]!r}"
    return Finding(sum(ties) / found.size, shown if any(ties) else "")


@_of_scores("asymmetric_share", at_least=0.6, source="ferrox#84")
def roles_of_a_pair(reranker: Reranker, _bound: float) -> Finding:
    """A question with the passage that answers it scores higher than the passage as a question about the question."""
    there = reranker.score(list(ANSWERS))
    back = reranker.score([(passage, question) for question, passage in ANSWERS])
    right = there > back
    shown = "" if right.all() else f"{ANSWERS[int(right.argmin())][1]!r} finds its question better than the other way"
    return Finding(float(right.mean()), shown)


@_of_scores("score_shift", at_least=1e-3, source="vllm#19675, sentence-transformers#3787")
def reranker_prompt_matters(reranker: Reranker, _bound: float) -> Finding:
    """A pair without its prompt, or instruction, has another score."""
    prompt = reranker.prompts.resolve(QUERY, None)
    if not prompt:
        raise NotApplicableError("pairs have no prompt")
    pairs = list(ANSWERS)
    apart = np.abs(reranker.score(pairs) - reranker.with_prompts(NO_PROMPTS).score(pairs)) / _spread(reranker)
    return Finding(float(apart.max()), f"no score changes without {prompt!r}")
