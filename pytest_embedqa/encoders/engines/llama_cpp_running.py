"""llama.cpp's own server code in this process, embedded by xllamacpp: start, tokenizer, device and file digest."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.digest import file_digest
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.threads import allowed_cpus, usable_cores

_SLOTS, _CONTEXT_TOKENS = 8, 8192
# llama.cpp computes attention over all tokens of a batch, so filling a batch with many texts does not pay.
_TOKENS_AT_ONCE = 512
_FIRST_PART = re.compile(r"-00001-of-(\d{5})\.gguf$")  # of a model split by llama-gguf-split


class Tokenizer:
    """The tokenizer of a running server."""

    def __init__(self, server: Any) -> None:  # ships no types
        """Connect at the first text."""
        self._connection = HTTPConnection(server.listening_address.removeprefix("http://"), timeout=60)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def tokens(self, text: str, *, special: bool = True) -> list[int]:
        """Return the token ids of a text, with special tokens by default."""
        body = json.dumps({"content": text, "add_special": special})
        try:
            return self._ask(body)
        except (OSError, HTTPException):  # the server closes a connection that was idle for some seconds
            self._connection.close()
            return self._ask(body)

    def _ask(self, body: str) -> list[int]:
        self._connection.request("POST", "/tokenize", body, {"Content-Type": "application/json"})
        tokens: list[int] = json.loads(self._connection.getresponse().read())["tokens"]
        return tokens


def start(
    path: Path, spec: Spec, options: Mapping[str, Any], *, pooling: int, max_length: int
) -> Any:  # ships no types
    """Start llama.cpp's server code on a file.

    Args:
        path: The file.
        spec: The spec, for errors.
        options: Values of the spec's keys.
        pooling: Number of the pooling type.
        max_length: Tokens of the longest text.

    Raises:
        EngineError: If the file can't be loaded.
    """
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.embedding = True
    settings.pooling_type = xllamacpp.llama_pooling_type(pooling)
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


def weights_digest(path: Path, settings: Sequence[Path]) -> str:
    """Return the SHA-256 (hex) over a file or its parts, and over the settings in the model's files beside it."""
    split = _FIRST_PART.search(path.name)
    count = split.group(1) if split else "1"
    parts = [
        path.with_name(path.name.replace(f"-00001-of-{count}", f"-{n:05}-of-{count}")) for n in range(1, int(count) + 1)
    ]
    every = [*parts, *settings]
    return file_digest(path) if len(every) == 1 else sha256("".join(map(file_digest, every)).encode()).hexdigest()


def device(options: Mapping[str, Any]) -> str:
    """Return the kind of device that llama.cpp computes on."""
    import xllamacpp

    gpus = [one["name"] for one in xllamacpp.get_device_info() if "GPU" in one["type"].name]
    return gpus[0].rstrip("0123456789").lower() if gpus and options.get("n_gpu_layers", 1) else "cpu"
