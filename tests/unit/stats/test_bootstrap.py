"""Intervals from drawn counts: deterministic, honest for few rows, and in agreement with influences for many."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from seatrial.stats.bootstrap import CellInterval, bootstrap_cells, draw_cells
from seatrial.stats.cells import measure_tables
from seatrial.stats.influence import Undefined

Floats = NDArray[np.float64]


def f1_difference(counts: Floats) -> Floats:
    """F1 of the second decision less that of the first, of counts (draws, 8) by label and both decisions."""
    joint = counts.reshape(-1, 2, 2, 2)
    return measure_tables(joint.sum(axis=2), "f1") - measure_tables(joint.sum(axis=3), "f1")


def intervals(counts: NDArray[np.int64], **options: float) -> CellInterval:
    """The interval of the F1 difference, which must have one."""
    found = bootstrap_cells(counts, f1_difference, **options)  # type: ignore[arg-type]
    assert isinstance(found, CellInterval), found
    return found


# By label, baseline's decision, candidate's decision.
COUNTS = np.array([400, 20, 30, 50, 60, 40, 25, 375])


def test_the_same_counts_give_the_same_interval() -> None:
    """Nothing is left to chance but the seed, and another seed moves the ends by little."""
    one, two, other = intervals(COUNTS), intervals(COUNTS), intervals(COUNTS, seed=1)
    assert one == two
    assert one != other
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.002)


def test_many_rows_agree_with_the_delta_method() -> None:
    """On 1,000 rows the standard error is that of the numerical gradient of the cells, within 3 %."""
    rows = COUNTS.sum()
    steps = np.eye(8) * 1e-3
    gradient = (f1_difference(COUNTS + steps) - f1_difference(COUNTS - steps)) / 2e-3
    share = COUNTS / rows
    se = np.sqrt(rows * (share @ gradient**2 - (share @ gradient) ** 2))
    assert intervals(COUNTS).se == pytest.approx(float(se), rel=0.03)


def test_small_counts_are_covered() -> None:
    """On 40 rows, 300 simulated times, the 95 % interval covers the true difference in at least 94 %."""
    share = np.array([0.52, 0.03, 0.02, 0.03, 0.03, 0.02, 0.03, 0.32])
    truth = float(f1_difference(share[np.newaxis])[0])
    rng = np.random.default_rng(8)
    found = [intervals(rng.multinomial(40, share), replicates=1000) for _ in range(300)]
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.94


def test_no_disagreement_is_not_certainty() -> None:
    """Where the models never disagree in 30 rows, the interval still has a width; without smoothing it would not."""
    agreed = np.array([15, 0, 0, 0, 0, 0, 0, 15])
    assert intervals(agreed).low < 0 < intervals(agreed).high
    plain = intervals(agreed, smoothing=0.0)
    assert (plain.low, plain.high) == (0.0, 0.0)


def test_the_value_is_within_its_interval() -> None:
    """A share of 1 lies above all draws that smoothing allows most of the time, and still in its interval."""
    found = bootstrap_cells([0, 4], lambda counts: counts[:, 1] / counts.sum(axis=1), smoothing=1.0, level=0.1)
    assert isinstance(found, CellInterval)
    assert found.high == found.value == 1.0


def test_a_higher_level_is_wider() -> None:
    """The interval of 99 % holds that of 80 %."""
    wide, narrow = intervals(COUNTS, level=0.99), intervals(COUNTS, level=0.8)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_what_has_no_value_says_why() -> None:
    """No value on the counts, or in many resamples, is Undefined with the reason."""
    nothing = bootstrap_cells(np.zeros(8), f1_difference)
    assert nothing == Undefined(reason="it has no value on these counts")
    rare = bootstrap_cells([1, 1], lambda counts: counts[:, 0] / (counts[:, 1] > 0), smoothing=0.0)
    assert isinstance(rare, Undefined)
    assert rare.reason == "it has no value in 25% of resamples"


def test_draws_hold_all_rows() -> None:
    """Each draw has as many rows as the counts, in their proportions, and streams of seeds differ."""
    drawn = draw_cells([10, 0, 90], replicates=4000, smoothing=0.0)
    assert (drawn.sum(axis=1) == 100).all()
    np.testing.assert_allclose(drawn.mean(axis=0), [10, 0, 90], atol=0.3)
    assert not np.array_equal(draw_cells([5, 5], seed=(0, 1)), draw_cells([5, 5], seed=(0, 2)))


@pytest.mark.parametrize("counts", [[1, -1], [0.5], [float("nan")], [[1]]])
def test_what_is_no_count_is_refused(counts: list[float]) -> None:
    """Negative, broken and missing counts are errors, and so is a negative smoothing."""
    with pytest.raises(ValueError, match="not a row of whole numbers"):
        draw_cells(counts)
    with pytest.raises(ValueError, match="smoothing"):
        draw_cells([1], smoothing=-1.0)
