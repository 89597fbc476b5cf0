"""What a CI job tells of a deployment: job summary, outputs, an error line, and the forge's record of deployments.

None of it judges: what can't be told is said on standard error, and the exit code stays the deployment's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from seatrial import ci
from seatrial.ci import CIJob
from seatrial.commands.baseline import find_job
from seatrial.commands.deploy import describe_deployment
from seatrial.commands.measure import Progress
from seatrial.core.deployment import Check, Outcome
from seatrial.core.document import Block, Code, Column, Document, Line, Mark, Paragraph, Sign, Strong, Table, Text
from seatrial.core.environment import Environment
from seatrial.deploy.engine import Deployment, DeploymentPlan
from seatrial.errors import DeployExit, ExitCode, SeatrialError, UsageError
from seatrial.forges.deployments import DEPLOYMENTS, Deployments, DeploymentState, ForgeDeployment
from seatrial.git import Repository
from seatrial.publish import Step, deliver

_MARKS = {DeployExit.LIVE: Mark.PASSED, DeployExit.INCONCLUSIVE: Mark.INCONCLUSIVE}
_SIGNS = {"pass": Mark.PASSED, "inconclusive": Mark.INCONCLUSIVE}
_NEXT = {
    DeployExit.FAILED: "What was live before is live, and proved. Mend the model, and merge again.",
    DeployExit.NOT_RESTORED: "What was live before is not proved: look at `seatrial status --prove` at once.",
    DeployExit.INCONCLUSIVE: "There was nothing to tell by, so nothing was changed; the checks say what is missing.",
}
_STATES = {
    Outcome.LIVE: DeploymentState.SUCCESS,
    Outcome.ALREADY_LIVE: DeploymentState.SUCCESS,
    Outcome.NOT_RESTORED: DeploymentState.ERROR,
}


class _Begun(Struct, frozen=True, kw_only=True):
    """A record on the forge that waits for its end."""

    record: Deployments
    number: int
    deployment: ForgeDeployment


class Announcer:
    """The announcements of one command; outside of CI, or where nobody wants them, they do nothing.

    `tell` takes lines for people, `command` a line that GitHub's runner reads.
    """

    def __init__(
        self, job: CIJob | None, *, artifact: str, record: bool, tell: Progress, command: Callable[[str], None]
    ) -> None:
        self._job = job
        self._artifact = artifact
        self._wants_record = record
        self._tell = tell
        self._command = command
        self._environment = Environment()
        self._begun: _Begun | None = None
        self._ended = False

    def begin(self, environment: Environment, plan: DeploymentPlan) -> None:
        """Record with the forge that this is under way."""
        self._environment = environment
        if self._job is not None and self._wants_record and self._job.system.value in DEPLOYMENTS:
            job = self._job
            self._take([("deployment record", lambda: self._start(job, plan))])

    def end(self, done: Deployment) -> None:
        """Tell how it ended."""
        self._ended = True
        if self._job is None:
            return
        job, code, line = self._job, done.outcome.exit_code, describe_deployment(done)
        steps: list[Step] = [("deployment record", lambda: self._finish(_STATES.get(done.outcome), line))]
        steps.append(("job summary", lambda: ci.write_summary(job, self._render(_compose(done, self._environment)))))
        told = {"version": done.release.version, "digest": done.release.digest, "outcome": done.outcome.value}
        steps.append(("outputs", lambda: ci.write_outputs(job, {**told, "exit-code": str(int(code))})))
        self._take(steps)
        if code:
            self._point_out(line)

    def fail(self, error: BaseException) -> None:
        """Tell that it ended without a result: it was blocked before anything changed, or broke."""
        if self._job is None or self._ended:
            return
        self._ended = True
        job, known = self._job, isinstance(error, SeatrialError)
        message, hint, code = _explain(error)
        outcome = "blocked" if code is DeployExit.BLOCKED else "error"
        steps: list[Step] = [("deployment record", lambda: self._finish(DeploymentState.ERROR, message))]
        if known:
            page = _compose_refusal(self._artifact, message, hint)
            steps.append(("job summary", lambda: ci.write_summary(job, self._render(page))))
        told = {"version": "", "digest": "", "outcome": outcome, "exit-code": str(int(code))}
        steps.append(("outputs", lambda: ci.write_outputs(job, told)))
        self._take(steps)
        self._point_out(f"{self._artifact}: {message}")

    # -- the record

    def _start(self, job: CIJob, plan: DeploymentPlan) -> str:
        if not job.token or job.may_only_read:
            return f"left out, no token that may write: set {job.token_variable}"
        if not self._environment.name:
            return "left out: no environment is named (--environment)"
        from seatrial.commands.reporting import open_access

        release = plan.release
        deployment = ForgeDeployment(
            environment=self._environment.name,
            commit=release.commit,
            description=f"{plan.kind.value} {release.name} {release.version} ({release.digest[:19]})",
            payload={
                "model": release.name,
                "version": release.version,
                "digest": release.digest,
                "kind": plan.kind.value,
            },
            log_url=job.run_url,
            environment_url=self._environment.address,
        )
        try:
            record = DEPLOYMENTS[job.system.value](open_access(job))
        except ImportError as error:
            return f"left out: {error.name} is not installed (pip install 'seatrial[forges]')"
        self._begun = _Begun(record=record, number=record.start(deployment), deployment=deployment)
        return ""

    def _finish(self, state: DeploymentState | None, description: str) -> None:
        if self._begun is None:
            return
        begun = self._begun
        begun.record.conclude(
            begun.number, begun.deployment, state or DeploymentState.FAILURE, self._conceal(description)
        )

    # -- the job

    def _take(self, steps: list[Step]) -> None:
        for delivery in deliver(steps):
            if not delivery.ok:
                self._tell(f"{delivery.step}: {delivery.problem}" + (f" ({delivery.hint})" if delivery.hint else ""))
            elif delivery.detail:
                self._tell(f"{delivery.step}: {delivery.detail}")

    def _render(self, document: Document) -> str:
        from seatrial.render import RenderOptions
        from seatrial.render.markdown import render_document

        return self._conceal(render_document(document, RenderOptions()))

    def _point_out(self, line: str) -> None:
        """An error that GitHub shows on the run's page, which needs no right."""
        from seatrial.render.github_annotations import write_error

        self._command(write_error("seatrial", self._conceal(line)))

    def _conceal(self, text: str) -> str:
        token = self._job.token if self._job else None
        return text.replace(token, "***") if token else text


@contextmanager
def announcing(
    directory: Path,
    env: Mapping[str, str],
    *,
    artifact: str,
    record: bool,
    tell: Progress,
    command: Callable[[str], None],
    git_dir: Path | None = None,
) -> Iterator[Announcer]:
    """Whatever ends the block without a result is told as well; a result is told by its own `end`."""
    announcer = Announcer(
        _find_job(directory, env, git_dir, tell), artifact=artifact, record=record, tell=tell, command=command
    )
    try:
        yield announcer
    except SystemExit:
        raise
    except BaseException as error:
        announcer.fail(error)
        raise


def _find_job(directory: Path, env: Mapping[str, str], git_dir: Path | None, tell: Progress) -> CIJob | None:
    """The job that this runs in; a rollback needs no repository, and what can't be read of a job hinders nothing."""
    try:
        repository = Repository.discover(directory, git_dir)
    except UsageError:
        repository = None
    try:
        return find_job(repository, env) if repository else ci.detect(env, checked_out="")
    except SeatrialError as error:
        tell(f"what this CI job is can't be read, so it is told nothing: {error.message}")
        return None


def _explain(error: BaseException) -> tuple[str, str, int]:
    """What went wrong, what to do next, and the exit code."""
    match error:
        case SeatrialError():
            return error.message, error.hint, error.exit_code
        case Exception():
            return f"a defect of seatrial: {type(error).__name__}", "", ExitCode.DEFECT
        case _:
            return "the job was cancelled before anything was changed", "", DeployExit.FAILED


# -- the job summary


def _compose(done: Deployment, environment: Environment) -> Document:
    release, code = done.release, done.outcome.exit_code
    facts: list[tuple[Line, Line]] = [
        ((Text("version"),), (Strong(release.version),)),
        ((Text("digest"),), (Code(release.digest),)),
        ((Text("commit"),), (Code(release.commit),)),
        ((Text("live before"),), (Text(f"version {done.previous.version}" if done.previous else "nothing"),)),
    ]
    if environment.name:
        facts.insert(0, ((Text("environment"),), (Code(environment.name),)))
    blocks: list[Block] = [Paragraph(line=(Text(describe_deployment(done)),)), _tabulate(("", ""), tuple(facts))]
    if done.checks:
        blocks.append(_tabulate(("", "check", "answer", ""), tuple(map(_row, done.checks))))
    if code in _NEXT:
        blocks.append(Paragraph(line=(Strong("Next:"), Text(f" {_NEXT[code]}"))))
    title = f"{release.name} {release.version}: {done.outcome.value}"
    return Document(mark=_MARKS.get(code, Mark.FAILED), title=(Text(title),), blocks=tuple(blocks))


def _row(check: Check) -> tuple[Line, ...]:
    mark = _SIGNS.get(check.answer.value, Mark.FAILED)
    return (Sign(mark),), (Text(check.name),), (Text(check.answer.value),), (Text(check.detail),)


def _tabulate(titles: tuple[str, ...], rows: tuple[tuple[Line, ...], ...]) -> Table:
    return Table(columns=tuple(Column(title=(Text(title),)) for title in titles), rows=rows, keep=len(rows))


def _compose_refusal(artifact: str, message: str, hint: str) -> Document:
    lines = [(Text(message),), *([(Strong("Next:"), Text(f" {hint}"))] if hint else [])]
    return Document(
        mark=Mark.FAILED,
        title=(Text(f"{artifact}: nothing was deployed"),),
        blocks=tuple(Paragraph(line=line) for line in lines),
    )
