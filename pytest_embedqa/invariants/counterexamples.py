"""The search for a text that breaks a promise, with Hypothesis, which shrinks it to the smallest such text."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pytest_embedqa.core.errors import MissingExtraError
from pytest_embedqa.invariants.invariant import Finding

if TYPE_CHECKING:
    from hypothesis import settings
    from hypothesis.strategies import SearchStrategy

Example = TypeVar("Example")

# To search longer, register a profile of this name: hypothesis.settings.register_profile("embedqa", max_examples=1000).
PROFILE = "embedqa"
_EXAMPLES = 30


def worst(
    strategy: Callable[[], SearchStrategy[Example]],
    measure: Callable[[Example], float],
    bound: float,
    show: Callable[[Example], str] = repr,
) -> Finding:
    """Return the largest measure over drawn examples.

    Args:
        strategy: Function that makes the strategy to draw from; called once Hypothesis is known to be installed.
        measure: Function to maximise: a larger value is worse.
        bound: Largest allowed value.
        show: Function that formats an example for a reader.

    Returns:
        The largest value; or, where it exceeds the bound, the smallest example that exceeds it, with its value.

    Raises:
        MissingExtraError: If Hypothesis is not installed.
    """
    if importlib.util.find_spec("hypothesis") is None:
        raise MissingExtraError("hypothesis", "invariants", "An invariant that looks for a failing text")
    from hypothesis import find
    from hypothesis.errors import NoSuchExample

    seen = [0.0]

    def exceeds(example: Example) -> bool:
        seen.append(measure(example))
        return not seen[-1] <= bound  # NaN exceeds any bound

    try:
        smallest = find(strategy(), exceeds, settings=_settings())
    except NoSuchExample:
        return Finding(max(seen))
    return Finding(measure(smallest), show(smallest))


def _settings() -> settings:
    """Return the profile: the same examples in every run, and no deadline, because a model may be slow."""
    from hypothesis import HealthCheck, settings
    from hypothesis.errors import InvalidArgument

    try:
        return settings.get_profile(PROFILE)
    except InvalidArgument:
        settings.register_profile(
            PROFILE,
            max_examples=_EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        return settings.get_profile(PROFILE)


def texts() -> SearchStrategy[str]:
    """Return a strategy for texts of any characters, and texts of words."""
    from hypothesis import strategies as st

    return st.one_of(st.text(max_size=60), sentences())


def sentences() -> SearchStrategy[str]:
    """Return a strategy for words with single blanks between them."""
    from hypothesis import strategies as st

    from pytest_embedqa.invariants.texts import WORDS

    return st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)


def spaced() -> SearchStrategy[tuple[str, str]]:
    """Return a strategy for a text of words, paired with the same words in other white space."""
    from hypothesis import strategies as st

    from pytest_embedqa.invariants.texts import WORDS

    gaps = st.text(st.sampled_from(" \t\n\r\u00a0"), max_size=3)
    parts = st.lists(st.tuples(st.sampled_from(WORDS), gaps.map(lambda gap: gap or " ")), min_size=2, max_size=8)
    return st.tuples(parts, gaps).map(
        lambda drawn: (" ".join(word for word, _ in drawn[0]), drawn[1] + "".join(word + gap for word, gap in drawn[0]))
    )
