"""`seatrial publish`: report what a run without rights has measured, as a pull request from a fork is measured.

Who asks what of whom is taken from the forge's API alone; of the run's artifact only numbers and names count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from seatrial import ci
from seatrial.ci import Follower, Measured
from seatrial.commands.measure import Measurement, Progress
from seatrial.commands.rejudging import Subject, judge_again
from seatrial.commands.reporting import Channels, Reporter, choose_exit_code
from seatrial.core.facts import ReportFacts
from seatrial.errors import CompareError, DeliveryError, ExitCode, UsageError
from seatrial.forges import ForgeAccess
from seatrial.git import Repository
from seatrial.publish import Delivery, Outcome, Step, deliver
from seatrial.render.json import parse
from seatrial.sources.archive import MAX_PACKED, read_entry

if TYPE_CHECKING:
    from seatrial.forges.github_runs import GitHubRuns, OpenPull, WorkflowRun

REPORT = "report.json"
_PROJECT = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_RANKS = {"summary": 0, "comment": 1, "check": 2}


class PublishRequest(Struct, frozen=True, kw_only=True):
    """The options of `seatrial publish`."""

    run: int | None = None
    repository: str | None = None
    artifact: str = "seatrial-report"
    workflow: str = ".github/workflows/fork-measure.yml"
    config_path: Path | None = None
    channels: Channels = Channels()
    fetch: bool = True


class PublishResult(Struct, frozen=True, kw_only=True):
    """The verdict, or why there is none, and how each delivery went."""

    measurement: Measurement | None
    refusal: CompareError | None
    deliveries: tuple[Delivery, ...]
    required: bool

    @property
    def exit_code(self) -> ExitCode:
        """The verdict's code; where that passed, and delivery is required, a failed delivery counts."""
        if self.measurement is None:
            return ExitCode.NOT_COMPARED
        return choose_exit_code(self.measurement.verdict.exit_code, self.deliveries, required=self.required)


def publish_run(
    directory: Path, env: Mapping[str, str], request: PublishRequest, tell: Progress, git_dir: Path | None = None
) -> PublishResult:
    """Judge again what a run has measured, and report it on the pull request that the run was of.

    UsageError where this is no place for it, or the run is none of a pull request; whatever is wrong with what a
    stranger may have made is a refusal: the result says it, and so does the check.
    """
    repository = Repository.discover(directory, git_dir)
    follower = ci.read_follower(env)
    project = _choose_project(follower, request)
    number = _choose_run(follower, request)
    runs = _open_runs(follower, project)
    run = runs.read_run(number)
    _refuse_other_event(run, project)

    def report_on(change: int | None) -> Reporter:
        channels = request.channels
        job = follower.report_on(
            Measured(project=project, head=run.head_sha, change=change, run=run.order, run_url=run.html_url)
        )
        return Reporter(job=job, channels=channels, directory=directory / channels.report_dir, root=repository.root)

    reporter = report_on(None)
    refusal: CompareError | None = None
    measurement: Measurement | None = None
    try:
        _refuse_other_workflow(run, request)
        pull = _find_pull(runs, run)
        reporter = report_on(pull.number)
        tell(f"run {run.id} measured pull request {pull.number} at {run.head_sha[:7]}")
        measurement = _judge(repository, runs, run, pull, request, tell, trusted=follower.commit)
        deliveries = deliver(_give_way(reporter.plan(measurement)))
    except BaseException as error:
        # Whatever ends it, the check is concluded; only what is refused ends it as a report does.
        deliveries = deliver(_give_way(reporter.plan_end(error)))
        if not isinstance(error, CompareError):
            raise
        refusal = error
    return PublishResult(
        measurement=measurement, refusal=refusal, deliveries=deliveries, required=request.channels.required
    )


def _open_runs(follower: Follower, project: str) -> GitHubRuns:
    from seatrial.forges.github_runs import GitHubRuns

    try:
        access = ForgeAccess(
            api_url=follower.api_url,
            web_url=follower.web_url,
            project=project,
            token=follower.token or "",
            token_variable=follower.token_variable,
            ca_file=follower.ca_file,
        )
    except DeliveryError as error:
        raise UsageError(error.message, hint=error.hint) from None
    return GitHubRuns(access)


def _give_way(steps: list[Step]) -> list[Step]:
    """The comment before the check, which stays as it is where the comment already tells of a newer run.

    Nothing is annotated: the lines are of files that are not checked out here.
    """
    newer: list[str] = []

    def note(step: Callable[[], str | None]) -> str:
        detail = step() or ""
        newer.extend([detail] if detail.startswith(Outcome.SKIPPED_NEWER.value) else [])
        return detail

    def yield_to(step: Callable[[], str | None]) -> str | None:
        return "left out: a newer run has reported" if newer else step()

    taken = {"comment": note, "check": yield_to}
    kept = [(name, step) for name, step in steps if name != "annotations"]
    ordered = sorted(kept, key=lambda pair: _RANKS.get(pair[0], len(_RANKS)))
    return [(name, partial(taken[name], step) if name in taken else step) for name, step in ordered]


def _choose_project(follower: Follower, request: PublishRequest) -> str:
    project = request.repository or follower.project
    if project is None:
        raise UsageError("it is unknown whose run this is", hint="name the repository: --repository OWNER/NAME")
    if not _PROJECT.fullmatch(project) or ".." in project.split("/"):
        raise UsageError(f"{project!a} names no repository", hint="name it as --repository OWNER/NAME")
    if not follower.token:
        raise UsageError(
            f"no token: {follower.token_variable} is empty",
            hint=f"give the step the job's own token:\nenv:\n  {follower.token_variable}: ${{{{ github.token }}}}",
        )
    return project


def _choose_run(follower: Follower, request: PublishRequest) -> int:
    number = request.run or follower.run_id
    if number is None:
        raise UsageError(
            "no run is named, and none has started this job",
            hint="seatrial publish --from-run ID, or let it run on workflow_run",
        )
    return number


# -- which pull request it was


def _refuse_other_event(run: WorkflowRun, project: str) -> None:
    """UsageError for a run that no pull request has started, or that another repository owns: nobody is to be told."""
    if run.repository.full_name.lower() != project.lower():
        raise UsageError(f"run {run.id} is of {run.repository.full_name!a}, not of {project}", hint="check --from-run")
    if run.event != "pull_request":
        raise UsageError(
            f"run {run.id} was started by {run.event!a}, not by a pull request",
            hint="let the job ask first:\nif: ${{ github.event.workflow_run.event == 'pull_request' }}",
        )


def _refuse_other_workflow(run: WorkflowRun, request: PublishRequest) -> None:
    """A pull request can bring a workflow of any name, and that starts this job as well; its path it can't choose."""
    if run.workflow != request.workflow:
        raise CompareError(
            f"run {run.id} is of the workflow {run.workflow!a}, and {request.workflow} was expected",
            hint="name the file of the workflow that measures: --workflow PATH",
        )
    if run.status != "completed":
        raise CompareError(f"run {run.id} is not complete: {run.status!a}", hint="publish it when it has ended")


def _find_pull(runs: GitHubRuns, run: WorkflowRun) -> OpenPull:
    """The one open pull request of exactly this repository, branch and commit."""
    pulls = runs.list_pulls(run)
    if not pulls:
        raise CompareError(
            f"no open pull request asks for {run.head_sha[:7]}, which run {run.id} has measured",
            hint="it was closed, or has moved on, and then the run of its new head reports; nothing is to be done",
        )
    if len(pulls) > 1:
        numbers = ", ".join(f"#{pull.number}" for pull in pulls)
        raise CompareError(
            f"{numbers} all ask for {run.head_sha[:7]}: it can't be told which of them run {run.id} has measured",
            hint="close all but one of them, and run the measuring workflow again",
        )
    return pulls[0]


# -- what it measured


def _judge(
    repository: Repository,
    runs: GitHubRuns,
    run: WorkflowRun,
    pull: OpenPull,
    request: PublishRequest,
    tell: Progress,
    *,
    trusted: str | None,
) -> Measurement:
    facts = _read_report(runs, run, request.artifact)
    lies = runs.compare(pull.base.ref, run.head_sha)
    subject = Subject(
        branch=pull.base.ref,
        tip=lies.base_commit.sha,
        fork_point=lies.merge_base_commit.sha,
        head=run.head_sha,
        run_url=run.html_url,
        trusted=trusted,
    )
    return judge_again(
        repository, facts, subject, config_path=request.config_path, fetching=tell if request.fetch else None
    )


def _read_report(runs: GitHubRuns, run: WorkflowRun, name: str) -> ReportFacts:
    """The facts out of the newest artifact of this name: downloaded into memory, nothing unpacked, nothing run."""
    artifacts = runs.list_artifacts(run, name)
    usable = [artifact for artifact in artifacts if not artifact.expired]
    if not usable:
        raise CompareError(
            f"run {run.id} has no artifact {name}" + (" any more: it expired" if artifacts else ""),
            hint="the measuring workflow uploads it, also after a failed gate: if: ${{ !cancelled() }}",
        )
    archive = runs.download(usable[0], most=MAX_PACKED)
    return parse(read_entry(archive, REPORT))
