"""Checks of an engine's vectors before they are stored or scored: a wrong vector must not become a score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from pytest_embedqa.core.errors import EncoderFaultError, NotFiniteError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.arrays import as_array
from pytest_embedqa.encoders.engine import Vectors


def check_batch(vectors: Vectors, texts: Sequence[str], identity: Identity) -> None:
    """Check the shape and finiteness of a batch of vectors.

    Raises:
        EncoderFaultError: If a check fails; the text names the fault and an input that shows it.
    """
    check_shape(vectors.shape, texts, identity)
    check_finite(np.all(np.isfinite(vectors), axis=1), texts, identity)


def check_shape(shape: tuple[int, ...], texts: Sequence[str], identity: Identity) -> None:
    """Check that a batch has a row for each text, of the dimensions that the engine has promised.

    Raises:
        EncoderFaultError: If it has not.
    """
    engine = f"The engine '{identity.engine}' ({identity.model})"
    if len(shape) != 2 or shape[0] != len(texts):  # noqa: PLR2004
        raise EncoderFaultError(
            f"{engine} returned an array of shape {shape} for {len(texts)} texts; ({len(texts)}, dimensions) was expected."
        )
    if not shape[1]:
        raise EncoderFaultError(f"{engine} returned vectors of no dimension: they hold no numbers.")
    if identity.full_dim and shape[1] != identity.full_dim:
        raise EncoderFaultError(
            f"{engine} returned vectors of {shape[1]} dimensions; it has promised {identity.full_dim}."
        )


def check_finite(finite: npt.NDArray[np.bool_], texts: Sequence[str], identity: Identity) -> None:
    """Check that no text of a batch has NaN or infinity among its numbers.

    Args:
        finite: Whether all numbers of a text are finite, shape (texts,).
        texts: The texts.
        identity: Identity of the engine.

    Raises:
        NotFiniteError: If one has; the text names an input that shows it.
    """
    engine, broken = f"The engine '{identity.engine}' ({identity.model})", ~finite
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
            f"The engine '{identity.engine}' returned vectors of different dimensions: {sorted(widths)}. A model has a single dimension: check which models answer for the engine."
        )
