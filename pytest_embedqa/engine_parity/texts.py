"""The texts that two encoders are compared on: one stratum for each known way in which engines differ."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, TextKind

_SENTENCES = (
    "The ferry to the island leaves at seven and returns before dark.",
    "Interest on the loan is calculated daily and charged at the end of each month.",
    "A heat pump moves warmth from the ground into the house, even in winter.",
    "Her grandmother kept the letters in a tin box under the stairs.",
    "Water boils at a lower temperature on a mountain, because the air is thinner.",
    "The committee postponed its decision until the auditors had finished.",
    "Most bats find their way in the dark by listening to echoes.",
    "To reset the device, hold the button for ten seconds until the light turns red.",
    "The recipe calls for two cups of flour, a pinch of salt and one egg.",
    "In the second half the visitors scored twice from corner kicks.",
    "Vaccines train the immune system to recognise a virus it has never met.",
    "The old bridge was closed after engineers found cracks in its pillars.",
)
_TOPICS = ("harbour", "mortgage", "heating", "archive", "physics", "council", "wildlife", "manual")

_FIXED: Mapping[str, tuple[str, ...]] = {
    "short": _SENTENCES,
    "one word": ("bread", "Zürich", "the", "antidisestablishmentarianism", "42", "x", "embedding", "photosynthesis"),
    "empty": ("", " ", "\n\n", "\t"),
    "upper case": tuple(sentence.upper() for sentence in _SENTENCES[:8]),
    "accents": (
        "Le garçon déçu a mangé une crème brûlée à côté de l'hôtel.",
        "Über die Brücke fährt täglich eine größere Straßenbahn.",
        "El niño soñó con un pingüino en la montaña.",
        "Příliš žluťoučký kůň úpěl ďábelské ódy.",
        "A informação sobre a inflação chegou às três da manhã.",
        "Çiğdem'in kardeşi İstanbul'da öğretmenlik yapıyor.",
        "Cafe\u0301 and café look alike and are different characters.",
        "Œuvre, naïve, façade, jalapeño, smörgåsbord.",
    ),
    "cjk": (
        "边缘计算把数据处理放在靠近用户的地方。",
        "会議は来週の火曜日に延期されました。",
        "서울에서 부산까지 기차로 두 시간 반이 걸립니다.",
        "这份合同自双方签字之日起生效，有效期三年。",
        "桜の花が咲くころ、川沿いは人でいっぱいになる。",
        "请在三十天内提交申请，逾期不予受理。",
        "배터리를 오래 쓰려면 완전히 방전시키지 마세요.",
        "電池の残量が少なくなったら充電してください。",
    ),
    "mixed scripts": (
        "调用 get_user() 之前必须先完成 OAuth 2.0 认证。",
        "The word 仁 (rén) is often translated as humaneness.",
        "Python の list と tuple の違いは何ですか?",
        "Заказ №42 доставят в Berlin до 18:00.",
        "مرحبا means hello, and שלום means peace.",
        "使用 GPU 时,batch_size 设为 64 会 out of memory。",
        "Η τιμή είναι 3,50 € ή about $4.",
        "नमस्ते, how do I reset my password?",
    ),
    "code": (
        "def add(a: int, b: int) -> int:\n    return a + b",
        "SELECT name, count(*) FROM users WHERE age > 30 GROUP BY name;",
        "for (let i = 0; i < items.length; i++) { console.log(items[i]); }",
        "curl -X POST https://example.org/api/v1/items -d '{\"id\": 7}'",
        "x = [[0] * n for _ in range(m)]  # not [[0] * n] * m",
        "<div class=\"row\"><a href='#top'>&uarr; up</a></div>",
        "Traceback (most recent call last):\n  File \"a.py\", line 3\nKeyError: 'id'",
        'fn main() { println!("{:>8.3}", std::f64::consts::PI); }',
    ),
    "emoji": (
        "Great job! 🎉🎉🎉",
        "👩‍👩‍👧‍👦 family dinner 🍝 at 8",
        "I ❤️ this song",
        "🇩🇪 vs 🇧🇷 7:1",
        "weather: ☀️ → 🌧️",
        "🤷🏽‍♀️ no idea",
        "✅ done ❌ failed ⚠️ flaky",
        "😀😃😄😁",
    ),
}


# Places of the queries of ``ranked``, by kind.
RANKED = {"question": slice(0, 8), "sentence": slice(8, 12)}


def ranked() -> tuple[list[str], list[str]]:
    """Return queries, and the documents that two models put in order for each of them."""
    questions = (
        "when does the ferry come back?",
        "how is interest on a loan charged?",
        "where does a heat pump take its warmth from?",
        "why does water boil earlier on a mountain?",
        "how do bats find their way at night?",
        "how do I reset the device?",
        "what does a vaccine do?",
        "why was the bridge closed?",
    )
    documents = [*_SENTENCES, *_FIXED["code"], *(_prose(40 + 20 * place, topic) for place, topic in enumerate(_TOPICS))]
    return [*questions, *_SENTENCES[:4]], documents


def strata(within: int, beyond: int | None) -> dict[str, tuple[TextKind, list[str]]]:
    """Return texts by stratum, with the kind (query or document) that they are encoded as.

    Args:
        within: Tokens that both encoders accept; long texts stay below.
        beyond: Tokens that neither accepts; texts of the stratum ``beyond max length`` are longer. ``None`` omits it.
    """
    found = {name: (DOCUMENT, list(texts)) for name, texts in _FIXED.items()}
    found["query"] = (QUERY, [f"which sentence is about {topic}?" for topic in _TOPICS])
    # An English word is one to two tokens.
    found["long"] = (DOCUMENT, [_prose(int(within * 0.6), topic) for topic in _TOPICS])
    if beyond:
        found["beyond max length"] = (DOCUMENT, [_prose(beyond + 50, topic) for topic in _TOPICS[:4]])
    return found


def _prose(words: int, topic: str) -> str:
    """Return running text of so many words, different for each topic."""
    first = _TOPICS.index(topic)
    text: list[str] = []
    number = 0
    while len(text) < words:
        sentence = _SENTENCES[(first + 5 * number) % len(_SENTENCES)]
        text += f"In {topic} note {number + 1}: {sentence}".split()
        number += 1
    return " ".join(text[:words])
