"""Models of the real scikit-learn and Keras: loaded without running their author's code, and true to what they were."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seatrial.errors import ServeError
from seatrial.serving.runtimes import LoadedModel, load_model

COLUMNS = ("hour", "distance", "wind")


@pytest.fixture(scope="module")
def rows() -> np.ndarray[Any, Any]:
    """Rows of three features."""
    return np.random.default_rng(7).normal(size=(200, 3))


def save(directory: Path, model: Any, **card: Any) -> Path:
    """A model directory with a skops file."""
    import skops.io

    skops.io.dump(model, directory / "model.skops")
    return write_card(directory, format="skops", path="model.skops", **card)


def write_card(directory: Path, **card: Any) -> Path:
    """Write model.json."""
    plain = {"name": "m", "input": "features", "inputs": COLUMNS, "output": "predict_proba", "output_column": 1}
    (directory / "model.json").write_text(json.dumps(plain | card))
    return directory


def ask(model: LoadedModel, features: np.ndarray[Any, Any]) -> tuple[Any, ...]:
    """All outputs for these features."""
    names = tuple(tensor.name for tensor in model.outputs)
    answers = model.runtime.run({"features": features}, names)
    return tuple(answer.tolist() for answer in answers)


def test_classifier_answers_as_it_was_fitted(tmp_path: Path, rows: np.ndarray[Any, Any]) -> None:
    """Probabilities and classes are those of the estimator that was saved."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit(rows, np.where(rows[:, 0] > 0, "late", "punctual"))
    model = load_model(save(tmp_path, fitted))
    assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in model.inputs] == [("features", "FP64", (-1, 3))]
    described = [(tensor.name, tensor.datatype, tensor.shape) for tensor in model.outputs]
    assert described == [("predict_proba", "FP64", (-1, 2)), ("predict", "BYTES", (-1,))]
    assert ask(model, rows) == (fitted.predict_proba(rows).tolist(), fitted.predict(rows).tolist())
    np.testing.assert_array_equal(model.predict(rows), fitted.predict_proba(rows)[:, 1])


def test_regressor_answers_as_it_was_fitted(tmp_path: Path, rows: np.ndarray[Any, Any]) -> None:
    """A model without probabilities has one output."""
    from sklearn.linear_model import Ridge

    fitted = Ridge().fit(rows, rows.sum(axis=1))
    model = load_model(save(tmp_path, fitted, output="predict"))
    assert [tensor.name for tensor in model.outputs] == ["predict"]
    np.testing.assert_array_equal(model.predict(rows), fitted.predict(rows))


def test_pipeline_that_selects_columns_by_name_gets_them(tmp_path: Path, rows: np.ndarray[Any, Any]) -> None:
    """A model that was fitted on a table is asked with a table, whose names have to be those of the card."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = pd.DataFrame(rows, columns=list(COLUMNS))
    scaler = make_column_transformer((StandardScaler(), ["wind", "hour"]), remainder="passthrough")
    fitted = make_pipeline(scaler, LogisticRegression()).fit(table, rows[:, 2] > 0)
    model = load_model(save(tmp_path, fitted, trusted=["sklearn.compose._column_transformer._RemainderColsList"]))
    np.testing.assert_allclose(model.predict(rows), fitted.predict_proba(table)[:, 1], rtol=1e-12)
    write_card(tmp_path, format="skops", path="model.skops", inputs=["hour", "wind", "distance"])
    with pytest.raises(ServeError, match=r"other features than model\.json names, from number 1 on"):
        load_model(tmp_path)


def test_types_that_the_card_does_not_list_are_refused(tmp_path: Path, rows: np.ndarray[Any, Any]) -> None:
    """A type of another package is loaded only when the release's card trusts it by name."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    fitted = make_pipeline(FunctionTransformer(np.tanh), FunctionTransformer(json.dumps), LogisticRegression())
    fitted[-1].fit(rows, rows[:, 0] > 0)
    save(tmp_path, fitted)
    with pytest.raises(ServeError, match=r"does not trust: json\.dumps") as caught:
        load_model(tmp_path)
    assert '"trusted"' in caught.value.hint


@pytest.mark.parametrize("attack", ["os.system", "builtins.eval", "subprocess.call"])
def test_ways_to_run_code_are_refused_whatever_the_card_trusts(
    tmp_path: Path, rows: np.ndarray[Any, Any], attack: str
) -> None:
    """A card that trusts a door to the system does not open it."""
    import importlib

    from sklearn.preprocessing import FunctionTransformer

    module, _, name = attack.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    import skops.io

    skops.io.dump(FunctionTransformer(function), tmp_path / "model.skops")
    found = [str(one) for one in skops.io.get_untrusted_types(file=tmp_path / "model.skops")]
    write_card(tmp_path, format="skops", path="model.skops", trusted=[attack, *found])
    with pytest.raises(ServeError, match=r"can't be a part of a model, whatever model\.json trusts"):
        load_model(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"PK\x03\x04 broken"])
def test_file_of_another_format_is_refused(tmp_path: Path, content: bytes) -> None:
    """What is no skops file is an error for people, and never unpickled."""
    (tmp_path / "model.skops").write_bytes(content)
    write_card(tmp_path, format="skops", path="model.skops")
    with pytest.raises(ServeError, match="not a model in skops' format"):
        load_model(tmp_path)


_SAVE_KERAS = """
import sys
import keras
import numpy as np

kind, path = sys.argv[1:]
layers = [keras.layers.Input((3,), name="x"), keras.layers.Dense(1, activation="sigmoid", name="late")]
if kind == "lambda":
    layers.insert(1, keras.layers.Lambda(lambda value: value * 2))
model = keras.Sequential(layers)
model.layers[-1].set_weights([np.ones((3, 1)), np.zeros(1)])
model.save(path)
"""
_LOAD = """
import sys
from pathlib import Path
import numpy as np
from seatrial.errors import ServeError
from seatrial.serving.runtimes import load_model
try:
    model = load_model(Path(sys.argv[1]))
except ServeError as error:
    sys.exit(error.message)
print(model.inputs[0].name, model.inputs[0].datatype, model.inputs[0].shape, model.outputs[0].shape)
print(*model.predict(np.array([[0, 0, 0], [1, 2, 3], [-1, 0.5, 0.25]], dtype=np.float32)).tolist())
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python program of its own: Keras takes long to import, and keeps what it was told."""
    return subprocess.run([sys.executable, "-c", program, *arguments], check=False, capture_output=True, text=True)


@pytest.mark.slow
def test_keras_model_answers_as_it_was_made(tmp_path: Path) -> None:
    """A model in the format .keras gives the values of its weights, under the card's name of the input."""
    made = run(_SAVE_KERAS, "plain", str(tmp_path / "model.keras"))
    assert made.returncode == 0, made.stderr
    write_card(tmp_path, format="keras", path="model.keras", output="late", output_column=0)
    answered = run(_LOAD, str(tmp_path))
    assert answered.returncode == 0, answered.stderr
    described, scores = answered.stdout.splitlines()
    assert described == "features FP32 (-1, 3) (-1, 1)"
    expected = 1 / (1 + np.exp(-np.array([0, 6, -0.25])))
    np.testing.assert_allclose([float(score) for score in scores.split()], expected, rtol=1e-5)


@pytest.mark.slow
def test_keras_model_with_code_is_refused(tmp_path: Path) -> None:
    """A Lambda layer holds Python code; safe mode refuses it."""
    made = run(_SAVE_KERAS, "lambda", str(tmp_path / "model.keras"))
    assert made.returncode == 0, made.stderr
    write_card(tmp_path, format="keras", path="model.keras", output="late", output_column=0)
    refused = run(_LOAD, str(tmp_path))
    assert refused.returncode == 1
    assert "Keras can't load it in safe mode" in refused.stderr


@pytest.mark.slow
def test_keras_file_of_another_format_is_refused(tmp_path: Path) -> None:
    """An HDF5 file may hold code that no safe mode looks at; it is not even opened."""
    (tmp_path / "model.keras").write_bytes(b"\x89HDF\r\n\x1a\n")
    write_card(tmp_path, format="keras", path="model.keras", output="late")
    refused = run(_LOAD, str(tmp_path))
    assert refused.returncode == 1
    assert "not a model in the format .keras" in refused.stderr
