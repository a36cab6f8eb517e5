"""What is read of HTML, held against what a real browser shows of it, word by word."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import pytest

from pytest_embedqa.rag.documents import read_documents

ORIGIN = "http://page.test/"
# Scripting is on, as it is for readers, but the page's policy stops every script and every other file.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
# What a reader finds by searching the page counts as shown.
OPEN = """() => {
    document.querySelectorAll("details").forEach(one => one.open = true);
    document.querySelectorAll("[hidden=until-found]").forEach(one => one.removeAttribute("hidden"));
    return document.body.innerText;
}"""

PAGES = {
    "blocks": "<details><summary>Shipping</summary>Monday</details><figure>T100<figcaption>Seven</figcaption></figure>"
    "<fieldset><legend>Warranty</legend>Two</fieldset><address>x<br>y</address><hgroup><h1>A</h1><p>b</hgroup>",
    "hidden": "<p>Shown<dialog>a</dialog><video>b</video><audio>c</audio><canvas>d</canvas><iframe>e</iframe>"
    "<datalist><option>f</datalist><template>g</template><noscript>h</noscript><div popover>i</div><p hidden>j</p>"
    "<p style='DISPLAY :NONE'>k</p><p style='visibility:hidden'>l<b style='visibility:visible'>m</b></p><meter>n</meter>"
    "<dialog open>o</dialog><p hidden=until-found>p</p><object>q</object><svg><title>r</title><text>s</text></svg>",
    "styles": "<style>.a{display:none} p.a{display:block} #b{display:none} i{display:none!important} @media print"
    "{u{display:none}} @media screen{s{display:none}} div > .c ~ b, p:nth-child(2n+1) em{visibility:hidden}</style>"
    "<p class=a>1</p><div class=a>2</div><p id=b style='display:block'>3</p><i style='display:inline'>4</i><u>5</u>"
    "<s>6</s><div><b class=c>7</b><b>8</b></div><p><em>9</em></p>",
    "nested styles": "<style>.a{.b,.c{display:none} &.d{display:none} > i{display:none} @media print{display:none} @media screen"
    "{u{display:none} s{em{display:none}}}} .e{color:red;& p,.f &{display:none} b{&:first-child{display:none}}}"
    ".g{@media screen{display:none}} .h{:hover{display:none} q{display:none}} template{display:block}</style>"
    "<div class=a>1<b class=b>2</b><b class=c>3</b><i>4</i><b><i>5</i></b><u>6</u><s>7<em>8</em></s><em>9</em></div>"
    "<div class='a d'>10</div><b class=b>11</b><div class=e><b>12</b>13<p>14</p><b>15</b></div><div class=f><p class=e>16</div>"
    "<p class=g>17</p><p class=h>18<q>19</q></p><template><style>h1{display:none}</style>20</template><h1>21</h1>",
    "values": "<style>p, .v *{display:none} p,.v{visibility:hidden}</style>"
    + "".join(
        f"<p style='display:{value};visibility:{visibility}'>{place}d{at}</p>"
        for place, value in enumerate(
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
            ]
        )
        for at, visibility in enumerate(["initial", "inherit", "unset", "revert", "visible"])
    )
    + "<p style='all:unset'>a</p><p hidden style='all:revert'>b</p><dialog style='all:revert'>c</dialog>"
    "<div class=v>d<b style='all:unset'>e</b><b style='display:block;visibility:initial'>f</b></div>",
    "invisible cells": "<table><tr><th>A<th>B<th>C<tr><td>1<td style='visibility:hidden'>2<td>3<tr style='visibility:hidden'>"
    "<td>4<td style='visibility:visible'>5<td>6</table>",
    "tags left out": "<table>1<tr><td>a<td>b<tr><th>c</table><ul><li>d<li>e</ul><p>f<p>g<b>h<p>i</b>j<a>k<a>l<select>"
    "<option>m<option>n</select><table><tr><td>o<table><tr><td>p</table>q</table><nobr>r<nobr>s <button>t</button> <button>u",
    "inline": "re<b>read</b>ing <my-word>x</my-word> a<wbr>b <bdi>c</bdi>d<ruby>e<rp>(</rp></ruby>f <q>g</q> h 10<sup>6</sup> H<sub>2</sub>O",
    "forms": "<label>a <select><option>b<optgroup><option>c</optgroup></select></label><input type=hidden value=d>"
    "<button>e</button> <output>f</output><input type=password value=g>",
    "math": "<math><mfrac><mn>1</mn><mn>20</mn></mfrac><semantics><mi>xy</mi><annotation>z</annotation></semantics></math>",
    "XHTML": '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>a<br/>b<![CDATA[c]]><!-- d --></p>',
}


@pytest.fixture
def shown(browser):
    """Gives what Chromium shows of a page."""
    context = browser.new_context()
    page = context.new_page()

    def inner_text(html):
        headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": POLICY}
        page.unroute_all()
        page.route("**/*", lambda route: route.abort())
        page.route(ORIGIN, lambda route: route.fulfill(body=html, headers=headers))
        page.goto(ORIGIN)
        return page.evaluate(OPEN)

    yield inner_text
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_words_of_a_browser(shown, tmp_path, name):
    """Every word that a browser shows is read once, as a word, and no other."""
    (tmp_path / "a.html").write_text(PAGES[name], encoding="utf-8")
    (document,) = read_documents(tmp_path / "a.html")
    assert words(document.pages[0]) == words(shown(PAGES[name]))


def words(text):
    """How often each word is there; ² counts as 2."""
    return Counter(re.findall(r"\w+", unicodedata.normalize("NFKC", text)))
