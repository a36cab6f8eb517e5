"""``--embedqa-devices``: how many encoders work side by side under pytest-xdist, and where."""

from __future__ import annotations

import pytest

from pytest_embedqa.encoders.devices import Gpus
from pytest_embedqa.plugin import read_settings, state

CUDA = "CUDA_VISIBLE_DEVICES"


@pytest.fixture
def places(pytester, monkeypatch):
    """What each encoder's process of a run is told, on a machine with four GPUs or so many."""

    def read(*arguments, gpus=("0", "1", "2", "3")):
        monkeypatch.setattr(read_settings, "find_gpus", lambda: Gpus(gpus))
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        return state.settings_of(pytester.parseconfigure(*arguments)).devices

    return read


def test_all_gpus_by_default(places):
    """An encoder a GPU, with no flag; one where there is one, or none."""
    assert [place[CUDA] for place in places("--embedqa-model=st:m")] == ["0", "1", "2", "3"]
    assert places("--embedqa-model=st:m", gpus=("0",)) == places("--embedqa-model=st:m", gpus=()) == ({},)


def test_a_number_or_a_list(places):
    """So many encoders, or those GPUs."""
    assert [place[CUDA] for place in places("--embedqa-devices=2")] == ["0,1", "2,3"]
    assert [place[CUDA] for place in places("--embedqa-devices=2,0")] == ["2", "0"]
    assert len(places("--embedqa-devices=2", gpus=())) == 2


@pytest.mark.parametrize(
    "given",
    [
        ["--embedqa-model=vllm:m?tensor_parallel_size=2"],
        ["--embedqa-model=vllm:m", "--embedqa-baseline=vllm:old?tensor_parallel_size=2"],
    ],
)
def test_a_model_of_several_gpus_gets_them(places, given):
    """Where a spec says that its model is spread over two GPUs, four give two encoders."""
    assert [place[CUDA] for place in places(*given)] == ["0,1", "2,3"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("many", "*--embedqa-devices: 'many' is neither a number of encoders from 1 up*"),
        ("0,9", "*--embedqa-devices: GPU 9 can't be used: those here are 0, 1.*"),
        ("3", "*--embedqa-devices: 3 encoders need 3 GPUs, but those here are 0, 1.*"),
    ],
)
def test_what_can_not_be_is_a_usage_error(run, monkeypatch, given, text):
    """The run stops before anything is collected."""
    monkeypatch.setattr(read_settings, "find_gpus", lambda: Gpus(("0", "1")))
    result = run(f"--embedqa-devices={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([text])


def test_without_workers_it_changes_nothing(pytester, run, monkeypatch):
    """One process has one encoder, on what is visible to it."""
    monkeypatch.setattr(read_settings, "find_gpus", lambda: Gpus(("0", "1")))
    monkeypatch.setenv(CUDA, "0,1")
    pytester.makepyfile(f"""
        import os
        def test_it(encoder): assert os.environ["{CUDA}"] == "0,1"
    """)
    result = run("--embedqa-devices=2")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*side by side*")
