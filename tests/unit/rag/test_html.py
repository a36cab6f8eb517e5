"""HTML is read as a browser shows it: nothing more, nothing less, and no two blocks as one word."""

from __future__ import annotations

import re
import sys

import pytest

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.rag.documents import Document
from pytest_embedqa.rag.documents.tables import markdown_table
from tests.unit.rag.one_file import only, text_of, written

CHINESE = (
    "嵌入模型把文本变成向量。向量之间的余弦相似度表示文本含义的接近程度，因此可以用来检索文档。"
    "评测时要注意，分块的大小会影响召回率，而且不同的模型对长文本的处理方式也不一样。"
)


@pytest.fixture
def read(tmp_path):
    """Reads a page from its HTML."""
    return lambda html: text_of(written(tmp_path / "a.html", html))


HTML = """<!doctype html><html><head><title>Title</title><style>p {}</style></head><body>
<!-- comment --><h1>价目
<em>表</em></h1><p>今天
天气很好。 A <b>bold</b>ly set
text<br>next</p><ul><li><p>one</p></li><li>two</li></ul>
<table><tr><th>Room</th><th>Price</th></tr><tr><td><p>single</p></td><td>10</td></tr></table>
<pre># no heading
  x = 1</pre><div hidden>secret</div><div style="display: none">secret</div><script>alert(1)</script></body></html>"""

MARKDOWN = """# 价目 表

今天天气很好。 A boldly set text
next

- one

- two

| Room | Price |
| --- | --- |
| single | 10 |

```
# no heading
  x = 1
```"""


def test_html(tmp_path):
    """What a browser shows of HTML becomes Markdown; scripts, styles, comments and hidden parts do not."""
    document = only(written(tmp_path / "a.htm", HTML))
    assert document == Document("a.htm", (MARKDOWN,), format="markdown")


def test_html_table_for_layout(tmp_path):
    """A table that only places others on a page is no table of the text."""
    inner = "<table><tr><th>A</th><th>B</th></tr></table>"
    page = f"<h2></h2><table><tr><td>one</td><td>two{inner}</td></tr></table>"
    assert text_of(written(tmp_path / "a.html", page)) == "one\n\ntwo\n\n| A | B |\n| --- | --- |"


@pytest.mark.parametrize(
    ("encoding", "declared", "text"),
    [
        ("gb18030", "gb2312", "朱镕基"),
        ("big5", "big5", "繁體中文"),
        ("cp1252", "iso-8859-1", "“Größe” 5 €"),
        ("utf-8", "gb2312", "其实是"),
        ("gb18030", "", CHINESE),
    ],
)
def test_html_charset(tmp_path, encoding, declared, text):
    """The declared charset of HTML is honoured as browsers do, unless the bytes plainly say another."""
    assert text_of(written(tmp_path / "a.html", f'<meta charset="{declared}"><p>{text}</p>', encoding)) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<details><summary>Shipping</summary>On Monday.</details>", "Shipping\n\nOn Monday."),
        ("<figure>T100<figcaption>Figure seven</figcaption></figure>", "T100\n\nFigure seven"),
        ("<fieldset><legend>Warranty</legend>Two years</fieldset>", "Warranty\n\nTwo years"),
        ("<button>Yes</button><button>No</button>", "Yes\nNo"),
        ("<select><option>a<option>b</select>", "a\nb"),
        ("<my-card>a</my-card><my-card>b</my-card>", "a\n\nb"),
        ('<span style="display: block">a</span><span>b</span>', "a\n\nb"),
        ("<dl><dt>Pump<dd>Moves water<dt>Valve<dd>Stops it</dl>", "Pump\nMoves water\n\nValve\nStops it"),
        ("<p>a<p>b", "a\n\nb"),
        ("a<ul><li>b</ul>", "a\n\n- b"),
        ("a<math display=block><mi>x</mi></math>b", "a\n\nx\n\nb"),
        ("a<b> b</b>", "a b"),
        ("<h2>A<br>title<div>of two</div></h2>b", "## A title of two\n\nb"),
        ("<div role=heading aria-level=3>Title</div>b", "### Title\n\nb"),
    ],
)
def test_blocks_stand_apart(read, html, text):
    """Blocks never become one word; those that only styles or their names make blocks among them."""
    assert read(html) == text


@pytest.mark.parametrize(
    "html",
    [
        "re<b>read</b>ing",
        "re<!-- -->read<wbr>ing",
        "re&shy;read\u2060ing",
        "<svg></svg>re<span></span>reading",
        "<p> \n re<a href=x>reading</a>  </p>",
        "<![CDATA[x]]>rereading",
    ],
)
def test_words_stay_whole(read, html):
    """What stands within a line, and what no one sees, parts no word."""
    assert read(html) == "rereading"


@pytest.mark.parametrize(
    "hidden",
    [
        "<dialog>HID</dialog>",
        "<div popover>HID</div>",
        "<video>HID</video><audio>HID</audio><canvas>HID</canvas><iframe>HID</iframe><object data=x>HID</object>",
        "<meter>HID</meter><progress>HID</progress>",
        "<datalist><option>HID</datalist><template>HID</template><noscript>HID</noscript><noframes>HID</noframes>",
        "<svg><title>HID</title><desc>HID</desc><defs><text>HID</text></defs><clipPath><text>HID</text></clipPath></svg>",
        '<math><semantics><mi>x</mi><annotation encoding="application/x-tex">HID</annotation></semantics></math>',
        '<div hidden>HID</div><input type=hidden value="HID"><input type=password value="HID">',
        '<div style="DISPLAY : NONE">HID</div><div style="color: red;display:none!important">HID</div>',
        '<div style="displa\\79:/**/none">HID</div>',
        '<div style="visibility: hidden">HID<table><tr><td>HID</table></div>',
        "<style>.x, #y { display: none }</style><p class=x>HID</p><p id=y>HID</p>",
        "<style>@media screen { div > .x { display: none } }</style><div><p class=x>HID</p></div>",
        "<style>p.x { display: none } .x { display: block }</style><p class=x>HID</p>",
        "<style>i:not(.z) { display: none }</style><i>HID</i>",
        '<dialog style="display: revert">HID</dialog><dialog style="all: revert-layer">HID</dialog>',
        '<style>.x { display: none }</style><p class=x style="display: revert-layer">HID</p>',
        '<p style="visibility: hidden"><b style="visibility: visible; visibility: inherit">HID</b></p>',
        "<style>.x { display: none !important }</style><p class=x style='display: block'>HID</p>",
        "<style>.x { visibility: hidden }</style><table><tr><td>y<td class=x>HID</table>",
        "<table><tr><th>A<th>B<tr hidden><td>HID<td>HID<tr><td>1<td>2</table>",
        "<pre>a<span hidden>HID</span></pre>",
    ],
)
def test_hidden(read, hidden):
    """What a browser does not show is not read, whatever hides it."""
    text = read(f"<title>HID</title><p>Shown</p>{hidden}<p>end</p>")
    assert "HID" not in text
    assert re.match("(?s)Shown.*end$", text)


@pytest.mark.parametrize(
    "shown",
    [
        "<details><summary>s</summary>SEEN</details>",
        "<dialog open>SEEN</dialog>",
        '<div hidden="until-found">SEEN</div>',
        "<p aria-hidden=true>SEEN</p>",
        "<svg><text>SEEN</text></svg>",
        "<object>SEEN</object>",
        '<p style="visibility: hidden"><b style="visibility: visible">SEEN</b></p>',
        '<p style="display: nonsense">SEEN</p>',
        "<style>@media print { p { display: none } }</style><p>SEEN</p>",
        '<style media="print">p { display: none }</style><p>SEEN</p>',
        "<style>p:hover, p::before, p:unknown { display: none } [hidden] { display: block }</style><p hidden>SEEN</p>",
        "<style>p::before { display: none }</style><p>SEEN</p>",
        "<style>p { display: none } .x { display: block }</style><p class=x>SEEN</p>",
        "<style>.x { display: none }</style><p class=x style='display: block'>SEEN</p>",
        "<style>:not(.x) > i.y { display: none }</style><p class=x><i class=y>SEEN</i></p>",
        '<img alt="SEEN" src="data:image/png;base64,AAAA">',
        '<input value="SEEN"><input type=submit value="Send">',
        "<textarea>SEEN</textarea>",
    ],
)
def test_shown(read, shown):
    """What a browser shows, or finds on the page, is read."""
    assert len(re.findall("SEEN", read(shown))) == 1


@pytest.mark.parametrize(
    "value",
    [
        "initial",
        "inherit",
        "unset",
        "revert",
        "revert-layer",
        "inline flex",
        "block flow",
        "-webkit-box",
        "math",
        "run-in",
    ],
)
def test_any_display_overrides_none(read, value):
    """Every value of CSS that hides nothing shows again what an earlier rule hid, also one that is not known."""
    for shown in (value, "var(--x)", "of-next-year"):
        assert read(f"<style>p {{ display: none }} .x {{ display: {shown} }}</style><p class=x>SEEN</p>") == "SEEN"
        assert read(f"<p style='display: none; display: {shown}'>SEEN</p>") == "SEEN"


@pytest.mark.parametrize("value", ["initial", "inherit", "unset", "revert", "revert-layer", "var(--x)"])
def test_any_visibility_overrides_hidden(read, value):
    """Likewise for visibility, under a parent that is seen."""
    assert read(f"<p style='visibility: hidden; visibility: {value}'>SEEN</p>") == "SEEN"


def test_all_overrides(read):
    """The property that sets all others at once sets these too."""
    assert read("<p style='display: none; visibility: hidden; all: unset'>SEEN</p>") == "SEEN"
    assert read("<p hidden style='all: initial'>SEEN</p>") == "SEEN"
    assert read("<p hidden style='all: revert'>SEEN</p>") == "SEEN"
    assert read("SEEN<dialog style='all: revert'>HID</dialog>") == "SEEN"


def test_display_sets_apart(read):
    """Only a value that makes a block parts a word."""
    for value in ("inline flex", "unset", "-webkit-inline-box", "contents", "var(--block)", "of-next-year"):
        assert read(f"re<b style='display: {value}'>read</b>ing") == "rereading"
    for value in ("block flow", "flow-root", "-webkit-box", "-ms-flexbox", "grid", "table-cell", "list-item"):
        assert read(f"re<b style='display: {value}'>read</b>ing") == "re\n\nread\n\ning"


def test_form(read):
    """A form is read with what is filled in and chosen."""
    page = "Name: <input value='Ada'> <label><input type=checkbox checked>yes</label><input type=radio>no"
    assert read(page) == "Name: Ada [x] yes [ ] no"


def test_omitted_end_tags(read):
    """The tree is that of browsers, also where end tags are left out and text stands where none may."""
    page = "<table><tr><th>Plan<th>Limit<tr><td>Basic<td>30 days<tr><td>Plus<td>60 days foster<p>x</table><ul><li>one<li>two"
    table = "| Plan | Limit |\n| --- | --- |\n| Basic | 30 days |\n| Plus | 60 days foster x |"
    assert read(page) == f"{table}\n\n- one\n- two"
    assert read("<table>lost<tr><td>a<td>b</table>") == "lost\n\n| a | b |\n| --- | --- |"


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (
            "<tr><th>Product<th>Size<th>Price<tr><td rowspan=2>Pump<td>small<td>5<tr><td>large<td>9",
            ["Product|Size|Price", "Pump|small|5", "Pump|large|9"],
        ),
        ("<tr><th colspan=2>Size<th>Price<tr><td>small<td>thin<td>5", ["Size|Size|Price", "small|thin|5"]),
        (
            "<tbody><tr><th>A<th>B<tr><td rowspan=0>x<td>1<tr><td>2<tbody><tr><td>y<td>3",
            ["A|B", "x|1", "x|2", "y|3"],
        ),
        ("<tr><td rowspan=9>x<td>1<tr><td>2", ["x|1", "x|2"]),
        ("<tr><td rowspan=9>x<td>1<tbody><tr><td>y<td>2", ["x|1", "y|2"]),
        ("<tr><th>A<th>B<tr><td colspan=2>All of it<tr><td>1<td>2", ["A|B", "All of it|", "1|2"]),
        ("<tr><th>A<th>B<tr><td colspan=1000>x<td>y", ["A|B|", "x|x|y"]),
        ("<tfoot><tr><td>Sum<td>3<tbody><tr><td>x<td>3<thead><tr><th>A<th>B", ["A|B", "x|3", "Sum|3"]),
        ("<tr><th>A<th>B<tr><td>1<tr><td>2<td>3", ["A|B", "1|", "2|3"]),
        ("<tr><th>A<th>B<tr><td>x\\|y<td><ul><li>1<li>2</ul><p>z", ["A|B", "x\\\\|y|1 2 z"]),
        ("<tr><th>A<th>B<tr><td><table><tr><td>x<td>y</table><td>2", ["A|B", "x y|2"]),
        ("<tr><th>A<th>B<th>C<tr><td>1<td style='visibility:hidden'>2<td>3", ["A|B|C", "1||3"]),
        ("<tr><th>A<th style='visibility:collapse'>B<th>C<tr><td>1<td>2<td>3", ["A||C", "1|2|3"]),
        ("<tr><th>A<th>B<th>C<tr><td>1<td style='display:none'>2<td>3", ["A|B|C", "1|3|"]),
        ("<tr><th>A<th>B<tr style='visibility:hidden'><td>1<td style='visibility:visible'>2", ["A|B", "|2"]),
        (
            "<tr><th>A<th>B<tr><td rowspan=2>x<td>1<tr style='visibility:hidden'><td>2<tr><td>y<td>3",
            ["A|B", "x|1", "x|", "y|3"],
        ),
        ("<tr><th>A<th>B<tr><td style='visibility:hidden'>1<b style='visibility:visible'>2</b><td>3", ["A|B", "2|3"]),
    ],
)
def test_table_columns(read, table, rows):
    """Each value stands under its own head, however cells are merged, and a bar in a cell parts nothing."""
    lines = [line for line in read(f"<table>{table}</table>").split("\n") if "---" not in line]
    cells = [re.split(r"(?<!\\)\|", row) for row in rows]
    assert [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines] == [[f" {cell} " for cell in row] for row in cells]


def test_table_caption(read):
    """The caption of a table stands before it."""
    assert read("<table><caption>Rates</caption><tr><td>a</table>") == "Rates\n\n| a |\n| --- |"
    assert read("<table><caption>Rates</caption><tr><td>a<td>b</table>") == "Rates\n\n| a | b |\n| --- | --- |"


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("<table role=presentation><tr><td>a<td>b</table>", "a\n\nb"),
        ("<table><tr><td>a<tr><td>b</table>", "a\n\nb"),
        ("<table><tr><td>1<td><pre>x = 1</pre></table>", "1\n\n```\nx = 1\n```"),
        ("<table><tr><td><h2>A</h2><td>b</table>", "## A\n\nb"),
    ],
)
def test_table_that_is_none(read, table, text):
    """What a table only places on the page is read as blocks."""
    assert read(table) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ol start=3><li>x<li>y</ol>", "3. x\n4. y"),
        ("<ol reversed><li>x<li value=7>y<li>z</ol>", "3. x\n7. y\n6. z"),
        ("<ol type=a start=26><li>x<li>y</ol>", "z. x\naa. y"),
        ("<ol type=I start=4><li>x<li type=A value=2>y</ol>", "IV. x\nB. y"),
        ("<ol start=none><li hidden>h<li>x</ol>", "1. x"),
        ("<ol><li>a<ul><li>b<li>c<p>d</ul><li>e</ol>", "1. a\n   - b\n   - c\n\n     d\n\n2. e"),
        ("<ul><li><ul><li>a</ul><li>b</ul>", "- - a\n- b"),
        ("<ul><li>a<pre>x\n y</pre></ul>", "- a\n\n  ```\n  x\n   y\n  ```"),
        ("<ul><li></li></ul>x", "x"),
    ],
)
def test_lists(read, html, text):
    """Items have the numbers that a reader sees, and lists in lists are further in."""
    assert read(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<pre><code class="language-c++">a  = 1\n\n  b</code></pre>', "```c++\na  = 1\n\n  b\n```"),
        ('<div class="highlight-toml x"><div class=highlight><pre>a</pre></div></div>', "```toml\na\n```"),
        ("<pre>m<sup>2</sup> x<sub>a</sub><sup hidden>3</sup></pre>", "```\nm² x_a\n```"),
        ("<pre>a<br>b ```` c</pre>", "`````\na\nb ```` c\n`````"),
    ],
)
def test_code(read, html, text):
    """Code stays as it stands, with its language, in a fence that it does not close."""
    assert read(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rt>じ</rt></ruby>です", "漢字（かんじ）です"),
        ("<ruby>北京<rt>Běi</rt><rt>jīng</rt></ruby>", "北京（Běi jīng）"),
        ("<q>one <q>two</q></q>, three", "“one ‘two’”, three"),
        ("a&nbsp;&nbsp; b\n\tc", "a b c"),
        ("<svg><text>one</text><text>two</text></svg>", "one two"),
        ("x&amp;lt;y &#8364; &copy", "x&lt;y € ©"),
        ('<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>a<br/>b</p></body></html>', "a\nb"),
        ("no tags\nat all", "no tags at all"),
    ],
)
def test_inline(read, html, text):
    """Readings, quotes, white space, formulas and entities read as they are seen."""
    assert read(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("10<sup>2</sup> m", "10² m"),
        ("10<sup><b>−3</b></sup>/s", "10⁻³/s"),
        ("H<sub>2</sub>O, x<sub>n+1</sub>", "H₂O, xₙ₊₁"),
        ("(a+b)<sup>2 </sup>", "(a+b)²"),
        ("x<sup>a</sup> y<sup>a+b</sup> z<sub>max</sub> w<sup>1.5</sup>", "x^a y^(a+b) z_max w^1.5"),
        ("x<sup>y<sup>2</sup></sup>", "x^y²"),
        ("<sup>14</sup>C <sup>14</sup><sub>6</sub>C", "¹⁴C ¹⁴₆C"),
        ("1<sup>1</sup>/<sub>2</sub> in", "1 ¹/₂ in"),
        ("<sup>1</sup>&frasl;<sub>2</sub> in", "¹⁄₂ in"),
        ("word<sup><a href=#f>[1]</a></sup> word<sup><a href=#f>1</a></sup>", "word[1] word¹"),
        ("<p><sup>1</sup> Note", "1 Note"),
        ("a <sup>2</sup> b", "a 2 b"),
        ("the 1<sup>st</sup>, X<sup>®</sup> Y<sup>TM</sup> Z<sup>*</sup>", "the 1st, X® YTM Z*"),
        ("f<sup>(2)</sup> T<sub>th</sub> word<sup>[1][note 2]</sup>", "f⁽²⁾ T_th word[1][note 2]"),
        ("<ul><li><sup>14</sup>C<li>x<sup>2</sup></ul>", "- ¹⁴C\n- x²"),
        (
            "<table><tr><th>m<sup>2</sup><th>B<tr><td>10<sup>6</sup><td>2</table>",
            "| m² | B |\n| --- | --- |\n| 10⁶ | 2 |",
        ),
        ("<h2>CO<sub>2</sub></h2>", "## CO₂"),
        ("x<sup>2<p>lost end</p>y", "x2\n\nlost end\n\ny"),
        ("10<sup style='visibility:hidden'>2</sup>", "10"),
        ("<math><mfrac><mn>1</mn><mn>20</mn></mfrac></math>", "1/20"),
        ("a <math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2.5</mn></mfrac></math> b", "a (a + b)/2.5 b"),
        ("<math><mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup></math>", "E = m c^2"),
        ("<math><msub><mi>x</mi><mrow><mi>n</mi><mo>+</mo><mn>1</mn></mrow></msub></math>", "x_(n + 1)"),
        ("<math><msup><mrow><mo>(</mo><mi>a</mi><mo>)</mo></mrow><mn>2</mn></msup></math>", "( a )^2"),
        ("<math><msup><mi>x</mi><mn hidden>2</mn></msup></math>", "x"),
        ("<math><msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup></math>", "x_1^2"),
        ("<math><msqrt><mi>a</mi><mo>+</mo><msup><mi>b</mi><mn>2</mn></msup></msqrt></math>", "√(a + b^2)"),
        ("<math><mroot><mi>a</mi><mn>3</mn></mroot></math>", "√(3&a)"),
        ("<math><mfrac><mfrac><mn>1</mn><mn>2</mn></mfrac><mn>3</mn></mfrac></math>", "(1/2)/3"),
        (
            "<math><munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover></math>",
            "∑_(i = 1)^n",
        ),
        ("<math><munder><mi>lim</mi><mi>n</mi></munder></math>", "lim_n"),
        ("<math><mover><mi>x</mi><mo>¯</mo></mover><mover><mn>10</mn><mn>2</mn></mover></math>", "x¯ 10^2"),
        (
            "<math><mmultiscripts><mi>C</mi><mn>1</mn><mn>2</mn><mprescripts/><mn>6</mn><mn>14</mn></mmultiscripts></math>",
            "_6^14C_1^2",
        ),
        ("<math><mmultiscripts><mn>10</mn><none/><mn>2</mn></mmultiscripts></math>", "10^2"),
        ("<math><mmultiscripts><mi>C</mi><mprescripts/><none/><mn>14</mn></mmultiscripts></math>", "^14C"),
        ("<ul><li><math><mfrac><mn>1</mn><mn>2</mn></mfrac></math></ul>", "- 1/2"),
    ],
)
def test_raised_and_lowered(read, html, text):
    """What is raised or lowered makes no other number of what stands beside it."""
    assert read(html) == text


@pytest.mark.parametrize(
    "tags",
    [
        "<sup>",
        "x<sub>",
        "<math><mfrac>",
        "<div>",
        "<b>",
        "<table><tr><th>",
        "<ul><li>",
        "<ruby>a<rt>",
        "<h1><div>",
        "<q>",
    ],
)
def test_deep_page(read, tags):
    """A page may be nested deeper than Python recurses."""
    assert "deep" in read(tags * 3000 + "deep")


def test_page_of_scripts(tmp_path):
    """A page whose text only scripts would write is named, with what to do."""
    page = written(tmp_path / "app.html", "<noscript>Turn it on</noscript><div id=root></div><script>x</script>")
    with pytest.raises(
        DataError,
        match=r"app\.html has no text: only its scripts would write it\. Save the page as the browser shows it",
    ):
        only(page)


def test_web_archive(tmp_path):
    """A web archive that is called .html is named, with what to do."""
    head = "From: <Saved by Blink>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related;\r\n\tboundary=x\r\n\r\n"
    page = written(tmp_path / "a.html", f"{head}--x\r\nContent-Type: text/html\r\n\r\n<p>Hello=20\r\n")
    with pytest.raises(DataError, match=r"a\.html is a web archive \(MHTML\), not HTML\. Save the page as HTML"):
        only(page)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("bs4.dammit", "Reading .*a.html needs the package 'beautifulsoup4'"),
        ("justhtml", "Reading .*a.html needs the package 'justhtml'"),
        ("tinycss2", "Reading .*a.html needs the package 'tinycss2'"),
        ("cssselect", "Reading .*a.html needs the package 'cssselect'"),
    ],
)
def test_missing_package(tmp_path, monkeypatch, module, text):
    """Without a package that reads HTML, the error names it, the file and the extra."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"(?s){text}.*pytest-embedqa\[rag\]"):
        only(written(tmp_path / "a.html", "x"))


SHADOW = """<style>b, slot { display: none } slot { display: contents }</style><div><template shadowrootmode=open>
<style>p { display: none }</style><p>HID</p><b>own</b> <slot name=t>HID</slot>, <slot></slot>, <slot name=z>instead</slot></template>
text <u>light</u><b>HID</b><i slot=t>named</i><i slot=none>HID</i></div><p>after</p>"""


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (SHADOW, "own named, text light, instead\n\nafter"),
        ("<x-y><template shadowrootmode=CLOSED><h2><slot></slot></h2></template>Title</x-y>", "## Title"),
        (
            "<div><template shadowrootmode=open>a <slot></slot><p><template shadowrootmode=open>b <slot></slot></template>c</template>d</div>",
            "a d\n\nb c",
        ),
        (
            "<p><template shadowrootmode=open>a</template><template shadowrootmode=open>HID</template>HID</p>",
            "a",
        ),
        ("<a>SEEN<template shadowrootmode=open>HID</template></a>", "SEEN"),
        ("SEEN<template shadowrootmode=none>HID</template>", "SEEN"),
        ("<template><style>p { display: none }</style></template><p>SEEN", "SEEN"),
    ],
)
def test_templates(read, html, text):
    """A shadow root stands in the place of its element's own children, which go into its slots; each has its own styles."""
    assert read(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p># a<h1>B</h1><p>c", "\\# a\n\n# B\n\nc"),
        ("<p><b>#</b> a<p>b<br>===<p>```<p>&lt;!-- x", "\\# a\n\nb\n\\===\n\n\\```\n\n\\<!-- x"),
        ("<ul><li># a</ul><table><tr><th># b<th>c</table><h2># d</h2><pre># e</pre>", "- # a\n\n| # b | c |\n| --- | --- |\n\n## # d\n\n```\n# e\n```"),
        ("<textarea># f</textarea><table><caption># g</caption><tr><th>h<th>i</table>", "\\# f\n\n\\# g\n\n| h | i |\n| --- | --- |"),
    ],
)  # fmt: skip
def test_signs_of_markdown_in_a_text_are_text(read, html, text):
    """What a paragraph begins with makes no heading, and no code or HTML that takes in what follows."""
    assert read(html) == text


def test_many_nested_selectors(read):
    """Lists of selectors that multiply with their depth do not fill the memory."""
    depth = 12
    assert read(f"<style>{'a, b, p {' * depth} display: none {'}' * depth}</style><p>SEEN") == "SEEN"


def test_a_head_without_text_stays_the_head():
    """Values do not become the heads of others; other rows without text, and tables without any, are left out."""
    assert markdown_table([["", ""], ["a", " "], ["", ""], ["b", "c"]]) == "|  |  |\n| --- | --- |\n| a |  |\n| b | c |"
    assert markdown_table([["", ""], [" "]]) == markdown_table([]) == ""


def test_rows_of_different_lengths():
    """Rows that are too short are filled up, the head among them."""
    assert markdown_table([["a"], ["b", "c"]]) == "| a |  |\n| --- | --- |\n| b | c |"
