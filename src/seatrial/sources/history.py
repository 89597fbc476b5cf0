"""What the main branch's own line of commits tells: values of a metric, and models judged on one evaluation set."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from time import monotonic

from msgspec import Struct

from seatrial.core.history import Stretch, Turn
from seatrial.core.metrics import Key, MetricSet, Problem, State, Value
from seatrial.core.revision import Revision
from seatrial.errors import CompareError, UsageError
from seatrial.git import LineCommit, Repository
from seatrial.sources.cache import open_cache
from seatrial.sources.dvcfiles import Project, list_digests
from seatrial.sources.formats import MAX_BYTES, read_values
from seatrial.sources.remedies import explain_not_cached
from seatrial.sources.timeline import Blob, Run, Source, Timeline, follow_metrics

_MOST_COMMITS = 1_000
_LOCK = "dvc.lock"
_MAX_VALUES = 3_000_000
_AT_ONCE = 1_000
_SILENCE = 2.0  # seconds between two words of progress


class Line(Struct, frozen=True, kw_only=True):
    """The metrics files of a line of commits; numbers are commits, counted from the oldest, which is 0."""

    stretches: tuple[Stretch, ...]
    turns: tuple[Turn, ...]
    blind: Mapping[int, Problem]


def read_line(
    repository: Repository,
    commits: Sequence[LineCommit],
    *,
    targets: Collection[str] = (),
    tell: Callable[[str], None] | None = None,
) -> Line:
    """Every metrics file of every commit (newest first), each content read and parsed once.

    UsageError where that is more than can be held.
    """
    timeline = follow_metrics(repository, commits, targets)
    found = _read_sources(repository, timeline, commits, tell)
    top = len(commits) - 1
    return Line(
        stretches=tuple(
            Stretch(metrics=found[run.file, run.source], first=top - run.oldest, last=top - run.newest)
            for run in timeline.runs
        ),
        turns=tuple(Turn(at=top - turn.at, new=turn.new, gone=turn.gone) for turn in timeline.turns),
        blind={top - at: problem for at, problem in timeline.blind.items()},
    )


def _read_sources(
    repository: Repository,
    timeline: Timeline,
    commits: Sequence[LineCommit],
    tell: Callable[[str], None] | None,
) -> Mapping[tuple[str, Source], MetricSet]:
    """The values of every file and source that there is."""
    found: dict[tuple[str, Source], MetricSet] = {}
    files: dict[str, list[str]] = {}
    for run in timeline.runs:
        if isinstance(run.source, Blob):
            files.setdefault(run.source.oid, []).append(run.file)
        elif (run.file, run.source) not in found:
            found[run.file, run.source] = _read_elsewhere(repository, timeline, run, commits[run.oldest])
    repository.fetch_missing(commits[0].sha, files, line=True)
    budget = _Budget(len(files), tell)
    for oid, content in _stream(repository, files):
        for file in dict.fromkeys(files[oid]):
            metrics = read_values(file, content)
            found[file, Blob(oid)] = budget.take(metrics)
    for oid, names in files.items():
        for file in names:
            if (file, Blob(oid)) not in found:
                found[file, Blob(oid)] = _lose(file)
    return found


def _stream(repository: Repository, oids: Iterable[str]) -> Iterable[tuple[str, bytes]]:
    """The content of blobs one after the other; none is held that was handed on."""
    asked = list(oids)
    for start in range(0, len(asked), _AT_ONCE):
        contents = repository.read_blobs(asked[start : start + _AT_ONCE], limit=MAX_BYTES)
        yield from contents.items()


class _Budget:
    """Counts what is read: says how far it is, and stops where it is more than can be held."""

    def __init__(self, files: int, tell: Callable[[str], None] | None) -> None:
        self._files = files
        self._tell = tell
        self._read = 0
        self._values = 0
        self._told = monotonic()

    def take(self, metrics: MetricSet) -> MetricSet:
        """One file more; UsageError where it is too much."""
        self._read += 1
        self._values += len(metrics.values)
        if self._tell and monotonic() - self._told > _SILENCE:
            self._told = monotonic()
            self._tell(f"read {self._read:,} of {self._files:,} metrics files")
        if self._values > _MAX_VALUES:
            raise UsageError(
                f"the history holds more than {_MAX_VALUES:,} values",
                hint="read a part of it: --targets FILE, --since 2026-01-01 or --most 1000",
            )
        return metrics


def _read_elsewhere(repository: Repository, timeline: Timeline, run: Run, commit: LineCommit) -> MetricSet:
    """A file that is not in git: out of DVC's cache where it is there, else the reason."""
    source = run.source
    assert not isinstance(source, Blob)
    if isinstance(source, Problem):
        return MetricSet(path=run.file, values={}, problem=source)
    try:
        content = open_cache(repository.root, timeline.roots).read(source.digest, limit=MAX_BYTES)
    except CompareError as error:
        damage = Problem(state=State.UNREADABLE, path=run.file, message=error.message, hint=error.hint)
        return MetricSet(path=run.file, values={}, problem=damage)
    if content is not None and not source.digest.endswith(".dir"):
        return read_values(run.file, content)
    revision = Revision(name=commit.sha[:7], sha=commit.sha)
    project = Project(outs={}, roots=timeline.roots)
    return MetricSet(path=run.file, values={}, problem=explain_not_cached(run.file, revision, project))


def _lose(file: str) -> MetricSet:
    message = f"{file}: its content is not in this clone"
    problem = Problem(state=State.UNREADABLE, path=file, message=message, hint="git fetch --refetch")
    return MetricSet(path=file, values={}, problem=problem)


def read_history(repository: Repository, sha: str, file: str, key: Key, *, most: int = _MOST_COMMITS) -> list[Value]:
    """The values of a metric in the commits of a branch that changed its file, newest first; one for each change.

    Only files that git tracks have such a history. Commits without the file or the key are left out.
    """
    commits = repository.first_parents(sha, file, most=most)
    blobs = repository.read_blobs([f"{commit}:{file}" for commit in commits])
    found = (read_values(file, blobs[name]).values for commit in commits if (name := f"{commit}:{file}") in blobs)
    return [values[key] for values in found if key in values]


def count_uses(repository: Repository, sha: str, data: str, predictions: str) -> int | None:
    """How many different predictions the branch has held while its evaluation set `data` was what it is at a commit.

    Each was a model that was judged on that set. None where no dvc.lock of the commit records both, so that nothing can
    be counted. Looks at up to a thousand changes of the locks.
    """
    locks = [path for path in repository.list_tree(sha) if posixpath.basename(path) == _LOCK]
    (today,) = _read_locks(repository, [sha], locks)
    if data not in today or predictions not in today:
        return None
    commits = repository.first_parents(sha, *locks, most=_MOST_COMMITS)
    past = _read_locks(repository, [sha, *commits], locks)
    return len({digests.get(predictions) for digests in past if digests.get(data) == today[data]} - {None})


def _read_locks(repository: Repository, commits: list[str], locks: list[str]) -> list[dict[str, str]]:
    """The digests of all outputs, commit by commit."""
    blobs = repository.read_blobs([f"{commit}:{lock}" for commit in commits for lock in locks])
    found = []
    for commit in commits:
        digests: dict[str, str] = {}
        for lock in locks:
            digests |= list_digests(blobs.get(f"{commit}:{lock}", b""), posixpath.dirname(lock))
        found.append(digests)
    return found
