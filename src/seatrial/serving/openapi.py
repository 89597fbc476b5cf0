"""The server's own description: an OpenAPI document made of the models that are live, and a page of it.

The page is plain HTML: it needs no network and runs no script.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, Template, select_autoescape

from seatrial import __version__
from seatrial.serving.runtimes import Tensor
from seatrial.serving.served import Served

_NUMBERS = {"BOOL": "boolean", "BYTES": "string", "FP16": "number", "FP32": "number", "FP64": "number"}
_REFUSALS = {
    "400": "The request does not fit the model; the answer says where.",
    "404": "There is no such model, version or label.",
    "413": "The body is larger than the server takes.",
    "500": "The model failed.",
    "503": "No version of the model is loaded.",
}


def build_openapi(models: Sequence[Served], root_path: str = "") -> dict[str, Any]:
    """OpenAPI 3.1 of a server with these models, below the path that it is mounted at."""
    paths: dict[str, dict[str, Any]] = {path: {"get": operation} for path, operation in _list_reads().items()}
    for served in models:
        name = served.release.name
        paths[f"/v2/models/{name}/infer"] = {"post": _describe_infer(served)}
        paths[f"/v1/models/{name}:predict"] = {"post": _describe_predict(served)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "seatrial serve",
            "version": __version__,
            "description": "The models that are live, over the Open Inference Protocol v2 and TensorFlow Serving's "
            "REST API. Every answer names the digest of its model in X-Model-Digest.",
        },
        "servers": [{"url": root_path or "/"}],
        "paths": paths,
        "components": {"schemas": {"Error": _object({"error": {"type": "string"}}), "Tensor": _TENSOR}},
    }


def _object(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


_TENSOR = _object(
    {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string"},
        "data": {"type": "array", "items": {}},
    }
)


def _list_reads() -> dict[str, dict[str, Any]]:
    """The calls that ask for no prediction."""
    model = "{name}"
    version = _parameter("version", "A version's number.")
    label = _parameter("label", "stable, canary or shadow.")
    reads: dict[str, tuple[str, tuple[dict[str, Any], ...]]] = {
        "/v2/health/live": ("The process answers", ()),
        "/v2/health/ready": ("Every model is loaded, and is what its pointer names", ()),
        "/v2": ("Name and version of the server", ()),
        f"/v2/models/{model}": ("Tensors, features, threshold, digest and commit of a model", ()),
        f"/v2/models/{model}/ready": ("Whether this model is what its pointer names", ()),
        f"/v2/models/{model}/versions/{{version}}": ("The same of a version", (version,)),
        f"/v2/models/{model}/versions/{{version}}/ready": ("Whether a version answers", (version,)),
        f"/v1/models/{model}": ("The state of a model's versions", ()),
        f"/v1/models/{model}/versions/{{version}}": ("The state of a version", (version,)),
        f"/v1/models/{model}/labels/{{label}}": ("The state of the version with a label", (label,)),
        f"/v1/models/{model}/metadata": ("The signature, as TensorFlow writes it", ()),
    }
    named = _parameter("name", "A model's name.")
    operations: dict[str, dict[str, Any]] = {
        path: {
            "summary": summary,
            "responses": {"200": _answer({"type": "object"}, "OK"), **_refuse("404", "503")},
            "parameters": [*([named] if model in path else []), *more],
        }
        for path, (summary, more) in reads.items()
    }
    operations["/metrics"] = {
        "summary": "Numbers for Prometheus",
        "responses": {"200": {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}},
    }
    return operations


def _parameter(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}


def _answer(schema: dict[str, Any], text: str) -> dict[str, Any]:
    headers = {"X-Model-Digest": {"description": "The digest of the model.", "schema": {"type": "string"}}}
    return {"description": text, "headers": headers, "content": {"application/json": {"schema": schema}}}


def _refuse(*codes: str) -> dict[str, Any]:
    return {code: _answer({"$ref": "#/components/schemas/Error"}, _REFUSALS[code]) for code in codes}


def _describe_infer(served: Served) -> dict[str, Any]:
    """Asking a model in the Open Inference Protocol."""
    release = served.release
    request = _object(
        {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
            "outputs": {"type": "array", "items": _object({"name": {"type": "string"}})},
            "parameters": _object({"keys": {"type": "array", "items": {"type": "string"}}}, "keys"),
        },
        "id",
        "outputs",
        "parameters",
    )
    answer = _object(
        {
            "model_name": {"const": release.name},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
        },
        "id",
    )
    tensors = [
        {
            "name": tensor.name,
            "shape": [max(size, 1) for size in tensor.shape],
            "datatype": tensor.datatype,
            "data": _fill([size for size in tensor.shape if size > 0] or [1], tensor, flat=True),
        }
        for tensor in served.inputs
    ]
    return _describe_post(served, "Open Inference Protocol v2", request, answer, {"inputs": tensors})


def _describe_predict(served: Served) -> dict[str, Any]:
    """Asking a model by rows in TensorFlow Serving's REST API."""
    rows = {tensor.name: _describe_rows(tensor.shape[1:], tensor) for tensor in served.inputs}
    row = next(iter(rows.values())) if len(rows) == 1 else _object(rows)
    request = _object({"instances": {"type": "array", "items": row, "minItems": 1}})
    answer = _object({"predictions": {"type": "array", "items": {}}})
    filled = {tensor.name: _fill(tensor.shape[1:], tensor) for tensor in served.inputs}
    example = {"instances": [next(iter(filled.values())) if len(filled) == 1 else filled]}
    return _describe_post(served, "TensorFlow Serving, by rows", request, answer, example)


def _describe_post(
    served: Served, protocol: str, request: dict[str, Any], answer: dict[str, Any], example: dict[str, Any]
) -> dict[str, Any]:
    release, features = served.release, ", ".join(served.card.inputs)
    return {
        "summary": f"Ask {release.name} ({protocol})",
        "description": f"Version {release.version}, {release.digest}."
        + (f" Features in order: {features}." if features else ""),
        "requestBody": {"required": True, "content": {"application/json": {"schema": request, "example": example}}},
        "responses": {"200": _answer(answer, "Predictions"), **_refuse(*_REFUSALS)},
    }


def _describe_rows(shape: Sequence[int], tensor: Tensor) -> dict[str, Any]:
    """A value, or nested arrays of values, as a schema."""
    if not shape:
        return {"type": _NUMBERS.get(tensor.datatype, "integer")}
    size = {} if shape[0] < 0 else {"minItems": shape[0], "maxItems": shape[0]}
    return {"type": "array", "items": _describe_rows(shape[1:], tensor), **size}


def _fill(shape: Sequence[int], tensor: Tensor, *, flat: bool = False) -> Any:
    """An example of values in a shape."""
    kind = _NUMBERS.get(tensor.datatype, "integer")
    value: Any = {"boolean": False, "string": "", "number": 0.0}.get(kind, 0)
    if flat:
        total = 1
        for size in shape:
            total *= size
        return [value] * total
    return [_fill(shape[1:], tensor)] * max(shape[0], 1) if shape else value


def render_page(document: dict[str, Any]) -> str:
    """The document as a page."""
    calls = [
        {"method": method.upper(), "path": path, **operation, "example": _find_example(operation)}
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    calls.sort(key=lambda call: (call["method"] == "GET", call["path"]))
    base = document["servers"][0]["url"].rstrip("/")
    return _load_template().render(info=document["info"], calls=calls, base=base)


def _find_example(operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return json.dumps(content["example"]) if content else ""


@cache
def _load_template() -> Template:
    text = (files("seatrial.serving") / "docs.html").read_text(encoding="utf-8")
    return Environment(autoescape=select_autoescape(default=True, default_for_string=True)).from_string(text)
