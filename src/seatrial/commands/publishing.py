"""`seatrial publish`: report what a run without rights has measured, as a pull request from a fork is measured.

Who asks what of whom is taken from the forge's API alone; of the run's artifact only numbers and names count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from seatrial import ci
from seatrial.ci import Follower
from seatrial.commands.measure import Measurement, Progress
from seatrial.commands.rejudging import Subject, judge_again
from seatrial.core.document import Document, Mark, Paragraph, Text
from seatrial.core.facts import ReportFacts
from seatrial.core.verdict import Status
from seatrial.errors import CompareError, ExitCode, UsageError
from seatrial.forges import FORGES, Conclusion, Forge, ForgeAccess
from seatrial.git import Repository
from seatrial.publish import Delivery, Marker, Outcome, Step, deliver, upsert_comment
from seatrial.render import RENDERERS, RenderOptions
from seatrial.render.json import parse
from seatrial.sources.archive import MAX_PACKED, read_entry

if TYPE_CHECKING:
    from seatrial.forges.github_runs import GitHubRuns, OpenPull, WorkflowRun

REPORT = "report.json"
# GitHub's check summary and job summary are shown up to this, in UTF-8 bytes.
_SUMMARY_BUDGET = 60_000
_CONCLUSIONS: Mapping[Status, Conclusion] = {
    Status.PASSED: Conclusion.SUCCESS,
    Status.WARNED: Conclusion.NEUTRAL,
    Status.FAILED: Conclusion.FAILURE,
    Status.INCONCLUSIVE: Conclusion.ACTION_REQUIRED,
}


class PublishRequest(Struct, frozen=True, kw_only=True):
    """The options of `seatrial publish`."""

    run: int | None = None
    repository: str | None = None
    artifact: str = "seatrial-report"
    workflow: str = ".github/workflows/fork-measure.yml"
    config_path: Path | None = None
    key: str = "default"
    comment: bool = True
    check: bool = True
    fetch: bool = True


class PublishResult(Struct, frozen=True, kw_only=True):
    """The verdict, or why there is none, and how each delivery went."""

    measurement: Measurement | None
    refusal: CompareError | None
    deliveries: tuple[Delivery, ...]

    def exit_code(self, *, require_delivery: bool) -> ExitCode:
        """The verdict's code; where that passed, and delivery is required, a failed delivery counts."""
        if self.measurement is None:
            return ExitCode.NOT_COMPARED
        code = self.measurement.verdict.exit_code
        undelivered = any(not delivery.ok for delivery in self.deliveries)
        return ExitCode.NOT_DELIVERED if require_delivery and undelivered and code is ExitCode.PASSED else code


def publish_run(
    directory: Path, env: Mapping[str, str], request: PublishRequest, tell: Progress, git_dir: Path | None = None
) -> PublishResult:
    """Judge again what a run has measured, and report it on the pull request that the run was of.

    UsageError where this is no place for it, or the run is none of a pull request; whatever is wrong with what a
    stranger may have made is a refusal: the result says it, and so does the check.
    """
    from seatrial.forges.github_runs import GitHubRuns

    repository = Repository.discover(directory, git_dir)
    follower = ci.read_follower(env)
    access = _open_access(follower, request)
    runs = GitHubRuns(access)
    run = runs.read_run(_choose_run(follower, request))
    _refuse_other_event(run, access.project)
    publisher = _Publisher(follower=follower, access=access, request=request, run=run)
    try:
        _refuse_other_workflow(run, request)
        pull = _find_pull(runs, run)
        tell(f"run {run.id} measured pull request {pull.number} at {run.head_sha[:7]}")
        measurement = _judge(repository, runs, run, pull, request, tell)
    except CompareError as refusal:
        deliveries = deliver(publisher.plan_refusal(refusal))
        return PublishResult(measurement=None, refusal=refusal, deliveries=deliveries)
    return PublishResult(
        measurement=measurement, refusal=None, deliveries=deliver(publisher.plan(measurement, pull.number))
    )


def _open_access(follower: Follower, request: PublishRequest) -> ForgeAccess:
    project = request.repository or follower.project
    if project is None:
        raise UsageError("it is unknown whose run this is", hint="name the repository: --repository OWNER/NAME")
    if not follower.token:
        raise UsageError(
            f"no token: {follower.token_variable} is empty",
            hint=f"give the step the job's own token:\nenv:\n  {follower.token_variable}: ${{{{ github.token }}}}",
        )
    return ForgeAccess(
        api_url=follower.api_url,
        web_url=follower.web_url,
        project=project,
        token=follower.token,
        token_variable=follower.token_variable,
        ca_file=follower.ca_file,
    )


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
) -> Measurement:
    facts = _read_report(runs, run, request.artifact)
    lies = runs.compare(pull.base.ref, run.head_sha)
    subject = Subject(
        branch=pull.base.ref,
        tip=lies.base_commit.sha,
        fork_point=lies.merge_base_commit.sha,
        head=run.head_sha,
        run_url=run.html_url,
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


# -- telling


@dataclass(slots=True, kw_only=True)
class _Publisher:
    """The steps of the deliveries; the check waits for what became of the comment."""

    follower: Follower
    access: ForgeAccess
    request: PublishRequest
    run: WorkflowRun
    forge: Forge | None = None
    comment_url: str = ""
    overtaken: bool = False

    def plan(self, measurement: Measurement, change: int) -> list[Step]:
        """The ladder of a verdict: what needs no rights first; the comment before the check, which it may overrule."""

        def render(budget: int) -> str:
            options = RenderOptions(budget=budget, full_report_url=self.run.html_url)
            return RENDERERS["markdown"](measurement.report, options)

        verdict = measurement.verdict
        steps: list[Step] = [("summary", lambda: self._write_summary(render(_SUMMARY_BUDGET)))]
        if self.request.comment:
            steps.append(("comment", lambda: self._post(render, change)))
        if self.request.check:
            title = measurement.report.facts.headline
            conclusion = _CONCLUSIONS[verdict.status]
            steps.append(("check", lambda: self._conclude(conclusion, title, render(_SUMMARY_BUDGET))))
        return [*steps, ("outputs", lambda: self._write_outputs(verdict.status.value, verdict.exit_code))]

    def plan_refusal(self, refusal: CompareError) -> list[Step]:
        """The ladder of a refusal: a check that says why, on the commit that was measured; no comment is touched."""
        text = _render_refusal(refusal)
        steps: list[Step] = [("summary", lambda: self._write_summary(text))]
        if self.request.check:
            title = "Can't tell: what the run has measured is refused"
            steps.append(("check", lambda: self._conclude(Conclusion.ACTION_REQUIRED, title, text)))
        return [*steps, ("outputs", lambda: self._write_outputs("", ExitCode.NOT_COMPARED))]

    def _write_summary(self, text: str) -> str:
        ci.write_summary(self.follower, text)
        return "job summary" if self.follower.summary_file else ""

    def _post(self, render: Callable[[int], str], change: int) -> str:
        forge = self._connect()
        marker = Marker(key=self.request.key, head=self.run.head_sha, run=self.run.order)
        # The marker's line is part of the comment, and has to fit beside the report.
        result = upsert_comment(forge, change, render(forge.comment_budget - 1000), marker)
        self.comment_url, self.overtaken = result.url, result.outcome is Outcome.SKIPPED_NEWER
        return f"{result.outcome.value} {result.url}"

    def _conclude(self, conclusion: Conclusion, title: str, summary: str) -> str:
        if self.overtaken:
            return "left out: a newer run has reported"
        return self._connect().conclude_check(
            name="seatrial" if self.request.key == "default" else f"seatrial: {self.request.key}",
            head=self.run.head_sha,
            conclusion=conclusion,
            title=title,
            summary=summary,
            details_url=self.run.html_url,
        )

    def _write_outputs(self, verdict: str, code: ExitCode) -> str:
        answers = {"verdict": verdict, "exit-code": str(int(code)), "comment-url": self.comment_url}
        ci.write_outputs(self.follower, answers)
        return ""

    def _connect(self) -> Forge:
        if self.forge is None:
            self.forge = FORGES["github"](self.access)
        return self.forge


def _render_refusal(refusal: CompareError) -> str:
    """The reason as Markdown: names out of the artifact may stand in it, so it is escaped as a report is."""
    from seatrial.render.markdown import render_document

    lines = (refusal.message[:1].upper() + refusal.message[1:] + ".", f"Next: {refusal.hint}." if refusal.hint else "")
    document = Document(
        mark=Mark.INCONCLUSIVE,
        title=(Text("Can't tell: what the run has measured is refused"),),
        blocks=tuple(Paragraph(line=(Text(line),)) for line in lines if line),
    )
    return render_document(document, RenderOptions(budget=_SUMMARY_BUDGET))
