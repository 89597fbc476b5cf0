"""A stand-in for TensorFlow's model server: its rules for `models.config`, real TensorFlow, and its REST API.

    python -m tests.fakes.model_server CONFIG      # prints its address, serves until stopped

There is no binary of the server to install. The rules are those of its sources (`server_core.cc`,
`file_system_storage_path_source.cc`): labels are looked at before anything is loaded, and one that moves to a version
that is not loaded refuses the whole configuration; a request without a version goes to the highest that is loaded; a
version is unloaded when those that stay are loaded; a warm-up request that fails keeps a version from being loaded.
States are written by the official messages.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import tensorflow as tf
from google.protobuf import json_format, text_format
from tensorflow_serving.apis import get_model_status_pb2, prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(:predict)?\Z")
_State = get_model_status_pb2.ModelVersionStatus


class ModelServer:
    """What is loaded, and the configuration that decides it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loaded: dict[str, dict[int, Any]] = {}
        self._failed: dict[tuple[str, int], str] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self.warmed = 0

    def poll(self) -> None:
        """Read the configuration, and follow it; one that is refused changes nothing."""
        config = model_server_config_pb2.ModelServerConfig()
        text_format.Parse(self._path.read_text(), config)
        models = list(config.model_config_list.config)
        labels = {model.name: dict(model.version_labels) for model in models}
        for name, labelled in labels.items():
            for label, version in labelled.items():
                moved = self._labels.get(name, {}).get(label, version) != version
                if moved and version not in self._loaded.get(name, {}):
                    sys.stderr.write(f"refused: label {label} to version {version} of {name}, which is not available\n")
                    return
        self._labels = labels
        for model in models:
            self._follow(model)
        for name in [*self._loaded]:
            if name not in labels:
                del self._loaded[name]

    def _follow(self, model: Any) -> None:
        assert Path(model.base_path).is_absolute()
        wanted = [v for v in model.model_version_policy.specific.versions if (Path(model.base_path) / str(v)).exists()]
        loaded = self._loaded.setdefault(model.name, {})
        for version in wanted:
            if version not in loaded and (model.name, version) not in self._failed:
                try:
                    loaded[version] = self._load(Path(model.base_path) / str(version))
                except Exception as error:  # noqa: BLE001 - the server tells whatever it was
                    self._failed[model.name, version] = str(error)
        for version in [*loaded]:
            if version not in wanted:
                del loaded[version]

    def _load(self, directory: Path) -> Any:
        loaded = tf.saved_model.load(str(directory))
        warmup = directory / "assets.extra/tf_serving_warmup_requests"
        for record in tf.data.TFRecordDataset([str(warmup)] if warmup.exists() else []):
            log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            request = log.predict_log.request
            given = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
            loaded.signatures[request.model_spec.signature_name](**given)
            self.warmed += 1
        return loaded

    def tell_states(self, name: str, version: int | None) -> dict[str, Any] | None:
        """The states of a model's versions, as the server writes them; None where it has none of them."""
        answer = get_model_status_pb2.GetModelStatusResponse()
        for each in sorted(self._loaded.get(name, {}), reverse=True):
            answer.model_version_status.add(version=each, state=_State.AVAILABLE)
        for (failed, each), problem in self._failed.items():
            if failed == name:
                told = answer.model_version_status.add(version=each, state=_State.END)
                told.status.error_code, told.status.error_message = 2, problem
        kept = [each for each in answer.model_version_status if version in (None, each.version)]
        del answer.model_version_status[:]
        answer.model_version_status.extend(kept)
        if not kept:
            return None
        written: dict[str, Any] = json_format.MessageToDict(answer, preserving_proto_field_name=True)
        for told in written["model_version_status"]:
            told["status"] = {"error_code": "OK", "error_message": ""} | told.get("status", {})
        return written

    def find(self, name: str, version: int | None, label: str | None) -> Any:
        """The model that answers a request; KeyError where none does."""
        loaded = dict(self._loaded[name])
        return loaded[self._labels[name][label] if label else version or max(loaded)]


def predict(model: Any, body: dict[str, Any]) -> dict[str, Any]:
    """Answer a request by rows, as the server does: a value for each row where there is one output."""
    signature = model.signatures["serving_default"]
    rows, specs = body["instances"], signature.structured_input_signature[1]
    given = {name: tf.constant([row[name] for row in rows], spec.dtype) for name, spec in specs.items()}
    outputs = {name: tensor.numpy().tolist() for name, tensor in signature(**given).items()}
    if len(outputs) == 1:
        return {"predictions": next(iter(outputs.values()))}
    return {"predictions": [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]}


def answer(server: ModelServer, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
    """The status and the answer to a request; one without a body asks for states."""
    found = _PATH.match(path)
    if not found:
        return 404, {"error": "Not found"}
    name, version, label, _ = found.groups()
    number = int(version) if version else None
    try:
        if body is not None:
            return 200, predict(server.find(name, number, label), body)
    except (KeyError, ValueError) as error:
        return 404, {"error": f"Servable not found for request: {error}"}
    states = server.tell_states(name, number)
    return (200, states) if states else (404, {"error": f"Could not find any versions of model {name}"})


def serve(path: Path) -> None:
    """Poll the configuration, and answer."""
    server = ModelServer(path)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, body: dict[str, Any] | None) -> None:
            status, told = answer(server, unquote(self.path), body)
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            if self.path == "/warmed":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(str(server.warmed).encode())
                return
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    sys.stdout.write(f"serving on http://127.0.0.1:{http.server_port}\n")
    sys.stdout.flush()
    while True:
        if path.exists():
            server.poll()
        time.sleep(0.1)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
