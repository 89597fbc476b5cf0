"""Stage ensemble: the weighted average of the models, with the weights that are best on the validation part."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pandas as pd
from flights import (
    Floats,
    Labels,
    read_labels,
    read_params,
    round_numbers,
    score_probabilities,
    write_frame,
    write_json,
)

WEIGHT_DIGITS = 3


def find_weights(probabilities: Floats, late: Labels, metric: str) -> Floats:
    """Weights (not negative, sum 1) of the columns of `probabilities` (n, models) with the lowest `metric`.

    Both metrics are convex in the weights, so what a local search finds is the best there is.
    """
    from scipy.optimize import minimize

    models = probabilities.shape[1]
    found = minimize(
        lambda weights: score_probabilities(late, np.clip(probabilities @ weights, 0, 1))[metric],
        np.full(models, 1 / models),
        method="SLSQP",
        bounds=[(0, 1)] * models,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
    )
    if not found.success:
        raise click.ClickException(f"no weights found: {found.message}")
    return round_weights(found.x)


def round_weights(weights: Floats) -> Floats:
    """Weights of three digits that still sum to one: the largest takes up the rest."""
    rounded = np.clip(weights, 0, 1).round(WEIGHT_DIGITS)
    rounded[rounded.argmax()] += 1 - rounded.sum()
    return np.asarray(rounded.round(WEIGHT_DIGITS), dtype=np.float64)


@click.command()
@click.argument("scores", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--params", "params_path", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Parquet to write.")
@click.option("--report", type=click.Path(path_type=Path), required=True, help="Directory for the metrics.")
def main(scores: tuple[Path, ...], params_path: Path, out: Path, report: Path) -> None:
    """Combine the models' SCORES."""
    metric = read_params(params_path)["ensemble"]["metric"]
    frames = {path.stem: pd.read_parquet(path) for path in scores}
    flights = next(iter(frames.values())).drop(columns="probability")
    probabilities = np.column_stack([frame["probability"].to_numpy() for frame in frames.values()])
    seen = (flights["part"] == "validation").to_numpy()
    late = read_labels(flights)
    weights = find_weights(probabilities[seen], late[seen], metric)
    combined = probabilities @ weights
    write_frame(out, flights.assign(probability=combined))
    named = dict(zip(frames, weights.tolist(), strict=True))
    validation = score_probabilities(late[seen], combined[seen])
    write_json(report / "training.json", round_numbers({"weights": named, "validation": validation}))
    click.echo("ensemble: " + ", ".join(f"{name} {weight:.3f}" for name, weight in named.items()))


if __name__ == "__main__":
    main()
