"""PDFs read as a viewer shows them, and what their text lacks is noted with file and pages."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from PIL import Image
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    DictionaryObject,
    NameObject,
    RectangleObject,
    StreamObject,
    TextStringObject,
)
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.rag.documents import Document, read_documents
from pytest_embedqa.rag.documents.lines import Words, continued, joined_lines
from pytest_embedqa.rag.knowledge import notes_on, open_chain
from pytest_embedqa.rag.reading import read_file

HELVETICA = "Helvetica"


@pytest.fixture
def page(tmp_path):
    """A PDF to draw on; reading it ends the drawing."""
    canvas = Canvas(str(tmp_path / "a.pdf"))

    def read(change=None):
        canvas.save()
        if change:
            writer = PdfWriter(clone_from=PdfReader(tmp_path / "a.pdf"))
            change(writer)
            writer.write(tmp_path / "a.pdf")
        (document,) = read_documents(tmp_path / "a.pdf")
        return document

    return SimpleNamespace(draw=canvas, read=read)


def picture(canvas, width=400, height=60):
    """Draw a picture."""
    image = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(image, "PNG")
    canvas.drawImage(ImageReader(image), 60, 60, width, height)


def coded(canvas, text):
    """Draw the codes of glyphs, also such as the font has no character for."""
    canvas._code.append(f"BT /F1 12 Tf 60 700 Td ({text}) Tj ET")


def test_values_of_forms(page):
    """The values of form fields stand beside their labels."""
    page.draw.drawString(60, 700, "Maximum pressure:")
    page.draw.drawString(60, 600, "Model:")
    page.draw.acroForm.textfield(name="p", value="16 bar", x=200, y=690, width=150)
    page.draw.acroForm.choice(name="m", value="T100", options=["T100", "T200"], x=200, y=595, width=100, height=20)
    assert page.read().pages == ("Maximum pressure: 16 bar\nModel: T100",)


def test_value_without_an_appearance(page):
    """A field that a program filled, and left to the viewer to draw, is read too."""
    page.draw.drawString(60, 700, "Label:")
    page.draw.acroForm.textfield(name="p", value="", x=200, y=690, width=150, height=20)

    def fill(writer):
        writer._root_object["/AcroForm"][NameObject("/NeedAppearances")] = BooleanObject(True)  # noqa: FBT003
        field = writer.pages[0]["/Annots"][0].get_object()
        field[NameObject("/V")] = TextStringObject("filled later")
        field.pop("/AP", None)

    assert page.read(fill).pages == ("Label: filled later",)


def test_scanned_page_among_others(page):
    """Pages that are pictures are noted by their numbers, also under a stamp; blank ones and logos are not."""
    page.draw.drawString(60, 700, "Page one.")
    picture(page.draw)
    page.draw.showPage()
    picture(page.draw)
    page.draw.showPage()
    page.draw.showPage()
    picture(page.draw, 595, 842)
    page.draw.drawString(60, 700, "4 of 4")
    document = page.read()
    assert document.pages == ("Page one.", "", "", "4 of 4")
    (note,) = document.notes
    assert "a.pdf: no text, but pictures, on pages 2, 4. Run OCR" in note


def test_glyphs_without_unicode(page):
    """Glyphs without a character are counted before the text is cleaned, and noted with share and page."""
    coded(page.draw, r"Gr\001\002e for all")
    document = page.read()
    assert document.pages == ("Gr\ufffd\ufffde for all",)
    said = "2 of 11 glyphs (18.2%), on page 1, have no Unicode character, as their fonts have no map to it: they are \ufffd"
    assert said in document.notes[0]
    assert "Export the file again, or run OCR on it." in document.notes[0]


def test_text_that_cannot_be_read(page):
    """A PDF most of whose glyphs have no character is an error, not a text of nothing."""
    coded(page.draw, r"\001\002\003\004a")
    with pytest.raises(
        DataError, match=r"a\.pdf: 4 of 5 glyphs have no Unicode character.*Export it again, or run OCR"
    ):
        page.read()


def test_notes_reach_the_results(page, tmp_path):
    """What a document lacks is among the notes on a probe file that searches it."""
    coded(page.draw, r"Gr\001\002e for all")
    page.read()
    probes = tmp_path / "a.probe.yaml"
    probes.write_text(
        "corpus: a.pdf\nretrieve: {by: bm25}\nprobes:\n  - {name: a, ask: all, expect: {contains: all}}\n"
    )
    encoder = load_encoder(parse_spec("builtin"), None)
    file = read_file(probes)
    opened = open_chain(file, encoder, tmp_path)
    assert "2 of 11 glyphs" in "".join(notes_on(file, opened))
    assert not list(notes_on(file, None))


def test_attached_and_cut_off(page):
    """Attached files that are not read, and a file whose end is missing, are noted."""
    page.draw.drawString(60, 700, "Text.")
    document = page.read(lambda writer: writer.add_attachment("more.txt", b"x"))
    assert "1 attached files are not read" in document.notes[0]


def test_cut_off(page, tmp_path):
    """A file whose end is missing is noted, as pages may be missing."""
    page.draw.drawString(60, 700, "Text.")
    page.read()
    (tmp_path / "a.pdf").write_bytes((tmp_path / "a.pdf").read_bytes().replace(b"%%EOF", b""))
    (document,) = read_documents(tmp_path / "a.pdf")
    assert document.pages == ("Text.",)
    assert "it was cut off" in document.notes[0]


def test_words_drawn_in_parts(page):
    """Words are whole where a font changes inside, where each letter is drawn alone, and where they are letter-spaced."""
    x = 60
    for text, font in (("un", HELVETICA), ("limited", "Helvetica-Bold"), (", warranty", HELVETICA)):
        page.draw.setFont(font, 12)
        page.draw.drawString(x, 700, text)
        x += stringWidth(text, font, 12)
    x = 60
    page.draw.setFont(HELVETICA, 12)
    for letter in "Return in 30 days":
        if letter != " ":
            page.draw.drawString(x, 660, letter)
        x += stringWidth(letter, HELVETICA, 12)
    page.draw.drawString(60, 620, "Letter spaced heading", charSpace=4)
    page.draw.drawString(60, 600, "R e t u r n   p o l i c y")
    page.draw.drawString(60, 580, "A B C D E F")
    page.draw.drawString(60, 560, "T100  16 bar")
    assert page.read().pages[0].split("\n") == [
        "unlimited, warranty",
        "Return in 30 days",
        "Letter spaced heading",
        "Return policy",
        "A B C D E F",
        "T100  16 bar",
    ]


def test_drawn_twice(page):
    """What was drawn twice, for bold or a shadow, is read once; double letters stay."""
    for shift in (0, 0.4):
        for at, letter in enumerate("Illegal"):
            page.draw.drawString(60 + 10 * at + shift, 700, letter)
            page.draw.drawString(60 + 10 * at + shift, 700, letter)
    page.draw.drawString(60, 660, "All balls fill hall")
    page.draw.drawString(60.5, 660, "All balls fill hall")
    assert page.read().pages[0].replace(" ", "").split("\n") == ["Illegal", "Allballsfillhall"]


def test_narrow_letters_side_by_side(page):
    """Letters that stand nearer than a shadow would, and one over a larger one of its kind, are no second drawing."""
    page.draw.setFont(HELVETICA, 12)
    page.draw._code.append("BT /F1 12 Tf 50 Tz 60 660 Td (alllb) Tj ET")
    page.draw.setFont(HELVETICA, 40)
    page.draw.drawString(60, 600, "A")
    page.draw.setFont(HELVETICA, 12)
    page.draw.drawString(61, 600, "A")
    read = page.read().pages[0]
    assert "alllb" in read
    assert read.count("A") == 2


def mapped(characters):
    """A change to a PDF that maps codes of its font to characters."""

    def change(writer):
        cmap = StreamObject()
        rows = " ".join(f"<{ord(code):02x}> <{text.encode('utf-16-be').hex()}>" for code, text in characters.items())
        cmap.set_data(
            b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <ff> endcodespacerange "
            + f"{len(characters)} beginbfchar {rows} endbfchar endcmap end".encode()
        )
        font = writer.pages[0]["/Resources"]["/Font"]["/F1"].get_object()
        font[NameObject("/ToUnicode")] = writer._add_object(cmap)

    return change


def test_ligature(page):
    """Both letters of a glyph that stands for two of a kind are read, though they stand at one place."""
    coded(page.draw, "e#ect")
    assert page.read(mapped({"#": "ff"})).pages == ("effect",)


def test_right_to_left(page):
    """Hebrew, which is drawn from left to right as it looks, is read from right to left."""
    coded(page.draw, "abcd")
    assert page.read(mapped(dict(zip("abcd", "םולש", strict=True)))).pages == ("שלום",)


def test_annotations_that_are_not_read(page):
    """Check boxes, and text typed over a page that only a viewer draws, are noted with count and pages."""
    page.draw.drawString(60, 700, "Text.")
    page.draw.acroForm.checkbox(name="a", checked=True, x=200, y=690)
    page.draw.showPage()
    page.draw.drawString(60, 700, "More.")

    def type_over(writer):
        writer.add_annotation(1, FreeText(text="Valid until May", rect=(60, 600, 200, 620)))
        writer.pages[1]["/Annots"][0].get_object().pop("/AP", None)

    notes = page.read(type_over).notes
    assert "check boxes and radio buttons are not read: 1, on page 1." in notes[0]
    assert "(FreeText annotations without an appearance) are not read: 1, on page 2." in notes[1]


def test_glyphs_of_a_font_that_is_nowhere(page):
    """Vertical Chinese, drawn glyph by glyph in a font that is not in the file, is read column by column."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    page.draw.setFont("STSong-Light", 12)
    for column, text in enumerate(("今天天气很好我们", "去公园走一走吧。")):
        for row, char in enumerate(text):
            page.draw.drawString(400 - 24 * column, 700 - 14 * row, char)
    assert page.read().pages == ("今天天气很好我们去公园走一走吧。",)


def test_single_characters(page):
    """A page whose text comes as single characters is noted, as their order may be wrong."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    page.draw.setFont("STSong-Light", 12)
    for row in range(12):
        page.draw.drawString(60, 700 - 30 * row, "好。")
    assert "the text of page 1 comes as single characters" in page.read().notes[0]


def test_text_outside_the_page(page):
    """What stands outside the crop box is not shown, and not read."""
    page.draw.drawString(60, 700, "Inside")
    page.draw.drawString(60, 100, "Printer's mark")

    def crop(writer):
        writer.pages[0].cropbox = RectangleObject((0, 400, 595, 842))

    assert page.read(crop).pages == ("Inside",)


def drawn(canvas, x, y, *parts):
    """Draw texts one behind the other, each with its size and how far it is raised."""
    for text, size, rise in parts:
        canvas.setFont(HELVETICA, size)
        canvas.drawString(x, y + rise, text)
        x += stringWidth(text, HELVETICA, size)


def test_raised_and_lowered(page):
    """What is raised or lowered behind other text is no part of its number or word, also where a line ends."""
    drawn(page.draw, 60, 700, ("An area of 10", 12, 0), ("2", 7, 4), (" m", 12, 0), ("2", 7, 4), (" at a price", 12, 0))
    drawn(page.draw, 60, 680, ("at a price", 12, 0), ("3", 7, 5), (" of CO", 12, 0), ("2", 7, -3), (".", 12, 0))
    drawn(page.draw, 60, 660, ("Up to 10", 12, 0), ("-3", 7, 4), (" and e", 12, 0), ("(a+b)", 7, 4), (".", 12, 0))
    drawn(page.draw, 60, 640, ("1", 7, 4), (" Of the law.", 12, 0))
    assert page.read().pages[0].split("\n") == [
        "An area of 10² m² at a price at a price³ of CO₂.",
        "Up to 10⁻³ and e^(a+b).",
        "¹ Of the law.",
    ]


def test_not_raised(page):
    """Small text beside large text, letters of a logo, and figures that stand a little higher are no exponents."""
    drawn(page.draw, 60, 700, ("Total 10", 12, 0), ("25", 7, 0), (".", 12, 0))
    drawn(page.draw, 60, 680, ("L", 12, 0), ("A", 8, 3), ("TEX.", 12, 0))
    drawn(page.draw, 60, 660, ("Number 20", 12, 0), ("436", 10, 2.4), (".", 12, 0))
    drawn(page.draw, 60, 640, ("Price ", 12, 0), ("from 3 pieces on", 7, 4), (".", 12, 0))
    assert page.read().pages[0].split("\n") == ["Total 1025.", "LATEX.", "Number 20436.", "Price from 3 pieces on."]


def test_text_that_is_not_shown(page):
    """Invisible text and white text on white are left out and noted; white text on a colour is read."""
    page.draw.drawString(60, 700, "Shown.")
    page.draw.drawString(60, 680, "Invisible.", mode=3)
    page.draw.rect(50, 630, 300, 20, fill=1)
    page.draw.setFillColorRGB(1, 1, 1)
    page.draw.drawString(60, 660, "White on white.")
    page.draw.drawString(60, 636, "White on black.")
    page.draw.drawString(60, 600, "   ")
    document = page.read()
    assert document.pages == ("Shown.\nWhite on black.",)
    (note,) = document.notes
    assert "a.pdf: 2 runs of text on page 1 are left out: a viewer does not show them" in note


def test_nothing_is_shown(page):
    """A PDF all of whose text is invisible is an error that says so."""
    page.draw.drawString(60, 700, "Invisible.", mode=3)
    with pytest.raises(DataError, match=r"a\.pdf shows no text: all its text is white, invisible or on layers"):
        page.read()


@pytest.mark.parametrize("size", [(595, 842), (500, 30)])
def test_layer_of_ocr(page, size):
    """The invisible text that OCR lays over what was scanned is read, without a note."""
    picture(page.draw, *size)
    text = "A line that was read by OCR is as long as those of other pages are, and it is longer than a stamp on a page is."
    page.draw.setFont(HELVETICA, 8)
    page.draw.drawString(80, 65, text, mode=3)
    document = page.read()
    assert (document.pages, document.notes) == ((text,), ())


def test_layer_of_ocr_over_outlines(page):
    """Invisible text over letters that are drawn as lines says what they show."""
    for stroke in range(20):
        page.draw.line(60 + 4 * stroke, 700, 62 + 4 * stroke, 708)
    page.draw.drawString(60, 700, "Read by OCR.", mode=3)
    assert page.read().pages == ("Read by OCR.",)


@pytest.mark.parametrize("inside", [False, True])
def test_layers(page, inside):
    """A layer that is switched off is left out and noted, one that is on is read; so is what is in forms on them."""
    page.draw.drawString(60, 660, "Always.")
    for name, y in (("On", 700), ("Off", 680)):
        if inside:
            page.draw.beginForm(name)
            page.draw.drawString(60, y, f"{name}.")
            page.draw.endForm()
        page.draw._code.append(f"/OC /{name} BDC")
        if inside:
            page.draw.doForm(name)
        else:
            page.draw.drawString(60, y, f"{name}.")
        page.draw._code.append("EMC")

    def layer(writer):
        layers = {}
        for name in ("On", "Off"):
            group = {NameObject("/Type"): NameObject("/OCG"), NameObject("/Name"): TextStringObject(name)}
            layers[name] = writer._add_object(DictionaryObject(group))
        shown = {NameObject("/ON"): ArrayObject([layers["On"]]), NameObject("/OFF"): ArrayObject([layers["Off"]])}
        writer._root_object[NameObject("/OCProperties")] = DictionaryObject(
            {
                NameObject("/OCGs"): ArrayObject(layers.values()),
                NameObject("/D"): DictionaryObject(shown),
            }
        )
        writer.pages[0]["/Resources"].get_object()[NameObject("/Properties")] = DictionaryObject(
            {NameObject(f"/{name}"): group for name, group in layers.items()}
        )

    document = page.read(layer)
    assert sorted(document.pages[0].replace("\n", " ").split()) == ["Always.", "On."]
    assert "1 runs of text on page 1" in document.notes[0]


@pytest.mark.parametrize("turn", [0, 180])
def test_text_on_its_head(page, turn):
    """Text that stands on its head is read in its own direction, also beside upright text and on a turned page."""
    page.draw.drawString(60, 700, "This stands upright.")
    page.draw.saveState()
    page.draw.translate(500, 500)
    page.draw.rotate(180)
    for row, line in enumerate(("Refund within thirty", "days of arrival.")):
        x = 0
        for letter in line:
            page.draw.drawString(x, -14 * row, letter)
            x += stringWidth(letter, HELVETICA, 12)
    page.draw.restoreState()
    (text,) = page.read(lambda writer: writer.pages[0].rotate(turn)).pages
    assert "Refund within thirty days of arrival." in text
    assert "This stands upright." in text


def test_pages_that_are_the_same(page):
    """Pages of the same lines keep them, though they run."""
    for number in (1, 2, 3):
        page.draw.drawString(60, 800, "Coupon for one coffee")
        page.draw.drawString(60, 30, f"{number}")
        page.draw.showPage()
    assert ["Coupon for one coffee" in text for text in page.read().pages] == [True] * 3


def test_suspended_hyphens(page):
    """A hyphen at a line's end that stands for the second part of a compound keeps its blank."""
    for row, line in enumerate(("The archive has all of the letters of pre-", "and post-war times.")):
        page.draw.drawString(60, 700 - 14 * row, line)
    assert page.read().pages == ("The archive has all of the letters of pre- and post-war times.",)


def test_soft_hyphens(page):
    """A soft hyphen at a line's end, which parts a word, is gone."""
    page.draw.drawString(60, 700, "The customer has the right of withdrawal, by infor\u00ad")
    page.draw.drawString(60, 686, "mation on paper.")
    assert page.read().pages == ("The customer has the right of withdrawal, by information on paper.",)


LEFT = (
    "Returns are accepted within thirty days of",
    "delivery if the goods are unused and in",
    "their original package.",
)
RIGHT = ("Warranty claims need the serial number", "and the invoice. Batteries are covered for", "twelve months only.")


def test_columns(page):
    """Columns of text that were drawn across are read one after the other."""
    for row, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
        page.draw.drawString(60, 700 - 14 * row, left)
        page.draw.drawString(320, 700 - 14 * row, right)
    assert page.read().pages == (f"{' '.join(LEFT)}\n{' '.join(RIGHT)}",)


def test_tables_are_not_torn(page):
    """A table stays row by row, also one of long cells; no row goes on with the next."""
    rows = [
        ("Name of the pump", "Pressure at most", "Price"),
        ("pump of the cellar", "sixteen bar at twenty degrees", "10"),
    ]
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            page.draw.drawString(60 + 180 * column, 700 - 14 * row, cell)
    long = [
        ("Every delivery of the week", "Customers pay for the way back"),
        ("Delivery by express post", "Refund after thirty days"),
    ]
    long.append(("Collection at the shop", "Exchange at the counter only"))
    for row, cells in enumerate(long):
        for column, cell in enumerate(cells):
            page.draw.drawString(60 + 240 * column, 500 - 14 * row, cell)
    assert page.read().pages[0].split("\n") == [" ".join(cells) for cells in rows + long]


def test_running_heads(page):
    """A running head or page number is kept once and interrupts no sentence; titles with numbers stay on their pages."""
    for number, text in ((1, "The refund is paid within"), (2, "thirty days of arrival.")):
        page.draw.setFont(HELVETICA, 12)
        page.draw.drawString(60, 800, "Company Handbook 2025")
        page.draw.drawString(60, 700, text)
        page.draw.drawString(300, 30, f"Page {number}")
        page.draw.showPage()
    for number in (3, 4):
        page.draw.setFont(HELVETICA, 24)
        page.draw.drawString(60, 790, f"Chapter {number}")
        page.draw.setFont(HELVETICA, 12)
        page.draw.drawString(60, 700, "Much more text is in the chapter than in its title.")
        page.draw.showPage()
    document = page.read()
    assert document.pages[:2] == ("Company Handbook 2025\nThe refund is paid within", "thirty days of arrival.\nPage 2")
    assert [text.split("\n")[0] for text in document.pages[2:]] == ["Chapter 3", "Chapter 4"]
    assert "paid within thirty days of arrival." in document.joined()[0]


def test_lines_that_count_with_the_pages(page):
    """An amount or a number of an invoice that rises by one from page to page is text, on each page; it interrupts no sentence."""
    for number in range(4):
        page.draw.setFont(HELVETICA, 12)
        page.draw.drawString(60, 800, f"Invoice {1000 + number}")
        page.draw.drawString(60, 700, f"body of page {number} goes on")
        page.draw.drawString(60, 30, f"Amount due: {200 + number} EUR")
        page.draw.showPage()
    document = page.read()
    for number, text in enumerate(document.pages):
        assert f"Invoice {1000 + number}" in text
        assert f"Amount due: {200 + number} EUR" in text


@pytest.mark.parametrize("form", ["{}", "- {} -", "Page {} of 3", "{} / 3", "第 {} 页 共 3 页"])
def test_page_numbers(page, form):
    """What only says which page this is, in whatever words, is kept once."""
    for number in (1, 2, 3):
        page.draw.setFont(HELVETICA if form.isascii() else "STSong-Light", 12)
        page.draw.drawString(60, 700, f"text of the page {'abc'[number - 1]} goes on")
        page.draw.drawString(300, 30, form.format(number))
        page.draw.showPage()
    assert [text.count("\n") for text in page.read().pages] == [0, 0, 1]


def test_footnotes(page):
    """A footnote is read before the paragraph that goes on over the page."""
    for body, note in (("The refund is paid within", "1 Of the law."), ("thirty days of arrival.", "2 Of the shop.")):
        page.draw.setFont(HELVETICA, 12)
        page.draw.drawString(60, 700, body)
        page.draw.setFont(HELVETICA, 8)
        page.draw.drawString(60, 150, note)
        page.draw.showPage()
    assert page.read().joined()[0] == "1 Of the law.\nThe refund is paid within thirty days of arrival.\n2 Of the shop."


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ("a well-", "known method", "a well-known method"),
        ("the envi-", "ronmental limits", "the environmental limits"),
        ("of over-", "all size", "of overall size"),
        ("the EU-", "regulations", "the EU-regulations"),
        ("the EU-", "Regulations", "the EU-Regulations"),
        ("COVID-", "19", "COVID-19"),
        ("a 10-", "year bond", "a 10-year bond"),
        ("INFOR-", "MATION", "INFORMATION"),
        ("Ein-", "und Ausgang", "Ein- und Ausgang"),
        ("infor\u00ad", "mation", "information"),
        ("infor\u2010", "mation", "information"),
        ("die Haus-", "tür", "die Haustür"),
        ("a zork-", "blat", "a zork-blat"),
        ("a hyper-", "parameter", "a hyperparameter"),
        ("天气", "很好", "天气很好"),
        ("one", "two", "one two"),
    ],
)
def test_hyphens_at_line_ends(before, after, whole):
    """A hyphen stays in a compound, after capitals and digits, and goes where a margin parted a word."""
    words = Words(["They call it zork-blat.", "One hyperparameter of a hyper-\nmarket"])
    assert continued(before, after, words) == whole


def test_hyphen_over_a_page_break():
    """A compound that is parted by a page break is whole, with its hyphen."""
    assert Document("a.pdf", ("It is a well-", "known method."), paged=True).joined()[0] == "It is a well-known method."


def test_rows_stay_lines():
    """Rows of a table are joined with no line beside them."""
    lines = ["a long line that is broken by the margin", "and goes on"]
    assert joined_lines(lines, Words(lines)) == [" ".join(lines)]
    assert joined_lines(lines, Words(lines), {1}) == lines
