"""The Ray cluster that replicas run on: it is found or started, and its CPUs and GPUs are shared out."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.spec import Spec

_SECONDS_TO_ANSWER = 10
# Engines that use the Ray which this process is connected to; the last to go disconnects.
_HOLDERS: set[object] = set()


@dataclass(frozen=True)
class Share:
    """The resources of the replicas of a spec.

    Attributes:
        replicas: Number of replicas.
        cpus: CPUs of each replica; also its number of threads.
        gpus: GPUs of each replica; a fraction is possible.
    """

    replicas: int
    cpus: int
    gpus: float

    def __str__(self) -> str:
        """Return the resources in the form of a spec."""
        return f"replicas={self.replicas}&cpus={self.cpus}&gpus={self.gpus:g}"


@contextlib.contextmanager
def connected() -> Iterator[None]:
    """Connect to the cluster of ``RAY_ADDRESS``, or start Ray on this machine; an existing connection is used as it is.

    Raises:
        EngineError: If there is no cluster at that address, or its version of Ray or Python differs.
    """
    import ray  # half a second to import

    if ray.is_initialized() and not _HOLDERS:
        yield
        return
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS") or "local"
        try:
            _require_answer(address)
            with _no_usage_statistics(), _sigterm_kept():
                ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
        except (OSError, RuntimeError, ValueError) as error:
            raise EngineError(
                f"Ray can't be reached or started at the address '{address}': {error}\n"
                "RAY_ADDRESS=HOST:PORT names a cluster that was made by 'ray start', with the same Ray and Python; without it Ray is started on this machine."
            ) from error
    holder = object()
    _HOLDERS.add(holder)
    try:
        yield
    finally:
        _HOLDERS.remove(holder)
        if not _HOLDERS:
            ray.shutdown()


def share_of(options: Mapping[str, Any]) -> Share:
    """Return the number of replicas and the resources of each, with defaults where the spec leaves them open.

    By default a replica has a GPU where the cluster has any, unless the model is told to run on the CPU; else each node
    has a replica. The CPUs
    are shared out, so that all replicas fit onto their nodes.
    """
    nodes = _nodes()
    on_cpu = str(options.get("device", "")).startswith("cpu")
    gpus = options.get("gpus", 0 if on_cpu or not any(node.get("GPU") for node in nodes) else 1)

    def room(cpus: int) -> int:
        return sum(_times(node, cpus, gpus) for node in nodes)

    replicas = options.get("replicas") or max(1, room(1) if gpus else sum(_times(node, 1, 0) > 0 for node in nodes))
    most = int(max((node.get("CPU", 0) for node in nodes), default=1))
    cpus = options.get("cpus") or max((n for n in range(1, most + 1) if room(n) >= replicas), default=1)
    return Share(replicas, cpus, gpus)


def no_room(spec: Spec, share: Share, placed: int, seconds: float) -> EngineError:
    """Return the error for replicas that the cluster has no place for: the requested and the existing resources."""
    import ray

    free = ray.available_resources()
    each = "; ".join(_amounts(node.get("CPU", 0), node.get("GPU", 0)) for node in _nodes())
    return EngineError(
        f"The Ray cluster has no room for the spec '{spec}': of {share}, with these CPUs and GPUs for each replica, {placed} found a place within {seconds:g} seconds. "
        f"Its nodes have {each}; free are {_amounts(free.get('CPU', 0), free.get('GPU', 0))}. "
        "Set replicas=, cpus= or gpus= lower in the spec, close what else uses the cluster, or wait longer for it with ray_timeout=."
    )


def _require_answer(address: str) -> None:
    """Check that something listens at HOST:PORT: Ray itself would try for minutes.

    Raises:
        OSError: If nothing listens.
    """
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host.removeprefix("ray://").strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()


def _nodes() -> list[dict[str, float]]:
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _times(node: Mapping[str, float], cpus: int, gpus: float) -> int:
    """Return the number of replicas that fit onto a node."""
    return int(min(node.get("CPU", 0) // cpus, node.get("GPU", 0) // gpus if gpus else inf))


def _amounts(cpus: float, gpus: float) -> str:
    return f"{cpus:g} CPUs and {gpus:g} GPUs"


@contextlib.contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Undo Ray's change to a process that connects: at SIGTERM it would exit, and pytest would report its own fault."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():  # in other threads Ray sets no handler
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _no_usage_statistics() -> Iterator[None]:
    """Keep a Ray that this process starts from reporting usage statistics; only the environment can tell it so."""
    name = "RAY_USAGE_STATS_ENABLED"
    before = os.environ.get(name)
    os.environ[name] = before or "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
