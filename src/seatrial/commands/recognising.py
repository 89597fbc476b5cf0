"""Which metrics file was computed from a table of predictions, and at which threshold: found by computing it again."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterator, Mapping

from seatrial.config.proposal import Predicted
from seatrial.core.metrics import Snapshot, Value, is_finite
from seatrial.errors import CompareError
from seatrial.git import Repository
from seatrial.sources.candidates import Candidate, find_candidates
from seatrial.sources.predictions import Predictions
from seatrial.sources.samples import build_samples
from seatrial.stats.estimates import measure_one
from seatrial.stats.names import DEFAULT_THRESHOLD, SPECS, Measure, Task

_AGREEMENT = 1e-4
_MOST_THRESHOLDS = 20
_ENOUGH = 2
_Match = tuple[str | None, float | str, tuple[str, ...]]
_NOTHING: _Match = (None, DEFAULT_THRESHOLD, ())


def recognise_predictions(repository: Repository, snapshot: Snapshot) -> tuple[Predicted, ...]:
    """The prediction-like tables of a side, each with the metrics file that it yields to the digit."""
    return tuple(_describe(candidate, snapshot) for candidate in find_candidates(repository, snapshot.revision))


def _describe(candidate: Candidate, snapshot: Snapshot) -> Predicted:
    predictions = None if candidate.task is Task.RANKING else candidate.predictions
    file, threshold, names = _match(predictions, snapshot) if predictions else _NOTHING
    # That several metrics come out to the digit is no accident.
    doubted = candidate.doubt_of_label and len(names) < _ENOUGH
    return Predicted(
        path=candidate.path,
        task=candidate.task,
        columns=candidate.columns,
        rows=candidate.rows,
        threshold=threshold,
        metrics_file=file,
        of_metrics=names,
        doubts=(*candidate.doubts, *([candidate.doubt_of_label] if doubted else [])),
    )


def _match(predictions: Predictions, snapshot: Snapshot) -> _Match:
    """The metrics file all of whose values these predictions yield, the largest of such, best the one beside them."""
    found: list[tuple[int, bool, str, float | str, tuple[str, ...]]] = []
    directory = posixpath.dirname(predictions.path)
    for threshold, number in _list_thresholds(predictions, snapshot):
        for file in snapshot.metrics:
            told = {key[0]: value for key, value in file.values.items() if len(key) == 1}
            names = tuple(name for name in SPECS[predictions.task] if is_finite(told.get(name)))
            if names and _yields(predictions, number, {name: told[name] for name in names}):
                beside = posixpath.dirname(file.path) == directory
                found.append((len(names), beside, file.path, threshold, names))
    if not found:
        return _NOTHING
    *_, path, threshold, names = max(found, key=lambda one: one[:2])
    return path, threshold, names


def _list_thresholds(predictions: Predictions, snapshot: Snapshot) -> Iterator[tuple[float | str, float]]:
    """0.5, and the parameters that are called a threshold: how it is written, and its value."""
    if predictions.task is Task.BINARY:
        named = [
            (f"{file.path}:{'.'.join(key)}", float(value))
            for file in snapshot.params
            for key, value in file.values.items()
            if key and "threshold" in key[-1].lower() and isinstance(value, (int, float)) and 0 < value < 1
        ]
        yield from named[:_MOST_THRESHOLDS]
    yield DEFAULT_THRESHOLD, DEFAULT_THRESHOLD


def _yields(predictions: Predictions, threshold: float, told: Mapping[str, Value]) -> bool:
    measures = [Measure(name=name) for name in told]
    try:
        (sample,) = build_samples((predictions,), (threshold,))
        computed = measure_one(sample, measures)
    except CompareError:
        return False
    return all(_agrees(told[measure.name], computed[measure]) for measure in measures)


def _agrees(told: Value, computed: object) -> bool:
    return (
        isinstance(told, (int, float))
        and isinstance(computed, float)
        and math.isclose(told, computed, rel_tol=_AGREEMENT, abs_tol=_AGREEMENT)
    )
