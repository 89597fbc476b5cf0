"""`seatrial ci`, which action and template call: judge first, then deliver; delivery never changes the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from seatrial.ci import CIJob
from seatrial.commands.baseline import choose_ci_range, find_job, find_policy_commit
from seatrial.commands.compare import load_config, load_config_at, locate_config
from seatrial.commands.measure import Measurement, Progress, Selection, measure
from seatrial.commands.reporting import Channels, Reporter, choose_exit_code
from seatrial.commands.reproduction import check_reproduction
from seatrial.config import Config
from seatrial.core.revision import Revision, RevisionRange
from seatrial.core.verdict import Finding
from seatrial.errors import ExitCode, UsageError
from seatrial.git import Repository
from seatrial.publish import Delivery, deliver


class Reproduce(str, Enum):
    """What is judged: the committed numbers, the same after a check that they come out, or what comes out."""

    NO = "no"
    VERIFY = "verify"
    YES = "yes"


class CIRequest(Struct, frozen=True, kw_only=True):
    """The options of `seatrial ci`."""

    config_path: Path | None = None
    base: str | None = None
    reproduce: Reproduce = Reproduce.NO
    channels: Channels = Channels()
    show_all: bool = False
    fetch: bool = True
    engine: str = "local"


class CIResult(Struct, frozen=True, kw_only=True):
    """The verdict, how each delivery went, and what the job's log has to hold word for word (`commands`)."""

    measurement: Measurement
    deliveries: tuple[Delivery, ...]
    commands: str
    required: bool

    @property
    def exit_code(self) -> ExitCode:
        """The verdict's code; where that passed, and delivery is required, a failed delivery counts."""
        return choose_exit_code(self.measurement.verdict.exit_code, self.deliveries, required=self.required)


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
    reporter = Reporter(
        job=job,
        channels=request.channels,
        directory=directory / request.channels.report_dir,
        root=repository.root,
    )
    with reporter.watch(tell):
        measurement = _measure_job(repository, directory, job, request, tell)
        deliveries = deliver(reporter.plan(measurement))
    return CIResult(
        measurement=measurement,
        deliveries=deliveries,
        commands=reporter.commands,
        required=request.channels.required,
    )


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
