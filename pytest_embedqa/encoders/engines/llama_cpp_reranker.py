"""``llamacpp:`` with a reranker: llama.cpp scores a query with documents, by logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from pytest_embedqa.core.errors import EngineError, OutOfMemoryError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Limits, Vectors
from pytest_embedqa.encoders.engines import llama_cpp_running as running
from pytest_embedqa.encoders.engines.rerank_answers import read_scores
from pytest_embedqa.encoders.model_folder import read_folder
from pytest_embedqa.encoders.pairs import split
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.representations import SCORES, Representation
from pytest_embedqa.encoders.spec import Spec

_RANK = 4  # number of the format, see llama_pooling_type
_LONGEST_WORD = 40
# Labels of a language model that answers yes or no (Qwen3-Reranker): llama.cpp gives the probability of the first.
_YES_NO = ["yes", "no"]


class LlamaCppReranker:
    """Engine that scores pairs with a GGUF file.

    llama.cpp takes texts and no tokens here, so a pair that is too long is cut as text: the longer text loses its end.
    """

    representation: Representation = SCORES
    counts_tokens = True
    prompts: Prompts | None = None

    def __init__(self, server: Any, identity: Identity) -> None:  # ships no types
        """Wrap a loaded model."""
        self._server = server
        self._tokenizer = running.Tokenizer(server)
        self.identity = identity
        self.limits = Limits(batch_tokens=65_536, batch_size=256, by_length=False)
        words = len(self._tokenizer.tokens("x", special=False))
        # Tokens of a pair beside those of its texts, a template's included.
        self._special = self._ask("x", ["x"])["usage"]["prompt_tokens"] - 2 * words

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any], facts: Mapping[str, Any]) -> LlamaCppReranker:
        """Load a GGUF file whose facts are known.

        Raises:
            EngineError: If llama.cpp would compute other scores than the model's own.
        """
        path = Path(spec.model)
        if unfit := [key for key in ("pooling", "normalize") if key in options]:
            raise EngineError(
                f"{unfit[0]}= was given, but the model of the spec '{spec}' scores pairs and has no vectors."
            )
        if not facts["head"]:
            raise EngineError(
                f"{path} pools by 'rank' and has no head (no tensor cls.*), so llama.cpp would take a number of its vectors for a score. Convert the "
                "reranker again, with its head."
            )
        if len(facts["labels"]) > 1 and facts["labels"] != _YES_NO:
            raise EngineError(
                f"{path} has the labels {', '.join(facts['labels'])} for a pair, and one score is needed. Name the file of a reranker."
            )
        if facts["segments"]:
            raise EngineError(
                f"{path} tells the tokens of a document from those of a query by segments (token types), and llama.cpp reads both as the first: its "
                "scores would differ. Load the model with st: or vllm:, or serve it by another server."
            )
        told = read_folder(path.parent).max_length
        max_length = min(limit for limit in (options.get("max_length") or told, facts["context_length"]) if limit)
        server = running.start(path, spec, options, pooling=_RANK, max_length=max_length)
        identity = Identity(
            model=spec.model,
            engine=spec.engine,
            weights=running.weights_digest(path, []),
            libraries={"xllamacpp": version("xllamacpp")},
            dtype=facts["dtype"],
            device=running.device(options),
            max_length=max_length,
            similarity="score",
            options={"kind": "reranker", "scale": "probability" if facts["labels"] == _YES_NO else "logits"},
        )
        return cls(server, identity)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the scores of a batch of pairs, shape (n,): a request for each run of the same query."""
        pairs = [self._cut(*split(text)) for text in texts]
        found = []
        for query, run in groupby(pairs, key=lambda pair: pair[0]):
            documents = [document for _, document in run]
            answer = self._ask(query, documents)
            try:
                found.append(read_scores(answer, len(documents)).rows)
            except ValueError as error:
                raise EngineError(f"llama.cpp gave an impossible answer ({self.identity.model}): {error}.") from None
        return np.concatenate(found)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each pair before any cut."""
        return [self._special + sum(map(self._length, split(text))) for text in texts]

    def close(self) -> None:
        """Stop llama.cpp's threads and free the model."""
        self._tokenizer.close()
        self._server = None

    def _length(self, text: str) -> int:
        return len(self._tokenizer.tokens(text, special=False))

    def _ask(self, query: str, documents: list[str]) -> Any:
        """Return the answer for a query and its documents.

        Raises:
            OutOfMemoryError, EngineError: As llama.cpp says.
        """
        answer = self._server.handle_rerank({"query": query, "documents": documents})
        if "error" in answer:
            message = str(answer["error"].get("message", answer["error"]))
            if "memory" in message:
                raise OutOfMemoryError(message)
            raise EngineError(f"llama.cpp failed on {len(documents)} pairs ({self.identity.model}): {message}.")
        return answer

    def _cut(self, query: str, document: str) -> tuple[str, str]:
        """Return a pair that fits, as sentence-transformers cuts it: the longer text first, then both alike."""
        room = (self.identity.max_length or 0) - self._special
        asked, told = self._length(query), self._length(document)
        if asked + told <= room:
            return query, document
        half = room // 2
        first = room - told if told <= half else min(asked, half)
        return self._beginning(query, first), self._beginning(document, room - min(asked, first))

    def _beginning(self, text: str, most: int) -> str:
        """Return the longest beginning of a text with at most so many tokens."""
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._length(text[:middle]) <= most else (low, middle - 1)
        # A part of a word may have more tokens than the whole: look on to the end of the next.
        ends = range(low, min(low + _LONGEST_WORD, len(text)) + 1)
        return text[: max(end for end in ends if end == low or self._length(text[:end]) <= most)]
