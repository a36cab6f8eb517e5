"""The default number of threads fits what the process may use, not what the machine has."""

from __future__ import annotations

import os

import pytest

from pytest_embedqa.encoders import threads
from pytest_embedqa.encoders.threads import cgroup_quota, cpu_threads, usable_cores


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Writes files of a machine: ``machine({"proc": "0::/", "cgroup/cpu.max": "200000 100000"}, cpus=64)``."""

    def make(files, cpus=64):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cpus)), raising=False)
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return tmp_path / "cgroup", tmp_path / "proc", tmp_path / "topology"

    return make


@pytest.mark.parametrize(
    ("files", "quota", "cores"),
    [
        ({"proc": "0::/\n", "cgroup/cpu.max": "200000 100000\n"}, 2, 2),
        ({"proc": "0::/\n", "cgroup/cpu.max": "125000 100000\n"}, 1.25, 2),
        ({"proc": "0::/\n", "cgroup/cpu.max": "50000 100000\n"}, 0.5, 1),
        ({"proc": "0::/\n", "cgroup/cpu.max": "max 100000\n"}, None, 64),
        ({"proc": "0::/job/step\n", "cgroup/job/cpu.max": "300000 100000\n"}, 3, 3),
        ({"proc": "0::/job\n", "cgroup/job/cpu.max": "8000 1000\n", "cgroup/cpu.max": "4000 1000\n"}, 4, 4),
        ({"proc": "0::/of/the/host\n", "cgroup/cpu.max": "200000 100000\n"}, 2, 2),
        (
            {
                "proc": "9:name=systemd:/\n4:cpu,cpuacct:/docker/1\n3:cpuset:/\n",
                "cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
                "cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            2,
            2,
        ),
        (
            {
                "proc": "1:cpu:/\n0::/\n",
                "cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
            64,
        ),
        ({}, None, 64),
    ],
    ids=["v2", "v2-part", "v2-less-than-one", "v2-none", "v2-above", "v2-both", "v2-host-path", "v1", "v1-none", "no"],
)
def test_quota_of_the_container_counts(machine, files, quota, cores):
    """A container of two CPUs on 64 cores gets two threads; without a quota, or without cgroups, all cores count."""
    cgroups, membership, topology = machine(files)
    assert cgroup_quota(cgroups, membership) == quota
    assert usable_cores(cgroups, membership, topology) == cores


def test_a_large_quota_gives_no_more_than_the_cores(machine):
    """The affinity of the process still counts."""
    assert usable_cores(*machine({"proc": "0::/\n", "cgroup/cpu.max": "800000 100000\n"}, cpus=3)) == 3


def test_two_threads_of_one_core_count_once(machine):
    """Four CPUs on two cores with hyper-threading are two cores."""
    siblings = {f"topology/cpu{cpu}/topology/thread_siblings_list": f"{cpu % 2},{cpu % 2 + 2}\n" for cpu in range(4)}
    assert usable_cores(*machine(siblings, cpus=4)) == 2


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("OMP_NUM_THREADS", "1", 1), ("OMP_NUM_THREADS", "4,2", None), ("PYTEST_XDIST_WORKER", "gw0", None)],
)
def test_nothing_is_overridden_where_somebody_decided(monkeypatch, name, value, expected):
    """What a user or Ray says is taken, also with fewer cores; what workers of pytest-xdist share stays the library's."""
    for one in ("OMP_NUM_THREADS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(one, raising=False)
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    assert cpu_threads() == 2
    monkeypatch.setenv(name, value)
    assert cpu_threads() == expected
