"""Changes that only one kind of encoder has: what the spec takes from a multi-vector or a sparse model is undone."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_embedqa.diagnosis.trials import Change, Trials

# Keys of the spec: the kind of the change, its cause, and whether it touches queries and documents.
_KEYS = {
    "query_expansion": ("query expansion", "queries are not expanded, as the model was trained", True, False),
    "query_length": ("query length", "queries are cut, or expanded, to another length than the model's", True, False),
    "document_length": ("document length", "documents are cut at another length than the model's", False, True),
    "pool_factor": ("token pooling", "token vectors are pooled", False, True),
    "max_active_dims": ("active dimensions", "sparse vectors are cut to their largest weights", True, True),
}


def kind_changes(trials: Trials) -> Iterator[Change]:
    """Yield the keys of a kind in which the spec departs from the model, each undone."""
    for key, (kind, cause, queries, documents) in _KEYS.items():
        value = trials.encoder.spec.options.get(key)
        if value is None:
            continue
        way = trials.reloaded(**{key: None})
        yield Change(
            kind=kind,
            cause=f"{cause} ({key}={value} in the spec)",
            done=f"without {key}={value}",
            advice=f"Take {key}={value} out of the spec.",
            first=way if queries else None,
            second=way if documents else None,
            whole=way.source,
        )
