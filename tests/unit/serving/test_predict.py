"""TensorFlow Serving's REST API: rows and columns, states and signatures, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.serving.runtimes import Tensor
from seatrial.serving.tensors import RequestError
from seatrial.serving.tfserving import encode_predictions, parse_predict
from tests.unit.serving.stores import Client, FakeStore, connect

X = Tensor(name="x", datatype="FP32", shape=(-1, 2), columns=("hour", "distance"))
NAMES = Tensor(name="names", datatype="BYTES", shape=(-1,))
Y = Tensor(name="y", datatype="FP32", shape=(-1,))
Z = Tensor(name="z", datatype="INT64", shape=(-1, 1))


@pytest.fixture
def client(doubling: Path) -> Client:
    """A server whose model doubles two features."""
    return connect({"m": FakeStore(places={"3": doubling}, current="3")})


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"instances": [[1, 2], [3, 4]]}, {"predictions": [[2, 4], [6, 8]]}),
        ({"instances": [{"features": [1, 2]}]}, {"predictions": [[2, 4]]}),
        ({"inputs": [[1, 2]]}, {"outputs": [[2, 4]]}),
        ({"inputs": {"features": [[1, 2]]}, "signature_name": "serving_default"}, {"outputs": [[2, 4]]}),
    ],
)
@pytest.mark.parametrize("which", ["", "/versions/3", "/labels/stable"])
def test_rows_and_columns_are_answered_in_their_layout(client: Client, body: Any, answer: Any, which: str) -> None:
    """Predictions come as they are asked for, with the digest of their model."""
    response = client.post(f"/v1/models/m{which}:predict", body)
    assert (response.status_code, response.json()) == (200, answer)
    assert response.headers["X-Model-Digest"].endswith("3")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is not a predict request"),
        ([], "the body is not a predict request"),
        ({}, 'either "instances" (by row) or "inputs" (by column)'),
        ({"instances": [[1, 2]], "inputs": [[1, 2]]}, "either"),
        ({"instances": []}, "there are no rows"),
        ({"instances": [[1, 2], [3]]}, "input 'features', row 1 has 1 values; the model takes 2: hour, distance"),
        ({"instances": [[1, 2], [3, "4"]]}, "row 1, feature 'distance' (column 1): '4' is not a number"),
        ({"instances": [[1, 2], [None, 4]]}, "row 1, feature 'hour' (column 0): null is no value"),
        ({"instances": [1, 2]}, "row 0: 1 stands where a list of values is meant"),
        ({"instances": [{"feature": [1, 2]}]}, "row 0 has 'feature'; the model takes 'features'"),
        ({"instances": [{"features": [1, 2]}, [3, 4]]}, "row 0: an object stands where a list"),
        ({"inputs": {"x": [[1, 2]]}}, "inputs has 'x'; the model takes 'features'"),
        ({"inputs": 7}, "7 stands where a list of values is meant"),
        ({"instances": [[1, 2]], "signature_name": "other"}, "there is no signature 'other'"),
    ],
)
def test_wrong_request_is_refused_in_plain_words(client: Client, body: Any, said: str) -> None:
    """Every mistake has status 400 and names the row and the feature."""
    response = client.post("/v1/models/m:predict", body)
    assert response.status_code == 400
    assert said in response.json()["error"]


def test_versions_labels_and_models_that_are_not_there(client: Client) -> None:
    """What is not served is 404, and the answer lists what is."""
    for path, said in (
        ("/v1/models/m/versions/9:predict", "version 9 is not served; served: 3"),
        ("/v1/models/m/labels/canary:predict", "no version has the label 'canary'; there is stable"),
        ("/v1/models/other:predict", "there is no model 'other'"),
    ):
        response = client.post(path, {"instances": [[1, 2]]})
        assert (response.status_code, response.json()["error"]) == (404, said)
    assert client.get("/v1/models/m/versions/9").status_code == 404


def test_states_follow_a_switch(client: Client, doubling: Path, tmp_path: Path) -> None:
    """The state of versions is told in TensorFlow Serving's words: available, ended, and refused with the reason."""
    store = FakeStore(places={"1": doubling, "2": tmp_path}, current="1")
    client = connect({"m": store})
    assert [state["state"] for state in client.get("/v1/models/m").json()["model_version_status"]] == ["AVAILABLE"]
    store.current = "2"
    states = {state["version"]: state for state in client.get("/v1/models/m").json()["model_version_status"]}
    assert (states["1"]["state"], states["2"]["state"]) == ("AVAILABLE", "END")
    assert "model.json is missing" in states["2"]["status"]["error_message"]
    assert client.get("/v1/models/m/versions/1").json()["model_version_status"] == [states["1"]]
    store.places["3"] = doubling
    store.current = "3"
    states = {state["version"]: state for state in client.get("/v1/models/m").json()["model_version_status"]}
    assert (states["1"]["state"], states["3"]["state"]) == ("END", "AVAILABLE")


def test_signature_is_told_as_tensorflow_writes_it(client: Client) -> None:
    """Metadata holds types and shapes under serving_default."""
    answer = client.get("/v1/models/m/metadata").json()
    assert answer["model_spec"] == {"name": "m", "signature_name": "", "version": "3"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["features"]["dtype"] == "DT_FLOAT"
    assert [size["size"] for size in signature["inputs"]["features"]["tensor_shape"]["dim"]] == ["-1", "2"]
    assert list(signature["outputs"]) == ["sum"]


def parse(text: str, *inputs: Tensor) -> Any:
    """The arrays of a request."""
    return parse_predict(text.encode(), inputs, (Y,)).inputs


def test_several_inputs_come_as_objects() -> None:
    """With several inputs every row is an object, and the columns are one."""
    rows = parse('{"instances": [{"x": [1, 2], "names": "a"}, {"x": [3, 4], "names": {"b64": "w7w="}}]}', X, NAMES)
    np.testing.assert_array_equal(rows["x"], [[1, 2], [3, 4]])
    assert rows["names"].tolist() == ["a", "ü"]
    columns = parse('{"inputs": {"x": [[1, 2]], "names": ["a"]}}', X, NAMES)
    assert columns["names"].tolist() == ["a"]
    for wrong in ('{"instances": [[1, 2]]}', '{"inputs": [[1, 2]]}', '{"instances": [{"x": [1, 2]}]}'):
        with pytest.raises(RequestError):
            parse(wrong, X, NAMES)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda leaf: st.lists(leaf, max_size=3) | st.dictionaries(st.sampled_from(["x", "names", "b64"]), leaf),
    max_leaves=12,
)


@given(json_values, st.sampled_from(["instances", "inputs"]))
def test_whatever_is_sent_is_understood_or_refused(value: Any, layout: str) -> None:
    """No body whatever raises anything but a RequestError, for numbers and for text."""
    body = json.dumps({layout: value}).encode()
    for inputs in ((X,), (NAMES,), (X, NAMES)):
        with suppress(RequestError):
            parse_predict(body, inputs, (Y,))


@pytest.mark.parametrize("depth", [100, 900, 100_000])
@pytest.mark.parametrize("inputs", [(X,), (NAMES,), (X, NAMES)])
def test_depth_is_refused(depth: int, inputs: tuple[Tensor, ...]) -> None:
    """Lists in lists in lists are refused as any other mistake is."""
    with pytest.raises(RequestError):
        parse_predict(b'{"inputs": ' + b"[" * depth + b"]" * depth + b"}", inputs, (Y,))


def test_base64_of_no_text_is_refused() -> None:
    """A model takes text; bytes that are none are not passed on as something else."""
    assert parse('{"instances": [{"b64": "YQ=="}]}', NAMES)["names"].tolist() == ["a"]
    for wrong in ("/w==", "?", "Y"):
        with pytest.raises(RequestError, match="not the Base64 of UTF-8 text"):
            parse(f'{{"instances": [{{"b64": "{wrong}"}}]}}', NAMES)


def test_several_outputs_are_told_by_name() -> None:
    """By row an object per row, by column an object of tensors."""
    arrays = (np.array([0.5, 1.5], dtype=np.float32), np.array([[1], [2]]))
    by_row = parse_predict(b'{"instances": [[1, 2], [3, 4]]}', (X,), (Y, Z))
    assert encode_predictions(query=by_row, arrays=arrays) == b'{"predictions":[{"y":0.5,"z":[1]},{"y":1.5,"z":[2]}]}'
    by_column = parse_predict(b'{"inputs": [[1, 2], [3, 4]]}', (X,), (Y, Z))
    assert encode_predictions(query=by_column, arrays=arrays) == b'{"outputs":{"y":[0.5,1.5],"z":[[1],[2]]}}'
    with pytest.raises(RequestError, match="'y' has no value per row"):
        encode_predictions(query=by_row, arrays=(np.array([1.0]), arrays[1]))
    with pytest.raises(RequestError, match="not finite in 'y'"):
        encode_predictions(query=by_row, arrays=(np.array([1.0, np.inf]), arrays[1]))
