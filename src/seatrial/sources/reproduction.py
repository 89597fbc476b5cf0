"""Running the user's own DVC: its remotes, credentials and plugins apply."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from seatrial.errors import CompareError, UsageError


def find_dvc() -> str:
    """The `dvc` on PATH; UsageError where there is none."""
    found = shutil.which("dvc")
    if found is None:
        raise UsageError(
            "`dvc` is not on PATH, and --reproduce runs it",
            hint="install the DVC of your project before this step, or choose --reproduce no",
        )
    return found


def reproduce(root: Path) -> None:
    """Run `dvc repro --pull` in the work tree, its output on standard error; CompareError where it fails.

    `--pull` takes what the cache's remote already has instead of computing it again; a project without a
    remote computes. The stages are the change's own code, so they don't get the token that posts.
    """
    env = {name: value for name, value in os.environ.items() if name != "SEATRIAL_TOKEN"}
    command = [find_dvc(), "repro", "--pull", "--allow-missing"] if _has_remote(root) else [find_dvc(), "repro"]
    code = subprocess.run(command, cwd=root, env=env, stdout=sys.stderr, check=False).returncode
    if code != 0:
        raise CompareError(
            f"`{' '.join(['dvc', *command[1:]])}` failed with exit code {code}",
            hint="its own message stands above; the same command in your work tree shows it too",
        )


def _has_remote(root: Path) -> bool:
    listed = subprocess.run([find_dvc(), "remote", "list"], cwd=root, capture_output=True, text=True, check=False)
    return listed.returncode == 0 and bool(listed.stdout.strip())
