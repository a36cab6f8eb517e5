"""Checks for model files that are not what their names say, or that contradict each other."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.spec import Spec

_POINTER, _POINTER_BYTES = b"version https://git-lfs", 1024
# Classes that take the tokenizer.json as it is; others rebuild it from their configuration.
_OF_BERT = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
_AS_IT_IS = ("PreTrainedTokenizerFast", "TokenizersBackend", None)


def require_fetched(spec: Spec, *files: Path) -> None:
    """Refuse the pointer files that ``git clone`` leaves in place of large files where Git LFS is not installed.

    Raises:
        EngineError: If there is such a file; the text names the first.
    """
    for file in files:
        if file.is_file() and file.stat().st_size < _POINTER_BYTES and file.read_bytes().startswith(_POINTER):
            raise EngineError(
                f"The model of the spec '{spec}' is not here whole: {file} is a pointer of Git LFS, not the file itself. Run 'git lfs pull' in its folder, or fetch the model again."
            )


def require_one_tokenizer(file: Path, spec: Spec) -> None:
    """Refuse a ``tokenizer.json`` that tokenises otherwise than transformers does with the configuration beside it.

    Raises:
        EngineError: If the two files differ; the text says in what.
    """
    config = file.with_name("tokenizer_config.json")
    try:
        told = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
        normalizer = json.loads(file.read_text(encoding="utf-8")).get("normalizer") or {}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise EngineError(
            f"The tokenizer of the spec '{spec}' can't be read: {file}: {error}. Fetch the model again."
        ) from error
    if normalizer.get("type") != "BertNormalizer" or told.get("tokenizer_class") in _AS_IT_IS:
        return
    for name, other in _OF_BERT.items():
        if name in told and told[name] != normalizer.get(other):
            raise EngineError(
                f"The tokenizer of the spec '{spec}' contradicts itself: {name}={told[name]} in {config}, {other}={normalizer.get(other)} in {file.name}. "
                "Transformers follows the first, other programs the second. Save the tokenizer again with transformers."
            )


def damaged(model: str | Path) -> str:
    """Describe the first file of a model's folder that can't be read as its name says; empty without such a file."""
    for file in sorted(Path(model).rglob("*")):
        try:
            if file.name == "tokenizer.json":
                from tokenizers import Tokenizer

                Tokenizer.from_file(str(file))
            elif file.suffix == ".json":
                json.loads(file.read_text(encoding="utf-8"))
            elif file.suffix == ".safetensors":
                from safetensors import safe_open

                with safe_open(file, "np"):
                    pass
        except Exception as error:  # noqa: BLE001, PERF203  each library has errors of its own
            return f"{file}: {error}"
    return ""
