"""What a reader takes for the same text, and what not."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_embedqa.rag.folding import comparable, finds, is_document, looks, readings, stands_in

# All of Unicode, and often what the rules are about.
RULED = st.sampled_from(list("ab19 \n²½①’'-–—\u00ad\u200b中，Ａ１ İıſß\u0307\u0345\u3099か㍿㎡«»\u00a0ـی٣"))
TEXTS = st.text(st.one_of(RULED, st.characters(exclude_categories=["Cs"])), max_size=12)
WAYS = st.fixed_dictionaries({"case": st.booleans(), "lenient": st.booleans()})


@given(TEXTS, WAYS)
def test_a_folded_text_stays_as_it_is(text, ways):
    """Folding twice is folding once, in each form."""
    for number, form in enumerate(readings(text, **ways)):
        assert readings(form, **ways)[number] == form


@given(TEXTS, WAYS)
def test_canonically_equivalent_texts_are_the_same(text, ways):
    """It makes no difference whether accents are composed (UAX #15)."""
    assert readings(unicodedata.normalize("NFD", text), **ways) == readings(text, **ways)


@given(TEXTS)
def test_a_text_stands_in_itself(text):
    """Whatever it holds, also among others."""
    assert stands_in(text, text)
    assert stands_in(text, f"before; {text} ;after", lenient=True)


@given(TEXTS, TEXTS)
def test_what_is_the_same_is_so_in_doubt(piece, text):
    """A text that is found is found where doubts count too."""
    assert not stands_in(piece, text) or stands_in(piece, text, lenient=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("don’t", "don't"), ("don´t", "don't"), ("O‘Hara", "O'Hara"), ("5′ 10″", "5' 10\""),
        ("“yes”", '"yes"'), ("„ja“", '"ja"'), ("«\u202foui\u00a0»", '"oui"'), ("צה״ל", 'צה"ל'),
        ("30–60", "30-60"), ("T\u2011100", "T-100"), ("−5 °C", "-5 °C"), ("a—b", "a-b"), ("10〜20", "10～20"),
        ("Donau\u00addampf", "Donaudampf"), ("Donau\u00ad\ndampf", "Donaudampf"), ("foo\u200bbar", "foobar"),
        ("\ufeffa\u2060b\u200e", "ab"), ("a\x07b", "ab"), ("❤\ufe0f", "❤"), ("می\u200cخواهم", "میخواهم"), ("كتـــاب", "كتاب"),
        ("10\u00a0000\u2009€", "10 000 €"), ("ﬁle", "file"), ("…", "..."), ("１０：３０", "10:30"), ("ｶﾀｶﾅ", "カタカナ"),
        ("CO₂", "CO2"), ("5 m²", "5 m2"), ("10㎡", "10m2"), ("10㎏", "10kg"), ("½", "1/2"), ("1½ h", "1 1/2 h"), ("第①步", "第1步"),
        ("Straße", "STRASSE"), ("İstanbul", "istanbul"), ("ΟΔΟΣ", "οδος"), ("٣٠", "30"), ("۳۰", "٣٠"), ("३०", "30"),
        ("کی", "كي"), ("20ºC", "20°C"), ("计\n算", "计算"), ("好，\n你", "好,你"), ("Ａ b", "A b"), ("e\u0301", "é"), ("α\u0374", "α'"),
        ("价格: 100", "价格：100"), ("价格 : 100", "价格：100"), ("API: v2", "API：v2"), ("是吗? 好", "是吗？好"), ("数量, 100", "数量，100"),
        ("退货 (七天) 内", "退货（七天）内"), ("Wi-Fi, A (b)", "Wi-Fi，A（b）"), ("满 100% 返", "满100％返"), ("a = b", "a＝b"), ("5 %", "5%"),
    ],
)  # fmt: skip
def test_a_reader_takes_them_for_the_same(one, other):
    """Keyboards, programs and fonts write them differently; both ways round."""
    assert comparable(one) == comparable(other)
    assert stands_in(one, f"x {other} y")
    assert stands_in(other, f"x {one} y")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10²", "102"), ("10⁻²", "10-2"), ("2ⁿ", "2n"), ("log₂8", "log28"), ("1½", "11/2"), ("10①", "101"),
        ("sıkıldım", "sikildim"), ("が", "か"), ("क्त", "कत"), ("résumé", "resume"), ("a b", "ab"),
        ("「a」", '"a"'), ("a¨b", "a \u0308b"), ("5", "S"), ("ー", "-"), ("1, 5", "1,5"), ("3. 5", "3.5"), ("foo_ a", "foo_a"), ("30 - 60", "30-60"),
    ],
)  # fmt: skip
def test_a_reader_tells_them_apart(one, other):
    """What NFKC makes of superscripts and fractions is another number."""
    assert comparable(one) != comparable(other)
    assert not stands_in(other, one)


@pytest.mark.parametrize(
    ("piece", "text"),
    [("²", "10²"), ("x²", "x²3"), ("² + b²", "10² + b²"), ("well-known", "well-\nknown"), ("shipment", "ship-\nment")],
)
def test_at_the_edge_of_a_piece_either_reading_counts(piece, text):
    """A sign that is read by its neighbour is found without it, and a hyphen at the end of a line may be one of the word."""
    assert stands_in(piece, text)


@pytest.mark.parametrize(
    ("piece", "text"),
    [
        ("10-15 per cent", "10-\n15 per cent"), ("COVID-19", "COVID-\n19"), ("2024-2025", "2024–\n2025"), ("19-year", "19- \n  year"),
        ("London–Paris", "London–\nParis"), ("T-100", "T‑\n100"), ("shipment of 10-15", "ship-\nment of 10-\n15"), ("10- 15", "10-\n15"),
        ("well-known 10-15", "well-\nknown 10-\n15"),
    ],
)  # fmt: skip
def test_a_line_that_ends_with_the_hyphen_of_a_number(piece, text):
    """The hyphen stays and the line break goes: such a range or name is found, by a pattern too, and is no other number."""
    assert stands_in(piece, text)
    assert finds(piece, text)
    assert not stands_in(piece.replace("-", "").replace("–", ""), text)
    assert not stands_in("57", "5-\n7")


@pytest.mark.parametrize(
    ("one", "other"), [("IŞIK", "ışık"), ("--force", "–force"), ("كِتَاب", "كتاب"), ("שָׁלוֹם", "שלום")]
)
def test_what_only_some_readers_take_for_the_same(one, other):
    """In doubt they are the same where a text must not come back, and not where it must."""
    assert not stands_in(one, other)
    assert stands_in(one, other, lenient=True)
    assert not stands_in("102", "10²", lenient=True)  # not a doubt


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"don't", "We don’t.", True), ("don’t", "We don't.", True), (r"30-60", "30–60", True), (r"30[–-]60", "30—60", True),
        (r"30\–60", "30-60", True), (r"\bfoobar\b", "foo\u200bbar", True), ("\u2013", "30–60", True), (r"\b102\b", "10²", False), ("10²", "10²", True),
        (r"CO2\b", "CO₂ is", True), (r"^a b$", "a\n\nb", True), ("the", "The", False), (r"[\u200b\u200c]", "a\u200bb", True),
        (r"[０-９]", "５", True), ("cafe\u0301", "café", True), ("[\u200b]", "a-b", False),
        ("a\u00ad?b", "cb", False), ("a\u00ad?b", "ab", True), ("a\u200b*b", "a\u200b\u200bb", True), ("a\\\u200bb", "ab", True), ("a[\u200b-\u200f]*b", "a-b", False),
        ("a[\u200b-\u200f]+b", "a\u200bb", True), ("a[x\u200b]b", "axb", True), ("[]\u00ad]x", "ax", False), ("[‘-‟]", "a’", True), ("a\\[\u200bb", "a[b", True),
        ("don’t: \\d", "don't: 5", True), ("价格: \\d", "价格： 5", False),
    ],
)  # fmt: skip
def test_patterns_see_a_text_as_it_stands_and_as_it_is_read(pattern, text, found):
    """Signs of a keyboard find those of print, and those of print themselves; case counts."""
    assert finds(pattern, text) is found


@pytest.mark.parametrize(
    ("name", "source", "same"),
    [
        ("returns.md", "old/returns.md", True), ("./old/returns.md", "old/returns.md", True), (r"old\returns.md", "old/returns.md", True),
        ("old/returns.md", r"C:\docs\old\returns.md", True), ("Returns.MD", "returns.md", True), ("/returns.md", "returns.md", True),
        (unicodedata.normalize("NFD", "Rückgabe.md"), "Rückgabe.md", True), ("Return Policy.md", "https://h/Return%20Policy.md", True),
        ("R%C3%BCckgabe.md", "Rückgabe.md", True), ("don't.md", "don’t.md", True), ("turns.md", "returns.md", False),
        ("new/returns.md", "old/returns.md", False), ("returns.md", "returns.md.txt", False),
    ],
)  # fmt: skip
def test_names_of_documents(name, source, same):
    """Systems and services write paths in their own ways; a name is the end of a path, not of a word."""
    assert is_document(name, source) is same


def test_looks_mind_case():
    """Two names differ if they look so."""
    assert looks("It’s") == looks("It's")
    assert looks("A") != looks("a")


def test_no_invisible_character_is_left():
    """Whatever Unicode calls a format character and shows as nothing is gone; signs that are shown are not."""
    shown = re.compile(
        "[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f]"
    )
    formats = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf"]
    assert len(formats) > 150
    assert [char for char in formats if comparable(char) and not shown.match(char)] == []
    assert all(comparable(f"a{char}b") != "ab" for char in formats if shown.match(char))
