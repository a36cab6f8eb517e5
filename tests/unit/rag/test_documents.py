"""Reading a corpus: every kind of file becomes text that reads as its pages do, and what can't be read is named."""

from __future__ import annotations

import io
import os
import re
import sys
from types import GeneratorType

import pytest
from pypdf import PdfReader, PdfWriter
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import PageBreak, SimpleDocTemplate
from reportlab.platypus import Paragraph as PdfParagraph

from pytest_embedqa.core.errors import DataError, MissingDataError, MissingExtraError
from pytest_embedqa.rag.documents import Document, digest, read_documents
from tests.unit.rag.one_file import only, text_of, written

SONG = "STSong-Light"
pdfmetrics.registerFont(UnicodeCIDFont(SONG))
CHINESE = (
    "嵌入模型把文本变成向量。向量之间的余弦相似度表示文本含义的接近程度，因此可以用来检索文档。"
    "评测时要注意，分块的大小会影响召回率，而且不同的模型对长文本的处理方式也不一样。"
)
ENGLISH = (
    "Every passage of the guide is cut by the tokenizer of the model, which is why the same limit of tokens holds for "
    "all of them and nothing is cut off behind the back of the reader. Pages are counted from one."
)


def typeset(path, *pages):
    """A PDF with pages of typeset paragraphs."""
    style = ParagraphStyle("body", fontName=SONG, fontSize=12, leading=18)
    chinese = ParagraphStyle("zh", style, wordWrap="CJK", firstLineIndent=24)
    story = []
    for page in pages:
        story += [PdfParagraph(text, style if text.isascii() else chinese) for text in page]
        story.append(PageBreak())
    SimpleDocTemplate(str(path)).build(story)
    return path


def drawn(path, *runs, font=SONG):
    """A PDF of one page with each run drawn by itself: x, y, text."""
    canvas = Canvas(str(path))
    for x, y, text in runs:
        canvas.setFont("Helvetica" if text.isascii() else font, 12)
        canvas.drawString(x, y, text)
    canvas.save()
    return path


def encrypted(path, source, user, algorithm):
    """A copy of a PDF that opens with a password."""
    writer = PdfWriter(clone_from=PdfReader(source))
    writer.encrypt(user, "owner", algorithm=algorithm)
    writer.write(path)
    return path


def test_folder_is_walked_in_order(tmp_path):
    """All files of a folder and its subfolders are read lazily, in the order of their names, hidden ones not."""
    for name in ("b.txt", "a/z.md", "a/c.TXT", ".hidden.txt", ".git/x.bin", "~$lock.docx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"of {name}", encoding="utf-8")
    documents = read_documents(tmp_path)
    assert isinstance(documents, GeneratorType)
    assert list(documents) == [
        Document("a/c.TXT", ("of a/c.TXT",)),
        Document("a/z.md", ("of a/z.md",), format="markdown"),
        Document("b.txt", ("of b.txt",)),
    ]


def test_single_file(tmp_path):
    """A corpus can be one file, known by its name."""
    assert only(written(tmp_path / "one.txt", "x")).source == "one.txt"


def test_no_corpus(tmp_path):
    """A corpus that is not there is missing data, and is named."""
    with pytest.raises(
        MissingDataError,
        match=re.escape(f"The corpus {tmp_path / 'none'} does not exist. Name a folder of documents, or a file"),
    ):
        next(read_documents(tmp_path / "none"))


def test_empty_folder(tmp_path):
    """A folder without documents is named, with what could be put there."""
    with pytest.raises(DataError, match=re.escape(f"{tmp_path} has no files") + ".*[.]pdf, [.]docx, .*[.]txt"):
        next(read_documents(tmp_path))


def test_unknown_kind(tmp_path):
    """A file of a kind that is not read is an error before anything is read, and not left out unnoticed."""
    written(tmp_path / "a.txt", "x")
    written(tmp_path / "b.xlsx", "x")
    with pytest.raises(DataError, match=r"b\.xlsx: files of this kind are not read\. Convert it to one of \.pdf, "):
        next(read_documents(tmp_path))


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
def test_empty_file(tmp_path, name):
    """A file without text is named, also among others, because it can't be found by any question."""
    written(tmp_path / "b.txt", "x")
    written(tmp_path / name, " \n")
    with pytest.raises(DataError, match=f"{re.escape(name)} has no text. Take it out of the corpus, or give it text"):
        list(read_documents(tmp_path))


def test_pdf_pages(tmp_path):
    """A PDF gives one text a page, with paragraphs on lines of their own and the lines of each joined."""
    document = only(typeset(tmp_path / "a.pdf", [CHINESE, ENGLISH], ["Prices", CHINESE]))
    assert document == Document("a.pdf", (f"{CHINESE}\n{ENGLISH}", f"Prices\n{CHINESE}"), paged=True)


@pytest.mark.parametrize(
    "lines",
    [
        ["Prices of all the rooms in the hotel", "- single room, by the night", "- double room, by the night"],
        ["Rooms", "Prices", "Ways to us", "Contact"],
    ],
)
def test_pdf_list_stays_a_list(tmp_path, lines):
    """Lines that the margin did not break, such as those of a list, stay lines."""
    pdf = drawn(tmp_path / "a.pdf", *((72, 700 - 20 * row, line) for row, line in enumerate(lines)))
    assert only(pdf).pages[0].split("\n") == lines


def test_pdf_line_further_right(tmp_path):
    """What stands further right and lower is a line of its own."""
    assert only(drawn(tmp_path / "a.pdf", (72, 700, "Sender"), (300, 680, "Date"))).pages == ("Sender\nDate",)


def test_pdf_narrow_column(tmp_path):
    """A line in lower case goes on with the sentence, however narrow the column is."""
    assert only(drawn(tmp_path / "a.pdf", (72, 700, "The narrow"), (72, 680, "column"))).pages == ("The narrow column",)


def test_pdf_hyphen_at_line_end(tmp_path):
    """A word that was parted at the end of a line is whole again."""
    pdf = drawn(tmp_path / "a.pdf", (72, 700, "All of the readers look for more infor-"), (72, 686, "mation in it."))
    assert only(pdf).pages == ("All of the readers look for more information in it.",)


def test_pdf_runs_of_glyphs(tmp_path):
    """Pieces that were drawn one by one are one line: Chinese without blanks, words and cells of a table with."""
    spaced = [(72 + 20 * place, 650, glyph) for place, glyph in enumerate("今天天气很好")]
    runs = [(72, 700, "我们使用"), (120, 700, "BERT"), (152, 700, "模型。"), *spaced]
    table = [(72, 600, "姓名"), (200, 600, "年龄"), (72, 580, "Two"), (98, 580, "words")]
    assert only(drawn(tmp_path / "a.pdf", *runs, *table)).pages == (
        "我们使用BERT模型。\n今天天气很好\n姓名 年龄\nTwo words",
    )


def test_pdf_look_alikes(tmp_path):
    """Radicals that a font of a PDF shows for characters become these characters, so that questions find them."""
    pdf = drawn(tmp_path / "a.pdf", (72, 700, "\u2f08\u2f2f\u2ed3"))
    assert PdfReader(pdf).pages[0].extract_text().strip() == "\u2f08\u2f2f\u2ed3"
    assert only(pdf).pages == ("人工长",)


def picture(canvas):
    """Draw a picture and nothing else."""
    from PIL import Image

    image = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(image, "PNG")
    canvas.drawImage(ImageReader(image), 72, 700)
    canvas.showPage()


def test_pdf_of_pictures(tmp_path):
    """A PDF that was only scanned is named, with what would give it text."""
    canvas = Canvas(str(tmp_path / "scan.pdf"))
    picture(canvas)
    canvas.save()
    with pytest.raises(DataError, match=r"scan\.pdf has no text: pictures only\? Run OCR on it first"):
        only(tmp_path / "scan.pdf")


def test_pdf_with_a_picture_keeps_page_numbers(tmp_path):
    """A page without text is still a page."""
    canvas = Canvas(str(tmp_path / "a.pdf"))
    picture(canvas)
    canvas.drawString(72, 700, "Second page.")
    canvas.save()
    assert only(tmp_path / "a.pdf").pages == ("", "Second page.")


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_pdf_encrypted_with_an_empty_password(tmp_path, algorithm):
    """A PDF that everyone can open is read, though it is encrypted."""
    plain = typeset(tmp_path / "plain.pdf", [CHINESE])
    assert only(encrypted(tmp_path / "a.pdf", plain, "", algorithm)).pages == (CHINESE,)


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_pdf_encrypted_with_a_password(tmp_path, algorithm):
    """A PDF that needs a password is named, with what to do."""
    plain = typeset(tmp_path / "plain.pdf", [CHINESE])
    with pytest.raises(DataError, match=r"a\.pdf is encrypted\. Save it without a password"):
        only(encrypted(tmp_path / "a.pdf", plain, "secret", algorithm))


@pytest.mark.parametrize("keep", [0, 10, 400])
def test_broken_pdf(tmp_path, keep):
    """A PDF that was cut off, or is none, is named."""
    whole = typeset(tmp_path / "whole.pdf", [CHINESE]).read_bytes()
    (tmp_path / "a.pdf").write_bytes(whole[:keep])
    with pytest.raises(DataError, match=r"a\.pdf is not a PDF that can be read"):
        only(tmp_path / "a.pdf")


def test_joined_pages(tmp_path):
    """Pages become one text in which a sentence is whole and each page begins where it is said to."""
    document = Document("a.pdf", ("一句话跨过", "", "两页。", "Some infor-", "mation.", "End"), paged=True)
    text, starts = document.joined()
    assert text == "一句话跨过两页。\nSome information.\nEnd"
    assert [text[start:][:3] for start in starts] == ["一句话", "两页。", "两页。", "Som", "mat", "End"]
    assert Document("a.pdf", ("", "x"), paged=True).joined() == ("x", [0, 0])


@pytest.mark.parametrize(
    ("name", "module", "text"),
    [
        ("a.pdf", "pypdfium2", "needs the package 'pypdfium2'"),
    ],
)
def test_missing_package(tmp_path, monkeypatch, name, module, text):
    """Without the package that reads a kind of file, the error names it, the file and the extra."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"(?s){name} {text}.*pytest-embedqa\[rag\]"):
        only(written(tmp_path / name, "x"))


def test_text_is_clean(tmp_path):
    """Control characters, which no one sees and models stumble over, are taken out."""
    assert text_of(written(tmp_path / "a.txt", "a\x07b\x1b[0m\tc\fd\u2028e")) == "ab[0m\tc\nd\u2028e"


def test_digest(tmp_path):
    """The digest is that of names and contents: the same for a copy, another after any change, blind to hidden files."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        written(folder / "a.txt", "a")
    one, two = folders
    written(two / ".note", "hidden")
    before = digest(one)
    assert re.fullmatch("[0-9a-f]{64}", before)
    assert digest(two) == before
    written(two / "a.txt", "b")
    assert digest(two) != before
    (one / "a.txt").rename(one / "b.txt")
    assert digest(one) != before


def test_name_in_another_charset_is_text(tmp_path):
    """The bytes of a name in GBK stand in the source as such: it can be digested, printed and written into a baseline."""
    from pytest_embedqa.rag.documents.corpus import digest

    try:
        (tmp_path / os.fsdecode("退货.txt".encode("gbk"))).write_text("30 days", encoding="utf-8")
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    (document,) = read_documents(tmp_path)
    assert document.source == "\\xcd\u02fb\\xf5.txt"  # its two middle bytes are a sign of UTF-8 too
    assert len(digest(tmp_path)) == 64
