"""Variations of a question that keep its meaning: typing errors, case, word order, wording, another language.

A variation is a pure function of question and level, random numbers included: adding a probe changes no other. Numbers
and identifiers stay as they are, since another number would make another question.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from pytest_embedqa.core.errors import SpecError

_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
# Han characters and the punctuation and full-width signs that are set with them.
_WIDE = rf"{_HAN}\u3000-\u303f\uff00-\uffef"
# Text written without a space: a word, a number, a file name, an address, an option.
_RUN = re.compile(rf"(?:(?![{_WIDE}])\S)+")
_IDENTIFIER = re.compile(r"[\d_]|\w[.@:/\\=&?#]\w|^\W*--?\w")
# An edit can undo an earlier edit (a letter dropped, the same letter doubled): then it is tried again, up to this
# often.
_TRIES = 20


@dataclass(frozen=True)
class Variation:
    """A way to change a question but not its meaning.

    Attributes:
        name: Name, as in a probe file.
        levels: Strengths of the variation; ``promise`` says what a level means.
        promise: Description in one line.
        rule: Function of question, level and translation that returns the varied question; ``None`` where it can't be
            applied.
    """

    name: str
    levels: tuple[int, ...]
    promise: str
    rule: Callable[[str, int, str | None], str | None]

    def vary(self, question: str, level: int, translation: str | None = None) -> str | None:
        """Return the varied question, never the question itself; ``None`` where the variation can't be applied.

        Args:
            question: The question as its author wrote it.
            level: One of ``levels``.
            translation: The same question in another language, if its author gave one.

        Raises:
            SpecError: There is no such level.
        """
        if level not in self.levels:
            known = ", ".join(map(str, self.levels))
            raise SpecError(f"The variation '{self.name}' has no level {level}. Choose one of: {known}.")
        varied = self.rule(question, level, translation)
        return varied if varied and varied.strip() and varied != question else None


def _seeded(name: str, question: str, level: int) -> random.Random:
    return random.Random(f"{name}/{level}/{question}")  # noqa: S311 -- to repeat, not to keep secret


_NEAR: dict[str, str] = {}
for _row in ("qwertyuiop", "asdfghjkl", "zxcvbnm"):
    for _left, _right in pairwise(_row):
        _NEAR[_left] = _NEAR.get(_left, "") + _right
        _NEAR[_right] = _NEAR.get(_right, "") + _left

# Characters of the same sound, as an input method offers them (tones aside), some of similar look as well.
_SAME_SOUND = """
在再 做作坐 以已 意义议 的得 须需 账帐 像象 即既 份分 副付负 度渡 报抱 办伴 公工 司思 员圆 时实 间件 期其 请情 假价
年粘 试式 用佣 订定 单担 合和 同统通 审身 批披 流留 程成 设社 置制 系细 密秘 码马 权全 限线 数术 据具 备被 存村 版板
安按 装状 部布 署属 服福 务物 接街 口扣 网往 络落 连联 支之 持迟 查察 询寻 记纪 录路 提题 交教 申伸 类累 型形 名明
文闻 档挡 理里 管馆 客课 户护 退推 款宽 费废 金今 保宝 险显 培陪 训讯 考烤 加家 班般 休修 离厘 职直 薪新 资自 补捕
偿常 返反 产铲 质治 检简 测册 维围 故固 原源 因音 启起 动洞 停庭 重众 更耕 改概 删山 除出 添填 导到 入如 传船 输书
格各 区曲 域玉 节结 点店 模魔 块快 环还 境竟 变便 量亮 错措 误悟 警景 志至 监兼 控空 访仿 何河 哪那 有友 是事 可渴
要药 会汇 应英 为位 将讲 由油 对队 于与 从丛 向项 每美 周州 目木 标表 则责 规归 条调 法发 律率 领令 经精 主住 任认
门们 电典 话画 邮优 箱相 址只 机鸡 器气 关官 打达 印引 章张 签迁 收手 货或 仓苍 库裤 运云 销消 售受 场厂 营赢 划化
计季
"""
_SOUNDALIKES = {one: group.replace(one, "") for group in _SAME_SOUND.split() for one in group}
# Numbers and negations: changing them makes another question.
_KEPT = "〇零一二两三四五六七八九十百千万亿几多少不没未无非"
_REPLACED = "".join(_SOUNDALIKES)
_CHINESE_SITE = re.compile(rf"[{_REPLACED}]|(?:(?![{_REPLACED}{_KEPT}])[{_HAN}]){{2}}")


def _typos(question: str, level: int, _translation: str | None) -> str | None:
    """Make ``level`` edits, each at a place of its own."""
    sites = [match.span() for match in _CHINESE_SITE.finditer(question) if len(set(match[0])) == len(match[0])]
    for run in _RUN.finditer(question):
        # The first letter stays: it is seldom mistyped, and a reader needs it most. The others are swapped in pairs.
        for word in () if _IDENTIFIER.search(run[0]) else re.finditer(r"\b\w{4,}\b", run[0]):
            if word[0].isalpha() and word[0][1:].islower():
                first = run.start() + word.start() + 1
                sites += [(at, at + 2) for at in range(first, run.start() + word.end() - 1, 2)]
    if len(sites) < level:
        return None
    rng = _seeded("typos", question, level)
    for _ in range(_TRIES):
        varied = question
        for start, end in sorted(rng.sample(sites, level), reverse=True):
            varied = varied[:start] + _mistyped(question[start:end], rng) + varied[end:]
        if varied != question:
            return varied
    return None


def _mistyped(text: str, rng: random.Random) -> str:
    """Make one edit of a Chinese character, of two of them, or of two letters."""
    if len(text) == 1:
        return rng.choice(_SOUNDALIKES[text])
    one, two = text[0], text[1]
    if re.match(f"[{_HAN}]", text):
        return two + one
    edits = [two + one, one, two, one + text, text + two]
    edits += [near + two for near in _NEAR.get(one, "")] + [one + near for near in _NEAR.get(two, "")]
    return rng.choice([edit for edit in edits if edit != text])


_CASES = (str.upper, str.lower, str.swapcase)


def _case(question: str, level: int, _translation: str | None) -> str:
    """Change the case of all words except identifiers."""
    change = _CASES[level - 1]
    return _RUN.sub(lambda run: run[0] if _IDENTIFIER.search(run[0]) else change(run[0]), question)


# Places where Chinese can be split without a dictionary: behind a comma or a particle, before an interrogative, and
# between scripts.
_BREAK = re.compile(
    r"\s+|(?<=[，。；：、？！的和与])|(?<=是)(?!否|不是)"
    r"|(?=为什么|(?<!为)什么|怎么|怎样|如何|多少|多久|多长|哪|谁|是否|能否|可否)"
    rf"|(?<=[{_HAN}])(?=[A-Za-z])|(?<=[A-Za-z])(?=[{_HAN}])"
)


def _word_order(question: str, level: int, _translation: str | None) -> str | None:
    """Move ``level`` percent of the words; in Chinese, of the segments."""
    body = question.rstrip("?？!！.。 ")
    words = _words(body)
    if len(words) < 2:  # noqa: PLR2004 -- it takes two to change places
        return None
    count = max(2, round(len(words) * level / 100))
    rng = _seeded("word_order", question, level)
    for _ in range(_TRIES):
        places = rng.sample(range(len(words)), count)
        moved = list(words)
        for here, there in zip(places, places[1:] + places[:1], strict=True):
            moved[there] = words[here]
        if (varied := _joined(moved)) != _joined(words):
            return varied.rstrip("，、；：,;:") + question[len(body) :]
    return None


def _words(text: str) -> list[str]:
    """Split into words and segments; a number keeps its neighbours, since "within 30 days" is a unit."""
    words: list[str] = []
    before = ""
    for part in filter(None, _BREAK.split(text)):
        if words and re.search(r"\d", before + part):
            words[-1] = _joined([words[-1], part])
        else:
            words.append(part)
        before = part
    return words


def _joined(words: list[str]) -> str:
    """Join words with spaces, except beside Chinese characters."""
    return re.sub(rf"(?<=[{_WIDE}]) | (?=[{_WIDE}])", "", " ".join(words))


_ENGLISH = (
    "Could you tell me: {question}",
    "I need to know: {question}",
    "A colleague asked me this today. {question}",
    "Hi, I have a quick question: {question} Thanks!",
    "Please look this up for me: {question}",
    "{question} I could not find it anywhere.",
    "I am looking for information about {keywords}.",
    "{keywords}",
)
_CHINESE = (
    "请问{question}",
    "我想知道：{question}",
    "今天有同事问我：{question}",
    "你好，想咨询一个问题：{question}谢谢！",
    "麻烦帮我查一下：{question}",
    "{question}我没有找到相关的说明。",
    "我在找这方面的内容：{keywords}。",
    "{keywords}",
)
# Words that a searcher leaves out. Words that turn the meaning stay: not, no, without, from, before, who, when, where,
# how.
_STOP_WORDS = """
a an the is are was were be been am do does did has have had can could may might shall should will would must what which
that this these those there it its i I me my we us our you your they their of to in on at for by with as and please
"""
_STOP = frozenset(_STOP_WORDS.split())
_STOP_CHINESE = re.compile(
    "请问|什么是|是什么|为什么|什么|怎么样|怎么|怎样|如何|是否|能否|可否|能不能|可不可以|有没有|是不是|(?<!不)可以|"
    "[，。；：、？！,;:?!]|(?<!目)的|(?<![但还不])是|吗|呢|吧|我们|我|你们|你"
)
# Japanese and Korean have no templates here.
_KANA_HANGUL = re.compile("[\u3040-\u30ff\uac00-\ud7af]")


def _paraphrase(question: str, level: int, _translation: str | None) -> str | None:
    """Apply the ``level``-th template of the question's language. Other Latin-script languages use English."""
    characters, latin = len(re.findall(f"[{_HAN}]", question)), len(re.findall("[A-Za-z]{2,}", question))
    if _KANA_HANGUL.search(question) or not (characters or latin):
        return None
    if characters >= latin:
        template, keywords = _CHINESE[level - 1], " ".join(_STOP_CHINESE.sub(" ", question).split())
        question = _ended(re.sub("^请问[，,：: ]*", "", question), "？")
    else:
        template, keywords = _ENGLISH[level - 1], _keywords(question)
        question = _ended(question, "?")
    return template.format(question=question, keywords=keywords) if keywords else None


def _ended(question: str, mark: str) -> str:
    """Return the question with a mark at its end, so that a sentence can follow."""
    return question if re.search(r"[?？!！.。]\s*$", question) else question + mark


def _keywords(question: str) -> str:
    """Return the words of an English question without stop words; "IT" and "plan A" are kept."""
    decapitalised = question[:1].lower() + question[1:]
    return " ".join(
        kept
        for word, plain in zip(question.split(), decapitalised.split(), strict=True)
        if (kept := word.rstrip("?!.,;:")) and plain.rstrip("?!.,;:") not in _STOP
    )


def _other_language(_question: str, _level: int, translation: str | None) -> str | None:
    return translation


_ALL = (
    Variation("typos", (1, 2, 4), "So many typing errors in the question as the level says.", _typos),
    Variation("case", (1, 2, 3), "The question in capitals (1), in small letters (2), with caps lock on (3).", _case),
    Variation("word_order", (25, 50, 100), "So many percent of the words in other places.", _word_order),
    Variation("paraphrase", tuple(range(1, 9)), "The question in other words: the level is the template.", _paraphrase),
    Variation(
        "other_language", (1,), "The question in another language, as its author translated it.", _other_language
    ),
)
VARIATIONS: Mapping[str, Variation] = MappingProxyType({variation.name: variation for variation in _ALL})
"""Variations of questions by name."""
