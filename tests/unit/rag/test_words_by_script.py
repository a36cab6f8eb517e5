"""What BM25 finds in each script: the query has a word in one form, the document in another. The table of docs/rag.md."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_embedqa.rag.words import words

# Script, word of the query, document, whether it is found.
FOUND = [
    ("Latin, English", "purchases", "A purchase is final.", True),
    ("Latin, English", "bought", "We buy books.", False),
    ("Latin, French", "école", "Il va à l'école.", True),
    ("Latin, French", "ecole", "L’École est fermée.", True),
    ("Latin, Italian", "arte", "La storia dell'arte", True),
    ("Latin, German", "STRASSE", "Die Straße ist lang.", True),
    ("Latin, German", "Häuser", "Ein Haus am See", False),
    ("Latin, Turkish", "istanbul", "İSTANBUL çok güzel", True),
    ("Latin, Turkish", "istanbul", "İstanbul'da yaşıyor", False),
    ("Latin, Turkish", "ISPARTA", "ısparta gülü", True),
    ("Latin, Vietnamese", "tieng viet", "Tiếng Việt", True),
    ("Greek", "ΑΘΗΝΑ", "Η Αθήνα είναι πόλη.", True),
    ("Greek", "δρόμος", "Στους δρόμους της πόλης", True),
    ("Greek", "βιβλίο", "Τα βιβλία είναι εδώ.", False),
    ("Cyrillic, Russian", "елка", "Ёлка в лесу", True),
    ("Cyrillic, Russian", "книга", "Он читает книги.", True),
    ("Cyrillic, Ukrainian", "м'ята", "Чай із мʼяти", True),
    ("Armenian", "գիրք", "Նոր գիրք է։", True),
    ("Armenian", "գիրք", "Այս գիրքը նոր է։", False),
    ("Arabic", "كتاب", "هذا كِتَابٌ جديد", True),
    ("Arabic", "كتاب", "قرأت الكتاب", True),
    ("Arabic", "كتاب", "هذه كتب كثيرة", False),
    ("Arabic", "30", "خلال ٣٠ يوما", True),
    ("Arabic, Persian", "میخواهم", "من می\u200cخواهم بروم", True),
    ("Arabic, Persian", "کتاب", "هذا كتاب جديد", True),
    ("Arabic, Persian", "۳۰", "خلال ٣٠ يوما", True),
    ("Arabic", "مستشفى", "مستشفي كبير", True),
    ("Hebrew", "ספר", "זה סֵפֶר טוב", True),
    ("Hebrew", 'צה"ל', "חיילי צה״ל", True),
    ("Hebrew", "ספר", "הספר על השולחן", False),
    ("Devanagari, Hindi", "किताब", "किताबें मेज पर हैं", True),
    ("Devanagari, Hindi", "किताब", "कितना समय लगेगा", False),
    ("Bengali", "বাংলা", "আমি বাংলা ভাষা জানি", True),
    ("Bengali", "বই", "বড় বাড়ি", False),
    ("Tamil", "தமிழ்", "தமிழ் மொழி பழமையானது", True),
    ("Telugu", "భాష", "తెలుగు భాష", True),
    ("Amharic", "ቋንቋ", "አማርኛ ቋንቋ ነው።", True),
    ("Thai", "บ้าน", "เขาอยู่ที่บ้านของเขา", True),
    ("Lao", "ພາສາ", "ຂ້ອຍຮຽນພາສາລາວ", True),
    ("Khmer", "ភាសា", "ខ្ញុំរៀនភាសាខ្មែរ", True),
    ("Burmese", "မြန်မာ", "ကျွန်တော်မြန်မာစကားပြောတယ်", True),
    ("Korean", "학교", "아이들은 학교에서 배운다.", True),
    ("Korean", "책", "그는 책을 읽는다.", False),
    ("Japanese", "データベース", "このデータベースに接続する", True),
    ("Japanese", "返品", "返品できません。", True),
    ("Chinese", "图书馆", "北京图书馆今天开放", True),
    ("Chinese", "圖書館", "北京图书馆今天开放", False),
    ("Numbers", "1000", "Up to 1,000 items", True),
    ("Numbers", "1,000", "Up to 1000 items", True),
    ("Numbers", "1000", "Jusqu’à 1\u202f000 objets", True),
    ("Numbers", "200", "The points 100,200", True),
    ("Numbers", "1000", "Up to 1.000 items", False),
    ("Numbers", "102", "About 10² items", False),
    ("Numbers", "10²", "About 10² items", True),
    ("Numbers", "m2", "A flat of 60 m²", True),
    ("Names of code", "C++", "The letter C", False),
    ("Names of code", "C++", "It needs C++17.", True),
    ("Names of code", "C#", "Written in C# or F#", True),
    ("Names of code", "F#", "The letter F", False),
    ("Names of code", ".NET", "It runs on .NET 8.", True),
    ("Names of code", ".NET", "The net profit", True),
    ("Names of code", "env", "Put it into .env", True),
]


@pytest.mark.parametrize(("script", "query", "document", "found"), FOUND)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_found_by_script(script, query, document, found, form):
    """The table says what is found, whether a text's accents are signs of their own or not."""
    assert bool(set(words(unicodedata.normalize(form, query))) & set(words(document))) is found, script


def test_table_of_the_documentation():
    """The documentation shows this table, line by line."""
    text = Path(__file__).parents[3].joinpath("docs", "rag.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| `([^|`]+)` \| ([^|]+) \| (yes|no) \|$", text, re.MULTILINE)
    assert rows == [(script, query, document, "yes" if found else "no") for script, query, document, found in FOUND]


@pytest.mark.parametrize("text", ["हिन्दी", "தமிழ்", "বাংলা", "తెలుగు", "ಕನ್ನಡ", "മലയാളം", "ગુજરાતી", "ਪੰਜਾਬੀ", "සිංහල"])
def test_vowel_signs_are_part_of_a_word(text):
    """Scripts of India have one word where Python's own ``re`` sees several."""
    assert len(words(text)) == 1


@given(st.text(st.characters(categories=["L", "M", "N"]), min_size=1))
def test_no_letter_is_lost(text):
    """A text with a letter or digit that people write gives words, equal for both ways to write its accents."""
    assert words(unicodedata.normalize("NFD", text)) == words(unicodedata.normalize("NFC", text))
    if any(char.isalnum() for char in text):
        assert words(text)
