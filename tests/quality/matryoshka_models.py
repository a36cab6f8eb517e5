"""Two models with the same vectors in other coordinates: one sorted as Matryoshka training would, one at random.

Whole, their cosines are those of the embedded model. Only the first coordinates tell them apart.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store

DIM = 1024
# Sentences to find the directions on; none of them is in the tasks that are measured.
_DATA = Path(__file__).parents[2] / "suites" / "data"
_SENTENCES = {"similarity": ("sentence1", "sentence2"), "zh_en": ("sentence2",)}


@cache
def _model():
    return load_encoder(parse_spec("builtin"), Store(None))  # by which both models cost one encoding pass


@cache
def _directions():
    """Directions of the embedded model by the variance along them, the largest first; shape (384, 384)."""
    texts = []
    for folder, columns in _SENTENCES.items():
        rows = map(json.loads, (_DATA / folder / "test.jsonl").read_text(encoding="utf-8").splitlines())
        texts += [row[column] for row in rows for column in columns]
    _, _, directions = np.linalg.svd(_model().encode(texts), full_matrices=True)
    return directions.T


@cache
def _rotation():
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((DIM, DIM)))
    return rotation.astype(np.float32)


def sorted_by_variance(texts):
    """The first dimensions hold most: shape (n, 1024), the last 640 are zero."""
    vectors = _model().encode(texts) @ _directions()
    return np.pad(vectors, ((0, 0), (0, DIM - vectors.shape[1])))


def rotated(texts):
    """The same, turned at random: every dimension holds as much as any other."""
    return sorted_by_variance(texts) @ _rotation()
