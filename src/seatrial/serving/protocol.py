"""The Open Inference Protocol, version 2, over JSON: requests into tensors, tensors into answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import msgspec
import numpy as np

from seatrial.serving.runtimes import NUMPY_TYPES, Array, Tensor


class RequestError(Exception):
    """A request that can't be answered; the message is for whoever sent it."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTensor:
    """A tensor of a request; `data` is flat or nested, in row-major order."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedOutput:
    """A tensor that the answer shall hold."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InferRequest:
    """The body of an inference request."""

    inputs: list[RequestTensor]
    outputs: list[RequestedOutput] = field(default_factory=list)
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A request that fits a model: arrays by name, and the names of the tensors to answer with."""

    id: str | None
    inputs: dict[str, Array]
    outputs: tuple[str, ...]


def parse_query(body: bytes, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Query:
    """Read a request for a model with these tensors; RequestError says what does not fit."""
    try:
        request = msgspec.json.decode(body, type=InferRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body is not an inference request: {error}") from error
    given = [tensor.name for tensor in request.inputs]
    wanted = [tensor.name for tensor in inputs]
    if sorted(given) != sorted(wanted):
        raise RequestError(f"the model takes the inputs {_join(wanted)}; the request has {_join(given)}")
    known = {tensor.name: tensor for tensor in inputs}
    names = tuple(output.name for output in request.outputs) or tuple(tensor.name for tensor in outputs)
    if unknown := [name for name in names if name not in {tensor.name for tensor in outputs}]:
        raise RequestError(f"the model has no output {_join(unknown)}; it has {_join(t.name for t in outputs)}")
    return Query(
        id=request.id,
        inputs={tensor.name: _read_tensor(tensor, known[tensor.name]) for tensor in request.inputs},
        outputs=names,
    )


def _join(names: Any) -> str:
    return ", ".join(repr(name) for name in names) or "none"


def _read_tensor(given: RequestTensor, wanted: Tensor) -> Array:
    where = f"input {given.name!r}"
    if given.datatype != wanted.datatype:
        raise RequestError(f"{where} has the datatype {given.datatype!r}; the model takes {wanted.datatype}")
    fits = len(given.shape) == len(wanted.shape) and all(
        size > 0 and expected in (-1, size) for size, expected in zip(given.shape, wanted.shape, strict=False)
    )
    if not fits:
        shape = ", ".join("any" if size < 0 else str(size) for size in wanted.shape)
        raise RequestError(f"{where} has the shape {given.shape}; the model takes [{shape}]")
    values = _read_values(where, given.data, wanted.datatype)
    if values.size != prod(given.shape) or values.shape not in (tuple(given.shape), (values.size,)):
        raise RequestError(
            f"{where} holds {values.size} values in the shape {list(values.shape)}; "
            f"the shape {given.shape} needs {prod(given.shape)}"
        )
    return values.reshape(given.shape)


_KINDS = {"B": "b", "U": "iu", "I": "iu", "F": "iuf"}


def _read_values(where: str, data: list[Any], datatype: str) -> Array:
    """The values as an array of the datatype; nothing is converted that changes what was meant."""
    if datatype == "BYTES":
        texts = np.array(data, dtype=np.object_)
        if not all(isinstance(text, str) for text in texts.flat):
            raise RequestError(f"{where}: data must hold text only, in rows of the same length")
        return texts
    try:
        values = np.array(data)
    except (ValueError, OverflowError) as error:
        raise RequestError(f"{where}: the rows of data are not all of the same length") from error
    if values.dtype.kind not in _KINDS[datatype[0]]:
        raise RequestError(f"{where}: data must hold {_describe(datatype)} only")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = values.astype(NUMPY_TYPES[datatype])
    kept = np.isfinite(converted) if datatype.startswith("FP") else converted == values
    if not kept.all():
        raise RequestError(f"{where}: a value does not fit into {datatype}")
    return converted


def _describe(datatype: str) -> str:
    if datatype == "BOOL":
        return "true and false"
    return "numbers" if datatype.startswith("FP") else "whole numbers"


def encode_answer(
    *, name: str, version: str, query: Query, tensors: Sequence[Tensor], arrays: Sequence[Array]
) -> bytes:
    """The answer as JSON. RequestError (500) for a value that is not finite: JSON would make it null."""
    datatypes = {tensor.name: tensor.datatype for tensor in tensors}
    for output, array in zip(query.outputs, arrays, strict=True):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise RequestError(f"the model answered with a value that is not finite in {output!r}", status=500)
    answer = {
        "model_name": name,
        "model_version": version,
        **({"id": query.id} if query.id is not None else {}),
        "outputs": [
            {"name": output, "shape": array.shape, "datatype": datatypes[output], "data": array.ravel().tolist()}
            for output, array in zip(query.outputs, arrays, strict=True)
        ],
    }
    return msgspec.json.encode(answer)
