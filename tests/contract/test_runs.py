"""Workflow runs as GitHub describes them: read by their own facts, never by what a stranger may choose."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from seatrial.errors import CompareError
from seatrial.forges import ForgeAccess
from seatrial.forges.github_runs import GitHubRuns
from tests.fakes.contract import github_contract
from tests.fakes.github import GitHubStandIn
from tests.fakes.github_runs import Fork, Run, pack
from tests.fakes.records import TOKEN, Change
from tests.fakes.server import Fault

HEAD, TIP, POINT = "a" * 40, "b" * 40, "c" * 40
RUN = 50
CONTENT = pack({"report.json": b"{}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The client `runs` speaks to the stand-in `forge`, which knows one run of one fork's pull request."""

    forge: GitHubStandIn
    runs: GitHubRuns
    access: ForgeAccess

    def opened(self, **changes: Any) -> GitHubRuns:
        """The client, opened with other access."""
        return GitHubRuns(replace(self.access, **changes))


@pytest.fixture
def bench(caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    """Afterwards no traffic has broken the contract, and no token is in any log."""
    caplog.set_level(logging.DEBUG)
    with GitHubStandIn(changes=(Change(number=3, head_sha=HEAD),), contract=github_contract()) as forge:
        forge.forks[3] = Fork()
        forge.runs[RUN] = Run(id=RUN, head_sha=HEAD)
        forge.divergence["find"] = lambda branch, sha: (TIP, POINT)
        access = ForgeAccess(
            api_url=forge.api_url, web_url=forge.web_url, project=forge.repository, token=TOKEN, timeout=1
        )
        yield Bench(forge=forge, runs=GitHubRuns(access), access=access)
    assert TOKEN not in caplog.text


def test_a_run_is_read_whole(bench: Bench) -> None:
    """Event, workflow, commit and the repository that it came from."""
    bench.forge.runs[RUN].path = ".github/workflows/measure.yml@main"
    run = bench.runs.read_run(RUN)
    assert (run.event, run.workflow, run.head_sha) == ("pull_request", ".github/workflows/measure.yml", HEAD)
    assert run.head_repository is not None
    assert (run.head_repository.id, run.repository.full_name, run.order) == (2, "octo/flights", "50.1")


def test_a_pull_request_is_found_by_repository_branch_and_commit(bench: Bench) -> None:
    """All three: another fork's branch of the same name and commit is another pull request, an older head too."""
    bench.forge.records.changes[4] = Change(number=4, head_sha=HEAD)
    bench.forge.forks[4] = Fork(number=9)
    bench.forge.records.changes[5] = Change(number=5, head_sha=TIP)
    bench.forge.forks[5] = Fork()
    bench.forge.records.changes[6] = Change(number=6, head_sha=HEAD, head_ref="other")
    bench.forge.forks[6] = Fork()
    bench.forge.records.changes[7] = Change(number=7, head_sha=HEAD)
    assert [pull.number for pull in bench.runs.list_pulls(bench.runs.read_run(RUN))] == [3]


@pytest.mark.parametrize("branch", ["feature/a b", "ünïcode", "a&state=closed", "a#b", "%2e%2e", "x?y=z"])
def test_a_branch_of_any_name_is_found(bench: Bench, branch: str) -> None:
    """A name is a value of the query, never a part of its grammar."""
    bench.forge.records.changes[3].head_ref = bench.forge.runs[RUN].head_branch = branch
    assert [pull.number for pull in bench.runs.list_pulls(bench.runs.read_run(RUN))] == [3]


@pytest.mark.parametrize("branch", ["main", "release/1.0", "a..b", "ünï", "x?y"])
def test_two_commits_are_compared_by_any_branch(bench: Bench, branch: str) -> None:
    """The branch's tip, and where the commit left it."""
    asked: list[tuple[str, str]] = []

    def find(name: str, sha: str) -> tuple[str, str]:
        asked.append((name, sha))
        return TIP, POINT

    bench.forge.divergence["find"] = find
    lies = bench.runs.compare(branch, HEAD)
    assert (lies.base_commit.sha, lies.merge_base_commit.sha) == (TIP, POINT)
    assert asked == [(branch, HEAD)]


def test_the_newest_artifact_of_a_name_comes_first(bench: Bench) -> None:
    """Attempts of one run leave artifacts of one name; others are not looked at."""
    old = bench.forge.leave(RUN, "report", b"old")
    bench.forge.leave(RUN, "other", b"")
    new = bench.forge.leave(RUN, "report", b"new")
    found = bench.runs.list_artifacts(bench.runs.read_run(RUN), "report")
    assert [artifact.id for artifact in found] == [new.id, old.id]


def test_an_archive_is_downloaded_without_the_token(bench: Bench) -> None:
    """GitHub sends its reader to another host, which is told nothing of who asks."""
    bench.forge.leave(RUN, "report", CONTENT)
    (artifact,) = bench.runs.list_artifacts(bench.runs.read_run(RUN), "report")
    assert bench.runs.download(artifact, most=10_000) == CONTENT
    (sent,) = bench.forge.sent("GET", "^/blobs/")
    assert sent.headers.get("Authorization") is None


def test_a_netrc_does_not_take_the_tokens_place(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nor does it speak to the host that keeps the archives."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login x password y\nmachine localhost login x password y\n")
    monkeypatch.setenv("NETRC", str(netrc))
    bench.forge.leave(RUN, "report", CONTENT)
    (artifact,) = bench.runs.list_artifacts(bench.runs.read_run(RUN), "report")
    assert all("Basic" not in request.headers.get("Authorization", "") for request in bench.forge.requests)
    assert artifact.name == "report"


@pytest.mark.parametrize("told", [None, 5])
def test_an_archive_that_is_too_large_is_not_held(bench: Bench, told: int | None) -> None:
    """Whatever size was told, the download ends at the limit."""
    bench.forge.leave(RUN, "report", bytes(1_000_000)).told_size = told
    (artifact,) = bench.runs.list_artifacts(bench.runs.read_run(RUN), "report")
    with pytest.raises(CompareError, match="more than 1,000 are not read"):
        bench.runs.download(artifact, most=1_000)
    assert bool(bench.forge.sent("GET", "^/blobs/")) == (told is not None)


def test_an_expired_artifact_is_said_to_be_gone(bench: Bench) -> None:
    """GitHub keeps them for a while."""
    bench.forge.leave(RUN, "report", CONTENT).expired = True
    (artifact,) = bench.runs.list_artifacts(bench.runs.read_run(RUN), "report")
    with pytest.raises(CompareError, match="410"):
        bench.runs.download(artifact, most=10_000)


ASKED: dict[str, Callable[[GitHubRuns], object]] = {
    "run": lambda runs: runs.read_run(RUN),
    "compare": lambda runs: runs.compare("main", HEAD),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 401}, "does not accept the token"),
        ({"status": 403}, "403"),
        ({"status": 404}, "finds no"),
        ({"status": 422}, "422"),
        ({"status": 429, "headers": {"Retry-After": "3600"}}, "429"),
        ({"status": 500, "times": 9}, "500"),
        ({"status": 502, "times": 9}, "502"),
        ({"how": "reset", "times": 9}, "broke"),
        ({"how": "garbage"}, "can't be read"),
        ({"status": 200, "body": b'{"id": "x"}'}, "can't be read"),
        ({"status": 200, "body": b"\xff"}, "can't be read"),
        ({"how": "stall", "seconds": 3.0, "times": 9}, "asked to"),
    ],
)
def test_whatever_goes_wrong_is_one_error_with_a_hint(
    bench: Bench, asked: str, fault: dict[str, Any], said: str
) -> None:
    """What can't be read can't be judged: every fault ends the same way."""
    bench.forge.fail(Fault(method="GET", path="", **fault))
    with pytest.raises(CompareError, match=said) as refused:
        ASKED[asked](bench.opened(timeout=0.3))
    assert refused.value.hint
    assert TOKEN not in refused.value.message + refused.value.hint


def test_a_moment_of_trouble_is_waited_out(bench: Bench) -> None:
    """Reading may be asked again."""
    bench.forge.fail(Fault(method="GET", path="", status=502))
    assert bench.runs.read_run(RUN).id == RUN


def test_a_forge_that_is_nowhere_is_said_to_be(bench: Bench) -> None:
    """With the address that was tried."""
    with pytest.raises(CompareError, match=r"can't reach 127\.0\.0\.1:9"):
        bench.opened(api_url="http://127.0.0.1:9/api/v3").read_run(RUN)
