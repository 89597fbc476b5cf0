"""What the last commits of a branch wrote into its metrics files: every report reads it, so it costs little."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from seatrial.core.metrics import MetricSet
from seatrial.git import LineCommit, Repository
from seatrial.sources.formats import read_values

_MAX_BYTES = 1 << 20


def read_recent(
    repository: Repository, sha: str, files: Collection[str], *, most: int
) -> Mapping[str, tuple[tuple[LineCommit, MetricSet], ...]]:
    """Each file as the last `most` commits of a branch's own line wrote it, oldest first; no process is started for it.

    A commit that left a file as it was, or has it not, tells nothing of it. Files that git does not track have none.
    """
    commits = repository.read_ancestors(sha, most=most)
    return {
        file: _list_changes(repository, commits, file)
        # A name of several lines would be several questions.
        for file in files
        if "\n" not in file
    }


def _list_changes(
    repository: Repository, commits: Sequence[LineCommit], file: str
) -> tuple[tuple[LineCommit, MetricSet], ...]:
    blobs = repository.read_blobs([f"{commit.sha}:{file}" for commit in commits], limit=_MAX_BYTES)
    changes: list[tuple[LineCommit, MetricSet]] = []
    before: bytes | None = None
    for commit in reversed(commits):
        content = blobs.get(f"{commit.sha}:{file}")
        if content is not None and content != before and len(content) <= _MAX_BYTES:
            changes.append((commit, read_values(file, content)))
        before = content
    return tuple(changes)
