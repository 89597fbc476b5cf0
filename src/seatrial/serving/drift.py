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

_MOST_ROWS = 1024  # of a request; of a larger one as many are taken, evenly
_WAITING = 256  # rows that are counted together, which costs a tenth of counting each by itself
_CHANCE = 0.01  # how often any of the columns may be above the noise though nothing changed


class Reading(Struct, frozen=True, kw_only=True):
    """The drift of `samples` rows: PSI by feature, the farthest first, and of the predictions if they are profiled.

    `noise` is what all of them stay below, 99 times in a hundred, where nothing changed; there is none of no rows.
    """

    samples: int = 0
    features: tuple[tuple[str, float], ...] = ()
    score: float | None = None
    noise: float | None = None


class DriftWatch:
    """Counts what one version is asked; safe to call from several threads at once.

    `columns` are the places of the profile's features in the model's input, `window` is in seconds of `clock`.
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
        self._profile = profile
        self._columns = np.array([places[each.name] for each in profile.features])
        self._width = len(inputs)
        columns: tuple[Column, ...] = (*profile.features, *([profile.score] if profile.score else []))
        self._told = columns
        self._edges = [np.array(each.edges) for each in columns]
        self._stride = max(len(each.counts) for each in columns) + 1  # the last place is for what is missing
        self._half, self._clock = window / 2, clock
        self._before, self._now = self._make_counts(), self._make_counts()
        self._turned = clock()
        self._waiting: list[tuple[Array, Array]] = []
        self._rows = 0
        self._changing = threading.Lock()

    def add(self, features: Array, scores: Array | None) -> None:
        """Count rows of the model's input, (rows, inputs), and their predictions, (rows,), if they are numbers."""
        if features.ndim != 2 or features.shape[1] != self._width:
            return
        if scores is None or scores.shape != features.shape[:1]:
            scores = np.full(len(features), np.nan)
        step = -(-len(features) // _MOST_ROWS)
        with self._changing:
            self._waiting.append((features[::step], scores[::step]))
            self._rows += len(features)
            if self._rows >= _WAITING:
                self._settle()

    def read(self) -> Reading:
        """What the window tells now."""
        with self._changing:
            self._settle()
            counts = self._before + self._now
        samples = int(counts[0].sum())
        if not samples:
            return Reading()
        drifts = [_measure(told, found) for told, found in zip(self._told, counts, strict=True)]
        named = [(each.name, drift) for each, drift in zip(self._profile.features, drifts, strict=False)]
        # By its most bins, and so that all columns together stay below it.
        level = 1 - _CHANCE / len(self._told)
        return Reading(
            samples=samples,
            features=tuple(sorted(named, key=lambda each: -each[1])),
            score=drifts[-1] if self._profile.score else None,
            noise=bound_psi(self._profile.rows, samples, self._stride - 1, level=level),
        )

    def _make_counts(self) -> NDArray[np.int64]:
        return np.zeros((len(self._told), self._stride), dtype=np.int64)

    def _settle(self) -> None:
        """Count what waits, and turn the halves if it is time."""
        if self._waiting:
            self._now += self._count(*map(np.concatenate, zip(*self._waiting, strict=True)))
            self._waiting, self._rows = [], 0
        passed = self._clock() - self._turned
        if passed >= self._half:
            self._before = self._now if passed < 2 * self._half else self._make_counts()
            self._now = self._make_counts()
            self._turned += passed

    def _count(self, features: Array, scores: Array) -> NDArray[np.int64]:
        """The counts (columns, stride) of rows (rows, inputs) and their predictions (rows,)."""
        values = np.empty((len(self._told), len(features)), dtype=np.float32)
        values[: len(self._columns)] = features[:, self._columns].T
        values[len(self._columns) :] = scores  # no row of it where the profile has none
        places = np.empty(values.shape, dtype=np.int64)
        for number, edges in enumerate(self._edges):
            places[number] = np.searchsorted(edges, values[number])
        places[np.isnan(values)] = self._stride - 1
        places += np.arange(len(values))[:, None] * self._stride
        size = len(values) * self._stride
        return np.bincount(places.ravel(), minlength=size).reshape(len(values), self._stride)


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
    if any(tensor.name == model.card.input and tensor.datatype == "BYTES" for tensor in model.inputs):
        raise ServeError(f"{path} counts numbers, and the model takes texts", hint="leave the profile out")
    return profile


def _measure(told: Column, found: NDArray[np.int64]) -> float:
    """PSI; what is missing is a bin where anything is."""
    bins = len(told.counts)
    base, head = [*told.counts], found[:bins].tolist()
    if told.missing or found[-1]:
        base, head = [*base, told.missing], [*head, int(found[-1])]
    return measure_psi(base, head)
