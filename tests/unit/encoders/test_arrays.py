"""What models return becomes an array without losing a part, or is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pytest_embedqa.encoders.arrays import as_array

VALUES = [[1.0, 2.5], [-3.0, 4.0]]

FORMS = {
    "lists": VALUES,
    "tuples": tuple(map(tuple, VALUES)),
    "array": np.array(VALUES),
    "list of arrays": [np.array(row) for row in VALUES],
    "generator": (np.array(row) for row in VALUES),
    "map": map(list, VALUES),
    "tensor": torch.tensor(VALUES),
    "tensor with gradients": torch.tensor(VALUES, requires_grad=True),
    "bfloat16": torch.tensor(VALUES, dtype=torch.bfloat16),
    "bfloat16 with gradients": torch.tensor(VALUES, dtype=torch.bfloat16, requires_grad=True),
    "float8": torch.tensor(VALUES).to(torch.float8_e4m3fn),
    "float16": torch.tensor(VALUES, dtype=torch.float16),
    "list of tensors": list(torch.tensor(VALUES, dtype=torch.bfloat16, requires_grad=True)),
    "conjugate view of a real tensor": torch.tensor(VALUES).conj(),
    "masked array without a mask": np.ma.masked_less(np.array(VALUES), -10),
}


@pytest.mark.parametrize("returned", FORMS.values(), ids=FORMS)
def test_forms_of_vectors(returned):
    """Lists, arrays and tensors of any format, with gradients, and rows of them are vectors."""
    array = as_array(returned)
    assert isinstance(array, np.ndarray)
    assert array.tolist() == VALUES


def test_numbers_are_kept_as_they_are():
    """Integers and half precision are not changed on the way."""
    assert as_array(np.array([[1, 2]], np.int8)).dtype == np.int8
    assert as_array(torch.tensor([[1.0]], dtype=torch.float16)).dtype == np.float16
    assert as_array(torch.tensor([[7]])).dtype == np.int64


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensor_on_another_device():
    """A tensor may lie on a GPU."""
    assert as_array(torch.tensor(VALUES, device="cuda", dtype=torch.bfloat16, requires_grad=True)).tolist() == VALUES
    assert as_array(list(torch.tensor(VALUES, device="cuda"))).tolist() == VALUES


OTHERS = {
    "complex": (np.array(VALUES) * 1j, r"complex128 \(complex numbers\) of shape \(2, 2\)"),
    "complex tensor": (torch.tensor(VALUES) * 1j, r"complex64 \(complex numbers\) of shape \(2, 2\)"),
    "masked": (np.ma.masked_less(np.array(VALUES), 2), r"float64 of shape \(2, 2\) of which 2 values are masked"),
    "rows of masked": (
        list(np.ma.masked_less(np.array(VALUES), 2)),
        r"float64 of shape \(2,\) of which 1 values are masked",
    ),
    "objects": (np.array(VALUES, dtype=object), r"object of shape \(2, 2\)"),
    "nothing in a row": ([[1.0, None]], r"object of shape \(1, 2\)"),
    "numbers as texts": ([["1.0", "2.0"]], r"<U3 of shape \(1, 2\)"),
    "truth values": (np.array([[True, False]]), r"bool of shape \(1, 2\)"),
    "nothing": (None, "a NoneType"),
    "dictionary": ({"dense_vecs": VALUES}, "a dict"),
    "rows of different lengths": ([[1.0], [1.0, 2.0]], "rows of different lengths"),
    "tensors of different lengths": ([torch.ones(1), torch.ones(2)], "rows of different lengths"),
}


@pytest.mark.parametrize(("returned", "says"), OTHERS.values(), ids=OTHERS)
def test_what_would_lose_a_part_is_named(returned, says):
    """Complex numbers, masked values, texts and objects are no vectors, and the error says what they are."""
    with pytest.raises(TypeError, match=f"^{says}$"):
        as_array(returned)
