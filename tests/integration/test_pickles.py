"""Pickles by policy: real models of scikit-learn that run code when they are loaded, and weights that nothing runs."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from seatrial.commands.deploy import describe_plan, plan_deployment
from seatrial.commands.proving import open_prover
from seatrial.commands.serve import ServeSettings, open_server
from seatrial.core.deployment import Answer, Outcome
from seatrial.core.environment import Environment
from seatrial.core.release import MANIFEST, decode_manifest
from seatrial.core.verdict import Status, Verdict
from seatrial.deploy.engine import Deployment, DeploymentPlan, Terms, apply, plan_rollback
from seatrial.deploy.local import LocalTarget
from seatrial.errors import BlockedError, ExitCode, ServeError
from seatrial.serving.golden import check_model
from seatrial.serving.runtimes import load_model
from seatrial.sources.cache import CachedFile, CachedOut, hash_listing
from seatrial.sources.dvcfiles import Artifact
from tests.unit.serving.stores import Client

NAME, OUT = "flights", "models/champion"
PASSED = Verdict(status=Status.PASSED, findings=(), exit_code=ExitCode.PASSED)
ROWS = np.random.default_rng(7).normal(size=(100, 2))


class Marked:
    """Leaves a mark when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def export(directory: Path, *, compress: int = 0, path: str = "model.joblib") -> Path:
    """A model of scikit-learn as a pickle, with its card and golden requests."""
    from sklearn.linear_model import LogisticRegression

    directory.mkdir()
    model = LogisticRegression().fit(ROWS, ROWS.sum(axis=1) > 0)
    joblib.dump(model, directory / path, compress=compress)
    write_card(directory, format="pickle", path=path, output="predict_proba", output_column=1)
    golden = [
        {"features": row.tolist(), "probability": float(score)}
        for row, score in zip(ROWS[:4], model.predict_proba(ROWS[:4])[:, 1], strict=True)
    ]
    (directory / "golden.json").write_text(json.dumps({"rows": golden}))
    return directory


def write_card(directory: Path, **card: Any) -> None:
    plain = {"name": NAME, "input": "features", "inputs": ["hour", "distance"]}
    (directory / "model.json").write_text(json.dumps(plain | card))


def plan(target: LocalTarget, directory: Path, pickles: tuple[str, ...] = ()) -> DeploymentPlan:
    """Plan to deploy a directory as the command line does."""
    files = []
    for path in sorted(directory.iterdir()):
        md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        files.append(CachedFile(path=path.name, digest=md5, location=path))
    digest = hash_listing([(file.path, file.digest) for file in files])
    return plan_deployment(
        artifact=NAME,
        artifacts=(Artifact(name=NAME, path=OUT, type="model", desc="", file="dvc.yaml"),),
        locate=lambda _: CachedOut(path=OUT, digest=digest, files=tuple(files)),
        target=target,
        commit="5601846",
        verdict=PASSED,
        metrics={},
        pickles=pickles,
    )


def deploy(
    target: LocalTarget, directory: Path, pickles: tuple[str, ...] = (), *, unproved: bool = False
) -> Deployment:
    """Deploy it as the command line does."""
    planned = plan(target, directory, pickles)
    prover = open_prover(Environment(), planned.release)
    return apply(planned, target=target, prover=prover, terms=Terms(unproved=unproved))


@pytest.fixture
def target(tmp_path: Path) -> LocalTarget:
    """An empty target."""
    return LocalTarget(root=tmp_path / "live", name=NAME)


@pytest.mark.parametrize(("path", "compress"), [("model.joblib", 0), ("model.joblib", 3), ("model.pkl", 0)])
def test_named_pickle_is_released_proved_and_says_what_it_is(
    target: LocalTarget, tmp_path: Path, path: str, compress: int
) -> None:
    """It answers its golden requests; the plan, the manifest and the model card warn of it."""
    directory = export(tmp_path / "model", compress=compress, path=path)
    assert any("runs whatever its author wrote" in line for line in describe_plan(plan(target, directory, (path,))))
    done = deploy(target, directory, (path,))
    assert done.outcome is Outcome.LIVE
    assert done.golden is not None
    assert done.golden.rows == 4
    live = target.locate("1")
    release = decode_manifest((live / MANIFEST).read_bytes(), MANIFEST)
    assert (release.pickles, release.format.value) == ((path,), "pickle")
    assert release.signature is not None
    assert f"Loading `{path}` runs whatever its author wrote" in (live / "README.md").read_text()


def test_pickle_that_is_not_named_is_refused(target: LocalTarget, tmp_path: Path) -> None:
    """Whatever else is named, and before anything is loaded."""
    directory = export(tmp_path / "model")
    joblib.dump(Marked(tmp_path / "mark"), directory / "scaler.bin", compress=3)
    for pickles in ((), ("model.joblib",), ("scaler.pkl", "model.joblib")):
        with pytest.raises(BlockedError, match="a pickle is not released"):
            plan(target, directory, pickles)
    assert not (tmp_path / "mark").exists()


def test_card_that_calls_a_hidden_file_a_pickle_loads_nothing(target: LocalTarget, tmp_path: Path) -> None:
    """Only what the policy names is loaded: here the model is, and its card leads to another file."""
    directory = export(tmp_path / "model")
    (directory / "weights.bin").write_bytes(b"XX" + b"\0" * 64)
    write_card(directory, format="pickle", path="weights.bin", output="predict_proba")
    refused = deploy(target, directory, ("model.joblib",))
    assert (refused.outcome, "a pickle is not loaded" in refused.reason) == (Outcome.REFUSED, True)


def test_pickle_is_loaded_only_where_that_is_allowed(target: LocalTarget, tmp_path: Path) -> None:
    """By a rollback, by `status --prove`, and by the server: elsewhere it may be anybody's."""
    directory = export(tmp_path / "model")
    deploy(target, directory, ("model.joblib",))
    live = target.locate("1")
    refusing = open_prover(Environment()).examine(live)
    assert [check.answer for check in refusing.checks] == [Answer.ERROR]
    assert "--allow-pickles" in refusing.checks[0].detail
    allowing = open_prover(Environment(allow_pickles=True)).examine(live)
    assert all(check.passed for check in allowing.checks)
    with pytest.raises(ServeError, match=r"loading model\.joblib runs whatever its author wrote"):
        open_server(target.root)
    with pytest.raises(ServeError, match="a pickle is not loaded"):
        load_model(live)
    opened = open_server(target.root, ServeSettings(allow_pickles=True))
    answer = Client(opened.app).post(
        f"/v2/models/{NAME}/infer",
        {"inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP64", "data": ROWS[0].tolist()}]},
    )
    opened.close()
    golden = json.loads((directory / "golden.json").read_text())["rows"][0]["probability"]
    assert answer.json()["outputs"][0]["data"][1] == pytest.approx(golden)


def test_rollback_to_a_pickle_needs_to_be_allowed(target: LocalTarget, tmp_path: Path) -> None:
    """Nothing is switched where the model may not be asked."""
    deploy(target, export(tmp_path / "one"), ("model.joblib",))
    deploy(target, export(tmp_path / "two", compress=3), ("model.joblib",))
    back = plan_rollback(target, None)
    terms = Terms(unproved=True, breaking=True)
    refused = apply(back, target=target, prover=open_prover(Environment()), terms=terms)
    assert (refused.outcome, target.pointer()) == (Outcome.REFUSED, "2")
    allowed = apply(back, target=target, prover=open_prover(Environment(allow_pickles=True)), terms=terms)
    assert (allowed.outcome, target.pointer()) == (Outcome.LIVE, "1")


def test_object_that_is_no_model_is_refused(target: LocalTarget, tmp_path: Path) -> None:
    """What can't predict, or raises while it is loaded, never gets traffic."""
    directory = export(tmp_path / "model")
    joblib.dump({"mean": 0}, directory / "model.joblib")
    refused = deploy(target, directory, ("model.joblib",))
    assert (refused.outcome, "has no method predict" in refused.reason) == (Outcome.REFUSED, True)
    (directory / "model.joblib").write_bytes(b"broken")
    assert "joblib can't load it" in deploy(target, directory, ("model.joblib",)).reason


# --- Weights ----------------------------------------------------------------------------------------------------------


def write_weights(directory: Path, header: object, data: bytes, *, size: int | None = None) -> Path:
    """A file of safetensors, by its format's own description."""
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text) if size is None else size) + text + data
    (directory / "model.safetensors").write_bytes(content)
    write_card(directory, format="safetensors", path="model.safetensors", output="none")
    return directory


WHOLE = {"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}


def test_weights_are_delivered_unproved(target: LocalTarget, tmp_path: Path) -> None:
    """Nothing here runs them: that is inconclusive, unless it is said to be enough that they are whole."""
    (tmp_path / "model").mkdir()
    directory = write_weights(tmp_path / "model", WHOLE, bytes(16))
    assert deploy(target, directory).outcome is Outcome.INCONCLUSIVE
    done = deploy(target, directory, unproved=True)
    assert done.outcome is Outcome.LIVE
    assert [check.detail for check in done.checks if check.name == "ready"] == ["1 tensors, 16 bytes of numbers"]
    with pytest.raises(ServeError, match="nothing here runs a model of safetensors"):
        open_server(target.root)


@pytest.mark.parametrize(
    ("header", "data", "size"),
    [
        (WHOLE, bytes(15), None),
        (WHOLE, bytes(17), None),
        (WHOLE, bytes(16), 10**12),
        (WHOLE, bytes(16), 0),
        ({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 16]}}, bytes(16), None),
        ({"w": {"dtype": "O", "shape": [4], "data_offsets": [0, 16]}}, bytes(16), None),
        ({"w": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}, bytes(16), None),
        ({"w": {"dtype": "F32", "shape": [4], "data_offsets": [16, 32]}}, bytes(32), None),
        ({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], "code": "x"}}, bytes(16), None),
        ({"__metadata__": {"format": ["pt"]}}, b"", None),
        ([], b"", None),
    ],
)
def test_weights_that_are_not_whole_are_refused(tmp_path: Path, header: object, data: bytes, size: int | None) -> None:
    """Gaps, overlaps, unknown types and sizes that do not fit."""
    checks, _ = check_model(write_weights(tmp_path, header, data, size=size))
    assert [(check.name, check.answer) for check in checks] == [("ready", Answer.FAIL)]
    assert "not whole as safetensors" in checks[0].detail
