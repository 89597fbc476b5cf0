"""Signed releases on the command line: from a private key in a variable to a server that takes nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from seatrial.cli import cli
from seatrial.commands.serve import ServeSettings, open_server
from seatrial.core.release import SIGNATURE
from seatrial.errors import SeatrialError, ServeError
from tests.integration.test_deploy import NAME, Project, export_model
from tests.integration.test_deploy import project as project  # noqa: PLC0414 - a fixture
from tests.unit.serving.stores import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a command ended, and all that it said."""

    code: int
    text: str


Call = Callable[..., Said]


def make_key(directory: Path, name: str) -> tuple[str, Path]:
    """A private key's text, and the file of its public key, as OpenSSL makes them."""
    private, public = directory / f"{name}.key", directory / f"{name}.pub"
    for command in (
        ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(private)],
        ["ec", "-in", str(private), "-pubout", "-out", str(public)],
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    return private.read_text(), public


@pytest.fixture
def call(project: Project) -> Call:
    """Runs a command on the project's target."""

    def run(*arguments: str, **variables: str) -> Said:
        named = {"SEATRIAL_TO": str(project.to), **variables}
        result = CliRunner().invoke(cli, ["-C", str(project.root), *arguments], env=named)
        if isinstance(result.exception, SeatrialError):
            error = result.exception
            return Said(code=int(error.exit_code), text=f"{result.output}{error.message}; {error.hint}")
        return Said(code=result.exit_code, text=result.output)

    return run


def test_only_what_is_signed_is_delivered_gone_back_to_and_served(project: Project, call: Call, tmp_path: Path) -> None:
    """The key may stand in a variable; nothing shows it, and it is in no file that is left behind."""
    private, public = make_key(tmp_path, "ours")
    other, _ = make_key(tmp_path, "others")
    project.git("commit", "--quiet", "--allow-empty", "--message", "Begin")
    project.commit_model(export_model(tmp_path / "first", seed=1).directory)
    trusting = {"SEATRIAL_VERIFY_KEY": str(public)}

    unsigned = call("deploy", NAME, **trusting)
    assert (unsigned.code, "would have no signature" in unsigned.text) == (4, True)
    foreign = call("deploy", NAME, SEATRIAL_SIGN_KEY=other, **trusting)
    assert (foreign.code, "are not taken here" in foreign.text) == (4, True)
    signed = call("deploy", NAME, SEATRIAL_SIGN_KEY=private, **trusting)
    assert signed.code == 0, signed.text
    assert call("status", **trusting).code == 0
    opened = open_server(project.to, ServeSettings(verify_key=str(public)))

    secret = private.splitlines()[1]
    assert not any(secret in result.text for result in (unsigned, foreign, signed))
    left = [path for path in project.to.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert left == []

    project.commit_model(export_model(tmp_path / "second", seed=2).directory)
    assert call("deploy", NAME).code == 0
    assert call("status").code == 0
    looked = call("status", **trusting)
    assert (looked.code, f"{SIGNATURE}: missing" in looked.text) == (1, True)
    server = Client(opened.app)
    assert (server.get("/v2/health/ready").status_code, server.get(f"/v2/models/{NAME}").json()["versions"]) == (
        503,
        ["1"],
    )
    opened.close()
    with pytest.raises(ServeError, match="so it is not signed"):
        open_server(project.to, ServeSettings(verify_key=str(public)))
    back = call("rollback", NAME, **trusting)
    assert (back.code, project.target.pointer()) == (0, "1")
    again = call("rollback", NAME, "2", **trusting)
    assert (again.code, project.target.pointer()) == (4, "1")


def test_anybody_can_verify_it_without_seatrial(project: Project, call: Call, tmp_path: Path) -> None:
    """The library's own command line takes the signature, and finds what was altered."""
    private, public = make_key(tmp_path, "ours")
    project.git("commit", "--quiet", "--allow-empty", "--message", "Begin")
    project.commit_model(export_model(tmp_path / "first", seed=1).directory)
    assert call("deploy", NAME, SEATRIAL_SIGN_KEY=private).code == 0
    live = project.to / NAME / "versions/1"
    command = ["verify", "key", str(live), "--signature", str(live / SIGNATURE), "--public_key", str(public)]
    from model_signing._cli import main  # the program `model_signing`

    assert CliRunner().invoke(main, command).exit_code == 0
    (live / "golden.json").chmod(0o644)
    (live / "golden.json").write_text("{}")
    assert CliRunner().invoke(main, command).exit_code == 1


@pytest.mark.parametrize("command", [("deploy", NAME), ("rollback", NAME), ("status",), ("releases", NAME)])
def test_key_that_cannot_be_read_lets_nothing_through(project: Project, call: Call, command: tuple[str, ...]) -> None:
    """It is an error of usage, and not a signature that nobody asks for."""
    (project.to / NAME / "versions").mkdir(parents=True)
    result = call(*command, "--verify-key", "nowhere.pub")
    assert (result.code, "nowhere.pub: No such file" in result.text) == (2, True)
