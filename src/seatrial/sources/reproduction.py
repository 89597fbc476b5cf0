"""Running the user's own DVC: its remotes, credentials and plugins apply."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from seatrial.errors import CompareError, UsageError

_PATIENCE = 60  # seconds for DVC to start on a slow disk
# Those that seatrial itself may read, and those that a forge gives to every job.
_TOKENS = frozenset(
    {
        "SEATRIAL_TOKEN",
        "REPO_TOKEN",
        "GITHUB_TOKEN",
        "SEATRIAL_SIGN_KEY",
        "SEATRIAL_SIGN_PASSWORD",
        "GH_TOKEN",
        "GITHUB_ENTERPRISE_TOKEN",
        "GH_ENTERPRISE_TOKEN",
        "INPUT_TOKEN",
        "ACTIONS_RUNTIME_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "GITLAB_TOKEN",
        "CI_JOB_TOKEN",
        "CI_JOB_JWT",
        "CI_JOB_JWT_V1",
        "CI_JOB_JWT_V2",
        "CI_REPOSITORY_URL",  # holds the job's token
        "CI_REGISTRY_PASSWORD",
        "CI_DEPENDENCY_PROXY_PASSWORD",
        "CI_DEPLOY_PASSWORD",
        "GITEA_TOKEN",
        "GITEA_RUNTIME_TOKEN",
        "FORGEJO_TOKEN",
        "FORGEJO_RUNTIME_TOKEN",
        "BITBUCKET_TOKEN",
        "BITBUCKET_STEP_OIDC_TOKEN",
        "REPOSITORY_OAUTH_ACCESS_TOKEN",  # Bitbucket's, for the clone
    }
)


def find_dvc() -> str:
    """The `dvc` on PATH; UsageError where there is none."""
    import shutil  # a comparison has no use for it

    found = shutil.which("dvc")
    if found is None:
        raise UsageError(
            "`dvc` is not on PATH, and --reproduce runs it",
            hint="install the DVC of your project before this step, or choose --reproduce no",
        )
    return found


def read_dvc_version() -> str | None:
    """What `dvc --version` prints, or why it fails; None where there is no `dvc` on PATH."""
    import shutil

    if shutil.which("dvc") is None:
        return None
    try:
        done = subprocess.run(
            ["dvc", "--version"],
            env=without_tokens(os.environ),
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it did not answer: {error}"
    lines = [line for line in (done.stdout if done.returncode == 0 else done.stderr).splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it prints nothing"


def reproduce(root: Path) -> None:
    """Run `dvc repro --pull` in the work tree, its output on standard error; CompareError where it fails.

    `--pull` takes what the cache's remote already has instead of computing it again; a project without a
    remote computes. The stages are the change's own code, so they get no token of the forge.
    """
    env = without_tokens(os.environ)
    command = [find_dvc(), "repro", "--pull", "--allow-missing"] if _has_remote(root) else [find_dvc(), "repro"]
    code = subprocess.run(command, cwd=root, env=env, stdout=sys.stderr, check=False).returncode
    if code != 0:
        raise CompareError(
            f"`{' '.join(['dvc', *command[1:]])}` failed with exit code {code}",
            hint="its own message stands above; the same command in your work tree shows it too",
        )


def without_tokens(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without what gives rights at the forge; credentials of DVC's remotes stay."""
    return {name: value for name, value in env.items() if name.upper() not in _TOKENS}


def _has_remote(root: Path) -> bool:
    command = [find_dvc(), "remote", "list"]
    env = without_tokens(os.environ)
    listed = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    return listed.returncode == 0 and bool(listed.stdout.strip())
