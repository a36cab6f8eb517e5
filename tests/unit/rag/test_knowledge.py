"""From a probe file to what answers it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from reportlab.pdfgen.canvas import Canvas

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.rag.choices import Chunking, HttpRetrieval, Retrieval
from pytest_embedqa.rag.knowledge import label_of, notes_on, open_chain, require_places, revision_of
from pytest_embedqa.rag.openwebui import OpenWebUISettings, uploads
from pytest_embedqa.rag.probe import Expect, Pattern, Probe, ProbeFile, Reject
from pytest_embedqa.rag.retrieval import build_chain

RERANKER = parse_spec("st:r")

ENCODER = SimpleNamespace(
    name="some/model",
    spec="st:some/model",
    kind="dense",
    identity=Identity(model="some/model", engine="st", max_length=128),
    estimate_tokens=lambda texts: [len(text.split()) for text in texts],
)


@pytest.fixture
def file(tmp_path):
    """A probe file on two documents, searched by words."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("dough rises", encoding="utf-8")
    (tmp_path / "docs" / "b.md").write_text("rain falls", encoding="utf-8")
    probe = Probe("p", "q", Expect((Pattern("dough"),)))
    return ProbeFile(tmp_path / "x.probe.yaml", tmp_path / "docs", Chunking(size=128), Retrieval("bm25"), (probe,))


def checked(file, folder):
    """Check the places that a file names, as a session does."""
    require_places(file)
    require_places(file, open_chain(file, ENCODER, folder))


def test_noise_is_added_to_the_corpus(file, tmp_path):
    """So many passages more, and the documents are still found."""
    assert open_chain(file, ENCODER, tmp_path).size == 2
    noisy = open_chain(file, ENCODER, tmp_path, noise=30)
    assert noisy.size == 32
    assert noisy("dough", 1)[0].source == "a.md"


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (Pattern(source="aa.md"), "source 'aa.md' is none of the 2 documents of the corpus. Did you mean 'a.md'? It is a path below the corpus, or the end of one."),
        (Pattern("dough", source="docs/a.md"), "source 'docs/a.md' is none of the 2 documents of the corpus. Did you mean 'a.md'?"),
        (Pattern("dough", source="a.md", page=(3,)), "page 3: 'a.md' has no pages. PDF files have; leave page out."),
        (Pattern(page=(3, 4)), "page 3: the corpus has no pages."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rejected", [False, True])
def test_a_place_that_no_document_has(file, tmp_path, pattern, problem, rejected):
    """To expect it would always fail, and to reject it always pass: an error that names file, line and probe."""
    wanted = {"reject": (Reject(pattern),)} if rejected else {"expect": Expect((pattern,))}
    with pytest.raises(DataError) as error:
        checked(replace(file, probes=(Probe("p", "q", line=7, **wanted),)), tmp_path)
    assert f"x.probe.yaml:7: p: {problem}" in str(error.value)
    key = problem.partition(" ")[0]
    with pytest.raises(DataError, match=r"x\.probe\.yaml:9: p: "):  # the key's own line, where it is known
        checked(replace(file, probes=(Probe("p", "q", Expect((replace(pattern, lines={key: 9}),)), line=7),)), tmp_path)


def test_a_pattern_of_charsets_that_fits_no_document(file):
    """Its charset would be said of nothing: an error that names file and line."""
    require_places(replace(file, encoding={"a*": "big5"}))
    with pytest.raises(
        DataError, match=r"x\.probe\.yaml:4: encoding 'old/\*' fits none of the 2 documents of the corpus\."
    ):
        require_places(replace(file, encoding={"a*": "big5", "old/*": "big5"}, lines={"encoding": 4}))


def test_an_upload_has_the_files_of_the_corpus(file):
    """OpenWebUI is given files of any kind, and what is hidden, locked or linked wrongly is as in a corpus that is read."""
    for name in (".git/config", "~$a.docx", "Thumbs.db", "sub/table.csv"):
        (file.corpus / name).parent.mkdir(exist_ok=True)
        (file.corpus / name).write_text("x")
    assert uploads(file.corpus) == {name: file.corpus / name for name in ("a.md", "b.md", "sub/table.csv")}
    assert uploads(file.corpus / "a.md") == {"a.md": file.corpus / "a.md"}
    (file.corpus / "gone.md").symlink_to("nowhere.md")
    with pytest.raises(DataError, match=r"gone\.md is a link to nowhere\.md, which is not there"):
        uploads(file.corpus)


def test_a_page_after_the_last(file, tmp_path):
    """A document of two pages has no third; its name may be written as another system does."""
    pdf = Canvas(str(file.corpus / "Two Pages.pdf"))
    for text in ("dough rises", "rain falls"):
        pdf.drawString(72, 700, text)
        pdf.showPage()
    pdf.save()
    fits, beyond = (
        replace(file, probes=(Probe("p", "q", Expect((Pattern(source=r".\two%20pages.pdf", page=page),))),))
        for page in ((2, 3), (3,))
    )
    checked(fits, tmp_path)
    with pytest.raises(DataError, match=r"page 3: '.*' has 2 pages\."):
        checked(beyond, tmp_path)


def test_a_document_that_is_not_uploaded(file):
    """Of a corpus that is given to OpenWebUI the names are known too, before anything is asked of the server."""
    probes = (Probe("p", "q", reject=(Reject(Pattern(source="c.md")),)),)
    with pytest.raises(DataError, match=r"p: source 'c\.md' is none of the 2 documents of the corpus"):
        require_places(replace(file, service=OpenWebUISettings("http://127.0.0.1:9"), probes=probes))


def test_without_a_corpus_there_is_nothing_to_open(file):
    """The error says what to add."""
    with pytest.raises(
        DataError,
        match=r"x\.probe\.yaml:1: there is no corpus, and no fixture 'retriever' of your own: add  corpus: FOLDER.",
    ):
        require_places(replace(file, corpus=None))
    with pytest.raises(
        DataError,
        match=r"x\.probe\.yaml:1: there is no corpus, and no fixture 'retriever' of your own: add  corpus: FOLDER.",
    ):
        open_chain(replace(file, corpus=None), ENCODER, Path())


@pytest.mark.parametrize(
    ("retrieval", "service", "label"),
    [
        (Retrieval("dense"), None, "some/model"),
        (Retrieval("bm25"), None, "bm25"),
        (Retrieval("model", reranker=RERANKER), None, "some/model"),
        (Retrieval("dense"), OpenWebUISettings("http://h"), "openwebui"),
        (Retrieval("dense"), HttpRetrieval("http://h", {}, "hits", "text"), "http"),
    ],
)
def test_what_expected_failures_are_found_by(file, retrieval, service, label):
    """The model, where there is one of ours; else what finds passages."""
    assert label_of(replace(file, retrieval=retrieval, service=service), ENCODER) == label


def chain_of(*models):
    """A chain on one passage that asks these models."""
    chain = build_chain([Passage("dough")], Retrieval("bm25"), None)
    chain.models = models
    return chain


def test_passages_that_the_model_does_not_read_to_their_end(file):
    """Noted for each model that reads them, and only then."""
    long = replace(file, chunking=Chunking(size=129))
    (note,) = notes_on(long, chain_of(ENCODER))
    assert note.startswith("x.probe.yaml: passages of up to 129 tokens, of which the model reads 128: what")
    assert list(notes_on(replace(long, chunking=Chunking(size=128)), chain_of(ENCODER))) == []
    assert list(notes_on(long, chain_of())) == []
    assert list(notes_on(long, None)) == []
    second = SimpleNamespace(spec="st:r", kind="reranker", identity=replace(ENCODER.identity, max_length=64))
    _, note = notes_on(long, chain_of(ENCODER, second))
    assert note.startswith(
        "x.probe.yaml: passages of up to 129 tokens, of which 'st:r' reads 64, question included: what"
    )


def test_a_model_made_for_the_dot_product_is_noted(file):
    """Passages are ordered by the cosine, which is another order where vectors have different lengths."""
    dense = replace(file, chunking=Chunking(size=128))

    def encoder(kind="dense", **identity):
        return SimpleNamespace(spec="st:m", kind=kind, identity=replace(ENCODER.identity, similarity="dot", **identity))

    (note,) = notes_on(dense, chain_of(encoder(normalize=False)))
    assert note.startswith(
        "x.probe.yaml: the model is made for the dot product, and passages are ordered by the cosine"
    )
    assert list(notes_on(dense, chain_of(encoder(normalize=True)))) == []
    assert list(notes_on(dense, chain_of(encoder("sparse", normalize=False)))) == []  # compared as it is made for


def test_what_makes_two_pass_rates_comparable(file):
    """Another document, question or expectation is another test; another way to search is not."""
    before = revision_of(file)
    (probe,) = file.probes
    assert revision_of(replace(file, retrieval=Retrieval("dense"))) == before
    assert revision_of(replace(file, probes=(replace(probe, ask="other"),))) != before
    assert revision_of(replace(file, probes=(replace(probe, expect=Expect((Pattern("rain"),))),))) != before
    (file.corpus / "b.md").write_text("snow falls", encoding="utf-8")
    assert revision_of(file) != before
