"""What models return becomes an array without losing a part, or is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pytest_embedqa.encoders.arrays import as_array

VALUES = [[1.0, 2.5], [-3.0, 4.0]]


class Exporting:
    """As arrays of libraries that know DLPack and not NumPy."""

    def __dlpack__(self, **asked):
        """Its values."""
        return np.array(VALUES).__dlpack__(**asked)

    def __dlpack_device__(self):
        """The CPU."""
        return np.array(VALUES).__dlpack_device__()


class Elsewhere:
    """As CuPy's arrays, which leave the GPU only on request."""

    def __array__(self, *_, **__):
        """No values."""
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")


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
    "negative view": torch._neg_view(-torch.tensor(VALUES)),
    "parameter": torch.nn.Parameter(torch.tensor(VALUES)),
    "numbers of torch in lists": [list(row) for row in torch.tensor(VALUES, dtype=torch.bfloat16, requires_grad=True)],
    "numbers of NumPy in lists": [[np.float16(one) for one in row] for row in VALUES],
    "generator of generators": ((one for one in row) for row in VALUES),
    "object with __array__": type("Array", (), {"__array__": lambda *_, **__: np.array(VALUES)})(),
    "object with DLPack alone": Exporting(),
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
    "nothing in a row": ([[1.0, None]], "a NoneType"),
    "numbers as texts": ([["1.0", "2.0"]], "a str"),
    "numbers as texts in an array": (np.array([["1.0", "2.0"]]), r"<U3 of shape \(1, 2\)"),
    "masked in a list": ([[1.0, np.ma.masked]], r"float64 of shape \(\) of which 1 values are masked"),
    "masked array in a list": (
        [[np.ma.array([1.0, 2.0], mask=[True, False])]],
        r"float64 of shape \(2,\) of which 1 values are masked",
    ),
    "complex in a list": ([[1.0, 1j]], "a complex"),
    "sparse": (torch.eye(2).to_sparse(), r"a Tensor that can't be read as an array \(can't convert Sparse layout.*"),
    "without data": (torch.ones(2, 2, device="meta"), r"a Tensor that can't be read as an array \(Cannot copy out.*"),
    "on another device": (Elsewhere(), r"a Elsewhere that can't be read as an array \(Implicit conversion.*"),
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
