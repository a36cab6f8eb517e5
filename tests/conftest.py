"""What all tests of the plugin share."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fork_server import ForkServer

# What a test starts is no worker of the run that it belongs to.
for _variable in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
    os.environ.pop(_variable, None)

# onnxruntime sends telemetry from a thread of its own, through whatever proxy a test has set.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# Seconds that a test may take with what it sets up, unless it is marked slow; on a quiet machine none takes a third.
LIMIT = 20

_SECONDS = pytest.StashKey[float]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Fail a test that takes long and does not say so: those that wait for `make test` wait for it."""
    report = yield
    spent = item.stash[_SECONDS] = item.stash.get(_SECONDS, 0.0) + call.duration
    long = spent > LIMIT and not item.get_closest_marker("slow")
    # Where much else runs on the machine, time says nothing of the test.
    if call.when == "teardown" and report.passed and long and os.getloadavg()[0] < 2 * (os.cpu_count() or 1):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} took {spent:.0f} s, and {LIMIT} is the most without the mark slow.\n"
            "Make it faster, or mark it @pytest.mark.slow: `make test` leaves it out then, and `make test-all` runs it."
        )
    return report


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Runs of pytest within a test do without a plugin of LangChain, which has nothing to do with them and takes a second each."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:langsmith_plugin")
    return pytester


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Starts processes of Python that have loaded what takes seconds; none asks the Hub."""
    own = {"HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    server = ForkServer(environment={**os.environ, **own})
    yield server
    server.close()


# No sandbox: test machines run as root, in containers that have none. The rest keeps Chromium from asking the network.
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser():
    """Chromium: that of ``EMBEDQA_CHROMIUM``, or the one on the path."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    program = os.environ.get("EMBEDQA_CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip("needs Chromium: install it, or set EMBEDQA_CHROMIUM to the program")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()
