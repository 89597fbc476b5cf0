"""The server: Open Inference Protocol v2 over HTTP, with the digest of what answered in every answer.

    GET  /v2/health/live                              the process answers
    GET  /v2/health/ready                             every model is loaded, and is what its pointer names
    GET  /v2                                          name and version of the server
    GET  /v2/models/{name}[/versions/{v}]             tensors, format and features of a model
    GET  /v2/models/{name}[/versions/{v}]/ready       whether it answers
    POST /v2/models/{name}[/versions/{v}]/infer       ask it

There is no call that changes anything: a model is switched by `seatrial deploy`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from seatrial import __version__
from seatrial.serving.live import LiveModel, LiveModels, Served
from seatrial.serving.protocol import encode_answer, parse_query
from seatrial.serving.runtimes import Tensor
from seatrial.serving.tensors import RequestError

DIGEST_HEADER = "X-Model-Digest"
MAX_BODY = 8 * 1024 * 1024

Handler = Callable[[Request], Awaitable[Response]]


def build_app(models: LiveModels, *, max_body: int = MAX_BODY) -> Starlette:
    """The application; `max_body` is the largest body of a request in bytes."""
    endpoints = _Endpoints(models, max_body)
    model = "/v2/models/{name}"
    version = model + "/versions/{version}"
    routes: list[tuple[str, str, Handler]] = [
        ("/v2/health/live", "GET", endpoints.tell_live),
        ("/v2/health/ready", "GET", endpoints.tell_ready),
        ("/v2", "GET", endpoints.describe_server),
        ("/v2/", "GET", endpoints.describe_server),
    ]
    for base in (model, version):
        routes += [
            (base, "GET", endpoints.describe_model),
            (f"{base}/ready", "GET", endpoints.tell_model_ready),
            (f"{base}/infer", "POST", endpoints.infer),
        ]
    app = Starlette(
        routes=[Route(path, endpoint, methods=[method]) for path, method, endpoint in routes],
        exception_handlers={
            RequestError: endpoints.refuse,
            HTTPException: endpoints.refuse,
            Exception: endpoints.refuse,
        },
    )
    app.router.redirect_slashes = False  # a redirect would be an answer without a digest
    return app


class _Endpoints:
    def __init__(self, models: LiveModels, max_body: int) -> None:
        self._models = models
        self._max_body = max_body

    async def tell_live(self, request: Request) -> Response:
        return self._answer({"live": True})

    async def tell_ready(self, request: Request) -> Response:
        models = self._models.all()
        problems = {} if models else {"": "there is no model"}
        for name, model in models.items():
            await _follow(model)
            if model.problem:
                problems[name] = model.problem
        if problems:
            return self._answer({"ready": False, "problems": problems}, status=503)
        return self._answer({"ready": True})

    async def describe_server(self, request: Request) -> Response:
        return self._answer({"name": "seatrial", "version": __version__, "extensions": []})

    async def describe_model(self, request: Request) -> Response:
        served = await self._find(request)
        runtime = served.model.runtime
        return self._answer(
            {
                "name": served.release.name,
                "versions": [served.release.version],
                "platform": _PLATFORMS[served.release.format.value],
                "inputs": [_describe(tensor) for tensor in runtime.inputs],
                "outputs": [_describe(tensor) for tensor in runtime.outputs],
                "parameters": {
                    "digest": served.release.digest,
                    "commit": served.release.commit,
                    "features": served.model.card.inputs,
                    "prediction": {"output": served.model.card.output, "column": served.model.card.output_column},
                    "threshold": served.model.card.threshold,
                },
            },
            served=served,
        )

    async def tell_model_ready(self, request: Request) -> Response:
        served = await self._find(request)
        model = self._models.find(served.release.name)
        problem = model.problem if model else "no longer there"
        body = {"name": served.release.name, "ready": not problem} | ({"problem": problem} if problem else {})
        return self._answer(body, status=503 if problem else 200, served=served)

    async def infer(self, request: Request) -> Response:
        served = await self._find(request)
        body = await self._read_body(request)
        return self._send(await run_in_threadpool(_infer, served, body), served=served)

    async def refuse(self, request: Request, error: Exception) -> Response:
        """Every refusal as the protocol writes it, with the digest of the model that was asked, if there is one."""
        served = getattr(request.state, "served", None)
        if isinstance(error, RequestError):
            return self._answer({"error": error.message}, status=error.status, served=served)
        if isinstance(error, HTTPException):
            text = f"{request.method} {request.url.path}: {error.detail}"
            return self._answer({"error": text}, status=error.status_code, served=served)
        return self._answer({"error": "the server failed; its log says why"}, status=500, served=served)

    async def _find(self, request: Request) -> Served:
        """The model that a request names, after looking whether another version became live."""
        name = request.path_params["name"]
        model = self._models.find(name)
        if model is None:
            raise RequestError(f"there is no model {name!r}", status=404)
        await _follow(model)
        served = model.served
        if served is None:
            raise RequestError(f"the model {name!r} is not ready: {model.problem}", status=503)
        request.state.served = served
        version = request.path_params.get("version", served.release.version)
        if version != served.release.version:
            raise RequestError(
                f"version {version} of {name!r} is not live; version {served.release.version} is", status=404
            )
        return served

    async def _read_body(self, request: Request) -> bytes:
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > self._max_body:
                    raise RequestError(f"the body is larger than {self._max_body:,} bytes", status=413)
        except ClientDisconnect as error:
            raise RequestError("the client went away") from error
        return bytes(body)

    def _answer(self, body: dict[str, Any], *, status: int = 200, served: Served | None = None) -> Response:
        return self._send(msgspec.json.encode(body), status=status, served=served)

    def _send(self, body: bytes, *, status: int = 200, served: Served | None = None) -> Response:
        """An answer with the digest of its model, or of all models where it speaks of none."""
        digests = [served.release.digest] if served else self._list_digests()
        headers = {DIGEST_HEADER: ", ".join(digests)} if digests else {}
        return Response(body, status_code=status, headers=headers, media_type="application/json")

    def _list_digests(self) -> list[str]:
        return [model.served.release.digest for model in self._models.all().values() if model.served]


_PLATFORMS = {"onnx": "onnxruntime_onnx", "saved-model": "tensorflow_savedmodel"}


async def _follow(model: LiveModel) -> None:
    if model.moved:
        await run_in_threadpool(model.follow)


def _infer(served: Served, body: bytes) -> bytes:
    runtime = served.model.runtime
    query = parse_query(body, runtime.inputs, runtime.outputs)
    try:
        arrays = runtime.run(query.inputs, query.outputs)
    except ValueError as error:
        raise RequestError(f"the model refuses the request: {error}") from error
    return encode_answer(
        name=served.release.name,
        version=served.release.version,
        query=query,
        tensors=runtime.outputs,
        arrays=arrays,
    )


def _describe(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
