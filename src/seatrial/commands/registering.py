"""After a deployment: registries are made to say what the deployment log says is live.

The log stays the truth. A registry that fails is told and changes nothing else; the next command that looks at the
environment (`deploy`, `rollback`, `status`) makes up for it, whatever went before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from seatrial.ci import detect
from seatrial.core.deployment import DeploymentRecord
from seatrial.core.environment import Environment
from seatrial.core.registry import Announcement, Mirrored, RegistryReport, RegistrySettings, find_live
from seatrial.deploy.places import is_address
from seatrial.deploy.registries import Registry, open_registry
from seatrial.deploy.target import Target
from seatrial.errors import SeatrialError
from seatrial.git import Repository


def announce(
    environment: Environment,
    target: Target,
    name: str,
    *,
    directory: Path,
    environ: Mapping[str, str],
    git_dir: Path | None = None,
) -> tuple[RegistryReport, ...]:
    """Let every registry of an environment mirror the log of one model's target.

    `directory` is in the repository whose tags are meant, unless `git_dir` names another one; `environ` are the
    variables of this process. Raises nothing that a registry does: that is the problem of its report.
    """

    def tell(record: DeploymentRecord) -> Announcement:
        source, run = _spell_source(environment, record), _find_run(environ, record.commit)
        return Announcement(record=record, source=source, run=run)

    def report(settings: RegistrySettings) -> RegistryReport:
        title = str(settings.__struct_config__.tag)
        try:
            registry = open_registry(settings, partial(Repository.discover, directory, git_dir), environ)
            title = registry.title
            mirrored = _mirror(registry, target, tell)
        except (SeatrialError, OSError) as error:
            return RegistryReport(registry=title, model=name, problem=_explain(error))
        return RegistryReport(registry=title, model=name, changes=mirrored.changes, notes=mirrored.notes)

    return tuple(report(settings) for settings in environment.registries)


def _mirror(registry: Registry, target: Target, tell: Callable[[DeploymentRecord], Announcement]) -> Mirrored:
    """Tell what the log says, and once more where it says something else by then: so the last one to tell is right."""
    changes: tuple[str, ...] = ()
    live, mirrored = find_live(target.read_log()), Mirrored()
    while live is not None:
        mirrored = registry.mirror(tell(live))
        changes += mirrored.changes
        told, live = live, find_live(target.read_log())
        if told == live:
            break
    return Mirrored(changes=changes, notes=mirrored.notes)


def _spell_source(environment: Environment, record: DeploymentRecord) -> str:
    """The address of the version; a directory gets a scheme, for it is not one of the registry's machine."""
    place = environment.to if is_address(environment.to) else f"seatrial://{Path(environment.to).absolute()}"
    return f"{place.rstrip('/')}/{record.name}/versions/{record.version}"


def _find_run(environ: Mapping[str, str], commit: str) -> str:
    """The page of the CI job that this is; empty outside of one, and where its variables can't be read."""
    try:
        job = detect(environ, checked_out=commit)
    except SeatrialError:
        return ""
    return job.run_url if job else ""


def _explain(error: SeatrialError | OSError) -> str:
    if isinstance(error, OSError):
        return str(error)
    return f"{error.message} ({error.hint})" if error.hint else error.message


def describe_reports(reports: Iterable[RegistryReport]) -> Iterator[str]:
    """What was done and what went wrong, in lines for people; nothing where nothing was to be done."""
    for report in reports:
        head = f"{report.model} in {report.registry}"
        if report.changes:
            yield f"{head}: {', '.join(report.changes)}" + "".join(f"; {note}" for note in report.notes)
        if report.problem:
            yield f"{head}: failed: {report.problem}; the next command tries again"
