"""Passages that answer nothing, to be mixed into a corpus: prose of a company's handbook, in two languages.

Everything that could answer a question is invented: names of products, persons and places, units, codes. Numbers are
written in words, and digits occur only inside codes, between letters; so no passage states a fact of a corpus by
chance.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_embedqa.encoders.retrievers.passage import Passage

# Coprime to the number of names in either language: a step of this size visits every name once.
_STEP = 7_919


@dataclass(frozen=True)
class _Language:
    """A grammar: an opening sentence, then others in any order until the passage is long enough.

    Attributes:
        syllables: Syllables of invented names.
        person: Separator of a first and a last name.
        units: Invented units.
        tens: Words for 40 to 90; with ``ones`` they make numbers that are not round.
        ones: Words for 1 to 9 without 5.
        hyphen: Text between the two words of a number.
        topics: Subjects of a passage: topic, thing, action and role.
        openings: Sentences that name the product and the topic.
        sentences: Sentences that can follow.
        between: Text between sentences.
        shortest: Least length, in words of English and characters of Chinese.
        longest: Greatest length, which the last sentence may exceed.
    """

    syllables: Sequence[str]
    person: str
    units: Sequence[str]
    tens: Sequence[str]
    ones: Sequence[str]
    hyphen: str
    topics: Sequence[tuple[str, str, str, str]]
    openings: Sequence[str]
    sentences: Sequence[str]
    between: str
    shortest: int
    longest: int

    def name(self, number: int, syllables: int = 3) -> str:
        """Return the ``number``-th invented name."""
        parts = []
        for _ in range(syllables):
            number, at = divmod(number, len(self.syllables))
            parts.append(self.syllables[at])
        return "".join(parts).capitalize()

    def length(self, text: str) -> int:
        """Return the length of a text in words of English or characters of Chinese."""
        return len(text.split()) if self.between else len(text)

    def passage(self, number: int, rng: random.Random) -> str:
        """Return a passage about the ``number``-th product."""
        topic, thing, action, role = rng.choice(self.topics)

        def some_name() -> str:
            return self.name(rng.randrange(len(self.syllables) ** 2), 2)

        def amount() -> str:
            return f"{rng.choice(self.tens)}{self.hyphen}{rng.choice(self.ones)}{self.between}{rng.choice(self.units)}"

        facts = {
            "name": self.name(number),
            "topic": topic,
            "thing": thing,
            "action": action,
            "role": role,
            "person": self.person.join((some_name(), some_name())),
            "place": some_name(),
            "amount": amount(),
            "other_amount": amount(),
            "code": "{}{}{}{}".format(
                rng.choice("QXZ"), rng.choice("bdfgkv"), rng.choice("2346789"), rng.choice("hjmw")
            ),
        }
        text = rng.choice(self.openings).format(**facts)
        wanted = rng.randint(self.shortest, self.longest)
        for sentence in rng.sample(self.sentences, len(self.sentences)):
            if self.length(text) >= wanted:
                break
            text += self.between + sentence.format(**facts)
        return text


_SYLLABLES = """
vor quel zib thra mog nyx dar jul fesk orm plo wex gri tavu kesh lun yor bax siv hov
rud zan imb cre dwo nef pag quo stel uth vim xar yel zof brin clu drav elk fyn golt
"""
_ENGLISH = _Language(
    syllables=_SYLLABLES.split(),
    person=" ",
    units=("torvels", "quenns", "mirrels", "drasks", "ubbits", "zelms", "pharns", "koltas", "veldes"),
    tens=("forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
    ones=("one", "two", "three", "four", "six", "seven", "eight", "nine"),
    hyphen="-",
    topics=(
        ("annual leave", "leave request", "submit a leave request", "people partner"),
        ("travel expenses", "expense claim", "file an expense claim", "claims desk"),
        ("welcoming new colleagues", "welcome checklist", "finish the welcome checklist", "mentor"),
        ("forgotten passwords", "recovery form", "reset a password", "identity desk"),
        ("remote access", "access profile", "open a remote session", "network crew"),
        ("nightly backups", "backup set", "restore a backup set", "storage crew"),
        ("software releases", "release ticket", "roll out a release", "release captain"),
        ("request limits of the interface", "request quota", "raise a request quota", "gateway crew"),
        ("supplier invoices", "supplier invoice", "approve a supplier invoice", "ledger desk"),
        ("purchasing", "purchase order", "place a purchase order", "buying desk"),
        ("incidents", "incident log", "declare an incident", "duty officer"),
        ("meeting rooms", "room booking", "book a meeting room", "front desk"),
        ("returned goods", "return label", "accept a returned parcel", "returns counter"),
        ("warehouse picking", "picking list", "close a picking list", "shift lead"),
        ("data retention", "retention rule", "change a retention rule", "archive keeper"),
        ("training courses", "course seat", "reserve a course seat", "training desk"),
        ("borrowed devices", "loan card", "borrow a device", "equipment desk"),
        ("customer support", "support ticket", "escalate a support ticket", "service lead"),
        ("door badges", "badge request", "block a lost badge", "gate keeper"),
        ("model evaluation", "score sheet", "publish a score sheet", "review board"),
    ),
    openings=(
        "{name} is the house guide to {topic} and applies to every team that works from {place}.",
        "This page of the {name} handbook is about {topic}, as agreed with the {role} in {place}.",
        "Under the {name} scheme, whoever wants to {action} turns to the {role} in {place} first.",
        "Since the move to {name}, all matters of {topic} are handled by the {role} in {place}.",
        "The {name} policy covers {topic} for staff, contractors and guests of the {place} office.",
        "Questions about {topic} are answered in {name}, which {person} maintains for the {place} office.",
        "{name} replaces the older notes on {topic}; please read it before you {action}.",
        "Everyone who has to {action} needs an account in {name}, the portal for {topic}.",
    ),
    sentences=(
        "To {action}, open {name}, choose the form {code} and name {person} as the contact.",
        "Each {thing} is kept for {amount} and is then moved to the archive in {place}.",
        "The {role} answers within {amount}, unless {person} has asked for a second look.",
        "If the {thing} carries the mark {code}, it skips the queue and goes straight to {person}.",
        "A limit of {amount} applies to every {thing}; exceptions are granted by {person} alone.",
        "Where the {thing} is incomplete, the {role} sends it back together with the note {code}.",
        "Colleagues in {place} may {action} without approval as long as they stay below {amount}.",
        "{person} reviews a sample of {amount} once a season and reports the result to the {role}.",
        "Please do not {action} by mail, because {name} would have no record of it.",
        "The setting {code} in {name} decides whether the {role} is told at once or in a summary.",
        "After {amount} without an answer, the {thing} is passed on to {person} in {place}.",
        "Drafts remain visible to the {role} for {other_amount}, even when the author has left the company.",
        "The cost of {other_amount} is borne by the team whose lead has signed the {thing}.",
        "When {name} is down, the {role} in {place} keeps a paper list and enters it later.",
        "Only {person} and the {role} can see who has tried to {action} and when.",
        "A reminder is sent after {other_amount}, and a second one goes to the lead of the team.",
        "For audits, the {thing} is exported under the code {code} and locked against changes.",
        "Teams outside {place} follow the same steps but wait for {person} to confirm the {thing}.",
        "The template {code} already contains the usual wording, so that only the reason is left to fill in.",
        "Whoever has to {action} more often than usual can ask {person} for a standing permission.",
        "Older entries were imported from the previous system and may lack the name of the {role}.",
        "The {role} publishes the current figures about {topic} on the board next to the {place} entrance.",
        "If two people edit the same {thing}, {name} keeps both versions and asks the {role} to decide.",
        "Temporary staff need a sponsor, usually {person}, before they are allowed to {action}.",
    ),
    between=" ",
    shortest=45,
    longest=95,
)

_CHINESE = _Language(
    syllables=tuple("沃兹芙奎恩塔维洛厄缇卡茜莫朗弗哲萨埃嘉翁默拜佐伊赫蓓戈泽琉恺黛尼克菲兰瑟摩凡邬普"),
    person="·",
    units=("托勒", "奎恩", "米瑞", "德斯", "乌比", "泽姆", "法恩", "柯塔", "维德", "云兹", "布里", "欧斯"),
    tens=("四十", "五十", "六十", "七十", "八十", "九十"),
    ones=("一", "二", "三", "四", "六", "七", "八", "九"),
    hyphen="",
    topics=(
        ("年假", "休假申请", "提交休假申请", "人事伙伴"),
        ("差旅报销", "报销单", "填写报销单", "报销窗口"),
        ("新同事入职", "入职清单", "完成入职清单", "入职导师"),
        ("密码找回", "找回表单", "重置密码", "身份管理组"),
        ("远程接入", "接入配置", "开启远程会话", "网络组"),
        ("夜间备份", "备份集", "恢复备份集", "存储组"),
        ("软件发布", "发布工单", "推送新版本", "发布负责人"),
        ("接口限流", "调用配额", "提高调用配额", "网关组"),
        ("供应商发票", "发票", "审核发票", "账务台"),
        ("采购", "采购订单", "下采购订单", "采购台"),
        ("故障处理", "故障记录", "上报故障", "值班长"),
        ("会议室", "会议室预订", "预订会议室", "前台"),
        ("退货", "退货标签", "接收退货", "退货柜台"),
        ("仓库拣货", "拣货单", "关闭拣货单", "班组长"),
        ("数据保留", "保留规则", "修改保留规则", "档案管理员"),
        ("培训课程", "课程名额", "预留课程名额", "培训台"),
        ("设备借用", "借用卡", "借用设备", "设备台"),
        ("客户支持", "支持工单", "升级支持工单", "服务主管"),
        ("门禁卡", "门禁申请", "冻结丢失的门禁卡", "门岗"),
        ("模型评测", "评分表", "发布评分表", "评审组"),
    ),
    openings=(
        "{name}是关于{topic}的内部指南，适用于在{place}办公的所有团队。",
        "本页属于{name}手册，说明{topic}的办法，内容已与{place}的{role}商定。",
        "按照{name}方案，需要{action}的人应先联系{place}的{role}。",
        "自从启用{name}以后，与{topic}有关的事项都由{place}的{role}办理。",
        "{name}制度规定了{topic}的要求，员工、外包人员和{place}的访客都要遵守。",
        "关于{topic}的问题可以在{name}中找到答案，该文档由{person}维护。",
        "{name}取代了以前有关{topic}的说明，请在{action}之前先阅读。",
        "凡是需要{action}的同事，都要在{topic}门户{name}里开通账号。",
    ),
    sentences=(
        "如需{action}，请打开{name}，选择表单{code}，并把{person}填为联系人。",
        "每份{thing}保存{amount}，之后移到{place}的档案室。",
        "{role}会在{amount}之内答复，除非{person}要求复核。",
        "如果{thing}带有标记{code}，就不用排队，直接交给{person}。",
        "每份{thing}的上限是{amount}，例外情况只能由{person}批准。",
        "{thing}内容不全时，{role}会附上说明{code}退回。",
        "{place}的同事只要不超过{amount}，无须审批即可{action}。",
        "{person}每季抽查{amount}，并把结果告诉{role}。",
        "请不要通过邮件{action}，否则{name}里不会留下记录。",
        "{name}中的选项{code}决定是立即通知{role}，还是汇总以后再通知。",
        "超过{amount}仍无答复的，{thing}会转给{place}的{person}。",
        "草稿对{role}可见的期限为{other_amount}，作者离开公司后也一样。",
        "{other_amount}的费用由在{thing}上签字的团队承担。",
        "{name}停机期间，{place}的{role}会先用纸质表格登记，事后补录。",
        "只有{person}和{role}能看到谁曾经尝试{action}。",
        "{other_amount}以后系统发出提醒，再次提醒时会抄送团队主管。",
        "审计时，{thing}以编号{code}导出，并锁定不得修改。",
        "{place}以外的团队步骤相同，但要等{person}确认{thing}。",
        "模板{code}里已有常用的措辞，只需要补充原因。",
        "经常需要{action}的人，可以向{person}申请长期许可。",
        "较早的条目是从旧系统导入的，可能缺少{role}的姓名。",
        "{role}把{topic}的最新情况贴在{place}入口旁边的公告栏上。",
        "如果有人同时修改同一份{thing}，{name}会保留各个版本，由{role}决定。",
        "临时人员要先找到担保人，通常是{person}，才可以{action}。",
    ),
    between="",
    shortest=86,
    longest=150,
)


def noise_passages(count: int, seed: int = 0) -> Iterator[Passage]:
    """Yield passages of 40 to 120 words that no question is about, English and Chinese in turn, lazily.

    The first 128,000 all differ. The ``n``-th is the same whatever the count.

    Args:
        count: Number of passages.
        seed: Seed; another seed gives other passages.

    Yields:
        Passages with the source ``noise/1``, ``noise/2`` and so on.
    """
    rng = random.Random(f"noise/{seed}")  # noqa: S311 -- to repeat, not to keep secret
    for number in range(count):
        language = (_ENGLISH, _CHINESE)[number % 2]
        names = len(language.syllables) ** 3
        product = (number // 2 + 1) * _STEP % names
        yield Passage(language.passage(product, rng), source=f"noise/{number + 1}")
