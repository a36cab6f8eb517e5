"""Fingerprints of systems: systems with the same identity must compute the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pytest_embedqa.core.errors import BaselineError
from pytest_embedqa.core.measures import paired_cosine
from pytest_embedqa.encoders.composites import Composite
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY
from pytest_embedqa.encoders.representations import DENSE, MULTI_VECTOR, SPARSE
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.system import System
from pytest_embedqa.upgrade.baseline import Baseline

# Fixed texts whose vectors tell encoders apart, whatever their names.
_PROBES = (
    "How do I return a parcel that arrived damaged?",
    "The committee postponed the vote until the spring session.",
    "def area(radius): return 3.14159 * radius ** 2",
    "Insulin lowers the concentration of glucose in the blood.",
    "夜间列车从九号站台发车。",
    "Der Vertrag endet ohne Kündigung nach zwölf Monaten.",
    "IKEA, NASA and the WHO",
    "x",
)
# Vectors of the same model, computed twice, have a larger cosine than this.
_SAME_COSINE = 0.9995


# Dimensions of what is kept of vectors that are not dense.
_KEPT = 64


def fingerprint(system: System) -> Vectors:
    """Compute the vectors of a few fixed texts, shape (n, dim).

    Of what is no dense vector, a projection to a few fixed directions is kept: of sparse vectors, of the means of
    token vectors, of the scores of pairs. A composite has the rows of its models; BM25, which has no model, has none.
    """
    if isinstance(system, Encoder) and system.representation is DENSE:
        dense: Vectors = _vectors(system)
        return dense
    return np.concatenate([np.empty((0, _KEPT), dtype=np.float32), *_kept(system)])


def _kept(system: System) -> Iterator[Vectors]:
    if isinstance(system, Composite):
        for part in system.parts:
            yield from _kept(part)
    elif isinstance(system, Encoder):
        yield _projected(_vectors(system))
    elif isinstance(system, Reranker):
        # Of a text with itself any reranker is sure.
        pairs = [(query, document) for query in _PROBES for document in _PROBES if query is not document]
        yield _projected(system.computing().score(pairs)[None])


def _vectors(encoder: Encoder) -> Any:
    computing = encoder.computing()
    found = [computing.encode(_PROBES, kind) for kind in (QUERY, DOCUMENT)]
    if encoder.representation is MULTI_VECTOR:
        return np.stack([tokens.mean(axis=0) for texts in found for tokens in texts])
    if encoder.representation is SPARSE:
        return np.concatenate([matrix.toarray() for matrix in found])
    return np.concatenate(found)


def _projected(rows: Vectors) -> Vectors:
    # Numbers as good as random, and the same with each version of numpy.
    projection = np.cos(np.outer(np.arange(1.0, rows.shape[1] + 1) ** 2, np.sqrt(np.arange(2.0, _KEPT + 2))))
    found: Vectors = (rows @ projection).astype(np.float32)
    return found


def require_honest_identity(baseline: Baseline, encoder: System) -> bool:
    """Return whether an encoder has the baseline's identity, after a check that it then computes the same vectors.

    Raises:
        BaselineError: If the model changed but its identity did not, so that old vectors may pass for new vectors.
    """
    if baseline.encoder.get("digest") != encoder.identity.digest:
        return False
    now = fingerprint(encoder)
    nearest = _nearness(baseline.fingerprint, now)
    if not nearest >= _SAME_COSINE:
        raise BaselineError(
            f"the encoder '{encoder.spec}' has the identity of the baseline {baseline.path}, but computes other vectors (cosine {nearest:.3f}): "
            "the model behind it was changed, and stored vectors may come from the old model. Set another version= in the spec, which keeps the two apart."
        )
    return True


def computes_the_same(first: Vectors, second: Vectors) -> bool:
    """Return whether two fingerprints are of the same model, up to rounding."""
    return _nearness(first, second) >= _SAME_COSINE


def _nearness(before: Vectors, now: Vectors) -> float:
    """Return the smallest cosine between vectors of the same text; 0 where the dimensions differ."""
    if not now.size and not before.size:  # BM25
        return 1.0
    if now.shape != before.shape:
        return 0.0
    # A vector of zeros, as for a text without a known word, has no cosine but can still be the same.
    same = (before == now).all(axis=1)
    return float(np.where(same, 1.0, paired_cosine(before, now)).min())
