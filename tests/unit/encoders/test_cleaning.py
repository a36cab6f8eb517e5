"""What cleaning does to a text."""

from __future__ import annotations

import pytest

from pytest_embedqa.encoders.cleaning import CLEANERS


@pytest.mark.parametrize(
    ("clean", "seen"),
    [
        ("none", "\ufeffIn\u00adfor\u200bmal  Caf\u00e9\n\u0645\u06cc\u200c\u0634\u0648\u062f"),
        ("whitespace", "\ufeffIn\u00adfor\u200bmal Caf\u00e9 \u0645\u06cc\u200c\u0634\u0648\u062f"),
        ("printable", "Informal Caf\u00e9 \u0645\u06cc\u200c\u0634\u0648\u062f"),
        ("lower", "\ufeffin\u00adfor\u200bmal  caf\u00e9\n\u0645\u06cc\u200c\u0634\u0648\u062f"),
    ],
)
def test_cleaners(clean, seen):
    """Each takes out what it says and nothing else; the joiner that Persian is written with stays."""
    assert CLEANERS[clean]("\ufeffIn\u00adfor\u200bmal  Caf\u00e9\n\u0645\u06cc\u200c\u0634\u0648\u062f") == seen
