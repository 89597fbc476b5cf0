"""What the main branch's own line of commits tells: values of a metric, and models judged on one evaluation set."""

from __future__ import annotations

import posixpath

from seatrial.core.metrics import Key, Value
from seatrial.git import Repository
from seatrial.sources.dvcfiles import list_digests
from seatrial.sources.formats import read_values

_MOST_COMMITS = 1_000
_LOCK = "dvc.lock"


def read_history(repository: Repository, sha: str, file: str, key: Key, *, most: int = _MOST_COMMITS) -> list[Value]:
    """The values of a metric in the commits of a branch that changed its file, newest first; one for each change.

    Only files that git tracks have such a history. Commits without the file or the key are left out.
    """
    commits = repository.first_parents(sha, file, most=most)
    blobs = repository.read_blobs([f"{commit}:{file}" for commit in commits])
    found = (read_values(file, blobs[name]).values for commit in commits if (name := f"{commit}:{file}") in blobs)
    return [values[key] for values in found if key in values]


def count_uses(repository: Repository, sha: str, data: str, predictions: str) -> int | None:
    """How many different predictions the branch has held since its evaluation set `data` is what it is at a commit.

    Each was a model that was judged on that set. None where no dvc.lock records the set. Counts at most a thousand
    changes of the locks.
    """
    locks = [path for path in repository.list_tree(sha) if posixpath.basename(path) == _LOCK]
    today = _read_locks(repository, [sha], locks)[0].get(data)
    if today is None:
        return None
    commits = repository.first_parents(sha, *locks, most=_MOST_COMMITS)
    seen: set[str] = set()
    for digests in _read_locks(repository, list(commits), locks):
        if digests.get(data) != today:
            break
        seen |= {digests[predictions]} if predictions in digests else set()
    return len(seen)


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
