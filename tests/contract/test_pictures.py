"""Pictures that a forge hosts: kept once under a name made of their bytes, never forced, never by who may not."""

from __future__ import annotations

import hashlib
from urllib.parse import urljoin
from urllib.request import urlopen

import pytest

from seatrial.errors import DeliveryError
from seatrial.publish import Marker, Outcome, upsert_comment
from tests.contract.conftest import CHANGE, HEAD, ONLY_GITHUB, ONLY_GITLAB, TOKENS, Bench
from tests.fakes.server import Fault

BRANCH = "seatrial/pictures"
PICTURES = {
    f"{hashlib.sha256(content).hexdigest()}.png": content
    for content in (b"\x89PNG\r\n\x1a\n one\x00\xff--", b"\x89PNG\r\n\x1a\n two")
}
FIRST = dict(list(PICTURES.items())[:1])


def count(bench: Bench, method: str = "POST") -> int:
    return sum(request.method == method for request in bench.stand_in.requests)


def commits(bench: Bench) -> int:
    """How many commits were asked for, refused ones included."""
    return sum(b"createCommitOnBranch(" in request.body for request in bench.stand_in.requests)


@ONLY_GITLAB
def test_gitlab_takes_uploads(bench: Bench) -> None:
    """The address is the one that GitLab completes in Markdown, and leads to the very bytes."""
    addresses = bench.forge.host_pictures(PICTURES, branch=None)
    assert list(addresses) == list(PICTURES)
    for name, address in addresses.items():
        assert address.startswith("/uploads/")
        assert address.endswith(f"/{name}")
        assert urlopen(f"{bench.stand_in.web_url}/-/project/7{address}").read() == PICTURES[name]
    assert count(bench) == 2


@ONLY_GITLAB
@pytest.mark.parametrize(
    "body",
    [
        b'{"url": "https://elsewhere.example/uploads/00000000000000000000000000000000/x.png"}',
        b'{"url": "/uploads/../../x.png"}',
        b'{"url": "/uploads/00000000000000000000000000000000/other.png"}',
        b'{"id": 1}',
        b"[]",
    ],
)
def test_an_address_that_is_none_of_an_upload_is_not_believed(bench: Bench, body: bytes) -> None:
    """What a proxy answers in GitLab's place does not come into a comment."""
    bench.stand_in.fail(Fault(method="POST", path="/uploads$", status=201, body=body))
    with pytest.raises(DeliveryError, match="can't be read"):
        bench.forge.host_pictures(FIRST, branch=None)
    bench.stand_in.violations.clear()


@ONLY_GITHUB
def test_github_keeps_all_new_pictures_in_one_commit(bench: Bench) -> None:
    """Two requests, one commit on top of the branch, addresses that show the very bytes."""
    bench.stand_in.open_branch(BRANCH)
    addresses = bench.forge.host_pictures(PICTURES, branch=BRANCH)
    for name, address in addresses.items():
        assert address == f"{bench.stand_in.web_url}/octo/flights/blob/{BRANCH}/{name}?raw=true"
        assert urlopen(urljoin(bench.stand_in.web_url, address)).read() == PICTURES[name]
    assert (count(bench), commits(bench)) == (2, 1)


@ONLY_GITHUB
def test_a_picture_that_is_there_is_not_written_again(bench: Bench) -> None:
    """The same addresses come of one request, and only what is new makes a commit."""
    bench.stand_in.open_branch(BRANCH)
    first = bench.forge.host_pictures(FIRST, branch=BRANCH)
    assert bench.forge.host_pictures(FIRST, branch=BRANCH) == first
    assert commits(bench) == 1
    assert first.items() <= bench.forge.host_pictures(PICTURES, branch=BRANCH).items()
    assert commits(bench) == 2
    sent = next(r for r in reversed(bench.stand_in.requests) if b"createCommitOnBranch(" in r.body)
    (added,) = sent.json()["variables"]["input"]["fileChanges"]["additions"]
    assert added["path"] not in FIRST


@ONLY_GITHUB
@pytest.mark.parametrize("same", [True, False])
def test_a_job_that_was_overtaken_looks_again(bench: Bench, same: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another commit since the look is no failure: what it did not bring is put on top of it, never in its place."""
    bench.stand_in.open_branch(BRANCH)
    commit = bench.stand_in._commit
    raced: list[bool] = []

    def race(identity: object, given: dict[str, object]) -> dict[str, object]:
        if not raced:
            raced.append(True)
            changes = given["fileChanges"] if same else {"additions": [{"path": "other.png", "contents": "AAAA"}]}
            commit(identity, given | {"fileChanges": changes})
        return dict(commit(identity, given))

    monkeypatch.setattr(bench.stand_in, "_commit", race)
    addresses = bench.forge.host_pictures(PICTURES, branch=BRANCH)
    assert all(urlopen(address).read() == PICTURES[name] for name, address in addresses.items())
    assert commits(bench) == (1 if same else 2)
    assert (f"{BRANCH}/other.png" in bench.stand_in.records.files) is not same


@ONLY_GITHUB
def test_a_branch_that_never_rests_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the second time it is said, and nothing is forced."""
    bench.stand_in.open_branch(BRANCH)
    commit = bench.stand_in._commit

    def race(identity: object, given: dict[str, object]) -> dict[str, object]:
        bench.stand_in.open_branch(BRANCH)
        return dict(commit(identity, given))

    monkeypatch.setattr(bench.stand_in, "_commit", race)
    with pytest.raises(DeliveryError, match="Pull and try again"):
        bench.forge.host_pictures(PICTURES, branch=BRANCH)
    assert (commits(bench), bench.stand_in.records.files) == (2, {})


@ONLY_GITHUB
def test_a_commit_whose_answer_was_lost_is_not_made_twice(bench: Bench) -> None:
    """It is looked for first."""
    bench.stand_in.open_branch(BRANCH)
    bench.stand_in.fail(Fault(method="POST", path="/graphql$", how="reset", carried_out=True, skip=1))
    assert len(bench.forge.host_pictures(PICTURES, branch=BRANCH)) == 2
    assert commits(bench) == 1


@ONLY_GITHUB
def test_a_branch_that_is_not_there_is_not_made_by_a_job(bench: Bench) -> None:
    """A misspelt name leaves no branch behind; the hint makes one that has nothing of the project in it."""
    with pytest.raises(DeliveryError, match="has no branch seatrial/pictures") as caught:
        bench.forge.host_pictures(PICTURES, branch=BRANCH)
    assert f"git switch --orphan {BRANCH}" in caught.value.hint
    assert commits(bench) == 0


@ONLY_GITHUB
def test_a_missing_permission_is_named(bench: Bench) -> None:
    """GitHub says no with status 200; what it says becomes the line to add."""
    bench.stand_in.open_branch(BRANCH)
    with pytest.raises(DeliveryError, match="403") as caught:
        bench.opened(token=TOKENS["reader"]).host_pictures(PICTURES, branch=BRANCH)
    assert "contents: write" in caught.value.hint
    assert bench.stand_in.records.files == {}


@ONLY_GITHUB
@pytest.mark.parametrize("body", [b"{}", b'{"data": null}', b'{"data": {"repository": null}}', b'{"errors": 1}', b"[]"])
def test_an_answer_that_is_none_is_told_as_such(bench: Bench, body: bytes) -> None:
    """It ends as every other delivery that failed."""
    bench.stand_in.fail(Fault(method="POST", path="/graphql$", status=200, body=body))
    with pytest.raises(DeliveryError, match="can't be read"):
        bench.forge.host_pictures(PICTURES, branch=BRANCH)


def test_what_a_forge_does_not_host_it_says(bench: Bench) -> None:
    """No branch named, or a forge with no place for pictures: an error with a hint, and no request."""
    if bench.kind == "gitlab":
        with pytest.raises(DeliveryError) as caught:
            bench.opened(token=TOKENS["reader"]).host_pictures(FIRST, branch=None)
        assert "scope `api`" in caught.value.hint
        return
    with pytest.raises(DeliveryError, match="hosts no pictures") as caught:
        bench.forge.host_pictures(PICTURES, branch=None)
    assert caught.value.hint
    assert bench.stand_in.requests == []


def test_a_body_is_made_of_what_the_comment_says_now(bench: Bench) -> None:
    """So addresses that only our own comment knows are kept; a stranger's comment is never looked at for them."""
    seen: list[str] = []

    def make(before: str) -> str:
        seen.append(before)
        return f"report {len(seen)}"

    bench.stand_in.comment(CHANGE, "/uploads/stranger", author="octocat")
    for run in ("1.1", "2.1"):
        upsert_comment(bench.forge, CHANGE, make, Marker(key="default", head=HEAD, run=run))
    assert seen[0] == ""
    assert seen[1].endswith("\nreport 1")
    assert bench.bodies() == ["/uploads/stranger", "report 2"]


def test_nothing_is_made_where_nothing_is_posted(bench: Bench) -> None:
    """A comment that is not wanted yet has no pictures hosted for it."""
    marker = Marker(key="default", head=HEAD, run="1.1")

    def make(before: str) -> str:
        raise AssertionError(before)

    assert upsert_comment(bench.forge, CHANGE, make, marker, create=False).outcome is Outcome.NOT_NEEDED
