"""Specs that stand in a file: one may name a model to load, and nothing that runs, imports or reaches anything else."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_embedqa.encoders.spec import Spec

# Engines that load a model from its files; of each, the keys by which code is run or imported that no such file needs.
_LOADS_FILES: Mapping[str, frozenset[str]] = {
    "builtin": frozenset({"trust_remote_code"}),
    "st": frozenset({"trust_remote_code"}),
    "onnx": frozenset(),
    "llamacpp": frozenset(),
    # The executor may be a class of any module; a format of weights and an override name classes, too.
    "vllm": frozenset({"trust_remote_code", "distributed_executor_backend", "load_format", "hf_overrides"}),
}
# What others do, as far as it is known.
_DOES: Mapping[str, str] = {"python": "imports a module", "openai": "asks a server", "ollama": "asks a server"}


def why_refused(spec: Spec) -> str:
    """What a spec asks for beyond loading a model from its files, in words; empty if it asks for no more."""
    if "start" in spec.options:
        return "start= runs a command"
    if spec.engine not in _LOADS_FILES:
        does = _DOES.get(spec.engine, "may do more than load a model from files")
        return f"the engine '{spec.engine}' {does}"
    if "://" in spec.model:
        return "its model is at an address"
    wanted = sorted(_LOADS_FILES[spec.engine] & spec.options.keys())
    return f"it sets {', '.join(wanted)}" if wanted else ""
