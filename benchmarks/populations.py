"""Populations of a few hundred thousand rows that two models answered, from which test sets are drawn.

A population's metrics are known exactly, so that an interval made from a test set either holds the true difference or
does not. Test sets are drawn with replacement: each row, query or cluster is an independent draw from the population,
as the statistics assume. The candidate differs a little from the baseline in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.binary import BinarySample
from seatrial.stats.estimates import measure_one
from seatrial.stats.multiclass import MulticlassSample
from seatrial.stats.names import SPECS, Measure, Task
from seatrial.stats.regression import RegressionSample
from seatrial.stats.retrieval import RankingSample
from seatrial.stats.sample import Sample
from seatrial.stats.scores import ScoreSample
from seatrial.stats.units import rows_of

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
_ROWS = 300_000
_MEAN_CLUSTER = 10
# How much of what rows have in common is common to their cluster.
_SHARED = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What two models answered; `start` (clusters + 1,) is where each cluster's rows start, None if rows are free."""

    base: Sample
    head: Sample
    measures: tuple[Measure, ...]
    start: Ints | None = None

    def find_truth(self) -> dict[Measure, float]:
        """The true difference of each metric."""
        before, after = (measure_one(side, self.measures) for side in (self.base, self.head))
        truth = {}
        for measure in self.measures:
            low, high = before[measure], after[measure]
            if not (isinstance(low, float) and isinstance(high, float)):
                raise TypeError(f"{measure} has no value in the whole population")
            truth[measure] = high - low
        return truth

    def draw(self, random: np.random.Generator, n: int) -> tuple[Sample, Sample, Ints | None]:
        """Both models' answers on a test set of n units, or of as many clusters as have about n, and their clusters."""
        if self.start is None:
            units = random.integers(0, self.head.size, n)
            return self.base.select(units), self.head.select(units), None
        drawn = random.integers(0, self.start.size - 1, max(round(n / _MEAN_CLUSTER), 2))
        rows, begin = rows_of(self.start, drawn)
        # A cluster that is drawn twice is two clusters.
        clusters = np.repeat(np.arange(drawn.size), np.diff(begin))
        return self.base.select(rows), self.head.select(rows), clusters


_SETTINGS: Mapping[str, Mapping[str, Any]] = {"f_beta": {"beta": 2.0}, "top_k": {"k": 3}, "pinball": {"quantile": 0.9}}
# f1_micro is accuracy where each row has one class, and recall_macro balanced accuracy where all classes have rows.
_TWINS = frozenset({"f1_micro", "recall_macro"})


def _list_measures(task: Task) -> tuple[Measure, ...]:
    return tuple(Measure(name=name, **_SETTINGS.get(name, {})) for name in SPECS[task] if name not in _TWINS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Rows in clusters, and noise that those of a cluster share in part."""

    random: np.random.Generator
    cluster: Ints
    start: Ints | None

    @classmethod
    def of(cls, seed: int, sizes: str) -> _Rows:
        """Rows of clusters that are `free` (one row each), `equal`, or `unequal` (effectively a third as many)."""
        random = np.random.default_rng(seed)
        if sizes == "free":
            return cls(random=random, cluster=np.arange(_ROWS), start=None)
        count = _ROWS // _MEAN_CLUSTER
        each = np.full(count, _MEAN_CLUSTER)
        if sizes == "unequal":
            each = np.ceil(random.lognormal(np.log(_MEAN_CLUSTER - 0.5) - 0.5, 1.0, count)).astype(np.intp)
        return cls(
            random=random,
            cluster=np.repeat(np.arange(count), each),
            start=np.concatenate(([0], np.cumsum(each))).astype(np.intp),
        )

    @property
    def size(self) -> int:
        return self.cluster.size

    def noise(self) -> Floats:
        """Standard normal (rows,), correlated within a cluster if there are clusters."""
        own = self.random.standard_normal(self.size)
        if self.start is None:
            return own
        common = self.random.standard_normal(self.start.size - 1)[self.cluster]
        noise: Floats = np.sqrt(1 - _SHARED) * own + np.sqrt(_SHARED) * common
        return noise


def _sigmoid(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-values))


def make_binary(sizes: str = "free", *, shift: float = 0.0, threshold: float = 0.5) -> Population:
    """Labels that a hidden cause makes likely, and scores that know it with an error, most of it common to both."""
    rows = _Rows.of(1, sizes)
    cause = rows.noise()
    label = rows.random.random(rows.size) < _sigmoid(2 * cause + shift)
    common = rows.noise()
    base, head = (
        BinarySample.of(label, _sigmoid(1.6 * cause + shift + 0.6 * common + own * rows.noise()), threshold=threshold)
        for own in (0.55, 0.45)
    )
    return Population(base=base, head=head, measures=_list_measures(Task.BINARY), start=rows.start)


def make_multiclass(sizes: str = "free", *, shares: tuple[float, ...]) -> Population:
    """Classes with these shares, and probabilities that favour the true one."""
    rows, classes = _Rows.of(2, sizes), len(shares)
    label = rows.random.choice(classes, rows.size, p=shares)
    common = np.stack([rows.noise() for _ in shares], axis=1)
    sides = []
    for own in (0.8, 0.7):
        logits = 1.8 * np.eye(classes)[label] + common + np.log(shares)
        logits += own * np.stack([rows.noise() for _ in shares], axis=1)
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        likely /= likely.sum(axis=1, keepdims=True)
        sides.append(MulticlassSample.of(label, classes=classes, probability=likely))
    return Population(base=sides[0], head=sides[1], measures=_list_measures(Task.MULTICLASS), start=rows.start)


def make_regression(sizes: str = "free", *, tail: float = 0.0) -> Population:
    """Numbers above 0, and predictions whose error's size varies by exp(tail · N(0, 1)): a tail of 0.5 is heavy."""
    rows = _Rows.of(3, sizes)
    truth = 10 * np.exp(0.4 * rows.noise())
    size = np.exp(tail * rows.random.standard_normal(rows.size))
    common = rows.noise()
    base, head = (
        RegressionSample.of(truth, truth + size * (1.5 * common + own * rows.noise()) + 0.2) for own in (1.1, 1.0)
    )
    return Population(base=base, head=head, measures=_list_measures(Task.REGRESSION), start=rows.start)


def make_ranking() -> Population:
    """Queries of 12 documents with grades of 0 to 3, most of them 0, and scores with ties."""
    documents, random = 12, np.random.default_rng(4)
    query = np.repeat(np.arange(_ROWS // documents), documents)
    grade = random.choice(4, query.size, p=(0.7, 0.15, 0.1, 0.05)).astype(np.float64)
    common = random.standard_normal(query.size)
    base, head = (
        RankingSample.of(query, grade, np.round(grade + common + own * random.standard_normal(query.size), 1))
        for own in (0.8, 0.7)
    )
    return Population(base=base, head=head, measures=_list_measures(Task.RANKING))


def make_scores() -> Population:
    """Prompts of which each was answered three times and graded from 0 to 10."""
    draws, random = 3, np.random.default_rng(5)
    prompts = _ROWS // draws
    level = np.repeat(6 + 2 * random.standard_normal(prompts), draws)
    unit = np.repeat(np.arange(prompts), draws)
    base, head = (
        ScoreSample.of(np.clip(np.round(level + gain + 1.5 * random.standard_normal(unit.size)), 0, 10), unit=unit)
        for gain in (0.0, 0.1)
    )
    return Population(base=base, head=head, measures=_list_measures(Task.SCORES))


POPULATIONS: Mapping[str, Callable[[], Population]] = {
    "binary, half positive": make_binary,
    "binary, 5 % positive": lambda: make_binary(shift=-4.35, threshold=0.15),
    "five classes of equal size": lambda: make_multiclass(shares=(0.2, 0.2, 0.2, 0.2, 0.2)),
    "five classes, 50 % to 4 %": lambda: make_multiclass(shares=(0.5, 0.22, 0.14, 0.1, 0.04)),
    "regression, normal errors": make_regression,
    "regression, heavy tails": lambda: make_regression(tail=0.5),
    "ranking (n queries)": make_ranking,
    "graded answers (n prompts)": make_scores,
    "binary, clusters of 10": lambda: make_binary("equal"),
    "binary, clusters of 1 to 300": lambda: make_binary("unequal"),
    "binary, 21 % positive, clusters of 1 to 300": lambda: make_binary("unequal", shift=-2.1, threshold=0.3),
    "five classes, clusters of 1 to 300": lambda: make_multiclass("unequal", shares=(0.2, 0.2, 0.2, 0.2, 0.2)),
    "regression, clusters of 1 to 300": lambda: make_regression("unequal"),
}
