"""The speed of a model: measured and compared, not bounded, because a bound holds for one machine only.

Add bounds for your machine (min_texts_per_s=, max_p99_ms=), or keep a run and compare: --benchmark-autosave,
--benchmark-compare.
"""

from pytest_embedqa import throughput


@throughput(length=[16, 64, 256, "max"], batch_size=32)
def test_bulk(): ...


@throughput(max_p99_ms=60_000, length=16)
def test_single_query(): ...


@throughput(min_ratio=0.7, against="builtin", length=64)
def test_as_fast_as_the_embedded_model(): ...
