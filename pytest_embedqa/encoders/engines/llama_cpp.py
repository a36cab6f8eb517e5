"""``llamacpp:``, GGUF files in this process: llama.cpp's own server code, embedded by xllamacpp."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import EngineError, MissingExtraError, OutOfMemoryError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.digest import file_digest
from pytest_embedqa.encoders.engine import Limits, Vectors
from pytest_embedqa.encoders.model_files import require_fetched
from pytest_embedqa.encoders.model_folder import ModelFolder, read_folder, settings_files, truncation_facts
from pytest_embedqa.encoders.model_kind import RERANKER
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.reproducible import require_reproducible
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, choice, natural, positive
from pytest_embedqa.encoders.threads import allowed_cpus, usable_cores

_POOLING = {"mean": 1, "cls": 2, "lasttoken": 3}  # numbers of the format, see llama_pooling_type
_NO_POOLING, _RANK = 0, 4
_SLOTS, _CONTEXT_TOKENS = 8, 8192
# llama.cpp computes attention over all tokens of a batch, so filling a batch with many texts does not pay.
_TOKENS_AT_ONCE = 512
_EMBD_NORMALIZE = {True: 2, False: -1}  # L2 and none, in llama.cpp's numbers
_FIRST_PART = re.compile(r"-00001-of-(\d{5})\.gguf$")  # of a model split by llama-gguf-split


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
        self._tokenizer = HTTPConnection(server.listening_address.removeprefix("http://"), timeout=60)
        self.identity = identity
        self.prompts = prompts
        self.limits = Limits(batch_tokens=8192, batch_size=64)
        # Special tokens behind a text: they stay when it is cut.
        whole, bare = self._tokens("x"), self._tokens("x", special=False)
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
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> LlamaCppEngine:
        """Load a GGUF file."""
        for package in ("xllamacpp", "gguf"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "llamacpp", f"The engine of the spec '{spec}'")
        path = Path(spec.model)
        facts = _metadata(path, spec)
        beside = read_folder(path.parent)
        files = (
            beside if beside.chain or beside.config else None
        )  # otherwise a folder of files that have nothing to do with the model
        pooling = _choose_pooling(path, spec, options, facts, files)
        limits = (options.get("max_length") or (files.max_length if files else None), facts["context_length"])
        max_length = min(limit for limit in limits if limit)
        truncate_dim = files.truncate_dim if files else None
        server = _start(path, spec, options, pooling=pooling, max_length=max_length)
        normalize = options.get("normalize", files.normalize if files and files.chain else True)
        identity = Identity(
            model=spec.model,
            engine=spec.engine,
            weights=_weights_digest(path, settings_files(files) if files else []),
            libraries={"xllamacpp": version("xllamacpp")},
            dtype=facts["dtype"],
            device=_device(options),
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
                "input": [self._cut(self._tokens(text)) for text in texts],
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
        return [len(self._tokens(text)) for text in texts]

    def close(self) -> None:
        """Stop llama.cpp's threads and free the model."""
        self._tokenizer.close()
        self._server = None

    def _cut(self, tokens: list[int]) -> list[int]:
        limit = self.identity.max_length or len(tokens)
        if len(tokens) <= limit:
            return tokens
        return tokens[: limit - self._closing] + (tokens[-self._closing :] if self._closing else [])

    def _tokens(self, text: str, *, special: bool = True) -> list[int]:
        body = json.dumps({"content": text, "add_special": special})
        try:
            return self._ask(body)
        except (OSError, HTTPException):  # the server closes a connection that was idle for some seconds
            self._tokenizer.close()
            return self._ask(body)

    def _ask(self, body: str) -> list[int]:
        self._tokenizer.request("POST", "/tokenize", body, {"Content-Type": "application/json"})
        tokens: list[int] = json.loads(self._tokenizer.getresponse().read())["tokens"]
        return tokens


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
        "pooling type 'rank'": pooling_type == _RANK,
        "the labels of a classifier": of_model("classifier.output_labels"),
        f"the name {', '.join(names)}": any(map(RERANKER.search, names)),
    }
    if sign := next((sign for sign, there in signs.items() if there), None):
        raise EngineError(
            f"{path} is a reranker by {sign}: it scores pairs of texts, and has no vectors to compare. Name the file of an embedding model."
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
        "dtype": {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}.get(dtype, dtype),
    }


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


def _start(path: Path, spec: Spec, options: Mapping[str, Any], *, pooling: str, max_length: int) -> Any:
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.embedding = True
    settings.pooling_type = xllamacpp.llama_pooling_type(_POOLING[pooling])
    # A text must fit into a physical batch: an encoder can't look at it piece by piece.
    settings.n_batch = settings.n_ubatch = max(max_length, _TOKENS_AT_ONCE)
    # A causal model keeps memory for every token of every slot: long contexts get few slots.
    settings.n_parallel = max(1, min(_SLOTS, _CONTEXT_TOKENS // settings.n_ubatch))
    settings.n_ctx = (max_length + 1) * settings.n_parallel
    # Hyper-threads and load from other processes slow llama.cpp down: a thread that waits holds up all others.
    threads = options.get("threads") or max(1, min(len(allowed_cpus()) // 2, usable_cores()))
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    if "n_gpu_layers" in options:
        settings.n_gpu_layers = options["n_gpu_layers"]
    settings.verbosity = -1
    settings.warmup = False
    try:
        return xllamacpp.Server(settings)
    except Exception as error:
        raise EngineError(
            f"llama.cpp can't load the file of the spec '{spec}': {error}. Download or convert it again, or install a newer xllamacpp."
        ) from error


def _weights_digest(path: Path, settings: Sequence[Path]) -> str:
    """Return the SHA-256 (hex) over a file or its parts, and over the settings in the model's files beside it."""
    split = _FIRST_PART.search(path.name)
    count = split.group(1) if split else "1"
    parts = [
        path.with_name(path.name.replace(f"-00001-of-{count}", f"-{n:05}-of-{count}")) for n in range(1, int(count) + 1)
    ]
    every = [*parts, *settings]
    return file_digest(path) if len(every) == 1 else sha256("".join(map(file_digest, every)).encode()).hexdigest()


def _device(options: Mapping[str, Any]) -> str:
    import xllamacpp

    gpus = [one["name"] for one in xllamacpp.get_device_info() if "GPU" in one["type"].name]
    return gpus[0].rstrip("0123456789").lower() if gpus and options.get("n_gpu_layers", 1) else "cpu"
