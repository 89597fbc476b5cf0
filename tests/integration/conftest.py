"""The real pipeline of this repository, trimmed by its parameters and reproduced once a session."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COPIED = ("dvc.yaml", "params.yaml", ".dvcignore", ".dvc/config", ".dvc/.gitignore", ".dvc/plots", "scripts")
TRIMMED: dict[str, Any] = {
    "data.fraction": 0.02,
    "cv.folds": 2,
    "logistic.curve_steps": 2,
    "boosting.max_iter": 30,
    "boosting.min_samples_leaf": 50,
    "network.epochs": 3,
    "network.batch_size": 256,
}

Reproduce = Callable[..., str]
"""`reproduce(repository, *arguments)` runs `dvc repro` there and returns what it said."""

SetParams = Callable[[Path, Mapping[str, Any]], None]
"""`set_params(repository, {"evaluate.threshold": 0.4})` writes parameters that exist into params.yaml."""


def write_params(repository: Path, values: Mapping[str, Any]) -> None:
    """Change parameters by their dotted names; one that does not exist is an error."""
    path = repository / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, value in values.items():
        group, _, key = name.partition(".")
        assert key in params[group], name
        params[group][key] = value
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def make_environment(site: Path) -> dict[str, str]:
    """The environment of git, DVC and the stages: no CI job, an identity of our own, and the `python` of this run.

    A fixture of the whole session runs before those that scrub the environment of one test.
    """
    foreign = ("CI", "GITHUB_", "GITLAB_", "GIT_", "DVC_", "SEATRIAL_", "TF_", "OMP_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    people = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in PERSON.items()}
    return {
        **kept,
        **people,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(site),
    }


PERSON = {"NAME": "Ada", "EMAIL": "ada@example.org"}


@pytest.fixture(scope="session")
def reproduce(tmp_path_factory: pytest.TempPathFactory) -> Reproduce:
    """Run `dvc repro` in a repository; a stage that fails is an error with everything that DVC said."""
    environment = make_environment(tmp_path_factory.mktemp("dvc-site"))

    def run(repository: Path, *arguments: str) -> str:
        command = [sys.executable, "-m", "dvc", "repro", *arguments]
        done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def set_params() -> SetParams:
    """Change parameters of a repository."""
    return write_params


@pytest.fixture(scope="session")
def trimmed_pipeline(tmp_path_factory: pytest.TempPathFactory, reproduce: Reproduce) -> Path:
    """A git repository with the trimmed pipeline, really reproduced and committed on `main`; only to be read."""
    repository = tmp_path_factory.mktemp("pipeline") / "flights"
    for name in COPIED:
        source, target = ROOT / name, repository / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    (repository / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    write_params(repository, TRIMMED)
    git(repository, "init", "--quiet", "--initial-branch=main")
    reproduce(repository)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=Train on a fiftieth of the flights")
    return repository


@pytest.fixture
def pipeline(trimmed_pipeline: Path, tmp_path: Path) -> Path:
    """A copy of the trimmed pipeline, cache included, that a test may change."""
    return Path(shutil.copytree(trimmed_pipeline, tmp_path / "flights", symlinks=True))


def git(repository: Path, *arguments: str) -> str:
    """Run git in a repository."""
    environment = make_environment(repository)
    done = subprocess.run(
        ["git", *arguments], cwd=repository, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout
