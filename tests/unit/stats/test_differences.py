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


def test_reaching_the_threshold_is_enough() -> None:
    """A score that equals the threshold is a positive decision, and the default threshold is 0.5."""
    found = estimate_differences(LABEL, BASE, HEAD, ["recall"], base_threshold=0.6, head_threshold=0.45)
    assert (found["recall"].base, found["recall"].head) == (0.5, 1.0)
    found = estimate_differences(LABEL, BASE, HEAD, ["accuracy", "recall"])
    assert list(found) == ["accuracy", "recall"]
    assert (found["accuracy"].base, found["accuracy"].head) == (0.75, 0.5)


def test_only_the_threshold_differs() -> None:
    """A moved threshold changes decisions, and their metrics have an interval; the scores' metrics are identical."""
    metrics = ["recall", "roc_auc"]
    found = estimate_differences(LABEL, HEAD, HEAD, metrics, base_threshold=0.5, head_threshold=0.4)
    recall, auc = found["recall"], found["roc_auc"]
    assert isinstance(recall, Estimate)
    assert isinstance(auc, Estimate)
    assert (recall.delta, recall.method) == (0.5, "Tango score")
    assert (auc.delta, auc.method) == (0, "identical")


def test_estimates_carry_both_values_and_their_difference() -> None:
    """The difference is head − base of the point values, and lies within the interval."""
    one = estimate_differences(LABEL, BASE, HEAD, ["brier"])["brier"]
    assert isinstance(one, Estimate)
    assert one.base == pytest.approx(np.mean((BASE - LABEL) ** 2))
    assert one.head == pytest.approx(np.mean((HEAD - LABEL) ** 2))
    assert one.delta == one.head - one.base
    assert one.low < one.delta < one.high
    assert (one.n, one.level) == (40, 0.95)


def test_measure_gives_one_side_alone() -> None:
    """Point values of one side equal those of the pair, and an undefined one says why."""
    values = measure(LABEL, HEAD, ["recall", "precision"], threshold=0.9)
    assert values == {"recall": 0.0, "precision": Undefined(reason="no row is predicted positive")}


def test_undefined_on_one_side_names_the_side() -> None:
    """A metric that one model leaves undefined is insufficient, with the other side's value."""
    found = estimate_differences(LABEL, BASE, HEAD, ["precision"], base_threshold=0.7, head_threshold=0.7)["precision"]
    assert found == Insufficient(reason="baseline: no row is predicted positive", n=40, base=None, head=1.0)


@pytest.mark.parametrize("same", [True, False])
def test_undefined_on_both_sides_is_said_once(same: bool) -> None:
    """Identical predictions do not turn an undefined metric into no change."""
    found = estimate_differences(np.zeros(40), BASE, BASE if same else HEAD, ["roc_auc"])["roc_auc"]
    assert found == Insufficient(reason="there is no positive row", n=40)


@pytest.mark.parametrize(
    ("label", "base", "head", "metrics", "message"),
    [
        ([0, 1], [0.1, 0.2], [0.1, 0.2], ["auc"], "unknown metric 'auc'; known are accuracy"),
        ([0, 2], [0.1, 0.2], [0.1, 0.2], [], "labels are not a row of 0 and 1"),
        ([0, 1], [0.1], [0.1, 0.2], [], "one finite number for each label"),
        ([0, 1], [0.1, 0.2], [0.1, float("nan")], [], "one finite number for each label"),
        ([0, 1], [0.1, 0.2], [0.1, float("inf")], [], "one finite number for each label"),
    ],
)
def test_what_is_no_evaluation_is_refused(
    label: list[int], base: list[float], head: list[float], metrics: list[str], message: str
) -> None:
    """Unknown names, other labels, other lengths, NaN and infinity are errors, never a number."""
    with pytest.raises(ValueError, match=message):
        estimate_differences(label, base, head, metrics)


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_threshold_is_a_number(threshold: float) -> None:
    """A threshold that no score can reach by comparison is an error, not a model without positives."""
    with pytest.raises(ValueError, match="is not a finite number"):
        estimate_differences(LABEL, BASE, HEAD, ["recall"], head_threshold=threshold)
