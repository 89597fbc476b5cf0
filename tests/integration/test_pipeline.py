"""The pipeline of this repository, with the real DVC, scikit-learn and TensorFlow, on a fiftieth of the flights."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seatrial.deploy.local import LocalTarget
from seatrial.serving.drift import read_profile
from seatrial.serving.golden import check_served
from seatrial.serving.runtimes import load_model
from tests.integration.conftest import Reproduce, SetParams, git
from tests.integration.test_serve import serving

pytestmark = pytest.mark.slow

SINGLE = ("logistic", "boosting", "network")
JUDGED = (*SINGLE, "ensemble")
PICKLE = b"\x80"


def read(path: Path) -> Any:
    """Strict JSON: a bare NaN or Infinity is refused."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{path} holds {name}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def numbers(value: Any) -> Iterator[float]:
    """Every number in a structure of JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, (int, float)):
        yield float(value)


def stages_run(output: str) -> list[str]:
    """The stages that `dvc repro` really ran."""
    return re.findall(r"^Running stage '([^']+)'", output, flags=re.MULTILINE)


def ask(directory: Path, features: list[list[float]]) -> np.ndarray[Any, Any]:
    """What the model in a directory answers, with nothing but what its model.json says."""
    card = read(directory / "model.json")
    assert len(card["inputs"]) == len(features[0])
    rows = np.array(features, dtype=np.float32)
    if card["format"] == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(directory / card["path"]), providers=["CPUExecutionProvider"])
        (answer,) = session.run([card["output"]], {card["input"]: rows})
    else:
        import tensorflow as tf

        signature = tf.saved_model.load(str(directory / card["path"])).signatures["serving_default"]
        answer = signature(**{card["input"]: tf.constant(rows)})[card["output"]].numpy()
    return np.asarray(answer)[:, card["output_column"]]


def assert_golden(directory: Path) -> None:
    """The model reproduces the probabilities that the evaluation recorded for its golden requests."""
    golden = read(directory / "golden.json")
    expected = [row["probability"] for row in golden["rows"]]
    assert len(expected) == 32
    answered = ask(directory, [row["features"] for row in golden["rows"]])
    np.testing.assert_allclose(answered, expected, rtol=0, atol=golden["tolerance"])


def test_what_was_reproduced_is_up_to_date(trimmed_pipeline: Path, reproduce: Reproduce) -> None:
    """DVC finds nothing changed, git finds nothing uncommitted, and another repro runs no stage."""
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status"], cwd=trimmed_pipeline, capture_output=True, text=True, check=True
    )
    assert status.stdout.strip() == "Data and pipelines are up to date."
    assert git(trimmed_pipeline, "status", "--porcelain") == ""
    assert stages_run(reproduce(trimmed_pipeline)) == []


def test_metrics_are_finite_and_models_have_learnt(trimmed_pipeline: Path) -> None:
    """Every number in every report is finite, and every model ranks flights better than chance."""
    reports = trimmed_pipeline / "reports"
    files = sorted(reports.rglob("*.json"))
    assert len(files) == len(JUDGED) * 6 + len(SINGLE) + 2
    assert all(math.isfinite(number) for file in files for number in numbers(read(file)))
    for name in JUDGED:
        metrics = read(reports / name / "metrics.json")
        assert metrics["roc_auc"] > 0.55
        assert metrics["log_loss"] < 0.65
    for name in SINGLE:
        training = read(reports / name / "training.json")
        assert len(training["cv"]["folds"]) == 2
        assert set(training["gap"]) == {"log_loss", "roc_auc"}
    assert len(read(reports / "network" / "learning_curve.json")) == 3


@pytest.mark.parametrize("name", [*JUDGED, "champion"])
def test_predictions_are_those_that_the_metrics_count(trimmed_pipeline: Path, name: str) -> None:
    """One row a flight of the test part, with its key, from which the metrics can be computed again."""
    from sklearn.metrics import brier_score_loss, recall_score

    report = trimmed_pipeline / "reports" / name
    predictions, metrics = pd.read_parquet(report / "predictions.parquet"), read(report / "metrics.json")
    assert list(predictions) == ["flight_id", "late", "probability", "carrier", "origin", "hour", "tail_number"]
    assert (str(predictions["late"].dtype), str(predictions["probability"].dtype)) == ("int8", "float64")
    assert predictions["flight_id"].is_unique
    assert predictions["flight_id"].min() >= "2013-10-01"
    assert len(predictions) == metrics["flights"]
    called = predictions["probability"] >= 0.25
    assert recall_score(predictions["late"], called) == pytest.approx(metrics["recall"], abs=1e-6)
    assert brier_score_loss(predictions["late"], predictions["probability"]) == pytest.approx(
        metrics["brier"], abs=1e-6
    )


def test_the_champion_answers_its_golden_requests(trimmed_pipeline: Path) -> None:
    """The exported directory alone gives the scores that were judged."""
    champion = trimmed_pipeline / "models" / "champion"
    metrics = read(trimmed_pipeline / "reports" / "champion" / "metrics.json")
    assert metrics["model"] == read(champion / "model.json")["model"]
    assert metrics["max_abs_difference"] <= 1e-4
    assert_golden(champion)


def test_the_champion_brings_a_profile_that_fits_it(trimmed_pipeline: Path) -> None:
    """It counts every judged flight, in all inputs but those that are other every day; the server takes it."""
    champion = trimmed_pipeline / "models" / "champion"
    profile = read_profile(champion, load_model(champion))
    assert profile is not None
    inputs = read(champion / "model.json")["inputs"]
    named = [feature.name for feature in profile.features]
    assert named == [name for name in inputs if name in named]
    assert {"hour", "seats", "carrier=UA", "origin=JFK"} <= set(named)
    assert not {"temp", "weekday=0"} & set(named)
    assert profile.score is None
    assert profile.rows == read(trimmed_pipeline / "reports" / "champion" / "metrics.json")["flights"]


def test_the_network_can_be_the_champion(pipeline: Path, reproduce: Reproduce, set_params: SetParams) -> None:
    """Exported by wish as a SavedModel, always the same bytes, it answers its golden requests; nothing is trained."""
    set_params(pipeline, {"export.champion": "network"})
    assert stages_run(reproduce(pipeline)) == ["export"]
    champion = pipeline / "models" / "champion"
    assert (champion / "saved_model" / "saved_model.pb").is_file()
    assert not (champion / "model.onnx").exists()
    assert_golden(champion)
    locked = (pipeline / "dvc.lock").read_bytes()
    assert stages_run(reproduce(pipeline, "--force", "--single-item", "export")) == ["export"]
    assert (pipeline / "dvc.lock").read_bytes() == locked


def test_both_engines_are_delivered_and_served(pipeline: Path, reproduce: Reproduce, set_params: SetParams) -> None:
    """The best model (scikit-learn's, as ONNX), then the network: what was judged is served, and answers like it."""
    (pipeline / "seatrial.yaml").write_text(POLICY, encoding="utf-8")
    git(pipeline, "add", "--all")
    git(pipeline, "commit", "--quiet", "--message=Judge the champion")
    deliver_and_serve(pipeline, "onnx", "1")
    set_params(pipeline, {"export.champion": "network"})
    reproduce(pipeline, "--single-item", "export")
    git(pipeline, "commit", "--quiet", "--all", "--message=Serve the network")
    deliver_and_serve(pipeline, "saved-model", "2")


POLICY = """\
version: 1
evaluations:
  - {predictions: reports/champion/predictions.parquet, key: flight_id, label: late, score: probability}
"""


def deliver_and_serve(pipeline: Path, engine: str, version: str) -> None:
    """Deploy the champion by the command line, serve it by another process, and ask that its golden requests."""
    live = pipeline.parent / "live"
    given = ["deploy", "flights-delay", "--to", str(live), "--breaking", "--format", "json"]
    command = [sys.executable, "-c", "from seatrial.cli import main; main()", *given]
    done = subprocess.run(command, cwd=pipeline, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"flights-delay ({engine}, " in done.stderr
    assert "32 requests, 32 of them with scores that were judged" in done.stderr
    assert json.loads(done.stdout)["golden"]["rows"] == 32
    target = LocalTarget(root=live, name="flights-delay")
    with serving(live) as client:
        address, release = str(client.base_url), target.read_release(version)
        checks, proof = check_served(address, release, target.locate(version))
    assert [check.passed for check in checks] == [True, True], checks
    assert proof is not None
    assert proof.rows == 32


def test_a_threshold_is_judged_without_training(pipeline: Path, reproduce: Reproduce, set_params: SetParams) -> None:
    """A higher threshold finds fewer late flights and is right more often; the ranking does not move."""
    before = {name: read(pipeline / "reports" / name / "metrics.json") for name in JUDGED}
    set_params(pipeline, {"evaluate.threshold": 0.35})
    assert stages_run(reproduce(pipeline)) == [*(f"evaluate@{name}" for name in JUDGED), "export"]
    for name, old in before.items():
        new = read(pipeline / "reports" / name / "metrics.json")
        assert new["recall"] < old["recall"]
        assert new["accuracy"] > old["accuracy"]
        assert (new["roc_auc"], new["log_loss"]) == (old["roc_auc"], old["log_loss"])


@pytest.mark.parametrize("name", SINGLE)
def test_training_again_gives_the_same_bytes(pipeline: Path, reproduce: Reproduce, name: str) -> None:
    """Model, scores and metrics are those of the first run, so dvc.lock does not move."""
    output = reproduce(pipeline, "--force", "--single-item", f"train@{name}")
    assert stages_run(output) == [f"train@{name}"]
    assert git(pipeline, "status", "--porcelain") == ""


def test_no_model_is_a_pickle(trimmed_pipeline: Path) -> None:
    """Every file below models/ is of a format whose loading runs no code."""
    files = [path for path in (trimmed_pipeline / "models").rglob("*") if path.is_file()]
    assert {path.suffix for path in files if path.name != ".gitignore"} == {".json", ".keras", ".onnx"}
    assert not [path for path in files if path.read_bytes().startswith(PICKLE)]
