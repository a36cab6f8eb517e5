"""Two stages with the model under test as one of them, as a marker asks for."""

from __future__ import annotations

from collections.abc import Callable

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.encoders.composites import Rerank, rerank_spec
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.system import System


class Staging:
    """The reranking systems of a run, and the model under test in each."""

    def __init__(self, load: Callable[[Spec], System]) -> None:
        """Prepare; ``load`` returns the system of a spec, loaded once."""
        self._load = load
        self._staged: dict[Spec, tuple[Rerank, System]] = {}

    def around(self, model: System, first_stage: Spec | None, reranker: Spec | None, top_k: int) -> Rerank:
        """Return the system of a first stage and a reranker.

        Args:
            model: The model under test, which takes the place that is not named.
            first_stage: Spec of the system that finds candidates.
            reranker: Spec of the system that reranks them.
            top_k: Number of candidates for each query.

        Raises:
            EmbedQAError: If a system can't be loaded, or the model under test can't take its place.
        """
        is_reranker = model.kind == "reranker"
        if is_reranker and (reranker or not first_stage):
            raise SpecError(
                f"the model under test '{model.spec}' is itself a reranker. Leave reranker= out, and name with first_stage= what finds its "
                'candidates: an encoder, or "bm25".'
            )
        if not is_reranker and not reranker:
            raise SpecError(
                f"first_stage= finds candidates for a reranker, and the model under test '{model.spec}' is not one (its kind is {model.kind}). "
                "Name a reranker with reranker= or --embedqa-model."
            )
        first, second = first_stage or model.spec, reranker or model.spec
        spec = rerank_spec(first, second, top_k)
        if spec not in self._staged or self._staged[spec][1] is not model:

            def part(wanted: Spec) -> System:
                return model if wanted == model.spec else self._load(wanted)

            self._staged[spec] = Rerank(spec, lambda: (part(first), part(second)), {"top_k": top_k}), model
        return self._staged[spec][0]

    def tested(self, system: System) -> System:
        """Return the model under test in a system that was made here; any other system is returned as it is."""
        return self._staged[system.spec][1] if system.spec in self._staged else system
