"""SavedModels on their way to TensorFlow's model server: the command line, real TensorFlow, the server's own rules."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from seatrial.core.deployment import Outcome
from seatrial.deploy.conformance import NumberProver, build_release, plan_number
from seatrial.deploy.engine import apply
from seatrial.deploy.tensorflow_serving import CONFIG, RECORD, SETTINGS, WARMUP, open_tensorflow_serving
from seatrial.errors import ReleaseError, UsageError
from tests.conformance.serving import open_texts
from tests.integration.test_deploy import DVC_YAML, NAME, Project, quiet, run_cli, write_card, write_golden

ROWS = [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [-1.0, 0.5, 0.25]]
_SAVE_TWO = """
import sys
import tensorflow as tf

class Model(tf.Module):
    def __init__(self, factor):
        self.weights = tf.Variable(factor * tf.ones([3, 1]))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="features")])
    def serve(self, features):
        return {"probability": tf.sigmoid(features @ self.weights)}

for factor in (1, 2):
    model = Model(float(factor))
    tf.saved_model.save(model, f"{sys.argv[1]}/{factor}/saved_model", signatures={"serving_default": model.serve})
"""


def score(factor: int) -> list[float]:
    """What the model with this factor answers."""
    return [float(1 / (1 + np.exp(-factor * sum(row)))) for row in ROWS]


@pytest.fixture
def merged(tmp_path: Path) -> Project:
    """A DVC project in git, whose model is a SavedModel."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").write_text("")
    (root / ".dvc/.gitignore").write_text("/cache\n")
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / "seatrial.yaml").write_text("version: 1\n")
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(root)], check=True)
    models = tmp_path / "models"
    subprocess.run([sys.executable, "-c", _SAVE_TWO, str(models)], check=True, env=quiet(), capture_output=True)
    for factor in (1, 2):
        write_card(models / str(factor), format="saved-model", path="saved_model", output="probability")
        write_golden(models / str(factor), ROWS, score(factor))
    return Project(root=root, to=tmp_path / "live")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[httpx.Client]:
    """A model server that polls the directory's configuration."""
    command = [sys.executable, "-m", "tests.fakes.model_server", str(tmp_path / "live" / CONFIG)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=quiet()) as process:
        try:
            assert process.stdout is not None
            with httpx.Client(base_url=process.stdout.readline().split()[-1], timeout=60) as client:
                yield client
        finally:
            process.kill()


def predict(client: httpx.Client, path: str = "") -> list[float]:
    """The scores that a model gives, asked without a version unless `path` names one."""
    rows = [{"features": row} for row in ROWS]
    answer = client.post(f"/v1/models/{NAME}{path}:predict", json={"instances": rows})
    return [row[0] for row in answer.raise_for_status().json()["predictions"]]


def read_config(root: Path) -> ModelServerConfig:
    """What the server is told."""
    return text_format.Parse((root / CONFIG).read_text(), ModelServerConfig())


@pytest.mark.slow
def test_model_server_goes_along(merged: Project, server: httpx.Client, tmp_path: Path) -> None:
    """Deployed twice and rolled back: the server loads, warms up, moves the label, and answers as was judged."""
    merged.to.mkdir()
    address = str(server.base_url)
    (merged.to / SETTINGS).write_text(f"address: {address}\n")
    place = ("--to", str(merged.to), "--target", "tensorflow-serving", "--address", address)
    for factor in (1, 2):
        merged.commit_model(tmp_path / "models" / str(factor))
        done = run_cli(merged, "deploy", NAME, *place)
        assert done.returncode == 0, done.stderr
        assert "3 golden requests answered" in done.stdout
        np.testing.assert_allclose(predict(server), score(factor), rtol=1e-5)
        np.testing.assert_allclose(predict(server, "/labels/live"), score(factor), rtol=1e-5)
    assert int(server.get("/warmed").text) == 12  # three requests, each version once on trial and once live
    assert (merged.to / NAME / "2/saved_model.pb").stat().st_nlink == 2
    back = run_cli(merged, "rollback", NAME, *place)
    assert back.returncode == 0, back.stderr
    np.testing.assert_allclose(predict(server, "/labels/live"), score(1), rtol=1e-5)
    assert [model.name for model in read_config(merged.to).model_config_list.config] == [NAME]

    (merged.to / NAME / "1" / WARMUP).chmod(0o644)
    (merged.to / NAME / "1" / WARMUP).write_bytes(b"")
    altered = run_cli(merged, "status", NAME, *place[:4])
    assert altered.returncode == 1
    assert f"1/{WARMUP}: altered" in altered.stdout


def test_config_of_others_stays(tmp_path: Path) -> None:
    """Models that seatrial does not deploy, and what else is said of its own, are left as they are."""
    root = tmp_path / "root"
    root.mkdir()
    (root / CONFIG).write_text(
        'model_config_list { config { name: "theirs" base_path: "/theirs" model_platform: "tensorflow" } }'
    )
    target = open_texts(str(root), "conformance")
    plan = plan_number(target, tmp_path / "source", "1")
    assert apply(plan, target=target, prover=NumberProver()).outcome is Outcome.LIVE
    theirs, ours = read_config(root).model_config_list.config
    assert (theirs.name, theirs.base_path) == ("theirs", "/theirs")
    assert (ours.base_path, list(ours.model_version_policy.specific.versions)) == (str(root / "conformance"), [1])
    assert not ours.version_labels
    (root / CONFIG).write_text("model_config_list { confg {} }")
    with pytest.raises(ReleaseError, match=rf"{CONFIG}: no ModelServerConfig"):
        target.observe()


def test_staged_version_is_a_model_of_its_own(tmp_path: Path) -> None:
    """A request that names no version can't come to what is on trial, and none of it stays when it is turned down."""
    target = open_texts(str(tmp_path / "root"), "conformance")
    apply(plan_number(target, tmp_path / "source", "1"), target=target, prover=NumberProver())
    release, sources = build_release(tmp_path / "source", "2", "2")
    with target.lock():
        target.stage(release, sources)
        told = {
            model.name: list(model.model_version_policy.specific.versions)
            for model in read_config(tmp_path / "root").model_config_list.config
        }
        assert told == {"conformance": [1], "conformance@staged": [2]}
        target.retire("2")
        target.stage(release, sources)
    with target.lock():  # whoever comes next sweeps up after one that was killed
        names = [model.name for model in read_config(tmp_path / "root").model_config_list.config]
        assert names == ["conformance"]
        target.retire("2")
    assert [model.name for model in read_config(tmp_path / "root").model_config_list.config] == ["conformance"]
    assert not (tmp_path / "root/conformance/2").exists()


def test_version_that_the_server_does_not_load_is_turned_down(tmp_path: Path) -> None:
    """Where the server does not say that a version is loaded, it never gets traffic, and nothing of it stays."""
    live = open_texts(str(tmp_path / "root"), "conformance")
    apply(plan_number(live, tmp_path / "source", "1"), target=live, prover=NumberProver())
    target = open_texts(str(tmp_path / "root"), "conformance", address="http://127.0.0.1:9", seconds=0.0)
    failed = apply(plan_number(target, tmp_path / "source", "2"), target=target, prover=NumberProver())
    assert failed.outcome is Outcome.REFUSED
    assert "conformance@staged/versions/2: the version is unknown" in failed.reason
    assert [model.name for model in read_config(tmp_path / "root").model_config_list.config] == ["conformance"]
    assert not (tmp_path / "root/conformance/2").exists()


def test_what_is_served_is_held_against_the_release(tmp_path: Path) -> None:
    """A byte, a file or a whole directory that the server reads, and that is not the release's, is told."""
    target = open_texts(str(tmp_path / "root"), "conformance")
    apply(plan_number(target, tmp_path / "source", "1"), target=target, prover=NumberProver())
    served = tmp_path / "root/conformance/1"
    (served / "more").write_text("")
    assert target.verify("1") == ("1/more: not in the manifest",)
    (served / "more").unlink()
    (served / "saved_model.pb").unlink()
    (served / "saved_model.pb").write_text("7")
    assert target.verify("1") == ("1/saved_model.pb: altered",)
    (served / RECORD).unlink()
    live = target.observe().live
    assert live is not None
    assert RECORD in live.problem


def test_other_formats_and_wrong_settings_are_refused(tmp_path: Path) -> None:
    """A model that is no SavedModel, an address as the place, and settings that can't be used: one error each."""
    target = open_tensorflow_serving(str(tmp_path), "conformance")
    release, sources = build_release(tmp_path / "source", "1", "1")
    with (
        target.lock(),
        pytest.raises(ReleaseError, match="format onnx, and TensorFlow Serving loads SavedModels") as no,
    ):
        target.stage(release, sources)
    assert "--target local" in no.value.hint
    assert target.observe().versions == ()
    with pytest.raises(UsageError, match="writes to a directory"):
        open_tensorflow_serving("s3://bucket", "m")
    for settings in ({"adress": "x"}, {"address": "host:8501"}, {"base_path": "models"}):
        with pytest.raises(UsageError, match="settings: "):
            open_tensorflow_serving(str(tmp_path), "m", settings)
