"""Systems that rank documents without vectors of their own: BM25, and several models that work together.

What each part does is its own; the ranking is made by ``quality/mteb``, which has the documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from typing import ClassVar, NoReturn, TypeAlias

from pytest_embedqa.core.errors import MissingExtraError, SpecError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.prompts import NO_PROMPTS, Prompts
from pytest_embedqa.encoders.spec import Parser, Spec, choice, natural, positive
from pytest_embedqa.encoders.system import System
from pytest_embedqa.encoders.truncation import Truncation
from pytest_embedqa.encoders.values import numbers

# Candidates of a first stage by default, as in mteb and in the papers on rerankers.
TOP_K = 100
# mteb's constant of reciprocal rank fusion, and LanceDB's; Qdrant's is 2.
RRF_K = 60
# Modules of libraries that are called otherwise.
_MODULES = {"PyStemmer": "Stemmer"}
_FUSIONS = ("rrf", "dbsf", "rsf")
OPTIONS: Mapping[str, Mapping[str, Parser]] = {
    "bm25": {"name": str},
    "hybrid": {"fusion": choice(*_FUSIONS), "k": natural, "weights": numbers, "top_k": positive, "name": str},
    "rerank": {"top_k": positive, "name": str},
}
Parts: TypeAlias = "Callable[[], tuple[System, ...]]"


class Composite:
    """A system of several models, or of none. Its parts belong to whoever made them, who also closes them.

    Attributes:
        spec: Spec that names the system.
        name: Public name, by which published scores are found.
        options: Values of the options of its spec.
        prompts: Prompts of its own: none.
    """

    kind: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ("mteb",)

    def __init__(self, spec: Spec, parts: Parts, options: Mapping[str, object]) -> None:
        """Name a system.

        Args:
            spec: Its spec.
            parts: Returns its parts, loaded; they may be loaded anew each time.
            options: Values of the options of the spec.

        Raises:
            SpecError: If a part can't do what it would have to do.
        """
        self.spec = spec
        self.options = {name: value for name, value in options.items() if name != "name"}
        self._parts = parts
        self._check()
        self.name = str(options.get("name") or self._called())
        self.prompts: Prompts = NO_PROMPTS.noted("each of its models has its own") if self.parts else NO_PROMPTS

    @property
    def parts(self) -> tuple[System, ...]:
        """The systems it is made of, in the order of the spec."""
        return self._parts()

    @property
    def models(self) -> list[System]:
        """The models at the bottom, each once, in whatever places it stands."""
        found = {}
        for part in self.parts:
            found.update({id(one): one for one in (part.models if isinstance(part, Composite) else [part])})
        return list(found.values())

    @property
    def encoded(self) -> int:
        """Number of texts or pairs that its models have computed so far."""
        return sum(model.encoded for model in self.models)

    @cached_property
    def identity(self) -> Identity:
        """Everything that decides its rankings: the identities of its parts, and how they work together."""
        parts = {f"part {place}": f"{one.spec} {one.identity.digest}" for place, one in enumerate(self.parts, start=1)}
        return Identity(
            model=self.name,
            engine=self.kind,
            libraries=_versions(self.libraries),
            options={**{name: _written(value) for name, value in self._deciding().items()}, **parts},
        )

    @contextmanager
    def counting_cuts(self) -> Iterator[Truncation]:
        """Count what its models cut inside this context; the counts are complete when it ends."""
        total = Truncation()
        with ExitStack() as stack:
            counts = [stack.enter_context(model.counting_cuts()) for model in self.models]
            yield total
        for one in counts:
            total.add(one)

    @contextmanager
    def time_limit(self, minutes: float | None) -> Iterator[None]:
        """Stop inside this context with ``TimeLimitError`` once these minutes are over."""
        with ExitStack() as stack:
            for part in self.parts:
                stack.enter_context(part.time_limit(minutes))
            yield

    def encode(self, *_: object, **__: object) -> NoReturn:
        """Refuse: it ranks documents, and has no vectors.

        Raises:
            SpecError: Always.
        """
        raise SpecError(
            f"'{self.spec}' ranks documents and has no vectors of texts. It is measured by tasks that rank documents (@mteb_task); "
            "for all other tests name a single model with --embedqa-model."
        )

    def close(self) -> None:
        """Do nothing: its parts belong to whoever made them."""

    def _check(self) -> None:
        """Refuse parts that can't do what they would have to do."""

    def _called(self) -> str:
        raise NotImplementedError

    def _deciding(self) -> Mapping[str, object]:
        return self.options


class Bm25(Composite):
    """BM25 as mteb has it (bm25s, with stop words and a stemmer by the language of the task)."""

    kind = "bm25"
    libraries = ("mteb", "bm25s", "PyStemmer")

    def _check(self) -> None:
        for library in self.libraries:
            if find_spec(_MODULES.get(library, library)) is None:
                extra = "quality" if library == "mteb" else "bm25"
                raise MissingExtraError(library, extra, f"'{self.spec}'")

    def _called(self) -> str:
        return "mteb/baseline-bm25s"


class Hybrid(Composite):
    """Rankings of several systems, fused into one.

    Attributes:
        fusion: ``rrf`` (reciprocal rank), ``dbsf`` (distribution-based scores) or ``rsf`` (relative scores).
        k: Constant of reciprocal rank fusion.
        weights: Weight of each part.
        top_k: Length of the list of each part; ``None`` for as many documents as the task asks for, 100 at least.
    """

    kind = "hybrid"

    def _check(self) -> None:
        count = len(self.parts)
        self.fusion = str(self.options.get("fusion") or "rrf")
        if "k" in self.options and self.fusion != "rrf":
            raise SpecError(f"In the spec '{self.spec}', k= is for fusion=rrf; {self.fusion} has no such constant.")
        self.k: int = self.options.get("k", RRF_K)  # type: ignore[assignment]
        self.weights: tuple[float, ...] = self.options.get("weights") or (1 / count,) * count  # type: ignore[assignment]
        self.top_k: int | None = self.options.get("top_k")  # type: ignore[assignment]
        if len(self.weights) != count:
            raise SpecError(
                f"The spec '{self.spec}' has {len(self.weights)} weights for {count} systems. Give one for each."
            )
        for part in self.parts:
            if part.kind == "reranker":
                raise SpecError(
                    f"In the spec '{self.spec}', '{part.spec}' is a reranker: it scores candidates and searches nothing. "
                    "Put it behind the others:  rerank:[hybrid:[...][...]][RERANKER]"
                )

    def _called(self) -> str:
        return f"hybrid of {' and '.join(part.name for part in self.parts)}"

    def _deciding(self) -> Mapping[str, object]:
        constant = {"k": self.k} if self.fusion == "rrf" else {}
        return {"fusion": self.fusion, **constant, "weights": self.weights, "top_k": self.top_k or "that of the task"}


class Rerank(Composite):
    """A first stage that finds candidates, and a second system that orders them.

    Attributes:
        top_k: Number of candidates for each query.
    """

    kind = "rerank"

    def _check(self) -> None:
        self.top_k: int = self.options.get("top_k") or TOP_K  # type: ignore[assignment]
        if self.first_stage.kind == "reranker":
            raise SpecError(
                f"'{self.first_stage.spec}' is a reranker: it scores candidates and finds none, so it can't be a first stage. "
                'Name what finds them: an encoder, or "bm25".'
            )

    @property
    def first_stage(self) -> System:
        """The system that finds candidates."""
        return self.parts[0]

    @property
    def reranker(self) -> System:
        """The system that orders candidates: a reranker, or any other system."""
        return self.parts[1]

    def _called(self) -> str:
        return f"{self.reranker.name} on {self.first_stage.name}"

    def _deciding(self) -> Mapping[str, object]:
        return {"top_k": self.top_k}


_KINDS: Mapping[str, type[Composite]] = {one.kind: one for one in (Bm25, Hybrid, Rerank)}


def composite(spec: Spec, load: Callable[[Spec], System], options: Mapping[str, object]) -> Composite:
    """Return the system of a composite spec.

    Args:
        spec: The spec.
        load: Loads a part, or returns it where it is loaded.
        options: Values of the options of the spec.

    Raises:
        EmbedQAError: If a part can't be loaded, or can't do what it would have to do.
    """
    return _KINDS[spec.engine](spec, lambda: tuple(map(load, spec.parts)), options)


def rerank_spec(first: Spec, reranker: Spec, top_k: int) -> Spec:
    """Return the spec of a reranker behind a first stage."""
    text = f"rerank:[{first.text}][{reranker.text}]?top_k={top_k}"
    return Spec(text, Rerank.kind, "", None, {"top_k": str(top_k)}, (first, reranker))


def _versions(libraries: tuple[str, ...]) -> dict[str, str]:
    return {library: version(library) for library in libraries if find_spec(_MODULES.get(library, library))}


def _written(value: object) -> str:
    return ", ".join(f"{one:g}" for one in value) if isinstance(value, tuple) else str(value)
