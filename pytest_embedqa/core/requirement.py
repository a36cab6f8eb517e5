"""A requirement: a test's promise about a score, made before anything is measured."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from pytest_embedqa.core.errors import SpecError

# Metrics from -1 to 1: correlations, cosines, and p-MRR, which is below 0 where a model follows instructions the wrong
# way. ``main_score`` is among them, as it may be any of these. All other metrics of mteb lie in [0, 1].
_SIGNED = re.compile(
    r"spearman|pearson|kendall|mcc|kappa|^ari$|^ami$|^p-MRR$|^alpha_auc$|^(mean_)?cosine$|^main_score$|^ndcg_loss$|^mean(_by_type)?$"
)
# Metrics of at most 1 with no lower limit: they compare a model with a guess, and it can be much worse than the guess.
_NO_LOWER_LIMIT = re.compile(r"nauc|^r2$")
# Errors of regression tasks, lengths of vectors, counts, speeds, times and sizes have no upper limit.
_UNBOUNDED = re.compile(
    r"^(mae|mse|rmse|ratio|norm|growth|score_shift|active_dimensions)$|_(per_s|ms|mb)$|^(bytes_per_vector|build_s)$"
)
# Measures with a unit need few decimals, and values from _LARGE on hardly any.
_IN_UNITS = re.compile(r"_(per_s|ms|mb)$|^(bytes_per_vector|build_s)$")
_LARGE = 10

MAIN_SCORE = "main_score"


class Kind(str, enum.Enum):
    """The way to read the bound of a requirement."""

    MIN = "min"
    MAX = "max"
    VS_PUBLISHED = "vs_published"
    MAX_REGRESSION = "max_regression"
    MAX_LOSS = "max_loss"


@dataclass(frozen=True)
class Requirement:
    """A promise: ``measure`` compared with ``bound``.

    Attributes:
        kind: The way to read the bound.
        measure: A metric of the task (``ndcg_at_10``), or ``main_score``.
        bound: The absolute bound (min, max), the allowed difference to the published score
            (``vs_published``, usually negative), or the allowed drop (``max_regression`` against another encoder,
            ``max_loss`` against the same with whole vectors; not negative).
    """

    kind: Kind
    measure: str
    bound: float

    def __post_init__(self) -> None:
        """Reject a bound that can never hold or can never fail: both are mistakes, not promises."""
        low, high = score_range(self.measure)
        bound = self.bound
        if bound != bound:  # noqa: PLR0124  NaN is the only number that differs from itself
            raise SpecError(f"{self} has the bound NaN, which nothing can reach.")
        if self.kind is Kind.MIN and not low < bound <= high:
            raise SpecError(_impossible(self, low, high))
        if self.kind is Kind.MAX and not low <= bound < high:
            raise SpecError(_impossible(self, low, high))
        if self.kind is Kind.VS_PUBLISHED and not -1 < bound < 1:
            raise SpecError(f"{self}: a margin to the published score lies between -1 and 1, e.g. -0.015.")
        if self.kind in {Kind.MAX_REGRESSION, Kind.MAX_LOSS} and not 0 <= bound < 1:
            raise SpecError(f"{self}: an allowed drop is a number from 0 up to 1, e.g. 0.01 for one point.")

    @property
    def digits(self) -> int:
        """Decimals of the values shown beside this bound: with four decimals, 0.99999 could not be told from 1."""
        if _IN_UNITS.search(self.measure):
            return 1 if self.bound >= _LARGE else 2
        return min(max(4, len(f"{self.bound:.5f}".rstrip("0").partition(".")[2])), 5)

    def __str__(self) -> str:
        """Return the marker argument that the requirement came from, e.g. ``min_ndcg_at_10=0.48``."""
        name = f"{self.kind.value}_{self.measure}" if self.kind in {Kind.MIN, Kind.MAX} else self.kind.value
        return f"{name}={self.bound:g}"


def score_range(measure: str) -> tuple[float, float]:
    """Return the lowest and the highest value that a metric can take."""
    if _UNBOUNDED.search(measure):
        return 0.0, float("inf")
    if _NO_LOWER_LIMIT.search(measure):
        return float("-inf"), 1.0
    return (-1.0 if _SIGNED.search(measure) else 0.0), 1.0


def _impossible(requirement: Requirement, low: float, high: float) -> str:
    never = "can never hold" if (requirement.bound > high or requirement.kind is Kind.MAX) else "can never fail"
    if requirement.kind is Kind.MAX:
        never = "can never fail" if requirement.bound >= high else "can never hold"
    hint = ""
    if 1 < requirement.bound <= 100:  # noqa: PLR2004  a percentage
        hint = f" Scores are fractions: did you mean {requirement.bound / 100:g}?"
    return f"{requirement} {never}: {requirement.measure} lies between {low:g} and {high:g}.{hint}"
