"""Plain questions with passages that answer them: what any retriever puts in the right order."""

from __future__ import annotations

# (question, passage that answers it); the passages of the others are about something else.
ANSWERS = (
    ("How long do I have to boil an egg?", "Boil an egg for six minutes, and for ten minutes if it should be hard."),
    ("What causes the tides of the sea?", "The tides of the sea are caused by the pull of the moon and of the sun."),
    ("Who may borrow books from the library?", "Every resident may borrow books from the library with a free card."),
    ("How do I reset my password?", "To reset your password, follow the link in the e-mail that we send you."),
    (
        "Why do leaves turn red in autumn?",
        "In autumn leaves turn red because they lose the green of their chlorophyll.",
    ),
    ("When does the night train to Vienna leave?", "The night train to Vienna leaves at ten from platform four."),
    (
        "What is the interest rate of the loan?",
        "The interest rate of the loan is four percent for the first five years.",
    ),
    ("Can dogs travel on the ferry?", "Dogs can travel on the ferry if they stay on the open deck."),
    ("Which vitamin does sunlight give us?", "With sunlight the skin makes vitamin D, which bones need."),
    ("How is glass made?", "Glass is made from sand, soda and lime, which melt together in a furnace."),
)
# By language, as above.
ANSWERS_BY_LANGUAGE = {
    "Chinese": (
        ("鸡蛋要煮多长时间？", "鸡蛋煮六分钟，想吃全熟的要煮十分钟。"),
        ("去维也纳的夜车几点开？", "开往维也纳的夜车晚上十点从四号站台出发。"),
        ("怎样重置密码？", "要重置密码，请点击我们发送的邮件中的链接。"),
        ("狗可以上渡轮吗？", "狗可以上渡轮，但必须留在露天甲板上。"),
    ),
    "German": (
        ("Wie lange muss ein Ei kochen?", "Ein Ei muss sechs Minuten kochen, ein hartes zehn Minuten."),
        ("Wann fährt der Nachtzug nach Wien?", "Der Nachtzug nach Wien fährt um zehn Uhr von Gleis vier."),
        ("Wie setze ich mein Passwort zurück?", "Das Passwort setzen Sie über den Link in unserer E-Mail zurück."),
        ("Dürfen Hunde auf die Fähre?", "Hunde dürfen auf die Fähre, wenn sie auf dem offenen Deck bleiben."),
    ),
    "Japanese": (
        ("卵は何分ゆでますか。", "卵は六分、固ゆでなら十分ゆでます。"),
        ("ウィーン行きの夜行列車は何時に出ますか。", "ウィーン行きの夜行列車は夜十時に四番線から出ます。"),
        ("パスワードはどうやって再設定しますか。", "パスワードは、お送りするメールのリンクから再設定できます。"),
        ("犬はフェリーに乗れますか。", "犬は屋外デッキにいればフェリーに乗れます。"),
    ),
    "Russian": (
        ("Сколько минут варить яйцо?", "Яйцо варят шесть минут, а вкрутую десять минут."),
        ("Когда отходит ночной поезд в Вену?", "Ночной поезд в Вену отходит в десять часов с четвёртого пути."),
        ("Как сбросить пароль?", "Пароль можно сбросить по ссылке из нашего письма."),
        ("Можно ли с собакой на паром?", "С собакой на паром можно, если она остаётся на открытой палубе."),
    ),
    "Spanish": (
        ("¿Cuánto tiempo se cuece un huevo?", "Un huevo se cuece seis minutos, y diez minutos si es duro."),
        ("¿A qué hora sale el tren nocturno a Viena?", "El tren nocturno a Viena sale a las diez de la vía cuatro."),
        ("¿Cómo restablezco mi contraseña?", "La contraseña se restablece con el enlace de nuestro correo."),
        ("¿Pueden viajar perros en el ferri?", "Los perros pueden viajar en el ferri en la cubierta abierta."),
    ),
}
