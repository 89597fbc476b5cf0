"""scikit-learn models in skops files: loaded with the types that their card lists, and no others.

Tensors are called as scikit-learn's methods are: `predict` gives classes or values, `predict_proba` the probabilities
of the classes in the order of `classes_`. The input has the name that the card gives it and holds 64-bit floats.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from seatrial.errors import ServeError
from seatrial.serving.card import ModelCard
from seatrial.serving.runtimes import Array, Runtime, Tensor, explain_missing

# Whatever a card lists, these are no parts of a model: to build one of them is to run what its author chose.
_NEVER = frozenset(
    {
        *(
            "builtins",
            "code",
            "codeop",
            "commands",
            "ctypes",
            "functools",
            "importlib",
            "io",
            "marshal",
            "multiprocessing",
        ),
        *("nt", "operator", "os", "pathlib", "pickle", "platform", "posix", "pty", "runpy", "shutil", "signal", "site"),
        *(
            "socket",
            "subprocess",
            "sys",
            "tempfile",
            "threading",
            "types",
            "urllib",
            "webbrowser",
            "joblib",
            "cloudpickle",
        ),
    }
)


class SkopsRuntime(Struct, frozen=True, kw_only=True):
    """An estimator with `predict`; `prepare` turns an array into what it was fitted on."""

    estimator: Any
    prepare: Callable[[Array], Any]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def run(self, inputs: Mapping[str, Array], outputs: tuple[str, ...]) -> tuple[Array, ...]:
        """Answer one request; ValueError where the model refuses it."""
        import sklearn

        features = self.prepare(inputs[self.inputs[0].name])
        # The request was checked for values that are not finite, and the model when it was loaded.
        with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
            return tuple(np.asarray(getattr(self.estimator, output)(features)) for output in outputs)


def load_skops(path: Path, card: ModelCard) -> Runtime:
    """Load a model; ServeError where it holds types that its card does not list, or can't answer."""
    try:
        import skops.io
    except ImportError as error:
        raise explain_missing(error.name or "skops", "sklearn") from error
    trusted = _check_types(path, card, _list_types(path))
    try:
        estimator = skops.io.load(path, trusted=trusted)
    except Exception as error:  # what a file of somebody else's makes a loader raise is not known beforehand
        raise ServeError(f"{path}: skops can't load it: {error}") from error
    return wrap_estimator(path, estimator, card)


def wrap_estimator(path: Path, estimator: Any, card: ModelCard) -> Runtime:
    """An estimator of scikit-learn as a runtime; ServeError where it can't answer, or not as its card says."""
    if not hasattr(estimator, "predict"):
        raise ServeError(f"{path}: {type(estimator).__name__} has no method predict, so it can't be served")
    width = _check_features(path, estimator, card)
    features = Tensor(name=card.input, datatype="FP64", shape=(-1, width))
    prepare, probe = _choose_preparation(path, estimator, np.zeros((1, max(width, 1))))
    return SkopsRuntime(
        estimator=estimator,
        prepare=prepare,
        inputs=(features,),
        outputs=tuple(_describe(path, name, answer) for name, answer in probe.items()),
    )


def _list_types(path: Path) -> list[str]:
    import skops.io

    try:
        return [str(name) for name in skops.io.get_untrusted_types(file=path)]
    except Exception as error:  # as above
        raise ServeError(f"{path}: not a model in skops' format: {error}") from error


def _check_types(path: Path, card: ModelCard, found: list[str]) -> list[str]:
    """The types that skops may build beside those that it knows."""
    refused = [name for name in found if name.partition(".")[0] in _NEVER]
    if refused:
        raise ServeError(f"{path}: {', '.join(refused)} can't be a part of a model, whatever model.json trusts")
    if unknown := sorted(set(found) - set(card.trusted)):
        raise ServeError(
            f"{path}: the model holds types that model.json does not trust: {', '.join(unknown)}",
            hint='look at what they are; if they are yours, list them in model.json under "trusted"',
        )
    return found


def _check_features(path: Path, estimator: Any, card: ModelCard) -> int:
    """How many features the model takes, -1 for any; the card may not name others than it was fitted on."""
    fitted = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    if fitted and card.inputs and fitted != [*card.inputs]:
        pairs = zip(fitted, card.inputs, strict=False)
        place = next(
            (index for index, (one, other) in enumerate(pairs) if one != other), min(len(fitted), len(card.inputs))
        )
        raise ServeError(
            f"{path}: the model was fitted on other features than model.json names, from number {place} on"
        )
    return int(getattr(estimator, "n_features_in_", -1))


def _choose_preparation(path: Path, estimator: Any, row: Array) -> tuple[Callable[[Array], Any], dict[str, Array]]:
    """Arrays where the model takes them, else tables with the names of its columns; and what it answers to zeros."""
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    names = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    try:
        return _pass_on, _probe(estimator, row)
    except Exception as error:  # an estimator may refuse an array with any of them
        if not names:
            raise ServeError(f"{path}: the model can't answer a row of zeros: {error}") from error
    import pandas as pd

    def tabulate(features: Array) -> Any:
        return pd.DataFrame(features, columns=names, copy=False)

    try:
        return tabulate, _probe(estimator, tabulate(row))
    except Exception as error:
        raise ServeError(f"{path}: the model can't answer a row of zeros: {error}") from error


def _pass_on(features: Array) -> Array:
    return features


def _probe(estimator: Any, features: Any) -> dict[str, Array]:
    methods = [name for name in ("predict_proba", "predict") if hasattr(estimator, name)]
    return {name: np.asarray(getattr(estimator, name)(features)) for name in methods}


_TYPES = {"b": "BOOL", "i": "INT64", "f": "FP64", "U": "BYTES", "O": "BYTES"}


def _describe(path: Path, name: str, answer: Array) -> Tensor:
    if answer.dtype.kind not in _TYPES or answer.ndim not in (1, 2):
        raise ServeError(
            f"{path}: {name} answers with {answer.dtype} in {answer.ndim} dimensions, which can't be served"
        )
    exact = {"float32": "FP32", "int32": "INT32"}.get(answer.dtype.name, _TYPES[answer.dtype.kind])
    return Tensor(name=name, datatype=exact, shape=(-1, *answer.shape[1:]))
