"""Which devices there are, and how encoders share them: read from files and variables, here those of made-up machines."""

from __future__ import annotations

import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.encoders.devices import Gpus, find_gpus, read_devices, share

CUDA, HIP = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"
NVIDIA = ("nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1", "nvidia10")


@pytest.mark.parametrize(
    ("files", "environment", "ids"),
    [
        (("null", "dri"), {}, ()),
        (("null",), {CUDA: "0,1"}, ()),
        (NVIDIA, {}, ("0", "1", "2")),
        (("nvidiactl", "nvidia2"), {}, ("0",)),
        (NVIDIA, {CUDA: "2, 0"}, ("2", "0")),
        (NVIDIA, {CUDA: "GPU-8932f937-d72c,MIG-41b36325"}, ("GPU-8932f937-d72c", "MIG-41b36325")),
        (NVIDIA, {CUDA: ""}, ()),
        (NVIDIA, {CUDA: "-1"}, ()),
        (NVIDIA, {CUDA: "1,-1,0"}, ("1",)),
        (NVIDIA, {HIP: "0"}, ("0", "1", "2")),
        (("nvidiactl",), {}, ("0",)),
        (("dxg",), {}, ("0",)),
        (("dxg",), {CUDA: "0,1"}, ("0", "1")),
        (("kfd", "dri"), {}, ("0",)),
        (("kfd",), {HIP: "0,1"}, ("0", "1")),
        (("kfd",), {CUDA: "0,1,2"}, ("0", "1", "2")),
    ],
)
def test_gpus_of_a_machine(tmp_path, files, environment, ids):
    """Device files are counted, and not taken for ids; the variable of the maker chooses among them; none is none."""
    for file in files:
        (tmp_path / file).touch()
    assert find_gpus(environment, tmp_path).ids == ids


def test_amd_is_told_by_the_variable_that_it_was_given_by(tmp_path):
    """Workers get their device by the variable that is in use, which on AMD's may be either."""
    (tmp_path / "kfd").touch()
    assert find_gpus({HIP: "0,1", CUDA: "0"}, tmp_path) == Gpus(("0", "1"), HIP)
    assert find_gpus({CUDA: "0,1"}, tmp_path) == Gpus(("0", "1"), CUDA)


@pytest.mark.parametrize(
    ("text", "devices"),
    [("2", 2), (" 1 ", 1), ("0,1", ("0", "1")), ("0, 3", ("0", "3")), ("MIG-41b3", ("MIG-41b3",))],
)
def test_number_or_list(text, devices):
    """A number is one of encoders; with a comma, or a UUID, it is a list of GPUs."""
    assert read_devices(text) == devices


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "two", "0,", "0;1", "cuda:0,cuda:1"])
def test_what_is_neither_is_an_error(text):
    """The message shows both forms; 0 would be no encoder, and might be meant for the first GPU."""
    with pytest.raises(SpecError) as error:
        read_devices(text)
    assert str(error.value) == (
        f"'{text}' is neither a number of encoders from 1 up, such as 2, nor a list of GPUs, such as 0,1. "
        "To use only one GPU, set CUDA_VISIBLE_DEVICES."
    )


FOUR = Gpus(("0", "1", "2", "3"))


@pytest.mark.parametrize(
    ("gpus", "wanted", "each", "places"),
    [
        (FOUR, None, 1, ["0", "1", "2", "3"]),
        (FOUR, None, 2, ["0,1", "2,3"]),
        (FOUR, None, 3, ["0,1,2,3"]),
        (FOUR, 3, 1, ["0", "1", "2"]),
        (FOUR, 2, 1, ["0,1", "2,3"]),
        (FOUR, ("3", "1"), 1, ["3", "1"]),
        (FOUR, ("0", "0"), 1, ["0", "0"]),
        (FOUR, ("2", "3"), 2, ["2,3"]),
        (FOUR, ("2",), 1, ["2"]),
        (Gpus(("MIG-1", "MIG-2")), None, 1, ["MIG-1", "MIG-2"]),
    ],
)
def test_gpus_are_shared_out(gpus, wanted, each, places):
    """An encoder a GPU, or one for as many as its model needs; fewer encoders have more GPUs each."""
    all_of_them = [{}] if places == ["0,1,2,3"] else [{CUDA: place} for place in places]
    assert list(share(gpus, wanted, each, environment={})) == all_of_them


def test_variable_of_the_maker_is_set():
    """What chose the GPUs of the run chooses that of a worker."""
    assert share(Gpus(("0", "1"), HIP), None, environment={}) == ({HIP: "0"}, {HIP: "1"})


@pytest.mark.parametrize(
    ("wanted", "environment", "places"),
    [
        (None, {}, [{}]),
        (1, {}, [{}]),
        (2, {}, [{"OMP_NUM_THREADS": "4"}] * 2),
        (9, {}, [{"OMP_NUM_THREADS": "1"}] * 9),
        (2, {"OMP_NUM_THREADS": "3"}, [{}] * 2),
    ],
)
def test_processors_are_shared_out(wanted, environment, places):
    """Without a GPU there is one encoder, or as many as are asked for with a part of the cores each, unless that is set."""
    assert list(share(Gpus(), wanted, environment=environment, cores=8)) == places


def test_one_gpu_changes_nothing():
    """With nothing to share, a worker is told nothing: what is visible to the run is to it."""
    assert share(Gpus(("GPU-1",)), None, environment={}) == ({},)


@pytest.mark.parametrize(
    ("gpus", "wanted", "text"),
    [
        (FOUR, ("3", "7"), "GPU 7 can't be used: those here are 0, 1, 2, 3. Name others, or a number of encoders."),
        (Gpus(), ("0", "1"), "GPU 0, 1 can't be used: there is no GPU here. Name others, or a number of encoders."),
        (
            Gpus(("0", "1")),
            3,
            "3 encoders need 3 GPUs, but those here are 0, 1. Ask for 2 at most, or name a GPU several times: 0,0,0.",
        ),
    ],
)
def test_what_is_not_there_is_an_error(gpus, wanted, text):
    """No two encoders share a GPU unless the user says so."""
    with pytest.raises(SpecError) as error:
        share(gpus, wanted, environment={})
    assert str(error.value) == text
