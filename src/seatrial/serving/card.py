"""`model.json`: how a model directory is called, beside what its runtime says itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt

from seatrial.core.release import CARD, ModelFormat
from seatrial.errors import ServeError


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is needed to call a model; other keys of the file are for people.

    `path` is the model's file, or the SavedModel directory, below the model directory. `input` is the tensor that
    takes the features, shape (rows, features), `inputs` their names in order. The prediction is column
    `output_column` of the tensor `output`, shape (rows, columns) or (rows,). `trusted` are the types that a skops file
    may hold beside those that skops knows as harmless.
    """

    name: str
    format: ModelFormat
    path: str
    input: str
    output: str
    inputs: tuple[str, ...] = ()
    output_column: int = 0
    threshold: float | None = None
    trusted: tuple[str, ...] = ()

    def pick(self, answer: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The predictions, shape (rows,), out of the tensor `output`."""
        return answer if answer.ndim == 1 else answer[:, self.output_column]


def read_card(directory: Path) -> ModelCard:
    """Read and check `model.json`; ServeError says which key is wrong."""
    path = directory / CARD
    try:
        card = msgspec.json.decode(path.read_bytes(), type=ModelCard)
    except FileNotFoundError:
        raise ServeError(
            f"{path} is missing", hint='write {"name", "format", "path", "input", "inputs", "output"} beside the model'
        ) from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ServeError(f"{path}: {error}") from error
    if not (directory / card.path).resolve().is_relative_to(directory.resolve()):
        raise ServeError(f"{path}: path {card.path!r} leads out of the model directory")
    return card
