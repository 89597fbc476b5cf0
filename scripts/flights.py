"""What the stages share: parameters, the prepared data, JSON that is the same on every run, and the scores."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int8]
Params = dict[str, Any]

KEYS = ("flight_id", "scheduled", "carrier", "origin", "hour", "tail_number", "late")
"""What identifies and describes a flight in the prepared data; every other column is a feature."""

FEATURE_PREFIX = "f:"
DIGITS = 6


def read_labels(flights: pd.DataFrame) -> Labels:
    """The label: 1 for a flight that arrived late."""
    return np.asarray(flights["late"], dtype=np.int8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One part of the prepared data, in the order of scheduled departure."""

    keys: pd.DataFrame
    features: Matrix
    names: tuple[str, ...]

    @property
    def late(self) -> Labels:
        """The label: 1 for a flight that arrived late."""
        return read_labels(self.keys)


def read_params(path: Path) -> Params:
    """The parameters as DVC reads them."""
    with path.open(encoding="utf-8") as file:
        params: Params = yaml.safe_load(file)
    return params


def read_split(prepared: Path, name: str) -> Split:
    """Read `train`, `validation` or `test`."""
    frame = pd.read_parquet(prepared / f"{name}.parquet")
    columns = [column for column in frame.columns if column.startswith(FEATURE_PREFIX)]
    return Split(
        keys=frame[list(KEYS)],
        features=np.ascontiguousarray(frame[columns].to_numpy(dtype=np.float32)),
        names=tuple(column.removeprefix(FEATURE_PREFIX) for column in columns),
    )


def round_numbers(value: Any) -> Any:
    """The same structure with every float rounded to six digits, so that a rerun writes the same bytes."""
    if isinstance(value, dict):
        return {key: round_numbers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [round_numbers(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return round(float(value), DIGITS)
    return value


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON (a number that is not finite is an error), one key a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write Parquet without the index."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False, compression="zstd")


def score_probabilities(late: Labels, probability: Floats) -> dict[str, float]:
    """The scores that need no threshold."""
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    return {
        "roc_auc": float(roc_auc_score(late, probability)),
        "average_precision": float(average_precision_score(late, probability)),
        "log_loss": float(log_loss(late, probability, labels=[0, 1])),
        "brier": float(brier_score_loss(late, probability)),
    }


def score_decisions(late: Labels, probability: Floats, threshold: float) -> dict[str, float]:
    """The scores of calling a flight late from `threshold` on; precision is 0 when no flight is called late."""
    from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

    called = (probability >= threshold).astype(np.int8)
    return {
        "accuracy": float(accuracy_score(late, called)),
        "precision": float(precision_score(late, called, zero_division=0)),
        "recall": float(recall_score(late, called, zero_division=0)),
        "f1": float(f1_score(late, called, zero_division=0)),
    }
