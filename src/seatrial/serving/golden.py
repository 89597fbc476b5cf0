"""Golden requests: rows whose predictions were evaluated, and that a served model must reproduce."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from seatrial.core.release import GOLDEN, GoldenProof
from seatrial.errors import ReleaseError, ServeError
from seatrial.serving.runtimes import NUMPY_TYPES, LoadedModel, load_model

SMALLEST_ERROR = 1e-6
"""Absolute differences up to this one are the noise of 32-bit floats and of six written digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenRow:
    """One request: the features in the order of the model card, and the prediction that was evaluated."""

    features: tuple[float, ...]
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenSet:
    """The file `golden.json`; `tolerance` is the relative difference that a prediction may show."""

    rows: tuple[GoldenRow, ...]
    tolerance: float = 1e-4


def read_golden(directory: Path) -> GoldenSet | None:
    """The golden requests of a model directory, or None where it has none; an empty set is an error."""
    path = directory / GOLDEN
    if not path.exists():
        return None
    try:
        golden = msgspec.json.decode(path.read_bytes(), type=GoldenSet)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReleaseError(f"{path}: {error}") from error
    if not golden.rows:
        raise ReleaseError(f"{path}: there are no rows, so it proves nothing")
    if len({len(row.features) for row in golden.rows}) > 1:
        raise ReleaseError(f"{path}: the rows have different numbers of features")
    return golden


def prove_golden(directory: Path) -> GoldenProof | None:
    """Load a model directory and ask it its golden requests; None where it loads but has none.

    Raises ReleaseError for a model that can't be loaded, or answers differently or not at all. A prediction that
    is not a number is never right.
    """
    golden = read_golden(directory)
    try:
        model = load_model(directory)
    except ServeError as error:
        raise ReleaseError(f"the model can't be served: {error.message}", hint=error.hint) from error
    if golden is None:
        return None
    expected = np.array([row.probability for row in golden.rows])
    answered = _ask(model, golden, directory)
    if answered.shape != expected.shape:
        raise ReleaseError(f"{directory}: {expected.size} golden requests, answers of shape {answered.shape}")
    wrong = ~np.isclose(answered, expected, rtol=golden.tolerance, atol=SMALLEST_ERROR)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ReleaseError(
            f"the model answers {int(wrong.sum())} of {expected.size} golden requests differently from what was "
            f"evaluated: request {row} gives {answered[row]:.6g}, evaluated was {expected[row]:.6g}",
            hint="export the model again from the run that was evaluated; what was live is untouched",
        )
    return GoldenProof(rows=int(expected.size), largest_error=float(np.abs(answered - expected).max()))


def _ask(model: LoadedModel, golden: GoldenSet, directory: Path) -> npt.NDArray[np.float64]:
    datatype = next(tensor.datatype for tensor in model.runtime.inputs if tensor.name == model.card.input)
    features = np.array([row.features for row in golden.rows], dtype=NUMPY_TYPES[datatype])
    try:
        return np.asarray(model.predict(features), dtype=np.float64)
    except (ValueError, IndexError) as error:
        raise ReleaseError(f"{directory}: the model can't answer its golden requests: {error}") from error
