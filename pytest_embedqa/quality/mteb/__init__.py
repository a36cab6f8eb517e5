"""The only importers of mteb: its registry, its evaluation, its prompts.

Seconds to import, so nothing outside imports this before a task is to be checked or evaluated.
"""

from pytest_embedqa.encoders.memory import importing

with importing("mteb"):
    import mteb  # noqa: F401
