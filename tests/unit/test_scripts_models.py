"""Folds along time, the models' files, the ensemble's weights, and the proof that an export makes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import click
import ensemble
import export
import flights
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import train

from seatrial.core.profile import decode_profile

# skl2onnx 1.20 hands booleans to protobuf, which warns until 7.34; pyproject.toml keeps protobuf below that.
pytestmark = pytest.mark.filterwarnings("ignore:Field onnx.AttributeProto.ints:DeprecationWarning")

RANDOM = np.random.default_rng(7)
PARAMS: flights.Params = {
    "seed": 1,
    "logistic": {"C": 1.0, "max_iter": 200, "class_weight": None, "curve_steps": 2},
    "boosting": {"learning_rate": 0.1, "max_iter": 20, "max_leaf_nodes": 8, "min_samples_leaf": 5},
}


def a_sample(rows: int = 400) -> train.Sample:
    """Flights that are late the more their first feature says so."""
    features = RANDOM.normal(size=(rows, 4)).round(4).astype(np.float32)
    late = (features[:, 0] + RANDOM.normal(size=rows) > 0.5).astype(np.int8)
    return train.Sample(features=features, late=late)


def test_every_fold_is_scored_on_days_after_those_it_trained_on() -> None:
    """No day is on both sides, and every fold reaches further than the one before."""
    keys = pd.DataFrame({"scheduled": pd.date_range("2013-01-01", periods=240, freq="5h")})
    folds = list(train.split_days(keys, folds=3))
    assert len(folds) == 3
    for past, scored, first in folds:
        days = keys["scheduled"].dt.strftime("%Y-%m-%d")
        assert days[past].max() < first == days[scored].min()
    assert [len(past) for past, *_ in folds] == sorted({len(past) for past, *_ in folds})


@pytest.mark.parametrize("name", ["logistic", "boosting"])
def test_the_onnx_file_answers_as_the_classifier_does(name: str, tmp_path: Path) -> None:
    """What is served differs from what was trained by less than a golden request would notice."""
    sample, later = a_sample(), a_sample()
    model = train.FITS[name](sample, later, PARAMS)
    model.save(tmp_path)
    card = {"format": "onnx", "path": "model.onnx", "output": "probabilities", "output_column": 1}
    served = export.predict(tmp_path, card, later.features)
    assert np.abs(served - model.predict(later.features)).max() < 1e-5


@pytest.mark.parametrize("name", ["logistic", "boosting"])
def test_the_same_seed_makes_the_same_file(name: str, tmp_path: Path) -> None:
    """A rerun writes the bytes that dvc.lock holds."""
    sample, later = a_sample(), a_sample()
    written = []
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        train.FITS[name](sample, later, PARAMS).save(tmp_path / run)
        written.append((tmp_path / run / "model.onnx").read_bytes())
    assert written[0] == written[1]


def test_the_loss_of_boosting_falls_along_its_curve() -> None:
    """One point for each tree, none of them missing."""
    curve = train.fit_boosting(a_sample(2000), a_sample(), PARAMS).draw_curve()
    assert [point["step"] for point in curve] == list(range(1, 21))
    assert curve[-1]["training"] < curve[0]["training"]


def test_a_saved_network_holds_no_time_and_no_address(tmp_path: Path) -> None:
    """Keras writes when it saved and where objects lay; the same weights must be the same bytes."""

    class Network:
        def __init__(self, saved: str, address: int) -> None:
            self.saved = saved
            self.address = address

        def save(self, path: Path) -> None:
            layers = [{"shared_object_id": self.address + step, "rate": 0.2} for step in (8, 16, 8)]
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("metadata.json", json.dumps({"keras_version": "3", "date_saved": self.saved}))
                archive.writestr("config.json", json.dumps({"layers": layers}))

    for saved, address in (("yesterday", 140060334419536), ("today", 140601171655376)):
        train.save_keras(Network(saved, address), tmp_path / f"{saved}.keras")
    assert (tmp_path / "yesterday.keras").read_bytes() == (tmp_path / "today.keras").read_bytes()
    with zipfile.ZipFile(tmp_path / "today.keras") as archive:
        layers = json.loads(archive.read("config.json"))["layers"]
    assert [layer["shared_object_id"] for layer in layers] == [1, 2, 1]


def test_weights_favour_the_better_model_and_sum_to_one() -> None:
    """A model that says nothing gets nothing."""
    late = (RANDOM.random(4000) < 0.3).astype(np.int8)
    good = np.clip(0.3 + 0.4 * (late - 0.3) + RANDOM.normal(scale=0.1, size=4000), 0.01, 0.99)
    noise = RANDOM.uniform(0.01, 0.99, size=4000)
    weights = ensemble.find_weights(np.column_stack([good, noise]), late, "log_loss")
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert weights[0] > 0.9


@pytest.mark.parametrize("weights", [[0.33333, 0.33333, 0.33334], [1.0, 0.0, 0.0], [0.0004, 0.0004, 0.9992]])
def test_rounded_weights_still_sum_to_one(weights: list[float]) -> None:
    """Three digits are kept, none is negative."""
    rounded = ensemble.round_weights(np.array(weights))
    assert rounded.sum() == pytest.approx(1, abs=1e-12)
    assert (rounded >= 0).all()


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Two models, the second one better on the validation part."""
    for name, loss in (("logistic", 0.5), ("boosting", 0.4)):
        flights.write_json(tmp_path / name / "training.json", {"validation": {"log_loss": loss}})
    return tmp_path


def test_the_champion_has_the_lowest_validation_loss(reports: Path) -> None:
    """With `auto` the test part has no say."""
    assert export.choose_champion("auto", reports, ("logistic", "boosting")) == "boosting"


def test_a_wish_for_the_champion_is_granted_or_refused(reports: Path) -> None:
    """Naming a model overrides the choice; naming nobody is an error."""
    assert export.choose_champion("logistic", reports, ("logistic", "boosting")) == "logistic"
    with pytest.raises(click.ClickException, match="'oracle'"):
        export.choose_champion("oracle", reports, ("logistic", "boosting"))


@pytest.mark.parametrize("served", [[0.1, 0.3], [0.1, float("nan")]], ids=["too far", "not a number"])
def test_an_export_that_scores_differently_is_an_error(served: list[float]) -> None:
    """A difference above the tolerance, or no number at all, stops the export."""
    with pytest.raises(click.ClickException, match="differs by"):
        export.prove_scores(np.array(served), np.array([0.1, 0.2]), 1e-4)


def test_an_export_that_scores_alike_says_by_how_much() -> None:
    """The largest difference counts."""
    assert export.prove_scores(np.array([0.1, 0.20001]), np.array([0.1, 0.2]), 1e-4) == pytest.approx(1e-5)


def test_a_profile_is_one_that_a_server_reads() -> None:
    """Every kept input is counted: numbers in tenths, categories and constants by value."""
    rows = 1000
    table = np.column_stack([RANDOM.normal(size=rows), RANDOM.random(rows) < 0.02, np.full(rows, 0.1), np.zeros(rows)])
    test = flights.Split(
        keys=pd.DataFrame({"flight_id": range(rows)}),
        features=table.astype(np.float32),
        names=("temp", "carrier=UA", "constant", "weekday=3"),
    )
    written = json.dumps(export.profile_inputs(test, RANDOM.random(rows), ("weekday",)))
    profile = decode_profile(written.encode(), "profile.json")
    assert [feature.name for feature in profile.features] == ["temp", "carrier=UA", "constant"]
    temp, carrier, constant = (feature.counts for feature in profile.features)
    assert temp == (0, *[100] * 10, 0)
    assert (carrier[0], sum(carrier), carrier[3]) == (0, rows, 0)
    assert carrier[2] == table[:, 1].sum()
    assert constant == (0, rows, 0)
    assert profile.score is not None
    assert profile.score.counts == (0, *[100] * 10, 0)


def test_golden_requests_span_the_probabilities() -> None:
    """The least and the most probable flight are among them, each with its own features and score."""
    probability: npt.NDArray[np.float64] = RANDOM.random(100)
    identity: list[Any] = [f"flight-{row}" for row in range(100)]
    test = flights.Split(
        keys=pd.DataFrame({"flight_id": identity}), features=np.arange(100, dtype=np.float32)[:, None], names=("row",)
    )
    evaluated = pd.DataFrame({"flight_id": identity, "probability": probability})
    golden = export.choose_golden(test, evaluated, rows=8, tolerance=1e-4)
    scores = [row["probability"] for row in golden["rows"]]
    assert scores == sorted(scores)
    assert (scores[0], scores[-1]) == (probability.min(), probability.max())
    assert all(row["flight_id"] == f"flight-{row['features'][0]:.0f}" for row in golden["rows"])
