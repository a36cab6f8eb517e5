"""The numbers of lists and headings in Word files, which Word counts and a reader sees."""

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.rag.documents import read_documents


def level(depth, form, text, more=""):
    """A level of a list."""
    return f'<w:lvl w:ilvl="{depth}"><w:start w:val="1"/><w:numFmt w:val="{form}"/>{more}<w:lvlText w:val="{text}"/></w:lvl>'


@pytest.fixture
def read(tmp_path):
    """What is read of numbered paragraphs of a Word file whose lists have these levels."""

    def of(levels, paragraphs, overrides="", links=""):
        word = docx.Document()
        part = word.part.numbering_part.element
        part.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="90">{levels}</w:abstractNum>'))
        part.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="91">{links}</w:abstractNum>'))
        for number, kind, more in [(90, 90, ""), (91, 90, overrides), (92, 91, "")]:
            inner = f'<w:abstractNumId w:val="{kind}"/>{more}'
            part.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="{number}">{inner}</w:num>'))
        own = '<w:pPr><w:numPr><w:numId w:val="90"/></w:numPr></w:pPr>'
        lists = parse_xml(f'<w:style {nsdecls("w")} w:type="numbering" w:styleId="Lists">{own}</w:style>')
        word.styles.element.append(lists)
        for number, depth, text in paragraphs:
            one = word.add_paragraph(text)
            numbered = f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{depth}"/><w:numId w:val="{number}"/></w:numPr>'
            one._p.get_or_add_pPr().append(parse_xml(numbered))
        word.save(tmp_path / "a.docx")
        (document,) = read_documents(tmp_path / "a.docx")
        return document.pages[0].split("\n")

    return of


OUTLINE = level(0, "decimal", "%1.") + level(1, "decimal", "%1.%2") + level(2, "lowerLetter", "(%3)")


def test_levels_are_counted(read):
    """Each level counts on, and begins anew below the next one above it; empty paragraphs count too."""
    depths = [0, 1, 1, 2, 0, 1, 2]
    paragraphs = [(90, depth, f"t{place}") for place, depth in enumerate(depths)]
    paragraphs.insert(1, (90, 0, ""))
    assert read(OUTLINE, paragraphs) == ["1. t0", "2.1 t1", "2.2 t2", "(a) t3", "3. t4", "3.1 t5", "(a) t6"]


def test_level_that_is_not_restarted(read):
    """A level may count on below the next one above it."""
    levels = level(0, "decimal", "%1.") + level(1, "decimal", "%2)", '<w:lvlRestart w:val="0"/>')
    assert read(levels, [(90, depth, "t") for depth in (0, 1, 0, 1)]) == ["1. t", "1) t", "2. t", "2) t"]


def test_lists_of_a_kind_count_together(read):
    """Lists of one kind share their count, unless one of them is to start anew, once."""
    paragraphs = [(90, 0, "a"), (91, 0, "b"), (90, 0, "c"), (91, 0, "d")]
    assert read(OUTLINE, paragraphs) == ["1. a", "2. b", "3. c", "4. d"]
    start = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride>'
    assert read(OUTLINE, paragraphs, start) == ["1. a", "7. b", "8. c", "9. d"]


def test_level_of_one_list(read):
    """A list may write a level in its own way."""
    own = f'<w:lvlOverride w:ilvl="0">{level(0, "upperRoman", "Part %1:")}</w:lvlOverride>'
    assert read(OUTLINE, [(90, 0, "a"), (91, 0, "b")], own) == ["1. a", "Part II: b"]


def test_list_by_a_style_of_lists(read):
    """A list may be that of a style of lists; one that points nowhere has no numbers, nor has list 0."""
    link = '<w:numStyleLink w:val="Lists"/>'
    assert read(OUTLINE, [(92, 0, "a"), (0, 0, "b"), (999, 0, "c")], links=link)[0] == "1. a"
    assert read(OUTLINE, [(0, 0, "b"), (999, 0, "c"), (90, 8, "d")]) == ["b", "", "c", "", "d"]


def test_bullets(read):
    """A bullet is a Markdown item, and a bullet that is a box keeps it."""
    wingdings = '<w:rPr><w:rFonts w:ascii="Wingdings"/></w:rPr>'
    box = level(1, "bullet", "\uf0fe").replace("</w:lvl>", f"{wingdings}</w:lvl>")
    levels = level(0, "bullet", "\uf0b7") + box + level(2, "none", "")
    assert read(levels, [(90, 0, "a"), (90, 1, "b"), (90, 2, "c")]) == ["- a", "- 🗹 b", "", "c"]


def test_numbers_of_the_levels_above(read):
    """A level writes those above it in their form, or all in digits where it is legal numbering."""
    levels = level(0, "upperRoman", "%1.") + level(1, "decimal", "%1.%2") + level(2, "decimal", "%1.%3", "<w:isLgl/>")
    assert read(levels, [(90, depth, "t") for depth in (0, 1, 2)]) == ["I. t", "I.1 t", "1.1 t"]


def test_heading_with_a_number(tmp_path):
    """The number of a heading, by its style and the level that belongs to this style, stands before its text."""
    word = docx.Document()
    part = word.part.numbering_part.element
    levels = level(0, "decimal", "%1", '<w:pStyle w:val="Heading1"/>')
    levels += level(1, "decimal", "%1.%2", '<w:pStyle w:val="Heading2"/>')
    part.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="90">{levels}</w:abstractNum>'))
    part.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="90"><w:abstractNumId w:val="90"/></w:num>'))
    for name in ("Heading 1", "Heading 2"):
        properties = word.styles[name].element.get_or_add_pPr()
        properties.append(parse_xml(f'<w:numPr {nsdecls("w")}><w:numId w:val="90"/></w:numPr>'))
    word.add_heading("Scope", 1)
    word.add_heading("Leave", 2)
    word.save(tmp_path / "a.docx")
    (document,) = read_documents(tmp_path / "a.docx")
    assert document.pages == ("# 1 Scope\n\n## 1.1 Leave",)


@pytest.mark.parametrize(
    ("form", "count", "text"),
    [
        ("decimalZero", 7, "07"),
        ("lowerLetter", 28, "bb"),
        ("upperLetter", 3, "C"),
        ("lowerRoman", 1994, "mcmxciv"),
        ("upperRoman", 9, "IX"),
        ("ordinal", 12, "12th"),
        ("ordinal", 23, "23rd"),
        ("numberInDash", 2, "- 2 -"),
        ("chineseCounting", 10, "十"),
        ("chineseCountingThousand", 32, "三十二"),
        ("japaneseCounting", 20, "二十"),
        ("chineseCounting", 105, "一〇五"),
        ("ideographTraditional", 3, "丙"),
        ("decimalEnclosedCircleChinese", 3, "③"),
        ("decimalFullWidth", 12, "１２"),
        ("thaiNumbers", 25, "๒๕"),
        ("russianUpper", 2, "Б"),
        ("ganada", 2, "나"),
    ],
)
def test_forms_of_numbers(read, form, count, text):
    """A number is written as Word writes it in its language."""
    start = f'<w:lvlOverride w:ilvl="0"><w:startOverride w:val="{count}"/></w:lvlOverride>'
    assert read(level(0, form, "%1"), [(91, 0, "t")], start) == [f"{text} t"]


def test_numbers_with_zeros(read):
    """Word's own forms with more zeros are newer than the others, and stand beside one for older programs."""
    newer = '<w:numFmt w:val="custom" w:format="001, 002, 003, ..."/>'
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    both = f'<mc:AlternateContent {mc}><mc:Choice Requires="w14">{newer}</mc:Choice></mc:AlternateContent>'
    levels = level(0, "decimal", "%1").replace('<w:numFmt w:val="decimal"/>', both)
    assert read(levels, [(90, 0, "t")]) == ["001 t"]


@pytest.mark.parametrize(("form", "count"), [("cardinalText", 1), ("ideographTraditional", 11)])
def test_form_that_is_not_known(read, form, count):
    """A number that can't be written as Word does is an error, and not another number."""
    start = f'<w:lvlOverride w:ilvl="0"><w:startOverride w:val="{count}"/></w:lvlOverride>'
    with pytest.raises(
        DataError, match=rf"a\.docx .*its list number {count} is written in a way .* not known \({form}\)"
    ):
        read(level(0, form, "%1"), [(91, 0, "t")], start)
