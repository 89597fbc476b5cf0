"""The files of a commit and of the work tree, by the same questions."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from seatrial.core.revision import WORK_TREE, Revision
from seatrial.errors import CompareError
from seatrial.sources import formats
from seatrial.sources import tree as tree_module
from seatrial.sources.tree import Tree, WorkTree, open_tree
from tests.fakes.git_project import GitProject

FILES: dict[str, str | bytes | None] = {
    "a.json": "1",
    "dir/b.json": "2",
    "dir/deep/c.json": "3",
    "dir-beside/d.json": "4",
    "dir0/e.json": "5",
}


@pytest.fixture
def project(tmp_path: Path) -> GitProject:
    """A repository with a few files, committed."""
    created = GitProject.create(tmp_path / "project")
    created.commit(FILES)
    return created


@pytest.fixture(params=["commit", "work tree"])
def tree(project: GitProject, request: pytest.FixtureRequest) -> Tree:
    """Both kinds of tree, with the same content."""
    here = Revision(name=WORK_TREE, sha=None)
    return open_tree(project.repository, here if request.param == "work tree" else project.revision("HEAD"))


def test_paths_are_sorted(tree: Tree) -> None:
    """All files, in the order of their paths."""
    assert list(tree.paths()) == sorted(FILES)
    assert "a.json" in tree.paths()
    assert "dir" not in tree.paths()


def test_read_gives_what_is_there(tree: Tree) -> None:
    """Absent files and directories are left out."""
    assert tree.read(["a.json", "gone", "dir", "dir/b.json"]) == {"a.json": b"1", "dir/b.json": b"2"}


def test_expand_takes_files_and_directories(tree: Tree) -> None:
    """A directory stands for everything below it, and for nothing beside it."""
    assert tree.expand("a.json") == ("a.json",)
    assert tree.expand("dir") == ("dir/b.json", "dir/deep/c.json")
    assert tree.expand("gone") == ()


def test_what_is_too_long_is_not_held(project: GitProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader sees that a file is too long without holding it."""
    monkeypatch.setattr(tree_module, "MAX_BYTES", 3)
    project.commit({"long": "x" * 10})
    for revision in (project.revision("HEAD"), Revision(name=WORK_TREE, sha=None)):
        assert open_tree(project.repository, revision).read(["long"]) == {"long": formats.TOO_LONG}


def _work_tree(project: GitProject) -> WorkTree:
    return WorkTree(project.repository)


def test_the_work_tree_holds_new_and_ignored_files(project: GitProject) -> None:
    """What is not committed yet counts; what git ignores is read when it is asked for by name."""
    project.write({".gitignore": "ignored/\n", "new.json": "6", "ignored/m.json": "7", "a.json": None})
    tree = _work_tree(project)
    assert "new.json" in tree.paths()
    assert "ignored/m.json" not in tree.paths()
    assert tree.read(["new.json", "ignored/m.json", "a.json"]) == {"new.json": b"6", "ignored/m.json": b"7"}
    assert tree.expand("ignored") == ("ignored/m.json",)


def test_links_out_of_the_repository_are_not_followed(project: GitProject, tmp_path: Path) -> None:
    """A pull request can't make a metric of a file beside the repository, or of git's own."""
    (tmp_path / "secret").write_text("secret")
    (project.root / "out.json").symlink_to(tmp_path / "secret")
    (project.root / "up").symlink_to(tmp_path)
    (project.root / "config.json").symlink_to(".git/config")
    (project.root / "inside.json").symlink_to("a.json")
    (project.root / "nowhere.json").symlink_to("gone")
    asked = ["out.json", "up/secret", "config.json", "inside.json", "nowhere.json", "../secret", ".git/config"]
    assert _work_tree(project).read(asked) == {"inside.json": b"1"}


def test_pipes_are_no_files(project: GitProject) -> None:
    """Something that would never end is not read."""
    os.mkfifo(project.root / "pipe.json")
    assert _work_tree(project).read(["pipe.json"]) == {}


def test_a_file_without_permission_is_an_error(project: GitProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there, but can't be read, is never mistaken for absent."""

    def refuse(*_arguments: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as the superuser, who may read everything
    with pytest.raises(CompareError, match=r"a.json can't be read"):
        _work_tree(project).read(["a.json"])
