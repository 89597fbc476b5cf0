"""The target `huggingface` under the conformance suite: the official client against a stand-in of the Hub."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub import constants as hub_constants

from seatrial.core.deployment import Outcome
from seatrial.core.release import MANIFEST, SIGNATURE
from seatrial.deploy import open_target
from seatrial.deploy.conformance import NumberProver, TargetConformance, TargetSurvival, build_release, plan_number
from seatrial.deploy.engine import Deployment, apply, plan_rollback
from seatrial.deploy.packing import hold_content
from seatrial.errors import BlockedError, ReleaseError, UsageError
from tests.conformance.hubs import name_repo, open_hub
from tests.fakes.hub import READER, WRITER, Commit, HubStandIn, Repository
from tests.fakes.server import Fault

OPENER = "tests.conformance.hubs:open_hub"


@pytest.fixture(autouse=True)
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    """A stand-in that every process finds by the environment, as it would find a mirror."""
    with HubStandIn() as served:
        given = {"HF_ENDPOINT": served.web_url, "HF_TOKEN": WRITER, "HF_HUB_DISABLE_XET": "1"}
        for name, value in {**given, "HF_HOME": str(tmp_path_factory.mktemp("home"))}.items():
            monkeypatch.setenv(name, value)
        # The client reads the environment once, when it is imported.
        monkeypatch.setattr(hub_constants, "ENDPOINT", served.web_url)
        monkeypatch.setattr(hub_constants, "HF_HUB_DISABLE_XET", True)
        yield served


class TestHuggingFace(TargetConformance):
    """What it does."""

    opener = OPENER


@pytest.mark.slow
class TestHuggingFaceSurvives(TargetSurvival):
    """What it survives: kill -9 at every third boundary, which is before a change and after one by turns; a race."""

    opener = OPENER
    step = 3
    races = 1
    # The journal is that of the store, whose own suite asks this.
    test_killed_recovery_is_picked_up = None  # type: ignore[assignment]


def deploy(place: Path, number: str, **given: Any) -> Deployment:
    """Deploy a model that answers with a number."""
    target = open_hub(str(place / "root"), "conformance")
    return apply(plan_number(target, place / "source", number), target=target, prover=NumberProver(), **given)


def find(hub: HubStandIn, place: Path) -> Repository:
    """The repository of a test."""
    return hub.repositories[name_repo(str(place / "root"))]


def list_titles(repository: Repository) -> list[str]:
    """The titles of the commits of main, the newest first."""
    titles, commit = [], repository.branches["main"]
    while commit:
        titles.append(repository.commits[commit].title)
        commit = repository.commits[commit].parent
    return titles


def get_head(repository: Repository) -> Commit:
    """The commit that main names."""
    return repository.commits[repository.branches["main"]]


def put(place: Path, path: str, content: bytes) -> None:
    """Let somebody else commit a file."""
    operation = CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)
    HfApi().create_commit(name_repo(str(place / "root")), [operation], commit_message="by hand")


def test_each_version_is_one_commit_with_a_tag(tmp_path: Path, hub: HubStandIn) -> None:
    """Title and tag name version and digest; going back is one commit more, and the tags stay where they were."""
    first, second = deploy(tmp_path, "1"), deploy(tmp_path, "2")
    assert (first.outcome, second.outcome) == (Outcome.LIVE, Outcome.LIVE)
    repository = find(hub, tmp_path)
    digests = [done.release.digest for done in (first, second)]
    titles = [f"conformance {number} ({digest[:19]})" for number, digest in zip("12", digests, strict=True)]
    assert list_titles(repository) == [titles[1], titles[0], "initial commit"]
    tags = dict(repository.tags)
    assert [digest in tags[f"v{number}"][1] for number, digest in zip("12", digests, strict=True)] == [True, True]
    target = open_hub(str(tmp_path / "root"), "conformance")
    assert apply(plan_rollback(target, None), target=target, prover=NumberProver()).outcome is Outcome.LIVE
    assert list_titles(repository)[0] == titles[0]
    assert (repository.tags, get_head(repository).files["model.txt"].content) == (tags, b"1")


def test_large_files_are_there_before_and_are_sent_once(tmp_path: Path, hub: HubStandIn) -> None:
    """A staged version has changed no branch, though its bytes are there; nothing is uploaded twice."""
    deploy(tmp_path, "1")
    repository = find(hub, tmp_path)
    before = repository.branches["main"]
    target = open_hub(str(tmp_path / "root"), "conformance")
    plan = plan_number(target, tmp_path / "source", "2")
    with target.lock():
        target.stage(plan.release, plan.sources)
        target.stage(plan.release, plan.sources)
        assert (repository.branches["main"], b"2" in repository.large.values()) == (before, True)
        target.promote("2")
    assert get_head(repository).files["model.txt"].large
    assert len(hub.sent("PUT")) == 2


def test_signature_goes_along_and_away(tmp_path: Path, hub: HubStandIn) -> None:
    """A signature beside the manifest is committed with it, a changed one again, and deleted where there is none."""
    target = open_hub(str(tmp_path / "root"), "conformance")
    repository = find(hub, tmp_path)
    with target.lock():
        for version, signature in (("1", b"first"), ("2", b"other"), ("3", None)):
            release, sources = build_release(tmp_path / "source", version, version)
            beside = (hold_content(SIGNATURE, signature),) if signature else ()
            target.stage(release, (*sources, *beside))
            target.promote(version)
            found = get_head(repository).files.get(SIGNATURE)
            assert (found.content if found else None) == signature
        count = len(repository.commits)
        target.promote("3")
        assert len(repository.commits) == count


def test_files_of_others_stay(tmp_path: Path, hub: HubStandIn) -> None:
    """Only what the manifest of the version before lists is deleted, also when nothing is to be live."""
    deploy(tmp_path, "1")
    put(tmp_path, "images/plot.png", b"picture")
    assert deploy(tmp_path, "2").outcome is Outcome.LIVE
    repository = find(hub, tmp_path)
    assert set(get_head(repository).files) == {
        ".gitattributes", "golden.json", "images/plot.png", "model.txt", MANIFEST
    }  # fmt: skip
    target = open_hub(str(tmp_path / "root"), "conformance")
    with target.lock():
        target.withdraw()
    assert set(get_head(repository).files) == {".gitattributes", "images/plot.png"}
    assert target.observe().live is None


@pytest.mark.parametrize(("path", "content"), [("model.txt", b"7"), ("golden.json", b'"7"')])
def test_file_that_somebody_changed_is_seen_and_mended(
    tmp_path: Path, hub: HubStandIn, path: str, content: bytes
) -> None:
    """A large file and a small one are held against the manifest; the same model deployed again is live."""
    deploy(tmp_path, "1")
    put(tmp_path, path, content)
    live = open_hub(str(tmp_path / "root"), "conformance").observe().live
    assert live is not None
    assert f"{path}: altered" in live.problem
    assert deploy(tmp_path, "1").outcome is Outcome.LIVE
    live = open_hub(str(tmp_path / "root"), "conformance").observe().live
    assert live is not None
    assert (live.version, live.problem) == ("1", "")
    hub.page = 2  # a tree that comes in pages is the same tree
    assert open_hub(str(tmp_path / "root"), "conformance").observe().live == live


def test_deployer_with_another_store_is_found_out(tmp_path: Path, hub: HubStandIn) -> None:
    """What somebody else has made live since the lock was taken is not overwritten."""
    for number in "12":
        deploy(tmp_path, number)
    shutil.copytree(tmp_path / "root", tmp_path / "theirs", symlinks=True)
    target = open_hub(str(tmp_path / "root"), "conformance")
    plan = plan_number(target, tmp_path / "source", "3")
    with target.lock():
        target.stage(plan.release, plan.sources)
        other = open_hub(str(tmp_path / "theirs"), "conformance")
        assert apply(plan_rollback(other, None), target=other, prover=NumberProver()).outcome is Outcome.LIVE
        with pytest.raises(BlockedError, match="somebody else deployed there meanwhile: version 1 is live"):
            target.promote("3")
    assert get_head(find(hub, tmp_path)).files["model.txt"].content == b"1"


def test_version_that_is_tagged_is_of_one_release(tmp_path: Path, hub: HubStandIn) -> None:
    """A store that begins at 1 again can't give the number to another release: nothing is changed there."""
    deploy(tmp_path, "1")
    (tmp_path / "theirs").mkdir()
    shutil.copy(tmp_path / "root/huggingface.yaml", tmp_path / "theirs")
    other = open_hub(str(tmp_path / "theirs"), "conformance")
    plan = plan_number(other, tmp_path / "source", "9")
    before = find(hub, tmp_path).branches["main"]
    with other.lock(), pytest.raises(BlockedError, match="the tag v1 is there, and of another release"):
        other.stage(plan.release, plan.sources)
    assert find(hub, tmp_path).branches["main"] == before


def test_commit_in_between_is_refused(tmp_path: Path, hub: HubStandIn) -> None:
    """A commit on a head that is no longer the branch's is refused by the Hub: undone, with what to do."""
    deploy(tmp_path, "1")
    hub.fail(Fault(method="POST", path="/commit/main$", status=412, body=b'{"error": "A commit has happened since."}'))
    failed = deploy(tmp_path, "2")
    assert (failed.outcome, failed.outcome.exit_code) == (Outcome.REFUSED, 1)
    assert "was changed at this very moment: 412" in failed.reason
    assert get_head(find(hub, tmp_path)).files["model.txt"].content == b"1"
    stale = CommitOperationAdd(path_in_repo="a", path_or_fileobj=b"a")
    with pytest.raises(OSError, match="412"):
        HfApi().create_commit(name_repo(str(tmp_path / "root")), [stale], commit_message="a", parent_commit="0" * 40)


def test_commit_whose_answer_is_lost_is_undone(tmp_path: Path, hub: HubStandIn) -> None:
    """The branch is turned back to what was live, by one commit more, and its tag is left out."""
    deploy(tmp_path, "1")
    hub.fail(Fault(method="POST", path="/commit/main$", how="reset", carried_out=True))
    failed = deploy(tmp_path, "2")
    assert failed.outcome.exit_code == 1
    assert "does not answer" in failed.reason
    repository = find(hub, tmp_path)
    assert (get_head(repository).files["model.txt"].content, set(repository.tags)) == (b"1", {"v1"})


def test_tag_that_a_killed_deployer_owes_is_made_by_the_next(tmp_path: Path, hub: HubStandIn) -> None:
    """Killed between the commit and its tag, the next command makes the tag."""
    deploy(tmp_path, "1")
    repository = find(hub, tmp_path)
    tags = dict(repository.tags)
    repository.tags.clear()
    with open_hub(str(tmp_path / "root"), "conformance").lock():
        assert repository.tags == tags


def test_file_that_the_hub_ignores_fails_the_deployment(tmp_path: Path, hub: HubStandIn) -> None:
    """A .gitignore there that names a file of the release is told, and nothing is live that is not whole."""
    deploy(tmp_path, "1")
    put(tmp_path, ".gitignore", b"golden.json\n")
    failed = deploy(tmp_path, "2")
    assert failed.outcome.exit_code != 0
    assert "golden.json: altered" in failed.reason


@pytest.mark.parametrize(
    ("status", "told"),
    [(401, "does not reach it"), (403, "may not write"), (404, "is not on"), (429, "no more requests"), (503, "fails")],
)
def test_what_the_hub_says_no_with_is_one_error(tmp_path: Path, hub: HubStandIn, status: int, told: str) -> None:
    """Each refusal is one error that names the status; the token is in none of them."""
    target = open_hub(str(tmp_path / "root"), "conformance")
    hub.fail(Fault(method="GET", path="/refs$", status=status))
    with pytest.raises(ReleaseError, match=told) as caught:
        target.observe()
    assert str(status) in caught.value.message
    assert WRITER not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("how", ["reset", "stall", "garbage"])
def test_hub_that_does_not_answer_is_one_error(tmp_path: Path, hub: HubStandIn, how: Any) -> None:
    """A broken connection, silence and an answer that is none are told; silence ends after `seconds`."""
    open_hub(str(tmp_path / "root"), "conformance")
    (tmp_path / "root/huggingface.yaml").write_text(f"repo: {name_repo(str(tmp_path / 'root'))}\nseconds: 0.3\n")
    hub.fail(Fault(method="GET", path="/refs$", how=how, seconds=5.0))
    with pytest.raises(ReleaseError):
        open_hub(str(tmp_path / "root"), "conformance").observe()


@pytest.mark.parametrize(("token", "told"), [(READER, "403"), ("", "401"), ("hf_unknown", "401")])
def test_token_that_may_not_write_changes_nothing(
    tmp_path: Path, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch, token: str, told: str
) -> None:
    """Staging fails with what the token lacks, and the branch is as it was."""
    open_hub(str(tmp_path / "root"), "conformance")
    monkeypatch.setenv("HF_TOKEN", token)
    said = []
    try:
        said.append(deploy(tmp_path, "1").reason)
    except ReleaseError as error:
        said.append(error.message)
    assert told in said[0]
    assert list_titles(find(hub, tmp_path)) == ["initial commit"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "huggingface.yaml is not there"),
        ("repository: a/b\n", "huggingface.yaml"),
        ("repo: champion\n", "`repo` is 'champion'"),
        ("repo: a/b\nbranch: ''\n", "`branch` is empty"),
        ("repo: a/b\nseconds: 0\n", "`seconds` is 0"),
        ("repo: a/b\nendpoint: http://hub.example.org\n", "`endpoint`"),
        ("repo: a/b\nendpoint: https://me:secret@hub.example.org\n", "`endpoint`"),
    ],
)
def test_settings_are_checked(tmp_path: Path, text: str | None, told: str) -> None:
    """What is missing, misspelt or unsafe is a usage error that names file and key."""
    if text is not None:
        (tmp_path / "huggingface.yaml").write_text(text)
    with pytest.raises(UsageError, match=told) as caught:
        open_target("huggingface", str(tmp_path), "m").observe()
    assert caught.value.hint
    assert "secret" not in caught.value.message


def test_client_that_is_not_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that brings it is named."""
    target = open_hub(str(tmp_path / "root"), "conformance")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", None)
    with pytest.raises(UsageError, match="needs huggingface_hub") as caught:
        target.observe()
    assert "seatrial[huggingface]" in caught.value.hint


def test_branch_or_model_of_another_name_is_told(tmp_path: Path, hub: HubStandIn) -> None:
    """A branch that is not there, a repository that holds another model, and a manifest that is none are errors."""
    deploy(tmp_path, "1")
    repo = name_repo(str(tmp_path / "root"))
    with pytest.raises(UsageError, match="has no branch production"):
        open_target("huggingface", str(tmp_path), "conformance", {"repo": repo, "branch": "production"}).observe()
    with pytest.raises(ReleaseError, match="is of the model conformance"):
        open_target("huggingface", str(tmp_path), "other", {"repo": repo}).observe()
    put(tmp_path, MANIFEST, b"{}")
    with pytest.raises(ReleaseError, match="not a release manifest"):
        open_target("huggingface", str(tmp_path), "conformance", {"repo": repo}).observe()


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("lfsFile", {"path": "a.onnx", "algo": "sha256", "oid": "0" * 64, "size": 3}, 400),
        ("file", {"path": "a.onnx", "encoding": "base64", "content": "YWJj"}, 400),
        ("file", {"path": "../a", "encoding": "base64", "content": "YWJj"}, 400),
        ("file", {"path": "README.md", "encoding": "base64", "content": "LS0tCmE6IFsKLS0tCg=="}, 400),
        ("deletedFile", {"path": "absent"}, 404),
        ("moved", {"path": "a"}, 400),
    ],
)
def test_stand_in_refuses_what_the_hub_refuses(
    tmp_path: Path, hub: HubStandIn, key: str, value: dict[str, Any], status: int
) -> None:
    """A large file without its bytes, one that is sent as a small one, a path that leads out, a card that is none."""
    open_hub(str(tmp_path / "root"), "conformance")
    lines = [{"key": "header", "value": {"summary": "a", "description": ""}}, {"key": key, "value": value}]
    answer = httpx.post(
        f"{hub.web_url}/api/models/{name_repo(str(tmp_path / 'root'))}/commit/main",
        content="\n".join(json.dumps(line) for line in lines),
        headers={"Content-Type": "application/x-ndjson", "Authorization": f"Bearer {WRITER}"},
    )
    assert answer.status_code == status, answer.text
    assert list_titles(find(hub, tmp_path)) == ["initial commit"]
