"""The systems of a run, each loaded once; a failed load is not repeated."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.encoders.composites import Composite, composite
from pytest_embedqa.encoders.encoder import Encoder, Progress
from pytest_embedqa.encoders.engine import Engine, Vectors
from pytest_embedqa.encoders.engines.python_callable import PythonEngine
from pytest_embedqa.encoders.load import PromptLookup, load_model, read_all_options
from pytest_embedqa.encoders.model import Model
from pytest_embedqa.encoders.objects import (
    digest_of,
    engine_around,
    is_same_object,
    is_unchanged,
    sample_of,
    spec_of,
    state_of,
    with_state,
)
from pytest_embedqa.encoders.prompts import NO_PROMPTS
from pytest_embedqa.encoders.representations import SCORES, representation_of
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.spec import Spec, parse_spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.encoders.system import System


class EncoderPool:
    """The systems of a run, by their specs. The parts of a composite are systems of the run, too.

    Attributes:
        own: Spec of the last object that a project's own fixture ``encoder`` has returned, if there is one.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        mteb_prompts: PromptLookup,
        of_mteb: Callable[[Any], PythonEngine],
        progress: Progress | None,
    ) -> None:
        """Prepare a pool; nothing is loaded or opened before it is needed.

        Args:
            store: Opens the store of vectors.
            mteb_prompts: Finds the prompts that mteb gives a model.
            of_mteb: Makes the engine around a model of mteb's protocol.
            progress: Shows the progress of a long encoding.
        """
        self.own: Spec | None = None
        self._store, self._mteb_prompts, self._of_mteb, self._progress = store, mteb_prompts, of_mteb, progress
        self._loaded: dict[Spec, System] = {}
        self._failed: dict[Spec, EmbedQAError] = {}
        self._object: _Kept | None = None

    def of(self, spec: Spec) -> System:
        """Return the system of a spec.

        Raises:
            EmbedQAError: If it can't be loaded. The error is kept, as pytest does with fixtures: no test waits again for a
                server that never starts.
        """
        if spec in self._failed:
            raise self._failed[spec]
        if spec not in self._loaded:
            try:
                self._loaded[spec] = self._load(spec)
            except EmbedQAError as error:
                self._failed[spec] = error
                raise
        return self._loaded[spec]

    def _load(self, spec: Spec) -> System:
        if spec.is_composite:
            return composite(spec, self.of, read_all_options(spec))
        return load_model(spec, self._store(), mteb_prompts=self._mteb_prompts, progress=self._progress)

    def given(self, value: object) -> System:
        """Return the system for the value of a fixture ``encoder`` or ``reranker``: this package's own, or that of the project.

        Args:
            value: A system, a spec, a model or a function. Only the encoder of the last object is kept.

        Raises:
            EmbedQAError: If the value is none of these, or can't be loaded.
        """
        if isinstance(value, Encoder):
            return self._cut(value)
        if isinstance(value, Model | Composite):
            return value  # type: ignore[return-value]  # a model has an encode() if it is an encoder or a reranker
        if isinstance(value, str):
            self.own = parse_spec(value)
            return self.of(self.own)
        kept = self._object
        if kept is None or not (kept.value is value and kept.is_unchanged()):
            if kept:
                self.take(kept.encoder.spec)
            kept = self._object = self._around(value)
            self._loaded[kept.encoder.spec] = kept.encoder
        self.own = kept.encoder.spec
        return kept.encoder

    def _cut(self, encoder: Encoder) -> Encoder:
        """Give an encoder that a fixture has cut by ``at`` its own spec: tables and baselines keep two cuts apart."""
        dim = encoder.identity.dim
        if dim is None or encoder.spec.options.get("dim") == str(dim):
            return encoder
        self.own = encoder.spec.with_options(dim=str(dim))
        return encoder.variant(spec=self.own)

    def try_again(self) -> None:
        """Let encoders that failed to load be tried anew."""
        self._failed.clear()

    def take(self, spec: Spec, keep: Spec | None = None) -> list[System]:
        """Hand over a system and its parts, which the caller then closes; none that is not loaded, or is a part of ``keep``."""
        kept = {keep, *_parts_of(keep)} if keep else set()
        wanted = dict.fromkeys((spec, *_parts_of(spec)))
        return [self._loaded.pop(one) for one in wanted if one in self._loaded and one not in kept]

    def close(self) -> None:
        """Free all devices; an encoder that fails to close keeps no other open."""
        with ExitStack() as stack:
            while self._loaded:
                stack.callback(self._loaded.popitem()[1].close)

    def _around(self, value: object) -> _Kept:
        engine, state, sample = engine_around(value, self._of_mteb), state_of(value), None
        if engine is not value and isinstance(engine, PythonEngine):
            sample = sample_of(engine)
            state = state_of(value)  # now that it has computed: tokenizers and the like change with the first text
            last = self._object
            same = last and last.value is value and last.sample is not None and is_same_object(last.sample, sample)
            told = last.engine.identity.options["state"] if last and same else digest_of(state, sample)
            with_state(engine, told)
        own = engine.prompts or NO_PROMPTS
        # mteb's own object brings its prompts, so they are not looked up again.
        prompts = own if own.source == "mteb" else self._mteb_prompts(engine.identity.model, own) or own
        made: Any = Reranker if representation_of(engine) is SCORES else Encoder
        encoder = made(engine, self._store(), spec=spec_of(engine), prompts=prompts, progress=self._progress)
        return _Kept(value, state, engine, encoder, sample)


def _parts_of(spec: Spec) -> list[Spec]:
    return [one for part in spec.parts for one in (part, *_parts_of(part))]


class _Kept(NamedTuple):
    """An object returned by a fixture, its state, its encoder, and a sample of its vectors if its state is hidden."""

    value: object
    state: str
    engine: Engine
    encoder: Encoder | Reranker
    sample: Vectors | None

    def is_unchanged(self) -> bool:
        """Return whether the object still gives the vectors of its sample."""
        return self.state == state_of(self.value) and (
            self.sample is None or is_unchanged(self.sample, sample_of(self.engine))
        )
