"""The entry from labels and scores: thresholds, one-sided values, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from seatrial.stats.differences import estimate_differences, measure
from seatrial.stats.influence import Undefined
from seatrial.stats.paired import Estimate, Insufficient

LABEL = np.tile([0, 1], 20)
BASE = np.tile([0.2, 0.3, 0.1, 0.6], 10)
HEAD = np.tile([0.1, 0.45, 0.55, 0.8], 10)


def test_each_metric_has_its_own_threshold() -> None:
    """Recall at 0.4 and accuracy at the default of 0.5 are told from the same scores; reaching it is enough."""
    found = estimate_differences(LABEL, BASE, HEAD, {"recall": 0.45, "accuracy": None})
    assert list(found) == ["recall", "accuracy"]
    assert (found["recall"].base, found["recall"].head) == (0.5, 1.0)
    assert (found["accuracy"].base, found["accuracy"].head) == (0.75, 0.5)


def test_estimates_carry_both_values_and_their_difference() -> None:
    """The difference is head − base of the point values, and lies within the interval."""
    one = estimate_differences(LABEL, BASE, HEAD, {"brier": None})["brier"]
    assert isinstance(one, Estimate)
    assert one.base == pytest.approx(np.mean((BASE - LABEL) ** 2))
    assert one.head == pytest.approx(np.mean((HEAD - LABEL) ** 2))
    assert one.delta == one.head - one.base
    assert one.low < one.delta < one.high
    assert (one.n, one.level) == (40, 0.95)


def test_measure_gives_one_side_alone() -> None:
    """Point values of one side equal those of the pair, and an undefined one says why."""
    values = measure(LABEL, HEAD, {"recall": 0.45, "precision": 0.9})
    assert values == {"recall": 1.0, "precision": Undefined(reason="no row is predicted positive")}


def test_undefined_on_one_side_names_the_side() -> None:
    """A metric that one model leaves undefined is insufficient, with the other side's value."""
    found = estimate_differences(LABEL, BASE, HEAD, {"precision": 0.7})["precision"]
    assert found == Insufficient(reason="baseline: no row is predicted positive", n=40, base=None, head=1.0)


@pytest.mark.parametrize("same", [True, False])
def test_undefined_on_both_sides_is_said_once(same: bool) -> None:
    """Identical predictions do not turn an undefined metric into no change."""
    found = estimate_differences(np.zeros(40), BASE, BASE if same else HEAD, {"roc_auc": None})["roc_auc"]
    assert found == Insufficient(reason="there is no positive row", n=40)


@pytest.mark.parametrize(
    ("label", "base", "head", "metrics", "message"),
    [
        ([0, 1], [0.1, 0.2], [0.1, 0.2], {"auc": None}, "unknown metric 'auc'; known are accuracy"),
        ([0, 2], [0.1, 0.2], [0.1, 0.2], {}, "labels are not a row of 0 and 1"),
        ([0, 1], [0.1], [0.1, 0.2], {}, "one finite number for each label"),
        ([0, 1], [0.1, 0.2], [0.1, float("nan")], {}, "one finite number for each label"),
        ([0, 1], [0.1, 0.2], [0.1, float("inf")], {}, "one finite number for each label"),
    ],
)
def test_what_is_no_evaluation_is_refused(
    label: list[int], base: list[float], head: list[float], metrics: dict[str, float | None], message: str
) -> None:
    """Unknown names, other labels, other lengths, NaN and infinity are errors, never a number."""
    with pytest.raises(ValueError, match=message):
        estimate_differences(label, base, head, metrics)
