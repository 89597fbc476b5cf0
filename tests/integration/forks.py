"""A pull request from a fork: main in a clone of its own, the fork in another, and a forge that knows both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.contract import github_contract
from tests.fakes.github import GitHubStandIn
from tests.fakes.github_runs import Fork, Run, pack, pack_directory
from tests.fakes.records import TOKEN, Change
from tests.integration.repositories import Answer, Scratch, run_seatrial

GATED = "version: 1\nmetrics:\n  recall: {max_decrease: 0.01}\n"
NAME = "seatrial-report"
RUN = 5001
Facts = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class StrangersPull:
    """Main in a clone of its own; a fork's branch elsewhere, measured by a run without rights."""

    ours: Scratch
    theirs: Scratch
    forge: GitHubStandIn
    work: Path
    base: str
    head: str
    branch: str = "main"
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

    def publish(self, *arguments: str, run: int = RUN, env: Mapping[str, str] | None = None) -> Answer:
        """`seatrial publish` in the trusted job, which has main checked out."""
        return run_seatrial(self.ours.directory, "publish", *arguments, env={**self.our_variables(run), **(env or {})})

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
            "base": {"sha": self.base, "ref": self.branch, "repo": ours},
        }
        return {
            **self._variables(run, "pull_request", {"pull_request": {"number": 7, **sides}, "repository": ours}),
            "GITHUB_SHA": self.theirs.git("rev-parse", "HEAD"),
            "GITHUB_REF": "refs/pull/7/merge",
        }

    def our_variables(self, run: int) -> dict[str, str]:
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


@contextmanager
def open_forge() -> Iterator[GitHubStandIn]:
    """A forge with the pull request 7 from a fork, on which every request has to fit GitHub's description."""
    with GitHubStandIn(changes=(Change(number=7),), contract=github_contract()) as forge:
        forge.forks[7] = Fork()
        yield forge


def open_pull(
    directory: Path,
    forge: GitHubStandIn,
    recall: float = 0.9,
    *,
    policy: str = GATED,
    first: bool = False,
    values: Mapping[str, Any] | None = None,
    main: Mapping[str, str | bytes] | None = None,
    files: Mapping[str, str | bytes] | None = None,
    branch: str = "main",
) -> StrangersPull:
    """Main (or another branch) has recall 0.8, a gate and these files; the change another recall and these files."""
    ours = Scratch.create(directory / "ours")
    if branch != "main":
        ours.measure(recall=0.1)
        ours.git("checkout", "-q", "-b", branch)
    ours.write({"seatrial.yaml": policy, **(main or {})})
    base = ours.commit({}) if first else ours.measure(recall=0.8)
    theirs = Scratch(directory / "theirs")
    ours.git("clone", "-q", str(ours.directory), str(theirs.directory))
    theirs.git("checkout", "-q", "-b", "feature")
    theirs.write(files or {})
    head = theirs.measure(**(values or {"recall": recall}))
    theirs.git("checkout", "-q", "--detach", base)
    theirs.git("merge", "-q", "--no-ff", "-m", "test merge", head)
    ours.git("checkout", "-q", "main")
    work = directory / "work"
    work.mkdir()
    change = forge.records.changes[7]
    change.head_sha, change.base_sha, change.base_ref = head, base, branch
    # GitHub has the objects of forks at hand; here the fork's clone plays that part.
    forge.divergence["find"] = lambda name, sha: (
        ours.git("rev-parse", name),
        theirs.git("merge-base", f"origin/{name}", sha),
    )
    return StrangersPull(ours=ours, theirs=theirs, forge=forge, work=work, base=base, head=head, branch=branch)
