"""A project whose merges deliver a small ONNX model, which its stage exports and DVC's remote keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.project import PIPELINE, POLICY, Project
from tests.unit.serving.stores import write_model

NAME = "flights-delay"
EXPORT = """\
  export:
    cmd: mkdir -p models && cp -r exported models/champion
    deps: [exported]
    outs: [models/champion]
artifacts:
  flights-delay:
    path: models/champion
    type: model
"""


def create(directory: Path, files: Mapping[str, str]) -> Project:
    """A project whose models are to be delivered to the directory `live` beside it."""
    live = f"environments:\n  production:\n    to: {directory.with_name('live')}\n"
    project = Project.create(directory, {"seatrial.yaml": POLICY + live, **files})
    project.dvc("remote", "add", "--default", "store", str(directory.with_name("remote")))
    project.write("dvc.yaml", PIPELINE + EXPORT)
    return project


def merge_model(project: Project, *, times: float, answers: float | None = None) -> str:
    """Commit a model that multiplies by `times`; its golden requests say that it does by `answers`."""
    export_model(project.directory / "exported", times=times, answers=answers)
    project.train(steps=1)
    project.dvc("push", "--quiet")
    return project.commit(f"A model that multiplies by {times}")


def deliver(project: Project, *, times: float) -> str:
    """Commit a model and deliver it from a machine of one's own; its commit."""
    commit = merge_model(project, times=times)
    command = [sys.executable, "-m", "seatrial", "deploy", NAME, "--environment", "production"]
    subprocess.run(command, cwd=project.directory, check=True)
    return commit


def export_model(directory: Path, *, times: float, answers: float | None = None) -> None:
    """Write what the stage exports."""
    write_model(directory, times=times, name=NAME, output_column=1, threshold=0.5)
    factor = times if answers is None else answers
    rows = [{"features": [0.1, value], "probability": value * factor} for value in (0.1, 0.2, 0.3)]
    (directory / "golden.json").write_text(json.dumps({"tolerance": 1e-4, "rows": rows}))
