"""Files of a model that are not what their names say, or contradict each other."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.spec import Spec

_POINTER, _POINTER_BYTES = b"version https://git-lfs", 1024
# Classes that take the tokenizer.json as it is; others set it up anew as their configuration says.
_OF_BERT = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
_AS_IT_IS = ("PreTrainedTokenizerFast", "TokenizersBackend", None)


def require_fetched(spec: Spec, *files: Path) -> None:
    """Refuse what ``git clone`` leaves in the place of large files where Git LFS is not installed.

    Raises:
        EngineError: Naming the first file that is none.
    """
    for file in files:
        if file.is_file() and file.stat().st_size < _POINTER_BYTES and file.read_bytes().startswith(_POINTER):
            raise EngineError(
                f"The model of the spec '{spec}' is not here whole: {file} is a pointer of Git LFS, not the file itself. Run 'git lfs pull' in its folder, or fetch the model again."
            )


def require_one_tokenizer(file: Path, spec: Spec) -> None:
    """Refuse a ``tokenizer.json`` that cuts texts into other tokens than transformers does with the configuration beside it.

    Raises:
        EngineError: Naming what the two files say.
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
                "Transformers follows the first, other programs the second. Save the tokenizer anew with transformers."
            )


def damaged(model: str | Path) -> str:
    """The first file of a model's folder that can't be read as what its name says, and why; nothing where all can, or no folder is."""
    for file in sorted(Path(model).rglob("*")):
        try:
            if file.name == "tokenizer.json":
                from tokenizers import Tokenizer  # noqa: PLC0415

                Tokenizer.from_file(str(file))
            elif file.suffix == ".json":
                json.loads(file.read_text(encoding="utf-8"))
            elif file.suffix == ".safetensors":
                from safetensors import safe_open  # noqa: PLC0415

                with safe_open(file, "np"):
                    pass
        except Exception as error:  # noqa: BLE001, PERF203  each library has errors of its own
            return f"{file}: {error}"
    return ""
