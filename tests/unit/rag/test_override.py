"""``--embedqa-retriever``: what it makes of a probe file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_embedqa.rag.allowed import Allowed
from pytest_embedqa.rag.choices import Chunking, Retrieval
from pytest_embedqa.rag.openwebui import OpenWebUISettings
from pytest_embedqa.rag.override import read_override
from pytest_embedqa.rag.probe import ProbeFile

LIVE = OpenWebUISettings("http://127.0.0.1:8080")


@pytest.mark.parametrize("service", [None, LIVE])
def test_another_way_of_the_built_in_chain(service):
    """The rest stays as the file says; a file that asks a live system no longer does."""
    file = ProbeFile(Path("x.probe.yaml"), None, Chunking(), Retrieval("dense", k=3), (), service=service)
    changed = read_override("bm25", Allowed(Path())).applied(file)
    assert changed.retrieval == Retrieval("bm25", k=3)
    assert changed.service is None


def test_a_live_system_instead():
    """It is asked for as many passages as the file says."""
    file = ProbeFile(Path("x.probe.yaml"), None, Chunking(), Retrieval("dense", k=3), ())
    changed = read_override("openwebui:http://127.0.0.1:8080", Allowed(Path())).applied(file)
    assert (changed.service, changed.retrieval) == (LIVE, file.retrieval)
