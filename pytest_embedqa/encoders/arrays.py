"""Conversion of a model's return value to an array, in all its forms, without losing a part on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt


def as_array(returned: object) -> npt.NDArray[Any]:
    """Return a model's return value as an array of real numbers.

    Args:
        returned: An array or tensor (of any device, with or without gradients), or rows of such in a list, tuple or iterator.

    Raises:
        TypeError: If the value is anything else; the text says what. NumPy would drop the imaginary part of complex
            numbers, take masked values for numbers and read numbers out of texts.
    """
    if isinstance(returned, np.ma.MaskedArray) and np.ma.is_masked(returned):
        raise TypeError(f"{_described(returned)} of which {int(np.sum(returned.mask))} values are masked")
    if hasattr(returned, "detach"):
        returned = _of_tensor(returned)
    elif isinstance(returned, Iterator | list | tuple):
        returned = [one if type(one) in {int, float} else as_array(one) for one in returned]
    elif hasattr(returned, "__dlpack__") and not hasattr(returned, "__array__"):
        returned = np.from_dlpack(returned)
    try:
        array = np.asarray(returned)
    except ValueError as error:
        raise TypeError("rows of different lengths") from error
    except TypeError as error:  # raised by an array that leaves its device only on request
        raise TypeError(_unreadable(returned, error)) from error
    if array.dtype.name.startswith(("bfloat", "float8")):  # ml_dtypes has these number formats, NumPy itself does not
        array = array.astype(np.float32)
    if array.dtype.kind not in "iuf":
        raise TypeError(_described(array if array.ndim else returned))
    return array


def _of_tensor(tensor: Any) -> npt.NDArray[Any]:  # torch need not be installed
    try:
        try:
            return np.asarray(tensor.numpy(force=True))
        except TypeError:  # formats without a counterpart in NumPy: bfloat16, float8
            return np.asarray(tensor.float().numpy(force=True))
    except (TypeError, RuntimeError) as error:  # sparse, nested, quantized, or without data
        raise TypeError(_unreadable(tensor, error)) from error


def _unreadable(value: object, error: Exception) -> str:
    return f"a {type(value).__name__} that can't be read as an array ({str(error).splitlines()[0]})"


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        numbers = " (complex numbers)" if value.dtype.kind == "c" else ""
        return f"{value.dtype}{numbers} of shape {value.shape}"
    return f"a {type(value).__name__}"
