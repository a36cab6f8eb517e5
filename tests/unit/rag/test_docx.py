"""What is read of Word files: all that Word shows, as it shows it, and nothing else."""

import re
import sys
import zipfile

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.rag.documents import Document, read_documents
from pytest_embedqa.rag.folding import stands_in
from pytest_embedqa.rag.sections import sections_of

NAMESPACES = nsdecls("w", "wp", "a", "r", "dgm") + (
    ' xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    ' xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
    ' xmlns:v="urn:schemas-microsoft-com:vml"'
)
TRACKED = 'w:id="1" w:author="A" w:date="2025-01-01T00:00:00Z"'


def run(text, properties=""):
    """A run of text."""
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def paragraph(content, properties=""):
    """A paragraph of runs."""
    return f"<w:p><w:pPr>{properties}</w:pPr>{content}</w:p>"


def control(content):
    """A content control."""
    return f"<w:sdt><w:sdtPr/><w:sdtContent>{content}</w:sdtContent></w:sdt>"


def cell(text, properties=""):
    """A cell of a table."""
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{paragraph(run(text))}</w:tc>"


def table(*rows):
    """A table."""
    return f"<w:tbl><w:tblPr/><w:tblGrid/>{''.join(rows)}</w:tbl>"


def row(*cells, properties=""):
    """A row of a table."""
    return f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(cells)}</w:tr>"


def mark(kind):
    """A mark of a field."""
    return f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>'


def code(text):
    """The code of a field."""
    return f"<w:r><w:instrText>{text}</w:instrText></w:r>"


def field(its_code, result=""):
    """A field; Word writes no result where the code itself is shown."""
    return mark("begin") + code(its_code) + (mark("separate") + run(result) if result else "") + mark("end")


def math(content):
    """An equation."""
    return f"<m:oMath>{content}</m:oMath>"


def letters(text):
    """A run of an equation."""
    return f"<m:r><m:t>{text}</m:t></m:r>"


def new():
    """An empty document."""
    return docx.Document()


def save(path, word, *blocks):
    """A Word file with pieces of WordprocessingML at its end."""
    for block in blocks:
        whole = parse_xml(f"<w:body {NAMESPACES}>{block}</w:body>")
        for element in list(whole):
            word.element.body.insert(len(word.element.body) - 1, element)
    word.save(path)
    return path


def text_of(path):
    """The text of the one document of a corpus."""
    (document,) = read_documents(path)
    (page,) = document.pages
    return page


@pytest.fixture
def read(tmp_path):
    """The text that is read of a Word file with these blocks."""
    return lambda *blocks, word=None: text_of(save(tmp_path / "a.docx", word or new(), *blocks))


def test_order_headings_and_tables(tmp_path):
    """A Word file becomes Markdown in its own order: headings, also of styles based on them, text and tables."""
    word = new()
    word.add_heading("员工手册", 0)
    word.add_heading("休假", 1)
    word.add_paragraph("年假为十天。")
    grid = word.add_table(2, 2)
    for one, text in zip([*grid.rows[0].cells, *grid.rows[1].cells], ["级别", "天数", "新员工", "10"], strict=True):
        one.text = text
    style = word.styles.add_style("Own", 1)
    style.base_style = word.styles["Heading 2"]
    word.add_paragraph("Sick leave", "Own")
    word.add_paragraph("", "Heading 1")
    word.add_paragraph("The last.")
    blocks = [
        "# 员工手册",
        "# 休假",
        "年假为十天。",
        "| 级别 | 天数 |\n| --- | --- |\n| 新员工 | 10 |",
        "## Sick leave",
    ]
    (document,) = read_documents(save(tmp_path / "a.docx", word))
    assert document == Document("a.docx", ("\n\n".join([*blocks, "The last."]),), format="markdown")


def test_outline_level(read):
    """A paragraph or style with an outline level is a heading, and one that is set back to body text is none."""
    word = new()
    style = word.styles.add_style("Absatz", 1)
    style.element.append(parse_xml(f'<w:pPr {NAMESPACES}><w:outlineLvl w:val="2"/></w:pPr>'))
    word.add_paragraph("By style", "Absatz")
    direct = paragraph(run("By itself"), '<w:outlineLvl w:val="7"/>')
    body = paragraph(run("Body"), '<w:pStyle w:val="Heading1"/><w:outlineLvl w:val="9"/>')
    assert read(direct, body, word=word) == "### By style\n\n###### By itself\n\nBody"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (run("Within ") + f"<w:del {TRACKED}><w:r><w:delText>60</w:delText></w:r></w:del>" + run("30"), "Within 30"),
        (f"<w:ins {TRACKED}>{run('in')}</w:ins>", "in"),
        (f"<w:moveFrom {TRACKED}>{run('gone')}</w:moveFrom>{run('x')}", "x"),
        (f"<w:moveTo {TRACKED}>{run('come')}</w:moveTo>", "come"),
        (control(run("chosen")), "chosen"),
        (f'<w:smartTag w:element="y">{run("smart")}</w:smartTag>', "smart"),
        (f'<w:customXml w:element="y">{run("custom")}</w:customXml>', "custom"),
        (f'<w:hyperlink w:anchor="y">{run("link")}</w:hyperlink>', "link"),
        (f'<w:dir w:val="rtl">{run("שלום")}</w:dir><w:bdo w:val="rtl">{run("!")}</w:bdo>', "שלום!"),
        ("<w:r><w:t>5</w:t><w:noBreakHyphen/><w:t>7</w:t></w:r>", "5-7"),
        ("<w:r><w:t>hy</w:t><w:softHyphen/><w:t>phen</w:t></w:r>", "hyphen"),
        ("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:ptab/><w:t>c</w:t></w:r>", "a\tb\tc"),
        (
            '<w:r><w:t>End.</w:t><w:br w:type="page"/><w:t>Next.</w:t><w:cr/><w:t>Last.</w:t></w:r>',
            "End.\nNext.\nLast.",
        ),
        ("<w:r><w:t>a\nb</w:t><w:lastRenderedPageBreak/></w:r>", "a b"),
        (run("20") + '<w:r><w:sym w:font="Symbol" w:char="F0B0"/></w:r>' + run("C"), "20°C"),
        ('<w:r><w:sym w:font="MS Gothic" w:char="2612"/><w:sym w:font="Own" w:char="F041"/></w:r>', "☒\uf041"),
        (run("\uf061 b", '<w:rFonts w:ascii="Symbol"/>'), "α β"),
        (run("c漢", '<w:rFonts w:ascii="Symbol"/>'), "χ漢"),
        (run("a") + run("HIDDEN", "<w:vanish/>") + run("b", '<w:vanish w:val="0"/>'), "ab"),
        (run("1", "<w:webHidden/>"), "1"),
    ],
)
def test_pieces_of_a_line(read, content, text):
    """Signs, tracked changes, controls and links of a line are read as Word shows them."""
    assert read(paragraph(content)) == text


def test_hidden_by_style(read):
    """A style hides its text; two that both do show it again, as in Word."""
    word = new()
    word.styles.add_style("Ghost", 2).font.hidden = True
    word.styles.add_style("Draft", 1).font.hidden = True
    by_style, ghost = '<w:pStyle w:val="Draft"/>', '<w:rStyle w:val="Ghost"/>'
    blocks = [paragraph(run("A") + run("B", ghost)), paragraph(run("C") + run("D", ghost), by_style)]
    assert read(*blocks, word=word) == "A\n\nD"


def test_readings_are_left_out(read):
    """A word with phonetic guides is whole; its reading stands nowhere in it."""
    guides = "".join(
        f"<w:r><w:ruby><w:rubyPr/><w:rt>{run(reading)}</w:rt><w:rubyBase>{run(base)}</w:rubyBase></w:ruby></w:r>"
        for base, reading in [("漢", "かん"), ("字", "じ")]
    )
    old = field(r'EQ \* jc2 \* "Font:MS Mincho" \* hps10 \o\ad(\s\up 9(かん),漢)') + field(r"eq \o\ac(○,1)")
    assert read(paragraph(guides + run("を")), paragraph(old)) == "漢字を\n\n漢1"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (field("PAGE", "7"), "7"),
        (f'<w:fldSimple w:instr="PAGE"><w:fldData>QUJD</w:fldData>{run("7")}</w:fldSimple>', "7"),
        (mark("begin") + code("IF ") + field("X", "CODE") + code("=1") + mark("separate") + run("yes") + mark("end"), "yes"),
        (field('XE "entry"') + run("x"), "x"),
        (field("MACROBUTTON NoMacro [Click here]"), "[Click here]"),
        (field(r'SYMBOL 176 \f "Symbol" \s 10'), "°"),
        (run("a") + mark("end") + run("b"), "ab"),
        (run("a", "<w:vanish/>") + '<w:r><w:rPr><w:vanish/></w:rPr><w:fldChar w:fldCharType="begin"/></w:r>'
         + mark("separate") + mark("end") + run("b"), "b"),
    ],
)  # fmt: skip
def test_fields(read, content, text):
    """Of a field its result is read, of a button its text, and codes never."""
    assert read(paragraph(content)) == text


def test_nothing_of_what_is_hidden(read):
    """Text boxes and buttons that are hidden, or stand in the code of a field, are not read."""
    anchor = f"<w:r><w:rPr>{{}}</w:rPr><w:pict><v:textbox>{box('BOX')}</v:textbox></w:pict></w:r>"
    button = field("MACROBUTTON X BUTTON")
    hidden = anchor.format("<w:vanish/>") + button.replace("<w:r>", "<w:r><w:rPr><w:vanish/></w:rPr>")
    in_code = mark("begin") + code("IF ") + anchor.format("") + button + mark("separate") + run("yes") + mark("end")
    assert read(paragraph(hidden + in_code)) == "yes"


def test_fields_of_forms(read):
    """A box of a form shows whether it is checked, and a list what was chosen."""
    begin = '<w:r><w:fldChar w:fldCharType="begin"><w:ffData>{}</w:ffData></w:fldChar></w:r>' + mark("end")
    boxes = ['<w:default w:val="1"/>', '<w:default w:val="1"/><w:checked w:val="0"/>', "<w:checked/>"]
    entries = '<w:listEntry w:val="red"/><w:listEntry w:val="blue"/>'
    lists = [f'<w:ddList><w:result w:val="1"/>{entries}</w:ddList>', f"<w:ddList>{entries}</w:ddList>", "<w:ddList/>"]
    content = [begin.format(f"<w:checkBox>{box}</w:checkBox>") for box in boxes] + [begin.format(one) for one in lists]
    content.append(content[3].replace(mark("end"), field("", "blue")[len(mark("begin") + code("")) :]))
    assert read(paragraph("".join(content))) == "☒☐☒blueredblue"


def test_field_over_paragraphs(read):
    """A field may begin in one paragraph and end in another, as a table of contents does."""
    begin = paragraph(mark("begin") + code("TOC") + mark("separate") + run("One"))
    assert read(begin, paragraph(run("Two") + mark("end"))) == "One\n\nTwo"


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        ([paragraph(mark("begin") + code("TOC")), paragraph(run("x"))], r"a field has no end \('TOC'\)"),
        ([paragraph(field(r"EQ \f(1,2)"))], r"an equation in a field \(EQ \\f\(1,2\)\) is not read"),
        ([paragraph("<w:r><w:blob><w:t>kept</w:t></w:blob></w:r>")], r"the element <w:blob> is not known.*'kept'"),
        (["<w:blob><w:p><w:r><w:t>kept</w:t></w:r></w:p></w:blob>"], r"the element <w:blob> is not known.*'kept'"),
        ([table(f"<w:blob>{row(cell('kept'))}</w:blob>")], r"the element <w:blob> is not known.*'kept'"),
        ([table(row(f"<w:blob>{cell('kept')}</w:blob>"))], r"the element <w:blob> is not known.*'kept'"),
        (['<w:altChunk r:id="rId1"/>'], r"it takes in another file \(<w:altChunk>\)"),
    ],
)
def test_not_understood(read, blocks, error):
    """What can't be read is an error that names the file and the place, and not text that is missing."""
    with pytest.raises(DataError, match=rf"a\.docx can't be read whole: {error}.*Save it as PDF"):
        read(*blocks)


def test_unknown_element_without_text(read):
    """An element that is not known passes if there is no text in it."""
    assert read(paragraph('<w:r><w:blob w:val="1"/></w:r>' + run("x")), "<w:blob/>") == "x"


def test_wrappers_of_blocks(read):
    """Controls in controls, and blocks of custom XML, are read where they stand."""
    custom = f'<w:customXml w:element="y">{paragraph(run("two"))}</w:customXml>'
    assert read(control(control(paragraph(run("one")))), custom) == "one\n\ntwo"


def test_controls_in_tables(read):
    """A control around a cell or a row, also one that repeats, leaves the table whole."""
    rows = row(cell("A"), control(cell("B"))) + control(control(row(cell("1"), cell("2"))))
    assert read(table(rows)) == "| A | B |\n| --- | --- |\n| 1 | 2 |"


SPAN = '<w:gridSpan w:val="2"/>'
DOWN = '<w:vMerge w:val="restart"/>'


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([row(cell("Size", SPAN), cell("Price")), row(cell("s"), cell("m"), cell("5"))], ["Size|Size|Price", "s|m|5"]),
        ([row(cell("P"), cell("S")), row(cell("Pump", DOWN), cell("s")), row(cell("", "<w:vMerge/>"), cell("l"))],
         ["P|S", "Pump|s", "Pump|l"]),
        ([row(cell("A"), cell("B")), row(cell("b"), properties='<w:gridBefore w:val="1"/>')], ["A|B", "|b"]),
        ([row(cell("A"), cell("B")), row(cell("a"), properties='<w:gridAfter w:val="1"/>')], ["A|B", "a|"]),
        ([row(cell("Title", SPAN)), row(cell("a"), cell("b"))], ["Title|", "a|b"]),
        ([row(cell("A", SPAN), cell("B", SPAN)), row(cell("a", SPAN), cell("b", SPAN))], ["A|B", "a|b"]),
        ([row(cell("A", '<w:hMerge w:val="restart"/>'), cell("", "<w:hMerge/>"), cell("B")), row(cell("a"), cell("b"), cell("c"))],
         ["A|A|B", "a|b|c"]),
        ([row(cell("A", '<w:hMerge w:val="restart"/>'), cell("", "<w:hMerge/>")), row(cell("a"), cell("b"))], ["A|", "a|b"]),
        ([row(cell("A", SPAN + DOWN), cell("B")), row(cell("", SPAN + "<w:vMerge/>"), cell("b")), row(cell("a"), cell("c"), cell("d"))],
         ["A|A|B", "A|A|b", "a|c|d"]),
        ([row(cell("A"), cell("B"), properties='<w:gridBefore w:val="1"/>'), row(cell("a"), cell("b"), properties='<w:gridBefore w:val="1"/>')],
         ["A|B", "a|b"]),
        ([row(cell("P"), cell("S")), row(cell("Pump", DOWN), cell("s")), row(cell("on", "<w:vMerge/>"), cell("l")), row(cell("Fan", DOWN), cell("x"))],
         ["P|S", "Pump on|s", "Pump on|l", "Fan|x"]),
        ([row(cell("A"), cell("B")), row(cell("GONE"), cell("x"), properties=f"<w:del {TRACKED}/>")], ["A|B"]),
    ],
)  # fmt: skip
def test_merged_cells(read, rows, lines):
    """Each value stands under its head: what is merged is there in each of its columns and rows."""
    read_lines = [re.sub(r" *\| *", "|", line)[1:-1] for line in read(table(*rows)).split("\n")]
    assert [read_lines[0], *read_lines[2:]] == lines


def test_tables_that_only_place(read):
    """A frame of one cell, and a table that places another, are no tables of the text; headings in them are kept."""
    heading = paragraph(run("Note"), '<w:pStyle w:val="Heading2"/>')
    framed = table(f"<w:tr><w:tc>{heading}{paragraph(run('text'))}</w:tc></w:tr>")
    inner = table(row(cell("A"), cell("B")))
    placing = table(f"<w:tr>{cell('left')}<w:tc>{inner}<w:p/></w:tc></w:tr>")
    assert read(framed, paragraph(""), placing) == "## Note\n\ntext\n\nleft\n\n| A | B |\n| --- | --- |"


def test_a_table_in_a_cell(read):
    """A table in one cell of values is a line of that cell, and the values beside it keep their heads."""
    inner = table(row(cell("S"), cell("5|6")), row(cell("M"), cell("7")))
    rows = (
        row(cell("Part"), cell("Price")),
        row(cell("Pump"), f"<w:tc>{paragraph(run('by size:'))}{inner}<w:p/></w:tc>"),
    )
    assert read(table(*rows, row(cell("Fan"), cell("9")))).split("\n")[2:] == [
        "| Pump | by size: S, 5\\|6; M, 7 |",
        "| Fan | 9 |",
    ]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("# no heading", "\\# no heading"), ("####### seven", "####### seven"), ("#tag", "#tag"), ("```", "\\```"), ("~~~ x", "\\~~~ x"),
        ("<!-- no comment", "\\<!-- no comment"), ("<pre>", "\\<pre>"), ("<p>", "<p>"), ("a\n===", "a\n\\==="), ("a\n---", "a\n\\---"), ("- a", "- a"),
    ],
)  # fmt: skip
def test_signs_of_markdown_in_a_text_are_text(read, text, written):
    """What a paragraph begins with makes no heading, and no code or HTML that takes in what follows; found as it is written."""
    heading = paragraph(run("Next"), '<w:pStyle w:val="Heading1"/>')
    breaks = "<w:r><w:br/></w:r>".join(run(line.replace("<", "&lt;")) for line in text.split("\n"))
    whole = read(paragraph(breaks), heading, paragraph(run("end")))
    assert whole == f"{written}\n\n# Next\n\nend"
    assert [one.path for one in sections_of(whole) if one.start < one.end] == [(), ("Next",)]
    assert written == text or stands_in(text.rpartition("\n")[2], whole)
    assert read(table(row(cell("# 1"), cell("b")))) == "| # 1 | b |\n| --- | --- |"


def test_signs_of_a_font_that_is_not_known(tmp_path):
    """They stay private characters of Unicode, and a note says how many of which font."""
    own = '<w:r><w:sym w:font="Own" w:char="F041"/><w:sym w:font="Own" w:char="F042"/><w:sym w:font="Symbol" w:char="F0B0"/></w:r>'
    path = save(
        tmp_path / "a.docx", new(), paragraph(own + run("\uf061", '<w:rFonts w:ascii="Logo"/>') + run("\ue001"))
    )
    (document,) = read_documents(path)
    assert document.notes == tuple(
        f"{path}: {count} signs of the font {font} have no character of Unicode that is known, and can't be found."
        for font, count in (("Logo", 1), ("Own", 2), ("of its style", 1))
    )
    (known,) = read_documents(save(tmp_path / "b.docx", new(), paragraph(run("α"))))
    assert known.notes == ()


def test_raised_by_a_style(read):
    """A style of characters raises a number too, and a run in it may lie on the line again."""
    word = new()
    word.styles.add_style("Up", 2).font.superscript = True
    up = '<w:rStyle w:val="Up"/>'
    content = run("10") + run("2", up) + run(" or 5") + run("7", f'{up}<w:vertAlign w:val="baseline"/>')
    assert read(paragraph(content), word=word) == "10² or 57"


def test_cells_are_one_line(read):
    """Paragraphs, headings and numbers in a cell stay in its line."""
    heading = paragraph(run("Head"), '<w:pStyle w:val="Heading2"/>')
    numbered = paragraph(run("item"), '<w:pStyle w:val="ListNumber"/>')
    rows = f"<w:tr><w:tc>{heading}{numbered}</w:tc>{cell('x')}</w:tr>"
    assert read(table(rows)) == "| Head 1. item | x |\n| --- | --- |"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<m:f><m:num>{a}</m:num><m:den>{sum}</m:den></m:f>" + letters("x"), "a/(a+b) x"),
        ("<m:sSup><m:e>{a}</m:e><m:sup>" + letters("10") + "</m:sup></m:sSup>", "a^10"),
        ("<m:sSub><m:e>{a}</m:e><m:sub>{sum}</m:sub></m:sSub>" + letters("cos"), "a_(a+b) cos"),
        ("<m:sSubSup><m:e>{a}</m:e><m:sub>{b}</m:sub><m:sup>{b}</m:sup></m:sSubSup>", "a_b^b"),
        ("<m:sPre><m:sub>{a}</m:sub><m:sup>{b}</m:sup><m:e>{b}</m:e></m:sPre>", "_a^b b"),
        ("<m:rad><m:radPr/><m:deg/><m:e>{sum}</m:e></m:rad>", "√(a+b)"),
        ("<m:rad><m:deg>" + letters("3") + "</m:deg><m:e>{a}</m:e></m:rad>", "√(3&amp;a)"),
        ("<m:nary><m:sub>{a}</m:sub><m:sup>{b}</m:sup><m:e>{b}</m:e></m:nary>", "∫_a^b b"),
        ('<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub/><m:sup/><m:e>{b}</m:e></m:nary>', "∑ b"),
        ("<m:func><m:fName>" + letters("log") + "</m:fName><m:e>{a}</m:e></m:func>", "log a"),
        ("<m:d><m:e>{a}</m:e><m:e>{b}</m:e></m:d>", "(a|b)"),
        ('<m:d><m:dPr><m:begChr m:val="["/><m:sepChr m:val=";"/><m:endChr m:val=""/></m:dPr><m:e>{a}</m:e><m:e>{b}</m:e></m:d>',
         "[a;b"),
        ("<m:acc><m:e>{a}</m:e></m:acc>", "a\u0302"),
        ("<m:limLow><m:e>" + letters("lim") + "</m:e><m:lim>{sum}</m:lim></m:limLow>", "lim_(a+b)"),
        ("<m:limUpp><m:e>{a}</m:e><m:lim>{b}</m:lim></m:limUpp>", "a^b"),
        ("<m:m><m:mr><m:e>{a}</m:e><m:e>{b}</m:e></m:mr><m:mr><m:e>{b}</m:e><m:e>{a}</m:e></m:mr></m:m>", "a b; b a"),
        ("<m:eqArr><m:e>{a}</m:e><m:e>{b}</m:e></m:eqArr>", "a; b"),
        ('<m:phant><m:phantPr><m:show m:val="0"/></m:phantPr><m:e>{a}</m:e></m:phant>{b}', "b"),
        ("<m:box><m:e>{a}</m:e></m:box>", "a"),
        (f"<w:ins {TRACKED}>{letters('new')}</w:ins><w:del {TRACKED}>{letters('old')}</w:del>", "new"),
    ],
)  # fmt: skip
def test_equations(read, content, text):
    """An equation is in one line in which nothing that stands above, below or beside another slides into it."""
    filled = content.replace("{a}", letters("a")).replace("{b}", letters("b")).replace("{sum}", letters("a+b"))
    assert read(paragraph(run("It is ") + math(filled) + run("."))) == f"It is {text.replace('&amp;', '&')}."


def test_equation_by_itself(read):
    """An equation in a paragraph of its own is read."""
    assert read(paragraph(f"<m:oMathPara>{math(letters('E=m'))}</m:oMathPara>")) == "E=m"


def box(*texts):
    """The content of a text box."""
    return f"<w:txbxContent>{''.join(paragraph(run(text)) for text in texts)}</w:txbxContent>"


def drawing(content):
    """A drawing."""
    graphic = f'<a:graphic><a:graphicData uri="x">{content}</a:graphicData></a:graphic>'
    return f"<w:drawing><wp:anchor><wp:posOffset>42</wp:posOffset>{graphic}</wp:anchor></w:drawing>"


def test_text_boxes(read):
    """A text box, there twice for newer and older programs, is read once, after its paragraph and by paragraphs."""
    choice = drawing(f"<wps:wsp><wps:txbx>{box('Opening hours', 'Monday')}</wps:txbx></wps:wsp>")
    older = f"<w:pict><v:textbox>{box('old')}</v:textbox></w:pict>"
    both = f"<mc:Choice Requires='wps'>{choice}</mc:Choice><mc:Fallback>{older}</mc:Fallback>"
    content = run("Be") + f"<w:r><mc:AlternateContent>{both}</mc:AlternateContent></w:r>" + run("fore.")
    assert read(paragraph(content), paragraph(run("After."))) == "Before.\n\nOpening hours\n\nMonday\n\nAfter."


def test_content_only_in_the_fallback(read):
    """Where only the older form has text, such as an emoji, it is read."""
    emoji = '<mc:Choice Requires="w16se"/><mc:Fallback><w:t>😀</w:t></mc:Fallback>'
    assert read(paragraph(f"<w:r><mc:AlternateContent>{emoji}</mc:AlternateContent></w:r>")) == "😀"


def test_text_in_drawings(read):
    """WordArt and the texts of shapes are read, and nothing of their measures."""
    wordart = '<w:r><w:pict><v:shape><v:textpath string="DRAFT"/></v:shape></w:pict></w:r>'
    shape = f"<w:r>{drawing('<a:p><a:r><a:t>in</a:t></a:r><a:r><a:t> shape</a:t></a:r></a:p>')}</w:r>"
    assert read(paragraph(wordart + shape + run("x"))) == "x\n\nDRAFT\n\nin shape"


def added(path, parts, relations, main="word/document.xml"):
    """A Word file with more parts, each related to its document."""
    with zipfile.ZipFile(path) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    rels = f"word/_rels/{main.rpartition('/')[2]}.rels"
    more = "".join(
        f'<Relationship Id="{identifier}" Type="http://x/relationships/{kind}" Target="{target}"/>'
        for identifier, kind, target in relations
    )
    contents[rels] = contents[rels].replace(b"</Relationships>", f"{more}</Relationships>".encode())
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (contents | parts).items():
            archive.writestr(name, data)
    return path


def test_smart_art(tmp_path):
    """The texts of SmartArt, which are in a part of their own, are read."""
    relations = drawing('<dgm:relIds r:dm="rIdX" r:lo="rIdY"/>')
    art = f"<w:r>{relations}</w:r>"
    point = "<dgm:pt><dgm:t><a:p><a:r><a:t>top</a:t></a:r></a:p></dgm:t></dgm:pt>"
    data = f"<dgm:dataModel {NAMESPACES}>{point}</dgm:dataModel>"
    path = save(tmp_path / "a.docx", new(), paragraph(run("Chart:") + art))
    added(path, {"word/diagrams/data1.xml": data.encode()}, [("rIdX", "diagramData", "diagrams/data1.xml")])
    assert text_of(path) == "Chart:\n\ntop"


def test_notes(tmp_path):
    """Footnotes and endnotes stand after the paragraph or table that refers to them, not in its sentence."""
    sentence = run("Within 30 days") + '<w:r><w:footnoteReference w:id="2"/></w:r>' + run(" of purchase.")
    noted = paragraph(run("A") + '<w:r><w:endnoteReference w:id="1"/></w:r>')
    rows = f"<w:tr><w:tc>{noted}</w:tc>{cell('B')}</w:tr>"
    path = save(tmp_path / "a.docx", new(), paragraph(sentence), table(rows), paragraph(run("End.")))
    note = paragraph("<w:r><w:footnoteRef/></w:r>" + run(" Not on Sundays."))
    notes = (
        f'<w:footnotes {NAMESPACES}><w:footnote w:id="0"><w:p/></w:footnote>'
        f'<w:footnote w:id="2">{note}</w:footnote></w:footnotes>'
    )
    ends = f'<w:endnotes {NAMESPACES}><w:endnote w:id="1">{paragraph(run("Late."))}</w:endnote></w:endnotes>'
    relations = [("rIdF", "footnotes", "footnotes.xml"), ("rIdE", "endnotes", "/word/endnotes.xml")]
    added(path, {"word/footnotes.xml": notes.encode(), "word/endnotes.xml": ends.encode()}, relations)
    expected = "Within 30 days of purchase.\n\nNot on Sundays.\n\n| A | B |\n| --- | --- |\n\nLate.\n\nEnd."
    assert text_of(path) == expected


def test_paragraphs_that_became_one(read):
    """A paragraph whose end was deleted or moved away, or that is a large first letter, goes on in the next."""
    deleted = paragraph(run("One sen"), f"<w:rPr><w:del {TRACKED}/></w:rPr>")
    moved = paragraph(
        run("At ") + f"<w:moveFrom {TRACKED}>{run('x')}</w:moveFrom>", f"<w:rPr><w:moveFrom {TRACKED}/></w:rPr>"
    )
    capital = paragraph(run("T"), '<w:framePr w:dropCap="drop" w:lines="3"/>')
    text = read(deleted, paragraph(run("tence.")), moved, capital, paragraph(run("he end.")), deleted)
    assert text == "One sentence.\n\nAt The end.\n\nOne sen"
    assert read(deleted, table(row(cell("A"), cell("B")))) == "One sen\n\n| A | B |\n| --- | --- |"


def test_code(read):
    """Paragraphs in a style for code are one block of code, in which nothing is a heading."""
    word = new()
    word.styles.add_style("HTML Preformatted", 1)
    for line in ("# install", "  pip"):
        word.add_paragraph(line, "HTML Preformatted")
    assert read(paragraph(run("End")), word=word) == "```\n# install\n  pip\n```\n\nEnd"


def test_strict_open_xml(tmp_path):
    """A file in Strict Open XML, whose namespaces are those of ISO, is read alike."""
    path = save(
        tmp_path / "a.docx",
        new(),
        paragraph(run("One"), '<w:pStyle w:val="Heading1"/>'),
        table(row(cell("a"), cell("b"))),
    )
    with zipfile.ZipFile(path) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            iso = re.sub(
                rb"http://schemas.openxmlformats.org/(wordprocessingml|officeDocument)/2006/",
                rb"http://purl.oclc.org/ooxml/\1/",
                data,
            )
            archive.writestr(name, iso)
    with pytest.raises(KeyError):
        docx.Document(path)
    assert text_of(path) == "# One\n\n| a | b |\n| --- | --- |"


@pytest.mark.parametrize("suffix", ["docm", "dotx", "dotm"])
def test_other_kinds_of_word_files(tmp_path, suffix):
    """Files with macros and templates are read too."""
    assert text_of(save(tmp_path / f"a.{suffix}", new(), paragraph(run("x")))) == "x"


@pytest.mark.parametrize("content", [b"no zip", b"PK\x03\x04broken", b"", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1encrypted"])
def test_broken_file(tmp_path, content):
    """A file that only is called .docx, or has a password, is named."""
    (tmp_path / "a.docx").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.docx is not a DOCX file that can be read.*Save it again"):
        text_of(tmp_path / "a.docx")


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("_rels/.rels", b"<Relationships/>", "no document in it"),
        ("word/document.xml", b"<!DOCTYPE d [<!ENTITY e 'x'>]><d>&e;</d>", r"word/document\.xml has a document type"),
    ],
)
def test_archive_that_is_no_word_file(tmp_path, name, data, error):
    """A ZIP archive without a document, or with XML that Word does not write, is named."""
    path = added(save(tmp_path / "a.docx", new()), {name: data}, [])
    with pytest.raises(DataError, match=rf"a\.docx is not a DOCX file that can be read .*{error}"):
        text_of(path)


@pytest.mark.parametrize("package", ["lxml", "mammoth"])
def test_missing_package(tmp_path, monkeypatch, package):
    """Without a package that reads Word files, the error names it, the file and the extra."""
    path = save(tmp_path / "a.docx", new(), paragraph(run("x")))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"(?s)Reading .*a\.docx needs the package '{package}'.*\[rag\]"):
        text_of(path)


@pytest.mark.parametrize(
    ("runs", "shown"),
    [
        ([("10", ""), ("2", "superscript"), (" m", "")], "10² m"),
        ([("H", ""), ("2", "subscript"), ("O", "")], "H₂O"),
        ([("x", ""), ("1", "superscript"), ("0", "superscript")], "x¹⁰"),
        ([("the 1", ""), ("st", "superscript"), (" of May", "")], "the 1st of May"),
        ([("1", "superscript"), (" A note", "")], "1 A note"),
        ([("5", ""), ("7", "baseline")], "57"),
    ],
)
def test_raised_and_lowered(read, runs, shown):
    """A raised or lowered number makes no other number of the one before it."""
    parts = [run(text, f'<w:vertAlign w:val="{kind}"/>' if kind else "") for text, kind in runs]
    assert read(paragraph("".join(parts))) == shown
