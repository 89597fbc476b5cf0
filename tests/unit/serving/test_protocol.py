"""The inference protocol: what is understood, what is refused in plain words, and what is answered."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.serving.protocol import encode_answer, parse_query
from seatrial.serving.runtimes import Tensor
from seatrial.serving.tensors import Query, RequestError

INPUTS = (Tensor(name="features", datatype="FP32", shape=(-1, 2), columns=("hour", "distance")),)
OUTPUTS = (
    Tensor(name="label", datatype="INT64", shape=(-1,)),
    Tensor(name="probabilities", datatype="FP32", shape=(-1, 2)),
)


def ask(**changes: Any) -> bytes:
    """A request of two rows, with parts of its tensor replaced."""
    tensor = {"name": "features", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]} | changes
    return json.dumps({"id": "42", "inputs": [tensor]}).encode()


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]])
def test_flat_and_nested_data_mean_the_same(data: list[Any]) -> None:
    """The protocol allows both; both become the array of the shape."""
    query = parse_query(ask(data=data), INPUTS, OUTPUTS)
    np.testing.assert_array_equal(query.inputs["features"], np.array([[1, 2], [3, 4]], dtype=np.float32))
    assert query.inputs["features"].dtype == np.float32
    assert query.id == "42"


def test_all_outputs_are_answered_unless_some_are_named() -> None:
    """No `outputs` means all of them, in the model's order."""
    assert parse_query(ask(), INPUTS, OUTPUTS).outputs == ("label", "probabilities")
    named = json.loads(ask()) | {"outputs": [{"name": "probabilities"}]}
    assert parse_query(json.dumps(named).encode(), INPUTS, OUTPUTS).outputs == ("probabilities",)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is not an inference request"),
        (b"[" * 200_000, "the body is not an inference request"),
        (b"\xff", "the body is not an inference request"),
        (b"{}", "missing required field `inputs`"),
        (b'{"inputs": []}', "the model takes the inputs 'features'; the request has none"),
        (ask(name="x"), "the model takes the inputs 'features'; the request has 'x'"),
        (ask(datatype="FP64"), "input 'features' has the datatype 'FP64'; the model takes FP32"),
        (ask(shape=[2, 3]), "input 'features' has the shape [2, 3]; the model takes [any, 2]"),
        (ask(shape=[4]), "input 'features' has the shape [4]; the model takes [any, 2]"),
        (ask(shape=[0, 2], data=[]), "input 'features' has the shape [0, 2]"),
        (ask(shape=[-2, 2]), "input 'features' has the shape [-2, 2]"),
        (ask(shape=[2**62, 2]), "the shape [4611686018427387904, 2] needs 9223372036854775808"),
        (ask(data=[1, 2, 3]), "holds 3 values in the shape [3]; the shape [2, 2] needs 4"),
        (ask(data=[[1, 2, 3, 4]]), "holds 4 values in the shape [1, 4]; the shape [2, 2] needs 4"),
        (ask(data=[[1, 2], [3]]), "input 'features', row 1 has 1 values; the model takes 2: hour, distance"),
        (ask(data=[[1, 2], 3]), "row 1: 3 stands where a list of values is meant"),
        (ask(data=["1", 2, 3, 4]), "input 'features', row 0, feature 'hour' (column 0): '1' is not a number"),
        (ask(data=[1, 2, 3, "4"]), "row 1, feature 'distance' (column 1): '4' is not a number"),
        (ask(data=[[1, 2], [3, None]]), "row 1, feature 'distance' (column 1): null is no value"),
        (ask(data=[{}, 2, 3, 4]), "an object is not a number"),
        (ask(data=[1e300, 2, 3, 4]), "row 0, feature 'hour' (column 0): 1e+300 does not fit into FP32"),
        (ask(data=[10**400, 2, 3, 4]), "does not fit into FP32"),
        (ask(data="1234"), "Expected `array`, got `str`"),
        (b'{"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [NaN, 1]}]}', "body"),
    ],
)
def test_wrong_request_is_refused_in_plain_words(body: bytes, said: str) -> None:
    """Every mistake has status 400 and a sentence that says what the model takes."""
    with pytest.raises(RequestError) as caught:
        parse_query(body, INPUTS, OUTPUTS)
    assert said in caught.value.message
    assert caught.value.status == 400


def test_unknown_output_is_refused() -> None:
    """An output that the model lacks is an error that lists what it has."""
    named = json.loads(ask()) | {"outputs": [{"name": "x"}]}
    with pytest.raises(RequestError, match="no output 'x'; it has 'label', 'probabilities'"):
        parse_query(json.dumps(named).encode(), INPUTS, OUTPUTS)


@pytest.mark.parametrize(
    ("datatype", "data", "accepted"),
    [
        ("INT8", [1, -1], True),
        ("INT8", [1, 300], False),
        ("INT64", [1, 1.5], False),
        ("UINT8", [1, -1], False),
        ("BOOL", [True, False], True),
        ("BOOL", [1, 0], False),
        ("FP64", [1, 1e300], True),
        ("BYTES", ["a", "ü"], True),
        ("BYTES", ["a", 1], False),
        ("BYTES", [1, 2], False),
        ("BYTES", json.loads("[" * 100 + "]" * 100), False),
        ("FP32", json.loads("[" * 100 + "]" * 100), False),
    ],
)
def test_nothing_is_converted_that_changes_its_meaning(datatype: str, data: list[Any], accepted: bool) -> None:
    """A value that is out of range, or of another kind, is refused rather than wrapped or cut."""
    inputs = (Tensor(name="x", datatype=datatype, shape=(-1,)),)
    body = json.dumps({"inputs": [{"name": "x", "shape": [2], "datatype": datatype, "data": data}]}).encode()
    if accepted:
        assert parse_query(body, inputs, OUTPUTS).inputs["x"].shape == (2,)
        return
    with pytest.raises(RequestError):
        parse_query(body, inputs, OUTPUTS)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda leaf: st.lists(leaf, max_size=3) | st.dictionaries(st.sampled_from(["name", "inputs", "data"]), leaf),
    max_leaves=12,
)


@given(json_values, json_values, json_values)
def test_whatever_is_sent_is_understood_or_refused(whole: Any, shape: Any, data: Any) -> None:
    """No body whatever raises anything but a RequestError."""
    for body in (json.dumps(whole).encode(), ask(shape=shape, data=data)):
        with suppress(RequestError):
            parse_query(body, INPUTS, OUTPUTS)


def test_answer_is_what_the_protocol_asks_for() -> None:
    """Name, version, the request's id, and each output with shape, datatype and flat data."""
    query = Query(id="42", inputs={}, outputs=("probabilities",))
    body = encode_answer(
        name="m", version="3", query=query, tensors=OUTPUTS, arrays=(np.array([[0.25, 0.75]], dtype=np.float32),)
    )
    assert json.loads(body) == {
        "model_name": "m",
        "model_version": "3",
        "id": "42",
        "outputs": [{"name": "probabilities", "shape": [1, 2], "datatype": "FP32", "data": [0.25, 0.75]}],
    }


def test_answer_that_is_not_finite_is_an_error() -> None:
    """NaN would become null in JSON; it is a failure of the model and told as one."""
    query = Query(id=None, inputs={}, outputs=("probabilities",))
    with pytest.raises(RequestError, match="not finite") as caught:
        encode_answer(name="m", version="3", query=query, tensors=OUTPUTS, arrays=(np.array([np.nan]),))
    assert caught.value.status == 500
