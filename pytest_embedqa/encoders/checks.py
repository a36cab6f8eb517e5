"""Checks of an engine's vectors before they are stored or scored: a wrong vector must not become a score."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from pytest_embedqa.core.errors import EncoderFaultError, NotFiniteError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.measures import same_text_cosine
from pytest_embedqa.core.showing import shown
from pytest_embedqa.encoders.arrays import as_array
from pytest_embedqa.encoders.engine import Engine, Vectors

# Fewer distinct texts may rightly share a vector (blank texts, or the same beginning).
DISTINCT_TEXTS = 8
_DISTINCT_CHARACTERS = 64
_PLAIN_WORDS = ("bread", "the night train", "42 degrees")
# Vectors of low-precision engines depend on the batch in the third decimal. Another row's vector is far below.
_SAME_TEXT_COSINE = 0.9
_SMALLEST_CHECKED_BATCH = 4


def check_batch(vectors: Vectors, texts: Sequence[str], identity: Identity) -> None:
    """Check the shape and finiteness of a batch of vectors.

    Raises:
        EncoderFaultError: If a check fails; the text names the fault and an input that shows it.
    """
    engine = f"The engine '{identity.engine}' ({identity.model})"
    if vectors.ndim != 2 or len(vectors) != len(texts):  # noqa: PLR2004
        raise EncoderFaultError(
            f"{engine} returned an array of shape {vectors.shape} for {len(texts)} texts; ({len(texts)}, dimensions) was expected."
        )
    if not vectors.shape[1]:
        raise EncoderFaultError(f"{engine} returned vectors of no dimension, without a number in them.")
    if identity.full_dim and vectors.shape[1] != identity.full_dim:
        raise EncoderFaultError(
            f"{engine} returned vectors of {vectors.shape[1]} dimensions; it has promised {identity.full_dim}."
        )
    broken = ~np.isfinite(vectors).all(axis=1)
    if broken.any():
        row = int(np.argmax(broken))
        raise NotFiniteError(
            f"{engine} returned NaN or infinity for {int(broken.sum())} of {len(texts)} texts, for instance for {texts[row]!r:.120}. "
            + (
                "Common causes: float16 overflow (use dtype=bfloat16 or float32), a broken weight file."
                if identity.dtype != "float32" or not identity.weights
                else "Common cause: a broken weight file. Fetch the model again."
            )
        )


def check_distinct(engine: Engine, vectors: Vectors, texts: Sequence[str], prompt_length: int = 0) -> None:
    """Check that not all texts have the same vector, unless the tokenizer can't tell them apart.

    all-MiniLM-L6-v2, for example, reads a Thai sentence as a single unknown token: its scores there are poor and
    real. A few plain words decide whether the engine looks at its input at all.

    Raises:
        EncoderFaultError: If the plain words share a vector too.
    """
    begun = {text[prompt_length:].strip()[:_DISTINCT_CHARACTERS] for text in texts}
    if len(begun) < DISTINCT_TEXTS or not np.allclose(vectors, vectors[0], atol=1e-6):
        return
    found = (
        f"The engine '{engine.identity.engine}' ({engine.identity.model}) returned the same vector for {len(begun)} different texts, "
        f"among them {texts[0]!r:.60} and {texts[-1]!r:.60}."
    )
    words = as_vectors(engine.embed(list(_PLAIN_WORDS)), engine.identity)
    if np.allclose(words, words[0], atol=1e-6):
        raise EncoderFaultError(f"{found} It does not look at its input: check pooling, tokenizer and weights.")
    warnings.warn(shown(f"{found} Its tokenizer probably does not know their script."), stacklevel=2)


def check_alone(engine: Engine, texts: Sequence[str], vectors: Vectors) -> bool:
    """Check that a batch's rows belong to their texts: two texts, embedded alone, must give their rows again.

    Returns:
        Whether the batch was large enough to tell.

    Raises:
        EncoderFaultError: If the vector of a text depends on its place in the batch.
    """
    if len(texts) < _SMALLEST_CHECKED_BATCH:
        return False
    rows = [1, len(texts) - 1]
    alone = np.concatenate([as_vectors(engine.embed([texts[row]]), engine.identity) for row in rows])
    cosines = same_text_cosine(alone, vectors[rows])
    worst = int(np.argmin(cosines))
    if not cosines[worst] >= _SAME_TEXT_COSINE:
        identity = engine.identity
        raise EncoderFaultError(
            f"The engine '{identity.engine}' ({identity.model}) gave {texts[rows[worst]]!r:.60} another vector in a batch of {len(texts)} "
            f"than alone (cosine {cosines[worst]:.3f}). Rows are returned in another order than the texts, or padding changes the vectors."
        )
    return True


def as_vectors(returned: object, identity: Identity) -> Vectors:
    """Return an engine's return value as an array of float32.

    Raises:
        EncoderFaultError: If the value is no array of numbers, or a number is beyond float32.
    """
    engine = f"The engine '{identity.engine}' ({identity.model})"
    try:
        array = as_array(returned)
    except TypeError as error:
        raise EncoderFaultError(
            f"{engine} returned {error}. An array of real numbers of shape (texts, dimensions) is expected."
        ) from error
    with np.errstate(over="ignore"):
        vectors = array.astype(np.float32, copy=False)
    beyond = np.isinf(vectors) & np.isfinite(array)
    if beyond.any():
        raise EncoderFaultError(
            f"{engine} returned {array[beyond][0]:g}, which is beyond float32 (3.4e38), in which vectors are kept. Scale or normalise them."
        )
    return vectors


def check_one_width(vectors: Iterable[Vectors], identity: Identity) -> None:
    """Check that all vectors of a model have the same number of dimensions.

    Raises:
        EncoderFaultError: If the numbers differ.
    """
    widths = {len(vector) for vector in vectors}
    if len(widths) > 1:
        raise EncoderFaultError(
            f"The engine '{identity.engine}' returned vectors of different dimensions: {sorted(widths)}. A model has one: look at what is behind the engine."
        )
