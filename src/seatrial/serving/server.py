"""The server: two inference protocols over HTTP, with the digest of what answered in every answer.

Open Inference Protocol v2:

    GET  /v2/health/live                              the process answers
    GET  /v2/health/ready                             every model is loaded, and is what its pointer names
    GET  /v2                                          name and version of the server
    GET  /v2/models/{name}[/versions/{v}]             tensors, format and features of a model
    GET  /v2/models/{name}[/versions/{v}]/ready       whether it answers
    POST /v2/models/{name}[/versions/{v}]/infer       ask it

TensorFlow Serving's REST API, where {which} is nothing, /versions/{v} or /labels/{l}:

    GET  /v1/models/{name}{which}                     the state of its versions
    GET  /v1/models/{name}{which}/metadata            its signature
    POST /v1/models/{name}{which}:predict             ask it

And /metrics for Prometheus, /openapi.json, and /docs to read it. There is no call that changes anything: a model is
switched by `seatrial deploy`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from seatrial import __version__
from seatrial.serving.live import LiveModel, LiveModels
from seatrial.serving.metrics import Outcomes, ServerMetrics
from seatrial.serving.openapi import build_openapi, render_page
from seatrial.serving.prediction_log import PredictionLog
from seatrial.serving.runtimes import Tensor
from seatrial.serving.served import Served
from seatrial.serving.service import Ask, Service, Wire, encode_error
from seatrial.serving.tensors import RequestError
from seatrial.serving.tfserving import describe_signature, describe_states

DIGEST_HEADER = "X-Model-Digest"
ROUTE_HEADER = "X-Route-Key"
MAX_BODY = 8 * 1024 * 1024

_PATIENCE = 1.0  # seconds that a request waits for a version that is being loaded, while another can answer
_QUICK_SECONDS = 0.002  # answers that take no longer are given without a detour by another thread
_QUICK_BODY = 64 * 1024

Handler = Callable[[Request], Awaitable[Response]]


class ServerOptions(Struct, frozen=True, kw_only=True):
    """What a server may be told.

    `max_body` is the largest body of a request in bytes; `route_header` names the header that says who asks, for
    sticky shares. `count_deployments` tells how often each (environment, outcome) came.
    """

    max_body: int = MAX_BODY
    route_header: str = ROUTE_HEADER
    log: PredictionLog | None = None
    count_deployments: Callable[[], Outcomes] = dict


_DEFAULTS = ServerOptions()


def build_app(models: LiveModels, options: ServerOptions = _DEFAULTS) -> Starlette:
    """The application, which other applications may mount."""
    endpoints = _Endpoints(models, options)
    app = Starlette(
        routes=[Route(path, endpoint, methods=[method]) for path, method, endpoint in _list_routes(endpoints)],
        exception_handlers={
            RequestError: endpoints.refuse,
            HTTPException: endpoints.refuse,
            Exception: endpoints.refuse,
        },
    )
    app.state.service = endpoints.service
    app.router.redirect_slashes = False  # a redirect would be an answer without a digest
    return app


def _list_routes(endpoints: _Endpoints) -> Iterable[tuple[str, str, Handler]]:
    """Every address; those that are asked most stand first."""
    first, second = "/v2/models/{name}", "/v1/models/{name}"
    for base in (first, f"{first}/versions/{{version}}"):
        yield f"{base}/infer", "POST", endpoints.infer
    for base in (second, f"{second}/versions/{{version}}", f"{second}/labels/{{label}}"):
        yield f"{base}:predict", "POST", endpoints.predict
    yield "/v2/health/live", "GET", endpoints.tell_live
    yield "/v2/health/ready", "GET", endpoints.tell_ready
    for path in ("/v2", "/v2/"):
        yield path, "GET", endpoints.describe_server
    for base in (first, f"{first}/versions/{{version}}"):
        yield f"{base}/ready", "GET", endpoints.tell_model_ready
        yield base, "GET", endpoints.describe_model
    for base in (second, f"{second}/versions/{{version}}", f"{second}/labels/{{label}}"):
        yield f"{base}/metadata", "GET", endpoints.tell_signature
        yield base, "GET", endpoints.tell_states
    yield "/metrics", "GET", endpoints.tell_metrics
    yield "/openapi.json", "GET", endpoints.tell_openapi
    yield "/docs", "GET", endpoints.show_page


class _Endpoints:
    def __init__(self, models: LiveModels, options: ServerOptions) -> None:
        self._models = models
        self._options = options
        self.service = Service(ServerMetrics(models, options.count_deployments), options.log)

    # Predictions.

    async def infer(self, request: Request) -> Response:
        if "inference-header-content-length" in request.headers:
            raise RequestError("tensors in binary are not understood here; send them as JSON", status=415)
        return await self._answer_wire(request, Wire.INFER)

    async def predict(self, request: Request) -> Response:
        return await self._answer_wire(request, Wire.PREDICT)

    async def _answer_wire(self, request: Request, wire: Wire) -> Response:
        live = await self._find(request)
        body = await self._read_body(request)
        headers, named = request.headers, request.path_params
        ask = Ask(
            model=named["name"],
            wire=wire,
            body=body,
            route_key=headers.get(self._options.route_header, ""),
            request_id=headers.get("x-request-id", ""),
            version=named.get("version", ""),
            label=named.get("label", ""),
        )
        if _is_quick(live, ask):
            answer = self.service.answer(live, ask)
        else:
            answer = await run_in_threadpool(self.service.answer, live, ask)
        return self._send(answer.body, status=answer.status, served=answer.served)

    async def _read_body(self, request: Request) -> bytes:
        limit = self._options.max_body
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            raise RequestError(f"the body is larger than {limit:,} bytes", status=413)
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise RequestError(f"the body is larger than {limit:,} bytes", status=413)
        except ClientDisconnect as error:
            raise RequestError("the client went away") from error
        return bytes(body)

    # The Open Inference Protocol's other calls.

    async def tell_live(self, request: Request) -> Response:
        return self._answer({"live": True})

    async def tell_ready(self, request: Request) -> Response:
        models = self._models.all()
        problems = {} if models else {"": "there is no model"}
        warnings: dict[str, Mapping[str, str]] = {}
        for name, model in models.items():
            await _follow(model)
            if model.problem:
                problems[name] = model.problem
            if model.warnings:
                warnings[name] = model.warnings
        if problems:
            return self._answer({"ready": False, "problems": problems}, status=503)
        return self._answer({"ready": True, **({"warnings": warnings} if warnings else {})})

    async def describe_server(self, request: Request) -> Response:
        return self._answer({"name": "seatrial", "version": __version__, "extensions": []})

    async def describe_model(self, request: Request) -> Response:
        live = await self._find(request)
        served = self._choose(live, request)
        return self._answer(
            {
                "name": served.release.name,
                "versions": [*live.arrangement.loaded],
                "platform": _PLATFORMS.get(served.release.format.value, served.release.format.value),
                "inputs": [_describe(tensor) for tensor in served.inputs],
                "outputs": [_describe(tensor) for tensor in served.outputs],
                "parameters": {
                    "version": served.release.version,
                    "role": live.arrangement.find_role(served).value,
                    "digest": served.release.digest,
                    "commit": served.release.commit,
                    "features": served.card.inputs,
                    "prediction": {"output": served.card.output, "column": served.card.output_column},
                    "threshold": served.card.threshold,
                },
            },
            served=served,
        )

    async def tell_model_ready(self, request: Request) -> Response:
        live = await self._find(request)
        served = self._choose(live, request)
        problem = "" if request.path_params.get("version") else live.problem
        if not problem and live.moved:
            problem = "another version is being loaded"
        body = {"name": served.release.name, "ready": not problem} | ({"problem": problem} if problem else {})
        return self._answer(body, status=503 if problem else 200, served=served)

    # TensorFlow Serving's other calls.

    async def tell_states(self, request: Request) -> Response:
        live = await self._look(request)
        states = live.list_states()
        if request.path_params.keys() & {"version", "label"}:
            version = request.path_params.get("version") or self._choose(live, request).release.version
            states = tuple(state for state in states if state.version == version)
            if not states:
                raise RequestError(f"nothing is known of version {version}", status=404)
        return self._answer(describe_states(states), served=live.served)

    async def tell_signature(self, request: Request) -> Response:
        served = self._choose(await self._find(request), request)
        release = served.release
        body = describe_signature(release.name, release.version, served.inputs, served.outputs)
        return self._answer(body, served=served)

    # For people and machines that look on.

    async def tell_metrics(self, request: Request) -> Response:
        await self._follow_all()
        accept = request.headers.get("accept", "")
        body, content_type = await run_in_threadpool(self.service.metrics.render, accept)
        return self._send(body, media_type=content_type)

    async def tell_openapi(self, request: Request) -> Response:
        await self._follow_all()
        return self._answer(build_openapi(self._list_served(), request.scope.get("root_path", "")))

    async def show_page(self, request: Request) -> Response:
        await self._follow_all()
        page = render_page(build_openapi(self._list_served(), request.scope.get("root_path", "")))
        response = self._send(page.encode(), media_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        return response

    # What they share.

    async def refuse(self, request: Request, error: Exception) -> Response:
        """Every refusal as the protocols write it, with the digest of the model that was asked, if there is one."""
        served = getattr(request.state, "served", None)
        if isinstance(error, RequestError):
            return self._send(encode_error(error.message), status=error.status, served=served)
        if isinstance(error, HTTPException):
            text = f"{request.method} {request.url.path}: {error.detail}"
            response = self._send(encode_error(text), status=error.status_code, served=served)
            response.headers.update(error.headers or {})
            return response
        return self._send(encode_error("the server failed; its log says why"), status=500, served=served)

    async def _follow_all(self) -> None:
        for model in self._models.all().values():
            await _follow(model)

    async def _look(self, request: Request) -> LiveModel:
        """The model that a request names, after looking whether another version became live."""
        name = request.path_params["name"]
        model = self._models.find(name)
        if model is None:
            raise RequestError(f"there is no model {name!r}", status=404)
        await _follow(model)
        request.state.served = model.served
        return model

    async def _find(self, request: Request) -> LiveModel:
        """The same for what only a loaded model can answer."""
        model = await self._look(request)
        if model.served is None:
            raise RequestError(f"the model {request.path_params['name']!r} is not ready: {model.problem}", status=503)
        return model

    def _choose(self, live: LiveModel, request: Request) -> Served:
        """The version that a request names, else the live one."""
        named = request.path_params
        if not named.keys() & {"version", "label"}:
            assert live.served is not None
            return live.served
        served, _ = live.take(bytes, version=named.get("version", ""), label=named.get("label", ""))
        served.end()
        return served

    def _answer(self, body: dict[str, Any], *, status: int = 200, served: Served | None = None) -> Response:
        return self._send(msgspec.json.encode(body), status=status, served=served)

    def _send(
        self, body: bytes, *, status: int = 200, served: Served | None = None, media_type: str = "application/json"
    ) -> Response:
        """An answer with the digest of its model, or of all models where it speaks of none."""
        digests = [served.release.digest] if served else [one.release.digest for one in self._list_served()]
        headers = {DIGEST_HEADER: ", ".join(digests)} if digests else {}
        headers["Content-Type"] = media_type
        return Response(body, status_code=status, headers=headers)

    def _list_served(self) -> list[Served]:
        return [model.served for model in self._models.all().values() if model.served]


_PLATFORMS = {"onnx": "onnxruntime_onnx", "saved-model": "tensorflow_savedmodel"}


async def _follow(model: LiveModel) -> None:
    """Wait for a change of versions: to its end where none can answer yet, else for a moment."""
    following = model.begin_following() if model.moved else None
    if following is None:
        return
    left = None if model.served is None else max(0.0, following.started + _PATIENCE - time.monotonic())
    done, _ = await asyncio.wait({asyncio.wrap_future(following.done)}, timeout=left)
    for future in done:
        future.result()


def _is_quick(live: LiveModel, ask: Ask) -> bool:
    """Whether an answer comes so soon that it may hold up the others: one of the only version that may give it."""
    served = live.served
    alone = not (live.arrangement.route.weights or ask.version or ask.label)
    if served is None or served.seconds is None or not alone:
        return False
    return served.seconds < _QUICK_SECONDS and len(ask.body) <= _QUICK_BODY


def _describe(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
