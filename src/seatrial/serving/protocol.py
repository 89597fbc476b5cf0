"""The Open Inference Protocol, version 2, over JSON: requests into tensors, tensors into answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Annotated, Any

import msgspec

from seatrial.serving.runtimes import Array, Tensor
from seatrial.serving.tensors import LONGEST_KEY, Query, RequestError, check_finite, join_names, read_values, tell_shape

Key = Annotated[str, msgspec.Meta(max_length=LONGEST_KEY)]


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
class RequestParameters:
    """The parameters of a request that are heeded: the rows' names in the log of predictions."""

    keys: list[Key] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class InferRequest:
    """The body of an inference request."""

    inputs: list[RequestTensor]
    outputs: list[RequestedOutput] = field(default_factory=list)
    id: str | None = None
    parameters: RequestParameters | None = None


def parse_query(body: bytes, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Query:
    """Read a request for a model with these tensors; RequestError says what does not fit."""
    try:
        request = msgspec.json.decode(body, type=InferRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body is not an inference request: {error}") from error
    given = [tensor.name for tensor in request.inputs]
    wanted = [tensor.name for tensor in inputs]
    if sorted(given) != sorted(wanted):
        raise RequestError(f"the model takes the inputs {join_names(wanted)}; the request has {join_names(given)}")
    known = {tensor.name: tensor for tensor in inputs}
    names = tuple(output.name for output in request.outputs) or tuple(tensor.name for tensor in outputs)
    if unknown := [name for name in names if name not in {tensor.name for tensor in outputs}]:
        raise RequestError(
            f"the model has no output {join_names(unknown)}; it has {join_names(t.name for t in outputs)}"
        )
    keys = tuple(request.parameters.keys) if request.parameters else ()
    rows = {tensor.shape[0] for tensor in request.inputs if tensor.shape}
    if keys and rows != {len(keys)}:
        raise RequestError(f"parameters: there are {len(keys)} keys for {', '.join(map(str, sorted(rows)))} rows")
    return Query(
        id=request.id,
        inputs={tensor.name: _read_tensor(tensor, known[tensor.name]) for tensor in request.inputs},
        outputs=names,
        keys=keys,
    )


def _read_tensor(given: RequestTensor, wanted: Tensor) -> Array:
    where = f"input {given.name!r}"
    if given.datatype != wanted.datatype:
        raise RequestError(f"{where} has the datatype {given.datatype!r}; the model takes {wanted.datatype}")
    fits = len(given.shape) == len(wanted.shape) and all(
        size > 0 and expected in (-1, size) for size, expected in zip(given.shape, wanted.shape, strict=False)
    )
    if not fits:
        raise RequestError(f"{where} has the shape {given.shape}; {tell_shape(wanted)}")
    values = read_values(where, given.data, wanted, given.shape)
    if values.size != prod(given.shape) or values.shape not in (tuple(given.shape), (values.size,)):
        raise RequestError(
            f"{where} holds {values.size} values in the shape {list(values.shape)}; "
            f"the shape {given.shape} needs {prod(given.shape)}"
        )
    return values.reshape(given.shape)


def encode_answer(
    *, name: str, version: str, query: Query, tensors: Sequence[Tensor], arrays: Sequence[Array]
) -> bytes:
    """The answer as JSON. RequestError (500) for a value that is not finite: JSON would make it null."""
    datatypes = {tensor.name: tensor.datatype for tensor in tensors}
    for output, array in zip(query.outputs, arrays, strict=True):
        check_finite(output, array)
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
