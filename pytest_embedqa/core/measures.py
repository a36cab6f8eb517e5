"""Measures that mteb does not have, in numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

# Spearman's rho between any score and two balanced classes: the rank of a class label is tied over
# half of the sample, which caps rho at sqrt(3)/2 even for a perfect separation.
SEPARATION_CEILING = float(np.sqrt(3) / 2)


def average_ranks(values: Floats) -> Floats:
    """Return ranks 1..n of an array of shape (n,), ties averaged."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = ((2 * last - counts + 1) / 2.0)[inverse]
    return ranks


def spearman(first: Floats, second: Floats) -> float:
    """Return Spearman's rank correlation of two arrays of shape (n,), ties averaged.

    NaN in the input, or a constant input (for which no correlation exists), gives NaN.
    """
    if np.isnan(first).any() or np.isnan(second).any():
        return float("nan")
    a, b = average_ranks(first), average_ranks(second)
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")


def paired_cosine(first: Floats, second: Floats) -> Floats:
    """Return the cosine of each row of (n, d) with the same row of the other array, in float64; 0 for a zero vector."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    dots = np.einsum("ij,ij->i", a, b)
    cosines: Floats = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
    return cosines


def same_text_cosine(first: Floats, second: Floats) -> Floats:
    """Return ``paired_cosine`` for vectors of the same texts: 1 for two zero vectors, whose cosine is undefined."""
    cosines = paired_cosine(first, second)
    cosines[~first.any(axis=1) & ~second.any(axis=1)] = 1.0
    return cosines


def normalised(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale the rows of (n, d) to length 1; a zero vector stays as it is."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows: npt.NDArray[np.float32] = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return rows


def ndcg(gains: Sequence[float], ideal: Sequence[float], k: int) -> float:
    """Return nDCG at ``k`` as in trec_eval, with linear gains; 0 for a query without relevant documents.

    Args:
        gains: Grades of the documents of a ranking, the first first.
        ideal: Grades of all relevant documents, whether they were found or not.
        k: Number of documents to look at.
    """
    best = np.sort(np.asarray(ideal, dtype=np.float64))[::-1][:k]
    found = np.asarray(gains[:k], dtype=np.float64)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    return float(found @ discounts[: len(found)] / (best @ discounts[: len(best)])) if len(best) else 0.0


def separation(relevant: Floats, unjudged: Floats) -> float:
    """Measure how cleanly relevant pairs are told from random pairs: rho between similarity and label.

    Args:
        relevant: Similarities of judged relevant pairs, shape (n,).
        unjudged: Similarities of as many random unjudged pairs, shape (n,).

    Returns:
        Spearman's rho over the 2n pairs, at most ``SEPARATION_CEILING``; NaN without pairs.
    """
    labels = np.concatenate([np.ones(len(relevant)), np.zeros(len(unjudged))])
    if not len(labels):
        return float("nan")
    return spearman(np.concatenate([relevant, unjudged]), labels)


def kendall(first: Floats, second: Floats, tie: float = 1e-6) -> float:
    """Return Kendall's tau-b of two rankings of the same things, given by scores of shape (n,): 1 for the same order.

    Scores that differ by less than ``tie`` of their range share a place. Where one ranking has a single place, it is 1
    if the other has, too, and 0 otherwise.
    """
    orders = []
    for scores in (first, second):
        apart = scores.astype(np.float64)[:, None] - scores.astype(np.float64)
        orders.append(np.where(np.abs(apart) <= tie * np.ptp(scores), 0.0, np.sign(apart)))
    one, other = orders
    scale = np.sqrt((one * one).sum() * (other * other).sum())
    return float((one * other).sum() / scale) if scale else float(not one.any() and not other.any())


def neighbour_overlap(first: Floats, second: Floats, k: int, tie: float = 1e-5) -> Floats:
    """Return the share of each row's k nearest neighbours (by cosine) that two embeddings of the same texts share.

    Args:
        first: Vectors of n texts, shape (n, d).
        second: Other vectors of the same texts, shape (n, e).
        k: Number of neighbours, less than n.
        tie: Similarities that differ by less than this are equal.

    Returns:
        Shape (n,), in [0, 1].
    """
    return overlap_of_best(_similarities(first), _similarities(second), min(k, len(first) - 1), tie)


def overlap_of_best(first: Floats, second: Floats, k: int, tie: float = 1e-5) -> Floats:
    """Return the share of the k best in each row of scores that two systems share.

    What is among the best for the first system counts if its score is that of the k-th best for the second: equal
    scores, such as those of blank texts, have no order among themselves.

    Args:
        first: Scores, shape (q, n).
        second: Scores of the same things by another system, shape (q, n).
        k: Number of the best, at most n.
        tie: Scores that differ by less than this are equal.

    Returns:
        Shape (q,), in [0, 1].
    """
    chosen = np.argsort(-first, axis=1, kind="stable")[:, :k]
    bound = -np.sort(-second, axis=1)[:, k - 1]
    shares: Floats = (np.take_along_axis(second, chosen, axis=1) >= bound[:, None] - tie).mean(axis=1)
    return shares


def _similarities(vectors: Floats) -> Floats:
    """Return the cosine of each row with each other row; a row is not its own neighbour."""
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    unit = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    similarities: Floats = unit @ unit.T
    np.fill_diagonal(similarities, -np.inf)
    return similarities
