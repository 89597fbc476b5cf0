"""Where paths over symbolic links lead to, on disk and in a commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.core.metrics import State
from seatrial.core.revision import WORK_TREE, Revision
from seatrial.sources.links import MOST, LinkError, follow
from seatrial.sources.snapshot import read_snapshot, read_text
from seatrial.sources.tree import Tree, open_tree
from tests.fakes.git_project import GitProject

LINKS = {
    "file.json": "real/m.json",
    "sub": "real",
    "deep/up.json": "../real/m.json",
    "deep/dir": "../sub/inner",
    "chain.json": "file.json",
    "here": ".",
    "nowhere.json": "gone.json",
    "self.json": "self.json",
    "one": "two",
    "two": "one",
    "out.json": "../secret",
    "root": "/etc",
    "git": ".git",
}


@pytest.fixture
def project(tmp_path: Path) -> GitProject:
    """A commit of two files and many links, and a file beside the repository."""
    (tmp_path / "secret").write_text("secret")
    created = GitProject.create(tmp_path / "project")
    created.write({"real/m.json": '{"a": 1}', "real/inner/n.json": '{"b": 2}', "deep/own.json": '{"c": 3}'})
    for path, target in LINKS.items():
        (created.root / path).symlink_to(target)
    created.git("add", "--all")
    created.commit({})
    return created


def revision_of(project: GitProject, kind: str) -> Revision:
    return Revision(name=WORK_TREE, sha=None) if kind == "work tree" else project.revision("HEAD")


@pytest.fixture(params=["commit", "work tree"])
def kind(request: pytest.FixtureRequest) -> str:
    """Both trees have one answer."""
    return str(request.param)


@pytest.fixture
def tree(project: GitProject, kind: str) -> Tree:
    return open_tree(project.repository, revision_of(project, kind))


def test_links_are_named(tree: Tree) -> None:
    """A link is a path like a file's."""
    assert set(tree.paths()) == {"real/m.json", "real/inner/n.json", "deep/own.json", *LINKS}


def test_a_link_is_read_as_what_it_leads_to(tree: Tree) -> None:
    """Over files, directories and chains of them; what leads nowhere or out of here is not there."""
    one, two = b'{"a": 1}', b'{"b": 2}'
    asked = ["sub/m.json", "sub/inner/n.json", "deep/dir/n.json", "here/real/m.json", "git/config", "out.json"]
    assert tree.read([*asked, *LINKS]) == {
        "file.json": one,
        "chain.json": one,
        "deep/up.json": one,
        "sub/m.json": one,
        "sub/inner/n.json": two,
        "deep/dir/n.json": two,
        "here/real/m.json": one,
    }
    assert tree.fingerprint(["chain.json", "out.json"], limit=100).keys() == {"chain.json"}


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("sub", ("sub/inner/n.json", "sub/m.json")),
        ("deep", ("deep/own.json", "deep/up.json")),
        ("deep/dir", ("deep/dir/n.json",)),
        ("chain.json", ("chain.json",)),
        ("nowhere.json", ()),
        ("one", ()),
        ("root", ()),
        ("git", ()),
    ],
)
def test_a_directory_is_listed_by_the_name_that_was_asked_for(tree: Tree, path: str, files: tuple[str, ...]) -> None:
    """Links to files are in it, and those to directories are not gone into."""
    assert tree.expand(path) == files


def test_a_link_to_the_root_lists_what_is_there(tree: Tree) -> None:
    """It holds itself, and ends all the same."""
    listed = tree.expand("here")
    assert {"here/real/m.json", "here/chain.json"} <= set(listed)
    assert not [path for path in listed if path.startswith(("here/here", "here/sub/", "here/git/"))]


@pytest.mark.parametrize(
    ("path", "leads"),
    [("chain.json", "real/m.json"), ("deep/dir/n.json", "real/inner/n.json"), ("nowhere.json", "gone.json")],
)
def test_follow_tells_where_a_path_leads(tree: Tree, path: str, leads: str) -> None:
    """Whether something is there or not."""
    assert tree.follow(path) == leads


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("self.json", "in a circle"),
        ("one/x", "in a circle"),
        ("out.json", "out of the repository"),
        ("root/passwd", "out of the repository"),
        ("git/config", r"into \.git"),
    ],
)
def test_what_is_not_followed_has_a_reason(tree: Tree, path: str, reason: str) -> None:
    """A circle, and ways out of what is compared."""
    with pytest.raises(LinkError, match=reason):
        tree.follow(path)


def test_a_long_chain_ends() -> None:
    """As many links as Linux follows, and not one more."""
    links = {f"l{number}": f"l{number + 1}" for number in range(MOST + 1)}
    assert follow("l1", links.get) == f"l{MOST + 1}"
    with pytest.raises(LinkError, match="in a circle"):
        follow("l0", links.get)


def test_a_path_that_grows_with_every_link_ends() -> None:
    """Forty links that each name two more."""
    with pytest.raises(LinkError, match="in a circle"):
        follow("x", {"x": "x/x"}.get)
    assert follow("a/" * 100_000, dict[str, str]().get) == "a/" * 100_000


def test_an_absolute_link_within_the_work_tree_is_followed_on_disk(project: GitProject) -> None:
    """There it leads to a file of the project; a commit knows nothing of the disk."""
    (project.root / "absolute.json").symlink_to(project.root / "real" / "m.json")
    project.git("add", "absolute.json")
    project.commit({})
    on_disk = open_tree(project.repository, revision_of(project, "work tree"))
    assert on_disk.follow("absolute.json") == "real/m.json"
    with pytest.raises(LinkError, match="out of the repository"):
        open_tree(project.repository, project.revision("HEAD")).follow("absolute.json")


def test_metrics_params_and_dvc_files_are_read_over_links(project: GitProject, kind: str) -> None:
    """A linked dvc.yaml declares, and linked metrics and parameters hold their values, at any revision."""
    project.write({"shared/pipeline": "metrics: [file.json, sub/inner, out.json, one/x.json, nowhere.json]\n"})
    project.write({"shared/values.yaml": "rate: 1\n"})
    (project.root / "dvc.yaml").symlink_to("shared/pipeline")
    (project.root / "params.yaml").symlink_to("shared/values.yaml")
    project.git("add", "--all")
    project.commit({})
    snapshot = read_snapshot(project.repository, revision_of(project, kind))
    assert {file.path: dict(file.values) for file in (*snapshot.metrics, *snapshot.params) if not file.problem} == {
        "file.json": {("a",): 1},
        "sub/inner/n.json": {("b",): 2},
        "params.yaml": {("rate",): 1},
    }
    problems = {file.path: file.problem for file in snapshot.metrics if file.problem}
    assert {path: problem.state for path, problem in problems.items()} == {
        "out.json": State.UNREADABLE,
        "one/x.json": State.UNREADABLE,
        "nowhere.json": State.MISSING,
    }
    assert "leads by a symbolic link to gone.json, which is not there" in problems["nowhere.json"].message
    assert all(problem.hint for problem in problems.values())


@pytest.mark.parametrize(
    ("target", "reason"), [("dvc.yaml", "in a circle"), ("../x", "out of the"), ("gone", "gone, which is not there")]
)
def test_a_dvc_file_that_leads_nowhere_is_a_problem(project: GitProject, kind: str, target: str, reason: str) -> None:
    """It is not as if nothing were declared."""
    (project.root / "dvc.yaml").symlink_to(target)
    project.git("add", "--all")
    project.commit({})
    (problem,) = read_snapshot(project.repository, revision_of(project, kind)).problems
    assert problem.path == "dvc.yaml"
    assert reason in problem.message


def test_a_link_in_a_directory_of_metrics_is_not_passed_over(project: GitProject, kind: str) -> None:
    """One that leads out of here is told among the files that are read."""
    project.write({"dvc.yaml": "metrics: [all]\n", "all/a.json": '{"a": 1}'})
    (project.root / "all" / "b.json").symlink_to("../../secret")
    project.git("add", "--all")
    project.commit({})
    read, lost = read_snapshot(project.repository, revision_of(project, kind)).metrics
    assert read.values == {("a",): 1}
    assert lost.problem is not None
    assert "all/b.json: leads out of the repository" in lost.problem.message


def test_a_table_is_read_over_a_link(project: GitProject, kind: str) -> None:
    """What is read as text, such as predictions that git holds, too."""
    assert read_text(project.repository, revision_of(project, kind), "chain.json") == b'{"a": 1}'
    assert read_text(project.repository, revision_of(project, kind), "out.json") is None
