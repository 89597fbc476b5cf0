"""`seatrial doctor` in real repositories and jobs: what is wrong is named, with what mends it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.github import ACTIONS, GitHubStandIn
from tests.fakes.gitlab import BOT, GitLabStandIn
from tests.fakes.records import TOKEN, Change, Identity
from tests.integration.repositories import Answer, Scratch, run_seatrial

POLICY = "version: 1\nmetrics:\n  recall: {at_least: 0.5}\n"
PATH_OF_DVC = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
WORKFLOW = """\
on: pull_request
permissions: {contents: read, pull-requests: write, checks: write}
jobs:
  report:
    steps:
      - uses: actions/checkout@v7
        with: {fetch-depth: 0}
      - uses: seatrial/seatrial@v0.1.0
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """A project with nothing wrong."""
    scratch = Scratch.create(tmp_path / "project")
    scratch.write({"seatrial.yaml": POLICY, ".github/workflows/report.yml": WORKFLOW})
    scratch.measure(recall=0.8, loss=0.3)
    return scratch


def examine(scratch: Scratch, *options: str, env: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any], str]:
    """The exit code, the worst answer of every check by its name, and all that was printed."""
    answer: Answer = run_seatrial(
        scratch.directory, "doctor", "--format", "json", *options, env={"PATH": PATH_OF_DVC, **(env or {})}
    )
    assert answer.code in {0, 1}, answer.err
    worst = ["ok", "skipped", "warn", "fail"]
    checks: dict[str, Any] = {}
    for check in answer.facts["checks"]:
        known = checks.get(check["name"])
        if known is None or worst.index(check["health"]) > worst.index(known["health"]):
            checks[check["name"]] = check
    return answer.code, checks, answer.out + answer.err


def test_a_sound_project_has_nothing_to_mend(scratch: Scratch) -> None:
    """Every check says what it found."""
    code, checks, _ = examine(scratch)
    assert (code, {check["health"] for check in checks.values()}) == (0, {"ok"})
    assert checks["default branch"]["message"] == "main"
    assert checks["policy"]["message"].startswith("seatrial.yaml is valid: 1 of 2 metrics gated")


def test_what_people_read_says_the_same(scratch: Scratch) -> None:
    """A line for each check, its remedy below; plain text where nobody sees colours."""
    scratch.commit({"seatrial.yaml": "version: 1\nmetrics:\n  recal: {at_least: 0.5}\n"})
    answer = run_seatrial(scratch.directory, "doctor", env={"PATH": PATH_OF_DVC})
    assert answer.code == 1
    assert "✗ policy          seatrial.yaml:3: no metric is called recal\n" in answer.out
    assert "                  → did you mean recall?\n" in answer.out
    assert "\x1b" not in answer.out


@pytest.mark.parametrize(
    ("files", "name", "health", "words"),
    [
        ({"seatrial.yaml": "version: 1\nmetricz: {}\n"}, "policy", "fail", "did you mean `metrics`?"),
        ({"seatrial.yaml": "version: 1\n"}, "policy", "warn", "gates nothing"),
        ({"metrics.json": '{"recall": NaN}'}, "metrics", "fail", "recall is nan"),
        ({"metrics.json": "{"}, "metrics", "fail", "is not JSON"),
        ({"dvc.yaml": "stages: {}\n"}, "metrics", "fail", "no metrics are declared"),
        ({"other/dvc.yaml": "stages: ["}, "DVC files", "fail", "other/dvc.yaml"),
        ({"seatrial.yaml": f"{POLICY}evaluations:\n  - {{predictions: p.csv, key: id, label: y, score: s}}\n"},
         "predictions", "fail", "p.csv is not there"),
        ({"seatrial.yaml": f"{POLICY}tables:\n  - {{path: t.csv, key: id, max_rows_removed: 1%}}\n"},
         "tables", "fail", "t.csv is not on this machine"),
        ({"seatrial.yaml": f"{POLICY}tables:\n  - {{path: t.csv, key: id, max_rows_removed: 1%}}\n",
          "t.csv/part.csv": "id\n1\n"}, "tables", "fail", "t.csv is a directory"),
        ({"seatrial.yaml": f"{POLICY}waivers:\n  - {{gate: recall, reason: x, until: 2020-01-01}}\n"},
         "policy", "warn", "ended on 2020-01-01"),
        ({".github/workflows/report.yml": WORKFLOW.replace("        with: {fetch-depth: 0}\n", "")},
         "CI file", "warn", "fetch-depth: 0"),
        ({".github/workflows/report.yml": WORKFLOW.replace(", checks: write", "")}, "CI file", "warn", "the check"),
        ({".github/workflows/report.yml": WORKFLOW.replace("pull_request", "pull_request_target")},
         "CI file", "fail", "pull_request_target"),
        ({".github/workflows/report.yml": "on: push\n"}, "CI file", "warn", "seatrial init"),
        ({".github/workflows/report.yml": WORKFLOW + "{["}, "CI file", "fail", "is not YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_mends_it(
    scratch: Scratch, files: dict[str, str], name: str, health: str, words: str
) -> None:
    """Failures make the exit code 1, warnings don't."""
    scratch.commit(files)
    code, checks, _ = examine(scratch)
    assert checks[name]["health"] == health
    assert words in checks[name]["message"] + checks[name]["remedy"]
    assert checks[name]["remedy"]
    assert code == (1 if health == "fail" else 0)


def test_predictions_are_read_with_the_columns_that_are_named(scratch: Scratch) -> None:
    """A column that is not there fails, with the nearest that is."""
    entry = "evaluations:\n  - {predictions: p.csv, key: id, label: label, score: scor}\n"
    scratch.commit({"p.csv": "id,label,score\na,0,0.1\nb,1,0.9\n", "seatrial.yaml": POLICY + entry})
    _, checks, _ = examine(scratch)
    assert "did you mean 'score'?" in checks["predictions"]["remedy"]
    scratch.commit({"seatrial.yaml": POLICY + entry.replace("scor}", "score}")})
    _, checks, _ = examine(scratch)
    assert checks["predictions"]["message"] == "p.csv: 2 rows with id, label, score"


def test_a_shallow_clone_is_told_with_both_ways_to_deepen_it(scratch: Scratch, tmp_path: Path) -> None:
    """The command for here, and the lines for GitHub and GitLab."""
    scratch.measure(recall=0.81)
    scratch.git("clone", "--quiet", "--depth=1", f"file://{scratch.directory}", str(tmp_path / "clone"))
    _, checks, _ = examine(Scratch(tmp_path / "clone"))
    assert checks["history"]["health"] == "warn"
    for words in ("git fetch --unshallow", "fetch-depth: 0", "GIT_DEPTH", "depth: full"):
        assert words in checks["history"]["remedy"]


def test_a_strange_default_branch_is_told(scratch: Scratch) -> None:
    """The comparison needs its baseline named there."""
    scratch.git("branch", "-m", "trunk")
    _, checks, _ = examine(scratch)
    assert checks["default branch"]["health"] == "warn"
    assert "seatrial compare BASE" in checks["default branch"]["remedy"]


def test_outputs_that_are_nowhere_are_named(scratch: Scratch) -> None:
    """With no remote nothing can bring them."""
    lock = f"schema: '2.0'\nstages:\n  t:\n    cmd: x\n    outs:\n    - path: model.bin\n      md5: {'a' * 32}\n"
    scratch.commit({"sub/dvc.yaml": "stages:\n  t:\n    cmd: x\n    outs: [model.bin]\n", "sub/dvc.lock": lock})
    code, checks, _ = examine(scratch)
    assert (code, checks["cache"]["health"]) == (0, "warn")
    assert "sub/model.bin" in checks["cache"]["message"]
    assert "dvc remote add" in checks["cache"]["remedy"]
    scratch.commit({".dvc/config": "[core]\n    remote = s\n['remote \"s\"']\n    url = s3://b/x\n"})
    _, checks, _ = examine(scratch)
    assert checks["cache"]["remedy"] == "dvc pull sub/model.bin"


@pytest.mark.parametrize(("severity", "health"), [("fail", "fail"), ("warn", "warn")])
def test_stale_stages_weigh_as_the_policy_says(scratch: Scratch, severity: str, health: str) -> None:
    """A dependency that is not what the stage ran with is named."""
    lock = (
        "schema: '2.0'\nstages:\n  train:\n    cmd: train\n    deps:\n    - path: train.py\n"
        f"      md5: {'a' * 32}\n      size: 1\n"
    )
    stage = "stages:\n  train:\n    cmd: train\n    deps: [train.py]\n    metrics: [{metrics.json: {cache: false}}]\n"
    policy = f"{POLICY}stale: {severity}\n"
    scratch.commit({"train.py": "x\n", "dvc.yaml": stage, "dvc.lock": lock, "seatrial.yaml": policy})
    _, checks, _ = examine(scratch)
    assert checks["stale stages"]["health"] == health
    assert "train (train.py)" in checks["stale stages"]["message"]


def test_without_dvc_on_the_path_it_warns(scratch: Scratch, tmp_path: Path) -> None:
    """Metrics in git need no DVC; what is in the cache alone does."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("git", "sh"):
        place = next(Path(part) / name for part in os.environ["PATH"].split(os.pathsep) if (Path(part) / name).exists())
        (binaries / name).symlink_to(place)
    code, checks, _ = examine(scratch, env={"PATH": str(binaries)})
    assert (code, checks["dvc"]["health"]) == (0, "warn")


def test_outside_of_a_repository_it_says_so(tmp_path: Path) -> None:
    """One check fails, and those that rest on it are not made."""
    code, checks, _ = examine(Scratch(tmp_path))
    assert code == 1
    assert list(checks) == ["git", "repository"]


def test_a_repository_without_a_commit_says_so(tmp_path: Path) -> None:
    """There is nothing to compare with."""
    scratch = Scratch.create(tmp_path / "project")
    code, checks, _ = examine(scratch)
    assert code == 1
    assert "no commit yet" in checks["repository"]["message"]


# -- in a job


@pytest.fixture
def github() -> Iterator[GitHubStandIn]:
    """A GitHub with one pull request and two tokens."""
    person = Identity(token="ghp_reads", login="ada", kind="personal", may=frozenset())
    with GitHubStandIn(changes=(Change(number=7),), identities=(ACTIONS, person)) as forge:
        yield forge


@pytest.fixture
def gitlab() -> Iterator[GitLabStandIn]:
    """A GitLab with one merge request and two tokens."""
    reader = Identity(token="glpat-reads", login="reader", kind="bot", may=frozenset())
    with GitLabStandIn(changes=(Change(number=7),), identities=(BOT, reader)) as forge:
        yield forge


def describe_github(
    scratch: Scratch, forge: GitHubStandIn, token: str = TOKEN, *, fork: bool = False
) -> dict[str, str]:
    """The variables and the event file of a pull request's job."""
    head = scratch.git("rev-parse", "HEAD")
    full_name = "stranger/flights" if fork else forge.repository
    sides = {
        "head": {"sha": head, "ref": "feature", "repo": {"full_name": full_name}},
        "base": {"sha": head, "ref": "main", "repo": {"full_name": forge.repository}},
    }
    event = scratch.directory.parent / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7, **sides}}))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_SHA": head,
        "GITHUB_REPOSITORY": forge.repository,
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_API_URL": forge.api_url,
        "GITHUB_SERVER_URL": forge.web_url,
        "GITHUB_STEP_SUMMARY": str(scratch.directory.parent / "summary.md"),
        "GITHUB_TOKEN": token,
    }


def describe_gitlab(scratch: Scratch, forge: GitLabStandIn, token: str = TOKEN) -> dict[str, str]:
    """The variables of a merge request's job."""
    head = scratch.git("rev-parse", "HEAD")
    return {
        "GITLAB_CI": "true",
        "CI_API_V4_URL": forge.api_url,
        "CI_SERVER_URL": forge.web_url,
        "CI_PROJECT_ID": "7",
        "CI_MERGE_REQUEST_PROJECT_ID": "7",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": head,
        "CI_COMMIT_SHA": head,
        "CI_PIPELINE_ID": "50",
        "CI_JOB_ID": "5",
        "CI_JOB_URL": f"{forge.web_url}/-/jobs/5",
        "SEATRIAL_TOKEN": token,
    }


def test_the_jobs_own_token_is_accepted_and_never_printed(scratch: Scratch, github: GitHubStandIn) -> None:
    """GitHub does not tell what it may do: then what will be posted stands under a condition."""
    code, checks, printed = examine(scratch, env=describe_github(scratch, github))
    assert code == 0
    assert checks["CI job"]["message"].startswith("GitHub Actions, pull request 7; baseline: ")
    assert checks["token"]["message"].startswith("GITHUB_TOKEN is accepted")
    assert "if the token may: the check and the comment" in checks["delivery"]["message"]
    assert TOKEN not in printed
    assert {request.method for request in github.requests} == {"GET"}


def test_a_token_without_rights_is_told_with_the_lines_to_paste(scratch: Scratch, github: GitHubStandIn) -> None:
    """A person's token tells its scopes."""
    code, checks, printed = examine(scratch, env=describe_github(scratch, github, "ghp_reads"))
    assert (code, checks["token"]["health"]) == (0, "warn")
    assert "may not write the comment and the check" in checks["token"]["message"]
    assert "pull-requests: write" in checks["token"]["remedy"]
    assert checks["delivery"]["message"] == "the report's files, the job summary, the exit code"
    assert "ghp_reads" not in printed


def test_a_token_that_nobody_knows_fails(scratch: Scratch, github: GitHubStandIn) -> None:
    """Its variable is named, not its value."""
    code, checks, printed = examine(scratch, env=describe_github(scratch, github, "expired-one"))
    assert (code, checks["token"]["health"]) == (1, "fail")
    assert "GITHUB_TOKEN" in checks["token"]["message"]
    assert "expired-one" not in printed


def test_a_fork_is_told_what_it_gets(scratch: Scratch, github: GitHubStandIn) -> None:
    """Its token posts nothing, whatever it says."""
    _, checks, _ = examine(scratch, env=describe_github(scratch, github, fork=True))
    assert "from a fork" in checks["CI job"]["message"]
    assert checks["delivery"]["message"].endswith("a fork's token posts nothing")


def test_offline_asks_nobody(scratch: Scratch, github: GitHubStandIn) -> None:
    """The check says that it was not made."""
    _, checks, _ = examine(scratch, "--offline", env=describe_github(scratch, github))
    assert checks["token"]["health"] == "skipped"
    assert github.requests == []


def test_a_garbled_job_is_told(scratch: Scratch, github: GitHubStandIn) -> None:
    """A variable that is missing is named."""
    code, checks, _ = examine(scratch, env={**describe_github(scratch, github), "GITHUB_REPOSITORY": ""})
    assert code == 1
    assert "GITHUB_REPOSITORY" in checks["CI job"]["message"]


@pytest.mark.parametrize("shape", ["json", "terminal"])
def test_no_name_is_a_command_to_the_runner(scratch: Scratch, github: GitHubStandIn, shape: str) -> None:
    """What a pull request's policy says is printed in its own job, and not obeyed there."""
    scratch.commit({"seatrial.yaml": "version: 1\nmetrics:\n  '##[error]x': {at_least: 0}\n"})
    answer = run_seatrial(
        scratch.directory, "doctor", "--format", shape, env={"PATH": PATH_OF_DVC, **describe_github(scratch, github)}
    )
    assert "error]x" in answer.out
    assert "##[" not in answer.out


def test_gitlab_tells_scope_and_role(scratch: Scratch, gitlab: GitLabStandIn) -> None:
    """A project's token with api and role Developer will post both."""
    code, checks, printed = examine(scratch, env=describe_gitlab(scratch, gitlab))
    assert code == 0
    assert checks["delivery"]["message"] == "the report's files, the exit code, the check, the comment"
    assert TOKEN not in printed


def test_gitlab_says_which_token_would_do(scratch: Scratch, gitlab: GitLabStandIn) -> None:
    """One that reads alone, and none at all."""
    _, checks, _ = examine(scratch, env=describe_gitlab(scratch, gitlab, "glpat-reads"))
    assert checks["token"]["health"] == "warn"
    assert "scope api" in checks["token"]["remedy"]
    _, checks, _ = examine(scratch, env=describe_gitlab(scratch, gitlab, ""))
    assert (checks["token"]["health"], checks["delivery"]["health"]) == ("warn", "ok")
    assert "SEATRIAL_TOKEN" in checks["token"]["message"]
