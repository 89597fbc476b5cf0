"""TensorFlow Serving's REST API: predict requests by row or by column, the state of versions, the signature.

    {"instances": [[1, 2], [3, 4]]}          →  {"predictions": [0.1, 0.9]}     a value per row
    {"instances": [{"features": [1, 2]}]}    →  {"predictions": [{"a": …}]}     an object per row, with several outputs
    {"inputs": {"features": [[1, 2]]}}       →  {"outputs": …}                  a tensor per name

`signature_name` may be `serving_default` only: a released model has one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from seatrial.serving.runtimes import Array, Tensor
from seatrial.serving.served import VersionState
from seatrial.serving.tensors import Query, RequestError, check_finite, join_names, read_nested

SIGNATURE = "serving_default"

_TYPES = {
    "BOOL": "DT_BOOL",
    "UINT8": "DT_UINT8",
    "UINT16": "DT_UINT16",
    "UINT32": "DT_UINT32",
    "UINT64": "DT_UINT64",
    "INT8": "DT_INT8",
    "INT16": "DT_INT16",
    "INT32": "DT_INT32",
    "INT64": "DT_INT64",
    "FP16": "DT_HALF",
    "FP32": "DT_FLOAT",
    "FP64": "DT_DOUBLE",
    "BYTES": "DT_STRING",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictRequest:
    """The body of a predict request: `instances` by row, or `inputs` by column."""

    instances: list[Any] | UnsetType = UNSET
    inputs: Any = UNSET
    signature_name: str = SIGNATURE


def parse_predict(body: bytes, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Query:
    """Read a request for a model with these tensors; RequestError says what does not fit."""
    try:
        request = msgspec.json.decode(body, type=PredictRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body is not a predict request: {error}") from error
    if request.signature_name not in ("", SIGNATURE):
        raise RequestError(f"there is no signature {request.signature_name!r}; the model has {SIGNATURE!r}")
    if (request.instances is UNSET) == (request.inputs is UNSET):
        raise RequestError('the body needs either "instances" (by row) or "inputs" (by column)')
    columnar = request.instances is UNSET
    values = _split_columns(request.inputs, inputs) if columnar else _split_rows(request.instances, inputs)
    return Query(
        inputs={tensor.name: _read(values[tensor.name], tensor) for tensor in inputs},
        outputs=tuple(tensor.name for tensor in outputs),
        columnar=columnar,
    )


def _read(data: Any, tensor: Tensor) -> Array:
    data = _decode_texts(data, tensor, len(tensor.shape)) if tensor.datatype == "BYTES" else data
    return read_nested(f"input {tensor.name!r}", data, tensor)


def _split_rows(instances: Any, inputs: Sequence[Tensor]) -> dict[str, list[Any]]:
    """The rows of every tensor."""
    if not instances:
        raise RequestError("instances: there are no rows")
    names = [tensor.name for tensor in inputs]
    if len(names) == 1 and not all(isinstance(row, dict) and "b64" not in row for row in instances):
        return {names[0]: instances}
    for index, row in enumerate(instances):
        given = sorted(row) if isinstance(row, dict) else None
        if given != sorted(names):
            told = f"has {join_names(given)}" if given is not None else "is no object"
            raise RequestError(f"instances, row {index} {told}; the model takes {join_names(names)}")
    return {name: [row[name] for row in instances] for name in names}


def _split_columns(given: Any, inputs: Sequence[Tensor]) -> dict[str, Any]:
    """The values of every tensor."""
    names = [tensor.name for tensor in inputs]
    if isinstance(given, dict) and "b64" not in given:
        if sorted(given) != sorted(names):
            raise RequestError(f"inputs has {join_names(given)}; the model takes {join_names(names)}")
        return given
    if len(names) > 1:
        raise RequestError(f"inputs must be an object with {join_names(names)}")
    return {names[0]: given}


def _decode_texts(data: Any, tensor: Tensor, axes: int) -> Any:
    """Texts that are sent as `{"b64": …}`, in place; lists are followed as deep as the tensor has axes."""
    if isinstance(data, list) and axes:
        return [_decode_texts(item, tensor, axes - 1) for item in data]
    if not (isinstance(data, dict) and [*data] == ["b64"]):
        return data
    try:
        return base64.b64decode(data["b64"], validate=True).decode()
    except (TypeError, ValueError, binascii.Error) as error:
        raise RequestError(f"input {tensor.name!r}: a b64 value is not the Base64 of UTF-8 text") from error


def encode_predictions(*, query: Query, arrays: Sequence[Array]) -> bytes:
    """The answer in the layout of the request. RequestError (500) for a value that is not finite."""
    for output, array in zip(query.outputs, arrays, strict=True):
        check_finite(output, array)
    if query.columnar:
        columns = {name: array.tolist() for name, array in zip(query.outputs, arrays, strict=True)}
        return msgspec.json.encode({"outputs": next(iter(columns.values())) if len(columns) == 1 else columns})
    rows = {array.shape[:1] for array in query.inputs.values()}
    for output, array in zip(query.outputs, arrays, strict=True):
        if array.shape[:1] not in rows:
            raise RequestError(f"the output {output!r} has no value per row; ask by column, with inputs", status=400)
    if len(arrays) == 1:
        return msgspec.json.encode({"predictions": arrays[0].tolist()})
    lists = [array.tolist() for array in arrays]
    return msgspec.json.encode(
        {"predictions": [dict(zip(query.outputs, row, strict=True)) for row in zip(*lists, strict=True)]}
    )


def describe_states(states: Sequence[VersionState]) -> dict[str, Any]:
    """The answer about the state of versions."""
    return {
        "model_version_status": [
            {
                "version": state.version,
                "state": state.state.value,
                "status": {"error_code": "UNKNOWN" if state.problem else "OK", "error_message": state.problem},
            }
            for state in states
        ]
    }


def describe_signature(name: str, version: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> dict[str, Any]:
    """The answer about a version's signature, as TensorFlow writes its protocol buffer in JSON."""
    signature = {
        "inputs": {tensor.name: _describe_tensor(tensor) for tensor in inputs},
        "outputs": {tensor.name: _describe_tensor(tensor) for tensor in outputs},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": version},
        "metadata": {
            "signature_def": {
                "@type": "type.googleapis.com/tensorflow.serving.SignatureDefMap",
                "signature_def": {SIGNATURE: signature},
            }
        },
    }


def _describe_tensor(tensor: Tensor) -> dict[str, Any]:
    shape = {"dim": [{"size": str(size), "name": ""} for size in tensor.shape], "unknown_rank": False}
    return {"dtype": _TYPES[tensor.datatype], "tensor_shape": shape, "name": f"{SIGNATURE}_{tensor.name}:0"}
