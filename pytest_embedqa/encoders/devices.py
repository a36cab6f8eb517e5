"""GPUs of this machine, and their division among several encoders.

GPUs are found by the drivers' device files and the environment: asking torch would take seconds and start CUDA in a
process that has yet to be told its device.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.encoders.threads import allowed_cpus

_ALL = "CUDA_VISIBLE_DEVICES"
_AMD = "HIP_VISIBLE_DEVICES"
_THREADS = "OMP_NUM_THREADS"
_ID = re.compile(r"\d+|(?:GPU|MIG)-\S+")


@dataclass(frozen=True)
class Gpus:
    """The GPUs that this process may use.

    Attributes:
        ids: Numbers or UUIDs in the form that ``variable`` takes; empty on a machine without GPUs.
        variable: Environment variable that chooses among them.
    """

    ids: tuple[str, ...] = ()
    variable: str = _ALL


def find_gpus(environment: Mapping[str, str] = os.environ, files: Path = Path("/dev")) -> Gpus:
    """Find the GPUs that this process may use, in the order in which CUDA numbers them.

    Without ``CUDA_VISIBLE_DEVICES`` the count is that of NVIDIA's device files. Their names are no ids: CUDA numbers a
    container's GPUs from 0, even if its only GPU is ``nvidia2``. AMD's files do not tell a GPU from a graphics unit on
    the processor. Windows' subsystem has no file for each GPU, so that it counts as a single GPU.
    """
    nvidia = len([file for file in files.glob("nvidia*") if file.name.removeprefix("nvidia").isdecimal()])
    amd = not nvidia and (files / "kfd").exists()
    if not (nvidia or amd or any((files / name).exists() for name in ("nvidiactl", "dxg"))):
        return Gpus()
    variable = _AMD if amd and _AMD in environment else _ALL
    visible = environment.get(variable)
    if visible is None:
        return Gpus(tuple(map(str, range(max(nvidia, 1)))), variable)
    ids = []
    for one in visible.split(","):
        if not _ID.fullmatch(one.strip()):
            break  # CUDA too ignores everything from the first invalid number on, such as -1
        ids.append(one.strip())
    return Gpus(tuple(ids), variable)


def read_devices(text: str) -> int | tuple[str, ...]:
    """Parse the value of ``--embedqa-devices``.

    Args:
        text: A number of encoders, or ids of GPUs with commas between them.

    Raises:
        SpecError: If the text is neither.
    """
    ids = tuple(one.strip() for one in text.split(","))
    if re.fullmatch("0*[1-9][0-9]{0,3}", text.strip()):
        return int(text)
    if text.strip().isdecimal() or not all(map(_ID.fullmatch, ids)):
        raise SpecError(
            f"'{text}' is neither a number of encoders from 1 up, such as 2, nor a list of GPUs, such as 0,1. "
            f"To use only one GPU, set {_ALL}."
        )
    return ids


def share(
    gpus: Gpus,
    wanted: int | tuple[str, ...] | None,
    each: int = 1,
    *,
    environment: Mapping[str, str] = os.environ,
    cores: int | None = None,
) -> tuple[dict[str, str], ...]:
    """Return the environment variables of each process that holds an encoder of its own.

    Args:
        gpus: The GPUs of this machine.
        wanted: Number of encoders, or ids of the GPUs to use; by default all GPUs, or one encoder where there are none.
        each: Number of GPUs that a model needs.
        environment: Variables that are already set.
        cores: Cores that processes without a GPU share; those of this machine by default.

    Raises:
        SpecError: If there are not enough GPUs, or a wanted GPU does not exist.
    """
    ids = wanted if isinstance(wanted, tuple) else gpus.ids
    if missing := [one for one in ids if one not in gpus.ids]:
        there = f"those here are {', '.join(gpus.ids)}" if gpus.ids else "there is no GPU here"
        raise SpecError(f"GPU {', '.join(missing)} can't be used: {there}. Name others, or a number of encoders.")
    number = wanted if isinstance(wanted, int) else max(len(ids) // each, 1)
    if ids and number > len(ids):
        raise SpecError(
            f"{number} encoders need {number} GPUs, but those here are {', '.join(ids)}. Ask for {len(ids)} at most, "
            f"or name a GPU several times: {','.join([ids[0]] * number)}."
        )
    if number == 1 and ids == gpus.ids:
        return ({},)  # as without xdist
    if ids:
        size = len(ids) // number
        return tuple({gpus.variable: ",".join(ids[size * k : size * (k + 1)])} for k in range(number))
    threads = max((cores or len(allowed_cpus())) // number, 1)
    return ({} if _THREADS in environment else {_THREADS: str(threads)},) * number
