"""The representations of a text: a dense vector, a sparse vector, a vector for each token; or the score of a pair.

One module a representation. All that differs between them is here; :class:`~pytest_embedqa.encoders.model.Model` does
the rest in the same way for each.
"""

from __future__ import annotations

from pytest_embedqa.encoders.representations.dense import DENSE
from pytest_embedqa.encoders.representations.multi_vector import MULTI_VECTOR
from pytest_embedqa.encoders.representations.representation import Embeddings, Representation, Row
from pytest_embedqa.encoders.representations.scores import SCORES
from pytest_embedqa.encoders.representations.sparse import SPARSE

__all__ = [
    "DENSE",
    "MULTI_VECTOR",
    "REPRESENTATIONS",
    "SCORES",
    "SPARSE",
    "Embeddings",
    "Representation",
    "Row",
    "representation_of",
]

REPRESENTATIONS = {one.name: one for one in (DENSE, SPARSE, MULTI_VECTOR, SCORES)}


def representation_of(engine: object) -> Representation:
    """Return the representation that an engine names in its attribute ``representation``; dense by default."""
    found: Representation = getattr(engine, "representation", DENSE)
    return found
