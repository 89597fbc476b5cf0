"""Stage export: the best single model as a directory that can be served, proved to score as it was evaluated."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from flights import Floats, Matrix, Params, Split, read_params, read_split, write_frame, write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

NAME = "flights-delay"
INPUT = "features"
PROFILE_BINS = 10
PROFILE_MARGIN = 1e-5
"""Less than the last digit of a feature."""


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def choose_champion(wish: str, reports: Path, names: tuple[str, ...]) -> str:
    """The model that is wished for, or with `auto` the one with the lowest log loss on the validation part."""
    if wish == "auto":
        losses = {name: read_json(reports / name / "training.json")["validation"]["log_loss"] for name in names}
        return min(losses, key=lambda name: losses[name])
    if wish not in names:
        raise click.ClickException(f"export.champion is {wish!r}: it must be auto or one of {', '.join(names)}")
    return wish


def export_onnx(model: Path, directory: Path) -> Params:
    """Copy the ONNX file and say how it is called."""
    shutil.copyfile(model / "model.onnx", directory / "model.onnx")
    return {"format": "onnx", "path": "model.onnx", "output": "probabilities", "output_column": 1}


def export_saved_model(model: Path, directory: Path) -> Params:
    """Write the Keras model as a SavedModel with the signature `serving_default` and say how it is called."""
    import keras
    import tensorflow as tf

    network = keras.saving.load_model(model / "model.keras", safe_mode=True)
    width = network.input_shape[1]

    @tf.function(input_signature=[tf.TensorSpec([None, width], tf.float32, name=INPUT)])  # type: ignore[untyped-decorator]
    def serve(features: Any) -> dict[str, Any]:
        return {"probability": network(features, training=False)}

    network.serve = serve
    tf.saved_model.save(network, str(directory / "saved_model"), signatures={"serving_default": serve})
    # Optional, and all that differs when the same weights are saved again: it holds a random identifier.
    (directory / "saved_model" / "fingerprint.pb").unlink(missing_ok=True)
    return {"format": "saved-model", "path": "saved_model", "output": "probability", "output_column": 0}


def predict(directory: Path, card: Params, features: Matrix) -> Floats:
    """The probability of being late as a server would answer it: shape (n,)."""
    path = directory / card["path"]
    if card["format"] == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (answer,) = session.run([card["output"]], {INPUT: features})
    else:
        import tensorflow as tf

        signature = tf.saved_model.load(str(path)).signatures["serving_default"]
        answer = signature(**{INPUT: tf.constant(features)})[card["output"]].numpy()
    return np.asarray(answer[:, card["output_column"]], dtype=np.float64)


def choose_golden(test: Split, evaluated: pd.DataFrame, rows: int, tolerance: float) -> Params:
    """Requests spread evenly over the range of probabilities, each with the probability that was evaluated."""
    order = np.argsort(evaluated["probability"].to_numpy(), kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(rows, len(order))).round().astype(int)]
    requests = [
        {
            "flight_id": evaluated["flight_id"].iloc[row],
            "features": [round(float(value), 6) for value in test.features[row]],
            "probability": float(evaluated["probability"].iloc[row]),
        }
        for row in chosen
    ]
    return {"tolerance": tolerance, "rows": requests}


def profile_inputs(test: Split, probability: Floats, without: tuple[str, ...]) -> Params:
    """How the inputs and the probabilities are distributed: counts in bins, for a server to hold its requests against.

    Numbers and categories named in `without` are left out, and so are the probabilities by the name of `score`.
    """
    kept = [column for column, name in enumerate(test.names) if name.partition("=")[0] not in without]
    features = [{"name": test.names[column], **count_bins(test.features[:, column])} for column in kept]
    score = None if "score" in without else count_bins(probability)
    return {"schema_version": 1, "features": features, "score": score}


def count_bins(values: Matrix | Floats) -> dict[str, list[Any]]:
    """Tenths of the values (n,), or a bin for each where they are few; beyond the least and the most, a bin each.

    A value on an edge is in the bin below. Values are taken as 32-bit floats, as the model takes them.
    """
    numbers = values.astype(np.float32).astype(np.float64)
    known = np.unique(numbers)
    few = len(known) <= PROFILE_BINS
    inner = (known[:-1] + known[1:]) / 2 if few else np.quantile(numbers, np.arange(1, PROFILE_BINS) / PROFILE_BINS)
    edges = np.unique([known[0] - PROFILE_MARGIN, *inner, known[-1] + PROFILE_MARGIN])
    counts = np.bincount(np.searchsorted(edges, numbers), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def prove_scores(served: Floats, evaluated: Floats, tolerance: float) -> float:
    """The largest difference between what is served and what was evaluated; more than `tolerance` is an error."""
    difference = float(np.abs(served - evaluated).max())
    if not difference <= tolerance:
        raise click.ClickException(
            f"the exported model differs by {difference:.3g} from what was evaluated; allowed is {tolerance:.3g}"
        )
    return difference


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--params", "params_path", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--prepared", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--models", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--reports", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--champion", "directory", type=click.Path(path_type=Path), required=True, help="Directory to write.")
def main(
    names: tuple[str, ...], params_path: Path, prepared: Path, models: Path, reports: Path, directory: Path
) -> None:
    """Export the champion among the models NAMES."""
    params = read_params(params_path)
    choice = params["export"]
    name = choose_champion(choice["champion"], reports, names)
    directory.mkdir(parents=True, exist_ok=True)
    served = (export_saved_model if name == "network" else export_onnx)(models / name, directory)
    test = read_split(prepared, "test")
    evaluated = pd.read_parquet(reports / name / "predictions.parquet")
    if evaluated["flight_id"].tolist() != test.keys["flight_id"].tolist():
        raise click.ClickException("the evaluated predictions are not of the prepared test part")
    card = {
        "name": NAME,
        "model": name,
        **served,
        "input": INPUT,
        "inputs": list(test.names),
        "threshold": params["evaluate"]["threshold"],
        "preprocessing": read_json(prepared / "preprocessing.json"),
    }
    write_json(directory / "model.json", card)
    probability = evaluated["probability"].to_numpy()
    difference = prove_scores(predict(directory, card, test.features), probability, choice["tolerance"])
    write_json(directory / "golden.json", choose_golden(test, evaluated, choice["golden_rows"], choice["tolerance"]))
    write_json(directory / "profile.json", profile_inputs(test, probability, tuple(choice["profile_without"])))
    write_frame(reports / "champion" / "predictions.parquet", evaluated)
    metrics = {"model": name, **read_json(reports / name / "metrics.json")}
    write_json(reports / "champion" / "metrics.json", {**metrics, "max_abs_difference": round(difference, 9)})
    click.echo(f"export: {name}, served and evaluated scores differ by at most {difference:.1e}")


if __name__ == "__main__":
    main()
