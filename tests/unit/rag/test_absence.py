"""Why no passage is the expected one: what was not read, what was cut, and what stands elsewhere."""

from __future__ import annotations

import pytest
from reportlab.pdfgen.canvas import Canvas

from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.absence import why_absent
from pytest_embedqa.rag.choices import Chunking
from pytest_embedqa.rag.chunking import chunked
from pytest_embedqa.rag.documents import Document, read_documents
from pytest_embedqa.rag.probe import Pattern

TEXT = "One two three four five six. Seven eight nine ten eleven twelve. Thirteen fourteen fifteen sixteen."


def count(texts):
    """Words."""
    return [len(text.split()) for text in texts]


def absent(piece, *documents, **chunking):
    """Why a piece is in no passage of documents that are cut in a way."""
    passages = list(chunked(documents, Chunking(**{"by": "tokens", "size": 5, **chunking}), count))
    assert not any(map(piece.matches, passages))
    return why_absent(piece, documents, lambda source: [one for one in passages if one.source == source], len(passages))


def paged(*pages, notes=()):
    """A document with pages."""
    return Document("m.pdf", pages, paged=True, notes=notes)


@pytest.mark.parametrize("chunking", [{}, {"overlap": 1}, {"by": "sentences", "size": 6}])
def test_a_text_that_was_cut_names_its_passages(chunking):
    """The two passages, by their number in the document, and what keeps the text whole; with an overlap, too."""
    loss = absent(Pattern("four five six. Seven"), Document("a.txt", (TEXT,)), **chunking)
    assert loss.stage == "chunking"
    assert loss.line.startswith("in chunking: 'four five six. Seven' is cut in two passages, #1 and #2 of ")
    assert loss.line.endswith(" of a.txt. A larger size, or an overlap longer than the text, would keep it whole.")


def test_chinese_that_was_cut_between_characters_is_put_together():
    """There is no blank between its passages."""
    text = "本店的退货期限是三十天，运费由我们承担。"
    passages = [Passage(text[:8], "a.txt"), Passage(text[8:], "a.txt")]
    loss = why_absent(Pattern("期限是三十天"), [Document("a.txt", (text,))], lambda _: passages, 2)
    assert "is cut in two passages, #1 and #2 of 2 of a.txt." in loss.line


def test_a_text_over_many_passages_is_spread():
    """A long text, or an expression over much of a document, needs more than two."""
    loss = absent(Pattern(regex="two.*nine"), Document("a.txt", (TEXT,)), size=3)
    assert loss.stage == "chunking"
    assert "is spread over the passages #1 to #3 of 6 of a.txt." in loss.line


def test_a_text_across_headings_of_passages_is_in_chunking_all_the_same():
    """A path of headings stands between the passages: the document alone shows that the text is there."""
    text = f"# Guide\n\n{TEXT}"
    loss = absent(
        Pattern("four five six. Seven"),
        Document("a.md", (text,), format="markdown"),
        heading_path=True,
        size=6,
        by="headings",
    )
    assert loss.stage == "chunking"
    assert "a.md" in loss.line


def test_a_page_without_text_is_in_extraction():
    """The page that the probe names, or any page of the document, has no text."""
    document = paged("one two", "", "five six")
    for piece in (Pattern("three four", page=(2,)), Pattern("three four", source="m.pdf")):
        loss = absent(piece, document)
        assert loss.stage == "extraction"
        assert loss.line.endswith("Page 2 of m.pdf has no text: scanned? Recognise its text first (OCR).")
    assert "Page 1, 3 of m.pdf have no text" in absent(Pattern("x y"), paged("", "a", "")).line


def test_what_the_reader_noted_is_said():
    """Glyphs without letters, attached files: the note of the document."""
    loss = absent(Pattern("three four"), paged("one two", notes=("m.pdf: 30 % of its glyphs have no map to Unicode",)))
    assert loss.stage == "extraction"
    assert loss.remedy == "m.pdf: 30 % of its glyphs have no map to Unicode."


def test_a_text_on_another_page_is_of_the_page():
    """The document has it, but not there: the probe is wrong, unless that page was not read."""
    loss = absent(Pattern("one two", page=(2,)), paged("one two", "three four"))
    assert loss.stage == "page"
    assert loss.line == (
        "on another page: 'one two' on page 2 is on no such page: the text is on page 1 of m.pdf. Correct page in the probe."
    )
    assert absent(Pattern("one two", page=(2,)), paged("one two", "")).stage == "extraction"
    plain = absent(Pattern("one two", page=(2,)), Document("a.txt", ("one two",)))
    assert "the text is on a.txt, which has no pages" in plain.line


def test_a_text_of_another_document_is_of_the_source():
    """The text is elsewhere: the probe is wrong, unless the named document was not read whole."""
    there = [Document(name, ("one two",)) for name in ("b.txt", "c.txt")]
    loss = absent(Pattern("one two", source="a.txt"), Document("a.txt", ("three",)), *there)
    assert loss.stage == "source"
    assert loss.line.endswith(
        "is in no such document: the text is in b.txt and 1 other documents. Correct source in the probe, or the document."
    )
    assert absent(Pattern("one two", source="m.pdf"), paged("three", ""), *there).stage == "extraction"


def test_a_text_that_is_nowhere_is_shown_beside_the_nearest():
    """A slip in the probe shows; a text of which nothing is there is said to be nowhere."""
    document = Document("a.txt", ("Returns are free within thirty days of delivery.",))
    slip = absent(Pattern("free within thirty dayz"), document)
    assert slip.stage == "extraction"
    assert "The nearest there is 'free within thirty day' in a.txt: a slip in the probe" in slip.line
    nothing = absent(Pattern("quantum chromodynamics"), document)
    assert nothing.line == (
        "in extraction: 'quantum chromodynamics' is in none of the 1 documents, nor in the 2 passages. "
        "Check its text, and how documents are read."
    )
    named = absent(Pattern("quantum", source="a.txt"), document, Document("b.txt", ("x",)))
    assert "in none of the 1 documents that it may be in" in named.line


def test_a_real_pdf_with_a_page_of_no_text(tmp_path):
    """A file as a scanner leaves it: the second page is a drawing."""
    canvas = Canvas(str(tmp_path / "m.pdf"))
    canvas.drawString(72, 700, "The first page is text.")
    canvas.showPage()
    canvas.rect(100, 100, 300, 300, fill=1)
    canvas.showPage()
    canvas.save()
    loss = absent(Pattern("the second page", source="m.pdf"), *read_documents(tmp_path))
    assert loss.stage == "extraction"
    assert "Page 2 of m.pdf" in loss.line
