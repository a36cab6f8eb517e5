"""The probes of a session: each corpus is indexed once for all tests, and again when its files change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_embedqa.core.errors import DataError, EmbedQAError
from pytest_embedqa.encoders.retrievers.passage import Retriever
from pytest_embedqa.encoders.scratch import scratch_folder
from pytest_embedqa.rag.asking import Asker, Search
from pytest_embedqa.rag.documents import state
from pytest_embedqa.rag.following import losses, losses_of_live
from pytest_embedqa.rag.group import Decay, decay, variations
from pytest_embedqa.rag.knowledge import open_chain, open_service, require_places
from pytest_embedqa.rag.openwebui import OpenWebUIRetriever
from pytest_embedqa.rag.probe import Probe, ProbeFile, Robustness
from pytest_embedqa.rag.reading import NOISE
from pytest_embedqa.rag.regexes import SlowPatternError
from pytest_embedqa.rag.retrieval import Chain
from pytest_embedqa.rag.validation import place

if TYPE_CHECKING:
    from pytest_embedqa.encoders.encoder import Progress
    from pytest_embedqa.encoders.spec import Spec
    from pytest_embedqa.encoders.system import System
    from pytest_embedqa.rag.indexed_vectors import IndexOf
    from pytest_embedqa.rag.judging import Answer
    from pytest_embedqa.rag.override import Override

_Asked = TypeVar("_Asked")
# Number of indexes to keep: tests come file by file, and noise needs a second index beside the first.
_MOST_OPEN = 2


@dataclass(frozen=True)
class ProbeTest:
    """The subject of one test.

    Attributes:
        file: The probe file, or the arguments of a marker in that form.
        about: One of its probes, a measure of all of them or ``index``, or a variation.
    """

    file: ProbeFile
    about: Probe | str | Robustness


class Probing:
    """The opening and asking of retrievers in a session."""

    def __init__(
        self,
        override: Override | None,
        progress: Progress | None = None,
        load: Callable[[Spec], System] | None = None,
        index_of: IndexOf | None = None,
    ) -> None:
        """Keep the settings; nothing is opened before it is needed.

        Args:
            override: Retrieval of the command line.
            progress: Shows the progress of long work.
            load: Returns the system of a spec, loaded once.
            index_of: Makes the real index of a spec.
        """
        self._override = override
        self._load, self._index_of = load, index_of
        self._progress = progress
        self._asker = Asker()
        # Retriever, what closes it, and the spec of the model under test, by what decides its answers.
        self._open: dict[tuple[object, ...], tuple[Any, ExitStack, Spec]] = {}
        self._problems: dict[tuple[object, ...], EmbedQAError] = {}
        # The checked probes, kept alive so that no other object gets their id, and the fault of the places they name.
        self._checked: dict[tuple[object, ...], tuple[Sequence[Probe], EmbedQAError | None]] = {}

    def chosen(self, file: ProbeFile) -> ProbeFile:
        """Return a probe file with the retrieval of ``--embedqa-retriever``."""
        return self._override.applied(file) if self._override else file

    def retriever(self, file: ProbeFile, model: System, noise: int = 0) -> Retriever:
        """Return the retriever of a file, with a number of passages on other subjects added to its corpus.

        Raises:
            EmbedQAError: If corpus or live system can't be used, or the file's probes name a place that it lacks.
        """
        key = (
            model.identity.digest,
            file.corpus,
            file.corpus and state(file.corpus),
            repr(file.encoding),
            file.chunking,
            file.retrieval,
            repr(file.service),
            noise,
        )
        if key in self._problems:  # a failed opening is not repeated for each probe
            raise self._problems[key]
        self._check(file, key)
        if key not in self._open:
            while len(self._open) >= _MOST_OPEN:
                self._open.pop(next(iter(self._open)))[1].close()
            try:
                self._open[key] = *self._opened(file, model, noise), model.spec
            except EmbedQAError as error:
                self._problems[key] = error
                raise
            _prepare(self._open[key][0], [probe.ask for probe in file.probes])
        retriever: Retriever = self._open[key][0]
        self._check(file, key, retriever)
        return retriever

    def _check(self, file: ProbeFile, key: tuple[object, ...], opened: Retriever | None = None) -> None:
        """Check once whether a file's probes fit its corpus; several files may share the opened corpus."""
        asked = (*key, file.path, id(file.probes), opened is None)
        if asked not in self._checked:
            problem = None
            try:
                require_places(file, opened)
            except EmbedQAError as error:
                problem = error
            self._checked[asked] = file.probes, problem
        if problem := self._checked[asked][1]:
            raise problem

    def _opened(self, file: ProbeFile, model: System, noise: int) -> tuple[Any, ExitStack]:
        with ExitStack() as stack:
            if file.service is not None:
                opened: Any = open_service(file, self._progress)
            else:
                folder = stack.enter_context(scratch_folder("index"))
                opened = open_chain(file, model, folder, noise, load=self._load, index_of=self._index_of)
            stack.callback(opened.close)
            return opened, stack.pop_all()

    def has_opened(self, retriever: Retriever) -> bool:
        """Return whether a retriever was opened here, and is no pipeline of the user's own."""
        return any(opened is retriever for opened, *_ in self._open.values())

    def answer(self, file: ProbeFile, probe: Probe, retriever: Retriever) -> Answer:
        """Ask a probe of a file.

        Raises:
            EmbedQAError: If the retriever fails, or an expression of the probe takes too long; with file and line.
        """
        with _placed(file, probe):
            return self._asker.ask(retriever, probe, file.retrieval.k)

    def search(self, retriever: Retriever) -> Search:
        """Return a function that asks a retriever for passages, whatever form it returns them in."""
        return partial(self._asker.search, retriever)

    def followed(self, file: ProbeFile, retriever: Retriever, answer: Answer) -> Answer:
        """Return an answer with the stage that lost each piece that did not come back.

        A live system or a pipeline of the user's own is asked once more, for more passages.

        Raises:
            EmbedQAError: As for ``answer``.
        """
        if answer.holds:
            return answer
        k = file.retrieval.k
        with _placed(file, answer.probe):
            if isinstance(retriever, Chain):
                return replace(answer, lost=tuple(losses(retriever, answer, k)))
            with suppress(Exception):  # it was not asked for so many passages, and what it did answer is judged
                documents = retriever.documents if isinstance(retriever, OpenWebUIRetriever) else None
                return replace(answer, lost=tuple(losses_of_live(self.search(retriever), answer, k, documents)))
        return answer

    def answers(self, file: ProbeFile, retriever: Retriever) -> list[Answer]:
        """Ask all probes of a file."""
        return [self.answer(file, probe, retriever) for probe in file.probes]

    def decays(
        self,
        file: ProbeFile,
        robustness: Robustness,
        answers: Sequence[Answer],
        retriever: Retriever,
        model: System | None,
    ) -> list[Decay]:
        """Measure the effect of a variation on the probes of a file.

        Args:
            file: The probe file.
            robustness: The variation.
            answers: The answers to the unvaried questions.
            retriever: The retriever to ask.
            model: The model under test, for an index with noise; ``None`` if the retriever is the user's own.
        """
        noise = robustness.variation == NOISE
        varied = variations(robustness, answers, noise=noise)

        def again(probe: Probe, level: int) -> Answer:
            if not noise:
                return self.answer(file, probe, retriever)
            assert model is not None  # noqa: S101  whoever asks for noise has seen to it
            return self.answer(file, probe, self.retriever(file, model, level))

        if not noise and self.has_opened(retriever):
            _prepare(retriever, [probe.ask for probes in varied.values() for probe in probes])
        return decay(robustness.variation, varied, again)

    def try_again(self) -> None:
        """Allow another try for what could not be opened: a live system may be up by now."""
        self._problems.clear()
        self._checked.clear()

    def forget(self, model: System) -> None:
        """Close what uses a model that is about to be closed; it may be loaded again later."""
        for key in [key for key, (_, _, spec) in self._open.items() if spec == model.spec]:
            self._open.pop(key)[1].close()

    def close(self) -> None:
        """Close all retrievers; collections made on a live system are deleted."""
        with ExitStack() as stack:
            stack.callback(self._asker.close)
            while self._open:
                stack.callback(self._open.popitem()[1][1].close)


def _prepare(retriever: Retriever, queries: Sequence[str]) -> None:
    """Let a retriever compute many queries at once, if it can."""
    prepare = getattr(retriever, "prepare", None)
    if prepare:
        prepare(queries)


@contextmanager
def _placed(file: ProbeFile, probe: Probe) -> Iterator[None]:
    """Add its place to the error of an expression that takes too long."""
    try:
        yield
    except SlowPatternError as error:
        line = next((one.lines.get("regex", 0) for one in probe.patterns if one.regex == error.pattern), probe.line)
        raise DataError(f"{place(file.path, line)}: {error}") from None


def attempt(ask: Callable[[], _Asked]) -> _Asked | EmbedQAError:
    """Return an answer, or the error as a value to keep: a failing pipeline is not asked twice in one try."""
    try:
        return ask()
    except EmbedQAError as error:
        return error


def unless_failed(asked: _Asked | EmbedQAError) -> _Asked:
    """Return the answer of an attempt.

    Raises:
        EmbedQAError: If it failed.
    """
    if isinstance(asked, EmbedQAError):
        raise asked
    return asked
