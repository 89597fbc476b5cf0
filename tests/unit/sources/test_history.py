"""What the main branch's own line tells: past values of a metric, and models judged on one evaluation set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seatrial.sources.history import count_uses, read_history
from tests.fakes.git_project import GitProject

KEY = ("auc",)


@pytest.fixture
def project(tmp_path: Path) -> GitProject:
    return GitProject.create(tmp_path / "project")


def measure(project: GitProject, **values: Any) -> str:
    return project.commit({"metrics.json": json.dumps(values)})


def test_the_values_of_a_branch_come_newest_first(project: GitProject) -> None:
    """One for each change of the file; commits without the key, or with a broken file, are left out."""
    measure(project, auc=0.1)
    project.commit({"other.txt": "x"})
    measure(project, auc=0.2)
    measure(project, f1=0.5)
    project.commit({"metrics.json": "{"})
    tip = measure(project, auc=0.3)
    assert read_history(project.repository, tip, "metrics.json", KEY) == [0.3, 0.2, 0.1]
    assert read_history(project.repository, tip, "metrics.json", KEY, most=1) == [0.3]
    assert read_history(project.repository, tip, "metrics.json", ("no",)) == []
    assert read_history(project.repository, tip, "no.json", KEY) == []


def test_what_happened_on_a_merged_branch_is_not_the_branch_s_own_past(project: GitProject) -> None:
    """Only what was merged was ever live."""
    measure(project, auc=0.1)
    project.git("switch", "--quiet", "--create", "topic")
    measure(project, auc=0.9)
    measure(project, auc=0.2)
    project.git("switch", "--quiet", "main")
    project.git("merge", "--quiet", "--no-ff", "--message", "merge", "topic")
    assert read_history(project.repository, project.git("rev-parse", "HEAD"), "metrics.json", KEY) == [0.2, 0.1]


def lock(data: str, predictions: str | None, *, path: str = "data/test") -> str:
    """A dvc.lock with the evaluation set and a model's predictions, by the letters of their digests."""
    outs = {path: data} | ({} if predictions is None else {"p.parquet": predictions})
    listed = "".join(f"    - path: {name}\n      md5: {letter * 32}\n" for name, letter in outs.items())
    return f"schema: '2.0'\nstages:\n  all:\n    cmd: run\n    outs:\n{listed}"


def use(project: GitProject, data: str, predictions: str | None) -> str:
    return project.commit({"dvc.lock": lock(data, predictions)})


def count(project: GitProject, data: str = "data/test") -> int | None:
    tip = project.git("rev-parse", "HEAD")
    return count_uses(project.repository, tip, data, "p.parquet")


def test_models_that_were_judged_on_the_set_are_counted(project: GitProject) -> None:
    """Each once, however often it was committed, and only while the set was what it is."""
    use(project, "a", "0")
    use(project, "b", "1")
    assert count(project) == 1
    use(project, "b", "2")
    project.commit({"notes.md": "nothing that counts"})
    use(project, "b", "1")
    use(project, "b", None)
    use(project, "b", "3")
    assert count(project) == 3
    use(project, "a", "3")
    assert count(project) == 2


def test_where_nothing_can_be_counted_nobody_claims_none(project: GitProject) -> None:
    """No lock, another path, or predictions that the lock does not hold."""
    project.commit({"a.txt": "a"})
    assert count(project) is None
    use(project, "a", None)
    assert count(project) is None
    use(project, "a", "1")
    assert count(project) == 1
    assert count(project, "data/other") is None


def test_the_locks_of_a_monorepo_are_read_together(project: GitProject) -> None:
    """The set may be made by one project and used by another."""
    project.commit({"data/dvc.lock": lock("a", None, path="test")})
    for model in "123":
        stages = lock("f", model, path="model")
        project.commit({"dvc.lock": stages})
    assert count(project) == 3
