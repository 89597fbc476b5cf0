"""Metrics of decisions from counts, held against scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as oracle

from seatrial.stats.binary import BinarySample
from seatrial.stats.cells import measure_tables
from seatrial.stats.influence import Undefined
from seatrial.stats.names import SPECS, Measure, Task

Labels = NDArray[np.bool_]
REFERENCES: dict[str, Callable[[Labels, Labels], float]] = {
    "accuracy": oracle.accuracy_score,
    "precision": oracle.precision_score,
    "recall": oracle.recall_score,
    "specificity": lambda y, p: oracle.recall_score(~y, ~p),
    "f1": oracle.f1_score,
    "f_beta": lambda y, p: oracle.fbeta_score(y, p, beta=1.0),
    "balanced_accuracy": oracle.balanced_accuracy_score,
    "mcc": oracle.matthews_corrcoef,
    "kappa": oracle.cohen_kappa_score,
    "selection_rate": lambda _, p: float(p.mean()),
}


def rows_of(table: NDArray[np.int64]) -> tuple[Labels, Labels]:
    """The rows of a table of counts (2, 2), as labels and decisions."""
    cells = np.repeat(np.arange(4), table.ravel())
    return cells // 2 == 1, cells % 2 == 1


@pytest.mark.parametrize("name", REFERENCES)
@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 9), min_size=12, max_size=12))
def test_each_metric_is_that_of_scikit_learn(name: str, counts: list[int]) -> None:
    """Of several tables at once, each has scikit-learn's value."""
    tables = np.array(counts).reshape(3, 2, 2)
    expected = [REFERENCES[name](*rows_of(table)) for table in tables]
    np.testing.assert_allclose(measure_tables(tables.astype(float), name), expected, atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(REFERENCES) - {"selection_rate"}))
@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_values_are_missing_where_a_sample_has_none(name: str, counts: list[int]) -> None:
    """A table with empty cells has a value exactly where the rows themselves have one, and the same."""
    table = np.array(counts).reshape(2, 2)
    label, decision = rows_of(table)
    sample = BinarySample.of(label, decision.astype(float)).measure(Measure(name=name))
    found = float(measure_tables(table.astype(float), name))
    if isinstance(sample, Undefined):
        assert np.isnan(found)
    else:
        assert found == pytest.approx(sample.value, abs=1e-12)


def test_f_beta_weighs_recall() -> None:
    """Beta is recall's weight, as in scikit-learn."""
    table = np.array([[5, 2], [4, 9]])
    expected = oracle.fbeta_score(*rows_of(table), beta=2.5)
    assert float(measure_tables(table.astype(float), "f_beta", beta=2.5)) == pytest.approx(expected)


def test_all_metrics_of_decisions_are_known() -> None:
    """What a configuration may name of decisions can be computed from counts; what rests on scores is refused."""
    of_decisions = {name for name, spec in SPECS[Task.BINARY].items() if "at" in spec.settings}
    assert of_decisions <= set(REFERENCES)
    with pytest.raises(ValueError, match="'roc_auc' is no metric of decisions"):
        measure_tables(np.ones((2, 2)), "roc_auc")
