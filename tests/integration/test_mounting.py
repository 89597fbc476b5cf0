"""The examples that mount models in other applications, each on the server that its framework brings."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from seatrial.errors import ServeError
from seatrial.mounting import ModelMiddleware, WsgiModelMiddleware
from tests.integration.ports import find_port
from tests.integration.releases import promote, write_releases

EXAMPLES = Path(__file__).parents[2] / "examples/serving"
COMMANDS = {
    "fastapi_app": ("-m", "uvicorn", "fastapi_app:app", "--port"),
    "flask_app": ("-m", "flask", "--app", "flask_app", "run", "--port"),
    "django_app": ("-m", "uvicorn", "django_app:application", "--port"),
}


@contextmanager
def running(name: str, models: Path) -> Iterator[httpx.Client]:
    """An example in a process of its own."""
    port = find_port()
    process = subprocess.Popen(
        [sys.executable, *COMMANDS[name], str(port)],
        cwd=EXAMPLES,
        env={**os.environ, "MODELS": str(models), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while not answers(client):
                assert process.poll() is None, process.stdout.read()
                time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def answers(client: httpx.Client) -> bool:
    """Whether the server listens."""
    try:
        client.get("/")
    except httpx.TransportError:
        return False
    return True


@pytest.mark.parametrize("name", COMMANDS)
def test_example_serves_models_beside_its_own_pages(name: str, tmp_path: Path) -> None:
    """Below /models the live release answers in both protocols and follows a switch; the rest is the application's."""
    digests = write_releases(tmp_path)
    tensor = {"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    with running(name, tmp_path) as client:
        assert client.get("/").json() == {"models": "/models/docs"}
        assert client.get("/models").status_code in {307, 404}
        assert client.get("/v2/models/m").status_code == 404
        for version, data in (("1", [2, 4]), ("2", [3, 6])):
            promote(tmp_path, version)
            answer = client.post("/models/v2/models/m/infer", json={"inputs": [tensor]})
            assert (answer.status_code, answer.json()["outputs"][0]["data"]) == (200, data)
            assert answer.headers["X-Model-Digest"] == digests[version]
        answer = client.post("/models/v1/models/m:predict", json={"instances": [[1, 2], [1, "x"]]})
        assert answer.status_code == 400
        assert "row 1, feature 'distance'" in answer.json()["error"]
        assert 'model_requests_total{code="200",model="m",role="stable",version="2"} 1.0' in _sort(client)
        assert client.get("/models/openapi.json").json()["servers"] == [{"url": "/models"}]
        assert "/models/v1/models/m:predict" in client.get("/models/docs").text


def _sort(client: httpx.Client) -> list[str]:
    """The samples of /metrics with their labels in order."""
    lines = client.get("/models/metrics").text.splitlines()
    return [_sort_labels(line) if "{" in line else line for line in lines]


def _sort_labels(line: str) -> str:
    name, _, rest = line.partition("{")
    labels, _, value = rest.rpartition("}")
    return f"{name}{{{','.join(sorted(labels.split(',')))}}}{value}"


@pytest.mark.parametrize("kind", [ModelMiddleware, WsgiModelMiddleware])
def test_root_without_models_is_an_error_at_the_start(
    kind: type[ModelMiddleware | WsgiModelMiddleware], tmp_path: Path
) -> None:
    """An application does not start with models that are not there."""
    with pytest.raises(ServeError, match="holds no live model"):
        kind(None, root=tmp_path)  # type: ignore[arg-type]
