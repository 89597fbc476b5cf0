"""`seatrial ci`, which action and template call: judge first, then deliver; delivery never changes the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from seatrial import ci
from seatrial.ci import CIJob, System
from seatrial.commands.baseline import choose_ci_range, find_job, find_policy_commit
from seatrial.commands.compare import Destination, load_config, load_config_at, locate_config, write_outputs
from seatrial.commands.measure import Measurement, Progress, Selection, measure
from seatrial.commands.reproduction import check_reproduction
from seatrial.config import Config
from seatrial.core.revision import Revision, RevisionRange
from seatrial.core.verdict import Finding, Status
from seatrial.errors import DeliveryError, ExitCode, UsageError
from seatrial.forges import FORGES, Conclusion, Forge, ForgeAccess
from seatrial.git import Repository
from seatrial.publish import Delivery, Marker, Step, deliver, upsert_comment
from seatrial.render import RENDERERS, Flavour, RenderOptions

# GitHub's check summary and job summary are shown up to this, in UTF-8 bytes.
_SUMMARY_BUDGET = 60_000
_FILES = {"markdown": "report.md", "html": "report.html", "json": "report.json", "junit": "report.junit.xml"}
# What GitLab collects beside them as `artifacts:reports`.
_GITLAB_FILES = {
    "code-quality": "report.codequality.json",
    "gitlab-annotations": "report.annotations.json",
    "openmetrics": "report.metrics.txt",
}
_FLAVOURS: Mapping[System, Flavour] = {
    System.GITHUB: "github",
    System.GITLAB: "gitlab",
    System.GITEA: "github",
    System.BITBUCKET: "bitbucket",
}
_CONCLUSIONS: Mapping[Status, Conclusion] = {
    Status.PASSED: Conclusion.SUCCESS,
    Status.WARNED: Conclusion.NEUTRAL,
    Status.FAILED: Conclusion.FAILURE,
    Status.INCONCLUSIVE: Conclusion.ACTION_REQUIRED,
}


class Reproduce(str, Enum):
    """What is judged: the committed numbers, the same after a check that they come out, or what comes out."""

    NO = "no"
    VERIFY = "verify"
    YES = "yes"


class CIRequest(Struct, frozen=True, kw_only=True):
    """The options of `seatrial ci`."""

    config_path: Path | None = None
    base: str | None = None
    key: str = "default"
    reproduce: Reproduce = Reproduce.NO
    comment: bool = True
    check: bool = True
    report_dir: Path = Path("seatrial-report")
    show_all: bool = False
    fetch: bool = True
    engine: str = "local"


class CIResult(Struct, frozen=True, kw_only=True):
    """The verdict, and how each delivery went."""

    measurement: Measurement
    deliveries: tuple[Delivery, ...]

    def exit_code(self, *, require_delivery: bool) -> ExitCode:
        """The verdict's code; where that passed, and delivery is required, a failed delivery counts."""
        code = self.measurement.verdict.exit_code
        undelivered = any(not delivery.ok for delivery in self.deliveries)
        return ExitCode.NOT_DELIVERED if require_delivery and undelivered and code is ExitCode.PASSED else code


def run_ci(
    directory: Path, env: Mapping[str, str], request: CIRequest, tell: Progress, git_dir: Path | None = None
) -> CIResult:
    """Measure the change that this CI job is about, judge it, and report wherever the job allows."""
    repository = Repository.discover(directory, git_dir)
    job = find_job(repository, env)
    if job is None:
        raise UsageError(
            "this is no CI job that seatrial knows: it sees no variables of GitHub, GitLab, Gitea or Bitbucket",
            hint="on your own machine, run: seatrial compare",
        )
    measurement = _measure_job(repository, directory, job, request, tell)
    report_dir = directory / request.report_dir
    steps = _plan_deliveries(job, request, measurement, report_dir, repository.root)
    return CIResult(measurement=measurement, deliveries=deliver(steps))


def _measure_job(
    repository: Repository, directory: Path, job: CIJob, request: CIRequest, tell: Progress
) -> Measurement:
    revisions = choose_ci_range(repository, job, request.base)
    tell(f"comparing {revisions.head} with {revisions.base or 'nothing'} ({revisions.reason})")
    beside: tuple[Finding, ...] = ()
    if request.reproduce is not Reproduce.NO:
        tell("reproducing the pipeline: dvc repro")
        beside = check_reproduction(repository, directory, verify=request.reproduce is Reproduce.VERIFY)
    if request.reproduce is Reproduce.YES:
        revisions = replace(revisions, head=replace(revisions.head, sha=None))
    lawgiver = find_policy_commit(repository, job, revisions.base)
    config, notices = _choose_policy(repository, revisions, lawgiver, request.config_path)
    return measure(
        repository,
        revisions,
        config,
        Selection(show_all=request.show_all, engine=request.engine, plots=True),
        beside=beside,
        run_url=job.run_url,
        notices=notices,
        fetching=tell if _may_fetch(job, request) else None,
    )


def _may_fetch(job: CIJob, request: CIRequest) -> bool:
    """Whether `dvc` may be run: its settings are the change's, and can name commands and addresses.

    A stranger's change is not given that, unless the job runs the change's code in any case.
    """
    return request.fetch and (not job.from_fork or request.reproduce is not Reproduce.NO)


def _choose_policy(
    repository: Repository, revisions: RevisionRange, base: Revision | None, path: Path | None
) -> tuple[Config, tuple[str, ...]]:
    """The policy of the base branch, so that a change can't loosen the gates that judge it.

    The candidate's own policy is read as well: a broken one must not reach the main branch.
    """
    own = load_config(repository, path)
    if path is not None and locate_config(repository, path) is None:
        return own, ()  # a file of the job's own, which no change can reach
    settled = load_config_at(repository, base, path) if base else None
    if base is None or settled is None:
        return _credit(own, revisions.head), ()
    differs = replace(own, source=None) != replace(settled, source=None)
    notice = f"{revisions.head.name} changes the policy; it is judged by that of {base.name}"
    return _credit(settled, base), (notice,) if differs else ()


def _credit(config: Config, revision: Revision) -> Config:
    return replace(config, source=f"{config.source} of {revision}") if config.source else config


def _plan_deliveries(
    job: CIJob, request: CIRequest, measurement: Measurement, report_dir: Path, root: Path
) -> list[Step]:
    """The ladder: what needs no rights first. The outputs come last, since they tell of the comment."""
    reporter = _Reporter(job=job, request=request, measurement=measurement, report_dir=report_dir, root=root)
    steps: list[Step] = [("files", reporter.write_files), ("summary", reporter.write_summary)]
    wants_forge = request.check or (request.comment and job.change is not None)
    if job.may_only_read and wants_forge:
        steps.append(("comment and check", reporter.miss_rights))
    elif job.token:
        if request.check:
            steps.append(("check", reporter.conclude_check))
        if request.comment and job.change:
            steps.append(("comment", reporter.post_comment))
    elif request.comment and job.change:
        steps.append(("comment", reporter.miss_token))
    return [*steps, ("outputs", reporter.write_outputs)]


@dataclass(slots=True, kw_only=True)
class _Reporter:
    """The steps of one run's deliveries; they share the forge's client and the comment's address."""

    job: CIJob
    request: CIRequest
    measurement: Measurement
    report_dir: Path
    root: Path
    comment_url: str = ""
    forge: Forge | None = None

    def write_files(self) -> str:
        if self.report_dir.is_symlink():
            raise DeliveryError(f"{self.report_dir} is a symbolic link", hint="choose another --report-dir")
        files = _FILES | _GITLAB_FILES if self.job.system is System.GITLAB else _FILES
        destinations = tuple(Destination(format=name, path=self.report_dir / file) for name, file in files.items())
        options = {
            "markdown": RenderOptions(flavour=self._flavour),
            "gitlab-annotations": RenderOptions(full_report_url=self._page_url),
        }
        try:
            write_outputs(self.measurement, destinations, options)
        except UsageError as error:
            raise DeliveryError(error.message, hint="choose another --report-dir") from None
        return str(self.request.report_dir)

    def write_summary(self) -> str:
        ci.write_summary(self.job, self._render_markdown(_SUMMARY_BUDGET))
        return "job summary" if self.job.summary_file else ""

    def conclude_check(self) -> str:
        return self._connect().conclude_check(
            name="seatrial" if self.request.key == "default" else f"seatrial: {self.request.key}",
            head=self.job.head,
            conclusion=_CONCLUSIONS[self.measurement.verdict.status],
            title=self.measurement.report.facts.headline,
            summary=self._render_markdown(_SUMMARY_BUDGET),
            details_url=self.job.run_url,
        )

    def post_comment(self) -> str:
        forge = self._connect()
        assert self.job.change is not None
        marker = Marker(key=self.request.key, head=self.job.head, run=self.job.run)
        # The marker's line is part of the comment, and has to fit beside the report.
        body = self._render_markdown(forge.comment_budget - 1000)
        result = upsert_comment(forge, self.job.change, body, marker)
        self.comment_url = result.url
        return f"{result.outcome.value} {result.url}"

    def miss_rights(self) -> str:
        """What a fork's job is not asked to try: every attempt would be refused."""
        if self.job.system is System.GITLAB:
            return (
                "left out: a fork's pipeline has no token of this project; the job's artifacts hold the report, "
                "and a member who runs the merge request's pipeline here gets the note"
            )
        return "left out: a pull request from a fork has a read-only token; the job summary shows the report"

    def miss_token(self) -> str:
        raise DeliveryError(
            f"no token: {self.job.token_variable} is empty, so no comment was posted",
            hint="give the job a token that may comment, or pass --no-comment",
        )

    def write_outputs(self) -> str:
        verdict = self.measurement.verdict
        files = {f"report-{name}": str(self.request.report_dir / file) for name, file in _FILES.items()}
        answers = {"verdict": verdict.status.value, "exit-code": str(int(verdict.exit_code))}
        ci.write_outputs(self.job, {**answers, **files, "comment-url": self.comment_url})
        return ""

    @property
    def _flavour(self) -> Flavour:
        return _FLAVOURS[self.job.system]

    @property
    def _page_url(self) -> str:
        """Where GitLab shows the report among the job's artifacts, which it collects below the project's directory."""
        page = self.report_dir / _FILES["html"]
        if not page.is_relative_to(self.root) or "/jobs/" not in self.job.run_url:
            return self.job.run_url
        return f"{self.job.run_url}/artifacts/file/{page.relative_to(self.root).as_posix()}"

    def _render_markdown(self, budget: int) -> str:
        options = RenderOptions(flavour=self._flavour, budget=budget, full_report_url=self.job.run_url)
        return RENDERERS["markdown"](self.measurement.report, options)

    def _connect(self) -> Forge:
        if self.forge is None:
            assert self.job.token is not None
            access = ForgeAccess(
                api_url=self.job.api_url,
                web_url=self.job.web_url,
                project=self.job.project,
                token=self.job.token,
                token_variable=self.job.token_variable,
                ca_file=self.job.ca_file,
                pipeline_id=self.job.pipeline_id,
            )
            self.forge = FORGES[self.job.system.value](access)
        return self.forge
