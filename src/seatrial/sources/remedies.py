"""What is said of a declared file that isn't there: the reason, and the command that mends it."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Sequence

from seatrial.core.metrics import Problem, State
from seatrial.core.revision import Revision
from seatrial.sources.dvcfiles import Project, list_entries


def explain_missing(path: str, project: Project) -> Problem:
    """A file that belongs in git, or that no stage has made."""
    if path in project.uncached or path in project.outs:
        hint = f"commit it: git add --force {path}, after dvc repro where it is not on disk"
    else:
        hint = f"run the stage that writes it (dvc repro), and commit {path}"
    return Problem(state=State.MISSING, path=path, message=f"{path}: is declared, but is not there", hint=hint)


def explain_link(path: str, reason: str) -> Problem:
    """A path over a symbolic link that is not followed to its end."""
    hint = f"commit the file itself in place of the link, or let it lead to one in the repository: ls -l {path}"
    return Problem(state=State.UNREADABLE, path=path, message=f"{path}: {reason}", hint=hint)


def explain_dangling(path: str, real: str) -> Problem:
    """A path over a symbolic link to what is not there."""
    message = f"{path}: is declared, and leads by a symbolic link to {real}, which is not there"
    return Problem(state=State.MISSING, path=path, message=message, hint=f"commit {real}, or mend the link {path}")


def explain_not_cached(path: str, revision: Revision, project: Project) -> Problem:
    """A file that DVC keeps, and that is nowhere on this machine."""
    ((root, (below,)),) = group_by_project([path], project.roots).items()
    command = shlex.join(fetch_command(revision, [below]))
    return Problem(
        state=State.MISSING_CACHE,
        path=path,
        message=f"{path}: is kept in DVC's cache, and its bytes are not on this machine",
        hint=f"cd {shlex.quote(root)} && {command}" if root else command,
    )


def explain_versioned(path: str, revision: Revision) -> Problem:
    """A directory that DVC keeps by the versions of a cloud store: no digest says what is in it."""
    return Problem(
        state=State.MISSING_CACHE,
        path=path,
        message=f"{path}: is kept by the versions of a cloud store (version_aware), and not on this machine",
        hint=f"dvc pull {shlex.quote(path)}"
        if revision.sha is None
        else f"git checkout {revision.sha[:7]} && dvc pull",
    )


def is_versioned(path: str, project: Project) -> bool:
    """Whether DVC knows an output by versions of its files alone."""
    return any(out == path and entry.keys() & {"files", "cloud"} for out, entry in list_entries(project))


def group_by_project(paths: Iterable[str], roots: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Paths by the DVC project that they lie in, relative to it."""
    groups: dict[str, tuple[str, ...]] = {}
    nearest_first = sorted(roots, key=len, reverse=True)
    for path in paths:
        root = next((root for root in nearest_first if not root or path.startswith(f"{root}/")), "")
        groups[root] = (*groups.get(root, ()), posixpath.relpath(path, root) if root else path)
    return groups


def fetch_command(revision: Revision, paths: Sequence[str]) -> list[str]:
    """The arguments of DVC that bring paths of a revision; DVC knows no single older commit, only all of them."""
    every = [] if revision.sha is None else ["--all-commits"]
    # A file's name is never an option; the separator is left out where it would only puzzle a reader.
    separator = ["--"] if any(path.startswith("-") for path in paths) else []
    return ["dvc", "fetch", *every, *separator, *paths]
