"""Stage train: one model, cross-validated along time, saved without pickle, with its scores of both later parts."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from flights import (
    Floats,
    Labels,
    Matrix,
    Params,
    Split,
    read_params,
    read_split,
    round_numbers,
    score_probabilities,
    write_frame,
    write_json,
)

# Read when the libraries are loaded. OpenMP: sleep, not spin, while a thread waits on a busy machine. TensorFlow: no
# chatter, and no kernels that sum in another order on another processor.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

OPSET = {"": 18, "ai.onnx.ml": 3}
CURVE_POINTS = 100
BATCH = 8192
PROBABILITY_DIGITS = 8
Curve = list[dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Features of shape (n, features) and labels of shape (n,)."""

    features: Matrix
    late: Labels

    def take(self, rows: slice | np.ndarray[Any, Any]) -> Sample:
        """Some of the rows."""
        return Sample(features=self.features[rows], late=self.late[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A fitted model: what it predicts, how it is saved in a directory, and how its loss went."""

    predict: Callable[[Matrix], Floats]
    save: Callable[[Path], None]
    draw_curve: Callable[[], Curve]


Fit = Callable[[Sample, Sample, Params], Model]


def save_onnx(estimator: Any, features: int, path: Path) -> None:
    """Write a scikit-learn classifier as ONNX: float32 `features` in, `label` and `probabilities` out."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    converted = to_onnx(
        estimator,
        name="flights_delay",
        initial_types=[("features", FloatTensorType([None, features]))],
        options={"zipmap": False},
        target_opset=OPSET,
    )
    path.write_bytes(converted.SerializeToString())


def wrap_classifier(estimator: Any, features: int, draw_curve: Callable[[], Curve]) -> Model:
    """A fitted scikit-learn classifier as a model."""
    return Model(
        predict=lambda rows: np.asarray(estimator.predict_proba(rows)[:, 1], dtype=np.float64),
        save=lambda directory: save_onnx(estimator, features, directory / "model.onnx"),
        draw_curve=draw_curve,
    )


def fit_logistic(train: Sample, later: Sample, params: Params) -> Model:
    """Logistic regression; its curve shows the loss over the number of training flights, the latest ones first."""
    from sklearn.linear_model import LogisticRegression

    choice = params["logistic"]

    def fit(sample: Sample) -> Any:
        estimator = LogisticRegression(
            C=choice["C"],
            max_iter=choice["max_iter"],
            class_weight=choice["class_weight"],
            random_state=params["seed"],
        )
        return estimator.fit(sample.features, sample.late)

    def draw_curve() -> Curve:
        sizes = np.linspace(0, len(train.late), choice["curve_steps"] + 1, dtype=int)[1:]
        samples = [train.take(slice(-size, None)) for size in sizes]
        return [_point(int(size), fit(part), part, later) for size, part in zip(sizes, samples, strict=True)]

    return wrap_classifier(fit(train), train.features.shape[1], draw_curve)


def _point(step: int, estimator: Any, train: Sample, later: Sample) -> dict[str, float]:
    losses = (_log_loss(part.late, estimator.predict_proba(part.features)[:, 1]) for part in (train, later))
    return {"step": step, **dict(zip(("training", "validation"), losses, strict=True))}


def _log_loss(late: Labels, probability: Floats) -> float:
    return score_probabilities(late, probability)["log_loss"]


def fit_boosting(train: Sample, later: Sample, params: Params) -> Model:
    """Gradient boosting of histogram trees; its curve shows the loss over the number of trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    estimator = HistGradientBoostingClassifier(
        **params["boosting"], early_stopping=False, random_state=params["seed"]
    ).fit(train.features, train.late)

    def draw_curve() -> Curve:
        every = -(-params["boosting"]["max_iter"] // CURVE_POINTS)
        # Staged predictions of a tenth of the training flights tell the same curve in a tenth of the time.
        parts = (train.take(slice(None, None, 10)), later)
        stages = [estimator.staged_predict_proba(part.features) for part in parts]
        rows = []
        for step, probabilities in enumerate(zip(*stages, strict=True), start=1):
            if step % every == 0:
                pairs = zip(("training", "validation"), parts, probabilities, strict=True)
                rows.append({"step": step, **{name: _log_loss(part.late, p[:, 1]) for name, part, p in pairs}})
        return rows

    return wrap_classifier(estimator, train.features.shape[1], draw_curve)


def build_network(features: int, choice: Params) -> Any:
    """A dense network with L2 and dropout: `features` of shape (n, features) in, `probability` of shape (n, 1) out."""
    import keras

    inputs = keras.Input(shape=(features,), dtype="float32", name="features")
    layer = inputs
    for units in choice["units"]:
        layer = keras.layers.Dense(units, activation="relu", kernel_regularizer=keras.regularizers.L2(choice["l2"]))(
            layer
        )
        layer = keras.layers.Dropout(choice["dropout"])(layer)
    output = keras.layers.Dense(1, activation="sigmoid", name="probability")(layer)
    network = keras.Model(inputs=inputs, outputs=output, name="flights_delay")
    # The loss that is watched leaves out the L2 term, so that it is comparable with the other models' log loss.
    network.compile(
        optimizer=keras.optimizers.Adam(choice["learning_rate"]),
        loss="binary_crossentropy",
        metrics=[keras.metrics.BinaryCrossentropy(name="log_loss")],
    )
    return network


def fit_network(train: Sample, later: Sample, params: Params) -> Model:
    """A Keras network that stops early on the later flights; its curve shows the loss over the epochs."""
    import keras
    import tensorflow as tf

    choice = params["network"]
    keras.backend.clear_session()
    keras.utils.set_random_seed(params["seed"])
    tf.config.experimental.enable_op_determinism()
    network = build_network(train.features.shape[1], choice)
    stop = keras.callbacks.EarlyStopping(
        monitor="val_log_loss", mode="min", patience=choice["patience"], restore_best_weights=True
    )
    history = network.fit(
        train.features,
        train.late[:, None],
        validation_data=(later.features, later.late[:, None]),
        batch_size=choice["batch_size"],
        validation_batch_size=BATCH,
        epochs=choice["epochs"],
        callbacks=[stop],
        verbose=0,
    ).history
    losses = zip(history["log_loss"], history["val_log_loss"], strict=True)
    curve = [{"step": i, "training": a, "validation": b} for i, (a, b) in enumerate(losses, start=1)]
    return Model(
        predict=lambda rows: predict_network(network, rows),
        save=lambda directory: save_keras(network, directory / "model.keras"),
        draw_curve=lambda: curve,
    )


def predict_network(network: Any, rows: Matrix) -> Floats:
    """The probabilities, of shape (n,), in batches that keep memory small."""
    starts = range(0, len(rows), BATCH)
    answers = [np.asarray(network(rows[start : start + BATCH], training=False))[:, 0] for start in starts]
    return np.concatenate(answers).astype(np.float64)


def save_keras(network: Any, path: Path) -> None:
    """Write Keras' own format without the times and addresses in it, so that the same weights are the same bytes."""
    network.save(path)
    content = io.BytesIO()
    with zipfile.ZipFile(path) as saved, zipfile.ZipFile(content, "w") as still:
        for name in sorted(saved.namelist()):
            data = saved.read(name)
            if name.endswith(".json"):
                data = json.dumps(settle_config(json.loads(data), {})).encode()
            still.writestr(zipfile.ZipInfo(name), data)
    path.write_bytes(content.getvalue())


def settle_config(value: Any, numbers: dict[int, int]) -> Any:
    """The same configuration with shared objects numbered as they appear (Keras uses their addresses), and no date."""
    if isinstance(value, list):
        return [settle_config(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    settled = {key: settle_config(item, numbers) for key, item in value.items() if key != "date_saved"}
    if isinstance(address := settled.get("shared_object_id"), int):
        settled["shared_object_id"] = numbers.setdefault(address, len(numbers) + 1)
    return settled


FITS: dict[str, Fit] = {"logistic": fit_logistic, "boosting": fit_boosting, "network": fit_network}


def split_days(keys: pd.DataFrame, folds: int) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], str]]:
    """Rows to train on, rows to score, and the first scored day: whole days, and never one before a training day."""
    from sklearn.model_selection import TimeSeriesSplit

    day = keys["scheduled"].dt.strftime("%Y-%m-%d").to_numpy()
    days = np.unique(day)
    for _, scored in TimeSeriesSplit(n_splits=folds).split(days):
        first, last = days[scored[0]], days[scored[-1]]
        yield np.flatnonzero(day < first), np.flatnonzero((day >= first) & (day <= last)), str(first)


def cross_validate(fit: Fit, train: Split, params: Params) -> Params:
    """Fit on the past, score on what follows, fold by fold; mean and standard deviation over the folds.

    The last share of each past is not fitted but watched, as the validation part is for the final model: a network
    that stopped early on the days it is scored on would look better than it is.
    """
    sample = Sample(features=train.features, late=train.late)
    folds: list[dict[str, Any]] = []
    for past, next_days, first in split_days(train.keys, params["cv"]["folds"]):
        fitted, watched = np.split(past, [round(len(past) * (1 - params["cv"]["watched_share"]))])
        model = fit(sample.take(fitted), sample.take(watched), params)
        scores = score_probabilities(train.late[next_days], model.predict(train.features[next_days]))
        folds.append({"scored_from": first, "trained_on": len(fitted), "scored": len(next_days), **scores})
    summary = {}
    for name in ("roc_auc", "average_precision", "log_loss", "brier"):
        values = [float(fold[name]) for fold in folds]
        summary[name] = {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1))}
    return {**summary, "folds": folds}


def score_parts(model: Model, parts: dict[str, Split]) -> tuple[dict[str, dict[str, float]], pd.DataFrame]:
    """The scores on each part, and flight by flight the probabilities on the parts that were not trained on."""
    scores, frames = {}, []
    for name, part in parts.items():
        probability = model.predict(part.features).round(PROBABILITY_DIGITS)
        scores[name] = score_probabilities(part.late, probability)
        if name != "train":
            frames.append(part.keys.assign(part=name, probability=probability))
    return scores, pd.concat(frames, ignore_index=True)


def limit_threads(count: int) -> None:
    """Use this many threads in OpenMP, BLAS and TensorFlow, whatever the machine has."""
    import sklearn  # noqa: F401  only libraries that are loaded can be limited
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(count)
    threadpool_limits(limits=count)


@click.command()
@click.argument("name", type=click.Choice(list(FITS)))
@click.option("--params", "params_path", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--prepared", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", "model_directory", type=click.Path(path_type=Path), required=True, help="Directory to write.")
@click.option("--scores", "scores_path", type=click.Path(path_type=Path), required=True, help="Parquet to write.")
@click.option("--report", type=click.Path(path_type=Path), required=True, help="Directory for the metrics.")
def main(name: str, params_path: Path, prepared: Path, model_directory: Path, scores_path: Path, report: Path) -> None:
    """Train one model."""
    params = read_params(params_path)
    limit_threads(params["threads"])
    parts = {part: read_split(prepared, part) for part in ("train", "validation", "test")}
    samples = {part: Sample(features=split.features, late=split.late) for part, split in parts.items()}
    crossed = cross_validate(FITS[name], parts["train"], params)
    model = FITS[name](samples["train"], samples["validation"], params)
    scores, flights = score_parts(model, parts)
    del scores["test"]  # the test part is judged by the stage evaluate alone
    gap = {key: scores["validation"][key] - scores["train"][key] for key in ("log_loss", "roc_auc")}
    model_directory.mkdir(parents=True, exist_ok=True)
    model.save(model_directory)
    write_frame(scores_path, flights)
    write_json(report / "training.json", round_numbers({"cv": crossed, **scores, "gap": gap}))
    write_json(report / "learning_curve.json", round_numbers(model.draw_curve()))
    click.echo(
        f"train {name}: log loss {scores['train']['log_loss']:.4f}, later {scores['validation']['log_loss']:.4f}"
    )


if __name__ == "__main__":
    main()
