"""Whether a recovery is chance."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_embedqa.core.statistics import randomised
from pytest_embedqa.diagnosis.chance import adjusted


def test_known_values():
    """Of eight equal gains all signs must agree: 1 in 256. Nothing differs: certainly chance."""
    assert randomised(np.full(8, 0.1)) == pytest.approx(1 / 256, rel=0.5)
    assert randomised(np.zeros(20)) == 1
    assert randomised(-np.full(8, 0.1)) > 0.99


def test_chance_is_called_chance():
    """Differences without an effect fall below 5 % in about 5 % of the cases."""
    rng = np.random.default_rng(3)
    below = sum(randomised(rng.standard_normal(40)) < 0.05 for _ in range(300))
    assert 5 <= below <= 28


def test_many_changes_have_many_chances():
    """Each that helps at all counts twice; what makes it worse does not count."""
    assert adjusted([0.001, 0.2, 0.9, 0.99]) == pytest.approx([0.004, 0.8, 1, 1])
    assert adjusted([]) == []


def test_no_cause_by_chance():
    """Of ten changes that do nothing, one is taken for a cause in at most about 5 % of the cases."""
    rng = np.random.default_rng(1)
    found = sum(min(adjusted([randomised(rng.standard_normal(40)) for _ in range(10)])) < 0.05 for _ in range(60))
    assert found <= 8
