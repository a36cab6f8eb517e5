"""The model behind the server is the one that was chosen, and it keeps what any encoder must."""

from __future__ import annotations

from pytest_embedqa import parity


@parity(reference="builtin", min_cosine=0.9999, min_overlap=0.97)
def test_the_server_gives_the_vectors_of_the_model() -> None:
    """all-MiniLM-L6-v2 served by vLLM in float32. Another MODEL: reference="st:ORG/MODEL"."""
