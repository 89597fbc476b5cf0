"""How well probabilities agree with what happens: bins for a reliability diagram, and the expected calibration error.

For display, not for gates: the plain error is too large, a perfectly calibrated model having 0.07 with 15 bins and
200 rows, and what it is depends on the bins. Gate on the Brier score or the log loss, which calibration is a part of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from seatrial.stats.binary import NO_PROBABILITIES
from seatrial.stats.influence import Bools, Floats, Undefined
from seatrial.stats.proportions import wilson_interval

Binning: TypeAlias = Literal["equal_width", "equal_mass"]
BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows whose probability lies between `lower` and `upper`.

    `confidence` is their mean probability, `frequency` the share of positives with Wilson's interval low…high.
    """

    lower: float
    upper: float
    rows: int
    confidence: float
    frequency: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The bins that have rows, and how far confidence and frequency are apart in them.

    `error` is the plain expected calibration error Σ (rows/n)·|frequency − confidence|, `noise` what it would be on
    average if the model were perfectly calibrated, `debiased_error` the error less what noise is estimated to add to
    it, at least 0. `square` is the debiased mean squared error, which may be below 0 where the model is as well
    calibrated as its rows can tell.
    """

    n: int
    bins: tuple[Bin, ...]
    error: float
    noise: float
    debiased_error: float
    square: float


def measure_calibration(
    label: ArrayLike, score: ArrayLike, *, bins: int = BINS, binning: Binning = "equal_mass", level: float = 0.95
) -> Calibration | Undefined:
    """Calibration of probabilities (n,) against labels (n,) of 0 and 1.

    Bins of equal width, or of equal mass, in which case equal scores stay together and there may be fewer.
    The debiased error takes from each bin the excess E|N(d, s²)| − |d| of noise with s² = frequency·(1 −
    frequency)/rows about the difference d that was observed (Kumar, Liang & Ma 2019, by formula instead of simulation).
    What was observed has some noise already, so that about two thirds of the bias stay: compare with `noise`. The
    square, theirs too, has none.

    Undefined without rows, or where a score is no probability; ValueError for labels that are not 0 or 1, unequal
    lengths, or no bins.
    """
    truth, probability = _check(label, score, bins)
    if probability.size == 0:
        return Undefined(reason="there are no rows")
    if not ((probability >= 0) & (probability <= 1)).all():
        return Undefined(reason=NO_PROBABILITIES)
    edges = _find_edges(probability, bins, binning)
    place = np.searchsorted(edges[1:-1], probability, side="right")
    rows = np.bincount(place, minlength=edges.size - 1)
    filled = np.flatnonzero(rows)
    confidence = np.bincount(place, weights=probability, minlength=rows.size)[filled] / rows[filled]
    positives = np.bincount(place, weights=truth, minlength=rows.size)[filled]
    chance = np.bincount(place, weights=probability * (1 - probability), minlength=rows.size)[filled]
    found = tuple(
        _describe(edges, int(at), int(rows[at]), float(mean), int(hits), level)
        for at, mean, hits in zip(filled, confidence, positives, strict=True)
    )
    mass = rows[filled].astype(np.float64)
    share, frequency = mass / truth.size, positives / mass
    apart = frequency - confidence
    return Calibration(
        n=int(truth.size),
        bins=found,
        error=float(share @ np.abs(apart)),
        noise=float(share @ (np.sqrt(2 / np.pi * chance) / mass)),
        debiased_error=max(float(share @ (np.abs(apart) - _find_excess(apart, frequency, mass))), 0.0),
        square=_debias_square(share, apart, frequency, mass),
    )


def _check(label: ArrayLike, score: ArrayLike, bins: int) -> tuple[Bools, Floats]:
    truth, probability = np.asarray(label), np.asarray(score, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != probability.shape or not ((truth == 0) | (truth == 1)).all():
        raise ValueError("labels are not a 0 or 1 for each score")
    if bins < 1:
        raise ValueError(f"{bins} bins hold no rows")
    return truth.astype(np.bool_), probability


def _find_edges(probability: Floats, bins: int, binning: Binning) -> Floats:
    """All edges (bins + 1,), from 0 to 1 or from the lowest score to the highest."""
    if binning == "equal_width":
        return np.linspace(0, 1, bins + 1)
    ranked = np.sort(probability)
    # The first score of each bin is its lower edge, so that equal scores are never parted.
    inner = np.unique(ranked[np.arange(1, bins) * ranked.size // bins])
    return np.concatenate(([ranked[0]], inner[inner > ranked[0]], [ranked[-1]]))


def _describe(edges: Floats, at: int, rows: int, confidence: float, hits: int, level: float) -> Bin:
    low, high = wilson_interval(hits, rows, level=level)
    return Bin(
        lower=float(edges[at]),
        upper=float(edges[at + 1]),
        rows=rows,
        confidence=confidence,
        frequency=hits / rows,
        low=low,
        high=high,
    )


def _find_excess(apart: Floats, frequency: Floats, rows: Floats) -> Floats:
    """By how much noise is expected to raise |difference| (bins,): the mean of a folded normal less |difference|."""
    # Imported here because it costs more than numpy.
    from scipy.special import ndtr

    # A frequency of 0 or 1 is not free of noise: half a row is added to each side.
    smooth = (frequency * rows + 0.5) / (rows + 1)
    noise = np.sqrt(smooth * (1 - smooth) / rows)
    ratio = apart / noise
    folded = noise * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2) + apart * (1 - 2 * ndtr(-ratio))
    excess: Floats = folded - np.abs(apart)
    return excess


def _debias_square(share: Floats, apart: Floats, frequency: Floats, rows: Floats) -> float:
    """Σ share·(d² − f(1 − f)/(rows − 1)); a bin of one row, whose noise can't be told, counts with 0."""
    several = rows > 1
    noise = frequency[several] * (1 - frequency[several]) / (rows[several] - 1)
    return float(share[several] @ (apart[several] ** 2 - noise))
