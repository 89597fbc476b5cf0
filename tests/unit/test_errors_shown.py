"""The one error boundary: what a person gets to see when a run ends badly."""

from __future__ import annotations

import errno
from typing import Any, NoReturn

import pytest

from seatrial import cli

VARIABLES = (
    "SEATRIAL_TOKEN",
    "REPO_TOKEN",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "CI_JOB_TOKEN",
    "FORGEJO_TOKEN",
    "GITEA_TOKEN",
    "BITBUCKET_TOKEN",
)


def _end_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> int:
    def fail(*_: Any, **__: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(cli.cli, "main", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("token", ["a-secret-of-ours", "a-secret\nof-ours"])
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_defect_shows_no_token_of_any_forge(
    variable: str, token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever variable brought it, as it is and as Python shows it."""
    monkeypatch.setenv(variable, token)
    assert _end_with(ValueError(f"header: {token!r}"), monkeypatch) == 70
    shown = capsys.readouterr().err
    assert "header: '***'" in shown
    assert "secret" not in shown


def test_a_full_disk_is_no_defect(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says which file has no room, and no traceback is to be sent."""
    full = OSError(errno.ENOSPC, "No space left on device", "report.html")
    assert _end_with(full, monkeypatch) == 2
    assert capsys.readouterr().err == (
        "error: report.html can't be written: No space left on device\nnext:  make room there\n"
    )
