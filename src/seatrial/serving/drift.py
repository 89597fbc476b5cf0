"""How far the inputs and predictions of a served version are from those that it was judged on.

Rows are counted in the bins of the release's profile, in two halves of a window that take turns: what is told is of
the last half window at least, and of a whole one at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from seatrial.core.profile import PROFILE, Column, Profile, check_names, decode_profile
from seatrial.errors import ServeError
from seatrial.serving.runtimes import Array, LoadedModel
from seatrial.stats.drift import bound_psi, measure_psi

WINDOW = 86_400.0
"""Seconds, by default: what comes and goes with the hours is no drift then."""

_MANY = 8  # rows of a request; of twice as many or more, some are taken evenly: these at least, and an eighth
_WAITING = 256  # rows that are counted together, which costs a tenth of counting each by itself
_CHANCE = 0.01  # how often any of the columns may be above the noise though nothing changed


class Reading(Struct, frozen=True, kw_only=True):
    """The drift of `samples` rows: PSI by feature, the farthest first, and of the predictions if they are profiled.

    `coverage` grows to 1 in the first half of a window: an hour after midnight is no day.
    `noise` is what all of them stay below, 99 times in a hundred, where nothing changed; there is none of no rows.
    """

    samples: int = 0
    coverage: float = 0.0
    features: tuple[tuple[str, float], ...] = ()
    score: float | None = None
    noise: float | None = None


class DriftWatch:
    """Counts what one version is asked; safe to call from several threads at once.

    `inputs` name the columns of the model's input, `window` is in seconds of `clock`.
    """

    def __init__(
        self,
        profile: Profile,
        inputs: tuple[str, ...],
        *,
        window: float = WINDOW,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        places = {name: place for place, name in enumerate(inputs)}
        columns = [_Watched(name=each.name, place=places[each.name], told=each) for each in profile.features]
        if profile.score:
            columns.append(_Watched(name=None, place=len(inputs), told=profile.score))
        columns.sort(key=lambda each: -len(each.told.edges))
        self._rows, self._width = profile.rows, len(inputs)
        self._columns = columns
        self._places = np.array([each.place for each in columns])
        self._bounds = _arrange_bounds([each.told.edges for each in columns])
        self._stride = len(self._bounds) + 2  # bins, and the last place for what is missing
        self._half, self._clock = window / 2, clock
        self._before, self._now = self._make_counts(), self._make_counts()
        self._started = self._turned = clock()
        self._waiting: list[tuple[Array, Array]] = []
        self._waits = 0
        self._changing = threading.Lock()

    def add(self, features: Array, scores: Array | None) -> None:
        """Count rows of the model's input, (rows, inputs), and their predictions, (rows,), if they are numbers."""
        if features.shape[1:] != (self._width,) or not len(features):
            return
        if scores is None or scores.shape != features.shape[:1]:
            scores = np.full(len(features), np.nan)
        step = max(1, min(len(features) // _MANY, _MANY))
        taken = features, scores
        if step > 1:  # copied, so that the rest is let go
            taken = _narrow(features[::step]), _narrow(scores[::step])
        with self._changing:
            self._waiting.append(taken)
            self._waits += len(taken[0])
            if self._waits >= _WAITING:
                self._settle()

    def read(self) -> Reading:
        """What the window tells now."""
        with self._changing:
            self._settle()
            counts = self._before + self._now
        samples = int(counts[0].sum())
        coverage = min(1.0, (self._clock() - self._started) / self._half)
        if not samples:
            return Reading(coverage=coverage)
        drifts = {each.name: _measure(each.told, found) for each, found in zip(self._columns, counts, strict=True)}
        score = drifts.pop(None, None)
        named = [(name, drift) for name, drift in drifts.items() if name is not None]
        # By the most bins that there are, and so that all columns together stay below it.
        level = 1 - _CHANCE / len(self._columns)
        return Reading(
            samples=samples,
            coverage=coverage,
            features=tuple(sorted(named, key=lambda each: -each[1])),
            score=score,
            noise=bound_psi(self._rows, samples, self._stride - 1, level=level),
        )

    def _make_counts(self) -> NDArray[np.int64]:
        return np.zeros((len(self._columns), self._stride), dtype=np.int64)

    def _settle(self) -> None:
        """Count what waits, and turn the halves if it is time."""
        if self._waiting:
            self._now += self._count(*map(np.concatenate, zip(*self._waiting, strict=True)))
            self._waiting, self._waits = [], 0
        passed = self._clock() - self._turned
        if passed >= self._half:
            self._before = self._now if passed < 2 * self._half else self._make_counts()
            self._now = self._make_counts()
            self._turned += passed

    def _count(self, features: Array, scores: Array) -> NDArray[np.int64]:
        """The counts (columns, stride) of rows (rows, inputs) and their predictions (rows,)."""
        values = _narrow(np.column_stack((features, scores)).T[self._places])
        bins = np.zeros(values.shape, dtype=np.uint8)
        for bounds in self._bounds:
            bins[: len(bounds)] += values[: len(bounds)] > bounds
        bins[np.isnan(values)] = self._stride - 1
        places = bins + np.arange(0, len(values) * self._stride, self._stride)[:, None]
        return np.bincount(places.ravel(), minlength=len(values) * self._stride).reshape(len(values), self._stride)


class _Watched(Struct, frozen=True, kw_only=True):
    """A column: its place in the input, behind which the predictions stand, which have no name."""

    name: str | None
    place: int
    told: Column


def _arrange_bounds(edges: list[tuple[float, ...]]) -> list[NDArray[np.float32]]:
    """The first edge of every column, the second of those that have one, …, each (columns, 1); the most come first.

    To compare with one after the other is several times as quick as to search each column. An edge becomes the
    largest 32-bit float that is no larger, so that a value is above the one if it is above the other.
    """
    most = len(edges[0])
    bounds = [np.array([each[number] for each in edges if len(each) > number])[:, None] for number in range(most)]
    return [_round_down(each) for each in bounds]


def _narrow(values: Array) -> NDArray[np.float32]:
    """As 32-bit floats; what is too large for one is infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _round_down(edges: NDArray[np.float64]) -> NDArray[np.float32]:
    rounded = _narrow(edges)
    return np.where(rounded > edges, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def read_profile(directory: Path, model: LoadedModel) -> Profile | None:
    """The profile of a model's directory, None where it has none; ServeError for one that does not fit the model."""
    path = directory / PROFILE
    try:
        profile = decode_profile(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ServeError(f"{path}: {error}") from error
    check_names(profile, model.card.inputs, str(path))
    tensor = next(tensor for tensor in model.inputs if tensor.name == model.card.input)
    if tensor.datatype == "BYTES" or len(tensor.shape) != 2:
        told = f"{tensor.datatype} {[*tensor.shape]}"
        raise ServeError(f"{path} counts columns of numbers, and the model takes {told}", hint="leave the profile out")
    return profile


def _measure(told: Column, found: NDArray[np.int64]) -> float:
    """PSI; what is missing is a bin where anything is."""
    bins = len(told.counts)
    base, head = [*told.counts], found[:bins].tolist()
    if told.missing or found[-1]:
        base, head = [*base, told.missing], [*head, int(found[-1])]
    return measure_psi(base, head)
