"""Runtimes: a model directory in, a function from tensors to tensors out. None unpickles what it is not told to."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from seatrial.core.release import ModelFormat
from seatrial.errors import ServeError
from seatrial.serving.card import ModelCard, read_card

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or output: its name, its type as the Open Inference Protocol writes it, its shape.

    -1 stands for a size that the request chooses. `columns` names the values along the last axis, if they are known.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    columns: tuple[str, ...] = ()


class Runtime(Protocol):
    """A loaded model, safe to call from several threads at once."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors that a request must bring."""

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The tensors that an answer may hold."""

    def run(self, inputs: Mapping[str, Array], outputs: tuple[str, ...]) -> tuple[Array, ...]:
        """Answer one request; ValueError where the model refuses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model that is ready to answer, and its card."""

    card: ModelCard
    runtime: Runtime

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors that a request must bring, with the names of their columns."""
        return tuple(
            replace(tensor, columns=self.card.inputs) if tensor.name == self.card.input else tensor
            for tensor in self.runtime.inputs
        )

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The tensors that an answer may hold."""
        return self.runtime.outputs

    def warm_up(self) -> None:
        """Ask for a row of nothing, so that what a runtime does once is done before the first request."""
        row = {
            tensor.name: np.full(
                [max(size, 1) for size in tensor.shape], "" if tensor.datatype == "BYTES" else 0
            ).astype(NUMPY_TYPES[tensor.datatype])
            for tensor in self.inputs
        }
        # A model may refuse such a row; then its first request is slower, and that is all.
        with suppress(Exception):
            self.runtime.run(row, tuple(tensor.name for tensor in self.outputs))

    def predict(self, features: Array) -> Array:
        """The predictions, shape (rows,), of features of shape (rows, features)."""
        (answer,) = self.runtime.run({self.card.input: features}, (self.card.output,))
        return self.card.pick(answer)


def load_model(directory: Path, pickles: Collection[str] = ()) -> LoadedModel:
    """Load the model of a directory; ServeError where it can't be, or is not what its card says.

    `pickles` are the files of it that may be loaded although that runs code of their author.
    """
    card = read_card(directory)
    path = directory / card.path
    if not path.exists():
        raise ServeError(f"{path} is missing, but model.json names it")
    if card.format not in LOADERS:
        raise ServeError(f"{path}: nothing here runs a model of {card.format.value}")
    if card.format is ModelFormat.PICKLE and card.path not in pickles:
        raise ServeError(
            f"{path}: a pickle is not loaded, because that runs whatever its author wrote",
            hint="`releases: {pickles: [FILE]}` in seatrial.yaml releases it nevertheless",
        )
    model = LoadedModel(card=card, runtime=LOADERS[card.format](path, card))
    for wanted, tensors in ((card.input, model.runtime.inputs), (card.output, model.runtime.outputs)):
        if wanted not in (names := [tensor.name for tensor in tensors]):
            raise ServeError(f"{directory}: model.json names the tensor {wanted!r}; the model has {', '.join(names)}")
    _check_columns(directory, card, model)
    return model


def _check_columns(directory: Path, card: ModelCard, model: LoadedModel) -> None:
    width = next(tensor.shape[-1:] for tensor in model.runtime.inputs if tensor.name == card.input)
    if card.inputs and width not in ((-1,), (len(card.inputs),)):
        raise ServeError(f"{directory}: model.json names {len(card.inputs)} inputs; the model takes {[*width]}")


_ONNX_TYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
_TENSORFLOW_TYPES = {
    name.removeprefix("tensor(").removesuffix(")"): datatype for name, datatype in _ONNX_TYPES.items()
} | {"float32": "FP32", "float64": "FP64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRuntime:
    """A session of onnxruntime on the processor."""

    session: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def run(self, inputs: Mapping[str, Array], outputs: tuple[str, ...]) -> tuple[Array, ...]:
        """Answer one request; ValueError where the model refuses it."""
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

        try:
            return tuple(self.session.run(list(outputs), dict(inputs)))
        except (Fail, InvalidArgument, RuntimeException) as error:
            raise ValueError(str(error)) from error


def _load_onnx(path: Path, _: ModelCard) -> Runtime:
    try:
        import onnxruntime
    except ImportError as error:
        raise explain_missing("onnxruntime", "serving") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that wait by spinning take the processor from other requests, and three times as much of it in all.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no base below Exception.
        raise ServeError(f"{path}: onnxruntime can't load it: {error}") from error
    return OnnxRuntime(
        session=session,
        inputs=tuple(_describe_onnx(path, node) for node in session.get_inputs()),
        outputs=tuple(_describe_onnx(path, node) for node in session.get_outputs()),
    )


def _describe_onnx(path: Path, node: Any) -> Tensor:
    if node.type not in _ONNX_TYPES:
        raise ServeError(
            f"{path}: {node.name} has the type {node.type}, which is no tensor",
            hint="convert with the option zipmap=False" if "map" in node.type else "",
        )
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
    return Tensor(name=node.name, datatype=_ONNX_TYPES[node.type], shape=shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFlowRuntime:
    """The signature `serving_default` of a SavedModel; `owner` keeps its variables alive."""

    owner: Any
    signature: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def run(self, inputs: Mapping[str, Array], outputs: tuple[str, ...]) -> tuple[Array, ...]:
        """Answer one request; ValueError where the model refuses it."""
        import tensorflow as tf

        try:
            answer = self.signature(**{name: tf.constant(value) for name, value in inputs.items()})
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(error.message) from error
        return tuple(answer[name].numpy() for name in outputs)


def hush_tensorflow() -> None:
    """Keep TensorFlow's C++ part from writing its notes between our lines, unless the user has said how much it may."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _load_saved_model(path: Path, _: ModelCard) -> Runtime:
    hush_tensorflow()
    try:
        import tensorflow as tf
    except ImportError as error:
        raise explain_missing("tensorflow", "pipeline") from error
    try:
        owner = tf.saved_model.load(str(path))
        signature = owner.signatures["serving_default"]
    except KeyError as error:
        raise ServeError(f"{path}: the SavedModel has no signature serving_default") from error
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ServeError(f"{path}: TensorFlow can't load it: {error}") from error
    inputs = signature.structured_input_signature[1]
    return TensorFlowRuntime(
        owner=owner,
        signature=signature,
        inputs=tuple(_describe_tensorflow(name, spec) for name, spec in inputs.items()),
        outputs=tuple(_describe_tensorflow(name, spec) for name, spec in signature.structured_outputs.items()),
    )


def _describe_tensorflow(name: str, spec: Any) -> Tensor:
    if spec.dtype.name not in _TENSORFLOW_TYPES or spec.shape.rank is None:
        raise ServeError(f"{name} has the type {spec.dtype.name} and shape {spec.shape}, which can't be served")
    shape = tuple(-1 if size is None else size for size in spec.shape.as_list())
    return Tensor(name=name, datatype=_TENSORFLOW_TYPES[spec.dtype.name], shape=shape)


def explain_missing(module: str, extra: str) -> ServeError:
    """The error for a library that is not installed, and the extra that brings it."""
    return ServeError(f"{module} is not installed", hint=f"pip install 'seatrial[{extra}]'")


def _load_skops(path: Path, card: ModelCard) -> Runtime:
    from seatrial.serving.skops_runtime import load_skops

    return load_skops(path, card)


def _load_keras(path: Path, card: ModelCard) -> Runtime:
    from seatrial.serving.keras_runtime import load_keras

    return load_keras(path, card)


def _load_pickle(path: Path, card: ModelCard) -> Runtime:
    from seatrial.serving.pickle_runtime import load_pickle

    return load_pickle(path, card)


LOADERS: dict[ModelFormat, Callable[[Path, ModelCard], Runtime]] = {
    ModelFormat.ONNX: _load_onnx,
    ModelFormat.SAVED_MODEL: _load_saved_model,
    ModelFormat.SKOPS: _load_skops,
    ModelFormat.KERAS: _load_keras,
    ModelFormat.PICKLE: _load_pickle,
}

NUMPY_TYPES: dict[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}
