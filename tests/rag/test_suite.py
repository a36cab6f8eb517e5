"""The suite of probes with real models: it tells them apart, and words alone from meaning."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

pytestmark = pytest.mark.slow

USE = "python:suites.multilingual:universal?version=0.2.1"


@pytest.fixture(scope="module")
def held(request, tmp_path_factory, fork_server):
    """Names of the probes that hold, by how the suite is run."""
    root, folder = request.config.rootpath, tmp_path_factory.mktemp("suite")

    def run(name, *options):
        file = folder / f"{name}.xml"
        words = ("-m", "pytest", "suites/rag", "-q", "--tb=no", "-k", "not robustness", f"--junitxml={file}")
        _, printed = fork_server.ended(*words, *options, folder=root)
        assert file.exists(), printed
        facts = [
            json.loads(one.get("value"))
            for one in ET.parse(file).getroot().iter("property")
            if one.get("name") == "embedqa.probe"
        ]
        assert len(facts) >= 60
        return {(one["file"], one["name"]) for one in facts if one["holds"]}

    return {
        "MiniLM": run("minilm"),
        "USE": run("use", f"--embedqa-model={USE}"),
        "BM25": run("bm25", "--embedqa-retriever=bm25"),
        "rerank": run("rerank", "--embedqa-retriever=rerank"),
    }


def test_the_suite_tells_models_apart(held):
    """A multilingual model passes clearly more than the English one, and that more than words alone."""
    assert len(held["USE"]) > len(held["MiniLM"]) + 20
    assert len(held["MiniLM"]) > len(held["BM25"])


def test_a_first_stage_by_words_loses_what_shares_no_word(held):
    """Reranking can't find what BM25 did not: questions in other words, and in another language."""
    in_other_words = {one for one in held["MiniLM"] if one[0].endswith("in_other_words.probe.yaml")}
    assert len(in_other_words & held["rerank"]) < len(in_other_words)
