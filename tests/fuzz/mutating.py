"""Valid input with something wrong in it: that finds more than random bytes, which a parser refuses at their start."""

from __future__ import annotations

import copy
import json

from hypothesis import strategies as st

# What programs convert, compare or divide by without a look.
ODD = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 10**30, 10**400, 0.0, -0.0, 0.5, 1e-320, 5.0, 1e308),
    *(float("nan"), float("inf"), float("-inf"), "", " ", "0", "1", "nan", "inf", "1e400", "²", "٣", "true", "None"),
    *("\0", "\ud800", "\ufeff", "\u200b", "\x1b[31m", "::error::x", "a\nb", "{query}", "${HOME}", "(", "[a-", "a{2,1}"),
    *("../../etc", "/", "~", "http://[", "http://h:99999/", "x" * 2000, [], [[]], [None], {}, {"": {}}, {"a": []}),
    *([1, "a"], [1e400], [[1.0], [1.0, 2.0]], {"key": float("nan")}),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.sampled_from(ODD).map(copy.deepcopy) | st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
# Signs that mean something in a spec, in YAML or in a regular expression.
PIECES = (
    *"\0\t\n\r :?&=%@#/\\,;+-_~|>!*'\"()[]{}<>²٣\ud800\ufeff\u2028\x1b",
    "%00",
    "%ff",
    "://",
    "..",
    "---\n",
    "<<: ",
    "!!int ",
)


def places(value, above=()):
    """The keys that lead to each part of a value."""
    yield above
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*above, key))


@st.composite
def mutated(draw, valid, most=3):
    """A copy of a plain value in which a few parts are left out, doubled, called otherwise, or something else."""
    value = copy.deepcopy(valid)
    for _ in range(draw(st.integers(0, most))):
        value = _mutated_once(draw, value)
    return value


def _mutated_once(draw, value):
    where = draw(st.sampled_from(list(places(value))))
    if not where:
        return draw(VALUES) if draw(st.integers(0, 9)) == 0 else value
    *above, key = where
    holder = value
    for step in above:
        holder = holder[step]
    how = draw(st.sampled_from(["other", "out", "wrapped", "text", "renamed", "twice", "swapped"]))
    part = holder[key]
    if how == "out":
        del holder[key]
    elif how == "wrapped":
        holder[key] = draw(st.sampled_from([[part], {"x": part}, [part, part]]))
    elif how == "text":
        holder[key] = json.dumps(part, default=str)
    elif how == "renamed" and isinstance(holder, dict):
        holder[draw(st.text(max_size=5) | st.sampled_from([f"{key}s", key[:-1], key.upper()]))] = holder.pop(key)
    elif how == "twice" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(part))
    elif how == "swapped":
        other = value
        for step in draw(st.sampled_from(list(places(value)))):
            other = other[step]
        holder[key] = copy.deepcopy(other)
    else:
        holder[key] = draw(VALUES)
    return value


@st.composite
def mangled(draw, valid, most=4):
    """A text in which a few pieces are put in, left out or doubled."""
    text = valid
    for _ in range(draw(st.integers(0, most))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        new = draw(st.sampled_from(PIECES) | st.just(text[start:end] * 2) | st.text(max_size=3))
        text = text[:start] + new + text[end:]
    return text
