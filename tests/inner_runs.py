"""What must be loaded before a test runs pytest within this process.

pytester forgets what was first imported within such a run: numpy and vl_convert load only once a process, pyarrow knows a type of datasets once,
our own modules and those of httpx, which compares classes of httpcore, must not exist twice, and the rest would be loaded again
by each run.
"""

from __future__ import annotations

import gc

import httpcore  # noqa: F401
import httpx  # noqa: F401
import hypothesis.strategies  # noqa: F401
import jsonschema  # noqa: F401
import mteb  # noqa: F401
import ruamel.yaml  # noqa: F401
import sentence_transformers  # noqa: F401
import vl_convert  # noqa: F401

import pytest_embedqa.encoders.engines.python_callable
import pytest_embedqa.encoders.engines.sentence_transformers
import pytest_embedqa.plugin.checks
import pytest_embedqa.quality.mteb.evaluation
import pytest_embedqa.reports.terminal
import pytest_embedqa.session  # noqa: F401

# Without this Python's garbage collector goes through a million objects of these libraries in each of many hundred runs.
gc.freeze()
