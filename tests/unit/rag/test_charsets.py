"""Charsets of texts: read as they were written, or refused with what to do; never as other characters."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.rag.documents import read_documents
from pytest_embedqa.rag.reading import read_file

CHINESE = "嵌入模型把文本变成向量。向量之间的余弦相似度表示文本含义的接近程度，因此可以用来检索文档。"
TRADITIONAL = "嵌入模型把文字變成向量，因此可以用來檢索文件。分塊的大小會影響結果，而且每個模型處理長文的方式也不一樣。"
JAPANESE = "返品は、お届けから三十日以内にお申し出ください。開封済みの商品は、返品できません。"
KOREAN = "상품을 받은 날부터 삼십일 이내에 반품을 신청할 수 있습니다. 배송비는 고객이 부담합니다."
RUSSIAN = "Вернуть товар можно в течение тридцати дней после покупки, если упаковка не была вскрыта."
GERMAN = "Die Rückgabe ist innerhalb von dreißig Tagen möglich, wenn die Verpackung ungeöffnet ist."
DOUBT = r"has a charset in doubt, and no valid UTF-8.*Save it as UTF-8, or say which it is:  encoding: CHARSET  beside corpus"


def text_of(path, data, encoding=None):
    """The text of a corpus of one file."""
    path.write_bytes(data)
    (document,) = read_documents(path, encoding)
    return document.pages[0]


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        *((CHINESE, charset) for charset in ("utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030")),
        (TRADITIONAL, "big5"),
        *((JAPANESE, charset) for charset in ("shift_jis", "euc_jp", "iso2022_jp")),
        *((KOREAN, charset) for charset in ("euc_kr", "iso2022_kr")),
        *((RUSSIAN, charset) for charset in ("koi8-r", "cp866", "iso8859-5")),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
def test_charset_is_found(tmp_path, name, text, charset):
    """Text in a charset that its bytes show is read, whatever kind of file it is in."""
    assert text_of(tmp_path / name, f"{text}\r\nBERT".encode(charset)).replace("\n", " ") == f"{text} BERT".replace(
        "\n", " "
    )


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("保修两年", "gb18030"),
        ("抗議活動", "euc_jp"),
        ("金額, 金額, 住所, 送料, 価格, 大阪, 仙台, 広島", "euc_jp"),
        ("登入, 姓名, 彰化, 運費, 密碼, 香蕉, 嘉義", "euc_jp"),
        ("螺丝\n扳手\n钳子\n电缆", "gb18030"),
        (GERMAN, "cp1252"),
        (GERMAN, "cp850"),
        ("né", "latin-1"),
    ],
)
def test_charset_in_doubt(tmp_path, text, charset):
    """Bytes that fit several charsets are refused with what each would give, and read once the charset is said."""
    with pytest.raises(DataError, match=DOUBT):
        text_of(tmp_path / "a.txt", text.encode(charset))
    assert text_of(tmp_path / "a.txt", text.encode(charset), charset) == text


GREEK = "Η επιστροφή των προϊόντων είναι δυνατή μέσα σε τριάντα ημέρες από την αγορά."
DELIVERY = "Доставка по городу бесплатна, если сумма заказа больше пяти тысяч рублей."
CYRILLIC_CHARSETS = ("koi8-r", "koi8-u", "cp1251", "iso8859-5", "mac-cyrillic", "cp866", "cp855")
GREEK_CHARSETS = ("cp1253", "iso8859-7", "mac-greek", "cp737", "cp869")
CASES = (str.upper, str.lower, lambda text: f"{text.upper()}\n{text}", lambda text: (text.upper() + " ") * 5)


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        *((text, charset) for text in (RUSSIAN, DELIVERY) for charset in (*CYRILLIC_CHARSETS, "big5", "gb18030")),
        *((GREEK, charset) for charset in GREEK_CHARSETS),
    ],
)
@pytest.mark.parametrize("case", CASES, ids=["capitals", "small", "heading", "long"])
def test_capitals_are_no_other_alphabet(tmp_path, text, charset, case):
    """Capitals of one charset are small letters of another, which a detector is sure of: read right or refused."""
    try:
        read = text_of(tmp_path / "a.txt", case(text).strip().encode(charset, "ignore"))
    except DataError as error:
        assert "has a charset in doubt" in str(error)  # noqa: PT017  either is right
    else:
        assert read == case(text).strip().encode(charset, "ignore").decode(charset)


@pytest.mark.parametrize(("text", "charset"), [(RUSSIAN, "cp1251"), (RUSSIAN, "cp866"), (GREEK, "cp737")])
def test_doubt_of_capitals_shows_what_was_written(tmp_path, text, charset):
    """The error shows the true reading among those of capitals."""
    with pytest.raises(DataError, match=rf"{charset} gives '{text.upper()[:10]}"):
        text_of(tmp_path / "a.txt", text.upper().encode(charset))


@pytest.mark.parametrize(
    ("text", "charset"), [(f"{RUSSIAN.upper()}\n╔══╗", "cp866"), (f"{GREEK.upper()}\n╔══╗", "cp737")]
)
def test_signs_of_drawings_beside_capitals(tmp_path, text, charset):
    """A table drawn with signs makes no reading of capitals likely: such a file is refused until its charset is said."""
    with pytest.raises(DataError, match=DOUBT):
        text_of(tmp_path / "a.txt", text.encode(charset))
    assert text_of(tmp_path / "a.txt", text.encode(charset), charset) == text


@pytest.mark.parametrize("text", [CHINESE, RUSSIAN, "Rückgabe: 三十日"])
def test_hz_is_no_ascii(tmp_path, text):
    """HZ has no byte beyond ASCII, yet is not read as what its bytes show."""
    data = text.encode("hz", "ignore")
    with pytest.raises(DataError, match=DOUBT):
        text_of(tmp_path / "a.txt", data)
    assert text_of(tmp_path / "a.txt", data, "hz") == data.decode("hz")


def test_braces_that_are_no_hz(tmp_path):
    """A tilde before a brace is plain text, as is all that UTF-8 has beside letters beyond ASCII."""
    for text in ("see~{sec 1} and ~{a b~}, ~{}~}", "größer als ~{ab~}"):
        assert text_of(tmp_path / "a.txt", text.encode()) == text


def test_doubt_shows_the_text(tmp_path):
    """The error shows the likely charset with the text as it reads in it."""
    with pytest.raises(DataError, match=r"no valid UTF-8: gb18030 gives '保修两年'; "):
        text_of(tmp_path / "a.txt", "保修两年".encode("gb18030"))


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("text", ["no mark", "แต่ละวัน"])
def test_two_bytes_a_character_without_a_mark(tmp_path, text, charset):
    """UTF-16 without its mark, which is valid UTF-8 too, is refused, and read once it is said."""
    with pytest.raises(DataError, match=r"bytes that no text has.*say  encoding: utf-16-le  beside corpus"):
        text_of(tmp_path / "a.txt", text.encode(charset))
    assert text_of(tmp_path / "a.txt", text.encode(charset), charset) == text


def test_declared_charset_of_a_mixed_corpus(tmp_path):
    """UTF-8 files stay what they are where a charset is said for the others."""
    assert text_of(tmp_path / "a.txt", GERMAN.encode(), "cp1252") == GERMAN


def test_declared_charset_of_html(tmp_path):
    """A page that names its charset is read in it, whatever is said for others."""
    page = f'<meta charset="big5"><p>{TRADITIONAL}</p>'
    assert text_of(tmp_path / "a.html", page.encode("big5"), "koi8-r") == TRADITIONAL


def probes(path, **keys):
    """A probe file with these keys."""
    lines = [f"{key}: {value}\n" for key, value in keys.items()]
    path.write_text("".join(lines) + "probes:\n  - {name: a, ask: b, expect: {contains: c}}\n", encoding="utf-8")
    return path


def test_encoding_of_a_probe_file(tmp_path):
    """A probe file says the charset of its corpus, and one that does not exist is an error with its line."""
    assert read_file(probes(tmp_path / "a.probe.yaml", corpus="d", encoding="cp1252")).encoding == "cp1252"
    with pytest.raises(DataError, match=r"a\.probe\.yaml:2: encoding 'ansi-9' is not a charset that Python knows"):
        read_file(probes(tmp_path / "a.probe.yaml", corpus="d", encoding="ansi-9"))


def test_charsets_by_patterns(tmp_path):
    """Of a folder in several charsets each file is read in the one that the first fitting pattern says, UTF-8 as such."""
    for name, text, charset in (
        ("old/tw/a.txt", "螺絲", "big5"),
        ("b.txt", "né", "cp850"),
        ("old/c.txt", "né", "utf-8"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode(charset))
    encoding = {"old/*.txt": "big5", "*.txt": "cp850"}
    found = {one.source: one.pages[0] for one in read_documents(tmp_path, encoding)}
    assert found == {"old/tw/a.txt": "螺絲", "b.txt": "né", "old/c.txt": "né"}
    with pytest.raises(DataError, match=DOUBT):
        list(read_documents(tmp_path, {"old/c*": "cp850"}))


def test_charsets_by_patterns_of_a_probe_file(tmp_path):
    """A probe file says them as a mapping; a charset that does not exist is an error with its line, as is another kind of value."""
    path = tmp_path / "a.probe.yaml"
    read = read_file(probes(path, encoding="{old/*.txt: big5, '*': cp1252}"))
    assert read.encoding == {"old/*.txt": "big5", "*": "cp1252"}
    with pytest.raises(DataError, match=r"a\.probe\.yaml:3: encoding 'ansi-9' is not a charset that Python knows"):
        read_file(probes(path, encoding="\n  'a*': cp1252\n  'b*': ansi-9"))
    with pytest.raises(
        DataError, match=r"a\.probe\.yaml:1: encoding is \[\], but must be a text \(in quotes\) or a mapping"
    ):
        read_file(probes(path, encoding="[]"))


@given(
    text=st.text(min_size=1), charset=st.sampled_from(["gb18030", "utf-16-le", "cp1252", "euc_jp", "koi8-r", "big5"])
)
def test_never_other_characters_for_few(tmp_path_factory, text, charset):
    """Of few bytes that are not UTF-8, none are read unless the charset is said."""
    try:
        data = text[:7].encode(charset)
        data.decode()
    except UnicodeDecodeError:
        with pytest.raises(DataError):
            text_of(tmp_path_factory.getbasetemp() / "few.txt", data)
    except UnicodeEncodeError:
        return


def test_missing_detector(tmp_path, monkeypatch):
    """Without the detector UTF-8 is read, and for the rest the error names it and the extra."""
    monkeypatch.setitem(sys.modules, "chardet", None)
    assert text_of(tmp_path / "a.txt", CHINESE.encode()) == CHINESE
    with pytest.raises(MissingExtraError, match=r"(?s)no valid UTF-8, needs .*'chardet'.*pytest-embedqa\[rag\]"):
        text_of(Path(tmp_path / "a.txt"), CHINESE.encode("gb18030"))
