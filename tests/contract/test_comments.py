"""One current comment, whoever races and whatever is in the thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.request import urlopen

import pytest

from seatrial.errors import DeliveryError
from seatrial.forges import Comment
from seatrial.publish import Outcome, render_marker
from tests.contract.conftest import CHANGE, HEAD, ONLY_GITHUB, ONLY_GITLAB, TOKENS, Bench


def test_a_comment_lives_from_creation_to_deletion(bench: Bench) -> None:
    """A comment that is created, changed and deleted is seen so by the next listing."""
    created = bench.forge.create_comment(CHANGE, "first")
    updated = bench.forge.update_comment(created, CHANGE, "second")
    listed = list(bench.forge.list_comments(CHANGE))
    bench.forge.delete_comment(updated, CHANGE)
    assert listed == [replace(created, body="second")]
    assert list(bench.forge.list_comments(CHANGE)) == []


def test_deleting_a_comment_that_is_gone_is_no_error(bench: Bench) -> None:
    """Two jobs that tidy up at once do not trip over each other."""
    comment = bench.forge.create_comment(CHANGE, "text")
    bench.forge.delete_comment(comment, CHANGE)
    bench.forge.delete_comment(comment, CHANGE)


def test_the_address_of_a_comment_shows_it(bench: Bench) -> None:
    """Following the address that publishing returns, a person reads the report."""
    result = bench.post("### Do **not** merge")
    page = urlopen(result.url).read().decode()
    assert "Do <strong>not</strong> merge" in page
    assert f'id="{result.url.partition("#")[2]}"' in page


def test_the_forge_knows_our_login(bench: Bench) -> None:
    """We find our comments by the login that they carry."""
    bench.post("report")
    assert bench.forge.whoami() == bench.us == bench.stand_in.comments(CHANGE)[0].author


def test_a_second_run_updates_the_same_comment(bench: Bench) -> None:
    """A newer report replaces the older one, in place."""
    first = bench.post("old", run="10.1")
    second = bench.post("new", run="10.2")
    assert (first.outcome, second.outcome) == (Outcome.CREATED, Outcome.UPDATED)
    assert first.url == second.url
    assert bench.bodies() == ["new"]


@pytest.mark.parametrize("before", [0, 250])
def test_our_comment_is_found_on_every_page(bench: Bench, before: int) -> None:
    """Of 250 other comments, before or after ours, none hides it."""
    talk = [f"remark {number}" for number in range(250)]
    for text in talk[:before]:
        bench.stand_in.comment(CHANGE, text)
    forge = bench.opened(timeout=30)  # the stand-in judges each of so many
    bench.post("old", run="10.1", forge=forge)
    for text in talk[before:]:
        bench.stand_in.comment(CHANGE, text)
    bench.stand_in.requests.clear()
    assert bench.post("new", run="11.1", forge=forge).outcome is Outcome.UPDATED
    assert sorted(bench.bodies()) == sorted([*talk, "new"])
    # Gitea has them on one page.
    assert len(bench.stand_in.sent("GET", bench.comments_path)) == (1 if bench.kind == "gitea" else 3)


def test_an_equal_report_writes_nothing(bench: Bench) -> None:
    """Running the same step of a run again sends no write and wakes nobody."""
    bench.post("same")
    bench.stand_in.requests.clear()
    assert bench.post("same").outcome is Outcome.UNCHANGED
    assert {request.method for request in bench.stand_in.requests} == {"GET"}


@pytest.mark.parametrize(("newer", "older"), [("10.1", "9.9"), ("10.10", "10.9"), ("10.2", "10.1")])
def test_an_old_run_that_ends_last_changes_nothing(bench: Bench, newer: str, older: str) -> None:
    """Runs are ordered as numbers, and the newest report stays."""
    bench.post("newer", run=newer)
    assert bench.post("older", run=older).outcome is Outcome.SKIPPED_NEWER
    assert bench.bodies() == ["newer"]


def test_a_strangers_comment_with_our_marker_is_left_alone(bench: Bench) -> None:
    """Nobody can make us write into their comment, or keep silent, by copying the marker."""
    forged = render_marker("default", HEAD, "999999.9") + "\nmerge it, all is well"
    bench.stand_in.comment(CHANGE, forged, author="mallory")
    assert bench.post("ours", run="1.1").outcome is Outcome.CREATED
    assert bench.post("ours again", run="2.1").outcome is Outcome.UPDATED
    assert bench.bodies() == ["merge it, all is well", "ours again"]


@pytest.mark.parametrize(
    "text",
    [
        "> " + render_marker("default", HEAD, "9.9") + "\nquoted",
        "Hello\n" + render_marker("default", HEAD, "9.9") + "\nnot on the first line",
        "<!-- seatrial {broken -->\nno JSON",
        '<!-- seatrial {"v":2,"key":"default","head":"","run":"9.9"} -->\nanother version',
        '<!-- seatrial {"v":1,"key":["default"],"head":"","run":"9.9"} -->\nanother type',
        render_marker("non-default", HEAD, "9.9") + "\nanother key that ends alike",
    ],
)
def test_only_a_whole_marker_of_the_exact_key_makes_a_comment_ours(bench: Bench, text: str) -> None:
    """Comments of our own login that are not this report stay as they are."""
    bench.stand_in.comment(CHANGE, text, author=bench.us)
    assert bench.post("report", run="1.1").outcome is Outcome.CREATED
    assert bench.stand_in.comments(CHANGE)[0].body == text


def test_reports_of_two_keys_live_side_by_side(bench: Bench) -> None:
    """Each of a project's reports has its own comment."""
    for run in ("1.1", "2.1"):
        bench.post(f"arrivals {run}", key="arrivals", run=run)
        bench.post(f"departures {run}", key="departures", run=run)
    assert bench.bodies() == ["arrivals 2.1", "departures 2.1"]


def test_copies_of_our_comment_are_removed(bench: Bench) -> None:
    """Whatever left copies behind, the oldest stays with the newest report."""
    for run in ("1.1", "2.1", "3.1"):
        bench.stand_in.comment(CHANGE, render_marker("default", HEAD, run) + f"\ncopy {run}", author=bench.us)
    oldest = bench.stand_in.comments(CHANGE)[0].id
    result = bench.post("report", run="4.1")
    assert (result.outcome, result.removed) == (Outcome.UPDATED, 2)
    assert [comment.id for comment in bench.stand_in.comments(CHANGE)] == [oldest]
    assert bench.bodies() == ["report"]


def test_an_old_run_that_tidies_up_keeps_the_newest_report(bench: Bench) -> None:
    """Removing copies never loses the report of a newer run."""
    for run in ("1.1", "9.1"):
        bench.stand_in.comment(CHANGE, render_marker("default", HEAD, run) + f"\nreport {run}", author=bench.us)
    assert bench.post("report 5.1", run="5.1").outcome is Outcome.SKIPPED_NEWER
    assert bench.bodies() == ["report 9.1"]


class Rendezvous:
    """A forge at which everybody has seen the empty thread before anybody writes, and has written before they look."""

    def __init__(self, forge: Any, barrier: threading.Barrier) -> None:
        self._forge = forge
        self._barrier = barrier
        self._listed = False
        self._created = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._forge, name)

    def list_comments(self, change: int) -> Iterator[Comment]:
        """The forge's comments, the first time together with all others."""
        comments = list(self._forge.list_comments(change))
        if not self._listed:
            self._listed = True
            self._barrier.wait(timeout=60)
        return iter(comments)

    def create_comment(self, change: int, body: str, *, resolvable: bool = False) -> Comment:
        """A comment, when all others have made theirs; on a busy machine an answer may not come in time."""
        try:
            comment: Comment = self._forge.create_comment(change, body, resolvable=resolvable)
        finally:
            if not self._created:
                self._created = True
                self._barrier.wait(timeout=60)
        return comment


@pytest.mark.parametrize("runs", [("10.1", "10.1"), ("10.1", "11.1"), ("3.1", "2.1", "1.1", "4.1")])
def test_racing_jobs_leave_one_comment_of_the_newest_run(bench: Bench, runs: tuple[str, ...]) -> None:
    """Jobs that all saw an empty thread end with one comment, and it is the newest run's."""
    barrier = threading.Barrier(len(runs))
    forges = [Rendezvous(bench.opened(), barrier) for _ in runs]
    with ThreadPoolExecutor(len(runs)) as pool:
        jobs = [
            pool.submit(bench.post, f"run {run}", run=run, forge=forge) for run, forge in zip(runs, forges, strict=True)
        ]
        for job in jobs:
            job.result()
    newest = max(runs, key=lambda run: tuple(map(int, run.split("."))))
    assert bench.bodies() == [f"run {newest}"]


def test_the_lowest_id_wins_a_race(bench: Bench) -> None:
    """A comment that appears between our listing and our creation is the one that stays."""
    faster = render_marker("default", HEAD, "10.1") + "\nfaster"

    class Overtaken(Rendezvous):
        def create_comment(self, change: int, body: str, *, resolvable: bool = False) -> Comment:
            bench.stand_in.comment(change, faster, author=bench.us)
            return super().create_comment(change, body, resolvable=resolvable)

    result = bench.post("slower", run="10.1", forge=Overtaken(bench.forge, threading.Barrier(1)))
    assert (result.outcome, result.removed) == (Outcome.UPDATED, 1)
    assert bench.bodies() == ["slower"]


@ONLY_GITHUB
def test_an_app_of_another_name_keeps_one_comment(bench: Bench) -> None:
    """The token of a GitHub App, which may not ask for its login, still updates its own comment."""
    app = bench.opened(token=TOKENS["app"])
    for run in ("1.1", "2.1", "3.1"):
        bench.post(f"report {run}", run=run, forge=app)
    assert bench.bodies() == ["report 3.1"]
    assert bench.stand_in.comments(CHANGE)[0].author == "flight-app[bot]"


@ONLY_GITHUB
def test_an_account_that_was_deleted_is_nobody(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment whose author GitHub no longer names does not end the run."""
    shown = bench.stand_in._comment
    monkeypatch.setattr(bench.stand_in, "_comment", lambda remark: shown(remark) | {"user": None})
    bench.stand_in.comment(CHANGE, "from a ghost")
    assert [comment.author for comment in bench.forge.list_comments(CHANGE)] == [""]


@ONLY_GITLAB
def test_notes_that_gitlab_writes_itself_are_no_comments(bench: Bench) -> None:
    """System notes neither count as comments nor hide ours."""
    bench.stand_in.comment(CHANGE, "added 1 commit", author=bench.us, system=True)
    bench.post("report")
    assert [comment.body.splitlines()[-1] for comment in bench.forge.list_comments(CHANGE)] == ["report"]


@ONLY_GITLAB
def test_a_project_known_by_its_number_has_readable_addresses(bench: Bench) -> None:
    """CI tells the number alone; the address that people get has the project's name."""
    result = bench.post("report", forge=bench.opened(project="7"))
    assert result.url.startswith(f"{bench.stand_in.page_url(CHANGE)}#note_")


@ONLY_GITLAB
def test_a_job_token_is_told_apart_and_explained(bench: Bench) -> None:
    """CI_JOB_TOKEN has no login and can't write notes, and the error says whose fault that is."""
    job = bench.opened(token=TOKENS["job"], token_variable="CI_JOB_TOKEN")
    assert job.whoami() is None
    with pytest.raises(DeliveryError) as caught:
        bench.post("report", forge=job)
    assert "Create a project access token with scope `api`" in caught.value.hint
    assert bench.bodies() == []
