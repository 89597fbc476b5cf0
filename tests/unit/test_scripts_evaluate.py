"""The metrics and the data of the plots."""

from __future__ import annotations

import json
from pathlib import Path

import evaluate
import flights
import numpy as np
import pytest

LATE = np.array([0, 0, 1, 1, 0, 1, 0, 0], dtype=np.int8)
PROBABILITY = np.array([0.1, 0.4, 0.35, 0.8, 0.2, 0.9, 0.7, 0.05])
CHOICE = {"threshold": 0.5, "curve_points": 50, "calibration_bins": 4}


def test_metrics_equal_those_counted_by_hand() -> None:
    """Two hits, one false alarm, one miss among eight flights."""
    metrics = evaluate.evaluate(LATE, PROBABILITY, CHOICE)["metrics"]
    assert metrics["accuracy"] == 6 / 8
    assert metrics["precision"] == pytest.approx(2 / 3)
    assert metrics["recall"] == pytest.approx(2 / 3)
    assert metrics["f1"] == pytest.approx(2 / 3)
    assert metrics["roc_auc"] == pytest.approx(13 / 15)
    assert metrics["brier"] == pytest.approx(np.mean((PROBABILITY - LATE) ** 2))
    assert metrics["log_loss"] == pytest.approx(-np.mean(np.log(np.where(LATE, PROBABILITY, 1 - PROBABILITY))))
    assert metrics["flights"] == 8


def test_a_probability_at_the_threshold_is_called_late() -> None:
    """The served model and the evaluation draw the line on the same side."""
    assert flights.score_decisions(LATE, PROBABILITY, 0.8)["recall"] == pytest.approx(2 / 3)


def test_no_flight_called_late_is_precision_zero() -> None:
    """An undefined precision is written as 0, not as NaN."""
    assert flights.score_decisions(LATE, PROBABILITY, 0.99)["precision"] == 0


def test_the_confusion_counts_every_flight_once() -> None:
    """Four cells, also where one is empty."""
    cells = {
        (row["actual"], row["predicted"]): row["flights"] for row in evaluate.count_confusion(LATE, PROBABILITY, 0.5)
    }
    assert cells == {("on time", "on time"): 4, ("on time", "late"): 1, ("late", "on time"): 1, ("late", "late"): 2}


def test_the_roc_runs_from_corner_to_corner_and_never_falls() -> None:
    """It has as many points as were asked for."""
    rows = evaluate.draw_roc(LATE, PROBABILITY, 50)
    heights = [row["true_positive_rate"] for row in rows]
    assert len(rows) == 50
    assert heights == sorted(heights)
    assert (rows[0]["false_positive_rate"], rows[-1]["false_positive_rate"], heights[-1]) == (0, 1, 1)


def test_points_of_precision_and_recall_are_reached_by_a_threshold() -> None:
    """Nothing is interpolated."""
    reached = {
        (
            flights.score_decisions(LATE, PROBABILITY, cut)["recall"],
            flights.score_decisions(LATE, PROBABILITY, cut)["precision"],
        )
        for cut in PROBABILITY
    } | {(0.0, 1.0)}
    rows = evaluate.draw_precision_recall(LATE, PROBABILITY, 50)
    assert {(row["recall"], row["precision"]) for row in rows} <= reached
    assert [row["recall"] for row in rows] == sorted(row["recall"] for row in rows)
    assert max(row["recall"] for row in rows) == 1


def test_calibration_holds_every_flight_in_bins_of_equal_size() -> None:
    """The bins follow each other in probability."""
    rows = evaluate.draw_calibration(LATE, PROBABILITY, 4)
    assert [row["flights"] for row in rows] == [2, 2, 2, 2]
    assert [row["observed"] for row in rows] == [0, 0.5, 0, 1]
    assert [row["predicted"] for row in rows] == sorted(row["predicted"] for row in rows)


def test_written_json_is_strict(tmp_path: Path) -> None:
    """A number that is not finite is an error, never a bare NaN in a file."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        flights.write_json(tmp_path / "metrics.json", {"recall": float("nan")})
    assert not (tmp_path / "metrics.json").exists()


def test_written_numbers_have_six_digits(tmp_path: Path) -> None:
    """Nested ones too, and numpy's; whole numbers and text stay what they are."""
    value = {"a": [{"b": np.float64(1 / 3)}], "n": 82609, "name": "boosting"}
    flights.write_json(tmp_path / "metrics.json", flights.round_numbers(value))
    read = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert read == {"a": [{"b": 0.333333}], "n": 82609, "name": "boosting"}
