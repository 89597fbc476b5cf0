"""Where a CI job's report goes: job summary, check, comment, annotations, files; and what is said where it can't go.

The ladder starts with what needs no right and no network. A check is concluded whatever ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct, structs

from seatrial import ci
from seatrial.ci import CIJob, System
from seatrial.commands.compare import Destination, write_outputs
from seatrial.commands.measure import Measurement, Progress
from seatrial.commands.picturing import Hosting, has_host, host_pictures
from seatrial.core.annotations import Annotation
from seatrial.core.document import Document, Mark, Paragraph, Text
from seatrial.core.verdict import Status
from seatrial.errors import DeliveryError, ExitCode, SeatrialError, UsageError
from seatrial.forges import FORGES, CheckEnd, Conclusion, Forge, ForgeAccess, StartedCheck
from seatrial.publish import (
    CommentMode,
    CommentResult,
    Delivery,
    Marker,
    Outcome,
    Step,
    choose_conclusion,
    deliver,
    name_check,
    upsert_comment,
)
from seatrial.render import RENDERERS, Flavour, RenderOptions

# GitHub's check summary and job summary are shown up to this, in UTF-8 bytes.
_SUMMARY_BUDGET = 60_000
# Room for the marker's line beside the report in a comment, in bytes.
_MARKER_BUDGET = 1_000
_TITLE = 250
_FILES = {"markdown": "report.md", "html": "report.html", "json": "report.json", "junit": "report.junit.xml"}
# What GitLab collects beside them as `artifacts:reports`.
_GITLAB_FILES = {
    "code-quality": "report.codequality.json",
    "gitlab-annotations": "report.annotations.json",
    "openmetrics": "report.metrics.txt",
}
# What there is where a job has no token by itself, and what one adds.
_WITHOUT_TOKEN: Mapping[System, str] = {
    System.GITLAB: (
        "the merge request shows gates, code quality and the report's link without one; "
        "a project access token (role Developer, scope api) in {} adds the note"
    ),
    System.BITBUCKET: (
        "the step's tests show the gates, its artifacts the report; "
        "a repository access token (Pull requests: Write) in {} adds the comment"
    ),
}
_FLAVOURS: Mapping[System, Flavour] = {
    System.GITHUB: "github",
    System.GITLAB: "gitlab",
    System.GITEA: "github",
    System.BITBUCKET: "bitbucket",
}
# What keeps nobody from merging.
_GOOD = (Status.PASSED, Status.WARNED)


class Channels(Struct, frozen=True, kw_only=True):
    """Where a report is to go; `required` tells that one that does not arrive fails the job.

    `images` shows plots in the comment as pictures, `image_branch` is where GitHub keeps them.
    """

    key: str = "default"
    comment: CommentMode = CommentMode.UPDATE
    check: bool = True
    report_dir: Path = Path("seatrial-report")
    required: bool = False
    images: bool = False
    image_branch: str | None = None


@dataclass(slots=True, kw_only=True)
class Reporter:
    """The deliveries of one run; they share the forge's client, the check and the comment's address.

    `directory` is the report directory, `root` the repository's. `commands` are GitHub's workflow commands that the
    command line has to print: they annotate lines without a right.
    """

    job: CIJob
    channels: Channels
    directory: Path
    root: Path
    commands: str = ""
    comment_url: str = ""
    started: StartedCheck | None = None
    _forge: Forge | None = None
    _check_ended: bool = False
    _annotated: bool = False

    @contextmanager
    def watch(self, tell: Progress) -> Iterator[None]:
        """Show that the check is under way, and conclude it where the run ends without a verdict, however it ends."""
        if self._has_check:
            # What is refused now is refused at the end too, and told then.
            deliver([("check", self._start_check)])
        try:
            yield
        except BaseException as error:
            for delivery in deliver(self.plan_end(error)):
                if not delivery.ok:
                    tell(f"{delivery.step}: {delivery.problem}")
            raise

    def plan(self, measurement: Measurement) -> list[Step]:
        """The ladder of a verdict. The outputs come last, since they tell of the comment."""
        steps: list[Step] = []
        if self.job.summary_file:
            steps.append(("summary", lambda: self._write_summary(self._render(measurement, _SUMMARY_BUDGET))))
        if self._lacks_rights:
            steps.append(("comment and check", self._miss_rights))
        elif not self.job.token and self._wants_forge:
            steps.append(("comment", self._miss_token))
        if self._has_check:
            steps.append(("check", lambda: self._conclude_check(measurement)))
        if self._has_comment:
            steps.append(("comment", lambda: self._post_comment(measurement)))
        if self.job.system is System.GITHUB:
            steps.append(("annotations", lambda: self._print_annotations(measurement)))
        steps.append(("files", lambda: self._write_files(measurement)))
        return [*steps, ("outputs", lambda: self._write_outputs(measurement))]

    # -- what there is

    @property
    def _wants_forge(self) -> bool:
        return (self.channels.check and self.job.system is System.GITHUB) or self._wants_comment

    @property
    def _wants_comment(self) -> bool:
        return self.channels.comment is not CommentMode.OFF and self.job.change is not None

    @property
    def _lacks_rights(self) -> bool:
        return self.job.may_only_read and (self.channels.check or self._wants_comment)

    @property
    def _has_check(self) -> bool:
        return self.channels.check and bool(self.job.token) and not self.job.may_only_read

    @property
    def _has_comment(self) -> bool:
        return self._wants_comment and bool(self.job.token) and not self.job.may_only_read

    def _connect(self) -> Forge:
        if self._forge is None:
            try:
                self._forge = FORGES[self.job.system.value](open_access(self.job))
            except ImportError as error:
                raise DeliveryError(
                    f"the forge can't be asked: {error.name} is not installed", hint="pip install 'seatrial[forges]'"
                ) from None
        return self._forge

    # -- a run with a verdict

    def _write_summary(self, markdown: str) -> str:
        ci.write_summary(self.job, markdown)
        return "job summary"

    def _start_check(self) -> str:
        self.started = self._connect().start_check(
            name=name_check(self.channels.key), head=self.job.head, details_url=self.job.run_url
        )
        return ""

    def _conclude_check(self, measurement: Measurement) -> str:
        """Conclude the check; a defect in what it shows is told after it, so that it never stays under way."""
        headline = measurement.report.facts.headline
        defect: Exception | None = None
        try:
            summary, annotations = self._render(measurement, _SUMMARY_BUDGET), measurement.report.annotations
        except Exception as error:  # noqa: BLE001 - raised again below
            summary, annotations, defect = headline, (), error
        conclusion = choose_conclusion(measurement.verdict.status)
        address = self._end_check(conclusion, headline, summary, annotations)
        self._check_ended = True
        if defect:
            raise defect
        self._annotated = self.started is None or self.started.annotated
        return address

    def _end_check(
        self, conclusion: Conclusion, title: str, summary: str, annotations: Sequence[Annotation] = ()
    ) -> str:
        end = CheckEnd(
            name=name_check(self.channels.key),
            head=self.job.head,
            conclusion=conclusion,
            title=title[:_TITLE],
            summary=summary,
            details_url=self.job.run_url,
            annotations=annotations,
        )
        return self._connect().conclude_check(end, self.started)

    def _post_comment(self, measurement: Measurement) -> str:
        status = measurement.verdict.status
        match self.channels.comment:
            case CommentMode.ONLY_ON_CHANGE:
                create = status is not Status.PASSED or not measurement.comparison.is_unchanged
            case CommentMode.ONLY_ON_FAILURE:
                create = status not in _GOOD
            case _:
                create = True
        told = ""

        def compose(before: str) -> str:
            nonlocal told
            hosting = self._host_pictures(measurement, before)
            told = hosting.told
            options = self._options(self._connect().comment_budget - _MARKER_BUDGET)
            return RENDERERS["markdown"](measurement.report, structs.replace(options, pictures=hosting.shown))

        result = self._upsert(compose, mode=self.channels.comment, create=create, good=status in _GOOD)
        self.comment_url = result.url
        if result.outcome is Outcome.NOT_NEEDED:
            return (
                f"left out ({self.channels.comment.value}): there is none yet that would have to be brought up to date"
            )
        remarks = "; ".join(filter(None, (result.remark, told)))
        return f"{result.outcome.value} {result.url}" + (f" ({remarks})" if remarks else "")

    def _host_pictures(self, measurement: Measurement, before: str) -> Hosting:
        branch = self.channels.image_branch
        if not self.channels.images or not has_host(self.job, branch):
            return Hosting()
        return host_pictures(self._connect(), self.job, measurement.report, branch=branch, before=before)

    def _upsert(
        self, body: str | Callable[[str], str], *, mode: CommentMode, create: bool, good: bool
    ) -> CommentResult:
        assert self.job.change is not None
        marker = Marker(key=self.channels.key, head=self.job.head, run=self.job.run)
        return upsert_comment(self._connect(), self.job.change, body, marker, mode=mode, create=create, good=good)

    def _print_annotations(self, measurement: Measurement) -> str:
        """What the check does not show is left to the job's log, from which GitHub takes ten of each kind."""
        if self._annotated:
            return f"{len(measurement.report.annotations)} at the check"
        self.commands = RENDERERS["annotations"](measurement.report, RenderOptions())
        return "by the job's log"

    def _write_files(self, measurement: Measurement) -> str:
        if self.directory.is_symlink():
            raise DeliveryError(f"{self.directory} is a symbolic link", hint="choose another --report-dir")
        files = _FILES | _GITLAB_FILES if self.job.system is System.GITLAB else _FILES
        destinations = tuple(Destination(format=name, path=self.directory / file) for name, file in files.items())
        options = {
            "markdown": RenderOptions(flavour=_FLAVOURS[self.job.system]),
            "gitlab-annotations": RenderOptions(full_report_url=self._page_url),
        }
        try:
            write_outputs(measurement, destinations, options)
        except UsageError as error:
            raise DeliveryError(error.message, hint="choose another --report-dir") from None
        return str(self.channels.report_dir)

    def _write_outputs(self, measurement: Measurement) -> str:
        verdict = measurement.verdict
        files = {f"report-{name}": str(self.channels.report_dir / file) for name, file in _FILES.items()}
        answers = {"verdict": verdict.status.value, "exit-code": str(int(verdict.exit_code))}
        ci.write_outputs(self.job, {**answers, **files, "comment-url": self.comment_url})
        return ""

    def _render(self, measurement: Measurement, budget: int) -> str:
        return RENDERERS["markdown"](measurement.report, self._options(budget))

    def _options(self, budget: int) -> RenderOptions:
        return RenderOptions(flavour=_FLAVOURS[self.job.system], budget=budget, full_report_url=self.job.run_url)

    @property
    def _page_url(self) -> str:
        """Where GitLab shows the report among the job's artifacts, which it collects below the project's directory."""
        page = self.directory / _FILES["html"]
        if not page.is_relative_to(self.root) or "/jobs/" not in self.job.run_url:
            return self.job.run_url
        return f"{self.job.run_url}/artifacts/file/{page.relative_to(self.root).as_posix()}"

    # -- what can't be done

    def _miss_rights(self) -> str:
        """What a fork's job is not asked to try: every attempt would be refused."""
        if self.job.system is System.GITLAB:
            return (
                "left out: a fork's pipeline has no token of this project; the job's artifacts hold the report, "
                "and a member who runs the merge request's pipeline here gets the note"
            )
        place = "the job summary shows" if self.job.summary_file else "the job's artifacts hold"
        return f"left out: a pull request from a fork has a read-only token; {place} the report"

    def _miss_token(self) -> str:
        """On GitLab and Bitbucket no token is a normal path, said in one line; elsewhere the job's own is missing."""
        variable = self.job.token_variable
        if self.job.system in _WITHOUT_TOKEN and not self.channels.required:
            return f"left out, no token: {_WITHOUT_TOKEN[self.job.system].format(variable)}"
        raise DeliveryError(
            f"no token: {variable} is empty, so no comment was posted",
            hint="give the job a token that may comment, or pass --comment off",
        )

    # -- a run without a verdict

    def plan_end(self, error: BaseException) -> list[Step]:
        """Tell what ended the run, where it is seen; a comment that is there must not stand as if it were current."""
        end = _describe_end(error, self.job.token)
        steps: list[Step] = []
        if isinstance(error, SeatrialError) and self.job.summary_file:
            steps.append(("summary", lambda: self._write_summary(self._render_end(end))))
        if self._has_check and not self._check_ended:
            steps.append(("check", lambda: self._end_check(end.conclusion, end.title, self._render_end(end))))
        if isinstance(error, SeatrialError) and self._has_comment:
            steps.append(("comment", lambda: self._correct_comment(end)))
        return steps

    def _correct_comment(self, end: _End) -> str:
        return self._upsert(self._render_end(end), mode=CommentMode.UPDATE, create=False, good=False).outcome.value

    def _render_end(self, end: _End) -> str:
        """The reason as Markdown: names out of the change may stand in it, so it is escaped as a report is."""
        from seatrial.render.markdown import render_document

        document = Document(
            mark=Mark.INCONCLUSIVE,
            title=(Text(end.title),),
            blocks=tuple(Paragraph(line=(Text(line),)) for line in end.lines if line),
        )
        return render_document(document, self._options(_SUMMARY_BUDGET))


class _End(Struct, frozen=True, kw_only=True):
    """How a run ended that has no verdict."""

    conclusion: Conclusion
    title: str
    lines: tuple[str, ...]


def _describe_end(error: BaseException, token: str | None) -> _End:
    def conceal(text: str) -> str:
        return text.replace(token, "***") if token else text

    match error:
        case SeatrialError():
            hint = f"Next: {error.hint}" if error.hint else ""
            return _End(
                conclusion=Conclusion.ACTION_REQUIRED,
                title="Not judged: the run ended with an error",
                lines=(conceal(error.message), conceal(hint)),
            )
        case Exception():
            return _End(
                conclusion=Conclusion.FAILURE,
                title="Not judged: a defect of seatrial ended the run",
                lines=(conceal(f"{type(error).__name__}: {error}"), "The job's log holds what to report."),
            )
        case _:
            return _End(
                conclusion=Conclusion.CANCELLED,
                title="Not judged: the run was cancelled",
                lines=("The job was stopped before there was a verdict.",),
            )


def choose_exit_code(code: ExitCode, deliveries: Iterable[Delivery], *, required: bool) -> ExitCode:
    """The verdict's code; where that passed, and delivery is required, a failed delivery counts."""
    undelivered = any(not delivery.ok for delivery in deliveries)
    return ExitCode.NOT_DELIVERED if required and undelivered and code is ExitCode.PASSED else code


def open_access(job: CIJob) -> ForgeAccess:
    """The job's access to its forge; it has to have a token."""
    assert job.token is not None
    return ForgeAccess(
        api_url=job.api_url,
        web_url=job.web_url,
        project=job.project,
        token=job.token,
        token_variable=job.token_variable,
        ca_file=job.ca_file,
        pipeline_id=job.pipeline_id,
        pipeline_sha=job.pipeline_sha,
        project_url=job.project_url,
    )
