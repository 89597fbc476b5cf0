"""Predictions as samples that the statistics understand: arrays by task, clusters, slices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from seatrial.sources.predictions import (
    GROUP,
    LABEL,
    PREDICTION,
    PROBABILITY,
    QUERY,
    SCORE,
    SLICE,
    WEIGHT,
    WHERE,
    Predictions,
)
from seatrial.stats.names import Task

if TYPE_CHECKING:
    from seatrial.stats.multiclass import MulticlassSample
    from seatrial.stats.sample import Sample

Codes = NDArray[np.int64]


class Sliced(Struct, frozen=True, kw_only=True, eq=False):
    """One way to cut the units: `codes` (n,) is each unit's part, −1 for none, `names` what the parts are called."""

    codes: Codes
    names: tuple[str, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many units each part has."""
        return tuple(np.bincount(self.codes[self.codes >= 0], minlength=len(self.names)).tolist())


def build_samples(sides: Sequence[Predictions], thresholds: Sequence[float]) -> tuple[Sample, ...]:
    """The samples of one or two sides of one evaluation; classes are numbered alike on both."""
    classes = _list_classes(sides) if sides[0].task is Task.MULTICLASS else ()
    return tuple(_build(side, threshold, classes) for side, threshold in zip(sides, thresholds, strict=True))


def find_units(predictions: Predictions) -> pl.DataFrame:
    """One row for each unit, in the order of the samples' units: a query's first row, or every row itself."""
    table = predictions.table
    if QUERY not in table.columns:
        return table
    return table.group_by(QUERY, maintain_order=True).first().sort(QUERY).select(table.columns)


def number_clusters(units: pl.DataFrame) -> Codes | None:
    """Each unit's cluster (n,), None where units are independent."""
    return _number(units[GROUP])[0] if GROUP in units.columns else None


def find_right(predictions: Predictions, threshold: float) -> NDArray[np.bool_] | None:
    """Which rows (n,) were decided right; None of a task that takes no decisions."""
    table = predictions.table
    match predictions.task:
        case Task.BINARY:
            right = (table[SCORE] >= threshold) == table[LABEL]
        case Task.MULTICLASS if PREDICTION in table.columns:
            right = table[PREDICTION] == table[LABEL]
        case Task.MULTICLASS:
            columns = [name for name in table.columns if name.startswith(PROBABILITY)]
            names = np.array([name.removeprefix(PROBABILITY) for name in columns])
            right = pl.Series(names[table.select(columns).to_numpy().argmax(axis=1)]) == table[LABEL]
        case _:
            return None
    found: NDArray[np.bool_] = right.to_numpy()
    return found


def cut_units(units: pl.DataFrame, by: Sequence[tuple[str, ...]], where: Sequence[str]) -> Iterator[Sliced]:
    """The slicings by columns, each cross of columns being one, then the conditions."""
    for columns in by:
        yield _cut_by(units, columns)
    for name in where:
        codes = units[f"{WHERE}{name}"].to_numpy().astype(np.int64) - 1
        yield Sliced(codes=codes, names=(name,))


def _cut_by(units: pl.DataFrame, columns: tuple[str, ...]) -> Sliced:
    numbered = [_number(units[f"{SLICE}{column}"]) for column in columns]
    crossed = np.zeros(units.height, dtype=np.int64)
    for codes, names in numbered:
        crossed = crossed * len(names) + codes
    labels = [names for _, names in numbered]
    present, codes = _renumber(crossed, math.prod(map(len, labels)))
    return Sliced(codes=codes, names=tuple(_label(int(code), columns, labels) for code in present))


def _renumber(crossed: Codes, possible: int) -> tuple[Codes, Codes]:
    """Which of the possible codes (n,) there are, and each one's position in these; without a sort if they are few."""
    if possible > crossed.size:
        present, codes = np.unique(crossed, return_inverse=True)
        return present, codes.astype(np.int64)
    there = np.bincount(crossed, minlength=possible) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[crossed]


def _label(code: int, columns: tuple[str, ...], names: list[list[str]]) -> str:
    """`carrier=UA, origin=EWR`, from the number of the cross."""
    parts = []
    for column, known in zip(reversed(columns), reversed(names), strict=True):
        code, position = divmod(code, len(known))
        parts.append(f"{column}={known[position]}")
    return ", ".join(reversed(parts))


def _number(column: pl.Series) -> tuple[Codes, list[str]]:
    """Codes (n,) of a text column, in the order of its names, and those names."""
    names = column.unique().sort()
    numbered: Codes = column.cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy()
    return numbered, names.to_list()


def _list_classes(sides: Sequence[Predictions]) -> tuple[str, ...]:
    """All classes that any side has as a truth, an answer or a probability, in the order of their names."""
    table = sides[0].table
    if given := [name.removeprefix(PROBABILITY) for name in table.columns if name.startswith(PROBABILITY)]:
        return tuple(given)
    found = pl.concat([side.table[column] for side in sides for column in (LABEL, PREDICTION)])
    return tuple(found.unique().sort())


def _build(side: Predictions, threshold: float, classes: tuple[str, ...]) -> Sample:
    table = side.table
    weight = table[WEIGHT].to_numpy() if WEIGHT in table.columns else None

    def array(name: str) -> NDArray[np.generic]:
        return table[name].to_numpy()

    # Each task's metrics are loaded where they are needed: one evaluation needs one of them.
    match side.task:
        case Task.BINARY:
            from seatrial.stats.binary import BinarySample

            return BinarySample.of(array(LABEL), array(SCORE), threshold=threshold, weight=weight)
        case Task.MULTICLASS:
            return _build_multiclass(table, classes, weight)
        case Task.REGRESSION:
            from seatrial.stats.regression import RegressionSample

            return RegressionSample.of(array(LABEL), array(PREDICTION), weight=weight)
        case Task.RANKING:
            from seatrial.stats.retrieval import RankingSample

            return RankingSample.of(_number(table[QUERY])[0], array(LABEL), array(SCORE), weight=weight)
        case Task.SCORES:
            from seatrial.stats.scores import ScoreSample

            unit = _number(table[QUERY])[0] if QUERY in table.columns else None
            return ScoreSample.of(array(SCORE), unit=unit, weight=weight)


def _build_multiclass(
    table: pl.DataFrame, classes: tuple[str, ...], weight: NDArray[np.generic] | None
) -> MulticlassSample:
    from seatrial.stats.multiclass import MulticlassSample

    number = {name: code for code, name in enumerate(classes)}

    def codes(name: str) -> Codes:
        found: Codes = table[name].replace_strict(number, return_dtype=pl.Int64).to_numpy()
        return found

    columns = [f"{PROBABILITY}{name}" for name in classes]
    known = set(columns) <= set(table.columns)
    return MulticlassSample.of(
        codes(LABEL),
        classes=len(classes),
        prediction=codes(PREDICTION) if PREDICTION in table.columns else None,
        probability=table.select(columns).to_numpy() if known else None,
        weight=weight,
    )
