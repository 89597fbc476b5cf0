"""The server's answers, judged by the published description of the Open Inference Protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.unit.serving.stores import Client, FakeStore, connect, write_model

CONTRACT = json.loads((Path(__file__).parents[1] / "contracts/open-inference-subset.json").read_text(encoding="utf-8"))
CALLS = [(path, method) for path, calls in CONTRACT["paths"].items() for method in ("get", "post") if method in calls]
ASKED = {
    "id": "42",
    "inputs": [{"name": "features", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]]}],
    "outputs": [{"name": "sum"}],
    "parameters": {"keys": ["a", "b"]},
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """A server with one model."""
    place = write_model(tmp_path_factory.mktemp("model"))
    return connect({"m": FakeStore(places={"1": place}, current="1")})


def judge(schema: dict[str, Any], value: Any) -> None:
    """Fail where a value is not what the description says."""
    Draft202012Validator({**schema, "components": CONTRACT["components"]}).validate(value)


def find_schema(described: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body, if it is described."""
    schema: dict[str, Any] = described.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def send(client: Client, path: str, method: str, body: Any = None) -> httpx.Response:
    """Call what the description names, for the model that is there."""
    real = path.replace("{MODEL_NAME}", "m").replace("{MODEL_VERSION}", "1")
    return client.get(real) if method == "get" else client.post(real, ASKED if body is None else body)


def test_description_names_every_call_of_the_protocol() -> None:
    """The contract is not empty: health, readiness, metadata and inference are in it."""
    assert len(CALLS) == 6
    assert {method for _, method in CALLS} == {"get", "post"}


@pytest.mark.parametrize(("path", "method"), CALLS)
def test_every_call_is_answered_as_described(client: Client, path: str, method: str) -> None:
    """Each call of the protocol, with and without the version, is answered in the described form."""
    call = CONTRACT["paths"][path][method]
    if method == "post":
        judge(find_schema(call["requestBody"]), ASKED)
    for form in {path, path.replace("/versions/{MODEL_VERSION}", "")}:
        answer = send(client, form, method)
        assert answer.status_code == 200, form
        judge(find_schema(call["responses"]["200"]), answer.json())


def test_refusal_is_written_as_described(client: Client) -> None:
    """A request that does not fit is answered with 400 and the described error."""
    path, method = next(call for call in CALLS if call[1] == "post")
    answer = send(client, path, method, {"inputs": []})
    assert answer.status_code == 400
    judge(find_schema(CONTRACT["paths"][path][method]["responses"]["400"]), answer.json())


def test_tensors_in_binary_are_refused(client: Client) -> None:
    """The binary extension is not announced, and a request in it gets a clear answer instead of a guess."""
    assert send(client, "/v2/", "get").json()["extensions"] == []
    answer = client.post("/v2/models/m/infer", b"{}\x00\x00", Inference_Header_Content_Length="2")
    assert answer.status_code == 415
    assert "binary" in answer.json()["error"]
