"""`seatrial publish`: what a fork's run measured is judged again; what was forged is refused, or has no effect."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.fakes.github_runs import Fork, Run, pack, pack_directory
from tests.fakes.records import TOKEN, Change
from tests.fakes.server import Fault
from tests.integration.forks import NAME, RUN, Facts, StrangersPull, open_forge, open_pull
from tests.integration.repositories import run_seatrial

LOOSE = "version: 1\nmetrics:\n  recall: {max_decrease: 0.9}\n"
Opening = Callable[..., StrangersPull]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opening]:
    """Opens a pull request from a fork: main has recall 0.8 and a gate, the change another recall."""
    with open_forge() as forge:
        yield partial(open_pull, tmp_path, forge)


def test_a_fork_gets_its_comment_and_check(opened: Opening) -> None:
    """Numbers that the fork's own run measured are judged by main's policy and told where they are seen."""
    pull = opened(0.7)
    assert pull.measure().code == 1
    answer = pull.publish()
    assert answer.code == 1, answer.err
    assert "Do not merge: 1 of 1 gate failed" in pull.body()
    assert "Measured by the pull request's own CI" in pull.body()
    assert f"policy: seatrial.yaml of main {pull.base[:7]}" in pull.body()
    assert "baseline: merge base with main" in pull.body()
    (check,) = pull.forge.checks(pull.head)
    assert (check.name, check.conclusion) == ("seatrial", "failure")
    assert "Do not merge" in (pull.work / "summary.md").read_text()
    assert "verdict<<" in (pull.work / "outputs.txt").read_text()


def test_a_better_model_passes(opened: Opening) -> None:
    """A green report ends with 0, and the comment names the change's own head."""
    pull = opened(0.9)
    pull.measure()
    assert pull.publish().code == 0
    assert "Ready to merge: 1 gate passed" in pull.body()
    assert pull.head[:7] in pull.body()


# -- which pull request it was


def test_an_old_run_that_ends_last_changes_nothing(opened: Opening) -> None:
    """Comment and check stay those of the newer run, whichever of the two is published last."""
    pull = opened(0.9)
    pull.measure(RUN)
    pull.measure(RUN + 10)
    assert pull.publish(run=RUN + 10).code == 0
    before = pull.body()
    pull.forge.runs[RUN].artifacts.clear()
    pull.facts["metrics"][0]["head"] = 0.1
    pull.forge.leave(RUN, NAME, pack({"report.json": json.dumps(pull.facts).encode()}))
    answer = pull.publish()
    assert answer.code == 1
    assert "skipped-newer" in answer.err
    assert "left out: a newer run has reported" in answer.err
    assert pull.body() == before
    (check,) = pull.forge.checks(pull.head)
    assert check.conclusion == "success"


def test_another_attempt_of_the_run_is_newer(opened: Opening) -> None:
    """The newest artifact of a name counts, and the attempt orders the reports."""
    pull = opened(0.7)
    pull.measure(upload=False)
    pull.leave({"report.json": b"the first attempt broke off"})
    pull.forge.leave(RUN, NAME, pack_directory(pull.theirs.directory / NAME))
    pull.forge.runs[RUN].attempt = 2
    assert pull.publish().code == 1
    assert f'"run":"{RUN}.2"' in pull.body()


def test_a_closed_pull_request_is_left_alone(opened: Opening) -> None:
    """Nobody waits for its report."""
    pull = opened()
    pull.measure()
    pull.forge.closed.add(7)
    pull.refused(pull.publish(), "no open pull request asks for")


def test_a_head_that_moved_on_is_left_to_its_own_run(opened: Opening) -> None:
    """The numbers of the old commit are not told as those of the new one."""
    pull = opened()
    pull.measure()
    pull.forge.records.changes[7].head_sha = "b" * 40
    pull.refused(pull.publish(), "no open pull request asks for")
    assert pull.forge.checks("b" * 40) == []


def test_two_pull_requests_of_one_head_are_not_guessed_between(opened: Opening) -> None:
    """They may be for different branches, with different baselines and policies."""
    pull = opened()
    pull.measure()
    pull.forge.records.changes[8] = Change(number=8, head_sha=pull.head, base_ref="release")
    pull.forge.forks[8] = Fork()
    pull.refused(pull.publish(), "#7, #8 all ask for")


def test_a_pull_request_of_another_repository_with_that_head_is_not_meant(opened: Opening) -> None:
    """Anybody can push the same commit to a branch of the same name in a fork of their own."""
    pull = opened()
    pull.measure()
    pull.forge.records.changes[8] = Change(number=8, head_sha=pull.head)
    pull.forge.forks[8] = Fork(number=3)
    assert pull.publish().code == 0
    assert pull.forge.comments(8) == []


def test_a_number_in_the_report_is_no_address(opened: Opening) -> None:
    """Where it is posted is not the artifact's to say: a key for that is unknown, and refused."""
    pull = opened()
    pull.forge_report(lambda facts: facts.update(number=8))
    pull.refused(pull.publish(), "unknown key at `$.number`")


def test_a_deleted_fork_has_no_pull_request(opened: Opening) -> None:
    """Its run has no repository any more."""
    pull = opened()
    pull.measure()
    shown = pull.forge.show(RUN) | {"head_repository": None}  # which GitHub does, and does not describe
    pull.forge.fail(Fault(method="GET", path=rf"runs/{RUN}$", status=200, body=json.dumps(shown).encode()))
    pull.refused(pull.publish(), "no open pull request asks for")


def test_a_run_of_another_workflow_is_refused(opened: Opening) -> None:
    """A pull request may bring a workflow of the same name, which starts this job too."""
    pull = opened()
    pull.measure()
    pull.forge.runs[RUN].path = ".github/workflows/mine.yml@refs/pull/7/merge"
    pull.refused(pull.publish(), "is of the workflow '.github/workflows/mine.yml'")
    (check,) = pull.forge.checks(pull.head)
    assert check.title.startswith("Not judged")
    assert "Next: name the file of the workflow" in check.summary
    pull.forge.records.checks.clear()
    assert pull.publish("--workflow", ".github/workflows/mine.yml").code == 0


def test_a_run_that_goes_on_is_refused(opened: Opening) -> None:
    """What it will have measured nobody knows."""
    pull = opened()
    pull.measure()
    pull.forge.runs[RUN].status = "in_progress"
    pull.refused(pull.publish(), "is not complete")


def test_a_run_of_no_pull_request_is_wrong_use(opened: Opening) -> None:
    """Nothing is posted anywhere: there is nobody to tell."""
    pull = opened()
    pull.measure()
    pull.forge.runs[RUN].event = "push"
    answer = pull.publish()
    assert answer.code == 2
    assert "was started by 'push', not by a pull request" in answer.err
    assert pull.forge.checks(pull.head) == []


def test_a_checkout_of_the_change_is_wrong_use(opened: Opening) -> None:
    """Code and settings of a stranger have no place in a job that can write."""
    pull = opened()
    pull.measure()
    answer = run_seatrial(pull.theirs.directory, "publish", env=pull.our_variables(RUN))
    assert answer.code == 2
    assert "must not check the change out" in answer.err
    assert pull.forge.comments(7) == []


@pytest.mark.parametrize(
    ("missing", "said"),
    [("SEATRIAL_TOKEN", "no token"), ("GITHUB_EVENT_PATH", "no run"), ("GITHUB_REPOSITORY", "whose")],
)
def test_what_it_needs_is_said(opened: Opening, missing: str, said: str) -> None:
    """Without a token, a run or a repository it is wrong use, with the remedy."""
    pull = opened()
    pull.measure()
    answer = pull.publish(env={missing: ""})
    assert answer.code == 2
    assert said in answer.err
    assert "next:" in answer.err


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SEATRIAL_TOKEN", "canary\nmore", "the token in SEATRIAL_TOKEN holds characters that no token has"),
        ("SEATRIAL_TOKEN", "canary\N{EURO SIGN}", "the token in SEATRIAL_TOKEN holds characters that no token has"),
        ("GITHUB_API_URL", "canary", "the address of the forge's API is none"),
        ("GITHUB_REPOSITORY", "octo", "'octo' names no repository"),
        ("GITHUB_REPOSITORY", "../..", "'../..' names no repository"),
    ],
)
def test_what_it_is_given_wrongly_is_said(opened: Opening, variable: str, value: str, said: str) -> None:
    """No client gets a token that it would print, or an address that it would stumble over."""
    pull = opened()
    pull.measure()
    answer = pull.publish(env={variable: value})
    assert answer.code == 2
    assert said in answer.err
    assert variable != "SEATRIAL_TOKEN" or "canary" not in answer.err


def test_run_and_repository_can_be_named(opened: Opening) -> None:
    """On a machine of one's own, where nothing started the job."""
    pull = opened()
    pull.measure()
    answer = pull.publish(
        *("--from-run", str(RUN), "--repository", "octo/flights", "--comment", "off", "--no-check"),
        env=dict.fromkeys(("GITHUB_EVENT_PATH", "GITHUB_REPOSITORY", "GITHUB_ACTIONS"), ""),
    )
    assert answer.code == 0
    assert "Ready to merge" in answer.out
    assert (pull.forge.comments(7), pull.forge.checks(pull.head)) == ([], [])


def test_a_pull_request_for_another_branch_is_judged_by_that(opened: Opening) -> None:
    """The default branch is checked out; policy and baseline are of the branch that the change is for."""
    pull = opened(0.7, branch="release/1.0")
    pull.measure()
    assert pull.publish().code == 1
    assert f"policy: seatrial.yaml of release/1.0 {pull.base[:7]}" in pull.body()
    assert f"release/1.0 {pull.base[:7]} |" in pull.body()


# -- what was forged


def flip(facts: Facts) -> None:
    facts.update(verdict="passed", headline="Ready to merge", findings=[])


def embellish(facts: Facts) -> None:
    facts["metrics"][0].update(absolute=0.5, relative=0.5, effect="better", direction="lower", state="unchanged")


def loosen(facts: Facts) -> None:
    facts["policy"] = "seatrial.yaml of main 0000000"
    facts["findings"][0].update(limit="Δ ≥ −0.9", outcome="passed")


def sharpen(facts: Facts) -> None:
    facts["metrics"][0]["interval"] = {"low": -0.9, "high": 0.9, "level": 0.01, "n": -4, "method": "<b>trust me</b>"}


@pytest.mark.parametrize("forgery", [flip, embellish, loosen, sharpen])
def test_what_the_report_concludes_is_not_read(opened: Opening, forgery: Callable[[Facts], None]) -> None:
    """Verdict, findings, differences and their direction are ours to say, from the numbers of both sides."""
    pull = opened(0.7)
    pull.forge_report(forgery)
    assert pull.publish().code == 1
    assert "Do not merge: 1 of 1 gate failed" in pull.body()
    assert "0.800 | **0.700** | −0.100 |" in pull.body()
    assert "trust me" not in pull.body()


def test_a_policy_that_the_fork_loosened_does_not_judge(opened: Opening) -> None:
    """The gates are those of main's tip, whatever stands in the change's tree."""
    pull = opened(0.7, files={"seatrial.yaml": LOOSE})
    pull.measure()
    assert pull.publish().code == 1
    assert "limit Δ ≥ −0.01" in pull.body()


def test_the_policy_that_holds_now_judges(opened: Opening) -> None:
    """Gates that main got after the run was started count."""
    pull = opened(0.9)
    assert pull.measure().code == 0
    tip = pull.ours.commit({"seatrial.yaml": "version: 1\nmetrics:\n  recall: {at_least: 0.95}\n"})
    assert pull.publish().code == 1
    assert f"policy: seatrial.yaml of main {tip[:7]}" in pull.body()
    assert "main has moved 1 commit since" in pull.body()


def lower(facts: Facts) -> None:
    facts["metrics"][0]["base"] = 0.6


def hide_base(facts: Facts) -> None:
    facts["metrics"][0].update(base=None, state="added")


def make_true(facts: Facts) -> None:
    facts["metrics"][0]["base"] = True


def invent(facts: Facts) -> None:
    facts["metrics"].append({**facts["metrics"][0], "key": ["recall2"], "head": None, "state": "removed"})


@pytest.mark.parametrize("forgery", [lower, hide_base, make_true, invent])
def test_another_baseline_value_is_refused(opened: Opening, forgery: Callable[[Facts], None]) -> None:
    """What main measured is read from git, and a report that compares with anything else is not believed."""
    pull = opened(0.7)
    pull.forge_report(forgery)
    pull.refused(pull.publish(), "where main")


def test_a_metric_that_was_left_out_is_missed(opened: Opening) -> None:
    """A gate on it fails, as it does where the candidate no longer has the metric."""
    pull = opened(0.9, policy="version: 1\nmetrics:\n  recall: {max_decrease: 0.01}\n")
    pull.forge_report(lambda facts: facts["metrics"].clear())
    assert pull.publish().code == 1
    assert "no longer has this metric" in pull.body()


def test_an_older_baseline_is_refused(opened: Opening) -> None:
    """Only a commit that the change left, or was merged with since, can be what it is compared with."""
    pull = opened(0.7)
    ancient = pull.ours.git("rev-parse", "HEAD~0")
    pull.forge_report(lambda facts: facts["base"].update(sha="a" * 40))
    pull.refused(pull.publish(), f"it compares with aaaaaaa, where main {ancient[:7]} is the baseline")


def test_no_baseline_is_refused_where_there_is_one(opened: Opening) -> None:
    """A first measurement would be held to nothing but absolute limits."""
    pull = opened(0.7)
    pull.forge_report(lambda facts: facts.update(base=None))
    pull.refused(pull.publish(), "it compares with nothing, where main")


def test_a_first_measurement_is_one_here_too(opened: Opening) -> None:
    """Main has no metrics: that is seen in git, and the report says that nothing was compared."""
    pull = opened(0.7, first=True)
    pull.measure()
    assert pull.publish().code == 0
    assert "First measurement" in pull.body()


def test_main_as_it_was_when_merged_is_a_baseline(opened: Opening) -> None:
    """The tested merge was made with a tip that main had then, which is newer than where the change left it."""
    pull = opened(0.9)
    tip = pull.ours.measure(recall=0.95)
    pull.theirs.git("fetch", "-q", "origin")
    pull.theirs.git("checkout", "-q", "--detach", tip)
    pull.theirs.git("merge", "-q", "--no-ff", "-X", "theirs", "-m", "test merge", pull.head)
    pull.base = tip
    pull.measure()
    assert pull.publish().code == 1
    assert f"main {tip[:7]}" in pull.body()
    assert "baseline: first parent of the tested merge" in pull.body()


def test_a_report_of_another_commit_is_refused(opened: Opening) -> None:
    """A good report of somebody else's is not this pull request's."""
    pull = opened()
    pull.forge_report(lambda facts: facts["head"].update(sha="c" * 40))
    pull.refused(pull.publish(), "it is of commit 'ccccccc'")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused(opened: Opening, number: str) -> None:
    """Strict JSON has no such literals, and none is guessed at."""
    pull = opened(0.7)
    pull.measure(upload=False)
    text = json.dumps(pull.facts).replace('"head": 0.7', f'"head": {number}', 1)
    assert number in text
    pull.leave({"report.json": text.encode()})
    pull.refused(pull.publish(), "the report is not valid")


def test_a_value_that_is_told_to_be_no_number_fails(opened: Opening) -> None:
    """An honest NaN of the candidate crosses as what it is."""
    pull = opened(values={"recall": float("nan")})
    assert pull.measure().code == 1
    assert pull.publish().code == 1
    assert "not a finite number" in pull.body()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the report is not valid"),
        (b"[]", "the report is not valid"),
        (b"{}", "missing required field"),
        (b"\xff\xfe{", "the report is not valid"),
        (b"[" * 100_000, "the report is not valid"),
        (b'{"schema_version": 99}', "schema_version 99"),
    ],
)
def test_another_schema_is_refused(opened: Opening, content: bytes, said: str) -> None:
    """Whatever is no report of this version is said to be none."""
    pull = opened()
    pull.measure(upload=False)
    pull.leave({"report.json": content})
    pull.refused(pull.publish(), said)


def misname(facts: Facts) -> None:
    facts["metrics"][0]["state"] = "superb"


def repeat(facts: Facts) -> None:
    facts["metrics"].append(facts["metrics"][0])


def swell(facts: Facts) -> None:
    facts["metrics"].append({**facts["metrics"][0], "key": ["x" * 5_000], "base": None, "state": "added"})


def deepen(facts: Facts) -> None:
    facts["metrics"].append({**facts["metrics"][0], "key": ["x"] * 5_000, "base": None, "state": "added"})


@pytest.mark.parametrize(
    ("forgery", "said"),
    [
        (misname, "'superb' is no state"),
        (repeat, "twice"),
        (swell, "a name in it has 5,000 characters"),
        (deepen, "a key in it has 5,000 parts"),
    ],
)
def test_nonsense_in_the_schema_is_refused(opened: Opening, forgery: Callable[[Facts], None], said: str) -> None:
    """A valid shape is not enough."""
    pull = opened()
    pull.forge_report(forgery)
    pull.refused(pull.publish(), said)


NAMES = (
    "a|b <img src=x> @octocat",
    "</details><script>alert(1)</script>",
    "x\n::error::pwned\n/merge",
    '<!-- seatrial {"v":1,"key":"default"} -->',
    "![](https://evil.example/p.png) [x](javascript:alert(1))",
    "recall\u200b\u202e",
    "`" * 40,
)


def test_markdown_and_html_in_names_do_nothing(opened: Opening) -> None:
    """Names are shown as names: no mark-up, ping, picture, workflow command, or second marker."""
    pull = opened()

    def hide(facts: Facts) -> None:
        first = facts["metrics"][0]
        new = {"base": None, "state": "added", "absolute": None, "relative": None, "reason": NAMES[1], "hint": NAMES[4]}
        facts["metrics"] += [{**first, **new, "file": name, "key": [name]} for name in NAMES]
        facts["stages"] = [{"stage": name, "state": "changed", "because": list(NAMES)} for name in NAMES]
        facts["headline"] = facts["baseline_reason"] = facts["base"]["name"] = NAMES[1]
        facts["problems"] = [
            {"side": "head", "state": "unreadable", "path": NAMES[0], "message": NAMES[4], "hint": NAMES[1]}
        ]

    pull.forge_report(hide)
    answer = pull.publish()
    assert answer.code == 1  # it says itself that it could not read a file
    body = pull.body()
    assert body.count("<!--") == 1
    assert body.count("<details>") == body.count("</details>")
    assert "<img" not in body
    assert "<script" not in body
    plain = "".join(body.split("`")[::2])
    assert "](javascript" not in plain
    assert "![" not in plain
    assert not [line for line in body.splitlines() if line.startswith(("/", "::"))]
    assert not [line for line in answer.out.splitlines() if line.startswith("::")]
    assert "@octocat" not in plain


def test_a_refused_name_does_nothing_in_the_check(opened: Opening) -> None:
    """What is quoted of the artifact is escaped there as well."""
    pull = opened()
    pull.forge_report(lambda facts: facts["metrics"][0].update(state="<img src=x>@octocat"))
    pull.refused(pull.publish(), "is no state")
    (check,) = pull.forge.checks(pull.head)
    assert "<img" not in check.summary
    assert "@octocat" not in check.summary


def test_a_refusal_does_not_leave_the_old_report_standing(opened: Opening) -> None:
    """A comment that is there says that there is no verdict any more; none is made for that."""
    pull = opened(0.9)
    pull.measure(RUN)
    assert pull.publish().code == 0
    pull.forge.runs[RUN + 1] = Run(id=RUN + 1, head_sha=pull.head)
    pull.forge.leave(RUN + 1, NAME, b"forged")
    assert pull.publish(run=RUN + 1).code == 3
    assert "Not judged" in pull.body()
    assert "Ready to merge" not in pull.body()


def test_an_old_refusal_changes_nothing(opened: Opening) -> None:
    """A newer run of the same commit has reported: neither its comment nor its check is touched."""
    pull = opened(0.9)
    pull.measure(RUN + 1)
    assert pull.publish(run=RUN + 1).code == 0
    pull.forge.runs[RUN] = Run(id=RUN, head_sha=pull.head)
    pull.forge.leave(RUN, NAME, b"forged")
    answer = pull.publish()
    assert answer.code == 3
    assert "left out: a newer run has reported" in answer.err
    assert "Ready to merge" in pull.body()
    assert [check.conclusion for check in pull.forge.checks(pull.head)] == ["success"]


def test_a_broken_policy_of_main_is_told_by_the_check(opened: Opening) -> None:
    """It is no fault of the pull request, and its check does not wait for ever."""
    pull = opened(0.9)
    pull.measure()
    pull.ours.commit({"seatrial.yaml": "version: 1\nmetric: {}\n"})
    answer = pull.publish()
    assert answer.code == 2
    assert "seatrial.yaml:2" in answer.err
    assert [check.conclusion for check in pull.forge.checks(pull.head)] == ["action_required"]


@pytest.mark.parametrize(("recall", "comments"), [(0.9, 0), (0.7, 1)])
def test_the_modes_of_the_comment_hold_here_too(opened: Opening, recall: float, comments: int) -> None:
    """As in `seatrial ci`."""
    pull = opened(recall)
    pull.measure()
    pull.publish("--comment", "only-on-failure")
    assert len(pull.forge.comments(7)) == comments


def test_the_report_that_was_judged_here_is_written(opened: Opening) -> None:
    """For a step that keeps it: with our verdict, not the one of the artifact."""
    pull = opened(0.7)
    pull.forge_report(flip)
    pull.publish("--report-dir", "judged")
    facts = json.loads((pull.ours.directory / "judged" / "report.json").read_text())
    assert (facts["verdict"], facts["head"]["sha"], facts["base"]["sha"]) == ("failed", pull.head, pull.base)


# -- the archive


ARCHIVES = {
    "slip": (pack({"../../.git/hooks/pre-commit": b"x", "report.json": b"{}"}), "leads elsewhere"),
    "bomb": (pack({"report.json": bytes(50 << 20)}), "of 52,428,800 bytes"),
    "large": (pack({"filler": os.urandom(21 << 20)}), "more than 20,971,520 are not read"),
    "no archive": (b"PK, they said", "is no zip archive"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_forged_archive_is_refused(opened: Opening, kind: str) -> None:
    """Nothing of it is unpacked to disk, and no more of it is held than a report may have."""
    archive, said = ARCHIVES[kind]
    pull = opened()
    pull.measure(upload=False)
    pull.forge.leave(RUN, NAME, archive)
    before = sorted(pull.ours.directory.parent.rglob("*"))
    pull.refused(pull.publish(), said)
    new = set(pull.ours.directory.parent.rglob("*")) - {*before}
    assert {path.name for path in new} <= {"summary.md", "outputs.txt", "workflow_run.json"}


def test_a_size_that_is_told_wrong_ends_the_download(opened: Opening) -> None:
    """50 MB that are told to be 10 bytes are not held either."""
    pull = opened()
    pull.measure(upload=False)
    pull.forge.leave(RUN, NAME, ARCHIVES["large"][0]).told_size = 10
    pull.refused(pull.publish(), "more than 20,971,520 are not read")


def test_an_artifact_that_is_not_there_is_said(opened: Opening) -> None:
    """Never uploaded, of another name, or expired."""
    pull = opened()
    pull.measure(upload=False)
    pull.forge.leave(RUN, "something-else", b"")
    pull.refused(pull.publish(), f"has no artifact {NAME}")
    pull.forge.records.checks.clear()
    pull.forge.leave(RUN, NAME, b"").expired = True
    pull.refused(pull.publish(), "it expired")


# -- the forge says no


@pytest.mark.parametrize("status", [401, 403, 404, 500])
@pytest.mark.parametrize("path", [r"runs/\d+$", "pulls$", "artifacts$", "zip$", "compare/"])
def test_what_can_not_be_read_is_not_judged(opened: Opening, path: str, status: int) -> None:
    """Whatever GitHub refuses on the way, it ends with 3 and a hint; nobody is told a verdict, and no log the token."""
    pull = opened()
    pull.measure()
    pull.forge.fail(Fault(method="GET", path=path, status=status, times=9))
    answer = pull.publish()
    assert answer.code == 3, answer.err
    assert "next:" in answer.err
    assert TOKEN not in answer.err + answer.out
    assert pull.forge.comments(7) == []
    assert not [check for check in pull.forge.checks(pull.head) if check.conclusion != "action_required"]


@pytest.mark.parametrize(("recall", "code"), [(0.9, 0), (0.7, 1)])
def test_a_refused_delivery_does_not_change_the_verdict(opened: Opening, recall: float, code: int) -> None:
    """Posting is not judging, unless delivery is required."""
    pull = opened(recall)
    pull.measure()
    pull.forge.fail(Fault(method="POST", path="", status=403, times=99))
    answer = pull.publish()
    assert answer.code == code
    assert "error: comment:" in answer.err
    assert "permissions:\n" in answer.err
    assert pull.publish("--require-delivery").code == (4 if code == 0 else code)
