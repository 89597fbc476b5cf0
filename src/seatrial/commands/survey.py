"""What a repository holds before seatrial is brought into it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from seatrial.ci.workflows import BITBUCKET_FILE, GITLAB_FILE, WORKFLOW_DIRECTORIES, runs_pipeline
from seatrial.config.proposal import Predicted
from seatrial.core.metrics import Snapshot
from seatrial.core.revision import WORK_TREE, Revision
from seatrial.errors import UsageError
from seatrial.git import Repository
from seatrial.sources.dvcfiles import Project
from seatrial.sources.remotes import Remote, read_default_remote
from seatrial.sources.snapshot import read_declarations, read_snapshot
from seatrial.sources.staleness import find_stale

_MAX_BYTES = 1 << 20
_SAFE = re.compile(r"[\w./ -]+", re.ASCII)


class Survey(Struct, frozen=True, kw_only=True):
    """What the repository holds now."""

    repository: Repository
    project: Project
    snapshot: Snapshot
    predicted: tuple[Predicted, ...]
    ci_files: Mapping[str, str]
    branch: str
    directory: str
    remote: Remote | None

    @property
    def reproduces(self) -> bool:
        """Whether CI makes the metrics already."""
        return any(runs_pipeline(text) for text in self.ci_files.values())

    def is_cached(self, path: str) -> bool:
        """Whether DVC keeps a file, or the directory that it lies in, rather than git."""
        out = self.project.find_out(path)
        return out is not None and bool(out.digest) and out.path not in self.project.uncached

    @property
    def cached(self) -> tuple[str, ...]:
        """The metrics and predictions that only DVC keeps."""
        sure = (one.path for one in self.predicted if not one.doubts)
        return tuple(path for path in (*(file.path for file in self.snapshot.metrics), *sure) if self.is_cached(path))


def look_around(repository: Repository) -> tuple[Survey, tuple[str, ...]]:
    """The survey of a work tree, and what kept it from being complete; UsageError where there is no DVC project."""
    now = Revision(name=WORK_TREE, sha=None)
    root = repository.root
    project = read_declarations(repository, now)
    roots = [root for root in project.roots if (repository.root / root / ".dvc").is_dir()]
    if not roots and not project.metrics and not project.stages:
        raise UsageError(
            f"{repository.root} has no DVC project, and seatrial reads its metrics from one",
            hint="dvc init, then name the metrics in dvc.yaml: metrics: [metrics.json]",
        )
    directory = roots[0] if len(roots) == 1 and _SAFE.fullmatch(roots[0]) else ""
    snapshot = read_snapshot(repository, now)
    snapshot = replace(snapshot, stale=find_stale(repository, now).stages)
    predicted, advice = _recognise(repository, snapshot)
    survey = Survey(
        repository=repository,
        project=project,
        snapshot=snapshot,
        predicted=predicted,
        ci_files={path.relative_to(root).as_posix(): decode(path) for path in list_ci_files(root)},
        branch=_find_branch(repository),
        directory=directory,
        remote=next((found for place in roots if (found := read_default_remote(root / place))), None),
    )
    return replace(survey, predicted=tuple(_doubt_unreachable(survey, one) for one in predicted)), advice


def _recognise(repository: Repository, snapshot: Snapshot) -> tuple[tuple[Predicted, ...], tuple[str, ...]]:
    try:
        from seatrial.commands.recognising import recognise_predictions
    except ImportError:
        return (), ("predictions were not looked for: pip install 'seatrial[stats]', then seatrial init --dry-run",)
    return recognise_predictions(repository, snapshot), ()


def _doubt_unreachable(survey: Survey, one: Predicted) -> Predicted:
    if survey.remote is not None or survey.reproduces or not survey.is_cached(one.path):
        return one
    doubt = f"{one.path} is in DVC's cache alone, and no default remote is set: CI has no way to it"
    return replace(one, doubts=(*one.doubts, doubt))


def _find_branch(repository: Repository) -> str:
    default = repository.default_branch()
    if default is not None:
        return default.removeprefix("origin/")
    return repository.branch_name() or "main"


def list_ci_files(root: Path) -> list[Path]:
    """The files that tell a CI system what to run, and that are there."""
    workflows = [path for place in WORKFLOW_DIRECTORIES for path in sorted((root / place).glob("*.y*ml"))]
    files = (*workflows, root / GITLAB_FILE, root / BITBUCKET_FILE)
    return [path for path in files if path.is_file() and path.stat().st_size <= _MAX_BYTES]


def decode(path: Path) -> str:
    """The text of a file, its ends of lines as they are; UsageError where it is none."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read as text: {error}", hint="mend it, or move it away") from None
