"""What lies in DVC's directories, file by file, as far as their lists are on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seatrial.core.revision import Revision
from seatrial.errors import CompareError
from seatrial.git import Repository
from seatrial.sources.cache import open_cache
from seatrial.sources.snapshot import read_declarations


def list_directories(
    repository: Repository, revision: Revision, digests: Iterable[str]
) -> Mapping[str, Mapping[str, str]]:
    """The files of each directory's digest, path to md5; a list that is not here, or damaged, is left out."""
    cache = open_cache(repository.root, read_declarations(repository, revision).roots)
    found: dict[str, Mapping[str, str]] = {}
    for digest in digests:
        try:
            entries = cache.list_directory(digest)
        except CompareError:
            continue  # the sizes are told all the same, and nothing is judged by them
        if entries is not None:
            found[digest] = dict(entries)
    return found
