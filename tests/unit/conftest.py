"""Settings of Hypothesis for all unit tests."""

from __future__ import annotations

from hypothesis import settings

# No deadline: the machine may be busy with a model. Derandomised: a commit's tests have one outcome.
settings.register_profile("unit", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("unit")
