"""What the doctor says of CI: the files that run seatrial, and in a job what its token may do and what is delivered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from seatrial.ci.job import CIJob, System
from seatrial.ci.workflows import WORKFLOW_DIRECTORIES, read_system, uses_seatrial
from seatrial.commands.baseline import find_job
from seatrial.commands.reporting import open_access
from seatrial.core.checkup import Check, fail, fail_by, ok, skip, warn
from seatrial.errors import SeatrialError, UsageError
from seatrial.forges import FORGES, TokenRights
from seatrial.git import Repository

_ACTION = "seatrial/seatrial@"
_WANTED = {"pull-requests": "the comment", "checks": "the check"}
_CHECKOUT = "- uses: actions/checkout@v7\n  with: {fetch-depth: 0}"
# How a job comes by a token that may post.
_TOKENS = {
    System.GITHUB: "env:\n  GITHUB_TOKEN: ${{ github.token }}",
    System.GITLAB: (
        "Settings → Access tokens: a project access token, scope api, role Developer; store it as the masked CI/CD\n"
        "variable SEATRIAL_TOKEN, unprotected if merge requests of unprotected branches are to use it"
    ),
    System.GITEA: "env:\n  SEATRIAL_TOKEN: ${{ github.token }}",
    System.BITBUCKET: (
        "Repository settings → Access tokens: a repository access token, Pull requests: Write; store it as the\n"
        "secured repository variable SEATRIAL_TOKEN"
    ),
}


def check_ci(repository: Repository, env: Mapping[str, str], *, offline: bool) -> tuple[CIJob | None, list[Check]]:
    """The CI files, and the job that this runs in, if it does; a forge is asked only where there is a token."""
    files = list(_check_files(repository.root))
    try:
        job = find_job(repository, env)
    except SeatrialError as error:
        return None, [*files, fail_by("CI job", error)]
    if job is None:
        return None, [*files, ok("CI job", "none: this is a machine of your own")]
    rights, told = _check_token(job, offline=offline)
    return job, [*files, ok("CI job", _describe(job)), told, _foresee(job, rights)]


# -- the files


def _check_files(root: Path) -> Iterator[Check]:
    texts = _read_files(root)
    running = {path: text for path, text in texts.items() if isinstance(text, str) and uses_seatrial(text)}
    yield from (fail_by("CI file", text) for text in texts.values() if isinstance(text, UsageError))
    if not running:
        yield warn("CI file", "no workflow or pipeline here runs seatrial", "seatrial init")
    for path, text in running.items():
        found = list(_check_workflow(path, text)) if path.startswith(WORKFLOW_DIRECTORIES) else []
        yield from found or [ok("CI file", f"{path} runs seatrial")]


def _read_files(root: Path) -> dict[str, str | UsageError]:
    from seatrial.commands.survey import decode, list_ci_files

    def read(path: Path) -> str | UsageError:
        try:
            return decode(path)
        except UsageError as error:
            return error

    return {path.relative_to(root).as_posix(): read(path) for path in list_ci_files(root)}


def _check_workflow(path: str, text: str) -> Iterator[Check]:
    """What a workflow lacks for its job to find the baseline, and to report."""
    import yaml

    try:
        workflow = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - text only: `on` is no boolean, nothing is built
    except (yaml.YAMLError, RecursionError) as error:
        yield fail("CI file", f"{path} is not YAML: {' '.join(str(error).split())}", "mend it")
        return
    workflow = workflow if isinstance(workflow, dict) else {}
    events = workflow.get("on") or ()
    if "pull_request_target" in events:
        message = (
            f"{path} runs on pull_request_target, which checks out the target branch, and holds a token that writes"
        )
        yield fail("CI file", message, "on:\n  pull_request:")
    elif "pull_request" not in events:
        yield warn("CI file", f"{path} does not run on pull requests", "on:\n  pull_request:")
    for job in _list_jobs(workflow):
        yield from _check_job(path, job, job.get("permissions", workflow.get("permissions")))


def _list_jobs(workflow: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    jobs = workflow.get("jobs")
    for job in jobs.values() if isinstance(jobs, dict) else ():
        if isinstance(job, dict) and any(_ACTION in _uses(step) for step in _list_steps(job)):
            yield job


def _list_steps(job: Mapping[str, Any]) -> list[Any]:
    steps = job.get("steps")
    return steps if isinstance(steps, list) else []


def _uses(step: object) -> str:
    return str(step.get("uses", "")) if isinstance(step, dict) else ""


def _check_job(path: str, job: Mapping[str, Any], permissions: object) -> Iterator[Check]:
    checkouts = [step for step in _list_steps(job) if "actions/checkout@" in _uses(step)]
    settings = [step.get("with") for step in checkouts]
    depths = [str(given.get("fetch-depth", "1")) for given in settings if isinstance(given, dict)]
    if "0" not in depths:
        yield warn(
            "CI file", f"{path} checks out a part of the history: the baseline has to be fetched then", _CHECKOUT
        )
    # Gitea knows no checks, and its job's own token may comment unless it is told otherwise. Only it reads addresses.
    addressed = any(_uses(step).startswith("https://") for step in _list_steps(job))
    on_gitea = addressed or read_system(path) is System.GITEA
    wanted = {name: what for name, what in _WANTED.items() if name != "checks" or not on_gitea}
    if permissions is None and not on_gitea:
        message = f"{path} names no permissions: those of the repository's settings decide what is posted"
        yield warn("CI file", message, _spell_permissions(wanted))
    lacking = [] if permissions is None or permissions == "write-all" else _list_lacking(permissions, wanted)
    if lacking:
        told = " and ".join(wanted[name] for name in lacking)
        yield warn("CI file", f"{path} lets the job not write {told}", _spell_permissions(wanted))


def _list_lacking(permissions: object, wanted: Iterable[str]) -> list[str]:
    granted = permissions if isinstance(permissions, dict) else {}
    return [name for name in wanted if granted.get(name) != "write"]


def _spell_permissions(names: Mapping[str, str]) -> str:
    wanted = "".join(f"\n  {name}: write # {what}" for name, what in names.items())
    return f"permissions:\n  contents: read{wanted}"


# -- the job


def _describe(job: CIJob) -> str:
    subject = f"{job.system.change_word} {job.change}" if job.change else f"{job.event} of {job.head_name}"
    origin = " from a fork" if job.from_fork else ""
    return f"{job.system.label}, {subject}{origin}; baseline: {job.baseline.reason}"


def _check_token(job: CIJob, *, offline: bool) -> tuple[TokenRights | None, Check]:
    """What the job's token may do, as far as the forge tells; the token itself is never shown."""
    if not job.token:
        remedy = _TOKENS[job.system]
        said = f"there is none in {job.token_variable}: nothing is posted"
        return None, ok("token", f"{said}, as is usual for a fork") if job.from_fork else warn("token", said, remedy)
    if offline:
        return None, skip("token", f"{job.token_variable} is set; --offline: the forge was not asked what it may do")
    try:
        rights = FORGES[job.system.value](open_access(job)).read_rights()
    except ImportError as error:
        return None, skip("token", f"the forge was not asked: {error.name} is not installed")
    except SeatrialError as error:
        return None, fail_by("token", error)
    return rights, _judge_rights(job, rights)


def _judge_rights(job: CIJob, rights: TokenRights) -> Check:
    told = f"{job.token_variable} is accepted: {rights.detail}"
    refused = [name for name, may in (("comment", rights.comments), ("check", rights.checks)) if may is False]
    if not refused:
        return ok("token", told)
    remedy = _spell_permissions(_WANTED) if job.system is System.GITHUB else _TOKENS[job.system]
    return warn("token", f"{told}; it may not write the {' and the '.join(refused)}", remedy)


def _foresee(job: CIJob, rights: TokenRights | None) -> Check:
    """What will reach its place if `seatrial ci` runs here."""
    always = ["the report's files", *(["the job summary"] if job.summary_file else []), "the exit code"]
    without = job.may_only_read
    posts: list[str] = []
    perhaps: list[str] = []
    if job.token and not without:
        for name, may in (
            ("the check", rights.checks if rights else None),
            *((("the comment", rights.comments if rights else None),) if job.change else ()),
        ):
            if may is not False:
                (posts if may else perhaps).append(name)
    told = ", ".join([*always, *posts])
    doubt = f"; if the token may: {' and '.join(perhaps)}" if perhaps else ""
    fork = "; a fork's token posts nothing" if without else ""
    return ok("delivery", f"{told}{doubt}{fork}")
