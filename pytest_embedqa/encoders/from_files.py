"""Specs in a file, which may name a model to load, but nothing that runs, imports or contacts anything else."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_embedqa.encoders.spec import Spec

# Engines that load a model from its files, with the keys that make an engine run or import other code.
_LOADS_FILES: Mapping[str, frozenset[str]] = {
    "builtin": frozenset({"trust_remote_code"}),
    "st": frozenset({"trust_remote_code"}),
    "onnx": frozenset(),
    "llamacpp": frozenset(),
    # The executor may be a class of any module; a load format and an override may name classes, too.
    "vllm": frozenset({"trust_remote_code", "distributed_executor_backend", "load_format", "hf_overrides"}),
}
# Descriptions of what other engines do, as far as it is known.
_DOES: Mapping[str, str] = {"python": "imports a module", "openai": "asks a server", "ollama": "asks a server"}


def why_refused(spec: Spec) -> str:
    """Describe what a spec asks for beyond loading a model from its files; empty if it asks for no more."""
    if "start" in spec.options:
        return "start= runs a command"
    if spec.engine not in _LOADS_FILES:
        does = _DOES.get(spec.engine, "may do more than load a model from files")
        return f"the engine '{spec.engine}' {does}"
    if "://" in spec.model:
        return "its model is at an address"
    wanted = sorted(_LOADS_FILES[spec.engine] & spec.options.keys())
    return f"it sets {', '.join(wanted)}" if wanted else ""
