"""A model on its way to the Hugging Face Hub by the command line, with the official client against a stand-in."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.fakes.hub import WRITER, Commit, Entry, HubStandIn, Repository
from tests.integration.test_deploy import DVC_YAML, NAME, Project, commit_recall, export_model, run_cli

REPO = "acme/flights-delay"
MINE = ("--to", "models", "--target", "huggingface")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A DVC project whose recall is judged, and the settings of its repository on the Hub."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").write_text("")
    (root / ".dvc/.gitignore").write_text("/cache\n")
    (root / ".gitignore").write_text("/models\n")
    (root / "dvc.yaml").write_text(DVC_YAML + "metrics: [metrics.json]\n")
    (root / "seatrial.yaml").write_text('version: 1\nmetrics:\n  "metrics.json:recall": {max_decrease: 0.01}\n')
    (root / "models").mkdir()
    (root / "models/huggingface.yaml").write_text(f"repo: {REPO}\n")
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(root)], check=True)
    return Project(root=root, to=root / "models")


@pytest.mark.slow
def test_model_is_deployed_to_the_hub_and_taken_back(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each version is one commit with its card, its provenance and a tag; the way back is one more; all are proved."""
    models = export_model(tmp_path / "first", seed=1), export_model(tmp_path / "second", seed=2)
    with HubStandIn() as hub:
        for name, value in {"HF_ENDPOINT": hub.web_url, "HF_TOKEN": WRITER, "HF_HUB_DISABLE_XET": "1"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        hub.create(REPO)
        for model in models:
            commit_recall(project, model, 0.8)
            delivered = run_cli(project, "deploy", NAME, *MINE)
            assert delivered.returncode == 0, delivered.stderr
            assert "is live" in delivered.stdout
            assert WRITER not in delivered.stdout + delivered.stderr
        repository = hub.repositories[REPO]
        expect_release(repository, (models[1].directory / "model.onnx").read_bytes())
        back = run_cli(project, "rollback", NAME, *MINE, "--reason", "incident 42")
        assert back.returncode == 0, back.stderr
        expect_release(repository, (models[0].directory / "model.onnx").read_bytes())
        assert (set(repository.tags), len(repository.commits)) == ({"v1", "v2"}, 4)
        (told,) = json.loads(run_cli(project, "status", *MINE, "--prove", "--format", "json").stdout)["models"]
        assert (told["version"], told["problems"]) == ("1", [])
        head = repository.commits[repository.branches["main"]]
        files = {**head.files, "model.json": Entry(content=b"{}", large=False)}
        repository.add("main", Commit(title="by hand", description="", parent=head.oid, files=files))
        altered = run_cli(project, "status", *MINE)
        assert (altered.returncode, f"{REPO}: model.json: altered" in altered.stdout) == (1, True), altered.stdout


def expect_release(repository: Repository, model: bytes) -> None:
    """The branch holds the model as a large file, and a card that the Hub can read."""
    files = repository.commits[repository.branches["main"]].files
    assert (files["model.onnx"].content, files["model.onnx"].large) == (model, True)
    assert {"release.json", "provenance.json", "golden.json", "bom.cdx.json"} < set(files)
    front = files["README.md"].content.decode().split("---\n")[1]
    assert yaml.safe_load(front)["library_name"] == "onnx"
