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
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.encoders.digest import file_digest
from pytest_embedqa.encoders.engine import Limits, Vectors
from pytest_embedqa.encoders.engines.onnx_int8 import HOW, graph_parts, quantised
from pytest_embedqa.encoders.memory import HeapTrimmer
from pytest_embedqa.encoders.model_folder import ModelFolder, read_folder, require_dense
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, choice, positive
from pytest_embedqa.encoders.threads import cpu_threads

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

_POOLING = ("mean", "cls", "lasttoken", "max")
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_LIMITS = {"cpu": Limits(batch_tokens=4096, batch_size=32), "cuda": Limits(batch_tokens=65_536, batch_size=512)}
# Where exporters put a model, the first that exists is taken.
_FILES = ("model.onnx", "onnx/model.onnx")
_SMALL_FILES = ["*.json", "*.txt", "*/config.json"]
# Operators that give away how a model was quantised.
_QUANTISED = {b"MatMulNBits": "int4", b"MatMulInteger": "int8", b"QLinearMatMul": "int8", b"DequantizeLinear": "int8"}


class OnnxEngine:
    """Tokenises, runs the graph, pools and normalises as the model's own files say."""

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

    def __init__(  # noqa: PLR0913  the parts of the engine
        self,
        session: InferenceSession,
        tokenizer: Path,
        identity: Identity,
        *,
        output: str,
        lower_case: bool,
        prompts: Prompts | None,
    ) -> None:
        """Wrap a loaded graph."""
        self._session = session
        self._whole = _tokenizer(tokenizer)
        self._cut = _tokenizer(tokenizer)
        if identity.max_length:
            self._cut.enable_truncation(identity.max_length)
        self._cut.enable_padding()
        self._inputs = {one.name: np.int32 if "int32" in one.type else np.int64 for one in session.get_inputs()}
        self._output = output
        self._lower_case = lower_case
        self.identity = identity
        self.prompts = prompts
        self.limits = _LIMITS[identity.device]
        self._heap = HeapTrimmer()

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> OnnxEngine:
        """Load a folder with a model, a single ``.onnx`` file, or a name on the Hub."""
        for package in ("onnxruntime", "tokenizers"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "onnx", f"The engine of the spec '{spec}'")
        folder, graph = _find(spec, options.get("file"))
        tokenizer = _find_tokenizer(spec, folder, options.get("tokenizer"))
        files = read_folder(folder)
        require_dense(files, spec)
        unknown = [name for name in files.modules if name not in {"Transformer", "Pooling", "Normalize"}]
        if unknown:
            raise EngineError(
                f"The model of the spec '{spec}' has the module {unknown[0]}, which 'onnx' can't run. Load it with st:."
            )
        session = _session(graph, spec, options)
        output, pooled = _output(session, spec, options.get("output"))
        identity = _identity(session, spec, options, files=files, graph=graph, tokenizer=tokenizer, pooled=pooled)
        engine = cls(session, tokenizer, identity, output=output, lower_case=files.lower_case, prompts=files.prompts)
        probe = engine.embed(["A text to learn the dimension from."])
        engine.identity = replace(identity, full_dim=probe.shape[1])
        return engine

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of one batch, shape (n, full_dim)."""
        encodings = self._cut.encode_batch([self._prepared(text) for text in texts])
        mask = np.array([one.attention_mask for one in encodings])
        known = {
            "input_ids": np.array([one.ids for one in encodings]),
            "attention_mask": mask,
            "token_type_ids": np.array([one.type_ids for one in encodings]),
            "position_ids": np.maximum(mask.cumsum(axis=1) - 1, 0),
        }
        try:
            (found,) = self._session.run(
                [self._output], {name: known[name].astype(kind) for name, kind in self._inputs.items()}
            )
        except Exception as error:  # onnxruntime's own errors share no base class
            message = str(error).partition("\n")[0]
            if "allocate memory" in message or "out of memory" in message:
                raise OutOfMemoryError(message) from None
            raise EngineError(
                f"onnxruntime failed on a batch of {len(texts)} texts ({self.identity.model}): {message}. Do graph and tokenizer belong together?"
            ) from error
        self._heap.embedded(len(texts))
        vectors: Vectors = found.astype(np.float32)
        if vectors.ndim > 2:  # noqa: PLR2004  a vector for each token
            vectors = _pool(vectors, mask, self.identity.pooling)
        if self.identity.normalize:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before any cut."""
        return [len(one.ids) for one in self._whole.encode_batch([self._prepared(text) for text in texts])]

    def close(self) -> None:
        """Free the graph."""
        del self._session

    def _prepared(self, text: str) -> str:
        return text.lower() if self._lower_case else text


def _pool(tokens: Floats, mask: Floats, pooling: str) -> Vectors:
    """One vector from those of the tokens, shape (n, tokens, d), as sentence-transformers does it."""
    rows, wide = np.arange(len(tokens)), mask[:, :, None].astype(np.float32)
    if pooling == "cls":
        pooled = tokens[rows, mask.argmax(axis=1)]
    elif pooling == "lasttoken":
        pooled = tokens[rows, mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)]
    elif pooling == "max":
        pooled = np.where(wide > 0, tokens, -np.inf).max(axis=1)
    else:
        pooled = (tokens * wide).sum(axis=1) / np.maximum(wide.sum(axis=1), 1e-9)
    vectors: Vectors = pooled.astype(np.float32)
    return vectors


def _tokenizer(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokenizer = Tokenizer.from_file(str(path))
    # The file may hold those of the run in which it was saved.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _find(spec: Spec, file: str | None) -> tuple[Path, Path]:
    """Folder and graph of a spec's model."""
    path = Path(spec.model)
    if path.suffix == ".onnx" and path.is_file():
        # In the layout of the Hub the graph lies one folder below the rest.
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
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    wanted = [name for one in ([file] if file else _FILES) for name in (one, f"{one}_data", f"{one}.data")]
    try:
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
    import onnxruntime as ort  # noqa: PLC0415

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
        # Without it, sums of products overflow on CPUs that have AVX2 and no VNNI. With VNNI it changes nothing.
        settings.add_session_config_entry("session.x64quantprecision", "1")
    try:
        session = ort.InferenceSession(str(graph), settings, providers=[_PROVIDERS[device]])
    except Exception as error:
        raise EngineError(
            f"onnxruntime can't load {graph} of the spec '{spec}': {error}. Download or export it anew."
        ) from error
    if not int8:
        return session
    if (dtype := _dtype(session, graph)) != "float32":
        raise EngineError(
            f"dtype=int8 of the spec '{spec}' quantises a float32 graph; {graph} is {dtype}. Leave it out."
        )
    return ort.InferenceSession(str(quantised(graph, spec)), settings, providers=[_PROVIDERS[device]])


def _output(session: InferenceSession, spec: Spec, wanted: str | None) -> tuple[str, bool]:
    """The output to use, and whether the graph has pooled it."""
    needs = [one.name for one in session.get_inputs()]
    known = {"input_ids", "attention_mask", "token_type_ids", "position_ids"}
    if not set(needs) <= known:
        raise EngineError(
            f"The graph of the spec '{spec}' wants the inputs {', '.join(needs)}; 'onnx' can give {', '.join(sorted(known))}. "
            "Export it for feature extraction."
        )
    outputs = {one.name: one for one in session.get_outputs()}
    name = wanted or next(
        (one for one in ("sentence_embedding", "last_hidden_state") if one in outputs), next(iter(outputs))
    )
    if name not in outputs:
        raise EngineError(f"The graph of the spec '{spec}' has no output '{name}'. It has {', '.join(outputs)}.")
    return name, len(outputs[name].shape) == 2  # noqa: PLR2004  (texts, dimensions)


def _identity(  # noqa: PLR0913  what the facts are drawn from
    session: InferenceSession,
    spec: Spec,
    options: Mapping[str, Any],
    *,
    files: ModelFolder,
    graph: Path,
    tokenizer: Path,
    pooled: bool,
) -> Identity:
    pooling = "model" if pooled else options.get("pooling") or files.pooling
    if pooling is None:
        raise EngineError(
            f"Nothing says how the model of the spec '{spec}' pools its tokens (no 1_Pooling/config.json). Set pooling={'|'.join(_POOLING)}."
        )
    if not pooled and pooling not in _POOLING:
        raise EngineError(
            f"The model of the spec '{spec}' has {pooling} pooling; 'onnx' has {', '.join(_POOLING)}. Load it with st:."
        )
    if pooled and "pooling" in options:
        raise EngineError(f"The graph of the spec '{spec}' pools by itself; pooling= can't change that. Leave it out.")
    digest = sha256("".join(file_digest(part) for part in [*graph_parts(graph), tokenizer]).encode()).hexdigest()
    return Identity(
        model=spec.model,
        engine=spec.engine,
        weights=digest,
        revision=spec.revision,
        libraries={name: version(name) for name in ("onnxruntime", "tokenizers", "numpy")},
        dtype=options.get("dtype") or _dtype(session, graph),
        device="cuda" if _PROVIDERS["cuda"] in session.get_providers() else "cpu",
        pooling=pooling,
        normalize=options.get("normalize", files.normalize),
        similarity=files.similarity,
        max_length=options.get("max_length") or files.max_length,
        options={name: options[name] for name in ("file", "output") if name in options}
        | ({"quantised": HOW} if "dtype" in options else {}),
    )


def _dtype(session: InferenceSession, graph: Path) -> str:
    """Number format of the weights, by the operators in the graph, else by its output."""
    content = graph.read_bytes()
    quantised = next((dtype for operator, dtype in _QUANTISED.items() if operator in content), None)
    return quantised or {"tensor(float)": "float32"}.get(kind := session.get_outputs()[0].type, kind[7:-1])
