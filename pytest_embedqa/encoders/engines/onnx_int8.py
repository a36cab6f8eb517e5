"""Quantisation for ``onnx:MODEL?dtype=int8``: a float32 graph is quantised on loading, and kept for later runs."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.cache import cache_folder
from pytest_embedqa.encoders.digest import file_digest
from pytest_embedqa.encoders.engines.onnx_graph import graph_parts
from pytest_embedqa.encoders.spec import Spec

# Of all settings of the dynamic quantiser these have the least drift at full speed (measured): a scale for each
# column of a weight instead of a single scale, and float32 embeddings, which are only looked up.
HOW = "dynamic, weights per channel, embeddings float32"


def quantised(graph: Path, spec: Spec) -> Path:
    """Return the graph with its matrix products in int8, from the user's cache folder; it is made there if missing.

    Raises:
        EngineError: If onnxruntime can't quantise the graph.
    """
    name = "-".join([*(file_digest(part)[:32] for part in graph_parts(graph)), version("onnxruntime")])
    target = cache_folder() / "onnx" / f"{name}-int8.onnx"
    if target.exists():
        return target
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Written under another name first, so that a file in place is whole, also with several processes.
    draft = target.with_suffix(f".{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        quantize_dynamic(graph, draft, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8)
        draft.replace(target)
    except Exception as error:  # the quantiser raises whatever it stumbles over
        raise EngineError(
            f"onnxruntime can't quantise {graph} of the spec '{spec}': {error}. Leave dtype=int8 out, or give a graph in float32."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return target
