"""The target `command` under the conformance suite, with a shell script that keeps models in a place of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from seatrial.core.deployment import Outcome
from seatrial.deploy import open_command, open_target
from seatrial.deploy.command import SETTINGS
from seatrial.deploy.conformance import NumberProver, TargetConformance, TargetSurvival, plan_number
from seatrial.deploy.engine import apply, recover
from seatrial.errors import ReleaseError, UsageError
from tests.conformance.remote import open_remote

OPENER = "tests.conformance.remote:open_remote"


class TestCommand(TargetConformance):
    """What it does."""

    opener = OPENER


@pytest.mark.slow
class TestCommandSurvives(TargetSurvival):
    """What it survives: kill -9 at every boundary, and races."""

    opener = OPENER
    races = 10


def deploy(place: Path, number: str) -> Outcome:
    """Deploy a model that answers with a number."""
    target = open_remote(str(place / "root"), "conformance")
    plan = plan_number(target, place / "source", number)
    return apply(plan, target=target, prover=NumberProver()).outcome


def test_files_arrive_where_the_script_brings_them(tmp_path: Path) -> None:
    """The place holds the files of the release, and nothing of a version that was taken away."""
    assert deploy(tmp_path, "1") is Outcome.LIVE
    there = tmp_path / "remote/conformance"
    assert (there / "1/model.txt").read_text() == "1"
    target = open_remote(str(tmp_path / "root"), "conformance")
    assert deploy(tmp_path, "2") is Outcome.LIVE
    with target.lock():
        target.retire("1")
    assert not (there / "1").exists()


@pytest.mark.parametrize("verb", ["stage", "promote"])
def test_command_that_fails_is_undone(tmp_path: Path, verb: str) -> None:
    """A script that ends with an error fails the deployment, and what it complained of is told."""
    deploy(tmp_path, "1")
    script = tmp_path / "root/remote.sh"
    good = script.read_text()
    broken = good.replace(
        f"\n{verb})\n", f'\n{verb})\n    if [ "$SEATRIAL_VERSION" = 2 ]; then echo "no room" >&2; exit 7; fi\n'
    )
    script.write_text(broken)
    target = open_remote(str(tmp_path / "root"), "conformance")
    plan = plan_number(target, tmp_path / "source", "2")
    failed = apply(plan, target=target, prover=NumberProver())
    assert (failed.outcome, failed.outcome.exit_code) == (Outcome.REFUSED, 1)
    assert "ended with 7: no room" in failed.reason
    live = target.observe().live
    assert live is not None
    assert live.version == "1"


def test_place_that_says_something_else_is_not_believed(tmp_path: Path) -> None:
    """Another digest, an unknown version and words that are no answer are problems, and not "nothing is live"."""
    deploy(tmp_path, "1")
    target = open_remote(str(tmp_path / "root"), "conformance")
    told = tmp_path / "remote/conformance/live"
    for said in ('{"version": "1", "digest": "sha256:00"}', '{"version": "9", "digest": "sha256:00"}'):
        told.write_text(said)
        live = target.observe().live
        assert live is not None
        assert live.problem
    told.write_text("ok")
    with pytest.raises(ReleaseError, match="not what is live"):
        target.observe()


def test_command_that_outlives_its_deployer_is_waited_for(tmp_path: Path) -> None:
    """Killed while a script switches, the next command waits for the script, and then believes what is live."""
    deploy(tmp_path, "1")
    script = tmp_path / "root/remote.sh"
    slow = script.read_text().replace("\npromote)\n", "\npromote)\n    : > switching; sleep 2\n")
    script.write_text(slow)
    given = ("-m", "seatrial.deploy.conformance", OPENER, str(tmp_path), "deploy", "2", "-1")
    with subprocess.Popen([sys.executable, *given]) as deployer:
        while not (tmp_path / "root/switching").exists():
            assert deployer.poll() is None
            time.sleep(0.01)
        deployer.kill()
    target = open_remote(str(tmp_path / "root"), "conformance")
    with target.lock():
        record = recover(target, NumberProver())
    assert record is not None
    assert (record.event, record.version) == (Outcome.LIVE, "2")
    live = target.observe().live
    assert live is not None
    assert (live.version, live.problem) == ("2", "")


def test_settings_are_checked(tmp_path: Path) -> None:
    """Missing, unreadable and incomplete settings are usage errors that name the file; so is an unknown target."""
    for text in (None, "stage: [", "stage: [a]", "stage: []\npromote: [a]\nobserve: [a]", "stge: [a]"):
        if text is not None:
            (tmp_path / SETTINGS).write_text(text)
        with pytest.raises(UsageError, match=SETTINGS):
            open_command(str(tmp_path), "m").observe()
    (tmp_path / SETTINGS).write_text("stage: [a]\npromote: [a]\nobserve: [./nothing]")
    with pytest.raises(ReleaseError, match="can't be started"):
        open_command(str(tmp_path), "m").observe()
    with pytest.raises(UsageError, match="the target command takes no settings"):
        open_target("command", str(tmp_path), "m", {"region": "north"})
    with pytest.raises(UsageError, match="no target 'kubernets'") as caught:
        open_target("kubernets", str(tmp_path), "m")
    assert "local" in caught.value.hint
