"""Rows that belong together: the documents of a query, the draws of a prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seatrial.stats.influence import Floats, check_weight

Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grouping:
    """Which of the units each of the rows is of.

    `names` (units,) are the units' own, ascending; `code` (rows,) is each row's position in them.
    """

    names: NDArray[np.generic]
    code: Ints

    @classmethod
    def of(cls, unit: ArrayLike) -> Grouping:
        """Number the units of the rows (rows,), whatever their type; ValueError for a missing (NaN) unit.

        Rows of one unit that stand together are looked at once, so that sorted input costs a single pass.
        """
        values = np.asarray(unit)
        if values.ndim != 1 or (values.dtype.kind == "f" and not np.isfinite(values).all()):
            raise ValueError("units are not one name for each row")
        new = np.ones(values.size, dtype=np.bool_)
        new[1:] = values[1:] != values[:-1]
        names, code = np.unique(values[new], return_inverse=True)
        return cls(names=names, code=code.reshape(-1)[np.cumsum(new) - 1])

    def take_common(self, weight: ArrayLike | None) -> Floats | None:
        """The weight (units,) of each unit from those of its rows (rows,); ValueError where these differ."""
        of_rows = check_weight(weight, self.code.size)
        if of_rows is None:
            return None
        of_units = np.empty(self.names.size)
        of_units[self.code] = of_rows
        if not np.array_equal(of_units[self.code], of_rows):
            raise ValueError("the rows of one unit have weights that differ")
        return of_units


def spread(start: Ints) -> Ints:
    """The unit (rows,) of each row, from where each unit starts and the last ends (units + 1,)."""
    return np.repeat(np.arange(start.size - 1), np.diff(start))


def rows_of(start: Ints, units: Ints) -> tuple[Ints, Ints]:
    """The rows of these units, in this order, and where each unit then starts (units + 1,)."""
    sizes = np.diff(start)[units]
    begin = np.concatenate(([0], np.cumsum(sizes))).astype(np.intp)
    shift = np.repeat(start[:-1][units] - begin[:-1], sizes)
    return np.arange(begin[-1]) + shift, begin
