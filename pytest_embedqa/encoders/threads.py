"""Number of threads to compute with, by what this process may really use, not by what the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_TOPOLOGY = Path("/sys/devices/system/cpu")


def cpu_threads() -> int | None:
    """Return the number of threads that an engine takes by default, or ``None`` for its library's own number.

    A library that counts the cores of a large machine inside a small container starts many threads for few cores;
    they then wait for one another. The number is the smaller of the physical cores this process may run on and its
    container's CPU quota. ``OMP_NUM_THREADS`` (of the user, a launcher, Ray) goes before that, and in a worker of
    pytest-xdist nothing is decided here.
    """
    if decided := os.environ.get("OMP_NUM_THREADS"):
        return int(decided) if decided.isdecimal() else None
    return None if "PYTEST_XDIST_WORKER" in os.environ else usable_cores()


def allowed_cpus() -> set[int]:
    """Return the CPUs this process may run on; a container or taskset may allow fewer than the machine has."""
    # macOS and Windows have no affinity.
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def usable_cores(cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP, topology: Path = _TOPOLOGY) -> int:
    """Return the number of physical cores this process may use, at least 1: by affinity and its cgroups' CPU quota.

    Args:
        cgroups: Folder where the cgroup file systems are mounted.
        membership: File that lists the cgroups of this process, each in a line ``number:controllers:path``.
        topology: The kernel's folder with a folder for each CPU.
    """
    # CPUs of the same core share its arithmetic units: a second thread there gains nothing.
    cores = len({_siblings(topology, cpu) for cpu in allowed_cpus()})
    quota = cgroup_quota(cgroups, membership)
    return max(1, min(cores, math.ceil(quota)) if quota else cores)


def cgroup_quota(cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> float | None:
    """Return the CPU time per second that this process may use, or ``None`` without a limit.

    The strictest limit counts, of its cgroup and of all cgroups above.
    """
    quotas = []
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounts, read = (cgroups, cgroups / "unified"), _quota_v2
        elif "cpu" in controllers.split(","):
            mounts, read = (cgroups / controllers, cgroups / "cpu"), _quota_v1
        else:
            continue
        # Inside a container the path may be the host's, of which only the root is mounted: missing folders don't count.
        own = PurePosixPath(path.lstrip("/"))
        quotas += [read(mount / folder) for mount in mounts for folder in (own, *own.parents)]
    return min((quota for quota in quotas if quota), default=None)


def _quota_v2(folder: Path) -> float | None:
    limit, _, period = _read(folder / "cpu.max").partition(" ")
    return int(limit) / int(period) if limit.isdecimal() else None


def _quota_v1(folder: Path) -> float | None:
    limit, period = (_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    return int(limit) / int(period) if limit.isdecimal() and period.isdecimal() else None


def _siblings(topology: Path, cpu: int) -> str:
    return _read(topology / f"cpu{cpu}" / "topology" / "thread_siblings_list").strip() or str(cpu)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""
