"""``onnx:``, a model exported to ONNX, with its tokenizer, on onnxruntime."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import EngineError, MissingExtraError, OutOfMemoryError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.digest import file_digest
from pytest_embedqa.encoders.engine import Limits, Vectors
from pytest_embedqa.encoders.engines.onnx_graph import (
    check_vectors,
    choose_output,
    fixed_shape,
    graph_parts,
    pool,
    read_inputs,
    to_inputs,
    weights_dtype,
)
from pytest_embedqa.encoders.engines.onnx_int8 import HOW, quantised
from pytest_embedqa.encoders.hub import hub_or_cache
from pytest_embedqa.encoders.memory import HeapTrimmer
from pytest_embedqa.encoders.model_files import require_fetched, require_one_tokenizer
from pytest_embedqa.encoders.model_folder import (
    ModelFolder,
    read_folder,
    require_dense,
    settings_files,
    truncation_facts,
)
from pytest_embedqa.encoders.reproducible import ABILITIES, OUT_OF_RANGE, require_reproducible
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, choice, positive
from pytest_embedqa.encoders.threads import cpu_threads

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

_POOLING = ABILITIES["onnx"].pooling
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_LIMITS = {"cpu": Limits(batch_tokens=4096, batch_size=32), "cuda": Limits(batch_tokens=65_536, batch_size=512)}
# Places where exporters put a model; the first that exists is taken.
_FILES = ("model.onnx", "onnx/model.onnx")
_SMALL_FILES = ["*.json", "*.txt", "*/config.json"]


class OnnxEngine:
    """Engine that tokenises, runs the graph, pools and normalises as the model's own files say."""

    options: ClassVar[Mapping[str, Parser]] = {
        "file": str,
        "tokenizer": str,
        "output": str,
        "pooling": choice(*_POOLING),
        "normalize": boolean,
        "max_length": positive,
        "device": choice(*_PROVIDERS),
        "dtype": choice("int8"),
        "threads": positive,
    }
    counts_tokens = True

    def __init__(
        self,
        graph: Path,
        tokenizer: Path,
        files: ModelFolder,
        spec: Spec,
        options: Mapping[str, Any],
    ) -> None:
        """Load a graph; its output for a first text shows whether it pools by itself."""
        self._session = session = _session(graph, spec, options)
        self._name = spec.model
        self._inputs = read_inputs(session, files, spec)
        self._output = choose_output(session, spec, options.get("output"))
        texts, tokens = fixed_shape(session, spec)
        self._whole, self._cut = (_tokenizer(tokenizer, files, spec) for _ in range(2))
        limits = [limit for limit in (options.get("max_length") or files.max_length, tokens) if limit]
        if limits:
            self._cut.enable_truncation(min(limits))
        self._cut.enable_padding(length=tokens, pad_id=max(0, files.config.get("pad_token_id") or 0))
        device = "cuda" if _PROVIDERS["cuda"] in session.get_providers() else "cpu"
        self.limits = replace(_LIMITS[device], batch_size=1) if texts else _LIMITS[device]
        self.prompts = files.prompts
        self._heap = HeapTrimmer()
        found, mask = self._run(["A text to learn the dimensions from."])
        whole = check_vectors(found, files, spec, self._output, chosen="output" in options)
        self._pooling = _pooling(spec, options, files, whole=whole)
        self._normalize = options.get("normalize", files.normalize)
        self._truncate_dim = files.truncate_dim
        deciding = [*graph_parts(graph), tokenizer, *settings_files(files)]
        self.identity = Identity(
            model=spec.model,
            engine=spec.engine,
            weights=sha256("".join(map(file_digest, deciding)).encode()).hexdigest(),
            revision=spec.revision,
            libraries={name: version(name) for name in ("onnxruntime", "tokenizers", "numpy")},
            dtype=options.get("dtype") or weights_dtype(graph),
            device=device,
            pooling=self._pooling or "model",
            normalize=self._normalize and files.truncate_dim is None,
            similarity=files.similarity,
            max_length=min(limits) if limits else None,
            full_dim=self._finished(found, mask).shape[1],
            options={name: options[name] for name in ("file", "output") if name in options}
            | truncation_facts(files.truncate_dim, normalised=self._normalize)
            | ({"quantised": HOW} if "dtype" in options else {}),
        )

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> OnnxEngine:
        """Load a folder with a model, a single ``.onnx`` file, or a name on the Hub."""
        for package in ("onnxruntime", "tokenizers", "onnx"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "onnx", f"The engine of the spec '{spec}'")
        folder, graph = _find(spec, options.get("file"))
        files = read_folder(folder)
        require_dense(files, spec)
        tokenizer = _find_tokenizer(spec, files.transformer, options.get("tokenizer"))
        require_fetched(spec, tokenizer, *graph.parent.glob(f"{graph.name}*"))
        require_one_tokenizer(tokenizer, spec)
        return cls(graph, tokenizer, files, spec, options)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of a batch, shape (n, full_dim)."""
        vectors = self._finished(*self._run(texts))
        self._heap.embedded(len(texts))
        return vectors

    def _run(self, texts: Sequence[str]) -> tuple[Any, Any]:
        """Return the graph's output for a batch, and a mask of the tokens that are not padding."""
        encodings = self._cut.encode_batch(list(texts))
        mask = np.array([one.attention_mask for one in encodings])
        ids, types = np.array([one.ids for one in encodings]), np.array([one.type_ids for one in encodings])
        try:
            (found,) = self._session.run([self._output], to_inputs(ids, mask, types, self._inputs))
        except Exception as error:  # onnxruntime's own errors share no base class
            message = str(error).partition("\n")[0]
            if "allocate memory" in message or "out of memory" in message:
                raise OutOfMemoryError(message) from None
            hint = OUT_OF_RANGE if "out of data bounds" in str(error) else " Do graph and tokenizer belong together?"
            raise EngineError(
                f"onnxruntime failed on a batch of {len(texts)} texts ({self._name}): {message}.{hint}"
            ) from error
        return found, mask

    def _finished(self, found: Any, mask: Any) -> Vectors:  # arrays
        """Pool, normalise and cut the graph's output: the vectors of the texts."""
        vectors: Vectors = found.astype(np.float32)
        if self._pooling:
            vectors = pool(vectors, mask, self._pooling)
        if self._normalize:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors[:, : self._truncate_dim]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text before any cut."""
        return [len(one.ids) for one in self._whole.encode_batch(list(texts))]

    def close(self) -> None:
        """Free the graph."""
        del self._session


def _tokenizer(path: Path, files: ModelFolder, spec: Spec) -> Tokenizer:
    from tokenizers import Tokenizer, normalizers

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more specific
        raise EngineError(
            f"The tokenizer of the spec '{spec}' can't be read: {path}: {error}. Fetch the model again."
        ) from error
    # The file may hold the truncation and padding of the run that saved it.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if files.lower_case:  # in the tokenizer, which leaves special tokens as they are
        own = tokenizer.normalizer
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *([own] if own else [])])
    return tokenizer


def _find(spec: Spec, file: str | None) -> tuple[Path, Path]:
    """Return the folder and the graph of a spec's model."""
    path = Path(spec.model)
    if path.suffix == ".onnx" and path.is_file():
        # In the Hub's layout the graph lies in a folder below all other files.
        beside = (path.parent / "tokenizer.json").exists() or not (path.parent.parent / "tokenizer.json").exists()
        return (path.parent if beside else path.parent.parent), path
    folder = path if path.is_dir() else _download(spec, file)
    for name in [file] if file else _FILES:
        if (folder / name).is_file():
            return folder, folder / name
    there = sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*.onnx"))
    listed = f"It has {', '.join(there)}: choose with file=." if there else "It has no .onnx file at all."
    raise EngineError(f"The folder of the spec '{spec}' has no {file or ' or '.join(_FILES)}. {listed}")


def _download(spec: Spec, file: str | None) -> Path:
    from huggingface_hub import snapshot_download

    wanted = [name for one in ([file] if file else _FILES) for name in (one, f"{one}_data", f"{one}.data")]
    try:
        with hub_or_cache():
            return Path(snapshot_download(spec.model, revision=spec.revision, allow_patterns=[*_SMALL_FILES, *wanted]))
    except (OSError, ValueError) as error:
        raise EngineError(
            f"The model of the spec '{spec}' is neither a folder, nor an .onnx file, nor can it be had from the Hub: {error}"
        ) from error


def _find_tokenizer(spec: Spec, folder: Path, given: str | None) -> Path:
    place = Path(given) if given else folder
    path = place / "tokenizer.json" if place.is_dir() else place
    if not path.is_file():
        raise EngineError(
            f"The model of the spec '{spec}' has no tokenizer: {path} does not exist. "
            "Name the folder of its tokenizer.json with tokenizer=FOLDER."
        )
    return path


def _session(graph: Path, spec: Spec, options: Mapping[str, Any]) -> InferenceSession:
    import onnxruntime as ort

    there, int8 = ort.get_available_providers(), "dtype" in options
    device = options.get("device") or ("cuda" if _PROVIDERS["cuda"] in there and not int8 else "cpu")
    if int8 and device != "cpu":
        raise EngineError(f"dtype=int8 of the spec '{spec}' is for the CPU. Leave out dtype= or device={device}.")
    if _PROVIDERS[device] not in there:
        raise EngineError(
            f"device={device} of the spec '{spec}' needs onnxruntime-gpu; this onnxruntime has {', '.join(there)}. Install it, or set device=cpu."
        )
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = options.get("threads") or cpu_threads() or 0
    if int8:
        # Without this, sums of products overflow on CPUs that have AVX2 and no VNNI. With VNNI it changes nothing.
        settings.add_session_config_entry("session.x64quantprecision", "1")
    try:
        session = ort.InferenceSession(str(graph), settings, providers=[_PROVIDERS[device]])
    except Exception as error:
        raise EngineError(
            f"onnxruntime can't load {graph} of the spec '{spec}': {error}. Download or export it again."
        ) from error
    if not int8:
        return session
    if (dtype := weights_dtype(graph)) != "float32":
        raise EngineError(
            f"dtype=int8 of the spec '{spec}' quantises a float32 graph; {graph} is {dtype}. Leave it out."
        )
    return ort.InferenceSession(str(quantised(graph, spec)), settings, providers=[_PROVIDERS[device]])


def _pooling(spec: Spec, options: Mapping[str, Any], files: ModelFolder, *, whole: bool) -> str | None:
    """Return the way of pooling the tokens; ``None`` for a graph that pools by itself."""
    require_reproducible(files, spec, "onnx", options, whole=whole)
    if whole and "pooling" in options:
        raise EngineError(f"The graph of the spec '{spec}' pools by itself; pooling= can't change that. Leave it out.")
    pooling: str | None = options.get("pooling") or files.pooling
    if not whole and pooling is None:
        raise EngineError(
            f"Nothing says how the model of the spec '{spec}' pools its tokens (no 1_Pooling/config.json). Set pooling={'|'.join(_POOLING)}."
        )
    return None if whole else pooling
