"""Two models with the same vectors in other coordinates: one sorted as Matryoshka training would, one at random.

Whole, their cosines are those of the embedded model. Only the first coordinates tell them apart.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

from pytest_embedqa.core.measures import normalised
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec

DIM = 1024
# Texts to find the directions on; none of them is in the tasks that are measured.
_TEXTS = Path(__file__).parents[2] / "suites" / "data" / "code" / "corpus.jsonl"


@cache
def _model():
    return load_encoder(parse_spec("builtin"), None)


def _embedded(texts):
    return _model().encode(texts)


@cache
def _directions():
    """Directions of the embedded model by the variance along them, the largest first; shape (384, 384)."""
    texts = [json.loads(line)["text"] for line in _TEXTS.read_text(encoding="utf-8").splitlines()]
    _, _, directions = np.linalg.svd(_embedded(texts), full_matrices=True)
    return directions.T.astype(np.float32)


@cache
def _rotation():
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((DIM, DIM)))
    return rotation.astype(np.float32)


def sorted_by_variance(texts):
    """The first dimensions hold nearly all: shape (n, 1024), the last 640 are zero."""
    vectors = normalised(_embedded(texts) @ _directions() * np.exp(-np.arange(384, dtype=np.float32) / 96))
    return np.pad(vectors, ((0, 0), (0, DIM - vectors.shape[1])))


def rotated(texts):
    """The same, turned at random: every dimension holds as much as any other."""
    return sorted_by_variance(texts) @ _rotation()
