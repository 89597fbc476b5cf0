"""Stage evaluate: one model on the test part: metrics, predictions flight by flight, and the data of the plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from flights import (
    Floats,
    Labels,
    Params,
    read_labels,
    read_params,
    round_numbers,
    score_decisions,
    score_probabilities,
    write_frame,
    write_json,
)

PREDICTION_COLUMNS = ["flight_id", "late", "probability", "carrier", "origin", "hour", "tail_number"]
Rows = list[dict[str, Any]]


def draw_roc(late: Labels, probability: Floats, points: int) -> Rows:
    """The receiver operating characteristic at evenly spaced false positive rates."""
    from sklearn.metrics import roc_curve

    false_positive, true_positive, _ = roc_curve(late, probability)
    grid = np.linspace(0, 1, points)
    heights = np.interp(grid, false_positive, true_positive)
    return [{"false_positive_rate": x, "true_positive_rate": y} for x, y in zip(grid, heights, strict=True)]


def draw_precision_recall(late: Labels, probability: Floats, points: int) -> Rows:
    """Precision at evenly spaced recalls.

    Each point is one that a threshold reaches: precision between two of them is not linear.
    """
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(late, probability)
    reached = np.searchsorted(recall[::-1], np.linspace(0, 1, points).clip(0, recall[0]))
    rows = np.unique(len(recall) - 1 - reached)[::-1]
    return [{"recall": recall[row], "precision": precision[row]} for row in rows]


def draw_calibration(late: Labels, probability: Floats, bins: int) -> Rows:
    """Predicted against observed share of late flights, in bins of equal size."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [
        {"predicted": probability[part].mean(), "observed": late[part].mean(), "flights": len(part)} for part in parts
    ]


def count_confusion(late: Labels, probability: Floats, threshold: float) -> Rows:
    """The four counts of actual against predicted class."""
    called = probability >= threshold
    return [
        {
            "actual": _class(actual),
            "predicted": _class(predicted),
            "flights": int(((late == actual) & (called == predicted)).sum()),
        }
        for actual in (0, 1)
        for predicted in (0, 1)
    ]


def _class(late: int) -> str:
    return "late" if late else "on time"


def evaluate(late: Labels, probability: Floats, choice: Params) -> dict[str, Any]:
    """All files of the report by name, without suffix."""
    threshold, points = choice["threshold"], choice["curve_points"]
    metrics = {
        **score_decisions(late, probability, threshold),
        **score_probabilities(late, probability),
        "flights": len(late),
        "late_share": late.mean(),
    }
    return {
        "metrics": metrics,
        "plots/roc": draw_roc(late, probability, points),
        "plots/precision_recall": draw_precision_recall(late, probability, points),
        "plots/calibration": draw_calibration(late, probability, choice["calibration_bins"]),
        "plots/confusion": count_confusion(late, probability, threshold),
    }


@click.command()
@click.argument("name")
@click.option("--params", "params_path", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--scores", "scores_path", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--report", type=click.Path(path_type=Path), required=True, help="Directory to write.")
def main(name: str, params_path: Path, scores_path: Path, report: Path) -> None:
    """Judge one model on flights that nothing was fitted on."""
    scores = pd.read_parquet(scores_path)
    test = scores[scores["part"] == "test"]
    late, probability = read_labels(test), test["probability"].to_numpy()
    files = evaluate(late, probability, read_params(params_path)["evaluate"])
    for file, content in files.items():
        write_json(report / f"{file}.json", round_numbers(content))
    write_frame(report / "predictions.parquet", test[PREDICTION_COLUMNS].reset_index(drop=True))
    shown = ("recall", "precision", "f1", "roc_auc", "log_loss")
    click.echo(f"evaluate {name}: " + ", ".join(f"{key} {files['metrics'][key]:.4f}" for key in shown))


if __name__ == "__main__":
    main()
