"""Gaps between groups: Fairlearn's definition, honest intervals, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from seatrial.stats.cells import measure_tables
from seatrial.stats.gaps import Gap, gap_of_cells, gap_of_estimates
from seatrial.stats.influence import Undefined

# By group, label, baseline's decision, candidate's decision.
CELLS = np.array(
    [
        [[[200, 10], [12, 30]], [[20, 14], [6, 120]]],
        [[[150, 8], [9, 22]], [[30, 2], [22, 90]]],
        [[[80, 3], [6, 9]], [[10, 5], [3, 44]]],
    ]
)


def found(gap: Gap | Undefined) -> Gap:
    """The gap, which must have a value."""
    assert isinstance(gap, Gap), gap
    return gap


def draw_groups(shares: NDArray[np.float64], rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Counts (groups, 2, 2, 2) of positives alone, both models finding each with a group's own share."""
    hit = [[(1 - p) * 0.7, (1 - p) * 0.3, (1 - p) * 0.3, p - (1 - p) * 0.3] for p in shares]
    positives = np.array([rng.multinomial(rows, one) for one in hit]).reshape(-1, 1, 2, 2)
    return np.concatenate((np.full_like(positives, 50), positives), axis=1)


def test_the_gap_is_highest_less_lowest() -> None:
    """Recalls of the groups, their extremes, and which groups these are, on both sides."""
    gap = found(gap_of_cells(CELLS, "recall", replicates=500))
    base = [126 / 160, 112 / 144, 47 / 62]
    head = [134 / 160, 92 / 144, 49 / 62]
    assert gap.base == pytest.approx(max(base) - min(base))
    assert gap.head == pytest.approx(max(head) - min(head))
    assert gap.delta == pytest.approx(gap.head - gap.base)
    assert (gap.highest, gap.lowest, gap.groups, gap.left_out) == (0, 1, 3, 0)
    assert gap.low < gap.delta < gap.high
    assert gap.low > 0


def test_the_same_counts_give_the_same_gap() -> None:
    """Nothing is left to chance but the seed."""
    assert gap_of_cells(CELLS, "f1", replicates=500) == gap_of_cells(CELLS, "f1", replicates=500)
    assert gap_of_cells(CELLS, "f1", replicates=500) != gap_of_cells(CELLS, "f1", replicates=500, seed=1)


def test_swapping_the_models_swaps_the_sides() -> None:
    """The gaps change places and the change turns its sign; its interval does so within the noise of the draws."""
    one = found(gap_of_cells(CELLS, "accuracy", replicates=4000))
    two = found(gap_of_cells(CELLS.swapaxes(2, 3), "accuracy", replicates=4000))
    assert (one.base, one.head, one.delta) == pytest.approx((two.head, two.base, -two.delta))
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low), abs=0.006)


def test_equal_groups_have_no_proven_gap() -> None:
    """Of eight truly equal groups the observed gap is large, but its interval begins at 0 in 19 of 20 cases."""
    rng = np.random.default_rng(6)
    gaps = [found(gap_of_cells(draw_groups(np.full(8, 0.8), 160, rng), "recall", replicates=400)) for _ in range(100)]
    assert np.mean([one.head for one in gaps]) > 0.07
    assert np.mean([one.head_low == 0 for one in gaps]) >= 0.93
    assert np.mean([one.low <= 0 <= one.high for one in gaps]) >= 0.93
    told = np.mean([one.head_bias for one in gaps])
    assert told == pytest.approx(np.mean([one.head for one in gaps]), rel=0.3)


def test_a_true_gap_is_covered() -> None:
    """Five groups from 0.9 down to 0.75: the interval holds 0.15 in at least 19 of 20 cases, and proves some of it."""
    rng = np.random.default_rng(7)
    shares = np.linspace(0.9, 0.75, 5)
    gaps = [found(gap_of_cells(draw_groups(shares, 400, rng), "recall", replicates=400)) for _ in range(100)]
    assert np.mean([one.head_low <= 0.15 <= one.head_high for one in gaps]) >= 0.95
    assert np.mean([one.head_low > 0.03 for one in gaps]) > 0.8


def test_estimates_and_cells_agree() -> None:
    """With many rows, the normal draws of estimated recalls give the gap and the interval of the drawn counts."""
    cells = CELLS * 20
    gap = found(gap_of_cells(cells, "recall"))
    values, covariance = np.empty((3, 2)), np.empty((3, 2, 2))
    for group, joint in enumerate(cells):
        rows = np.repeat(np.arange(4), joint[1].ravel())
        hits = np.stack([rows // 2, rows % 2])
        values[group], covariance[group] = hits.mean(axis=1), np.cov(hits) / hits.shape[1]
    other = found(gap_of_estimates(values, covariance))
    assert (other.base, other.head) == pytest.approx((gap.base, gap.head))
    assert (other.low, other.high) == pytest.approx((gap.low, gap.high), abs=0.004)
    assert (other.head_low, other.head_high) == pytest.approx((gap.head_low, gap.head_high), abs=0.004)


def test_identical_models_have_no_change() -> None:
    """With values of full correlation, the change is 0 in each draw, and so are the ends of its interval."""
    same = found(gap_of_estimates([[0.5, 0.5], [0.7, 0.7]], [[[0.01, 0.01], [0.01, 0.01]]] * 2, replicates=500))
    assert (same.delta, same.base, same.head) == pytest.approx((0, 0.2, 0.2))
    assert (same.low, same.high) == pytest.approx((0, 0), abs=1e-7)


def test_groups_without_a_value_are_left_out() -> None:
    """A group without positives has no recall and is counted as such; NaN estimates likewise; one group has no gap."""
    cells = np.concatenate((CELLS, np.zeros((1, 2, 2, 2), dtype=int)))
    gap = found(gap_of_cells(cells, "recall", replicates=500))
    assert (gap.groups, gap.left_out, gap.lowest) == (3, 1, 1)
    one = gap_of_cells(CELLS[:1], "recall")
    assert one == Undefined(reason="1 of 1 groups have a value, and 2 are needed")
    none = gap_of_estimates([[0.5, np.nan], [0.7, 0.7]], np.zeros((2, 2, 2)))
    assert none == Undefined(reason="1 of 2 groups have a value, and 2 are needed")


def test_the_gap_of_f_beta_takes_its_beta() -> None:
    """The setting of the metric reaches the gap."""
    gap = found(gap_of_cells(CELLS, "f_beta", beta=2.0, replicates=200))
    values = measure_tables(CELLS.sum(axis=2).astype(float), "f_beta", beta=2.0)
    assert gap.head == pytest.approx(np.ptp(values))


@pytest.mark.parametrize(
    "covariance", [[[[-1.0, 0], [0, 1]]] * 2, [[[1.0, 2], [2, 1]]] * 2, [[[1.0, np.nan], [np.nan, 1]]] * 2]
)
def test_covariances_that_cannot_be_are_refused(covariance: list[list[list[float]]]) -> None:
    """A negative variance, a correlation of 2 and NaN are errors."""
    with pytest.raises(ValueError, match="covariance"):
        gap_of_estimates([[0.1, 0.2], [0.3, 0.4]], covariance)


def test_other_shapes_and_names_are_refused() -> None:
    """Counts must be (groups, 2, 2, 2), and the metric one of decisions."""
    with pytest.raises(ValueError, match="are not"):
        gap_of_cells(np.ones((3, 2, 2)), "recall")
    with pytest.raises(ValueError, match="are not"):
        gap_of_estimates([[0.1, 0.2]], [[0.1, 0.2]])
    with pytest.raises(ValueError, match="no metric of decisions"):
        gap_of_cells(CELLS, "roc_auc")
