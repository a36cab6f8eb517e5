"""The distance between the vectors of two encoders, by stratum of text and by batch size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pytest_embedqa.core.errors import EncoderFaultError
from pytest_embedqa.core.measures import Floats, neighbour_overlap, same_text_cosine
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import QUERY, TaskContext, TextKind
from pytest_embedqa.engine_parity.texts import strata

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
MAX_TOKENS = 4096
NEIGHBOURS = 10
MEASURES = ("cosine", "mean_cosine", "overlap")
# Tokens to assume where neither encoder tells its maximum length.
_USUAL_LENGTH = 512
# A task with an instruction, so that instructed models are compared with an instruction.
TASK = TaskContext("parity", "Retrieval", {QUERY: "Given a question, retrieve the sentence that answers it"})


@dataclass(frozen=True)
class Stratum:
    """The agreement on one kind of text.

    Attributes:
        name: Name of the kind.
        texts: Number of texts.
        worst: Lowest cosine between the two vectors of a text, over all batch sizes.
        mean: Mean cosine, over texts and batch sizes.
        overlap: Mean share of the ten nearest neighbours that both encoders have in common.
        batch_size: Batch size at which the worst cosine was seen.
        text: The text of the worst cosine.
    """

    name: str
    texts: int
    worst: float
    mean: float
    overlap: float
    batch_size: int
    text: str


@dataclass(frozen=True)
class Agreement:
    """The agreement of two encoders on the same texts.

    Attributes:
        strata: Agreement by kind of text, the first to break in front.
        worst_by_batch_size: Lowest cosine at each batch size.
        norms: Smallest and largest vector length of the encoder under test, and of the reference.
        notes: Reasons for what could not be compared.
    """

    strata: tuple[Stratum, ...]
    worst_by_batch_size: Mapping[int, float]
    norms: tuple[tuple[float, float], tuple[float, float]]
    notes: tuple[str, ...] = ()

    @property
    def cosine(self) -> float:
        """The lowest cosine of all."""
        return self.strata[0].worst

    @property
    def mean_cosine(self) -> float:
        """The lowest mean cosine of a stratum."""
        return min(stratum.mean for stratum in self.strata)

    @property
    def overlap(self) -> float:
        """The mean overlap of neighbours over all texts."""
        return sum(stratum.overlap * stratum.texts for stratum in self.strata) / sum(one.texts for one in self.strata)


@dataclass
class ParityResult:
    """The value of the fixture ``parity_result``: a comparison, made on first use.

    Attributes:
        encoder: The encoder under test.
        reference: Function that loads the reference.
        compare: Function that compares, or returns an earlier comparison.
    """

    encoder: Encoder
    reference: Callable[[], Encoder]
    compare: Callable[[], Agreement] = field(repr=False)

    @cached_property
    def comparison(self) -> Agreement:
        """The whole comparison."""
        return self.compare()

    def __getitem__(self, measure: str) -> float:
        """Return ``cosine`` (the lowest), ``mean_cosine`` (of the worst stratum) or ``overlap`` (mean)."""
        if measure not in MEASURES:
            raise KeyError(f"parity_result has {', '.join(MEASURES)}, not {measure!r}")
        value: float = getattr(self.comparison, measure)
        return value


def compare(
    encoder: Encoder,
    reference: Encoder,
    *,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    only: Sequence[str] | None = None,
    max_tokens: int = MAX_TOKENS,
) -> Agreement:
    """Encode the same texts with both encoders and compare the vectors.

    The encoder under test computes every vector anew at each batch size, in batches of mixed lengths. The reference
    computes each vector once.

    Args:
        encoder: The encoder under test.
        reference: The encoder that it should agree with.
        batch_sizes: Batch sizes to try.
        only: Strata to compare; all by default.
        max_tokens: Length of the longest texts to make, capped at the models' own maximum.

    Raises:
        EncoderFaultError: If an engine returns impossible vectors, or the dimensions differ.
    """
    texts, notes = _texts(encoder, reference, only, max_tokens)
    order = [int(row) for row in np.random.default_rng(0).permutation(len(texts))]
    expected = _encode(reference.computing(), texts, order, len(texts))
    by_size = {size: _encode(encoder.computing(batch_size=size), texts, order, size) for size in batch_sizes}
    widths = {vectors.shape[1] for vectors in by_size.values()} | {expected.shape[1]}
    if len(widths) > 1:
        raise EncoderFaultError(
            f"'{encoder.spec}' has {encoder.dim} dimensions, the reference '{reference.spec}' {reference.dim}: "
            "another model, or dim= is set for one of them only."
        )
    cosines = np.stack([same_text_cosine(vectors, expected) for vectors in by_size.values()])
    overlaps = neighbour_overlap(by_size[batch_sizes[-1]], expected, NEIGHBOURS)
    rows: dict[str, list[int]] = {}
    for row, (name, _, _) in enumerate(texts):
        rows.setdefault(name, []).append(row)
    found = []
    for name, of in rows.items():
        part = cosines[:, of]
        batch, worst = divmod(int(part.argmin()), len(of))
        found.append(
            Stratum(
                name=name,
                texts=len(of),
                worst=float(part.min()),
                mean=float(part.mean()),
                overlap=float(overlaps[of].mean()),
                batch_size=batch_sizes[batch],
                text=texts[of[worst]][2],
            )
        )
    norms = [np.linalg.norm(vectors, axis=1) for vectors in (np.concatenate(list(by_size.values())), expected)]
    return Agreement(
        strata=tuple(sorted(found, key=lambda stratum: stratum.worst)),
        worst_by_batch_size={size: float(row.min()) for size, row in zip(batch_sizes, cosines, strict=True)},
        norms=((float(norms[0].min()), float(norms[0].max())), (float(norms[1].min()), float(norms[1].max()))),
        notes=tuple(notes),
    )


def _texts(
    encoder: Encoder, reference: Encoder, only: Sequence[str] | None, max_tokens: int
) -> tuple[list[tuple[str, TextKind, str]], list[str]]:
    limits = [one.identity.max_length for one in (encoder, reference) if one.identity.max_length]
    notes = []
    beyond: int | None = max(limits, default=_USUAL_LENGTH)
    if not limits:
        notes.append(f"neither encoder says how long a text it takes; {_USUAL_LENGTH} tokens were assumed")
    elif beyond and beyond > max_tokens:
        notes.append(f"nothing beyond max length was compared: it takes texts above max_tokens={max_tokens}")
        beyond = None
    chosen = strata(min([*limits, max_tokens], default=_USUAL_LENGTH), beyond)
    texts = [
        (name, kind, text) for name, (kind, some) in chosen.items() for text in some if only is None or name in only
    ]
    return texts, notes


def _encode(encoder: Encoder, texts: list[tuple[str, TextKind, str]], order: Sequence[int], size: int) -> Floats:
    """Return vectors of the texts, encoded in batches of ``size`` that mix lengths and scripts."""
    vectors: dict[int, Floats] = {}
    for kind in dict.fromkeys(kind for _, kind, _ in texts):
        rows = [row for row in order if texts[row][1] is kind]
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            vectors.update(zip(batch, encoder.encode([texts[row][2] for row in batch], kind, TASK), strict=True))
    return np.stack([vectors[row] for row in range(len(texts))])
