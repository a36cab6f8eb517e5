"""The texts and judgements of a retrieval task, for whoever searches by other means than mteb's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RetrievalData:
    """Documents, queries, and which document is relevant to which query.

    Attributes:
        name: Name of the task.
        documents: Texts as models read them, by id.
        queries: Texts of the queries, by id.
        relevant: Grades of the documents that are relevant to a query (above 0), by document id, by query id; empty
            where nothing is judged.
        is_own_result: Whether a document with the id of a query counts as a result of it; ArguAna's does not.
    """

    name: str
    documents: Mapping[str, str]
    queries: Mapping[str, str]
    relevant: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    is_own_result: bool = True

    @property
    def revision(self) -> str:
        """Digest of all texts and judgements."""
        content = [self.documents, self.queries, {query: dict(grades) for query, grades in self.relevant.items()}]
        text = json.dumps([dict(one) for one in content], sort_keys=True)
        return f"sha256:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"
