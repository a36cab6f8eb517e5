"""Fingerprints of encoders: encoders with the same identity must compute the same vectors."""

from __future__ import annotations

import numpy as np

from pytest_embedqa.core.errors import BaselineError
from pytest_embedqa.core.measures import paired_cosine
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY
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


def fingerprint(encoder: Encoder) -> Vectors:
    """Compute the vectors of a few fixed texts, shape (n, dim)."""
    computing = encoder.computing()
    return np.concatenate([computing.encode(_PROBES, kind) for kind in (QUERY, DOCUMENT)])


def require_honest_identity(baseline: Baseline, encoder: Encoder) -> bool:
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
            f"the encoder '{encoder.spec}' says that it is the one of the baseline {baseline.path}, but it computes other vectors (cosine {nearest:.3f}): "
            "the model behind it was changed, and stored vectors may be the old one's. Give it another version= in the spec, so that it is told from the old one."
        )
    return True


def computes_the_same(first: Vectors, second: Vectors) -> bool:
    """Return whether two fingerprints are of the same model, up to rounding."""
    return _nearness(first, second) >= _SAME_COSINE


def _nearness(before: Vectors, now: Vectors) -> float:
    """Return the smallest cosine between vectors of the same text; 0 where the dimensions differ."""
    if now.shape != before.shape:
        return 0.0
    # A vector of zeros, as for a text without a known word, has no cosine but can still be the same.
    same = (before == now).all(axis=1)
    return float(np.where(same, 1.0, paired_cosine(before, now)).min())
