"""The server's own answers: what it says while models come, go and fail to load."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from seatrial.core.release import ModelFormat, Release, digest_files
from seatrial.errors import ReleaseError
from seatrial.serving.live import Catalog, LiveModels
from seatrial.serving.server import build_app


@dataclass(slots=True)
class FakeStore:
    """A store whose pointer and directories a test moves; a version without a directory was altered."""

    places: dict[str, Path]
    current: str | None = None
    opened: int = 0

    def pointer(self) -> str | None:
        return self.current

    def open_verified(self, version: str) -> tuple[Release, Path]:
        self.opened += 1
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


@pytest.fixture(scope="module")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory whose ONNX graph adds its input to itself."""
    from onnx import TensorProto, helper

    shape = ["rows", 2]
    graph = helper.make_graph(
        [helper.make_node("Add", ["features", "features"], ["sum"])],
        "double",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    directory = tmp_path_factory.mktemp("model")
    (directory / "model.onnx").write_bytes(model.SerializeToString())
    card = {"name": "m", "format": "onnx", "path": "model.onnx", "input": "features", "output": "sum"}
    (directory / "model.json").write_text(json.dumps(card))
    return directory


@dataclass(frozen=True, slots=True)
class Client:
    """Sends requests to an application without a network; what fails in it is an answer, as over one."""

    app: Starlette

    def get(self, path: str) -> httpx.Response:
        """GET."""
        return asyncio.run(self._send("GET", path, None))

    def post(self, path: str, body: object) -> httpx.Response:
        """POST JSON."""
        return asyncio.run(self._send("POST", path, body))

    async def _send(self, method: str, path: str, body: object) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, path, json=body)


def connect(stores: dict[str, FakeStore]) -> Client:
    """A client of a server with these stores."""
    catalog = Catalog(list_names=lambda: tuple(stores), open_store=stores.__getitem__)
    return Client(build_app(LiveModels(catalog)))


def ask(client: Client, data: list[float]) -> dict[str, object]:
    """Send one row."""
    tensor = {"name": "features", "shape": [1, 2], "datatype": "FP32", "data": data}
    answer: dict[str, object] = client.post("/v2/models/m/infer", {"inputs": [tensor]}).json()
    return answer


def test_server_without_models_is_not_ready() -> None:
    """Nothing to serve is not "all is well"."""
    client = connect({})
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 503
    assert "X-Model-Digest" not in client.get("/v2/health/ready").headers


def test_model_without_live_version_is_not_ready() -> None:
    """A model of which no version is live says so, and readiness names it."""
    client = connect({"m": FakeStore(places={})})
    answer = client.get("/v2/models/m")
    assert (answer.status_code, answer.json()) == (503, {"error": "the model 'm' is not ready: not loaded yet"})
    assert client.get("/v2/health/ready").json()["problems"] == {"m": "not loaded yet"}


def test_model_that_appears_is_served(doubling: Path) -> None:
    """A first deployment into a served directory needs no restart."""
    stores: dict[str, FakeStore] = {}
    client = connect(stores)
    assert client.get("/v2/models/m").status_code == 404
    stores["m"] = FakeStore(places={"1": doubling}, current="1")
    assert ask(client, [1, 2])["outputs"] == [{"name": "sum", "shape": [1, 2], "datatype": "FP32", "data": [2, 4]}]


def test_version_is_verified_once(doubling: Path) -> None:
    """Looking at the pointer is cheap: a version is opened when it becomes live, not on every request."""
    store = FakeStore(places={"1": doubling, "2": doubling}, current="1")
    client = connect({"m": store})
    for _ in range(3):
        assert ask(client, [1, 2])["model_version"] == "1"
    store.current = "2"
    for _ in range(3):
        assert ask(client, [1, 2])["model_version"] == "2"
    assert store.opened == 2


def test_bad_version_is_tried_once_and_told(doubling: Path) -> None:
    """A version that can't be opened leaves the one before in service, without being opened again and again."""
    store = FakeStore(places={"1": doubling}, current="1")
    client = connect({"m": store})
    ask(client, [1, 2])
    store.current = "2"
    for _ in range(3):
        assert ask(client, [1, 2])["model_version"] == "1"
    assert store.opened == 2
    ready = client.get("/v2/health/ready")
    assert (ready.status_code, ready.json()["problems"]) == (503, {"m": "version 2 was altered"})


def test_card_that_does_not_fit_the_model_is_told(doubling: Path, tmp_path: Path) -> None:
    """A card that names another tensor, or a path outside, keeps the model from being served."""
    (tmp_path / "model.onnx").write_bytes((doubling / "model.onnx").read_bytes())
    card = json.loads((doubling / "model.json").read_text())
    store = FakeStore(places={"1": tmp_path, "2": tmp_path, "3": tmp_path})
    client = connect({"m": store})
    for version, changes, said in (
        ("1", {"output": "probability"}, "names the tensor 'probability'; the model has sum"),
        ("2", {"path": "../model.onnx"}, "leads out of the model directory"),
        ("3", {"format": "pickle"}, "Invalid enum value"),
    ):
        (tmp_path / "model.json").write_text(json.dumps(card | changes))
        store.current = version
        answer = client.get("/v2/models/m")
        assert answer.status_code == 503
        assert said in answer.json()["error"]


def test_failure_inside_the_server_is_told_without_details(doubling: Path) -> None:
    """A defect is answered with 500 and no traceback, and the digest of what was asked."""
    store = FakeStore(places={"1": doubling}, current="1")
    client = connect({"m": store})
    ask(client, [1, 2])
    store.places = None  # type: ignore[assignment]
    store.current = "2"
    answer = client.get("/v2/models/m")
    assert (answer.status_code, answer.json()) == (500, {"error": "the server failed; its log says why"})
