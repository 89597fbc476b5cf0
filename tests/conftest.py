"""What every test may rely on: a scrubbed environment, a git identity, and no network beyond loopback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from pytest_socket import disable_socket, socket_allow_hosts

_SCRUBBED = (
    *("CI", "CI_", "GITHUB_", "GITLAB_", "GITEA_", "FORGEJO_", "BITBUCKET_"),
    *("GIT_", "RUNNER_", "SEATRIAL_", "DVC_"),
)
_SCRUBBED_EXACTLY = ("NO_COLOR", "FORCE_COLOR", "REPO_TOKEN", "CI")
_PURE = ("unit", "golden", "repository")
# A room is pure by rule; these two exist to open a loopback port, and say so in their names.
_LOOPBACK = ("serving", "forges")

# An example that takes long on a busy machine is no failure.
settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def scrubbed_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hide the CI job and the user that run the tests, and name a git identity of our own."""
    for name in list(os.environ):
        if name in _SCRUBBED_EXACTLY or name.startswith(_SCRUBBED[1:]):
            monkeypatch.delenv(name)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "dvc-site-cache"))


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest) -> None:
    """Refuse sockets to pure tests, and anything but loopback to the rest."""
    parts = Path(request.node.path).relative_to(Path(__file__).parent).parts
    if parts[0] in _PURE and not set(parts) & set(_LOOPBACK):
        disable_socket(allow_unix_socket=True)
    else:
        socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
