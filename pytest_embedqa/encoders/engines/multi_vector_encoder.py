"""Late-interaction models of sentence-transformers (ColBERT): a vector for each token, compared by MaxSim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.engines import told
from pytest_embedqa.encoders.engines.torch_engine import TorchEngine
from pytest_embedqa.encoders.model_kind import MULTI_VECTOR as CLASS
from pytest_embedqa.encoders.representations import MULTI_VECTOR
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, positive

if TYPE_CHECKING:
    from pytest_embedqa.core.identity import Identity
    from pytest_embedqa.encoders.prompts import Prompts


def _factor(value: str) -> float:
    factor = float(value)
    if not 1 < factor < float("inf"):
        raise ValueError(f"a number above 1 is expected: 2 keeps half of the token vectors, not {value}")
    return factor


class MultiVectorEngine(TorchEngine):
    """Engine of a ``MultiVectorEncoder``."""

    model_class = CLASS
    own_options: ClassVar[Mapping[str, Parser]] = {
        "pool_factor": _factor,
        "query_length": positive,
        "document_length": positive,
        "query_expansion": boolean,
    }
    representation = MULTI_VECTOR

    def __init__(self, model: Any, identity: Identity, prompts: Prompts | None) -> None:
        """Wrap a loaded model."""
        super().__init__(model, identity, prompts)
        self._pooling = None
        if factor := identity.options.get("pool_factor"):
            from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

            self._pooling = HierarchicalTokenPooling(float(factor))

    @classmethod
    def reconfigure(cls, model: Any, spec: Spec, options: Mapping[str, Any]) -> None:
        """Set lengths and query expansion, and refuse to pool the tokens of a model that pools them itself."""
        reader = model[0]
        asked = [key for key in ("query_length", "document_length", "query_expansion") if key in options]
        if asked and not hasattr(reader, "query_expansion"):
            raise EngineError(
                f"{asked[0]}= was given, but the model of the spec '{spec}' begins with the module {type(reader).__name__}, which has no such setting. Leave it out."
            )
        if options.get("query_expansion") and not reader.query_expansion:
            raise EngineError(
                f"query_expansion=true was given, but the model of the spec '{spec}' says nothing of it: it was trained without. Leave it out."
            )
        if options.get("query_expansion") is False:
            reader.query_expansion = None
        if length := options.get("query_length"):
            expansion, reader.query_expansion = reader.query_expansion, None  # it guards its length against the other
            reader.query_length = length
            if expansion:  # fixed: queries have this length; min: they have at least the other
                fill = length if expansion["strategy"] == "fixed" else min(length, expansion["length"])
                reader.query_expansion = {**expansion, "length": fill}
        reader.document_length = options.get("document_length", getattr(reader, "document_length", None))
        if "pool_factor" in options and any(hasattr(module, "pool_one") for module in model):
            raise EngineError(
                f"pool_factor= was given, but the model of the spec '{spec}' pools its token vectors itself. Leave it out."
            )

    @classmethod
    def facts(cls, model: Any, spec: Spec, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the similarity, the dimensions of a token, and what happens to queries and to documents."""
        del spec
        expansion = getattr(model[0], "query_expansion", None)
        own: dict[str, str] = {"kind": "multi-vector"}
        if expansion:
            own["query_expansion"] = f"{expansion['strategy']} {expansion['length']}"
        if "pool_factor" in options:
            own["pool_factor"] = f"{options['pool_factor']:g}"
        return {
            "similarity": model.similarity_fn_name,
            "full_dim": model.encode_document("a", show_progress_bar=False).shape[1],
            "options": own,
        }

    def compute(self, texts: Sequence[str]) -> list[Vectors]:
        """Return the token vectors of each text, shape (tokens, full_dim)."""
        return told.encode(self._model, texts, convert_to_numpy=True, token_pooling=self._pooling)
