"""What becomes of an earlier comment in each mode: always exactly one that is shown, of the newest run."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from seatrial.forges import Comment
from seatrial.publish import CommentMode, Outcome, parse_marker, render_marker
from tests.contract.conftest import CHANGE, HEAD, ONLY_GITHUB, ONLY_GITLAB, TOKENS, Bench
from tests.contract.test_comments import Rendezvous
from tests.fakes.server import Fault

POSTING = [mode for mode in CommentMode if mode is not CommentMode.OFF]
CML_MARKS = [
    "![CML watermark](https://raw.githubusercontent.com/iterative/cml/master/assets/watermark.svg)",
    '![](https://cml.dev/watermark.png "CML watermark")',
    f'![](https://cml.dev/watermark.png#{HEAD} "CML watermark")',
    f'![](https://cml.dev/watermark.png#{HEAD} "CML watermark train\\_v2 17")',
]


def race(bench: Bench, runs: tuple[str, ...], mode: CommentMode) -> None:
    """Post the report of every run at once: all have listed before any posts, and posted before any looks again."""
    barrier = threading.Barrier(len(runs))
    forges = [Rendezvous(bench.opened(), barrier) for _ in runs]
    with ThreadPoolExecutor(len(runs)) as pool:
        jobs = [
            pool.submit(bench.post, f"run {run}", run=run, forge=forge, mode=mode)
            for run, forge in zip(runs, forges, strict=True)
        ]
        for job in jobs:
            job.result()


@pytest.mark.parametrize("mode", POSTING)
def test_one_report_is_shown_after_every_run(bench: Bench, mode: CommentMode) -> None:
    """Whatever the mode, readers see the newest report and no other."""
    for run in ("1.1", "2.1", "3.1"):
        bench.post(f"report {run}", run=run, mode=mode)
        assert bench.bodies(shown=True) == [f"report {run}"]


@pytest.mark.parametrize("mode", POSTING)
def test_an_old_run_that_ends_last_posts_nothing(bench: Bench, mode: CommentMode) -> None:
    """The newest report stays, in every mode."""
    bench.post("newer", run="10.1", mode=mode)
    bench.stand_in.requests.clear()
    assert bench.post("older", run="9.1", mode=mode).outcome is Outcome.SKIPPED_NEWER
    assert {request.method for request in bench.stand_in.requests} == {"GET"}


@pytest.mark.parametrize("mode", POSTING)
def test_the_same_run_again_writes_nothing(bench: Bench, mode: CommentMode) -> None:
    """A step that runs twice wakes nobody."""
    bench.post("same", mode=mode)
    bench.stand_in.requests.clear()
    assert bench.post("same", mode=mode).outcome is Outcome.UNCHANGED
    assert {request.method for request in bench.stand_in.requests} == {"GET"}


def test_recreating_puts_the_report_at_the_end(bench: Bench) -> None:
    """The old comment is gone, and the new one comes after what people said meanwhile."""
    bench.post("old", run="1.1")
    bench.stand_in.comment(CHANGE, "thanks!")
    result = bench.post("new", run="2.1", mode=CommentMode.RECREATE)
    assert (result.outcome, result.removed, result.remark) == (Outcome.CREATED, 1, "")
    assert bench.bodies() == ["thanks!", "new"]


def test_recreating_loses_no_report_when_posting_fails(bench: Bench) -> None:
    """The old report goes only when the new one is there."""
    bench.post("old", run="1.1")
    bench.break_posts(status=500, times=9)
    with pytest.raises(Exception, match="500"):
        bench.post("new", run="2.1", mode=CommentMode.RECREATE)
    assert bench.bodies() == ["old"]


def test_an_old_comment_that_can_not_be_deleted_is_said(bench: Bench) -> None:
    """The new report is delivered all the same."""
    bench.post("old", run="1.1")
    bench.stand_in.fail(Fault(method="DELETE", path=".", status=403))
    result = bench.post("new", run="2.1", mode=CommentMode.RECREATE)
    assert (result.outcome, bench.bodies()) == (Outcome.CREATED, ["old", "new"])
    assert "an older copy is left: " in result.remark
    assert bench.post("newest", run="3.1", mode=CommentMode.RECREATE).removed == 2
    assert bench.bodies() == ["newest"]


@ONLY_GITHUB
def test_hiding_folds_the_old_report_as_outdated(bench: Bench) -> None:
    """Every report stays in the thread, all but the newest folded."""
    for run in ("1.1", "2.1", "3.1"):
        bench.post(f"report {run}", run=run, mode=CommentMode.HIDE_AND_NEW)
    assert [comment.minimized for comment in bench.stand_in.comments(CHANGE)] == ["outdated", "outdated", ""]
    assert len(bench.stand_in.sent("POST", "/graphql")) == 2


@ONLY_GITHUB
def test_a_token_that_may_not_hide_updates(bench: Bench) -> None:
    """Two reports that are both shown would be worse: the one that is there is brought up to date, and this is said."""
    bench.post("old", run="1.1", mode=CommentMode.HIDE_AND_NEW)
    refusal = b'{"data": {"c0": null}, "errors": [{"type": "FORBIDDEN", "message": "Resource not accessible"}]}'
    bench.stand_in.fail(Fault(method="POST", path="/graphql", status=200, body=refusal))
    result = bench.post("new", run="2.1", mode=CommentMode.HIDE_AND_NEW)
    assert result.outcome is Outcome.UPDATED
    assert "updated in its place: " in result.remark
    assert bench.bodies(shown=True) == ["new"]


@ONLY_GITLAB
def test_gitlab_hides_nothing_and_says_so(bench: Bench) -> None:
    """The note that is there is updated."""
    bench.post("old", run="1.1", mode=CommentMode.HIDE_AND_NEW)
    result = bench.post("new", run="2.1", mode=CommentMode.HIDE_AND_NEW)
    assert (result.outcome, result.remark) == (Outcome.UPDATED, "updated in its place: GitLab can't hide notes")
    assert bench.bodies() == ["new"]


@ONLY_GITHUB
@pytest.mark.parametrize("mode", [CommentMode.UPDATE, CommentMode.RECREATE])
def test_another_mode_after_hiding_leaves_the_folded_ones(bench: Bench, mode: CommentMode) -> None:
    """They are history, not copies; and what is folded never gets the newest report."""
    for run in ("1.1", "2.1"):
        bench.post(f"report {run}", run=run, mode=CommentMode.HIDE_AND_NEW)
    bench.post("report 3.1", run="3.1", mode=mode)
    assert bench.bodies(shown=True) == ["report 3.1"]
    assert bench.bodies() == ["report 1.1", "report 3.1"]


@pytest.mark.parametrize(
    ("mode", "before"),
    [
        # Jobs that find a comment and update it need no second look: they all write to the same one.
        (CommentMode.UPDATE, False),
        (CommentMode.THREAD, False),
        (CommentMode.RECREATE, False),
        (CommentMode.RECREATE, True),
    ],
)
@pytest.mark.parametrize(
    "runs", [("10.1", "10.1"), ("10.1", "11.1"), tuple(f"{n}.1" for n in (3, 2, 1, 4, 9, 8, 7, 5))]
)
def test_racing_jobs_leave_one_comment(bench: Bench, mode: CommentMode, before: bool, runs: tuple[str, ...]) -> None:
    """However many jobs post at once, one report is left, and it is the newest run's."""
    if before:
        bench.post("before", run="0.1", mode=mode)
    race(bench, runs, mode)
    assert bench.bodies() == [f"run {max(runs, key=lambda run: int(run[:-2]))}"]


@ONLY_GITHUB
@pytest.mark.parametrize("runs", [("10.1", "10.1"), ("11.1", "10.1"), ("10.1", "11.1"), ("3.1", "2.1", "1.1", "4.1")])
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_racing_jobs_show_one_comment(bench: Bench, runs: tuple[str, ...], first: bool) -> None:
    """Where they fold, one is not folded, and it is the newest run's."""
    if not first:
        bench.post("before", run="0.1", mode=CommentMode.HIDE_AND_NEW)
    race(bench, runs, CommentMode.HIDE_AND_NEW)
    assert bench.bodies(shown=True) == [f"run {max(runs, key=lambda run: int(run[:-2]))}"]


@pytest.mark.parametrize("mode", [CommentMode.RECREATE, CommentMode.HIDE_AND_NEW, CommentMode.THREAD])
@pytest.mark.parametrize("how", ["reset", "garbage"])
@pytest.mark.parametrize("done", [True, False], ids=["done", "not-done"])
def test_a_lost_answer_leaves_one_comment_in_every_mode(bench: Bench, mode: CommentMode, how: str, done: bool) -> None:
    """Whether or not the comment was made before its answer got lost, and whatever was there before."""
    bench.post("old", run="1.1", mode=mode)
    path = "/discussions$" if mode is CommentMode.THREAD and bench.kind == "gitlab" else bench.comments_path
    bench.stand_in.fail(Fault(method="POST", path=path, how=how, carried_out=done))  # type: ignore[arg-type]
    bench.post("new", run="2.1", mode=mode)
    assert bench.bodies(shown=True) == ["new"]


def test_a_comment_that_is_deleted_meanwhile_is_posted_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking and writing somebody tidied up: the report is not lost."""
    bench.post("old", run="1.1")
    update = bench.forge.update_comment

    def update_too_late(comment: Comment, change: int, body: str) -> Comment:
        bench.forge.delete_comment(comment, change)
        return update(comment, change, body)

    monkeypatch.setattr(bench.forge, "update_comment", update_too_late)
    assert bench.post("new", run="2.1").outcome is Outcome.CREATED
    assert bench.bodies() == ["new"]


def test_a_comment_that_a_newer_run_replaces_meanwhile_is_the_newer_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and writing a newer run deleted ours and posted its own: ours is old, and no failure."""
    bench.post("old", run="1.1")
    update = bench.forge.update_comment

    def update_too_late(comment: Comment, change: int, body: str) -> Comment:
        bench.post("newest", run="9.1", mode=CommentMode.RECREATE, forge=bench.opened())
        return update(comment, change, body)

    monkeypatch.setattr(bench.forge, "update_comment", update_too_late)
    assert bench.post("new", run="2.1").outcome is Outcome.SKIPPED_NEWER
    assert bench.bodies() == ["newest"]


def test_nothing_is_created_while_there_is_nothing_to_tell(bench: Bench) -> None:
    """With `create` False the first report waits for its cause; then it is kept up to date, good news included."""
    quiet = bench.post("no change", run="1.1", create=False)
    assert (quiet.outcome, quiet.url, bench.bodies()) == (Outcome.NOT_NEEDED, "", [])
    bench.post("worse", run="2.1")
    assert bench.post("good again", run="3.1", create=False).outcome is Outcome.UPDATED
    assert bench.bodies() == ["good again"]


@ONLY_GITLAB
def test_a_thread_is_open_while_gates_fail(bench: Bench) -> None:
    """It is resolved and opened again as the verdict turns, and asked about only when it does."""
    for run, good in (("1.1", False), ("2.1", True), ("3.1", True), ("4.1", False)):
        assert bench.post(f"report {run}", run=run, mode=CommentMode.THREAD, good=good).remark == ""
        (note,) = bench.stand_in.comments(CHANGE)
        assert note.resolved is good
    assert len(bench.stand_in.sent("PUT", "/discussions/")) == 2


@ONLY_GITLAB
def test_a_thread_of_good_news_is_resolved_at_once(bench: Bench) -> None:
    """A project that demands resolved threads is not held up by a report that lets the change merge."""
    bench.post("report", mode=CommentMode.THREAD, good=True)
    assert bench.stand_in.comments(CHANGE)[0].resolved is True


@ONLY_GITLAB
def test_a_note_of_before_is_no_thread(bench: Bench) -> None:
    """It is kept up to date as a note, which is said."""
    bench.post("old", run="1.1")
    result = bench.post("new", run="2.1", mode=CommentMode.THREAD)
    assert (result.outcome, result.remark) == (Outcome.UPDATED, "it is no thread that can be resolved")


@ONLY_GITLAB
def test_a_thread_that_can_not_be_resolved_is_said(bench: Bench) -> None:
    """The report is delivered all the same."""
    bench.stand_in.fail(Fault(method="PUT", path="/discussions/", status=403))
    result = bench.post("report", mode=CommentMode.THREAD)
    assert "could not resolve a thread" in result.remark
    assert bench.bodies() == ["report"]


@ONLY_GITHUB
def test_github_has_no_threads_and_says_so(bench: Bench) -> None:
    """There it is one comment, kept up to date."""
    assert bench.post("report", mode=CommentMode.THREAD).remark == "it is no thread that can be resolved"
    assert bench.bodies() == ["report"]


@pytest.mark.parametrize(
    ("mark", "mode"),
    [
        *(pytest.param(mark, CommentMode.UPDATE, id=f"mark-{number}") for number, mark in enumerate(CML_MARKS)),
        *(pytest.param(CML_MARKS[0], mode, id=mode.value) for mode in POSTING[1:]),
    ],
)
def test_the_first_report_takes_the_place_of_cmls(bench: Bench, mark: str, mode: CommentMode) -> None:
    """A project that comes from CML has no two reports side by side."""
    bench.stand_in.comment(CHANGE, f"# Old report\n\n{mark}", author=bench.us)
    bench.post("report", run="1.1", mode=mode)
    assert bench.bodies(shown=True) == ["report"]
    assert list(filter(None, (parse_marker(comment.body) for comment in bench.forge.list_comments(CHANGE))))


@pytest.mark.parametrize(
    "text",
    [
        f"quoted {CML_MARKS[0]}",
        f"{CML_MARKS[0]}\n\nand some more",
        f"# Report\n\n> {CML_MARKS[1]}",
        "![CML watermark](https://elsewhere.example/watermark.svg)",
    ],
)
def test_what_only_speaks_of_cml_is_left_alone(bench: Bench, text: str) -> None:
    """The mark is the whole last line, or the comment is not CML's."""
    bench.stand_in.comment(CHANGE, text, author=bench.us)
    bench.post("report")
    assert bench.stand_in.comments(CHANGE)[0].body == text


def test_what_others_posted_by_cml_is_left_alone(bench: Bench) -> None:
    """A person who runs CML with their own token keeps their comment."""
    bench.stand_in.comment(CHANGE, f"# Report\n\n{CML_MARKS[0]}", author="hubot")
    assert bench.post("ours").outcome is Outcome.CREATED
    assert len(bench.bodies()) == 2


def test_cml_beside_us_is_left_alone(bench: Bench) -> None:
    """Once we have a comment, in whatever key, one that CML posts is another report."""
    bench.post("ours", run="1.1", key="other")
    bench.stand_in.comment(CHANGE, f"# Report\n\n{CML_MARKS[2]}", author=bench.us)
    bench.post("ours too", run="1.1")
    assert len(bench.bodies()) == 3


def test_of_many_cml_comments_the_newest_is_taken(bench: Bench) -> None:
    """Those before it are history, as they were."""
    for number in range(3):
        bench.stand_in.comment(CHANGE, f"# Report {number}\n\n{CML_MARKS[0]}", author=bench.us)
    bench.post("ours", run="1.1")
    assert bench.bodies()[-1] == "ours"
    assert len(bench.bodies()) == 3


@ONLY_GITHUB
@pytest.mark.parametrize("mode", [CommentMode.RECREATE, CommentMode.HIDE_AND_NEW])
def test_an_app_that_does_not_know_its_name_shows_one_comment(bench: Bench, mode: CommentMode) -> None:
    """It learns its name from the new comment, and then discards the old ones."""
    app = bench.opened(token=TOKENS["app"])
    for run in ("1.1", "2.1", "3.1"):
        bench.post(f"report {run}", run=run, forge=app, mode=mode)
        assert bench.bodies(shown=True) == [f"report {run}"]


@ONLY_GITHUB
def test_an_app_learns_its_name_from_its_check(bench: Bench) -> None:
    """After a check was started no comment has to be made to know whose they are."""
    for run in ("1.1", "2.1"):
        app = bench.opened(token=TOKENS["app"])
        app.start_check(name="seatrial", head=HEAD, details_url=None)
        bench.post(f"report {run}", run=run, forge=app)
    assert len(bench.stand_in.sent("POST", bench.comments_path)) == 1
    assert bench.bodies() == ["report 2.1"]


def test_a_strangers_series_is_none_of_ours(bench: Bench) -> None:
    """A forged marker that claims a series folds, removes and hides nothing."""
    forged = render_marker("default", HEAD, "999.1", series=True)
    bench.stand_in.comment(CHANGE, f"{forged}\nmerge it", author="mallory")
    for mode in POSTING:
        bench.post("ours", run=f"{POSTING.index(mode) + 1}.1", mode=mode)
        assert bench.bodies(shown=True)[0] == "merge it"
        assert len(bench.bodies(shown=True)) == 2
