"""Metrics that were not made by what is committed beside them; tests/integration asks `dvc status`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from seatrial.core.revision import WORK_TREE, Revision
from seatrial.sources import staleness
from seatrial.sources.cache import hash_listing
from seatrial.sources.staleness import Staleness, find_stale
from tests.fakes.git_project import GitProject

HERE = Revision(name=WORK_TREE, sha=None)
CODE = "print(1)\n"
METRICS = '{"x": 1}'


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def _files(**changed: str) -> dict[str, str | bytes | None]:
    package = hash_listing([("a.py", _md5("a")), ("b/c.py", _md5("c"))])
    lock = (
        "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    deps:\n"
        f"    - {{path: train.py, hash: md5, md5: {_md5(CODE)}, size: 9}}\n"
        f"    - {{path: package, hash: md5, md5: {package}, size: 2, nfiles: 2}}\n"
        f"    - {{path: data.csv, hash: md5, md5: {'ab' * 16}, size: 2}}\n"
        "    params: {params.yaml: {lr: 0.1, deep.list: [1, 2], whole: {1: x, y: z}}}\n"
        f"    outs: [{{path: m.json, md5: {_md5(METRICS)}}}]\n"
    )
    files = {
        "dvc.yaml": "stages: {train: {cmd: x, metrics: [m.json: {cache: false}]}}",
        "dvc.lock": lock,
        "train.py": CODE,
        "package/a.py": "a",
        "package/b/c.py": "c",
        "data.csv.dvc": f"outs: [{{path: data.csv, md5: {'ab' * 16}}}]",
        "params.yaml": "lr: 0.1\ndeep: {list: [1, 2]}\nwhole: {y: z, 1: x}\nunused: 1\n",
        "m.json": METRICS,
    }
    return {**files, **{path.replace("__", "/"): text for path, text in changed.items()}}


def _because(project: GitProject, revision: Revision) -> list[str]:
    return [reason for stage in find_stale(project.repository, revision).stages for reason in stage.because]


@pytest.fixture
def project(tmp_path: Path) -> GitProject:
    """An empty repository."""
    return GitProject.create(tmp_path / "project")


def test_what_is_as_it_was_locked_is_not_stale(project: GitProject) -> None:
    """Code, data, directories and parameters that equal the lock give no finding, on either side."""
    project.commit(_files())
    assert find_stale(project.repository, project.revision("HEAD")) == Staleness()
    assert find_stale(project.repository, HERE) == Staleness()


@pytest.mark.parametrize(
    ("path", "text", "because"),
    [
        ("train.py", "print(2)\n", ["train.py"]),
        ("package/a.py", "changed", ["package"]),
        ("data.csv.dvc", f"outs: [{{path: data.csv, md5: {'ef' * 16}}}]", ["data.csv"]),
        (
            "params.yaml",
            "lr: 0.2\ndeep: {list: [1]}\nwhole: {y: z, 1: x}\n",
            ["params.yaml:deep.list", "params.yaml:lr"],
        ),
        ("params.yaml", "lr: 0.1\ndeep: {list: [1, 2]}\n", ["params.yaml:whole"]),
        ("params.yaml", "lr: 0.1\ndeep: {list: [1, 2]}\nwhole: {y: z, 1: x}\nunused: 2\n", []),
    ],
)
def test_what_differs_from_the_lock_is_named(project: GitProject, path: str, text: str, because: list[str]) -> None:
    """Each changed dependency and parameter is a reason; what the stage does not use is none."""
    project.commit({**_files(), path: text})
    assert sorted(_because(project, project.revision("HEAD"))) == because
    assert sorted(_because(project, HERE)) == because


def test_windows_lines_are_no_change(project: GitProject) -> None:
    """A checkout that turned the line ends around did not change the code."""
    project.commit({**_files(), "train.py": CODE.replace("\n", "\r\n")})
    assert _because(project, project.revision("HEAD")) == []


def test_what_cannot_be_known_is_not_called_stale(project: GitProject) -> None:
    """A directory of which git holds another number of files, and a pointer of Git LFS, say nothing."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    project.commit({**_files(), "package/extra.py": "x", "train.py": pointer})
    assert _because(project, project.revision("HEAD")) == []


def test_a_metric_that_was_edited_by_hand_is_not_what_its_stage_made(project: GitProject) -> None:
    """The lock names what the stage wrote; anybody can write a better number."""
    project.commit(_files(**{"m.json": '{"x": 2}'}))
    (stage,) = find_stale(project.repository, project.revision("HEAD")).stages
    assert (stage.because, stage.edited) == ((), ("m.json",))


@pytest.mark.parametrize("limit", [0, 1, 7])
def test_what_is_too_much_to_be_checked_is_noted(
    project: GitProject, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Small files are checked first; the rest is not called stale, and named once, on either side."""
    project.commit(_files(**{"train.py": "print(2)\n", "package/a.py": "changed"}))
    monkeypatch.setattr(staleness, "MAX_BYTES", limit)
    for revision in (project.revision("HEAD"), HERE):
        found = find_stale(project.repository, revision)
        assert found.stages == ()
        assert len(found.notes) == 1
        assert "not checked against dvc.lock" in found.notes[0]


def test_small_files_are_checked_though_large_ones_are_not(
    project: GitProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file before a small one in the order of paths takes nothing from it."""
    lock = (
        "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    deps:\n"
        f"    - {{path: a.bin, md5: {'ab' * 16}, size: 9}}\n    - {{path: b.py, md5: {'ab' * 16}, size: 9}}\n"
    )
    project.commit({"dvc.yaml": "stages: {train: {cmd: x}}", "dvc.lock": lock, "a.bin": "x" * 5000, "b.py": "1"})
    monkeypatch.setattr(staleness, "MAX_BYTES", 4000)
    for revision in (project.revision("HEAD"), HERE):
        found = find_stale(project.repository, revision)
        assert [stage.because for stage in found.stages] == [("b.py",)]
        assert found.notes == ("a.bin in git is not checked against dvc.lock: 0 MB are hashed, small files first",)
