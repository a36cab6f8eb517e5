"""Inputs and outputs of an ONNX graph: its inputs, the output with the vectors, the number format of its weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.model_folder import ModelFolder
from pytest_embedqa.encoders.spec import Spec

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
_NUMPY = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(bool)": np.bool_,
}
# Exporters' names for outputs with a vector for each text, made by all modules of the model, and for each token.
_TEXT, _TOKENS = ("sentence_embedding",), ("last_hidden_state", "token_embeddings")
# Model families whose positions begin after the index of the padding token.
_POSITIONS_BEHIND_PADDING = ("roberta", "camembert", "mpnet", "xmod", "longformer", "data2vec")
# Operators that compute with quantised weights.
_QUANTISED = {"MatMulInteger": "int8", "QLinearMatMul": "int8", "DequantizeLinear": "int8", "QAttention": "int8"}


def read_inputs(session: InferenceSession, files: ModelFolder, spec: Spec) -> dict[str, type[np.generic]]:
    """Return the graph's inputs with their number formats.

    Raises:
        EngineError: If it has an input that is not a text's tokens.
    """
    inputs = {one.name: one.type for one in session.get_inputs()}
    strange = [name for name in inputs if name not in INPUTS]
    if strange or "input_ids" not in inputs:
        raise EngineError(
            f"The graph of the spec '{spec}' wants the inputs {', '.join(inputs)}; 'onnx' can give {', '.join(INPUTS)}. "
            "Export it for feature extraction, without a cache."
        )
    family = str(files.config.get("model_type"))
    if "position_ids" in inputs and any(name in family for name in _POSITIONS_BEHIND_PADDING):
        raise EngineError(
            f"The graph of the spec '{spec}' wants position_ids, which {family} counts in a way of its own. Export it without: it can count them itself."
        )
    for name, kind in inputs.items():
        if kind not in _NUMPY:
            raise EngineError(
                f"The graph of the spec '{spec}' wants {name} as {kind}, which 'onnx' can't give. Export it with int64."
            )
    return {name: _NUMPY[kind] for name, kind in inputs.items()}


def fixed_shape(session: InferenceSession, spec: Spec) -> tuple[int | None, int | None]:
    """Return the numbers of texts (at most 1) and tokens that the graph was exported for; ``None`` where any will do.

    Raises:
        EngineError: If it takes only a fixed number of several texts.
    """
    (shape,) = (one.shape for one in session.get_inputs() if one.name == "input_ids")
    texts, tokens = (size if isinstance(size, int) and size > 0 else None for size in [*shape, None, None][:2])
    if texts and texts > 1:
        raise EngineError(
            f"The graph of the spec '{spec}' takes {texts} texts at a time, no more and no fewer. Export it with dynamic axes."
        )
    return texts, tokens


def choose_output(session: InferenceSession, spec: Spec, wanted: str | None) -> str:
    """Choose the output with the vectors by name; the first of several outputs is never taken just for being first.

    Raises:
        EngineError: If there is no output of the wanted name, or none with a known name.
    """
    outputs = {one.name: one for one in session.get_outputs()}
    if wanted and wanted in outputs:
        return wanted
    listed = ", ".join(f"{name} {_shape(one.shape)}" for name, one in outputs.items())
    if wanted:
        raise EngineError(f"The graph of the spec '{spec}' has no output '{wanted}'. It has {listed}.")
    known = next((name for name in (*_TEXT, *_TOKENS) if name in outputs), None)
    if known is None:
        raise EngineError(
            f"The graph of the spec '{spec}' has no output of a name that says what it holds: {listed}. "
            f"Choose with output=, the vectors of the tokens or of the text (by other exporters: {', '.join((*_TEXT, *_TOKENS))})."
        )
    return known


def check_vectors(found: Floats, files: ModelFolder, spec: Spec, output: str, *, chosen: bool) -> bool:
    """Return whether an output for a text has a vector for the text rather than for each token.

    Args:
        found: The output.
        files: The model's folder.
        spec: The spec, for messages.
        output: Name of the output.
        chosen: Whether the spec names the output: then the user vouches for its width.

    Raises:
        EngineError: If it has neither, or its width is not that of the model's vectors.
    """
    if found.ndim not in (2, 3) or len(found) != 1:
        raise EngineError(
            f"The output '{output}' of the graph of the spec '{spec}' has the shape {_shape(found.shape)} for one text: neither a vector for each token nor one for the text. Choose another with output=."
        )
    config = files.config
    hidden = next((config[key] for key in ("hidden_size", "d_model", "dim", "n_embd") if config.get(key)), None)
    dense = [module.config.get("out_features") for module in files.chain if module.name == "Dense"]
    width = (dense[-1] if dense else hidden) if found.ndim == 2 else hidden  # noqa: PLR2004  (texts, dimensions)
    # Joined ways of pooling, or a projection that the folder does not mention, give a text's vector another width.
    if width and found.shape[-1] != width and (found.ndim == 3 or dense) and not chosen:  # noqa: PLR2004
        raise EngineError(
            f"The output '{output}' of the graph of the spec '{spec}' has {found.shape[-1]} numbers where the model's files say {width}: it holds something else (logits?), or misses a module. Choose another with output=, or export it again."
        )
    return bool(found.ndim == 2)  # noqa: PLR2004


def pool(tokens: Floats, mask: Floats, pooling: str) -> Vectors:
    """Pool token vectors to a vector for each text, as sentence-transformers does.

    Args:
        tokens: Shape (n, tokens, d).
        mask: Shape (n, tokens), 1 for a token of the text.
        pooling: Ways of pooling, joined by ``+``.

    Returns:
        Shape (n, d times the number of ways).
    """
    rows, wide = np.arange(len(tokens)), mask[:, :, None].astype(np.float32)
    last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    weights = wide * np.arange(1, mask.shape[1] + 1)[:, None]  # padding stands on the right

    def one(way: str) -> Any:  # an array
        match way:
            case "cls":
                return tokens[rows, mask.argmax(axis=1)]
            case "lasttoken":
                return (tokens * wide)[rows, last]
            case "max":
                return np.where(wide > 0, tokens, -np.inf).max(axis=1)
            case "weightedmean":
                return (tokens * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
            case "mean_sqrt_len_tokens":
                return (tokens * wide).sum(axis=1) / np.sqrt(np.maximum(wide.sum(axis=1), 1e-9))
        return (tokens * wide).sum(axis=1) / np.maximum(wide.sum(axis=1), 1e-9)

    vectors: Vectors = np.concatenate([one(way) for way in pooling.split("+")], axis=1).astype(np.float32)
    return vectors


def graph_parts(graph: Path) -> list[Path]:
    """Return a graph and the weight files that it names, in which large weights lie beside it."""
    import onnx

    content = onnx.load(str(graph), load_external_data=False).graph
    names = {entry.value for tensor in content.initializer for entry in tensor.external_data if entry.key == "location"}
    return [graph, *(graph.parent / name for name in sorted(names))]


def weights_dtype(graph: Path) -> str:
    """Return the number format of a graph's weights: by its quantised operators, else by most numbers."""
    import onnx

    content = onnx.load(str(graph), load_external_data=False).graph
    for node in content.node:
        if node.op_type in ("MatMulNBits", "GatherBlockQuantized"):
            return f"int{next((one.i for one in node.attribute if one.name == 'bits'), 4)}"
        if node.op_type in _QUANTISED:
            return _QUANTISED[node.op_type]
    numbers: Counter[str] = Counter()
    for tensor in content.initializer:
        numbers[onnx.TensorProto.DataType.Name(tensor.data_type).lower()] += int(np.prod(tensor.dims))
    kind = numbers.most_common(1)[0][0] if numbers else "float"
    return "float32" if kind == "float" else kind


def _shape(shape: Any) -> str:  # of a graph, or of an array
    return f"({', '.join(map(str, shape or ()))})"


def to_inputs(ids: Floats, mask: Floats, types: Floats, wanted: Mapping[str, type[np.generic]]) -> dict[str, Any]:
    """Return the inputs that a graph wants for a batch, each of shape (n, tokens)."""
    positions = np.maximum(mask.cumsum(axis=1) - 1, 0)
    known = dict(zip(INPUTS, (ids, mask, types, positions), strict=True))
    return {name: known[name].astype(kind) for name, kind in wanted.items()}
