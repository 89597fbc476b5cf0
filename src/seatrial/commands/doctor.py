"""`seatrial doctor`: is everything there that a comparison, a gate and a report need, and what mends what is not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.ci.job import CIJob
from seatrial.commands.compare import load_config
from seatrial.commands.delivering import check_ci
from seatrial.commands.policing import check_evidence, check_extras, check_policy
from seatrial.config import Config
from seatrial.core.checkup import Check, Checkup, fail, fail_by, name_some, ok, shorten, warn
from seatrial.core.metrics import Snapshot, is_finite, is_number
from seatrial.core.phrases import count
from seatrial.core.revision import WORK_TREE, Revision
from seatrial.core.verdict import Severity
from seatrial.errors import SeatrialError, UsageError
from seatrial.git import Repository, read_version

if TYPE_CHECKING:
    from seatrial.sources.dvcfiles import Project

# `--end-of-options` came with the first, `fetch --no-write-fetch-head` with the second.
_OLDEST_GIT, _DEEPENING_GIT = (2, 24), (2, 29)
_OLDEST_DVC = 2
_HOW_TO_DEEPEN = """\
git fetch --unshallow
# GitHub Actions:
- uses: actions/checkout@v7
  with: {fetch-depth: 0}
# GitLab CI:
variables: {GIT_DEPTH: "0"}
# Bitbucket Pipelines:
clone: {depth: full}"""
_HOW_TO_DECLARE = """\
# dvc.yaml
metrics:
  - metrics.json"""


def examine(
    directory: Path,
    env: Mapping[str, str],
    *,
    config_path: Path | None = None,
    offline: bool = False,
    git_dir: Path | None = None,
) -> Checkup:
    """Look at everything; nothing is changed, and only a forge that a token is there for is asked."""
    checks = [_check_git()]
    try:
        repository = Repository.discover(directory, git_dir)
        if repository.bare:
            raise UsageError(f"{repository.root} is a bare repository: there is no work tree", hint="use a clone")
        checks += [_check_commits(repository), _check_depth(repository), _check_default_branch(repository)]
    except SeatrialError as error:
        return Checkup(checks=(*checks, fail_by("repository", error)))
    snapshot, found = _check_project(repository)
    checks += found
    try:
        config: Config | None = load_config(repository, config_path)
    except SeatrialError as error:
        config = None
        checks.append(fail_by("policy", error))
    if config is not None:
        today = datetime.now(timezone.utc).date()
        checks += check_policy(config, snapshot, today)
        checks += check_evidence(repository, config, snapshot)
        checks.append(_check_stale(repository, config))
    job, told = check_ci(repository, env, offline=offline)
    return Checkup(checks=(*checks, check_extras(config, needs_forge=_needs_forge(job)), *told))


def _needs_forge(job: CIJob | None) -> bool:
    return job is not None and bool(job.token)


# -- git


def _check_git() -> Check:
    try:
        version = read_version()
    except UsageError as error:
        return fail_by("git", error)
    spelled = ".".join(map(str, version)) or "of no known version"
    if version and version < _OLDEST_GIT:
        message = f"git {spelled} is too old: seatrial needs 2.24"
        return fail("git", message, "install a newer git")
    if version and version < _DEEPENING_GIT:
        message = f"git {spelled} can't deepen a shallow clone for seatrial: that takes 2.29"
        return warn("git", message, _HOW_TO_DEEPEN)
    return ok("git", f"git {spelled}")


def _check_commits(repository: Repository) -> Check:
    try:
        sha = repository.head_sha()
    except UsageError as error:
        return fail_by("repository", error)
    return ok("repository", f"{repository.root.name} at {sha[:7]} ({repository.branch_name() or 'no branch'})")


def _check_depth(repository: Repository) -> Check:
    if not repository.is_shallow():
        return ok("history", "the whole history is here")
    message = "this clone is shallow: the baseline may not be here, and has to be fetched then"
    return warn("history", message, _HOW_TO_DEEPEN)


def _check_default_branch(repository: Repository) -> Check:
    branch = repository.default_branch()
    if branch is not None:
        return ok("default branch", branch)
    message = "neither origin/HEAD nor main nor master is here: `seatrial compare` needs its baseline named"
    remedy = "git remote set-head origin --auto" if repository.remote_url() else "seatrial compare BASE"
    return warn("default branch", message, remedy)


# -- the DVC project


def _check_project(repository: Repository) -> tuple[Snapshot | None, list[Check]]:
    from seatrial.sources.snapshot import read_declarations, read_snapshot

    now = Revision(name=WORK_TREE, sha=None)
    try:
        project = read_declarations(repository, now)
        snapshot = read_snapshot(repository, now)
    except SeatrialError as error:
        return None, [fail_by("DVC project", error)]
    roots = [root for root in project.roots if (repository.root / root / ".dvc").is_dir()]
    checks = [_check_roots(roots, bool(project.metrics or project.stages)), _check_dvc()]
    checks += shorten([fail("DVC files", problem.message, problem.hint) for problem in project.problems]) or [
        ok("DVC files", f"{count(len(project.stages), 'stage')} and {count(len(project.outs), 'output')} are recorded")
    ]
    return snapshot, [*checks, *_check_metrics(snapshot), _check_cache(repository, project, roots)]


def _check_roots(roots: list[str], declares: bool) -> Check:
    if roots:
        return ok("DVC project", ", ".join(root or "the repository's root" for root in roots))
    message = "there is no .dvc directory"
    return (warn if declares else fail)("DVC project", message, "dvc init")


def _check_dvc() -> Check:
    from seatrial.sources.reproduction import read_dvc_version

    version = read_dvc_version()
    remedy = "pip install dvc"
    if version is None:
        message = "`dvc` is not on PATH: nothing can be fetched from its remote, or reproduced"
        return warn("dvc", message, remedy)
    major = version.partition(".")[0]
    if not major.isdecimal():
        return warn("dvc", f"`dvc --version` fails: {version}", remedy)
    if int(major) < _OLDEST_DVC:
        message = f"dvc {version} is older than 2, which seatrial was not tried with"
        return warn("dvc", message, "pip install --upgrade dvc")
    return ok("dvc", f"dvc {version}")


def _check_metrics(snapshot: Snapshot) -> list[Check]:
    if not snapshot.metrics:
        message = "no metrics are declared: there is nothing to compare"
        return [fail("metrics", message, _HOW_TO_DECLARE)]
    broken = [fail("metrics", file.problem.message, file.problem.hint) for file in snapshot.metrics if file.problem]
    broken += [
        fail(
            "metrics",
            f"{file.path}:{'.'.join(key)} is {value}",
            "a metric that is no finite number fails every comparison: mend the stage that writes it",
        )
        for file in snapshot.metrics
        for key, value in file.values.items()
        if is_number(value) and not is_finite(value)
    ]
    values = sum(len(file.values) for file in snapshot.metrics)
    read = sum(file.problem is None for file in snapshot.metrics)
    return shorten(broken) or [ok("metrics", f"{count(values, 'value')} in {count(read, 'file')}")]


def _check_stale(repository: Repository, config: Config) -> Check:
    from seatrial.sources.staleness import find_stale

    try:
        stages = find_stale(repository, Revision(name=WORK_TREE, sha=None)).stages
    except SeatrialError as error:
        return fail_by("stale stages", error)
    if not stages:
        return ok("stale stages", "none")
    named = name_some(f"{stage.address} ({(*stage.because, *stage.edited)[0]})" for stage in stages)
    say = fail if config.policy.stale is Severity.FAIL else warn
    message = f"not what the committed code, data and parameters made: {named}"
    return say("stale stages", message, "dvc repro, and commit dvc.lock with the metrics that it makes")


def _check_cache(repository: Repository, project: Project, roots: Iterable[str]) -> Check:
    from seatrial.sources.cache import open_cache
    from seatrial.sources.remotes import read_default_remote

    cached = {path: out for path, out in project.outs.items() if out.digest and path not in project.uncached}
    # What is in the work tree is not looked into: that would take as long as there is data.
    wanted = {path: out for path, out in cached.items() if not os.path.lexists(repository.root / path)}
    cache = open_cache(repository.root, project.roots)
    try:
        expanded = {path: cache.expand(path, out.digest) for path, out in wanted.items()}
    except SeatrialError as error:
        return fail_by("cache", error)
    absent = [path for path, out in expanded.items() if out is None or out.missing]
    remotes = [found.name for root in roots if (found := read_default_remote(repository.root / root))]
    if absent and not remotes:
        message = f"nowhere on this machine, and there is no default remote: {name_some(absent)}"
        remedy = "dvc remote add --default NAME URL, then dvc pull"
        return warn("cache", message, remedy)
    if absent:
        message = f"nowhere on this machine: {name_some(absent)}"
        return warn("cache", message, f"dvc pull {absent[0]}")
    if not cached:
        return ok("cache", "no output is in DVC's cache alone")
    remote = f"default remote: {', '.join(remotes)}" if remotes else "no default remote: CI can't fetch them"
    return ok("cache", f"{count(len(cached), 'output')} in DVC's cache, all here; {remote}")
