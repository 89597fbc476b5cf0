"""A pull request as GitHub sees it: its branch, its test merge, its job."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.terminal import environment, run

REPOSITORY = "octo/flights"
NUMBER = 7
BRANCH = "fewer-false-alarms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """What GitHub makes of a push to the branch: its head, the tip of main, and their test merge."""

    head: str
    base: str
    merge: str


@dataclass(frozen=True, slots=True)
class Project:
    """A clone of this repository that the demonstration works in."""

    directory: Path

    def git(self, *arguments: str) -> str:
        """Run git there."""
        return run("git", *arguments, cwd=self.directory).strip()

    def change_parameter(self, name: str, old: str, new: str) -> None:
        """Set one parameter of params.yaml, as an editor would: the rest of the file stays as it is."""
        path = self.directory / "params.yaml"
        text = path.read_text(encoding="utf-8")
        changed, count = re.subn(rf"(?m)^(\s+{re.escape(name)}: ){re.escape(old)}\b", rf"\g<1>{new}", text)
        assert count == 1, f"params.yaml has no `{name}: {old}`"
        path.write_text(changed, encoding="utf-8")

    def commit(self, message: str) -> str:
        """Commit everything that changed, if anything did; the commit that is then checked out."""
        self.git("add", "--all")
        if self.git("status", "--porcelain"):
            self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def push(self) -> Push:
        """Make the test merge of the branch, and check it out as CI does."""
        head, base = self.git("rev-parse", BRANCH), self.git("rev-parse", "main")
        self.git("checkout", "--quiet", "--detach", "main")
        self.git("merge", "--quiet", "--no-ff", "--message", f"Merge {head} into {base}", BRANCH)
        run("dvc", "checkout", "--quiet", cwd=self.directory)
        return Push(head=head, base=base, merge=self.git("rev-parse", "HEAD"))

    def merge(self) -> str:
        """Press the merge button; the commit that main has then."""
        self.git("checkout", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "--message", f"Merge pull request #{NUMBER} from {BRANCH}", BRANCH)
        run("dvc", "checkout", "--quiet", cwd=self.directory)
        return self.git("rev-parse", "HEAD")


def describe_job(push: Push, *, run_number: int, web: str, api: str, work: Path) -> Mapping[str, str]:
    """The variables and the event file of the job that GitHub Actions starts for a push."""
    sides = {"full_name": REPOSITORY, "default_branch": "main"}
    event = {
        "action": "synchronize",
        "number": NUMBER,
        "pull_request": {
            "number": NUMBER,
            "head": {"sha": push.head, "ref": BRANCH, "repo": sides},
            "base": {"sha": push.base, "ref": "main", "repo": sides},
        },
        "repository": sides,
    }
    path = work / f"event-{run_number}.json"
    path.write_text(json.dumps(event, indent=2), encoding="utf-8")
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SHA": push.merge,
        "GITHUB_REF": f"refs/pull/{NUMBER}/merge",
        "GITHUB_RUN_ID": str(1000 + run_number),
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_SERVER_URL": web,
        "GITHUB_API_URL": api,
        "GITHUB_STEP_SUMMARY": str(work / f"summary-{run_number}.md"),
        "GITHUB_OUTPUT": str(work / f"outputs-{run_number}.txt"),
        "SEATRIAL_REPORT_DIR": str(work / f"report-{run_number}"),
    }


def judge(project: Project, job: Mapping[str, str], token: str) -> tuple[int, str]:
    """Run `seatrial ci` in that job; its exit code and what it printed."""
    done = subprocess.run(
        ("seatrial", "ci"),
        cwd=project.directory,
        env=environment({**job, "SEATRIAL_TOKEN": token}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout
