"""The mean of a score column, with one draw per unit or several."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from seatrial.stats.estimates import estimate
from seatrial.stats.influence import Influence, Undefined
from seatrial.stats.names import SPECS, Measure, Task
from seatrial.stats.paired import Estimate
from seatrial.stats.scores import DrawComponents, ScoreSample, find_components
from tests.unit.stats.derivatives import influences

MEAN = Measure(name="mean")


def measured(sample: ScoreSample) -> Influence:
    """The mean with its influences, where it is defined."""
    found = sample.measure(MEAN)
    assert isinstance(found, Influence), found
    return found


def test_the_mean_is_all_there_is() -> None:
    """The metrics that a configuration may name for scores are the one that is tested here."""
    assert set(SPECS[Task.SCORES]) == {"mean"}


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(-5, 5)), min_size=1, max_size=30),
    st.lists(st.floats(0.1, 9), min_size=5, max_size=5) | st.none(),
)
def test_draws_count_as_their_mean(rows: list[tuple[int, float]], weights: list[float] | None) -> None:
    """The value is the weighted mean over units of the unit's mean, and ψ is its derivative in the unit's weight."""
    unit, score = np.array([one for one, _ in rows]), np.array([one for _, one in rows])
    of_rows = None if weights is None else np.array(weights)[unit]
    sample = ScoreSample.of(score, unit=unit, weight=of_rows)
    names = np.unique(unit)
    means = np.array([score[unit == name].mean() for name in names])
    weight = np.ones(names.size) if weights is None else np.array(weights)[names]
    found = measured(sample)
    assert sample.units.tolist() == names.tolist()
    assert found.value == pytest.approx(np.average(means, weights=weight), abs=1e-12)
    derivative = influences(lambda moved: float(np.average(means, weights=moved)), weight)
    np.testing.assert_allclose(found.psi, derivative, atol=1e-6)


def test_more_draws_of_the_same_answers_prove_nothing_more() -> None:
    """Each row ten times in its unit leaves every influence as it was; as rows of their own they would seem news."""
    score = np.array([0.1, 0.7, 0.4])
    once = measured(ScoreSample.of(score))
    drawn = measured(ScoreSample.of(np.repeat(score, 10), unit=np.repeat([0, 1, 2], 10)))
    np.testing.assert_allclose(drawn.psi, once.psi, atol=1e-15)
    assert (drawn.support, once.support) == (3, 3)


def test_scores_are_estimated_like_rows() -> None:
    """The engine takes scores as samples: draws count by unit, and right or wrong is judged as a proportion."""
    rng = np.random.default_rng(3)
    base, head = (rng.random(60) for _ in range(2))
    unit = np.repeat(np.arange(20), 3)
    graded = estimate(ScoreSample.of(base, unit=unit), ScoreSample.of(head, unit=unit), [MEAN])[MEAN]
    assert isinstance(graded, Estimate)
    apart = (head - base).reshape(20, 3).mean(axis=1)
    expected = ttest_1samp(apart, 0).confidence_interval(0.95)
    assert (graded.low, graded.high) == pytest.approx((expected.low, expected.high))
    plain = estimate(ScoreSample.of(base < 0.5), ScoreSample.of(head < 0.5), [MEAN])[MEAN]
    assert isinstance(plain, Estimate)
    assert plain.method == "Tango score"


def test_zeros_and_ones_are_a_proportion() -> None:
    """Scores of 0 and 1 alone carry hits, for the intervals of proportions; anything between, or weights, do not."""
    plain = measured(ScoreSample.of([0, 1, 1]))
    assert plain.hits is not None
    assert plain.hits.tolist() == [False, True, True]
    assert measured(ScoreSample.of([0, 1, 0.5])).hits is None
    assert measured(ScoreSample.of([0, 1, 1], unit=[0, 0, 1])).hits is None
    assert measured(ScoreSample.of([0, 1, 1], weight=[1, 2, 1])).hits is None


def test_components_are_those_that_were_simulated() -> None:
    """4 draws with variance 1 a side on units whose differences vary by 0.25: 0.5 within, 0.25 between."""
    rng = np.random.default_rng(11)
    prompts = np.repeat(np.arange(20_000), 4)
    shift = rng.normal(0, 0.5, 20_000)
    common = rng.normal(0, 3, 20_000)
    base = ScoreSample.of(common[prompts] + rng.normal(size=prompts.size), unit=prompts)
    head = ScoreSample.of((common + shift)[prompts] + rng.normal(size=prompts.size), unit=prompts)
    found = find_components(base, head)
    assert isinstance(found, DrawComponents)
    assert found.within == pytest.approx(0.5, rel=0.02)
    assert found.between == pytest.approx(0.25, rel=0.1)
    assert found.draws == 4
    assert (
        found.advice == "4 draws per unit make up 67% of the variance: more units would help, and so would more draws"
    )


@pytest.mark.parametrize(
    ("within", "between", "ending"),
    [
        (0.1, 0.9, "more units would help, more draws would not"),
        (0.5, 0.5, "more units would help, and so would more draws"),
        (1.0, 0.0, "more draws would help"),
        (0.0, 0.0, "more units would help, more draws would not"),
    ],
)
def test_advice_follows_the_larger_part(within: float, between: float, ending: str) -> None:
    """What is said to help is what the variance comes from."""
    assert DrawComponents(units=9, draws=3, within=within, between=between).advice.endswith(ending)


def test_components_need_units_and_draws() -> None:
    """One unit, or single draws, have no components; unequal numbers of units are an error."""
    single, drawn = ScoreSample.of([1, 2]), ScoreSample.of([1, 2, 3], unit=[0, 0, 1])
    assert find_components(single, single) == Undefined(reason="no unit was drawn twice")
    assert find_components(drawn, single) == Undefined(reason="no unit was drawn twice")
    assert isinstance(find_components(drawn, drawn), DrawComponents)
    one = ScoreSample.of([1, 2], unit=[0, 0])
    assert find_components(one, one) == Undefined(reason="there are not 2 units")
    with pytest.raises(ValueError, match="2 units can't be paired with 1"):
        find_components(drawn, one)


def test_select_and_likeness_know_the_draws() -> None:
    """A sub-sample is that of the units alone; a unit with the same mean of other draws is another answer."""
    sample = ScoreSample.of([1, 3, 5, 7], unit=["a", "a", "b", "c"], weight=[2, 2, 1, 3])
    assert sample.select(np.array([2, 0])).units.tolist() == ["c", "a"]
    assert sample.select(slice(0, 2)).answers_like(ScoreSample.of([1, 3, 5], unit=[0, 0, 1], weight=[2, 2, 1]), MEAN)
    assert not ScoreSample.of([1, 3], unit=[0, 0]).answers_like(ScoreSample.of([0, 4], unit=[0, 0]), MEAN)
    assert not ScoreSample.of([1.0]).answers_like(ScoreSample.of([1.0], weight=[2.0]), MEAN)


def test_what_has_no_value_says_why() -> None:
    """No units, and sums that overflow, are Undefined with the reason."""
    assert ScoreSample.of([]).measure(MEAN) == Undefined(reason="there are no rows")
    for score in ([1.7e308, 1.7e308], [1e200, -1e200]):
        found = ScoreSample.of(score).measure(MEAN)
        assert found == Undefined(reason="its scores are too large to be squared or summed")


@pytest.mark.parametrize(
    ("score", "unit", "weight", "reason"),
    [
        ([1.0, np.nan], None, None, "not one finite number"),
        ([1.0, 2.0], [0], None, "not one name"),
        ([1.0, 2.0], [0, 0], [1, 2], "weights that differ"),
        ([1.0, 2.0], None, [1, 0], "above 0"),
    ],
)
def test_bad_arrays_are_refused(
    score: list[float], unit: list[int] | None, weight: list[float] | None, reason: str
) -> None:
    """NaN, unequal lengths, and weights that differ or vanish are errors."""
    with pytest.raises(ValueError, match=reason):
        ScoreSample.of(score, unit=unit, weight=weight)


def test_other_metrics_are_refused() -> None:
    """A metric of another task is a ValueError."""
    with pytest.raises(ValueError, match="unknown metric"):
        ScoreSample.of([1.0]).measure(Measure(name="mse"))
