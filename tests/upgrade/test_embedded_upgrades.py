"""The gate on a real model and the baseline that ships with the suites: what changes it sees, and what it lets pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BASELINE = ROOT / "suites" / "baselines" / "builtin.json"


@pytest.fixture
def upgrade(tmp_path, fork_server):
    """Runs a test of ``suites/upgrade`` on an encoder, as a user would; returns exit code and output."""

    def run(model, *options, only="handbook"):
        command = [
            *("-m", "pytest", "suites/upgrade", "-k", only, "-p", "no:cacheprovider"),
            *(
                f"--embedqa-baseline={BASELINE}",
                "--embedqa-model",
                model,
                f"--embedqa-store={tmp_path / 'store.sqlite'}",
            ),
            *options,
        ]
        return fork_server.ended(*command, folder=ROOT)

    return run


def test_unchanged_model_passes(upgrade):
    """In other batches too, whose rounding differs: no query moves far enough to matter."""
    code, out = upgrade("builtin?batch_size=3")
    assert code == 0, out
    assert "gate: 1 task, 0 worse, 0 unsure" in out


def test_worse_set_up_fails_with_its_cause(upgrade):
    """Texts cut at eight tokens: the drop, its certainty, what differs, queries that got worse, and the cause."""
    code, out = upgrade("builtin?max_length=8")
    assert code == 1, out
    assert "95 % interval of the difference -" in out
    assert "differs    max_length: 256 to 8" in out
    assert "worst      rank " in out
    assert "texts are cut at 8 tokens" in out
    assert "gate: 1 task, 1 worse, 0 unsure" in out


def test_fewer_dimensions_are_seen(upgrade):
    """A cut of the vectors is a change like any other."""
    code, out = upgrade("builtin?dim=64", "--embedqa-diagnose=off")
    assert code == 1, out
    assert "dim: none to 64" in out


def test_touched_baseline_is_refused(tmp_path, upgrade):
    """The baseline of the suites is refused once a score in it was touched."""
    copy = tmp_path / "builtin.json"
    facts = json.loads(BASELINE.read_text())
    facts["tasks"][0]["score"] = 0.1
    copy.write_text(json.dumps(facts))
    code, out = upgrade("builtin", f"--embedqa-baseline={copy}")
    assert code == pytest.ExitCode.USAGE_ERROR, out
