"""Checks are started, always concluded, and only where the token may."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.core.annotations import Annotation, Kind, Level
from seatrial.errors import DeliveryError
from seatrial.forges import CheckEnd, Conclusion, Forge, StartedCheck
from tests.contract.conftest import CHANGE, HEAD, ONLY_GITHUB, ONLY_GITLAB, TOKENS, Bench
from tests.fakes.server import Fault

STATES = {
    "github": {conclusion: conclusion.value for conclusion in Conclusion},
    "gitlab": {
        Conclusion.SUCCESS: "success",
        Conclusion.NEUTRAL: "success",
        Conclusion.FAILURE: "failed",
        Conclusion.ACTION_REQUIRED: "failed",
        Conclusion.CANCELLED: "canceled",
    },
    "gitea": {
        Conclusion.SUCCESS: "success",
        Conclusion.NEUTRAL: "success",
        Conclusion.FAILURE: "failure",
        Conclusion.ACTION_REQUIRED: "failure",
        Conclusion.CANCELLED: "error",
    },
    "bitbucket": {
        Conclusion.SUCCESS: "SUCCESSFUL",
        Conclusion.NEUTRAL: "SUCCESSFUL",
        Conclusion.FAILURE: "FAILED",
        Conclusion.ACTION_REQUIRED: "FAILED",
        Conclusion.CANCELLED: "STOPPED",
    },
}
RUNNING = {"github": "in_progress", "gitlab": "running", "gitea": "pending", "bitbucket": "INPROGRESS"}
PERMISSIONS = {
    "github": "lacks `checks: write`. The job needs these:\npermissions:\n  contents: read\n",
    "gitlab": "scope `api`",
    "gitea": "write:repository",
    "bitbucket": "Pull requests: Write",
}


def _conclude(
    forge: Forge, conclusion: Conclusion, *, started: StartedCheck | None = None, title: str = "1 of 4 gates failed"
) -> str:
    end = CheckEnd(
        name="seatrial",
        head=HEAD,
        conclusion=conclusion,
        title=title,
        summary="**recall** fell",
        details_url="https://ci.example/run/1",
    )
    return forge.conclude_check(end, started)


@pytest.mark.parametrize("conclusion", Conclusion)
@pytest.mark.parametrize("started", [True, False], ids=["started", "not-started"])
def test_a_check_ends_as_it_was_concluded(bench: Bench, conclusion: Conclusion, started: bool) -> None:
    """Started before or not, one check of the name is on the commit, with title and link."""
    handle = bench.forge.start_check(name="seatrial", head=HEAD, details_url=None) if started else None
    address = _conclude(bench.forge, conclusion, started=handle)
    (check,) = bench.stand_in.checks(HEAD)
    assert (check.conclusion or check.state) == STATES[bench.kind][conclusion]
    assert (check.name, check.title, check.details_url) == (
        "seatrial",
        "1 of 4 gates failed",
        "https://ci.example/run/1",
    )
    assert address.startswith(bench.stand_in.web_url)


def test_a_started_check_is_seen_to_be_under_way(bench: Bench) -> None:
    """Until it is concluded, reviewers see that the trial runs."""
    bench.forge.start_check(name="seatrial", head=HEAD, details_url="https://ci.example/run/1")
    (check,) = bench.stand_in.checks(HEAD)
    assert (check.state, check.conclusion) == (RUNNING[bench.kind], None)


def test_a_check_that_may_not_be_written_names_the_permission(bench: Bench) -> None:
    """The hint for a check is another one than for a comment."""
    with pytest.raises(DeliveryError) as caught:
        _conclude(bench.opened(token=TOKENS["reader"]), Conclusion.SUCCESS)
    assert PERMISSIONS[bench.kind] in caught.value.hint


def test_a_commit_that_the_forge_does_not_know_is_an_error(bench: Bench) -> None:
    """A check on no commit is refused in the forge's words."""
    end = CheckEnd(name="seatrial", head="not-a-commit", conclusion=Conclusion.SUCCESS, title="t", summary="s")
    with pytest.raises(DeliveryError):
        bench.forge.conclude_check(end)


def test_a_check_that_is_concluded_twice_stays_one(bench: Bench) -> None:
    """The name is stable, so that reviewers see the last conclusion alone."""
    handle = bench.forge.start_check(name="seatrial", head=HEAD, details_url=None)
    _conclude(bench.forge, Conclusion.FAILURE, started=handle)
    again = bench.forge.start_check(name="seatrial", head=HEAD, details_url=None)
    _conclude(bench.forge, Conclusion.SUCCESS, started=again)
    newest = max(bench.stand_in.checks(HEAD), key=lambda check: check.id)
    assert (newest.conclusion or newest.state) == STATES[bench.kind][Conclusion.SUCCESS]


LOST: list[dict[str, Any]] = [{"status": 502}, {"how": "reset"}, {"how": "garbage"}, {"how": "stall", "seconds": 1.5}]


@pytest.mark.parametrize("bench", ["github", "gitlab"], indirect=True)
@pytest.mark.parametrize("done", [True, False], ids=["done", "not-done"])
@pytest.mark.parametrize("fault", LOST, ids=["502", "reset", "garbage", "stall"])
@pytest.mark.parametrize("started", [True, False], ids=["started", "not-started"])
def test_a_lost_answer_leaves_one_concluded_check(
    bench: Bench, fault: dict[str, Any], done: bool, started: bool
) -> None:
    """What may have been made is looked for before it is asked for again: no check stays under way."""
    bench.stand_in.fail(Fault(method="POST", path="check-runs$|statuses/", carried_out=done, **fault))
    address = "https://ci.example/run/1"
    handle = bench.forge.start_check(name="seatrial", head=HEAD, details_url=address) if started else None
    _conclude(bench.forge, Conclusion.SUCCESS, started=handle)
    (check,) = bench.stand_in.checks(HEAD)
    assert (check.conclusion or check.state) == "success"


@ONLY_GITHUB
def test_another_runs_check_is_not_taken_for_ours(bench: Bench) -> None:
    """Two runs on one commit have the same name for it; the address tells them apart."""
    bench.forge.start_check(name="seatrial", head=HEAD, details_url="https://ci.example/run/2")
    bench.stand_in.fail(Fault(method="POST", path="check-runs$", how="reset"))
    bench.forge.start_check(name="seatrial", head=HEAD, details_url="https://ci.example/run/1")
    assert len(bench.stand_in.checks(HEAD)) == 2


@ONLY_GITHUB
@pytest.mark.parametrize(("number", "sent"), [(0, 1), (50, 1), (51, 2), (100, 2), (250, 2)])
def test_annotations_come_in_batches(bench: Bench, number: int, sent: int) -> None:
    """GitHub takes fifty at once; the first hundred are sent, in as few requests as that takes."""
    annotations = tuple(
        Annotation(
            path="params.yaml",
            line=line + 1,
            kind=Kind.PARAMETER,
            level=Level.WARNING,
            title="lr changed",
            message=f"lr {line}",
        )
        for line in range(number)
    )
    handle = bench.forge.start_check(name="seatrial", head=HEAD, details_url=None)
    end = CheckEnd(
        name="seatrial",
        head=HEAD,
        conclusion=Conclusion.NEUTRAL,
        title="t",
        summary="s",
        annotations=annotations,
    )
    bench.forge.conclude_check(end, handle)
    (check,) = bench.stand_in.checks(HEAD)
    assert [one["message"] for one in check.annotations] == [f"lr {line}" for line in range(min(number, 100))]
    assert len(bench.stand_in.sent("PATCH", "/check-runs/")) == sent


@ONLY_GITHUB
@pytest.mark.parametrize(
    ("conclusion", "state"), [(Conclusion.NEUTRAL, "success"), (Conclusion.ACTION_REQUIRED, "failure")]
)
def test_a_persons_token_sets_a_status_instead(bench: Bench, conclusion: Conclusion, state: str) -> None:
    """GitHub lets no person make check runs; a commit status of the same name says it."""
    person = bench.opened(token=TOKENS["person"])
    handle = person.start_check(name="seatrial", head=HEAD, details_url=None)
    _conclude(person, conclusion, started=handle, title="x" * 500)
    newest = max(bench.stand_in.checks(HEAD), key=lambda check: check.id)
    assert (newest.kind, newest.name, newest.state, newest.title) == ("status", "seatrial", state, "x" * 140)


@ONLY_GITLAB
def test_a_status_without_its_pipeline_is_not_sent(bench: Bench) -> None:
    """GitLab would open a new pipeline, which can hide that the real one failed."""
    with pytest.raises(DeliveryError, match="pipeline"):
        _conclude(bench.opened(pipeline_id=None), Conclusion.SUCCESS)
    assert bench.stand_in.checks(HEAD) == []


@ONLY_GITLAB
def test_a_pipeline_of_another_commit_is_an_error(bench: Bench) -> None:
    """A status never lands in a pipeline that is not the commit's own."""
    with pytest.raises(DeliveryError):
        _conclude(bench.opened(pipeline_id=51), Conclusion.SUCCESS)
    assert bench.stand_in.checks(HEAD) == []


@ONLY_GITLAB
def test_a_long_title_is_cut_to_what_gitlab_takes(bench: Bench) -> None:
    """A status is not lost over the length of its title."""
    _conclude(bench.forge, Conclusion.SUCCESS, title="x" * 500)
    assert bench.stand_in.checks(HEAD)[0].title == "x" * 255


@ONLY_GITHUB
def test_a_persons_token_is_not_told_of_a_jobs_permissions(bench: Bench) -> None:
    """What the job's block of permissions says does not hold for it."""
    person = bench.opened(token=TOKENS["person"])
    bench.stand_in.fail(Fault(method="POST", path="/statuses/", status=403))
    with pytest.raises(DeliveryError) as caught:
        _conclude(person, Conclusion.SUCCESS)
    assert caught.value.hint == (
        "Give the token in SEATRIAL_TOKEN the scope `repo` or, if it is fine-grained, `statuses: write`."
    )


@ONLY_GITLAB
def test_the_status_of_a_merged_result_is_its_pipelines(bench: Bench) -> None:
    """GitLab looks for the pipeline by its own commit, which is a passing merge and not the branch's head."""
    merge = "b" * 40
    bench.stand_in.records.changes[CHANGE].pipeline_sha = merge
    with pytest.raises(DeliveryError, match="finds no"):
        _conclude(bench.forge, Conclusion.SUCCESS)
    forge = bench.opened(pipeline_sha=merge)
    forge.start_check(name="seatrial", head=HEAD, details_url=None)
    _conclude(forge, Conclusion.SUCCESS)
    (status,) = bench.stand_in.checks(merge)
    assert (status.state, status.pipeline) == ("success", 50)
