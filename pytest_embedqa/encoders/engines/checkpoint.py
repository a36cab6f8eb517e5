"""Checks that a checkpoint holds all weights of its model, by the headers of its files, without loading weights.

These are for engines with their own loading code. vLLM starts with numbers that nobody set where word embeddings are
missing, or a matrix that it joins with others (query, key, value).
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.engines.weights import require_whole
from pytest_embedqa.encoders.model_files import damaged
from pytest_embedqa.encoders.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

_INDEX = "model.safetensors.index.json"


def require_whole_checkpoint(folder: Path, spec: Spec, head: str = "") -> None:
    """Compare names and shapes of a checkpoint's weights with those of its model, as transformers would load them.

    The engine itself has to check models that transformers does not know, quantised models, and encoder-decoders.

    Args:
        folder: Folder of the checkpoint.
        spec: The spec, for errors.
        head: The head that the model needs, ``SEQUENCE_CLASSIFICATION`` or ``CAUSAL_LM``; no head by default.

    Raises:
        EngineError: If a file can't be read, or weights are missing, of another shape, or without a place in the model.
    """
    import transformers  # seconds to import
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder)
    except Exception:  # noqa: BLE001  whatever transformers can't do with it, the engine may
        return
    classes = getattr(transformers, f"MODEL_FOR_{head}_MAPPING" if head else "MODEL_MAPPING")
    kind = classes.get(type(config), None)  # several classes for a few models
    half = any(str(one).endswith("EncoderModel") for one in config.architectures or [])
    if (
        not hasattr(kind, "from_pretrained")
        or config.is_encoder_decoder
        or half
        or hasattr(config, "quantization_config")
    ):
        return
    try:
        weights = _headers(folder)
    except Exception as error:  # each format has errors of its own
        raise EngineError(
            f"The weights of the spec '{spec}' can't be read: {type(error).__name__}: {damaged(folder) or error}\nFetch the model again: a file is damaged, or not there."
        ) from error
    if not weights:
        return
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            model, report = kind.from_pretrained(
                None, config=config, state_dict=weights, output_loading_info=True, ignore_mismatched_sizes=True
            )
    except Exception:  # noqa: BLE001  after vLLM has run them, these classes build no model
        return
    if other := sorted(str(one[0]) for one in report["mismatched_keys"]):
        raise EngineError(
            f"{other[0]} and the like ({len(other)} weights of the spec '{spec}') have another shape than config.json says. Does it belong to these weights?"
        )
    require_whole(model, report, spec)
    # Each weight of a head counts, and so does the pooler before it.
    if head and (missing := sorted(name for name in map(str, report["missing_keys"]) if "position_ids" not in name)):
        raise EngineError(
            f"The weights of the spec '{spec}' lack {', '.join(missing[:4])}, which its scores need: numbers that nobody has set would stand there. "
            "Fetch the model again."
        )


def require_dense_weights(folder: Path, config: Mapping[str, Any], spec: Spec) -> None:
    """Check that a module ``Dense`` can be loaded: vLLM skips a module whose weights it can't read, and only logs that.

    Raises:
        EngineError: If the weights can't be loaded, or differ from what its ``config.json`` says.
    """
    import torch
    from safetensors.torch import load_file

    file = folder / "model.safetensors"
    try:
        if file.is_file():
            weights = load_file(file)
        else:
            weights = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
        linear = torch.nn.Linear(config["in_features"], config["out_features"], bias=config.get("bias", True))
        linear.load_state_dict({name.removeprefix("linear."): tensor for name, tensor in weights.items()})
    except Exception as error:
        raise EngineError(
            f"The module Dense of the spec '{spec}' can't be loaded from {folder}: {type(error).__name__}: {error}\nvLLM would leave it out. Fetch the model again."
        ) from error


def _headers(folder: Path) -> dict[str, Tensor]:
    """Return a checkpoint's weights by name, as tensors that have their types and shapes but take no memory."""
    import torch
    from safetensors import safe_open

    index = folder / _INDEX
    names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()) if index.is_file() else None
    files = [folder / name for name in names] if names else sorted(folder.glob("*.safetensors"))
    found: dict[str, Tensor] = {}
    for file in files:
        with safe_open(file, "pt") as opened:
            found |= {name: torch.zeros(()).expand(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    for file in [] if files else sorted(folder.glob("pytorch_model*.bin")):
        tensors = torch.load(file, map_location="meta", weights_only=True)
        found |= {name: torch.zeros(()).expand(tensor.shape) for name, tensor in tensors.items()}
    return found
