"""Values out of JSON into the arrays that a model takes, or a sentence that says which of them does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from seatrial.serving.runtimes import NUMPY_TYPES, Array, Tensor

_KINDS = {"B": "b", "U": "iu", "I": "iu", "F": "iuf"}
_SHOWN = 40
LONGEST_KEY = 256
"""Characters of a row's name in the log of predictions."""


class RequestError(Exception):
    """A request that can't be answered; the message is for whoever sent it."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A request that fits a model: arrays by name, and the names of the tensors to answer with.

    `keys` name the rows for the log of predictions, if the request does. `columnar` is how TensorFlow Serving's
    answer is laid out.
    """

    id: str | None = None
    inputs: dict[str, Array]
    outputs: tuple[str, ...]
    keys: tuple[str, ...] = ()
    columnar: bool = False


def read_nested(where: str, data: Any, tensor: Tensor) -> Array:
    """Nested values as an array that fits the tensor's shape; RequestError for the first that does not."""
    values = read_values(where, data, tensor, tensor.shape)
    fits = values.ndim == len(tensor.shape) and all(
        size > 0 and wanted in (-1, size) for size, wanted in zip(values.shape, tensor.shape, strict=False)
    )
    if not fits:
        fault = _Walk(tensor=tensor).find(data, (), tensor.shape)
        raise RequestError(f"{where}{fault or f' has the shape {[*values.shape]}; {tell_shape(tensor)}'}")
    return values


def tell_shape(tensor: Tensor) -> str:
    """The shape that a model takes, in words."""
    return f"the model takes [{', '.join('any' if size < 0 else str(size) for size in tensor.shape)}]"


def read_values(where: str, data: Any, tensor: Tensor, shape: Sequence[int]) -> Array:
    """Flat or nested values as an array in the shape that they have; nothing is converted that changes its meaning.

    `shape` is the one that they should have, -1 for any size; it tells which row and feature a wrong value is.
    """
    values = _convert(data, tensor.datatype)
    if values is None:
        raise RequestError(f"{where}{_explain(data, tensor, shape)}")
    return values


def check_finite(name: str, array: Array) -> None:
    """RequestError (500) for an answer that is not finite: JSON would make it null."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise RequestError(f"the model answered with a value that is not finite in {name!r}", status=500)


def join_names(names: Any) -> str:
    """Names as a sentence lists them."""
    return ", ".join(repr(name) for name in names) or "none"


def _convert(data: Any, datatype: str) -> Array | None:
    if datatype == "BYTES":
        texts = np.array(data, dtype=np.object_)
        return texts if all(isinstance(text, str) for text in texts.ravel().tolist()) else None
    try:
        values = np.array(data)
    except (ValueError, OverflowError):
        return None
    if values.dtype.kind not in _KINDS[datatype[0]]:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        converted = values.astype(NUMPY_TYPES[datatype])
    kept = np.isfinite(converted) if datatype.startswith("FP") else converted == values
    return converted if kept.all() else None


def _explain(data: Any, tensor: Tensor, shape: Sequence[int]) -> str:
    """The first fault in words, beginning with its place: ` row 3, feature 'hour' …`."""
    flat = isinstance(data, list) and not any(isinstance(value, list) for value in data)
    if flat and len(shape) != 1 and min(shape, default=-1) >= 0 and len(data) == prod(shape):
        data = _fold(data, shape)
    fault = _Walk(tensor=tensor).find(data, (), tuple(shape))
    return fault or ": the rows of data are not all of the same length"


def _fold(data: list[Any], shape: Sequence[int]) -> list[Any]:
    folded = np.empty(len(data), dtype=np.object_)
    folded[:] = data
    nested: list[Any] = folded.reshape(shape).tolist()
    return nested


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """Looks at one value after the other, as arrays can't say where they fail."""

    tensor: Tensor

    def find(self, value: Any, place: tuple[int, ...], sizes: tuple[int, ...]) -> str:
        """The first fault at or below a value whose axes should have these sizes; empty for none."""
        if not sizes:
            fault = _find_fault(value, self.tensor.datatype)
            return f"{self._name(place)}: {fault}" if fault else ""
        if not isinstance(value, list):
            return f"{self._name(place)}: {_show(value)} stands where a list of values is meant"
        if sizes[0] >= 0 and len(value) != sizes[0]:
            return f"{self._name(place)} has {len(value)} values; the model takes {sizes[0]}{self._list_columns(place)}"
        below = (self.find(item, (*place, index), sizes[1:]) for index, item in enumerate(value))
        return next((fault for fault in below if fault), "")

    def _name(self, place: tuple[int, ...]) -> str:
        if not place:
            return ""
        row = f", row {place[0]}"
        if len(place) == 1:
            return row
        if len(place) == len(self.tensor.shape) and place[-1] < len(self.tensor.columns):
            return f"{row}, feature {self.tensor.columns[place[-1]]!r} (column {place[-1]})"
        return f"{row}, {'column' if len(place) == 2 else 'at'} {', '.join(map(str, place[1:]))}"

    def _list_columns(self, place: tuple[int, ...]) -> str:
        names = self.tensor.columns
        if not names or len(place) != len(self.tensor.shape) - 1:
            return ""
        return f": {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"


def _find_fault(value: Any, datatype: str) -> str:
    """What is wrong with a single value, or an empty text."""
    if value is None:
        return "null is no value; the model takes no missing ones"
    if datatype == "BYTES":
        return "" if isinstance(value, str) else f"{_show(value)} is not text"
    if datatype == "BOOL":
        return "" if isinstance(value, bool) else f"{_show(value)} is neither true nor false"
    wanted = "a number" if datatype.startswith("FP") else "a whole number"
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole and not (isinstance(value, float) and datatype.startswith("FP")):
        return f"{_show(value)} is not {wanted}"
    return "" if _convert([value], datatype) is not None else f"{_show(value)} does not fit into {datatype}"


def _show(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    shown = repr(value) if not isinstance(value, bool) else str(value).lower()
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
