"""A small DVC project in a real git repository, as the engines find it: measured by DVC, not by us."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Gradient descent on a thousand points that a curve almost divides: more steps, a better model; none, a useless one.
TRAIN = """\
import json
import math
import random

params = json.load(open("params.json"))
draw = random.Random(params["seed"])
points = [(draw.uniform(-1, 1), draw.uniform(-1, 1)) for _ in range(1000)]
labels = [int(x + 0.5 * y * y + draw.gauss(0, 0.2) > 0) for x, y in points]
rows = [(1.0, x, y, x * y, y * y) for x, y in points]
weights = [0.0] * 5
for _ in range(params["steps"]):
    for row, label in zip(rows, labels):
        odds = sum(w * value for w, value in zip(weights, row))
        error = label - 1 / (1 + math.exp(-odds))
        weights = [w + params["rate"] * error * value for w, value in zip(weights, row)]
chances = [1 / (1 + math.exp(-sum(w * value for w, value in zip(weights, row)))) for row in rows]
right = sum(int(chance > 0.5) == label for chance, label in zip(chances, labels))
loss = -sum(math.log(c if label else 1 - c) for c, label in zip(chances, labels)) / len(labels)
json.dump({"accuracy": right / len(labels), "loss": round(loss, 6), **params["extra"]}, open("metrics.json", "w"))
"""
PIPELINE = """\
stages:
  train:
    cmd: python3 train.py
    deps: [train.py]
    params:
    - params.json:
    metrics:
    - metrics.json:
        cache: false
"""
POLICY = """\
version: 1
metrics:
  accuracy:
    max_decrease: 0.01
  loss:
    at_most: 0.5
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisions:
    """What a pipeline of a change knows: the change's head, its target's tip, and their merge."""

    head: str
    base: str
    merge: str


@dataclass(frozen=True, slots=True)
class Project:
    """A git repository with a DVC pipeline."""

    directory: Path

    @classmethod
    def create(cls, directory: Path, files: Mapping[str, str]) -> Project:
        """A project whose main branch holds a trained model, and these files."""
        directory.mkdir(parents=True)
        project = cls(directory)
        project.git("init", "--quiet", "--initial-branch=main")
        project.dvc("init", "--quiet")
        basis = {"train.py": TRAIN, "dvc.yaml": PIPELINE, "seatrial.yaml": POLICY, "requirements.txt": ""}
        for path, text in {**basis, **files}.items():
            project.write(path, text)
        project.train(steps=1)
        project.commit("Train a model")
        return project

    def copy(self, directory: Path) -> Project:
        """The same project elsewhere."""
        shutil.copytree(self.directory, directory, symlinks=True)
        return Project(directory)

    def branch(self, name: str) -> None:
        """Start a change."""
        self.git("checkout", "--quiet", "-b", name, "main")

    def write(self, path: str, text: str) -> None:
        """Write a file of the work tree."""
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def train(self, *, steps: int, extra: Mapping[str, float] | None = None) -> None:
        """Set the parameters and let DVC compute the metrics; `extra` names metrics that are what they are."""
        params = {"seed": 7, "steps": steps, "rate": 0.05, "extra": extra or {}}
        self.write("params.json", json.dumps(params, indent=1))
        self.dvc("repro", "--quiet")

    def commit(self, subject: str) -> str:
        """Commit everything; returns the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)
        return self.git("rev-parse", "HEAD")

    def merge(self, branch: str) -> Revisions:
        """Check out the passing merge of a branch, as both forges make it for a pipeline of the change."""
        self.git("checkout", "--quiet", "--detach", "main")
        self.git("merge", "--quiet", "--no-ff", "--message", "Merge", branch)
        return Revisions(
            head=self.git("rev-parse", branch), base=self.git("rev-parse", "main"), merge=self.git("rev-parse", "HEAD")
        )

    def git(self, *arguments: str) -> str:
        """Run git as somebody who has no settings."""
        person = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com"}
        person |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in person.items()}
        env = {**os.environ, **person, "GIT_CONFIG_GLOBAL": os.devnull}
        return run(["git", *arguments], self.directory, env).strip()

    def dvc(self, *arguments: str) -> None:
        """Run the DVC of this environment."""
        run([sys.executable, "-m", "dvc", *arguments], self.directory, {**os.environ, "DVC_NO_ANALYTICS": "1"})


def run(command: list[str], directory: Path, env: dict[str, str]) -> str:
    """Run to its end; what it printed is in the error if it fails."""
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def export_product(directory: Path) -> Path:
    """The product as a forge would serve it: this work tree's files, without what git ignores."""
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT, dict(os.environ))
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, directory / name
        if name.startswith(("tests/", "data/", "models/")) or not source.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    return directory
