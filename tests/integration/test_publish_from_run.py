"""`seatrial publish`: what a fork's run measured is judged again, and whatever was forged is refused or of no effect."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.contract import github_contract
from tests.fakes.github import GitHubStandIn
from tests.fakes.github_runs import Fork, Run, pack, pack_directory
from tests.fakes.records import TOKEN, Change
from tests.integration.repositories import Answer, Scratch, run_seatrial

GATED = "version: 1\nmetrics:\n  recall: {max_decrease: 0.01}\n"
LOOSE = "version: 1\nmetrics:\n  recall: {max_decrease: 0.9}\n"
NAME = "seatrial-report"
RUN = 5001
Facts = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Fixture:
    """Main in a clone of its own; a fork's branch elsewhere, measured by a run without rights."""

    ours: Scratch
    theirs: Scratch
    forge: GitHubStandIn
    work: Path
    base: str
    head: str
    facts: Facts = field(default_factory=dict)

    def measure(self, run: int = RUN, *, attempt: int = 1, upload: bool = True) -> Answer:
        """`seatrial ci` in the fork's pull_request run, and the artifact that it leaves."""
        report = self.theirs.directory / NAME
        answer = run_seatrial(self.theirs.directory, "ci", "--no-comment", "--no-check", env=self._their_variables(run))
        self.forge.runs[run] = Run(id=run, head_sha=self.head, attempt=attempt)
        self.facts = json.loads((report / "report.json").read_text())
        if upload:
            self.forge.leave(run, NAME, pack_directory(report))
        return answer

    def forge_report(self, change: Callable[[Facts], object]) -> None:
        """Measure, and put a report into the artifact that somebody changed."""
        self.measure(upload=False)
        change(self.facts)
        self.leave({"report.json": json.dumps(self.facts).encode()})

    def leave(self, files: Mapping[str, bytes]) -> None:
        """An artifact with these files."""
        self.forge.leave(RUN, NAME, pack(files))

    def publish(self, *arguments: str, run: int = RUN, **changed: str) -> Answer:
        """`seatrial publish` in the trusted job, which has main checked out."""
        return run_seatrial(self.ours.directory, "publish", *arguments, env={**self._our_variables(run), **changed})

    def body(self) -> str:
        """The one comment."""
        (comment,) = self.forge.comments(7)
        return comment.body

    def refused(self, answer: Answer, reason: str) -> None:
        """Exit code 3, one reason, a check that says it, and nothing else."""
        assert answer.code == 3, answer.err + answer.out
        assert reason in answer.err
        assert "Traceback" not in answer.err
        (check,) = self.forge.checks(self.head)
        assert (check.name, check.conclusion) == ("seatrial", "action_required")
        assert self.forge.comments(7) == []

    def _their_variables(self, run: int) -> dict[str, str]:
        ours, theirs = {"full_name": "octo/flights", "default_branch": "main"}, {"full_name": "stranger/flights"}
        sides = {
            "head": {"sha": self.head, "ref": "feature", "repo": theirs},
            "base": {"sha": self.base, "ref": "main", "repo": ours},
        }
        return {
            **self._variables(run, "pull_request", {"pull_request": {"number": 7, **sides}, "repository": ours}),
            "GITHUB_SHA": self.theirs.git("rev-parse", "HEAD"),
            "GITHUB_REF": "refs/pull/7/merge",
        }

    def _our_variables(self, run: int) -> dict[str, str]:
        return {
            **self._variables(run + 1, "workflow_run", {"workflow_run": {"id": run}}),
            "GITHUB_SHA": self.ours.git("rev-parse", "main"),
            "GITHUB_STEP_SUMMARY": str(self.work / "summary.md"),
            "GITHUB_OUTPUT": str(self.work / "outputs.txt"),
            "SEATRIAL_TOKEN": TOKEN,
        }

    def _variables(self, run: int, event: str, payload: Facts) -> dict[str, str]:
        path = self.work / f"{event}.json"
        path.write_text(json.dumps(payload))
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(path),
            "GITHUB_REPOSITORY": "octo/flights",
            "GITHUB_RUN_ID": str(run),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_SERVER_URL": self.forge.web_url,
            "GITHUB_API_URL": self.forge.api_url,
        }


@pytest.fixture
def forge() -> Iterator[GitHubStandIn]:
    with GitHubStandIn(changes=(Change(number=7),), contract=github_contract()) as forge:
        forge.forks[7] = Fork()
        yield forge


Opening = Callable[..., Fixture]


@pytest.fixture
def opened(tmp_path: Path, forge: GitHubStandIn) -> Opening:
    """Opens a pull request from a fork: main has recall 0.8 and a gate, the change another recall."""

    def open_pull(
        recall: float = 0.9,
        *,
        policy: str = GATED,
        main: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        files: Mapping[str, str | bytes] | None = None,
        checkout: str = "merge",
    ) -> Fixture:
        ours = Scratch.create(tmp_path / "ours")
        ours.write({"seatrial.yaml": policy})
        base = ours.measure(**(main or {"recall": 0.8}))
        theirs = Scratch(tmp_path / "theirs")
        ours.git("clone", "-q", str(ours.directory), str(theirs.directory))
        theirs.git("checkout", "-q", "-b", "feature")
        theirs.write(files or {})
        head = theirs.measure(**(values or {"recall": recall}))
        if checkout == "merge":
            theirs.git("checkout", "-q", "--detach", base)
            theirs.git("merge", "-q", "--no-ff", "-m", "test merge", head)
        work = tmp_path / "work"
        work.mkdir()
        forge.records.changes[7].head_sha, forge.records.changes[7].base_sha = head, base
        # GitHub has the objects of forks at hand; here the fork's clone plays that part.
        forge.divergence["find"] = lambda branch, sha: (
            ours.git("rev-parse", branch),
            theirs.git("merge-base", f"origin/{branch}", sha),
        )
        return Fixture(ours=ours, theirs=theirs, forge=forge, work=work, base=base, head=head)

    return open_pull


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
