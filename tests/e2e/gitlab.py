"""GitLab's part in a pipeline, played by gitlab-ci-local on this machine: include, inputs, variables, run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.project import Project, Revisions
from tests.fakes.gitlab import GitLabStandIn

HERE = Path(__file__).parent
TEMPLATE = ".gitlab-ci-template.yml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished pipeline; `artifacts` holds what its jobs declared as such."""

    succeeded: bool
    log: str
    artifacts: Path

    @property
    def outputs(self) -> dict[str, str]:
        """The variables that the dotenv report hands to the jobs that follow."""
        lines = (self.artifacts / "seatrial-report/outputs.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


def find_engine() -> str:
    """The engine; its absence is a failure, so that no run of the tests can go without it unseen."""
    engine = HERE / "node_modules/.bin/gitlab-ci-local"
    assert engine.exists(), "gitlab-ci-local is not installed: npm ci --prefix tests/e2e"
    assert shutil.which("rsync"), "gitlab-ci-local needs rsync: apt-get install rsync"
    return str(engine)


def describe_merge_request(branch: str, tested: Revisions) -> dict[str, str]:
    """The variables of a merged-results pipeline, which the engine does not know of."""
    return {
        "CI_COMMIT_SHA": tested.merge,
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": tested.base,
        "CI_MERGE_REQUEST_EVENT_TYPE": "merged_result",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_PROJECT_ID": "7",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": branch,
        "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": tested.head,
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": tested.base,
        "CI_PIPELINE_SOURCE": "merge_request_event",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs pipelines of a project against a stand-in GitLab."""

    forge: GitLabStandIn
    token: str

    def run(self, project: Project, variables: Mapping[str, str], *, number: int = 1, job: str = "") -> Run:
        """One pipeline of the project, or one job of it, as a person starts it; later ones have greater numbers."""
        told = {
            **variables,
            "CI_API_V4_URL": self.forge.api_url,
            "CI_PIPELINE_ID": str(1000 + number),
            "CI_SERVER_URL": self.forge.web_url,
            "GITLAB_CI": "true",
            "SEATRIAL_TOKEN": self.token,
        }
        command = [find_engine(), "--force-shell-executor", "--shell-isolation", "--no-color"]
        command += [part for key, value in told.items() if value for part in ("--variable", f"{key}={value}")]
        command += [job] if job else []
        done = subprocess.run(
            command,
            cwd=project.directory,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        artifacts = project.directory / f".gitlab-ci-local/artifacts/{job or 'seatrial'}"
        return Run(succeeded=done.returncode == 0, log=done.stdout, artifacts=artifacts)

    def _environment(self) -> dict[str, str]:
        """What a runner has: tools and how to reach package registries, but no CI job around it."""
        ours = ("CI", "GITHUB_", "GITLAB_", "SEATRIAL_", "GCL_", "VIRTUAL_ENV", "PYTHON")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        tools = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        return {**env, "PATH": tools, "DVC_NO_ANALYTICS": "1"}
