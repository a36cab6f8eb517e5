"""Sparse encoders of sentence-transformers: SPLADE, tables of word weights, and sparse autoencoders."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pytest_embedqa.core.showing import shown
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.engines import told
from pytest_embedqa.encoders.engines.torch_engine import TorchEngine
from pytest_embedqa.encoders.model_folder import similarity_of
from pytest_embedqa.encoders.model_kind import SPARSE as CLASS
from pytest_embedqa.encoders.prompts import apart
from pytest_embedqa.encoders.representations import SPARSE
from pytest_embedqa.encoders.spec import Parser, Spec, positive

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from pytest_embedqa.core.identity import Identity
    from pytest_embedqa.encoders.prompts import Prompts

# Numbers that a batch may hold at once: a model gives each token a number for each word of its vocabulary.
_LOGITS = {"cpu": 1 << 27, "gpu": 1 << 29}
_WORD = re.compile(r"\w")


class SparseEngine(TorchEngine):
    """Engine of a ``SparseEncoder``."""

    model_class = CLASS
    own_options: ClassVar[Mapping[str, Parser]] = {"max_active_dims": positive}
    representation = SPARSE

    def __init__(self, model: Any, identity: Identity, prompts: Prompts | None) -> None:
        """Wrap a loaded model."""
        super().__init__(model, identity, prompts)
        most = _LOGITS["cpu" if identity.device == "cpu" else "gpu"] // (identity.full_dim or 1)
        self.limits = Limits(max(1, min(self.limits.batch_tokens, most)), self.limits.batch_size)
        self._empty_noted = False

    @classmethod
    def reconfigure(cls, model: Any, spec: Spec, options: Mapping[str, Any]) -> None:
        """Set the largest number of active dimensions."""
        del spec
        model.max_active_dims = options.get("max_active_dims", model.max_active_dims)

    @classmethod
    def facts(cls, model: Any, spec: Spec, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the similarity, and the size of the vocabulary as the dimensions."""
        del options
        most = model.max_active_dims
        return {
            "similarity": similarity_of(model.similarity_fn_name, spec),
            # Before its first text a SPLADE model tells the width of its transformer instead.
            "full_dim": len(model.encode_document("a", convert_to_sparse_tensor=False, show_progress_bar=False)),
            "options": {"kind": "sparse", **({"max_active_dims": str(most)} if most else {})},
        }

    def compute(self, texts: Sequence[str]) -> csr_array:
        """Return the sparse vectors of a batch, shape (n, vocabulary)."""
        from scipy.sparse import csr_array

        dense = told.encode(self._model, texts, convert_to_sparse_tensor=False, save_to_cpu=True)
        found = csr_array(np.stack([vector.float().numpy() for vector in dense]))
        self._note_empty(texts, found)
        return found

    def _note_empty(self, texts: Sequence[str], found: csr_array) -> None:
        """Note once that a text with words has no active dimension: no query finds it, or it finds nothing."""
        if self._empty_noted:
            return
        for row in np.flatnonzero(np.diff(found.indptr) == 0).tolist():
            text = apart(texts[row])[2]
            if _WORD.search(text):
                self._empty_noted = True
                warnings.warn(
                    shown(
                        f"The sparse vector of {text!r:.120} has no active dimension ({self.identity.model}): as a document no query finds it, "
                        "as a query it finds nothing. More texts may be so. Does the model's vocabulary hold their words?"
                    ),
                    stacklevel=2,
                )
                return
