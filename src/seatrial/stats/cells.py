"""Metrics of binary decisions as functions of counts, for many tables of counts at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from seatrial.stats.influence import Bools, Floats

Metric: TypeAlias = Callable[[Floats, Floats, Floats, Floats], Floats]


def encode(label: Bools, base: Bools, head: Bools) -> NDArray[np.uint8]:
    """The cell (n,) of each row, 4·label + 2·baseline's decision + candidate's."""
    code: NDArray[np.uint8] = 4 * label.astype(np.uint8) + 2 * base.astype(np.uint8) + head.astype(np.uint8)
    return code


def measure_tables(tables: Floats, name: str, *, beta: float = 1.0) -> Floats:
    """The metric (…) of tables (…, 2, 2) of counts by label and decision; NaN where it has no value.

    `name` is one of a binary evaluation's metrics of decisions, or `selection_rate`, the share decided positive.
    Unknown names are a ValueError.
    """
    tn, fp = tables[..., 0, 0], tables[..., 0, 1]
    fn, tp = tables[..., 1, 0], tables[..., 1, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        if name == "f_beta":
            return _f_beta(tp, fp, fn, beta)
        if name not in _METRICS:
            known = ", ".join(sorted([*_METRICS, "f_beta"]))
            raise ValueError(f"{name!r} is no metric of decisions; known are {known}")
        return _METRICS[name](tn, fp, fn, tp)


def _f_beta(tp: Floats, fp: Floats, fn: Floats, beta: float) -> Floats:
    gain = (1 + beta * beta) * tp
    return gain / (gain + beta * beta * fn + fp)


def _mcc(tn: Floats, fp: Floats, fn: Floats, tp: Floats) -> Floats:
    positives, negatives, decided, passed = tp + fn, tn + fp, tp + fp, tn + fn
    value: Floats = (tp * tn - fp * fn) / (np.sqrt(positives * negatives) * np.sqrt(decided * passed))
    return value


def _kappa(tn: Floats, fp: Floats, fn: Floats, tp: Floats) -> Floats:
    apart = (tp + fp) * (fp + tn) + (tp + fn) * (fn + tn)
    value = 2 * (tp * tn - fp * fn) / apart
    return np.where((tp + fn) * (tn + fp) > 0, value, np.nan)


_METRICS: Mapping[str, Metric] = {
    "accuracy": lambda tn, fp, fn, tp: (tp + tn) / (tn + fp + fn + tp),
    "precision": lambda tn, fp, fn, tp: tp / (tp + fp),
    "recall": lambda tn, fp, fn, tp: tp / (tp + fn),
    "specificity": lambda tn, fp, fn, tp: tn / (tn + fp),
    "f1": lambda tn, fp, fn, tp: _f_beta(tp, fp, fn, 1.0),
    "balanced_accuracy": lambda tn, fp, fn, tp: (tp / (tp + fn) + tn / (tn + fp)) / 2,
    "mcc": _mcc,
    "kappa": _kappa,
    "selection_rate": lambda tn, fp, fn, tp: (tp + fp) / (tn + fp + fn + tp),
}
