"""The server's own answers: what it says while models come, go and fail to load."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.serving.stores import FakeStore, connect


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
    assert (answer.status_code, answer.json()) == (503, {"error": "the model 'm' is not ready: no version is live"})
    assert client.get("/v2/health/ready").json()["problems"] == {"m": "no version is live"}


def test_model_that_appears_is_served(doubling: Path) -> None:
    """A first deployment into a served directory needs no restart."""
    stores: dict[str, FakeStore] = {}
    client = connect(stores)
    assert client.get("/v2/models/m").status_code == 404
    stores["m"] = FakeStore(places={"1": doubling}, current="1")
    assert client.infer([1, 2]).json()["outputs"] == [
        {"name": "sum", "shape": [1, 2], "datatype": "FP32", "data": [2, 4]}
    ]


def test_version_is_verified_once(doubling: Path) -> None:
    """Looking at the pointer is cheap: a version is opened when it becomes live, not on every request."""
    store = FakeStore(places={"1": doubling, "2": doubling}, current="1")
    client = connect({"m": store})
    for _ in range(3):
        assert client.infer([1, 2]).json()["model_version"] == "1"
    store.current = "2"
    for _ in range(3):
        assert client.infer([1, 2]).json()["model_version"] == "2"
    assert store.opened == 2


def test_bad_version_is_tried_once_and_told(doubling: Path) -> None:
    """A version that can't be opened leaves the one before in service, without being opened again and again."""
    store = FakeStore(places={"1": doubling}, current="1")
    client = connect({"m": store})
    client.infer([1, 2])
    store.current = "2"
    for _ in range(3):
        assert client.infer([1, 2]).json()["model_version"] == "1"
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
        ("3", {"format": "pickle"}, "a pickle is not loaded"),
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
    client.infer([1, 2])
    store.places = None  # type: ignore[assignment]
    store.current = "2"
    answer = client.get("/v2/models/m")
    assert (answer.status_code, answer.json()) == (500, {"error": "the server failed; its log says why"})
