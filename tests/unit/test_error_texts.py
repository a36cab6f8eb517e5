"""Every text of an error is read by a test: a text that none reads may be wrong, or never shown."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

import pytest_embedqa

ROOT = Path(pytest_embedqa.__file__).parent
TESTS = Path(__file__).parents[1]
# A string of a test reads the text with which it has most words in a row in common: no fewer than these,
# and no less than this part of the string, which may say where and what beside them.
WORDS = 3
PART = 1 / 4
_WORD = re.compile(r"[^\W\d_]\w*(?:'\w+)*")
_VALUE = "\0"  # what stands for a value between the literal pieces of a text
# In a string of a test: a value, or what matches anything in a pattern of pytester or of re.
_GAP = re.compile(rf"{_VALUE}|\.?\*|\.\+|\||\\[a-mo-zA-Z]")
_MAKERS = frozenset({"fail", "skip", "warn", "problems.append", "parser.error", "super().__init__"})


def literal(node):
    """The text of an expression, with a mark for each value in it."""
    text = _VALUE
    match node:
        case ast.Constant(value=str(text)):
            pass
        case ast.JoinedStr(values=parts):
            text = "".join(map(literal, parts))
        case ast.FormattedValue(value=ast.IfExp() | ast.JoinedStr() as value):
            text = f"{_VALUE}{literal(value)}{_VALUE}"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            text = literal(left) + literal(right)
        case ast.IfExp(body=one, orelse=other):
            text = f"{literal(one)}{_VALUE}{literal(other)}"
        case ast.Tuple(elts=parts):
            text = _VALUE.join(map(literal, parts))
    return text


def fragments(text):
    """What a text says between its values, each a tuple of words."""
    return tuple(words for part in text.split(_VALUE) if (words := tuple(_WORD.findall(part))))


def called(call):
    """The last part of the name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def text_of_call(call, makers):
    """The text of the error that a call makes; empty if it makes none."""
    if called(call) == "MissingExtraError":
        package, _, purpose = map(literal, call.args)
        return f"{purpose} needs the package '{package}"
    if called(call).endswith("Error") or {called(call), ast.unparse(call.func)} & makers:
        return _VALUE.join(map(literal, call.args))
    return ""


def texts_of(source, makers=_MAKERS, *, prints=False):
    """The texts of a source's errors as (line, fragments): raised, failed with, warned of, or yielded as a problem.

    Args:
        source: Python.
        makers: Names of what else makes an error of a text.
        prints: Whether what it yields are lines of an output, not problems.
    """
    tree, found, helpers = ast.parse(source), [], set()
    for node in ast.walk(tree):
        match node:
            case ast.Call() if text := text_of_call(node, makers):
                found.append((node, text))
                helpers |= {called(part) for part in ast.walk(node) if isinstance(part, ast.Call) and part is not node}
            case ast.Assign(targets=[ast.Name(id="problem")], value=value):
                found.append((node, literal(value)))
            case ast.Yield(value=ast.Constant() | ast.JoinedStr() | ast.Tuple() as value) if not prints:
                found.append((node, literal(value)))
    for function in ast.walk(tree):  # those that put a text together for an error
        if isinstance(function, ast.FunctionDef) and function.name in helpers and makes(function, "str"):
            returns = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
            found += [(node, literal(node.value)) for node in returns]
    # A single word, or none, is a name or a join of other texts.
    return [(node.lineno, said) for node, text in found if size(said := fragments(text)) > 1]


def makes(function, what):
    """Whether a function says that it returns a text, or an error."""
    return function.returns is not None and ast.unparse(function.returns).endswith(what)


def strings_of(source):
    """The strings of a test as words and gaps; without docstrings, which promise and do not check."""
    tree = ast.parse(source)
    skipped = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    skipped |= {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and node not in skipped:
            text = _GAP.sub(_VALUE, literal(node)).replace("\\n", " ").replace("\\", "")
            yield tuple(re.findall(rf"{_WORD.pattern}|{_VALUE}", text))


def runs(words, length):
    """All runs of so many words in a row."""
    return {words[start : start + length] for start in range(len(words) - length + 1)}


class Reader:
    """Which texts the strings of tests read."""

    def __init__(self, texts):
        self._near, self._whole = defaultdict(set), defaultdict(set)
        for text in texts:
            self._whole[max(text, key=len)].add(text)
            for words in text:
                for length in range(WORDS, len(words) + 1):
                    for run in runs(words, length):
                        self._near[run].add(text)
        self._most = max((len(run) for run in self._whole), default=0)

    def read(self, string):
        """Those texts of which a string says all between their values, and the one that it is nearest to."""
        found, near, least = set(), set(), PART * len(string)
        for length in range(min(len(string), self._most), 0, -1):
            here = runs(string, length)
            whole = set().union(*(self._whole.get(run, ()) for run in here))
            found |= {text for text in whole if size(text) >= least and says_all(string, text)}
            if not near and length >= max(WORDS, least):
                near = set().union(*(self._near.get(run, ()) for run in here))
        # Of several as near the shortest: the string says nothing of what the others say beside that.
        return found | {min(near, key=size)} if near else found


def size(text):
    """Words of a text."""
    return sum(map(len, text))


def says_all(string, text):
    """Whether all fragments of a text stand in a string, in their order."""
    pattern = ".*".join(re.escape(" ".join(words)) for words in text)
    return re.search(rf"\b{pattern}", " ".join(string)) is not None


def unread(texts, strings):
    """The texts that no string reads."""
    reader = Reader(texts)
    return set(texts) - set().union(*(reader.read(string) for string in strings))


def texts_of_package():
    """Every text of an error, with the places where it is made."""
    sources = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}
    functions = [
        node for one in sources.values() for node in ast.walk(ast.parse(one)) if isinstance(node, ast.FunctionDef)
    ]
    makers = _MAKERS | {one.name for one in functions if makes(one, "Error")}
    found = defaultdict(list)
    for path, source in sources.items():
        for line, text in texts_of(source, makers, prints=path.parts[0] in {"commands", "reports"}):
            found[text].append(f"{path}:{line}")
    return found


def test_every_text_is_read():
    """What a user can meet as an error stands in a test, which names file and line of each that does not."""
    texts = texts_of_package()
    files = [path for path in TESTS.rglob("*.py") if path != Path(__file__)]
    strings = {string for path in files for string in strings_of(path.read_text(encoding="utf-8"))}
    missing = sorted(f"{place}: {shown(text)}" for text in unread(texts, strings) for place in texts[text])
    assert not missing, "\n".join(["no test reads", *missing])


def shown(text):
    """A text for the eyes."""
    return " … ".join(" ".join(words) for words in text)


def test_every_way_to_make_an_error_is_found():
    """Raised, failed with, put together by a function, assigned, appended, yielded, or of a missing package."""
    source = """
def _said(name) -> str:
    return f"{name} was put together"

def check(path, problems):
    if path:
        raise SpecError(f"{path} was raised" + f" with {path!r:.60} inside")
    pytest.fail(f"{path} was failed with", pytrace=False)
    raise parser.error("was told by argparse") from None
    raise DataError(_said(path))
    raise _wrong(path, "was given to a maker")
    problem = f"{path}: was assigned"
    problems.append((1, f"was {'not ' if path else ''}appended"))
    yield 1, f"was yielded on line {path}"
    raise MissingExtraError("pypdf", "rag", f"Reading {path}")
    raise Broken("not an error of ours by its name")
"""
    found = {shown(text) for _, text in texts_of(source, _MAKERS | {"_wrong"})}
    assert found == {
        "was raised with … inside",
        "was failed with",
        "was told by argparse",
        "was put together",
        "was given to a maker",
        "was assigned",
        "was … not … appended",
        "was yielded on line",
        "Reading … needs the package pypdf",
    }
    assert not [text for _, text in texts_of(source, prints=True) if "yielded" in shown(text)]


TEXTS = [
    fragments(f"The spec {_VALUE} names no model. Write st:MODEL."),
    fragments(f"The spec {_VALUE} names no model."),
    fragments(f"{_VALUE} is {_VALUE}, but must be {_VALUE}."),
]


@pytest.mark.parametrize(
    ("test", "read"),
    [
        ('match=r"names no model\\. Write .*"', {0}),
        ("assert says == \"The spec 'st' names no model. Write st:MODEL.\"", {0, 1}),
        ("match=f'The spec {spec} names no model'", {1}),
        ("fnmatch_lines(['*x is 3, but must be a text*'])", {2}),
        ('"""The spec names no model."""', set()),
        ("'the model has no other name'", set()),
        ("'names no'", set()),
        ("'where a file of many words in passing names no model among them nothing was read of it'", set()),
    ],
)
def test_a_string_reads_the_text_that_it_quotes(test, read):
    """Quoted words in a row count, through patterns and values; docstrings, chance and passing mention do not."""
    strings = list(strings_of(f"{test}\n" if test.startswith('"""') else f"x({test.removeprefix('assert ')})"))
    assert set(TEXTS) - unread(TEXTS, strings) == {TEXTS[number] for number in read}
