"""git, asked through the one module that runs it; every repository here is a real one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from seatrial.errors import CompareError, UsageError
from seatrial.git import Repository
from tests.fakes.git_project import GitProject


@pytest.fixture
def project(tmp_path: Path) -> GitProject:
    """A repository with no commit."""
    return GitProject.create(tmp_path / "project")


def _history(project: GitProject, count: int) -> list[str]:
    return [project.commit({"n.txt": str(number)}, f"change {number}") for number in range(count)]


def _clone(origin: GitProject, place: Path, *options: str) -> GitProject:
    url = origin.root.as_uri()
    subprocess.run(["git", "clone", "--quiet", *options, url, str(place)], check=True, capture_output=True)
    return GitProject(place)


def test_discover_finds_the_root_from_below(project: GitProject) -> None:
    """A repository is found from any directory and file inside it."""
    project.write({"deep/below/file.txt": ""})
    assert Repository.discover(project.root / "deep" / "below").root == project.root.resolve()
    assert Repository.discover(project.root / "deep" / "below" / "file.txt").root == project.root.resolve()


def test_discover_says_that_there_is_no_repository(tmp_path: Path) -> None:
    """Outside of git the error names the directory and says what to do."""
    with pytest.raises(UsageError, match="not inside a git repository") as caught:
        Repository.discover(tmp_path)
    assert "git init" in caught.value.hint


def test_discover_refuses_a_bare_repository(tmp_path: Path) -> None:
    """A repository without files to compare is told from none."""
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "bare")], check=True)
    with pytest.raises(UsageError, match="has no work tree"):
        Repository.discover(tmp_path / "bare")


def test_discover_explains_dubious_ownership(project: GitProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where git distrusts the owner of a directory, the hint is the command that trusts it."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UsageError, match="belongs to another user") as caught:
        Repository.discover(project.root)
    assert f"safe.directory {project.root.resolve()}" in caught.value.hint


def test_a_machine_without_git_is_told_so(project: GitProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent git is a usage error, not a traceback."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageError, match="git is not installed"):
        Repository.discover(project.root)


def test_foreign_git_variables_do_not_move_the_repository(
    project: GitProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook's GIT_DIR does not make another repository of the one that the path names."""
    sha = project.commit({"a.txt": "1"})
    GitProject.create(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    assert Repository.discover(project.root).head_sha() == sha


@pytest.mark.parametrize("tag", ["v1.0", "model#1", "a=b", "who@where", "release/2026", "größe"])
def test_resolve_takes_names_that_tags_really_have(project: GitProject, tag: str) -> None:
    """Every name that git allows is understood, odd characters included."""
    sha = project.commit({"a.txt": "1"})
    project.git("tag", "--annotate", "--message=m", tag)
    assert project.repository.resolve(tag) == sha
    assert project.repository.resolve(sha[:8]) == sha


@pytest.mark.parametrize("revision", ["--help", "-q", "", "--upload-pack=touch x", "a\0b"])
def test_resolve_never_reads_a_revision_as_an_option(project: GitProject, revision: str) -> None:
    """A branch name from a stranger can't become an option of git."""
    project.commit({"a.txt": "1"})
    with pytest.raises(UsageError, match="unknown revision"):
        project.repository.resolve(revision)


def test_resolve_suggests_near_names(project: GitProject) -> None:
    """A misspelt branch is answered with the right one."""
    project.commit({"a.txt": "1"})
    project.git("branch", "feature/learning-rate")
    with pytest.raises(UsageError, match="unknown revision 'feature/lerning-rate'") as caught:
        project.repository.resolve("feature/lerning-rate")
    assert "did you mean feature/learning-rate?" in caught.value.hint


def test_resolve_finds_a_branch_that_only_the_remote_has(project: GitProject, tmp_path: Path) -> None:
    """`main` means `origin/main` in a CI clone that has no local one."""
    project.commit({"a.txt": "1"})
    project.git("branch", "release/1")
    clone = _clone(project, tmp_path / "clone")
    clone.git("checkout", "--quiet", "--detach")
    clone.git("branch", "--delete", "--force", "main")
    assert clone.repository.resolve("main") == project.git("rev-parse", "main")
    assert clone.repository.resolve("release/1") == project.git("rev-parse", "main")
    with pytest.raises(UsageError, match="unknown revision '1'"):
        clone.repository.resolve("1")


def test_a_repository_without_commits_says_so(project: GitProject) -> None:
    """There is no HEAD before the first commit."""
    with pytest.raises(UsageError, match="no commit yet"):
        project.repository.head_sha()
    with pytest.raises(UsageError, match="no commit yet"):
        project.repository.resolve("HEAD")


def test_a_fetch_is_proposed_only_where_there_is_a_remote(project: GitProject, tmp_path: Path) -> None:
    """Nobody is sent to a remote that does not exist."""
    project.commit({"a.txt": "1"})
    clone = _clone(project, tmp_path / "clone")
    for repository, hint in ((project.repository, "git branch and git tag"), (clone.repository, "git fetch origin")):
        with pytest.raises(UsageError, match="unknown revision 'quux'") as caught:
            repository.resolve("quux")
        assert hint in caught.value.hint


def test_merge_base_and_parents_are_those_of_a_merge(project: GitProject) -> None:
    """Where two branches parted, and which commits a merge joins, first the one merged into."""
    base = project.commit({"a.txt": "1"})
    project.git("checkout", "--quiet", "-b", "side")
    side = project.commit({"b.txt": "1"})
    project.git("checkout", "--quiet", "main")
    main = project.commit({"c.txt": "1"})
    project.git("merge", "--quiet", "--no-ff", "--message=merge", "side")
    repository = project.repository
    assert repository.merge_base(side, main) == base
    assert repository.parents(repository.head_sha()) == (main, side)
    assert repository.first_parent(repository.head_sha()) == main
    assert repository.count_between(base, repository.head_sha()) == 3
    assert repository.first_parent(base) is None


def test_unrelated_histories_have_no_merge_base(project: GitProject) -> None:
    """Two first commits share nothing, and that is an answer, not an error."""
    first = project.commit({"a.txt": "1"})
    project.git("checkout", "--quiet", "--orphan", "other")
    second = project.commit({"b.txt": "1"})
    assert project.repository.merge_base(first, second) is None
    assert project.repository.find_merge_base(first, second) is None


def test_default_branch_is_what_the_remote_calls_it(project: GitProject, tmp_path: Path) -> None:
    """origin/HEAD decides before any name is guessed; without it a local main counts."""
    project.commit({"a.txt": "1"})
    project.git("branch", "--move", "trunk")
    clone = _clone(project, tmp_path / "clone")
    assert clone.repository.default_branch() == "origin/trunk"
    assert project.repository.default_branch() is None
    project.git("branch", "main")
    assert project.repository.default_branch() == "main"
    clone.git("remote", "set-head", "origin", "--delete")
    assert clone.repository.default_branch() is None


def test_branch_name_is_none_when_detached(project: GitProject) -> None:
    """CI checks out commits, not branches."""
    project.commit({"a.txt": "1"})
    assert project.repository.branch_name() == "main"
    project.git("checkout", "--quiet", "--detach")
    assert project.repository.branch_name() is None


def test_a_shallow_clone_knows_its_parent_by_name_and_fetches_it(project: GitProject, tmp_path: Path) -> None:
    """The parent of a commit cloned with depth 1 is read from the commit, and then brought here."""
    history = _history(project, 4)
    clone = _clone(project, tmp_path / "clone", "--depth=1")
    repository = clone.repository
    assert repository.is_shallow()
    assert repository.first_parent(history[-1]) == history[-2]
    assert not repository.contains(history[-2])
    assert repository.ensure_commit(history[-2]) == history[-2]
    assert repository.list_tree(history[-2]).keys() == {"n.txt"}


def test_deepening_finds_a_merge_base_far_back(project: GitProject, tmp_path: Path) -> None:
    """A shallow clone is deepened until both histories meet, further than the first step reaches."""
    base = project.commit({"a.txt": "0"})
    _history(project, 120)
    project.git("checkout", "--quiet", "-b", "side", base)
    project.commit({"b.txt": "1"})
    clone = _clone(project, tmp_path / "clone", "--depth=1", "--no-single-branch")
    repository = clone.repository
    first, second = repository.resolve("origin/main"), repository.resolve("origin/side")
    assert repository.merge_base(first, second) is None
    assert repository.find_merge_base(first, second) == base


def test_deepening_reaches_commits_that_no_branch_holds(project: GitProject, tmp_path: Path) -> None:
    """The merge commit of a pull request is on no branch, and its history is fetched all the same."""
    history = _history(project, 3)
    clone = GitProject.create(tmp_path / "clone")
    clone.git("remote", "add", "origin", project.root.as_uri())
    clone.git("fetch", "--quiet", "--depth=1", "origin", "main:refs/remotes/pull/1/merge")
    clone.git("checkout", "--quiet", "refs/remotes/pull/1/merge")
    found = clone.repository.deepen_until(
        lambda: history[0] if clone.repository.contains(history[0]) else None,
        wanted="the first commit",
        commits=(history[-1],),
    )
    assert found == history[0]


def test_deepening_without_a_remote_names_the_command(project: GitProject, tmp_path: Path) -> None:
    """Where history can't be fetched, the error says the exact command and CI's spelling of it."""
    history = _history(project, 3)
    clone = _clone(project, tmp_path / "clone", "--depth=1")
    clone.git("remote", "remove", "origin")
    with pytest.raises(CompareError, match="shallow") as caught:
        clone.repository.find_merge_base(history[0], history[-1])
    assert "git fetch --unshallow" in caught.value.hint
    assert "fetch-depth: 0" in caught.value.hint


def test_deepening_with_a_dead_remote_says_what_git_said(project: GitProject, tmp_path: Path) -> None:
    """A remote that can't be reached is the reason that is given."""
    history = _history(project, 3)
    clone = _clone(project, tmp_path / "clone", "--depth=1")
    clone.git("remote", "set-url", "origin", (tmp_path / "gone").as_uri())
    with pytest.raises(CompareError, match=r"does not appear to be a git repository|gone"):
        clone.repository.find_merge_base(history[0], history[-1])


def test_ensure_commit_never_makes_a_complete_clone_shallow(project: GitProject, tmp_path: Path) -> None:
    """Looking for a commit that exists nowhere fails, and leaves the history as it was."""
    _history(project, 3)
    clone = _clone(project, tmp_path / "clone")
    with pytest.raises(CompareError, match="no remote gives it"):
        clone.repository.ensure_commit("1" * 40)
    assert not clone.repository.is_shallow()


def test_list_tree_takes_any_file_name_and_no_links(project: GitProject) -> None:
    """Tabs, newlines, quotes and umlauts in names survive; symbolic links and submodules are left out."""
    names = ["plain.json", "with space.json", "tab\there.json", "new\nline.json", 'quote".json', "größe/ü.json"]
    (project.root / "link.json").symlink_to("plain.json")
    sha = project.commit({**dict.fromkeys(names, "{}"), "link.json.txt": ""})
    project.git("add", "link.json")
    sha = project.commit({})
    assert set(project.repository.list_tree(sha)) == {*names, "link.json.txt"}


def test_list_files_are_those_git_tracks_or_would_track(project: GitProject) -> None:
    """New files count before they are added; ignored ones don't."""
    project.commit({"tracked.txt": "", ".gitignore": "ignored.txt\n"})
    project.write({"new.txt": "", "ignored.txt": ""})
    assert set(project.repository.list_files()) == {"tracked.txt", ".gitignore", "new.txt"}


def test_read_blobs_holds_any_content_and_any_amount(project: GitProject) -> None:
    """Binary content, empty files and more than a pipe holds come back whole; what is not there is absent."""
    files: dict[str, str | bytes | None] = {f"{number}.bin": os.urandom(2000) for number in range(300)}
    files |= {"empty": b"", "newlines": b"\n\n\n", "large": b"x" * 3_000_000}
    tree = project.repository.list_tree(project.commit(files))
    blobs = project.repository.read_blobs([*tree.values(), "1" * 40, tree["empty"]])
    assert {path: blobs[oid] for path, oid in tree.items()} == files
    assert "1" * 40 not in blobs


def test_read_blobs_does_not_wait_for_itself(project: GitProject) -> None:
    """A hundred thousand questions, more than both pipes hold, are answered."""
    tree = project.repository.list_tree(project.commit({"a": "x" * 100}))
    absent = [f"{number:040x}" for number in range(100_000)]
    assert project.repository.read_blobs([*absent, tree["a"]]) == {tree["a"]: b"x" * 100}


def test_read_blobs_does_not_hold_what_is_too_long(project: GitProject) -> None:
    """Zeros, one more than the limit, stand for a blob beyond it, and the next one is still read right."""
    tree = project.repository.list_tree(project.commit({"long": "x" * 5000, "short": "y"}))
    blobs = project.repository.read_blobs(tree.values(), limit=10)
    assert blobs == {tree["long"]: bytes(11), tree["short"]: b"y"}


@pytest.mark.parametrize("limit", [0, 2, 3, 2999, 3003, 2_000_000, 3_000_000])
def test_stream_blobs_hands_over_what_fits(project: GitProject, limit: int) -> None:
    """Each content comes whole or not at all, whichever comes first, and the next question is still answered."""
    contents = {"a": "", "b": "x" * 1_500_000, "c": "y" * 2999, "d": "zzz"}
    tree = project.repository.list_tree(project.commit(contents))
    taken: dict[str, bytes] = {}

    def take(oid: str, block: bytes) -> None:
        taken[oid] = taken.get(oid, b"") + block

    left = project.repository.stream_blobs([*tree.values(), "0" * 40], take, limit=limit)
    fitting = {
        name
        for name in contents
        if sum(len(text) for text in contents.values() if len(text) <= len(contents[name])) <= limit
    }
    assert {name for name, oid in tree.items() if oid in taken} == fitting
    assert left == {oid for name, oid in tree.items() if name not in fitting}
    assert all(taken[tree[name]] == contents[name].encode() for name in fitting)
    assert project.repository.read_blobs([tree["d"]]) == {tree["d"]: b"zzz"}


def test_a_corrupt_object_is_absent_and_the_next_question_is_answered(project: GitProject) -> None:
    """A broken object ends git, which is started again for what is asked next."""
    tree = project.repository.list_tree(project.commit({"bad": "x" * 100, "good": "y"}))
    broken = project.root / ".git" / "objects" / tree["bad"][:2] / tree["bad"][2:]
    broken.chmod(0o644)
    broken.write_bytes(b"no object")
    assert project.repository.read_blobs([tree["bad"]]) == {}
    assert project.repository.read_blobs([tree["good"]]) == {tree["good"]: b"y"}


def test_new_commits_are_seen_at_once(project: GitProject) -> None:
    """What is committed or fetched after the first question is found by the second."""
    repository = Repository(project.root)
    first = project.commit({"a.txt": "1"})
    assert repository.resolve("main") == first
    second = project.commit({"a.txt": "2"})
    assert repository.resolve("main") == second
    project.git("gc", "--quiet")
    third = project.commit({"a.txt": "3"})
    assert repository.resolve("HEAD") == third
    assert repository.resolve("HEAD~2") == first


def test_a_partial_clone_fetches_what_it_reads(project: GitProject, tmp_path: Path) -> None:
    """In a clone without blobs the content comes from the remote when it is asked for."""
    project.git("config", "uploadpack.allowFilter", "true")
    sha = project.commit({"metrics.json": '{"auc": 1}'})
    clone = _clone(project, tmp_path / "clone", "--filter=blob:none", "--no-checkout")
    tree = clone.repository.list_tree(sha)
    assert clone.repository.read_blobs(tree.values()) == {tree["metrics.json"]: b'{"auc": 1}'}
