"""What every task's predictions offer to the estimates: metrics with influences, sub-samples, comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.influence import Influence, Undefined
from seatrial.stats.names import SPECS, Measure, MetricSpec, Task

if TYPE_CHECKING:
    from typing_extensions import Self

Units: TypeAlias = NDArray[np.intp] | slice

_SETTINGS = ("at", "k", "beta", "quantile")


class Sample(Protocol):
    """One model's answers on n units (rows; for ranking, queries), with the truth and the weights.

    Samples that are compared hold the same units in the same order. They are values: nothing in them changes.
    """

    task: ClassVar[Task]

    @property
    def size(self) -> int:
        """The number of units."""

    def measure(self, measure: Measure) -> Influence | Undefined:
        """The metric's value, and each unit's influence on it; ValueError if the task has no such metric or setting."""

    def select(self, units: Units) -> Self:
        """The sub-sample of these units, in this order; a slice costs no copy."""

    def answers_like(self, other: Self, measure: Measure) -> bool:
        """Whether all that the metric sees is equal: truth, answers, weights and settings."""


def find_spec(task: Task, measure: Measure) -> MetricSpec:
    """What is known of the metric; ValueError if the task has no such metric, or the metric no such setting."""
    specs = SPECS[task]
    if measure.name not in specs:
        raise ValueError(f"unknown metric {measure.name!r}; known are {', '.join(specs)}")
    spec = specs[measure.name]
    for setting in _SETTINGS:
        if getattr(measure, setting) is not None and setting not in spec.settings:
            raise ValueError(f"the metric {measure.name} takes no {setting!r}")
    return spec
