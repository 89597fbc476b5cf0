"""Keras models in the format `.keras`, loaded in safe mode: no Lambda layers, no code of the model's author."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from seatrial.errors import ServeError
from seatrial.serving.card import ModelCard
from seatrial.serving.runtimes import Array, Runtime, Tensor, explain_missing, hush_tensorflow

_SAFE = (3, 11, 3)  # from there on safe mode can't be led around by what is known
_TYPES = {"bool": "BOOL", "uint8": "UINT8", "int32": "INT32", "int64": "INT64", "float32": "FP32", "float64": "FP64"}


class KerasRuntime(Struct, frozen=True, kw_only=True):
    """A model of Keras on any of its backends; `call` takes a list of arrays and gives a list."""

    call: Callable[[list[Any]], list[Any]]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def run(self, inputs: Mapping[str, Array], outputs: tuple[str, ...]) -> tuple[Array, ...]:
        """Answer one request; ValueError where the model refuses it."""
        try:
            answers = self.call([inputs[tensor.name] for tensor in self.inputs])
        except Exception as error:  # each backend has errors of its own for shapes that do not fit
            raise ValueError(str(error).partition("\n")[0]) from error
        named = {tensor.name: answer for tensor, answer in zip(self.outputs, answers, strict=True)}
        return tuple(np.asarray(named[output]) for output in outputs)


def load_keras(path: Path, card: ModelCard) -> Runtime:
    """Load a model; ServeError where it is of another format, would run code, or has no fixed inputs."""
    hush_tensorflow()
    try:
        import keras
    except ImportError as error:
        raise explain_missing("keras", "pipeline") from error
    version = tuple(int(part) for part in keras.__version__.split(".")[:3] if part.isdecimal())
    if version < _SAFE:
        raise ServeError(
            f"Keras {keras.__version__} can be led around its safe mode", hint="pip install 'keras>=3.11.3'"
        )
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ServeError(f"{path}: not a model in the format .keras", hint="save it with model.save('model.keras')")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # what a file of somebody else's makes a loader raise is not known beforehand
        raise ServeError(f"{path}: Keras can't load it in safe mode: {str(error).partition(chr(10))[0]}") from error
    if not getattr(model, "inputs", None):
        raise ServeError(f"{path}: the model has no fixed inputs", hint="build it, or call it once, before it is saved")
    names = [card.output] if len(model.outputs) == 1 else list(model.output_names)
    inputs = tuple(_describe(path, _name_input(model, card, tensor), tensor) for tensor in model.inputs)
    outputs = tuple(_describe(path, name, tensor) for name, tensor in zip(names, model.outputs, strict=True))
    return KerasRuntime(call=_compile(model, inputs), inputs=inputs, outputs=outputs)


def _name_input(model: Any, card: ModelCard, tensor: Any) -> str:
    """An only input, like an only output, is called as the card calls it, since Keras makes names up."""
    return card.input if len(model.inputs) == 1 else str(tensor.name)


def _describe(path: Path, name: str, tensor: Any) -> Tensor:
    if tensor.dtype not in _TYPES or tensor.shape is None:
        raise ServeError(f"{path}: {name} has the type {tensor.dtype}, which can't be served")
    shape = tuple(-1 if size is None else int(size) for size in tensor.shape)
    return Tensor(name=name, datatype=_TYPES[tensor.dtype], shape=shape)


def _compile(model: Any, inputs: tuple[Tensor, ...]) -> Callable[[list[Any]], list[Any]]:
    """The model as a function; on TensorFlow as a graph, which answers several times as fast."""
    import keras

    def call(arrays: list[Any]) -> list[Any]:
        answer = model(arrays[0] if len(inputs) == 1 else arrays, training=False)
        return list(answer) if isinstance(answer, (list, tuple)) else [answer]

    if keras.backend.backend() != "tensorflow":
        return lambda arrays: [keras.ops.convert_to_numpy(answer) for answer in call(arrays)]
    import tensorflow as tf

    from seatrial.serving.runtimes import NUMPY_TYPES

    specs = [
        tf.TensorSpec([None if size < 0 else size for size in tensor.shape], NUMPY_TYPES[tensor.datatype])
        for tensor in inputs
    ]
    graph = tf.function(call, input_signature=[specs])
    return lambda arrays: [answer.numpy() for answer in graph([tf.constant(array) for array in arrays])]
