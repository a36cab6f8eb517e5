"""A plugin for the run of all python blocks: what is only collected, with its markers checked, and why it is not run."""

from __future__ import annotations

import pytest

NOT_RUN = {
    "test_argument_retrieval": "8,674 documents take minutes",
    "test_claims": "5,183 documents take minutes",
    "test_the_index_keeps_claims": "5,183 documents take minutes",
    "test_encoder_with_a_reranker": "5,183 documents take minutes",
    "test_reranker": "5,183 documents take minutes",
    "test_english": "a whole benchmark takes hours",
    "test_as_good_as_published": "tests/quality/test_published_scores.py runs it",
    "test_served_as_trained": "a hundred texts at three batch sizes take minutes; suites/parity has such tests",
    "test_reranker_is_served_as_trained": "there is no reranker here; tests/engines compares rankings",
    "test_search_service": "tests/plugin/test_retriever_over_http.py asks a service",
    "test_bulk": "nothing is timed here",
    "test_single_query": "nothing is timed here",
    "test_not_slower_than_the_old_model": "nothing is timed here",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip them: unlike what is deselected, what is skipped has its markers checked."""
    for item in items:
        reason = NOT_RUN.get(getattr(item, "originalname", item.name))
        if item.name.startswith("test_invariant[") and item.name != "test_invariant[dimension]":
            reason = "tests/engines runs all invariants"
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"not run: {reason}"))
