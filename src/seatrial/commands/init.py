"""`seatrial init`: a CI file and a first policy out of what the repository holds, planned as a value, then written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from seatrial.ci.job import System
from seatrial.ci.workflows import (
    BITBUCKET_FILE,
    FORGEJO_DIRECTORY,
    GITEA_DIRECTORY,
    GITHUB_FILE,
    GITLAB_FILE,
    WORKFLOW_DIRECTORIES,
    Wiring,
    add_to_gitlab,
    find_replaced,
    guess_system,
    read_host,
    read_system,
    uses_seatrial,
    write_bitbucket,
    write_bitbucket_step,
    write_gitea,
    write_github,
    write_gitlab,
)
from seatrial.commands.baseline import Ends, choose_range
from seatrial.commands.survey import Survey, decode, look_around
from seatrial.commands.writing import FileChange
from seatrial.config import DEFAULT_NAME, parse_config
from seatrial.config.document import Document
from seatrial.config.proposal import Predicted, Proposal, propose_policy
from seatrial.core.document import Line, Link, Sign
from seatrial.core.phrases import count
from seatrial.core.verdict import Outcome
from seatrial.errors import SeatrialError, UsageError
from seatrial.git import Repository

if TYPE_CHECKING:
    from seatrial.commands.measure import Measurement

_HINDRANCES = (Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.WARNED)
_MOST_TOLD = 10
_EXTRAS = {"s3": "s3", "gs": "gs", "azure": "azure", "gdrive": "gdrive", "ssh": "ssh", "oss": "oss", "hdfs": "hdfs"}
_EXTRAS |= {"webdav": "webdav", "webdavs": "webdav", "webhdfs": "webhdfs"}
Ask = Callable[[], str]


class InitPlan(Struct, frozen=True, kw_only=True):
    """What is to be written, what differs and is left to people, and what they should know.

    `found` is what the plan rests on, `advice` what is left to do.
    """

    root: Path
    changes: tuple[FileChange, ...]
    kept: tuple[FileChange, ...] = ()
    found: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def plan_init(directory: Path, *, forge: str | None, ask: Ask | None, git_dir: Path | None = None) -> InitPlan:
    """Look at a repository and plan the files that bring seatrial into it; nothing is written.

    `ask` is called for the forge where neither the remote nor the files tell; without it that is a UsageError.
    """
    repository = Repository.discover(directory, git_dir)
    if repository.bare:
        raise UsageError(f"{repository.root} is a bare repository: there is nowhere to write to", hint="use a clone")
    survey, advice = look_around(repository)
    system, why = _choose_system(survey, forge, ask)
    policy, gates, said = _plan_policy(survey)
    workflow, told = _plan_workflow(survey, system)
    planned = [change for change in (workflow, policy) if change is not None]
    return InitPlan(
        root=repository.root,
        changes=tuple(change for change in planned if _may_write(change)),
        kept=tuple(change for change in planned if not _may_write(change)),
        found=(f"forge: {system.value} ({why})", *_tell_found(survey), *_tell_replaced(survey, system)),
        advice=(*gates, *advice, *told, *said),
    )


def _may_write(change: FileChange) -> bool:
    """A file that is there is added to, never changed otherwise."""
    return change.before is None or change.after.startswith(change.before.rstrip()) or change.path == GITLAB_FILE


def _choose_system(survey: Survey, forge: str | None, ask: Ask | None) -> tuple[System, str]:
    if forge is not None:
        return System(forge), "as asked for"
    url = survey.repository.remote_url()
    if url and (system := guess_system(url)):
        return system, f"the remote is at {read_host(url)}"
    served = {read_system(path): path for path in survey.ci_files}
    if len(served) == 1:
        ((system, path),) = served.items()
        return system, f"it has {path}"
    if ask is None:
        where = f"the remote's host {read_host(url) or 'is none and'} does not tell" if url else "there is no remote"
        names = ", ".join(system.value for system in System)
        raise UsageError(f"which forge? {where}", hint=f"seatrial init --forge with one of {names}")
    return System(ask()), "as answered"


def _tell_found(survey: Survey) -> tuple[str, ...]:
    roots = [root or "the repository's root" for root in survey.project.roots if _is_project(survey, root)]
    files = survey.snapshot.metrics
    values = sum(len(file.values) for file in files)
    tables = ", ".join(one.path for one in survey.predicted) or "none among the outputs that are here"
    remote = f"{survey.remote.name}" if survey.remote else "none"
    return (
        f"default branch: {survey.branch}",
        f"DVC: {', '.join(roots) or 'no .dvc directory'}; default remote: {remote}",
        f"metrics: {count(values, 'value')} in {count(len(files), 'file')}",
        f"tables of predictions: {tables}",
    )


def _is_project(survey: Survey, root: str) -> bool:
    return (survey.repository.root / root / ".dvc").is_dir()


def _tell_replaced(survey: Survey, system: System) -> tuple[str, ...]:
    """What stands in for which line of the forge's CI files that use CML."""
    return tuple(
        f"{path}:{one.line}: `{one.text}` → {one.by}"
        for path, text in survey.ci_files.items()
        if read_system(path) is system
        for one in find_replaced(text)
    )


# -- the policy


def _plan_policy(survey: Survey) -> tuple[FileChange | None, tuple[str, ...], tuple[str, ...]]:
    """The policy to write, what its gates say of the present state, and what else is to be known."""
    path = survey.repository.root / DEFAULT_NAME
    before = decode(path) if path.is_file() else None
    proposal, measured, said = _propose(survey)
    absent = [file.problem for file in survey.snapshot.metrics if file.problem]
    if before is None and absent and not proposal.gates and not proposal.evaluations:
        # An empty policy would be there the next time, and stay.
        told = f"{DEFAULT_NAME} is not written yet, for there is no metric to make gates of: {absent[0].message}"
        return None, (f"{told} → {absent[0].hint}, then seatrial init again",), said
    if before is None:
        change = FileChange(path=DEFAULT_NAME, before=None, after=proposal.text)
        return change, _tell_rehearsal(proposal, measured), said
    parse_config(before.encode(), DEFAULT_NAME)
    value = Document.parse(before.encode(), DEFAULT_NAME).value
    if set(value) == {"version"}:
        after = before.rstrip() + "\n" + proposal.body
        parse_config(after.encode(), DEFAULT_NAME)
        return FileChange(path=DEFAULT_NAME, before=before, after=after), _tell_rehearsal(proposal, measured), said
    if before == proposal.text:
        return None, (f"{DEFAULT_NAME} is there already",), said
    kept = f"{DEFAULT_NAME} is there already, and stays as it is: take from the proposal what you like"
    return FileChange(path=DEFAULT_NAME, before=before, after=proposal.text), (kept,), said


def _propose(survey: Survey) -> tuple[Proposal, Measurement | None, tuple[str, ...]]:
    """A policy that the present state passes as far as predictions go: it is tried before it is proposed."""
    predicted = survey.predicted
    proposal = _write_proposal(survey, predicted)
    measured, said = _rehearse(survey.repository, proposal)
    problems = {result.name: result.problem for result in measured.comparison.evaluations} if measured else {}
    broken = {name: problem for name, problem in problems.items() if problem is not None}
    if broken:
        predicted = tuple(
            replace(one, doubts=(*one.doubts, broken[one.path].message)) if one.path in broken else one
            for one in predicted
        )
        proposal = _write_proposal(survey, predicted)
        measured, said = _rehearse(survey.repository, proposal)
    return proposal, measured, said


def _write_proposal(survey: Survey, predicted: tuple[Predicted, ...]) -> Proposal:
    proposal = propose_policy(
        survey.snapshot.metrics,
        stale=survey.snapshot.stale,
        has_record=bool(survey.project.stages),
        reproduces=survey.reproduces,
        predicted=predicted,
    )
    parse_config(proposal.text.encode(), DEFAULT_NAME)
    return proposal


def _rehearse(repository: Repository, proposal: Proposal) -> tuple[Measurement | None, tuple[str, ...]]:
    """What `seatrial compare` will say under a policy that is not written yet."""
    from seatrial.commands.measure import Selection, measure

    try:
        revisions = choose_range(repository, Ends.parse(None, None))
        config = parse_config(proposal.text.encode(), DEFAULT_NAME)
        return measure(repository, revisions, config, Selection()), ()
    except SeatrialError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return None, (f"the gates could not be tried: {error.message}{hint}",)


def _tell_rehearsal(proposal: Proposal, measured: Measurement | None) -> tuple[str, ...]:
    tables = f" and on the predictions of {count(proposal.evaluations, 'table')}" if proposal.evaluations else ""
    gated = f"{DEFAULT_NAME}: gates on {count(proposal.gates, 'metric')}{tables}"
    if measured is None:
        return (gated,)
    said = [f"{gated}; `seatrial compare` says now: {spell_line(measured.report.document.title)}"]
    worst = [gate.worst for gate in measured.verdict.gates if gate.worst.outcome in _HINDRANCES]
    said += [f"{one.id}: {one.reason}" + (f" → {one.hint}" if one.hint else "") for one in worst[:_MOST_TOLD]]
    return tuple(said)


def spell_line(line: Line) -> str:
    """A line of the report as plain text."""
    return "".join(
        "" if isinstance(piece, Sign) else piece.label if isinstance(piece, Link) else piece.value for piece in line
    ).strip()


# -- the CI file


def _plan_workflow(survey: Survey, system: System) -> tuple[FileChange | None, tuple[str, ...]]:
    running = [path for path, text in survey.ci_files.items() if uses_seatrial(text)]
    path = _choose_file(survey, system)
    mine = [name for name in running if read_system(name) is system or name == path]
    if mine and mine != [path]:
        return None, (f"{mine[0]} runs seatrial already, and stays as it is",)
    wiring = _wire(survey)
    advice = _tell_wiring(survey, wiring, system)
    before = survey.ci_files.get(path)
    if system is System.GITLAB and before and before.strip():
        try:
            return FileChange(path=path, before=before, after=add_to_gitlab(before, wiring)), advice
        except UsageError as error:
            return None, (f"{error.message}; {error.hint}", *advice)
    if system is System.BITBUCKET and before and before.strip():
        if mine:
            return None, (f"{path} runs seatrial already, and stays as it is",)
        step = write_bitbucket_step(wiring).rstrip()
        return None, (f"{path} is there already: add this by hand, below `pull-requests:`\n{step}", *advice)
    after = _WRITERS[system](wiring)
    if before == after:
        return None, (f"{path} is there already",)
    kept = (f"{path} is there already, and stays as it is",) if before and system is not System.GITLAB else ()
    return FileChange(path=path, before=before, after=after), (*kept, *advice)


_WRITERS: Mapping[System, Callable[[Wiring], str]] = {
    System.GITHUB: write_github,
    System.GITLAB: write_gitlab,
    System.GITEA: write_gitea,
    System.BITBUCKET: write_bitbucket,
}


def _choose_file(survey: Survey, system: System) -> str:
    """Where the system looks; Gitea and Forgejo, which read one directory only, have theirs chosen by what is there."""
    files = {System.GITHUB: GITHUB_FILE, System.GITLAB: GITLAB_FILE, System.BITBUCKET: BITBUCKET_FILE}
    if system in files:
        return files[system]
    there = [place for place in WORKFLOW_DIRECTORIES if any(path.startswith(place) for path in survey.ci_files)]
    words = set(re.split(r"[.-]", read_host(survey.repository.remote_url() or "")))
    usual = GITEA_DIRECTORY if "gitea" in words else FORGEJO_DIRECTORY
    return f"{there[0] if there else usual}/seatrial.yml"


def _wire(survey: Survey) -> Wiring:
    needs_dvc = survey.reproduces or bool(survey.cached)
    remote = survey.remote.scheme if survey.remote and needs_dvc else ""
    return Wiring(
        branch=survey.branch,
        directory=survey.directory,
        reproduce="yes" if survey.reproduces else "no",
        install=_choose_install(survey, remote) if needs_dvc else "",
        remote=remote,
    )


def _choose_install(survey: Survey, scheme: str) -> str:
    """What `pip install` is given: DVC alone, or what the stages need too where CI runs them."""
    dvc = f"'dvc[{_EXTRAS[scheme]}]'" if scheme in _EXTRAS else "dvc"
    if not survey.reproduces:
        return dvc
    for directory in dict.fromkeys((survey.directory, "")):
        here = survey.repository.root / directory
        if (here / "requirements.txt").is_file():
            path = f"{directory}/requirements.txt" if directory else "requirements.txt"
            named = re.search(r"^\s*dvc\b", decode(here / "requirements.txt"), re.MULTILINE)
            return f"-r {shlex.quote(path)}" + ("" if named else f" {dvc}")
        if (here / "pyproject.toml").is_file():
            return f"{shlex.quote(f'./{directory}') if directory else '.'} {dvc}"
    return dvc


def _tell_wiring(survey: Survey, wiring: Wiring, system: System) -> tuple[str, ...]:
    """What only people can do: secrets, tokens, another line of an old workflow."""
    advice = []
    if survey.reproduces:
        advice.append(
            'CI runs `dvc repro` already, so the job does too (`reproduce`); say "no" to judge what is committed'
        )
    if survey.cached and survey.remote is None:
        advice.append(
            f"{survey.cached[0]} is in DVC's cache alone, and no default remote is set: dvc remote add -d NAME URL"
        )
    elif survey.cached and wiring.remote not in {"", "http", "https"}:
        advice.append(f"CI fetches {survey.cached[0]} from DVC's remote: give the job its credentials, see the CI file")
    if system is System.GITLAB:
        advice.append("with no token the gates are JUnit cases; a masked CI/CD variable SEATRIAL_TOKEN adds the note")
    if system is System.BITBUCKET:
        advice.append(
            "with no token the gates are tests; a secured repository variable SEATRIAL_TOKEN adds the comment"
        )
    if _tell_replaced(survey, system):
        advice.append("the old lines above were not touched: take them out when you have seen the new report")
    return tuple(advice)
