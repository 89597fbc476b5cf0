"""Bringing what is nowhere on this machine, by the user's own DVC: its remotes, credentials and plugins apply."""

from __future__ import annotations

import os
import posixpath
import subprocess
from collections.abc import Iterable, Sequence

from seatrial.core.metrics import Snapshot, State
from seatrial.core.revision import Revision
from seatrial.errors import CompareError, UsageError
from seatrial.git import Repository
from seatrial.sources.dvcfiles import read_project
from seatrial.sources.tree import open_tree


def list_missing(snapshot: Snapshot) -> tuple[str, ...]:
    """The declared files of a side whose bytes only a remote may have."""
    files = (*snapshot.metrics, *snapshot.params)
    return tuple(file.path for file in files if file.problem and file.problem.state is State.MISSING_CACHE)


def fetch_outs(repository: Repository, revision: Revision, paths: Iterable[str]) -> None:
    """Run `dvc fetch` once per DVC project for all paths together; CompareError where it fails.

    Nothing is checked out: the bytes go to DVC's cache, where the next reading finds them.
    """
    roots = read_project(open_tree(repository, revision)).roots  # snapshot builds on this module
    for root, below in group_by_project(paths, roots).items():
        _run_dvc(repository, root, fetch_command(revision, below))


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


def _run_dvc(repository: Repository, root: str, command: list[str]) -> None:
    import shutil

    dvc = shutil.which("dvc")
    if dvc is None:
        raise UsageError(
            "`dvc` is not on PATH, and it would fetch what is missing", hint="install the DVC of your project"
        )
    # The token that posts is of no use to a remote.
    environment = {name: value for name, value in os.environ.items() if name != "SEATRIAL_TOKEN"}
    done = subprocess.run(
        [dvc, *command[1:]], cwd=repository.root / root, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        reason = said[-1].removeprefix("ERROR: ") if said else f"exit code {done.returncode}"
        raise CompareError(f"`{' '.join(command)}` failed: {reason}", hint="run it yourself to see all that it says")
