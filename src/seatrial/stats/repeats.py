"""What is known from repeated trainings: folds of a cross-validation, seeds, the history of a number.

Here the repetition is the training itself, so that these intervals do hold what a comparison on the same samples
leaves out. Each compares head − base.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seatrial.stats.influence import Floats
from seatrial.stats.paired import Insufficient, student
from seatrial.stats.spread import Spread

# Fewer values of the past say nothing of how a number varies.
MIN_HISTORY = 5
# Fewer trainings have no spread that could be told from luck.
MIN_REPEATS = 3
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedEstimate:
    """The difference `delta` = head − base of two means, its standard error and its interval low…high.

    `p_lower` and `p_higher` are one-sided: small where the data speak for a head that is lower, or higher, than the
    base. `df` are the degrees of freedom of t; `n` counts all values that were used. `method` names the method.
    """

    base: float
    head: float
    delta: float
    se: float
    low: float
    high: float
    level: float
    df: float
    n: int
    method: str
    p_lower: float
    p_higher: float


def compare_folds(
    base: ArrayLike, head: ArrayLike, *, test_train_ratio: float, level: float = 0.95
) -> RepeatedEstimate | Insufficient:
    """Corrected resampled t of Nadeau & Bengio 2003 for the same folds (folds,) of both sides.

    t = d̄ / √(s²·(1/J + n_test/n_train)), df = J − 1: folds share most of their training rows, so that s²/J alone is
    several times too small. `test_train_ratio` is n_test/n_train, 1/9 for ten folds. ValueError for unequal lengths,
    numbers that are not finite, or a ratio that is not above 0.
    """
    before, after = _finite("base", base), _finite("head", head)
    if before.size != after.size:
        raise ValueError(f"{before.size} folds can't be paired with {after.size}")
    if not (math.isfinite(test_train_ratio) and test_train_ratio > 0):
        raise ValueError(f"the ratio {test_train_ratio} of test to training rows is not above 0")
    folds = before.size
    if folds < MIN_REPEATS:
        return _too_few("folds", folds, MIN_REPEATS, before, after)
    spread = float(np.std(after - before, ddof=1))
    se = spread * math.sqrt(1 / folds + test_train_ratio)
    return _compare(before, after, se=se, df=folds - 1, level=level, n=folds, method="Nadeau–Bengio, t")


def compare_seeds(base: ArrayLike, head: ArrayLike, *, level: float = 0.95) -> RepeatedEstimate | Insufficient:
    """Welch's t (1947) of two unpaired sets of trainings, (seeds of base,) and (seeds of head,).

    Degrees of freedom by Welch–Satterthwaite. ValueError for numbers that are not finite.
    """
    before, after = _finite("base", base), _finite("head", head)
    fewest = min(before.size, after.size)
    if fewest < MIN_REPEATS:
        return _too_few("seeds", fewest, MIN_REPEATS, before, after)
    parts = [float(np.var(side, ddof=1)) / side.size for side in (before, after)]
    total = sum(parts)
    weighed = sum(part**2 / (side.size - 1) for part, side in zip(parts, (before, after), strict=True))
    df = total**2 / weighed if weighed else float(fewest - 1)
    n = before.size + after.size
    return _compare(before, after, se=math.sqrt(total), df=df, level=level, n=n, method="Welch, t")


def compare_with_history(history: ArrayLike, head: float, *, level: float = 0.95) -> RepeatedEstimate | Insufficient:
    """Whether one new value is like those of the past (k,): head − x̄ ± t·s·√(1 + 1/k), df = k − 1.

    It is the prediction interval of a further value, moved by head: it holds 0 just where head lies within
    x̄ ± t·s·√(1 + 1/k). The past must vary without a trend. Fewer than `MIN_HISTORY` values are Insufficient; ValueError
    for numbers that are not finite.
    """
    past, now = _finite("history", history), _finite("head", [head])
    if past.size < MIN_HISTORY:
        return _too_few("values of the past", past.size, MIN_HISTORY, past, now)
    se = float(np.std(past, ddof=1)) * math.sqrt(1 + 1 / past.size)
    method = "prediction interval, t"
    return _compare(past, now, se=se, df=past.size - 1, level=level, n=past.size + 1, method=method)


def _finite(name: str, values: ArrayLike) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise ValueError(f"{name} is not a row of finite numbers")
    return numbers


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None


def _too_few(what: str, found: int, needed: int, base: Floats, head: Floats) -> Insufficient:
    reason = f"it has {found} {what}, and {needed} are needed"
    return Insufficient(reason=reason, n=base.size + head.size, base=_mean(base), head=_mean(head))


def _compare(
    base: Floats, head: Floats, *, se: float, df: float, level: float, n: int, method: str
) -> RepeatedEstimate | Insufficient:
    before, after = float(base.mean()), float(head.mean())
    delta = after - before
    if se <= _ROUNDING * max(abs(before), abs(after)):
        reason = "its values do not vary, so that nothing tells how sure the difference is"
        return Insufficient(reason=reason, n=n, base=before, head=after)
    found = student(delta, Spread(se=se, df=df, method=method), level=level)
    return RepeatedEstimate(
        base=before,
        head=after,
        delta=delta,
        se=found.se,
        low=found.low,
        high=found.high,
        level=level,
        df=found.df,
        n=n,
        method=found.method,
        p_lower=found.p_lower,
        p_higher=found.p_higher,
    )
