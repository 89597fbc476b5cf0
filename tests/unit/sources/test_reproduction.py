"""What the stages of a change are given, which are a stranger's code."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from seatrial.sources.reproduction import reproduce, without_tokens

GITHUB = ("GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
GITLAB = ("GITLAB_TOKEN", "CI_JOB_TOKEN", "CI_REPOSITORY_URL")
OTHERS = ("GITEA_TOKEN", "FORGEJO_TOKEN", "BITBUCKET_TOKEN", "BITBUCKET_STEP_OIDC_TOKEN")
FORGE = ("SEATRIAL_TOKEN", "REPO_TOKEN", *GITHUB, *GITLAB, *OTHERS)
REMOTES = ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AZURE_STORAGE_SAS_TOKEN", "GDRIVE_CREDENTIALS_DATA", "PATH")


def test_rights_at_the_forge_stay_here() -> None:
    """Tokens of the forge are left out; what DVC's remotes ask for is not."""
    env = dict.fromkeys((*FORGE, *REMOTES), "secret")
    assert without_tokens(env) == dict.fromkeys(REMOTES, "secret")


def test_dvc_is_run_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both calls of DVC, the question for remotes and the run, see none of the tokens."""
    dvc = tmp_path / "dvc"
    dvc.write_text(f"#!/bin/sh\nenv >> {tmp_path}/seen\necho storage\n")
    dvc.chmod(dvc.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name in (*FORGE, "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "secret")
    reproduce(tmp_path)
    seen = (tmp_path / "seen").read_text().splitlines()
    assert {line for line in seen if line.endswith("=secret")} == {"AWS_SESSION_TOKEN=secret"}
    assert seen.count("AWS_SESSION_TOKEN=secret") == 2
