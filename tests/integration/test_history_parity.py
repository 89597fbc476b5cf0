"""A line of commits that is read by what changed holds what each commit holds that is read alone."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from seatrial.core.metrics import MetricSet
from seatrial.core.revision import Revision
from seatrial.git import Repository
from seatrial.sources.history import Line, read_line
from seatrial.sources.snapshot import read_snapshot
from tests.integration.branches import Step, declare, grow

PLACES = ("a.json", "reports/b.json", "reports/deep/c.yaml", "params.yaml")
PROJECTS = (
    declare("a.json"),
    declare("a.json", "reports/b.json"),
    declare("reports"),
    declare("${out}"),
    "metrics:\n- reports/deep/c.yaml\n",
    "stages: [\n",
    None,
)
CONTENTS = ('{"x": 1}', '{"x": 2, "y": {"z": 0.5}}', "{", "", "x: .nan\n")


def wander(seed: int) -> list[Step]:
    """Files that come, change, break and go, declared in ever other ways."""
    chance = random.Random(seed)
    held: set[str] = set()
    steps = []
    for _ in range(60):
        files: dict[str, str | None] = {}
        if chance.random() < 0.25:
            files["dvc.yaml"] = chance.choice(PROJECTS)
        if chance.random() < 0.3:
            files["params.yaml"] = f"out: {chance.choice(PLACES[:3])}\n"
        if chance.random() < 0.1:
            files[".dvcignore"] = chance.choice(["reports/deep\n", "*.txt\n"])
        for path in chance.sample(PLACES[:3], chance.randint(0, 2)):
            files[path] = None if path in held and chance.random() < 0.3 else chance.choice(CONTENTS)
        files = {path: text for path, text in files.items() if text is not None or path in held}
        held = {*held, *files} - {path for path, text in files.items() if text is None}
        steps.append(Step(files=files, merges={"a.json": json.dumps({"x": 99})} if chance.random() < 0.2 else None))
    return steps


def at_commit(line: Line, at: int) -> dict[str, object]:
    """What the line says that a commit holds."""
    covering = (stretch for stretch in line.stretches if stretch.first <= at <= stretch.last)
    return {stretch.metrics.path: tell(stretch.metrics) for stretch in covering}


def tell(metrics: MetricSet) -> object:
    """The values, or the kind of trouble; a file without values is trouble of its own to a snapshot."""
    if metrics.problem or not metrics.values:
        return "missing" if metrics.problem and metrics.problem.state.value == "missing" else "unreadable"
    return repr(dict(metrics.values))


@pytest.mark.parametrize("seed", range(6))
def test_every_commit_is_what_it_is_alone(seed: int, tmp_path: Path) -> None:
    """Sixty commits with merges: files, values and troubles equal those of a snapshot of each commit."""
    commits = grow(tmp_path / "project", wander(seed))
    repository = Repository.discover(tmp_path / "project")
    line = read_line(repository, list(repository.read_line(commits[-1])))
    for at, commit in enumerate(commits):
        snapshot = read_snapshot(repository, Revision(name=commit, sha=commit))
        assert at_commit(line, at) == {metrics.path: tell(metrics) for metrics in snapshot.metrics}, at
        assert (at in line.blind) == bool(snapshot.problems), at


@pytest.mark.parametrize("target", ["reports", "a.json", "reports/deep/c.yaml"])
def test_targets_mean_the_same_as_for_one_commit(target: str, tmp_path: Path) -> None:
    """A file or a directory that is named holds in the line what it holds in each commit, declared or not."""
    commits = grow(tmp_path / "project", wander(7))
    repository = Repository.discover(tmp_path / "project")
    line = read_line(repository, list(repository.read_line(commits[-1])), targets=[target])
    for at, commit in enumerate(commits):
        snapshot = read_snapshot(repository, Revision(name=commit, sha=commit), [target])
        found = {path: told for path, told in at_commit(line, at).items() if told != "missing"}
        expected = {metrics.path: tell(metrics) for metrics in snapshot.metrics}
        declared = {path: told for path, told in expected.items() if told != "missing"}
        assert found == declared, at
