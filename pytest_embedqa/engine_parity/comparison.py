"""The distance between the vectors of two encoders, by stratum of text and by batch size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pytest_embedqa.core.errors import EncoderFaultError, SpecError
from pytest_embedqa.core.measures import Floats, overlap_of_best
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import QUERY, TaskContext, TextKind
from pytest_embedqa.encoders.representations import DENSE, MULTI_VECTOR, Row
from pytest_embedqa.encoders.system import System
from pytest_embedqa.engine_parity.texts import strata

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
MAX_TOKENS = 4096
NEIGHBOURS = 10
MEASURES = ("cosine", "mean_cosine", "overlap", "kendall")
# Tokens to assume where neither encoder tells its maximum length.
_USUAL_LENGTH = 512
# A task with an instruction, so that instructed models are compared with an instruction.
TASK = TaskContext("parity", "Retrieval", {QUERY: "Given a question, retrieve the sentence that answers it"})


@dataclass(frozen=True)
class Stratum:
    """The agreement on one kind of text.

    Attributes:
        name: Name of the kind.
        texts: Number of texts; where rankings are compared, of queries.
        worst: Lowest cosine between the two vectors of a text, over all batch sizes; of rankings, Kendall's tau.
        mean: Mean of the same, over texts and batch sizes.
        overlap: Mean share of the ten nearest neighbours, or best documents, that both have in common.
        batch_size: Batch size at which the worst was seen.
        text: The text, or query, of the worst.
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
    """The agreement of two models on the same texts.

    Attributes:
        strata: Agreement by kind of text, the first to break in front.
        worst_by_batch_size: Lowest cosine, or Kendall's tau, at each batch size.
        norms: Smallest and largest vector length of the encoder under test, and of the reference; empty for rankings.
        notes: Reasons for what could not be compared.
        by: What was compared: ``cosine`` of vectors, or ``kendall`` of rankings.
    """

    strata: tuple[Stratum, ...]
    worst_by_batch_size: Mapping[int, float]
    norms: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()
    by: str = "cosine"

    @property
    def cosine(self) -> float:
        """The lowest cosine of all."""
        return self.strata[0].worst

    @property
    def mean_cosine(self) -> float:
        """The lowest mean cosine of a stratum."""
        return min(stratum.mean for stratum in self.strata)

    @property
    def kendall(self) -> float:
        """The mean Kendall's tau over all queries and batch sizes."""
        return sum(stratum.mean * stratum.texts for stratum in self.strata) / sum(one.texts for one in self.strata)

    @property
    def overlap(self) -> float:
        """The mean overlap of neighbours, or of the best documents, over all texts or queries."""
        return sum(stratum.overlap * stratum.texts for stratum in self.strata) / sum(one.texts for one in self.strata)


def of_kind(by: str) -> tuple[str, ...]:
    """Return the measures of a comparison of vectors (``cosine``) or of rankings (``kendall``)."""
    return ("kendall", "overlap") if by == "kendall" else ("cosine", "mean_cosine", "overlap")


@dataclass
class ParityResult:
    """The value of the fixture ``parity_result``: a comparison, made on first use.

    Attributes:
        encoder: The encoder or reranker under test.
        reference: Function that loads the reference.
        compare: Function that compares, or returns an earlier comparison.
    """

    encoder: System
    reference: Callable[[], System]
    compare: Callable[[], Agreement] = field(repr=False)

    @cached_property
    def comparison(self) -> Agreement:
        """The whole comparison."""
        return self.compare()

    def __getitem__(self, measure: str) -> float:
        """Return ``cosine`` (the lowest), ``mean_cosine`` (of the worst stratum), ``overlap`` or ``kendall`` (means)."""
        measures = of_kind(self.comparison.by) if measure in MEASURES else MEASURES
        if measure not in measures:
            raise KeyError(f"parity_result has {', '.join(measures)}, not {measure!r}")
        value: float = getattr(self.comparison, measure)
        return value


def compare(
    encoder: System,
    reference: System,
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
        SpecError: If one has no vectors, or vectors of another kind.
    """
    if not (isinstance(encoder, Encoder) and isinstance(reference, Encoder)) or encoder.kind != reference.kind:
        raise SpecError(
            f"The vectors of '{encoder.spec}' ({encoder.kind}) and of the reference '{reference.spec}' ({reference.kind}) can't be compared. "
            "Compare how they rank: min_kendall= and min_overlap=, without min_cosine= and min_mean_cosine=."
        )
    texts, notes = _texts(encoder, reference, only, max_tokens)
    order = [int(row) for row in np.random.default_rng(0).permutation(len(texts))]
    expected = _encode(reference.computing(), texts, order, len(texts))
    by_size = {size: _encode(encoder.computing(batch_size=size), texts, order, size) for size in batch_sizes}
    if encoder.dim != reference.dim:
        raise EncoderFaultError(
            f"'{encoder.spec}' has {encoder.dim} dimensions, the reference '{reference.spec}' {reference.dim}: "
            "another model, or dim= is set for one of them only."
        )
    cosines = np.array([closeness(encoder, rows, expected) for rows in by_size.values()])
    last = by_size[batch_sizes[-1]]
    overlaps = overlap_of_best(
        _similarities(encoder, last), _similarities(encoder, expected), min(NEIGHBOURS, len(texts) - 1)
    )
    if encoder.kind == MULTI_VECTOR.name and (apart := _other_lengths(last, expected)):
        notes.append(
            f"{apart} of {len(texts)} texts have another number of token vectors than in the reference: their cosine is 0"
        )
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
    norms = [_norms(rows) for rows in ([row for some in by_size.values() for row in some], expected)]
    return Agreement(
        strata=tuple(sorted(found, key=lambda stratum: stratum.worst)),
        worst_by_batch_size={size: float(row.min()) for size, row in zip(batch_sizes, cosines, strict=True)},
        norms=((float(norms[0].min()), float(norms[0].max())), (float(norms[1].min()), float(norms[1].max()))),
        notes=tuple(notes),
    )


def _texts(
    encoder: Encoder, reference: Encoder, only: Sequence[str] | None, max_tokens: int
) -> tuple[list[tuple[str, TextKind, str]], list[str]]:
    limits = [limit for one in (encoder, reference) if (limit := one.max_length())]
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


def _encode(encoder: Encoder, texts: list[tuple[str, TextKind, str]], order: Sequence[int], size: int) -> list[Row]:
    """Return rows of the texts, encoded in batches of ``size`` that mix lengths and scripts."""
    found: dict[int, Row] = {}
    for kind in dict.fromkeys(kind for _, kind, _ in texts):
        places = [place for place in order if texts[place][1] is kind]
        for start in range(0, len(places), size):
            batch = places[start : start + size]
            encoded = encoder.encode([texts[place][2] for place in batch], kind, TASK)
            found.update(zip(batch, encoder.representation.split(encoded), strict=True))
    return [found[place] for place in range(len(texts))]


def closeness(encoder: Encoder, first: Sequence[Row], second: Sequence[Row]) -> Floats:
    """Return how close the rows of the same texts are, shape (n,)."""
    return np.array([encoder.representation.closeness(one, other) for one, other in zip(first, second, strict=True)])


def _similarities(encoder: Encoder, rows: Sequence[Row]) -> Floats:
    """Return similarities of all texts with each other, shape (n, n); a text is not its own neighbour."""
    joined = encoder.representation.join(rows, encoder.identity)
    by = "cosine" if encoder.kind == DENSE.name else encoder.identity.similarity
    found = encoder.representation.similarity(joined, joined, by).astype(np.float64)
    np.fill_diagonal(found, -np.inf)
    return found


def _other_lengths(first: Sequence[Row], second: Sequence[Row]) -> int:
    return sum(len(one) != len(other) for one, other in zip(first, second, strict=True))


def _norms(rows: Sequence[Row]) -> Floats:
    """Return the lengths of all vectors, those of tokens included."""
    numbers = (row["weight"] if row.dtype.names else row for row in rows)
    return np.concatenate([np.atleast_1d(np.linalg.norm(one, axis=-1)) for one in numbers])
