"""The texts on which invariants are checked."""

from __future__ import annotations

SENTENCES = (
    "The kettle whistled while she was still looking for the tea.",
    "Our neighbours are building a greenhouse behind the garage.",
    "The lawyer asked for another week to read the contract.",
    "Snow fell all night and the school stayed closed.",
    "He tuned the old violin before the rehearsal began.",
    "The satellite sends a picture of the coast every hour.",
    "You can pay the parking fee by card or in coins.",
    "The chemist mixed two clear liquids and the glass turned blue.",
    "Their flight was delayed because of fog over the airport.",
    "The company recalled the bicycle after a brake had failed.",
    "In spring the river floods the meadows below the village.",
    "Please restart the router and wait until the lamp is green.",
    "The museum shows drawings that were lost for a century.",
    "She learned to swim at the age of forty.",
)
# Words on which models have been seen to fail, and ordinary words, of many languages.
WORDS = [
    "a",
    "I",
    "the",
    "of",
    "and",
    "bread",
    "water",
    "green",
    "house",
    "yes",
    "no",
    "ok",
    "hello",
    "test",
    "null",
    "NaN",
    "None",
    "undefined",
    "true",
    "embedding",
    "vector",
    "antidisestablishmentarianism",
    "internationalisation",
    "COVID-19",
    "e-mail",
    "https://example.org",
    "user@example.org",
    "0",
    "1",
    "7",
    "42",
    "1984",
    "3.14",
    "-1",
    "1e10",
    "100%",
    "$5",
    "€7",
    "#1",
    "C++",
    "x86_64",
    "foo_bar",
    "CamelCase",
    "UPPER",
    "lower",
    ".",
    ",",
    "!",
    "?",
    "-",
    "–",
    "…",
    "*",
    "/",
    "\\",
    "'",
    '"',
    "(",
    "[",
    "{",
    "@",
    "&",
    "~",
    "`",
    "|",
    "Straße",
    "naïve",
    "façade",
    "jalapeño",
    "smörgåsbord",
    "Đà",
    "İstanbul",
    "żółć",
    "kůň",
    "ñandú",
    "Œuvre",
    "хлеб",
    "вода",
    "Київ",
    "ψωμί",
    "שלום",
    "سلام",
    "नमस्ते",
    "রুটি",
    "ขนมปัง",
    "bánh",
    "パン",
    "水",
    "面包",
    "你好",
    "빵",
    "안녕하세요",
    "ქართული",
    "հաց",
    "ዳቦ",
    "🙂",
    "🎉",
    "👩\u200d👩\u200d👧\u200d👦",
    "🇩🇪",
    "❤️",
    "½",
    "²",
    "™",
    "ﬁ",
    "Ⅳ",
]
# Longer than the other texts, but not so long that a long context makes them slow.
LONG = ("The report goes on and on. " * 12, "Nobody reads the annex of a contract to its end. " * 30)

BLANK = ("", " ", "    ", "\n", "\t", "\r\n\r\n", "\u00a0", "\u200b", "\u3000", "\ufeff", "\x00")


_SURROGATES = range(0xD800, 0xE000)


def _planes() -> list[str]:
    """Return sixteen characters of each block of 256 in the basic plane, and of eight places in each other plane."""
    basic = [start for start in range(0, 0x10000, 0x100) if start not in _SURROGATES]
    others = list(range(0x10000, 0x110000, 0x2000))
    return ["".join(chr(start + step) for step in range(0, 0x100, 0x10)) for start in basic + others]


PLANES = _planes()

COMPOSED = (
    "Le garçon a oublié son café à l'hôtel.",
    "Über die Brücke fährt eine größere Straßenbahn.",
    "El pingüino soñó con la montaña.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "Tôi muốn đặt một bàn cho bốn người.",
    "서울에서 부산까지 기차로 갑니다.",
    "がんばってください、ピアノの発表会です。",
    "Ångström, Ñandú, Čapek, Şişli",
)

WORDING = (
    ("The dog bit the man.", "The man bit the dog."),
    ("The test passed.", "The test failed."),
    ("You may enter.", "You may not enter."),
    ("The drug is safe for children.", "The drug is unsafe for children."),
    ("Paul paid Mary.", "Mary paid Paul."),
    ("Turn left at the bridge.", "Turn right at the bridge."),
    ("The meeting is on Monday.", "The meeting is on Friday."),
    ("Increase the dose.", "Decrease the dose."),
    ("The price includes tax.", "The price excludes tax."),
    ("All files were deleted.", "No files were deleted."),
)
NUMBERS = (
    ("The invoice is over 100 euros.", "The invoice is over 1000 euros."),
    ("Version 2.1 is supported.", "Version 2.7 is supported."),
    ("Take 5 mg twice a day.", "Take 50 mg twice a day."),
    ("Order 48213 has been sent.", "Order 48231 has been sent."),
    ("The war ended in 1945.", "The war ended in 1918."),
    ("Room 12", "Room 21"),
    ("The temperature is 7 degrees.", "The temperature is -7 degrees."),
    ("It costs $3.50.", "It costs $350."),
)
CASE = (
    ("US", "us"),
    ("Polish the table.", "polish the table."),
    ("IT support", "it support"),
    ("May I go in march?", "may I go in March?"),
    ("He works for Apple.", "He works for apple."),
    ("READ THIS NOW", "read this now"),
    ("WHO", "who"),
    ("Turkey", "turkey"),
)
ACCENTS = (
    ("résumé", "resume"),
    ("pêche", "péché"),
    ("schon", "schön"),
    ("año", "ano"),
    ("papa", "papá"),
    ("sure", "sûre"),
    ("Er kommt aus Koln.", "Er kommt aus Köln."),
    ("côte", "coté"),
)
CJK = (
    ("猫在睡觉。", "狗在睡觉。"),
    ("北京的天气很好。", "上海的天气很好。"),
    ("这个价格含税。", "这个价格不含税。"),
    ("他向左转。", "他向右转。"),
    ("電車は遅れています。", "電車は遅れていません。"),
    ("りんごを三つください。", "みかんを三つください。"),
    ("회의는 월요일에 있습니다.", "회의는 금요일에 있습니다."),
    ("물을 마십니다.", "술을 마십니다."),
)

# (sentence, paraphrase, another subject)
PARAPHRASES = (
    ("The cat is asleep on the sofa.", "A cat sleeps on the couch.", "The bank raised its interest rates."),
    ("How do I change my password?", "What do I do to set a new password?", "Which mushrooms can be eaten raw?"),
    (
        "The film was boring from start to end.",
        "I found the movie dull throughout.",
        "The bridge is closed to lorries.",
    ),
    (
        "He bought a used car last week.",
        "Last week he purchased a second-hand car.",
        "The comet is visible after sunset.",
    ),
    ("The shop opens at nine.", "The store starts business at 9 am.", "Her uncle plays the trumpet."),
    ("Smoking damages the lungs.", "Cigarettes are harmful to your lungs.", "The choir sang in the cathedral."),
    (
        "The company fired a third of its staff.",
        "One in three employees was laid off.",
        "Boil the eggs for ten minutes.",
    ),
    ("It is going to rain tomorrow.", "Rain is expected for tomorrow.", "The printer is out of paper."),
    (
        "She speaks three languages fluently.",
        "She is fluent in three languages.",
        "The tyre lost its air on the motorway.",
    ),
    ("The goalkeeper saved the penalty.", "The keeper stopped the spot kick.", "Tax forms are due in May."),
    ("The battery lasts for two days.", "You have to charge it every other day.", "The king was crowned in 1066."),
    (
        "Children need more sleep than adults.",
        "Kids should sleep longer than grown-ups.",
        "The anchor was stuck in the mud.",
    ),
)
# (Chinese and English mixed, the same in English, another subject)
MIXED = (
    ("请用 API key 登录 server", "Log in to the server with your API key", "Roast the chicken for an hour"),
    ("这个 function 返回 error code", "This function returns an error code", "The train to the coast is late"),
    ("明天的 meeting 改到 Friday", "Tomorrow's meeting was moved to Friday", "Whales breathe air"),
    ("把 file 上传到 cloud storage", "Upload the file to cloud storage", "The violin needs new strings"),
    ("我的 laptop 没有 battery 了", "My laptop has run out of battery", "Wheat is sown in autumn"),
    ("用 Python 写一个 web crawler", "Write a web crawler in Python", "The goalkeeper saved the penalty"),
    ("这家 hotel 的 breakfast 很好吃", "The breakfast at this hotel is delicious", "The court rejected the appeal"),
    ("帮我 book 一张去 London 的 ticket", "Book me a ticket to London", "Mix the cement with sand"),
)
