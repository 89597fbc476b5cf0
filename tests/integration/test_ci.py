"""`seatrial ci` in the variables of real jobs, reporting to the stand-in forges: judging first, posting beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.github import GitHubStandIn
from tests.fakes.records import TOKEN, Change
from tests.fakes.server import Fault
from tests.integration.repositories import Answer, Scratch, run_seatrial

GATED = "version: 1\nmetrics:\n  recall: {max_decrease: 0.01}\n"
UNREACHABLE = "http://127.0.0.1:9/api/v3"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """A repository whose HEAD is the test merge of a pull request, as actions/checkout leaves it."""

    scratch: Scratch
    head: str
    base: str
    forge: GitHubStandIn
    work: Path

    def run(self, *arguments: str, run: int = 1, **changed: str) -> Answer:
        """`seatrial ci` in the job of a push to the pull request."""
        return run_seatrial(self.scratch.directory, "ci", *arguments, env={**self.variables(run), **changed})

    def variables(self, run: int) -> Mapping[str, str]:
        repo = {"full_name": "octo/flights", "default_branch": "main"}
        event = {
            "number": 7,
            "pull_request": {
                "number": 7,
                "head": {"sha": self.head, "ref": "feature", "repo": repo},
                "base": {"sha": self.base, "ref": "main", "repo": repo},
            },
            "repository": repo,
        }
        (self.work / "event.json").write_text(json.dumps(event))
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(self.work / "event.json"),
            "GITHUB_REPOSITORY": "octo/flights",
            "GITHUB_SHA": self.scratch.git("rev-parse", "HEAD"),
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_RUN_ID": str(1000 + run),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_SERVER_URL": self.forge.web_url,
            "GITHUB_API_URL": self.forge.api_url,
            "GITHUB_STEP_SUMMARY": str(self.work / "summary.md"),
            "GITHUB_OUTPUT": str(self.work / "outputs.txt"),
            "SEATRIAL_TOKEN": TOKEN,
        }

    def body(self) -> str:
        """The one comment."""
        (comment,) = self.forge.comments(7)
        return comment.body


def open_pull_request(
    tmp_path: Path, forge: GitHubStandIn, *, recall: float, files: Mapping[str, str] | None = None
) -> PullRequest:
    """Main has recall 0.8 and a gate; the change has another recall, and these files."""
    scratch = Scratch.create(tmp_path / "project")
    scratch.write({"seatrial.yaml": GATED})
    base = scratch.measure(recall=0.8)
    scratch.git("checkout", "-q", "-b", "feature")
    scratch.write(files or {})
    head = scratch.measure(recall=recall)
    scratch.git("checkout", "-q", "--detach", base)
    scratch.git("merge", "-q", "--no-ff", "-m", "test merge", head)
    work = tmp_path / "work"
    work.mkdir()
    forge.records.changes[7].head_sha, forge.records.changes[7].base_sha = head, base
    return PullRequest(scratch=scratch, head=head, base=base, forge=forge, work=work)


@pytest.fixture
def forge() -> Iterator[GitHubStandIn]:
    with GitHubStandIn(changes=(Change(number=7),)) as forge:
        yield forge


def test_a_failed_gate_is_reported_everywhere(tmp_path: Path, forge: GitHubStandIn) -> None:
    """Exit code, comment, check on the head commit, summary, outputs and files tell the same."""
    pull = open_pull_request(tmp_path, forge, recall=0.7)
    answer = pull.run()
    assert answer.code == 1
    assert "Do not merge: 1 of 1 gate failed" in pull.body()
    assert pull.head[:7] in pull.body()
    (check,) = forge.checks(pull.head)
    assert (check.name, check.conclusion) == ("seatrial", "failure")
    assert "Do not merge" in (pull.work / "summary.md").read_text()
    assert "verdict<<" in (pull.work / "outputs.txt").read_text()
    report = pull.scratch.directory / "seatrial-report"
    assert sorted(path.name for path in report.iterdir()) == [
        "report.html",
        "report.json",
        "report.junit.xml",
        "report.md",
    ]
    facts = json.loads((report / "report.json").read_text())
    assert (facts["baseline_reason"], facts["base"]["sha"]) == ("first parent of the tested merge", pull.base)
    assert facts["head"]["sha"] == pull.head


def test_a_second_run_updates_the_comment(tmp_path: Path, forge: GitHubStandIn) -> None:
    """One comment, whatever the number of runs."""
    pull = open_pull_request(tmp_path, forge, recall=0.7)
    assert pull.run(run=1).code == 1
    pull.scratch.git("checkout", "-q", "feature")
    head = pull.scratch.measure(recall=0.9)
    pull.scratch.git("checkout", "-q", "--detach", pull.base)
    pull.scratch.git("merge", "-q", "--no-ff", "-m", "test merge", head)
    forge.records.changes[7].head_sha = head
    second = PullRequest(scratch=pull.scratch, head=head, base=pull.base, forge=forge, work=pull.work)
    assert second.run(run=2).code == 0
    assert "Ready to merge" in pull.body()


def test_another_key_has_a_comment_of_its_own(tmp_path: Path, forge: GitHubStandIn) -> None:
    """Several reports on one change do not fight."""
    pull = open_pull_request(tmp_path, forge, recall=0.8)
    pull.run()
    pull.run("--key", "nightly")
    assert len(forge.comments(7)) == 2


@pytest.mark.parametrize(("recall", "code"), [(0.9, 0), (0.7, 1)])
@pytest.mark.parametrize("status", [401, 403, 404, 422, 500])
def test_a_refused_delivery_does_not_change_the_verdict(
    tmp_path: Path, forge: GitHubStandIn, recall: float, code: int, status: int
) -> None:
    """The forge says no to everything: the verdict decides, and the refusal is told once with a hint."""
    pull = open_pull_request(tmp_path, forge, recall=recall)
    for method in ("GET", "POST", "PATCH"):
        forge.fail(Fault(method=method, path="", status=status, times=99))
    answer = pull.run()
    assert answer.code == code
    assert "error: comment:" in answer.err
    assert "next:" in answer.err
    assert status != 403 or "permissions:\n" in answer.err  # the lines to copy stay lines
    assert TOKEN not in answer.err + answer.out
    assert (pull.scratch.directory / "seatrial-report" / "report.html").exists()


def test_an_unreachable_forge_does_not_change_the_verdict(tmp_path: Path, forge: GitHubStandIn) -> None:
    """Nobody listens on that port."""
    pull = open_pull_request(tmp_path, forge, recall=0.7)
    answer = pull.run(GITHUB_API_URL=UNREACHABLE)
    assert answer.code == 1
    assert "127.0.0.1:9" in answer.err


@pytest.mark.parametrize(("recall", "code"), [(0.9, 4), (0.7, 1)])
def test_required_delivery_turns_a_pass_into_4(tmp_path: Path, forge: GitHubStandIn, recall: float, code: int) -> None:
    """A failed gate keeps its own code."""
    pull = open_pull_request(tmp_path, forge, recall=recall)
    assert pull.run("--require-delivery", GITHUB_API_URL=UNREACHABLE).code == code


def test_without_a_token_the_rest_is_delivered(tmp_path: Path, forge: GitHubStandIn) -> None:
    """A fork's job: summary and files, and one line that says what is missing."""
    pull = open_pull_request(tmp_path, forge, recall=0.9)
    answer = pull.run(SEATRIAL_TOKEN="")
    assert answer.code == 0
    assert "no token" in answer.err
    assert (pull.work / "summary.md").exists()
    assert forge.comments(7) == []


def test_a_change_can_not_loosen_its_own_gate(tmp_path: Path, forge: GitHubStandIn) -> None:
    """The baseline's policy judges, and the report says that the change's own differs."""
    pull = open_pull_request(tmp_path, forge, recall=0.7, files={"seatrial.yaml": "version: 1\n"})
    assert pull.run().code == 1
    assert "this PR changes the policy; it is judged by that of main" in pull.body()


def test_a_change_of_what_is_compared_is_told_too(tmp_path: Path, forge: GitHubStandIn) -> None:
    """A table that no rule speaks of is part of the policy."""
    tables = "tables:\n- {path: a.csv, key: id}\n"
    pull = open_pull_request(tmp_path, forge, recall=0.9, files={"seatrial.yaml": GATED + tables})
    assert pull.run().code == 0
    assert "this PR changes the policy; it is judged by that of main" in pull.body()


def test_a_change_with_a_broken_policy_is_refused(tmp_path: Path, forge: GitHubStandIn) -> None:
    """It would break the main branch."""
    pull = open_pull_request(tmp_path, forge, recall=0.9, files={"seatrial.yaml": "version: 1\nmetric: {}\n"})
    answer = pull.run()
    assert answer.code == 2
    assert "seatrial.yaml:2" in answer.err


def test_hostile_names_have_no_effect_in_the_comment(tmp_path: Path, forge: GitHubStandIn) -> None:
    """A metric named like an attack is shown and does nothing."""
    pull = open_pull_request(tmp_path, forge, recall=0.8)
    pull.scratch.git("checkout", "-q", "feature")
    pull.scratch.commit({"metrics.json": json.dumps({"recall": 0.8, "a|b <img src=x> @all\n/merge": 1})})
    pull.scratch.git("checkout", "-q", "--detach", pull.base)
    pull.scratch.git("merge", "-q", "--no-ff", "-m", "test merge", "feature")
    pull.run("--all")
    assert "<img" not in pull.body()
    assert "@all" not in pull.body()
    assert "\n/merge" not in pull.body()


@pytest.mark.parametrize("spelled", ["policy/gates.yaml", "{root}/policy/gates.yaml", "policy/../policy/gates.yaml"])
def test_a_named_policy_is_the_baselines_however_it_is_spelled(
    tmp_path: Path, forge: GitHubStandIn, spelled: str
) -> None:
    """An absolute path or `..` does not make the candidate's own policy count."""
    pull = open_pull_request(tmp_path, forge, recall=0.7)
    root = pull.scratch.directory
    pull.scratch.git("checkout", "-q", pull.base)
    base = pull.scratch.commit({"policy/gates.yaml": GATED})
    head = pull.scratch.commit({"policy/gates.yaml": "version: 1\n", "metrics.json": '{"recall": 0.1}'})
    changed = PullRequest(scratch=pull.scratch, head=head, base=base, forge=forge, work=pull.work)
    answer = changed.run("--config", spelled.format(root=root), "--no-comment", "--no-check")
    assert answer.code == 1
    assert "this PR changes the policy; it is judged by that of main" in answer.out


@pytest.mark.parametrize("options", [(), ("-C", "..")])
def test_a_policy_in_a_subdirectory_is_the_baselines(
    tmp_path: Path, forge: GitHubStandIn, options: tuple[str, ...]
) -> None:
    """A working directory below the root does not hide the baseline's policy; `-C` holds for --config too."""
    pull = open_pull_request(tmp_path, forge, recall=0.7)
    pull.scratch.git("checkout", "-q", pull.base)
    base = pull.scratch.commit({"team/seatrial.yaml": GATED, "team/below/kept": ""})
    head = pull.scratch.commit({"team/seatrial.yaml": "version: 1\n", "metrics.json": '{"recall": 0.1}'})
    changed = PullRequest(scratch=pull.scratch, head=head, base=base, forge=forge, work=pull.work)
    directory = pull.scratch.directory / ("team/below" if options else "team")
    arguments = (*options, "ci", "--config", "seatrial.yaml", "--no-comment", "--no-check")
    answer = run_seatrial(directory, *arguments, env=changed.variables(1))
    assert answer.code == 1
    assert "this PR changes the policy; it is judged by that of main" in answer.out


def test_a_policy_outside_of_the_repository_is_the_jobs_own(tmp_path: Path, forge: GitHubStandIn) -> None:
    """It judges as it stands, and is not called the candidate's."""
    pull = open_pull_request(tmp_path, forge, recall=0.7)
    policy = tmp_path / "gates.yaml"
    policy.write_text("version: 1\nmetrics:\n  recall: {at_least: 0.1}\n")
    answer = pull.run("--config", str(policy), "--no-comment", "--no-check")
    assert answer.code == 0
    assert f"policy: {policy} ·" in answer.out


@pytest.mark.parametrize("depth", [1, 2])
def test_a_shallow_clone_is_no_first_measurement(tmp_path: Path, forge: GitHubStandIn, depth: int) -> None:
    """Where the baseline has no metrics, the edge of a shallow clone is not the beginning of history."""
    pull = open_pull_request(tmp_path, forge, recall=0.7)
    scratch = pull.scratch
    scratch.git("checkout", "-q", "main")
    scratch.git("rm", "-q", "metrics.json")
    base = scratch.commit({})
    scratch.git("checkout", "-q", "-b", "changed")
    head = scratch.measure(recall=0.7)
    scratch.git("checkout", "-q", "-b", "merge", base)
    scratch.git("merge", "-q", "--no-ff", "-m", "test merge", head)
    clone = Scratch(tmp_path / "clone")
    scratch.git("clone", "-q", f"--depth={depth}", "--branch=merge", scratch.directory.as_uri(), str(clone.directory))
    changed = PullRequest(scratch=clone, head=head, base=base, forge=forge, work=pull.work)
    answer = changed.run("--no-comment", "--no-check")
    assert answer.code == 1
    assert "1 commit older, the nearest that holds metrics" in answer.out


def test_a_change_without_common_history_is_no_first_measurement(tmp_path: Path, forge: GitHubStandIn) -> None:
    """Cutting history off is no way around the gates."""
    pull = open_pull_request(tmp_path, forge, recall=0.7)
    pull.scratch.git("checkout", "-q", "--orphan", "cut")
    head = pull.scratch.measure(recall=0.1)
    changed = PullRequest(scratch=pull.scratch, head=head, base=pull.base, forge=forge, work=pull.work)
    answer = changed.run()
    assert answer.code == 3
    assert "have no common history" in answer.err
    assert "--base" in answer.err


def test_a_checkout_of_main_is_not_taken_for_the_change(tmp_path: Path, forge: GitHubStandIn) -> None:
    """Main measured against main passes anything: it is refused, even after main has moved."""
    pull = open_pull_request(tmp_path, forge, recall=0.1)
    merge = pull.scratch.git("rev-parse", "HEAD")
    pull.scratch.git("checkout", "-q", "main")
    for _ in range(2):
        answer = pull.run(GITHUB_SHA=merge)
        assert answer.code == 2
        assert "it was not measured" in answer.err
        pull.scratch.commit({})


def test_a_commit_on_top_of_the_change_is_measured(tmp_path: Path, forge: GitHubStandIn) -> None:
    """A bot that commits the results makes the tree to judge, though the event does not know it."""
    pull = open_pull_request(tmp_path, forge, recall=0.8)
    merge = pull.scratch.git("rev-parse", "HEAD")
    pull.scratch.git("checkout", "-q", pull.head)
    pull.scratch.measure(recall=0.1)
    answer = pull.run(GITHUB_SHA=merge)
    assert answer.code == 1
    assert "merge base with main" in answer.out


def merge_request(base: str, head: str, **variables: str) -> dict[str, str]:
    """The variables of a job of GitLab's for merge request 7 of project 1."""
    return {
        "GITLAB_CI": "true",
        "CI_API_V4_URL": UNREACHABLE,
        "CI_SERVER_URL": UNREACHABLE,
        "CI_PROJECT_ID": "1",
        "CI_PIPELINE_ID": "10",
        "CI_JOB_ID": "20",
        "CI_JOB_URL": UNREACHABLE,
        "CI_COMMIT_SHA": head,
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_PROJECT_ID": "1",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
        **variables,
    }


def test_a_checkout_of_the_target_is_not_taken_for_a_merge_request(tmp_path: Path) -> None:
    """`git checkout main` in a job of GitLab's measures nothing; a commit of a merge train is measured."""
    scratch = Scratch.create(tmp_path / "project")
    scratch.write({"seatrial.yaml": GATED})
    base = scratch.measure(recall=0.8)
    scratch.git("checkout", "-q", "-b", "feature")
    head = scratch.measure(recall=0.1)
    job = merge_request(base, head)
    scratch.git("checkout", "-q", "main")
    for _ in range(2):
        answer = run_seatrial(scratch.directory, "ci", "--no-comment", "--no-check", env=job)
        assert answer.code == 2
        assert "it was not measured" in answer.err
        scratch.commit({})
    scratch.git("checkout", "-q", "--detach")
    scratch.measure(recall=0.1)
    answer = run_seatrial(scratch.directory, "ci", "--no-comment", "--no-check", env=job)
    assert answer.code == 1


@pytest.mark.parametrize(("source", "code", "said"), [("1", 4, "no token"), ("2", 0, "left out: a fork's pipeline")])
def test_a_pipeline_of_a_fork_has_nothing_to_deliver(tmp_path: Path, source: str, code: int, said: str) -> None:
    """On GitLab it has no token by design: that is said, and it is no failed delivery, as it is elsewhere."""
    scratch = Scratch.create(tmp_path / "project")
    scratch.write({"seatrial.yaml": GATED})
    base = scratch.measure(recall=0.8)
    head = scratch.measure(recall=0.9)
    job = merge_request(base, head, CI_MERGE_REQUEST_SOURCE_PROJECT_ID=source)
    answer = run_seatrial(scratch.directory, "ci", "--require-delivery", env=job)
    assert answer.code == code
    assert said in answer.err


def test_a_baseline_whose_policy_is_a_link_is_not_without_policy(tmp_path: Path, forge: GitHubStandIn) -> None:
    """Else the candidate's own policy would judge it."""
    pull = open_pull_request(tmp_path, forge, recall=0.7)
    scratch = pull.scratch
    scratch.git("checkout", "-q", pull.base)
    (scratch.directory / "seatrial.yaml").unlink()
    (scratch.directory / "seatrial.yaml").symlink_to("gates.yaml")
    base = scratch.commit({"gates.yaml": GATED})
    head = scratch.commit({"gates.yaml": "version: 1\n", "metrics.json": '{"recall": 0.1}'})
    changed = PullRequest(scratch=scratch, head=head, base=base, forge=forge, work=pull.work)
    answer = changed.run("--no-comment", "--no-check")
    assert answer.code == 2
    assert "is a symbolic link" in answer.err
    assert changed.run("--config", "gates.yaml", "--no-comment", "--no-check").code == 1


def test_an_old_branch_is_judged_by_the_policy_that_holds_now(tmp_path: Path, forge: GitHubStandIn) -> None:
    """Its metrics are held against where it left main; its gates are those of main's tip."""
    scratch = Scratch.create(tmp_path / "project")
    scratch.write({"seatrial.yaml": "version: 1\n"})
    left = scratch.measure(recall=0.8)
    strict = scratch.commit({"seatrial.yaml": "version: 1\nmetrics:\n  recall: {at_least: 0.7}\n"})
    scratch.git("checkout", "-q", "-b", "feature", left)
    head = scratch.measure(recall=0.1)
    work = tmp_path / "work"
    work.mkdir()
    pull = PullRequest(scratch=scratch, head=head, base=strict, forge=forge, work=work)
    forge.records.changes[7].head_sha = head
    assert pull.run().code == 1
    assert f"policy: seatrial.yaml of main {strict[:7]}" in pull.body()
    assert f"main {left[:7]}" in pull.body()


def test_another_baseline_does_not_bring_its_own_policy(tmp_path: Path, forge: GitHubStandIn) -> None:
    """`--base` says what to compare with, not by which rules."""
    pull = open_pull_request(tmp_path, forge, recall=0.7)
    pull.scratch.git("checkout", "-q", "--orphan", "ancient")
    ancient = pull.scratch.commit({"seatrial.yaml": "version: 1\n", "metrics.json": '{"recall": 0.8}'})
    pull.scratch.git("checkout", "-q", "--detach", pull.base)
    pull.scratch.git("merge", "-q", "--no-ff", "-m", "test merge", pull.head)
    answer = pull.run("--base", ancient)
    assert answer.code == 1
    assert f"policy: seatrial.yaml of main {pull.base[:7]}" in answer.out
