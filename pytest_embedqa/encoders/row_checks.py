"""Checks of a batch's rows against each other, and against texts that are embedded alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from pytest_embedqa.core.errors import EncoderFaultError
from pytest_embedqa.core.showing import shown
from pytest_embedqa.encoders.engine import Engine
from pytest_embedqa.encoders.representations import Row, representation_of

# Fewer distinct texts may rightly share a vector (blank texts, or the same beginning).
DISTINCT_TEXTS = 8
_DISTINCT_CHARACTERS = 64
# Rows of low-precision engines depend on the batch in the third decimal. Another text's row is far below.
_SAME_TEXT_COSINE = 0.9
_SMALLEST_CHECKED_BATCH = 4


def check_distinct(engine: Engine, rows: Sequence[Row], texts: Sequence[str], prompt_length: int = 0) -> None:
    """Check that not all texts have the same row, unless the tokenizer can't tell them apart.

    all-MiniLM-L6-v2, for example, reads a Thai sentence as a single unknown token: its scores there are poor and
    real. A few plain texts decide whether the engine looks at its input at all.

    Raises:
        EncoderFaultError: If the plain texts share a row too.
    """
    representation = representation_of(engine)
    if any(not representation.equal(row, rows[0]) for row in rows):
        return
    begun = {representation.content(text, prompt_length).strip()[:_DISTINCT_CHARACTERS] for text in texts}
    if len(begun) < DISTINCT_TEXTS:
        return
    found = (
        f"The engine '{engine.identity.engine}' ({engine.identity.model}) returned the same {representation.noun} for {len(begun)} different texts, "
        f"among them {texts[0]!r:.60} and {texts[-1]!r:.60}."
    )
    plain = list(representation.plain_texts)
    plain_rows = representation.rows(engine.embed(plain), plain, engine.identity)
    if all(representation.equal(row, plain_rows[0]) for row in plain_rows):
        raise EncoderFaultError(f"{found} It does not look at its input: check pooling, tokenizer and weights.")
    warnings.warn(shown(f"{found} Its tokenizer probably does not know their script."), stacklevel=2)


def check_alone(engine: Engine, texts: Sequence[str], rows: Sequence[Row]) -> bool:
    """Check that a batch's rows belong to their texts: two texts, embedded alone, must give their rows again.

    Returns:
        Whether the batch was large enough to tell.

    Raises:
        EncoderFaultError: If the row of a text depends on its place in the batch.
    """
    if len(texts) < _SMALLEST_CHECKED_BATCH:
        return False
    representation, identity = representation_of(engine), engine.identity
    for place in (1, len(texts) - 1):
        text = texts[place]
        (alone,) = representation.rows(engine.embed([text]), [text], identity)
        closeness = representation.closeness(alone, rows[place])
        if not closeness >= _SAME_TEXT_COSINE:
            raise EncoderFaultError(
                f"The engine '{identity.engine}' ({identity.model}) gave {text!r:.60} another {representation.noun} in a batch of {len(texts)} "
                f"than alone ({representation.closeness_name} {closeness:.3f}). Rows are returned in another order than the texts, or padding changes the {representation.noun}s."
            )
    return True
