"""Questions with their answers, and passages about something else: pairs whose order is plain to any reranker."""

from __future__ import annotations

from typing import NamedTuple

from pytest_embedqa.encoders.pairs import join


class PlainPair(NamedTuple):
    """A question, the passage that answers it, and a passage about something else in the same language."""

    question: str
    answer: str
    unrelated: str


PLAIN_PAIRS = (
    PlainPair(
        "How long may I return a parcel?",
        "You may return a parcel within 30 days of its delivery.",
        "The cat sleeps on the warm stove all winter.",
    ),
    PlainPair(
        "At what temperature does water boil?",
        "At sea level water boils at a temperature of 100 degrees Celsius.",
        "The library lends up to five books to each member.",
    ),
    PlainPair(
        "Who painted the Mona Lisa?",
        "Leonardo da Vinci painted the Mona Lisa in Florence.",
        "Add the flour slowly, and stir until the dough is smooth.",
    ),
    PlainPair(
        "What is the capital of France?",
        "Paris is the capital of France and its largest city.",
        "Press the red button twice to restart the printer.",
    ),
    PlainPair(
        "How many legs does a spider have?",
        "A spider has eight legs, and an insect has six.",
        "Our invoices are due fourteen days after they are sent.",
    ),
    PlainPair("包裹可以在多少天内退货?", "包裹送达后三十天内可以退货。", "那只猫整个冬天都睡在炉子旁边。"),
    PlainPair("水在多少度沸腾?", "在海平面上,水在一百摄氏度沸腾。", "图书馆每位会员最多可以借五本书。"),
    PlainPair("《红楼梦》的作者是谁?", "《红楼梦》的作者是清代作家曹雪芹。", "请按两次红色按钮重新启动打印机。"),
    PlainPair("法国的首都是哪里?", "法国的首都是巴黎。", "慢慢加入面粉,搅拌到面团光滑为止。"),
    PlainPair("蜘蛛有几条腿?", "蜘蛛有八条腿,昆虫有六条腿。", "发票应在寄出后十四天内付款。"),
)
# A question with its answer and passages about other things: different documents, so not all with the same score.
PROBE = [
    join(PLAIN_PAIRS[0].question, document)
    for document in (PLAIN_PAIRS[0].answer, *(one.unrelated for one in PLAIN_PAIRS[:3]))
]
