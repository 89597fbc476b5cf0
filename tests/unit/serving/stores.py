"""Stores whose pointers a test moves, small real models in them, and a client without a network."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from seatrial.core.release import ModelFormat, Release, digest_files
from seatrial.core.routing import Route
from seatrial.errors import ReleaseError
from seatrial.serving.live import Catalog, LiveModel, LiveModels
from seatrial.serving.server import ServerOptions, build_app


@dataclass(slots=True)
class FakeStore:
    """A store whose pointer and directories a test moves; a version without a directory was altered."""

    places: dict[str, Path]
    current: str | None = None
    opened: int = 0
    shares: Route = field(default_factory=Route)
    route_problem: str = ""
    gate: threading.Event | None = None

    def pointer(self) -> str | None:
        return self.current

    def route(self) -> Route:
        if self.route_problem:
            raise ReleaseError(self.route_problem)
        return self.shares

    def open_verified(self, version: str) -> tuple[Release, Path]:
        self.opened += 1
        if self.gate:
            assert self.gate.wait(30)
        if version not in self.places:
            raise ReleaseError(f"version {version} was altered")
        return make_release(version), self.places[version]


def make_release(version: str) -> Release:
    """A manifest with a digest of its own."""
    return Release(
        name="m",
        version=version,
        digest=digest_files(()) + version,
        format=ModelFormat.ONNX,
        files=(),
        commit="5601846",
        lock_digest="",
        verdict="passed",
        override="",
        metrics={},
    )


def write_model(directory: Path, *, times: float = 2.0, width: int = 2, **card: Any) -> Path:
    """A model directory whose ONNX graph multiplies its features, of which there are `width`."""
    from onnx import TensorProto, helper

    shape = ["rows", width]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["features", "factor"], ["sum"])],
        "multiply",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, shape)],
        [helper.make_tensor("factor", TensorProto.FLOAT, [1], [times])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "model.onnx").write_bytes(model.SerializeToString())
    plain = {"name": "m", "format": "onnx", "path": "model.onnx", "input": "features", "output": "sum"}
    (directory / "model.json").write_text(json.dumps({**plain, "inputs": ["hour", "distance"], **card}))
    return directory


@dataclass(frozen=True, slots=True)
class Client:
    """Sends requests to an application without a network; what fails in it is an answer, as over one."""

    app: Starlette

    def get(self, path: str, **headers: str) -> httpx.Response:
        """GET."""
        return asyncio.run(self._send("GET", path, None, headers))

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        """POST JSON, or bytes as they are."""
        return asyncio.run(self._send("POST", path, body, headers))

    async def _send(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, path, content=content, headers=named)

    def infer(self, data: list[Any], *, model: str = "m", **headers: str) -> httpx.Response:
        """Send rows of two features in the Open Inference Protocol."""
        flat = data if data and isinstance(data[0], list) else [data]
        tensor = {"name": "features", "shape": [len(flat), 2], "datatype": "FP32", "data": flat}
        return self.post(f"/v2/models/{model}/infer", {"inputs": [tensor]}, **headers)

    def read_metrics(self) -> dict[str, float]:
        """The samples of `/metrics` by their name with labels, as Prometheus's own parser reads them."""
        from prometheus_client.parser import text_string_to_metric_families

        families = text_string_to_metric_families(self.get("/metrics").text)
        return {
            sample.name + "".join(f",{name}={value}" for name, value in sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }


@dataclass(frozen=True, slots=True)
class Loaded:
    """One loaded model among all."""

    models: LiveModels
    model: LiveModel


def load(store: FakeStore) -> Loaded:
    """What a server would hold of a store."""
    models = LiveModels(Catalog(list_names=lambda: ("m",), open_store=lambda _: store))
    model = models.find("m")
    assert model is not None
    model.follow()
    return Loaded(models, model)


def settle(client: Client) -> None:
    """Wait until the shadow has answered what it was asked."""
    client.app.state.service.shadow.settle()


def connect(stores: dict[str, FakeStore], options: ServerOptions | None = None) -> Client:
    """A client of a server with these stores."""
    catalog = Catalog(list_names=lambda: tuple(stores), open_store=stores.__getitem__)
    return Client(build_app(LiveModels(catalog), options or ServerOptions()))
