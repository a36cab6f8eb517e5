"""``llamacpp:``, GGUF files in this process: llama.cpp's own server code, embedded by xllamacpp."""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import EngineError, MissingExtraError, OutOfMemoryError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Limits, Vectors
from pytest_embedqa.encoders.engines import llama_cpp_running as running
from pytest_embedqa.encoders.engines.llama_cpp_reranker import LlamaCppReranker
from pytest_embedqa.encoders.model_files import require_fetched
from pytest_embedqa.encoders.model_folder import ModelFolder, read_folder, settings_files, truncation_facts
from pytest_embedqa.encoders.model_kind import RERANKER
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.reproducible import require_reproducible
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, choice, natural, positive

_POOLING = {"mean": 1, "cls": 2, "lasttoken": 3}  # numbers of the format, see llama_pooling_type
_NO_POOLING, _RANK = 0, 4
_EMBD_NORMALIZE = {True: 2, False: -1}  # L2 and none, in llama.cpp's numbers


class LlamaCppEngine:
    """Engine that runs a GGUF file with llama.cpp.

    Texts are tokenised by the file's own tokenizer and cut before the closing token: llama.cpp itself refuses
    a text that is too long.
    """

    revisions: ClassVar[bool] = False
    options: ClassVar[Mapping[str, Parser]] = {
        "pooling": choice(*_POOLING),
        "normalize": boolean,
        "max_length": positive,
        "threads": positive,
        "n_gpu_layers": natural,
    }
    counts_tokens = True

    def __init__(
        self, server: Any, identity: Identity, prompts: Prompts | None, *, normalize: bool
    ) -> None:  # ships no types
        """Wrap a loaded model; only the first ``identity.full_dim`` numbers of its vectors are kept."""
        self._server = server
        self._normalize = _EMBD_NORMALIZE[normalize]
        self._tokenizer = running.Tokenizer(server)
        self.identity = identity
        self.prompts = prompts
        self.limits = Limits(batch_tokens=8192, batch_size=64)
        # Special tokens behind a text: they stay when it is cut.
        whole, bare = self._tokenizer.tokens("x"), self._tokenizer.tokens("x", special=False)
        before = next((n for n in range(len(whole)) if whole[n : n + len(bare)] == bare), None)
        if before is None:
            raise EngineError(
                f"The tokenizer of {identity.model} changes a text's own tokens when it adds special ones, so no text can be cut at a known place. Please report the model."
            )
        self._closing = len(whole) - len(bare) - before
        # Last-token pooling without a closing token is the commonest fault of converted files.
        closed = {} if self._closing else {"end_of_text": "missing"}
        self.identity = replace(identity, options={**identity.options, **closed})

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> LlamaCppEngine | LlamaCppReranker:
        """Load a GGUF file."""
        for package in ("xllamacpp", "gguf"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "llamacpp", f"The engine of the spec '{spec}'")
        path = Path(spec.model)
        facts = _metadata(path, spec)
        if facts["ranks"]:
            return LlamaCppReranker.load(spec, options, facts)
        beside = read_folder(path.parent)
        files = (
            beside if beside.chain or beside.config else None
        )  # otherwise a folder of files that have nothing to do with the model
        pooling = _choose_pooling(path, spec, options, facts, files)
        limits = (options.get("max_length") or (files.max_length if files else None), facts["context_length"])
        max_length = min(limit for limit in limits if limit)
        truncate_dim = files.truncate_dim if files else None
        server = running.start(path, spec, options, pooling=_POOLING[pooling], max_length=max_length)
        normalize = options.get("normalize", files.normalize if files and files.chain else True)
        identity = Identity(
            model=spec.model,
            engine=spec.engine,
            weights=running.weights_digest(path, settings_files(files) if files else []),
            libraries={"xllamacpp": version("xllamacpp")},
            dtype=facts["dtype"],
            device=running.device(options),
            pooling=pooling,
            normalize=normalize and truncate_dim is None,
            similarity=files.similarity if files else "cosine",
            max_length=max_length,
            full_dim=min(facts["full_dim"], truncate_dim or facts["full_dim"]),
            options=truncation_facts(truncate_dim, normalised=normalize),
        )
        return cls(server, identity, beside.prompts, normalize=normalize)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of a batch, shape (n, full_dim)."""
        answer = self._server.handle_embeddings(
            {
                "input": [self._cut(self._tokenizer.tokens(text)) for text in texts],
                "encoding_format": "base64",
                "embd_normalize": self._normalize,
            }
        )
        if "error" in answer:
            message = str(answer["error"].get("message", answer["error"]))
            if "memory" in message:
                raise OutOfMemoryError(message)
            blank = " A text without any token can't be embedded." if not all(texts) else ""
            raise EngineError(
                f"llama.cpp failed on a batch of {len(texts)} texts ({self.identity.model}): {message}.{blank}"
            )
        rows = sorted(answer["data"], key=lambda row: row["index"])
        vectors = np.stack([np.frombuffer(base64.b64decode(row["embedding"]), dtype=np.float32) for row in rows])
        return vectors[:, : self.identity.full_dim]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text before any cut."""
        return [len(self._tokenizer.tokens(text)) for text in texts]

    def close(self) -> None:
        """Stop llama.cpp's threads and free the model."""
        self._tokenizer.close()
        self._server = None

    def _cut(self, tokens: list[int]) -> list[int]:
        limit = self.identity.max_length or len(tokens)
        if len(tokens) <= limit:
            return tokens
        return tokens[: limit - self._closing] + (tokens[-self._closing :] if self._closing else [])


def _metadata(path: Path, spec: Spec) -> dict[str, Any]:
    """Read the facts of a model from its GGUF file."""
    from gguf import GGUFReader, LlamaFileType

    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "does not exist"
        raise EngineError(f"The file of the spec '{spec}' {fault}: {path}. Write llamacpp:PATH.gguf.")
    require_fetched(spec, path)
    try:
        reader = GGUFReader(path)
        fields = reader.fields
        architecture = fields["general.architecture"].contents()
    except Exception as error:  # the reader raises whatever it stumbles over
        raise EngineError(
            f"{path} is not a GGUF file, or is damaged: {error}. Download or convert it again."
        ) from error

    def of_model(name: str) -> Any:
        field = fields.get(f"{architecture}.{name}")
        return field.contents() if field else None

    if of_model("context_length") is None:
        raise EngineError(
            f"{path} holds no model that embeds texts: it has no {architecture}.context_length (an adapter or an image projector, perhaps). Name the file of the model itself."
        )
    _require_uncased(path, fields)
    pooling_type = of_model("pooling_type")
    names = [path.name, *(fields[key].contents() for key in ("general.name", "general.basename") if key in fields)]
    signs = {
        "the labels of a classifier": of_model("classifier.output_labels"),
        f"the name {', '.join(names)}": any(map(RERANKER.search, names)),
    }
    ranks = pooling_type == _RANK
    if not ranks and (sign := next((sign for sign, there in signs.items() if there), None)):
        raise EngineError(
            f"{path} is a reranker by {sign}: it scores pairs of texts, and has no vectors to compare. Name the file of an embedding model; or convert it "
            "again as a reranker, with its head (pooling type 'rank')."
        )
    kind = fields["general.file_type"].contents() if "general.file_type" in fields else None
    known = {one.value: one.name.removeprefix("MOSTLY_").removeprefix("ALL_").lower() for one in LlamaFileType}
    dtype = known.get(kind, f"file type {kind}")
    return {
        # llama.cpp keeps room for the token that a causal model would write next.
        "context_length": of_model("context_length") - (of_model("attention.causal") is not False),
        "full_dim": of_model("dense_3_feat_out") or of_model("embedding_length_out") or of_model("embedding_length"),
        "dense": sum(tensor.name.startswith("dense_") for tensor in reader.tensors),
        "pooling": {number: name for name, number in _POOLING.items()}.get(pooling_type),
        "pools": pooling_type != _NO_POOLING,
        "ranks": ranks,
        "labels": of_model("classifier.output_labels") or [],
        "head": any(tensor.name.startswith("cls.") for tensor in reader.tensors),
        "segments": _has_segments(reader.tensors),
        "dtype": {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}.get(dtype, dtype),
    }


def _has_segments(tensors: Sequence[Any]) -> bool:
    """Return whether a document's tokens differ from the same tokens of a query (segments of BERT)."""
    types = next((tensor.data for tensor in tensors if tensor.name == "token_types.weight"), None)
    return types is not None and len(types) > 1 and not np.array_equal(types[0], types[1])


def _require_uncased(path: Path, fields: Mapping[str, Any]) -> None:
    """Refuse a cased WordPiece vocabulary: llama.cpp lower-cases texts and strips accents for each such vocabulary."""
    if "tokenizer.ggml.tokens" not in fields or fields["tokenizer.ggml.model"].contents() != "bert":
        return
    words = fields["tokenizer.ggml.tokens"].contents()
    if sum(word != word.lower() for word in words if not word.startswith("[")) > len(words) / 100:
        raise EngineError(
            f"{path} tells upper from lower case in its vocabulary, and llama.cpp lower-cases every text before that: its vectors would differ. Load the model with st:."
        )


def _choose_pooling(
    path: Path, spec: Spec, options: Mapping[str, Any], facts: Mapping[str, Any], files: ModelFolder | None
) -> str:
    """Return the pooling of the spec, else of the file, else of its folder; file and folder must agree."""
    if files:
        require_reproducible(files, spec, "llamacpp", options)
        dense = files.modules.count("Dense")
        if dense and dense != facts["dense"]:
            raise EngineError(
                f"The model beside {path} has the module Dense {dense} times, the file {facts['dense']} times: its vectors would differ. Convert it again with --sentence-transformers-dense-modules, or load the folder with st:."
            )
    told = files.pooling if files else None
    pooling: str | None = options.get("pooling") or facts["pooling"] or told
    if not options.get("pooling") and not facts["pools"]:
        raise EngineError(
            f"{path} pools nothing (pooling type 'none'): its model gives a vector for each token, as multi-vector models (ColBERT) do. Choose an embedding model, or, if the file is wrong, set pooling={'|'.join(_POOLING)} in the spec '{spec}'."
        )
    if pooling is None:
        raise EngineError(
            f"{path} does not say how it pools its tokens: it was made as a generative model, or by an old converter. Set pooling={'|'.join(_POOLING)} in the spec '{spec}'."
        )
    if told and "pooling" not in options and pooling != told:
        raise EngineError(
            f"{path} pools by {pooling}, the model's files beside it say {told}. Convert it again, or say which with pooling= in the spec '{spec}'."
        )
    return pooling
