"""``--embedqa-missing-data`` and ``--embedqa-strict``: data that can't be reached is never a silent pass."""

from __future__ import annotations

import pytest

TEST = """
    from pytest_embedqa import mteb_task
    @mteb_task("SciFact", min_ndcg_at_10=0.5)
    def test_it(): print("body ran")
"""
# (environment, arguments) -> does the test fail?
POLICY = {
    ((), ()): False,
    (("CI",), ()): True,
    ((), ("--embedqa-strict",)): True,
    ((), ("--embedqa-missing-data=fail",)): True,
    (("CI",), ("--embedqa-missing-data=skip",)): False,
    ((), ("--embedqa-strict", "--embedqa-missing-data=skip")): False,
}


@pytest.mark.parametrize(("given", "fails"), POLICY.items())
def test_policy(pytester, run, monkeypatch, given, fails):
    """Skipped on a developer's machine, failed under CI and strict; the explicit option wins."""
    environment, arguments = given
    for variable in environment:
        monkeypatch.setenv(variable, "true")
    pytester.makepyfile(TEST)
    result = run("-rs", *arguments)
    result.assert_outcomes(failed=int(fails), skipped=int(not fails))
    result.stdout.fnmatch_lines(["*no data: mteb/scifact is not in *. Fetch it with:  embedqa fetch SciFact --to *"])
    result.stdout.no_fnmatch_line("*body ran*")


def test_unreachable_hub_is_missing_data(pytester, run, monkeypatch):
    """Without a folder the Hub is asked; where it can't be reached, the same policy holds."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    pytester.makepyfile(TEST)
    result = run("-rs", data=False)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*no data: mteb/scifact is not in the Hub's cache, and the Hub can't be reached*. Fetch it where the Hub can be reached, with  embedqa fetch TASK --to DIR,  and *"
        ]
    )
