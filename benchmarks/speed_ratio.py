"""Test min_ratio=: the same model ten times against itself, and slowed by 20 % against itself.

python benchmarks/speed_ratio.py
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pytest_embedqa.encoders.engine import Engine

BOUND = 0.9
RUNS = 10


def main() -> None:
    """Print the ratio and its interval of every run."""
    from pytest_embedqa.encoders.encoder import Encoder
    from pytest_embedqa.encoders.load import load_encoder
    from pytest_embedqa.encoders.prompts import DOCUMENT
    from pytest_embedqa.encoders.spec import parse_spec
    from pytest_embedqa.speed.measuring import interleaved
    from pytest_embedqa.speed.workload import Workload

    class Slowed:
        """The real engine with a pause after each batch, of a fifth of the batch's time."""

        def __init__(self, engine: Any) -> None:  # any engine
            self._engine = engine

        def __getattr__(self, name: str) -> Any:
            return getattr(self._engine, name)

        def embed(self, texts: list[str]) -> Any:
            began = time.perf_counter()
            vectors = self._engine.embed(texts)
            time.sleep(0.2 * (time.perf_counter() - began))
            return vectors

    def load() -> Encoder:
        return load_encoder(parse_spec("builtin"), None)

    reference = load()
    same = load()
    slowed = Encoder(cast("Engine", Slowed(load()._engine)), None, spec=reference.spec)  # noqa: SLF001  what is slowed
    print("| run | encoder | ratio | 99 % interval | pairs | min_ratio=0.9 | seconds |\n|---|---|---|---|---|---|---|")
    for run in range(RUNS):
        for name, encoder in (("same", same), ("slowed by 20 %", slowed)):
            began = time.monotonic()
            workload = Workload(encoder, 64, DOCUMENT, 16)
            ratio = interleaved((encoder, reference), workload, BOUND, 60)
            low, high = ratio.interval
            verdict = "pass" if low >= BOUND else "fail" if high < BOUND else "unsure"
            print(
                f"| {run + 1} | {name} | {ratio.value:.3f} | {low:.3f} to {high:.3f} | {ratio.pairs} | {verdict} | {time.monotonic() - began:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
