"""The conformance suite: what the engine relies on, proved on a target itself, by pytest.

    from seatrial.deploy.conformance import TargetConformance, TargetSurvival

    class TestMine(TargetConformance):
        opener = "my_package.targets:open_mine"  # called with a directory's path, one for each test, and a name

    class TestMineSurvives(TargetSurvival):
        opener = "my_package.targets:open_mine"

A target that can share requests between versions passes `seatrial.deploy.conformance_routing` as well.

The models of the suite are text files with a number, and their golden request asks for it: no runtime is needed.
Deployments that are killed run in processes of their own, which open the target anew. One that has imported all that
they need brings them forth, so that a hundred of them do not take a hundred starts of Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, cast

from seatrial.core.deployment import Answer, Check, Kind, Outcome, StoredVersion
from seatrial.core.release import GOLDEN, ModelFormat, Release, digest_files
from seatrial.deploy.engine import (
    Action,
    Deployment,
    DeploymentPlan,
    Examination,
    Terms,
    apply,
    plan_rollback,
    recover,
)
from seatrial.deploy.packing import SourceFile, pack
from seatrial.deploy.target import Target
from seatrial.errors import BlockedError, ReleaseError

NAME = "conformance"
_MODEL = "model.txt"
_CHANGING = frozenset({"write_journal", "stage", "route", "promote", "withdraw", "retire", "record", "close_journal"})
_NEVER = -1
_DEFECT = 70


class NumberProver:
    """Asks the suite's models; `wrong_outside` is the number that whoever asks from outside gets as a wrong answer."""

    def __init__(self, wrong_outside: str = "") -> None:
        self._wrong_outside = wrong_outside

    def examine(self, directory: Path) -> Examination:
        """A model is ready when it is a number, and right when that is the one of its golden request."""
        try:
            answered, golden = (directory / _MODEL).read_text(), json.loads((directory / GOLDEN).read_text())
        except (OSError, ValueError) as error:
            return Examination(checks=(Check(name="ready", answer=Answer.FAIL, detail=str(error)),))
        right = Answer.PASS if answered.strip() == golden else Answer.FAIL
        return Examination(checks=(Check(name="ready", answer=Answer.PASS), Check(name="golden", answer=right)))

    def look_from_outside(self, release: Release, directory: Path) -> Examination:
        """The same, unless this model is to be wrong once it is live."""
        if self._wrong_outside and (directory / _MODEL).read_text() == self._wrong_outside:
            return Examination(checks=(Check(name="golden", answer=Answer.FAIL, detail="wrong from outside"),))
        return self.examine(directory)


class Mortal:
    """A target whose process dies at one boundary: 2n is before its n-th change, 2n + 1 after it."""

    def __init__(self, target: Target, boundary: int) -> None:
        self._target = target
        self._boundary = boundary
        self.passed = 0

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._target, name)
        if name not in _CHANGING:
            return member

        def change(*given: Any) -> Any:
            self._pass()
            done = member(*given)
            self._pass()
            return done

        return change

    def _pass(self) -> None:
        if self.passed == self._boundary:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1


def build_release(
    directory: Path, version: str, number: str, golden: str | None = None
) -> tuple[Release, tuple[SourceFile, ...]]:
    """A release of a model that answers with a number, and where its files are; `golden` is the right answer."""
    directory.mkdir(parents=True, exist_ok=True)
    listed: list[tuple[str, str, Path | None]] = []
    for name, text in ((_MODEL, number), (GOLDEN, json.dumps(golden or number))):
        md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        (directory / md5).write_text(text)
        listed.append((name, md5, directory / md5))
    sources = pack("model", listed)
    files = tuple(source.file for source in sources)
    release = Release(
        name=NAME,
        version=version,
        digest=digest_files(files),
        format=ModelFormat.ONNX,
        files=files,
        commit=number * 40,
        lock_digest="0123.dir",
        verdict="passed",
        override="",
        metrics={},
    )
    return release, sources


def plan_number(target: Target, directory: Path, number: str, golden: str | None = None) -> DeploymentPlan:
    """Plan to deploy a model that answers with a number, as the command line plans a model."""
    seen = target.observe()
    release, sources = build_release(directory, seen.next_version, number, golden)
    stored = next((each for each in seen.versions if each.digest == release.digest), None)
    if stored and not target.verify(stored.version):
        release, _ = build_release(directory, stored.version, number, golden)
        action = Action.NOTHING if stored == seen.live else Action.PROMOTE
        return DeploymentPlan(action=action, release=release, sources=sources, previous=seen.live)
    return DeploymentPlan(action=Action.STAGE, release=release, sources=sources, previous=seen.live)


def open_named(opener: str, root: Path) -> Target:
    """The target that `MODULE:FUNCTION` opens."""
    module, _, function = opener.partition(":")
    return cast("Target", getattr(import_module(module), function)(str(root), NAME))


class _Nursery:
    """A process that has imported what deployments need, and brings each of them forth as a process of its own."""

    def __init__(self, opener: str) -> None:
        given = (sys.executable, "-m", __name__, opener)
        self._process = subprocess.Popen(given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def run(self, place: Path, verb: str, boundary: int) -> int:
        """Let a process do it; its exit code, negative for the signal that killed it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(place), verb, boundary]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


class Suite:
    """What all parts of the suite have in common."""

    opener: ClassVar[str] = "seatrial.deploy:open_local"

    def _open(self, place: Path) -> Target:
        return open_named(self.opener, place / "root")

    def _deploy(
        self, place: Path, number: str, *, golden: str | None = None, prover: NumberProver | None = None
    ) -> Deployment:
        target = self._open(place)
        plan = plan_number(target, place / "source", number, golden)
        return apply(plan, target=target, prover=prover or NumberProver())

    def _live_number(self, place: Path) -> str:
        target = self._open(place)
        return (target.locate(_live(target).version) / _MODEL).read_text()

    def _expect(self, place: Path, number: str | None, *, versions: int) -> None:
        """One version is live, is what its manifest says, answers, and nothing is left open or lying about."""
        target = self._open(place)
        live, seen = _live(target), target.observe()
        assert target.verify(live.version) == ()
        assert live.digest == target.read_release(live.version).digest
        checks = NumberProver().examine(target.locate(live.version)).checks
        assert [check.answer for check in checks] == [Answer.PASS] * 2
        assert number in (None, self._live_number(place))
        assert target.read_journal() == ()
        assert len(seen.versions) == versions
        assert [each.problem for each in seen.versions] == [""] * versions

    def _start(
        self,
        place: Path,
        verb: str,
        number: str = "2",
        *,
        boundary: int = _NEVER,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> subprocess.Popen[bytes]:
        given = (self.opener, str(place), verb, number, str(boundary))
        return subprocess.Popen([sys.executable, "-m", __name__, *given], stdout=stdout, stderr=stderr)


class TargetConformance(Suite):
    """What a target does: subclass it, name the `opener`, and every test is run on that target."""

    def tamper(self, target: Target, version: str) -> None:
        """Change a byte of a version behind the target's back; a target without files has its own way."""
        path = target.locate(version) / _MODEL
        path.chmod(0o644)
        path.write_bytes(path.read_bytes() + b" ")

    def destroy(self, target: Target, version: str) -> None:
        """Remove a version behind the target's back."""
        shutil.rmtree(target.locate(version))

    def test_untouched_target_holds_nothing(self, tmp_path: Path) -> None:
        """Looking changes nothing."""
        target = self._open(tmp_path)
        seen = target.observe()
        assert (seen.live, seen.versions, seen.next_version) == (None, (), "1")
        assert target.read_log() == ()
        assert target.read_journal() == ()
        assert self._open(tmp_path).observe() == seen

    def test_deployed_model_is_live_and_the_same_again_is_nothing(self, tmp_path: Path) -> None:
        """A deployment ends with the digest that was meant, proved, with one line in the log and no journal."""
        first, again = self._deploy(tmp_path, "1"), self._deploy(tmp_path, "1")
        assert (first.outcome, again.outcome) == (Outcome.LIVE, Outcome.ALREADY_LIVE)
        assert [check.name for check in first.checks] == ["identity", "ready", "golden"]
        self._expect(tmp_path, "1", versions=1)
        assert [entry.event for entry in self._open(tmp_path).read_log()] == [Outcome.LIVE]

    def test_staged_version_has_no_traffic_and_never_changes(self, tmp_path: Path) -> None:
        """Staging leaves the pointer alone, can be repeated, and refuses another release under the same number."""
        self._deploy(tmp_path, "1")
        target = self._open(tmp_path)
        release, sources = build_release(tmp_path / "source", "2", "2")
        with target.lock():
            first, second = target.stage(release, sources), target.stage(release, sources)
            other, others = build_release(tmp_path / "source", "2", "3")
            assert _refuses(lambda: target.stage(other, others))
        assert first == second
        assert target.read_release("2") == release
        assert (target.verify("2"), target.verify("1")) == ((), ())
        self._expect(tmp_path, "1", versions=2)

    def test_who_looks_while_it_is_switched_sees_one_version(self, tmp_path: Path) -> None:
        """During a hundred switches, whoever observes finds one version live, and the bytes of that version."""
        for number in "12":
            self._deploy(tmp_path, number)
        target, done = self._open(tmp_path), threading.Event()
        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(_look, self._open(tmp_path), done) for _ in range(2)]
            try:
                for switch in range(100):
                    target.promote("12"[switch % 2])
            finally:
                done.set()
        assert [reader.result() for reader in readers] == [[], []]

    def test_live_version_is_not_taken_away_and_another_one_is(self, tmp_path: Path) -> None:
        """Only what is not live can be retired, once or twice; the number is not given again."""
        for number in "12":
            self._deploy(tmp_path, number)
        target = self._open(tmp_path)
        with target.lock():
            assert _refuses(lambda: target.retire("2"))
            target.retire("1")
            target.retire("1")
        self._expect(tmp_path, "2", versions=1)
        assert target.observe().next_version == "3"

    def test_ready_but_wrong_model_is_refused(self, tmp_path: Path) -> None:
        """A model that is ready and answers otherwise gets no traffic: exit code 1, the old digest live and proved."""
        self._deploy(tmp_path, "1")
        failed = self._deploy(tmp_path, "2", golden="3")
        assert (failed.outcome, failed.outcome.exit_code) == (Outcome.REFUSED, 1)
        self._expect(tmp_path, "1", versions=1)

    def test_model_that_is_wrong_from_outside_is_reverted(self, tmp_path: Path) -> None:
        """What only shows when it is live is undone: exit code 1, and the version before, or nothing, is live again."""
        first = self._deploy(tmp_path, "1", prover=NumberProver("1"))
        assert (first.outcome, first.outcome.exit_code) == (Outcome.REVERTED, 1)
        assert self._open(tmp_path).observe().live is None
        self._deploy(tmp_path, "2")
        second = self._deploy(tmp_path, "3", prover=NumberProver("3"))
        assert (second.outcome, second.outcome.exit_code) == (Outcome.REVERTED, 1)
        self._expect(tmp_path, "2", versions=1)

    def test_rollback_is_a_deployment_of_what_was_live_before(self, tmp_path: Path) -> None:
        """Going back needs nothing but the target, and is proved as every deployment is."""
        for number in "123":
            self._deploy(tmp_path, number)
        target = self._open(tmp_path)
        for expected in "21":
            plan = plan_rollback(target, None, reason="incident")
            done = apply(plan, target=target, prover=NumberProver())
            assert (done.outcome, self._live_number(tmp_path)) == (Outcome.LIVE, expected)
        assert [(entry.kind, entry.reason) for entry in target.read_log()[-2:]] == [(Kind.ROLLBACK, "incident")] * 2
        assert _refuses(lambda: plan_rollback(target, None), BlockedError)
        assert _refuses(lambda: plan_rollback(target, "77"), BlockedError)

    def test_tampered_byte_is_seen(self, tmp_path: Path) -> None:
        """An altered version is told, is no way back, blocks its successor, and is mended by its own bytes."""
        for number in "12":
            self._deploy(tmp_path, number)
        target = self._open(tmp_path)
        self.tamper(target, "1")
        assert target.verify("1")
        assert _refuses(lambda: plan_rollback(target, None), BlockedError)
        self.tamper(target, "2")
        assert _refuses(lambda: self._deploy(tmp_path, "3"), BlockedError)
        assert self._deploy(tmp_path, "2").outcome is Outcome.LIVE
        assert self._live_number(tmp_path) == "2"
        assert target.verify(_live(target).version) == ()

    def test_removed_previous_release_blocks_before_promoting(self, tmp_path: Path) -> None:
        """Nothing replaces what could not be put back."""
        self._deploy(tmp_path, "1")
        target = self._open(tmp_path)
        self.destroy(target, "1")
        assert _refuses(lambda: self._deploy(tmp_path, "2"), BlockedError)
        assert target.read_journal() == ()
        assert [entry.event for entry in target.read_log()] == [Outcome.LIVE]

    def test_lock_keeps_another_process_out_until_it_dies(self, tmp_path: Path) -> None:
        """The lock is in the target, and kill -9 frees it."""
        self._deploy(tmp_path, "1")
        holder = self._start(tmp_path, "hold", stdout=subprocess.PIPE)
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        target = self._open(tmp_path)
        assert _refuses(lambda: target.lock(0).__enter__(), BlockedError)
        holder.kill()
        holder.communicate()
        with target.lock(10):
            self._expect(tmp_path, "1", versions=1)


class TargetSurvival(Suite):
    """What a target survives: processes killed at every boundary, and `races` of two deployers. It takes a minute.

    Where each boundary is dear, a `step` leaves some out: 2 loses nothing, as after a change all is as before the next.
    """

    races: ClassVar[int] = 3
    step: ClassVar[int] = 1

    def test_killed_deployment_is_picked_up(self, tmp_path: Path) -> None:
        """Killed at any boundary of a deployment, the next command leaves one whole version live that answers."""
        self._kill_everywhere(tmp_path, "deploy", {"1", "2"})

    def test_killed_compensation_is_picked_up(self, tmp_path: Path) -> None:
        """Killed while a bad model is turned back, the next command ends with the old one live."""
        self._kill_everywhere(tmp_path, "deploy-wrong", {"1"})

    def test_killed_rollback_is_picked_up(self, tmp_path: Path) -> None:
        """Killed at any boundary of a rollback, one of the two versions is live, whole, and answers."""
        self._kill_everywhere(tmp_path, "rollback", {"1", "0"})

    def test_killed_recovery_is_picked_up(self, tmp_path: Path) -> None:
        """A recovery that is killed itself is recovered from in the same way."""
        for number, boundary in enumerate((3, 9, 11)):  # after staging, after promoting, while baking
            self._kill_everywhere(tmp_path / str(number), "recover", {"1", "2"}, killed_before=boundary)

    def test_racing_deployers_leave_one_winner(self, tmp_path: Path) -> None:
        """Of two deployers at once one wins or comes second; the digest that the log tells last is live and whole."""
        for race in range(self.races):
            place = tmp_path / str(race)
            self._deploy(place, "0")
            racers = [self._start(place, "race", number, stderr=subprocess.PIPE) for number in "12"]
            said = [racer.communicate()[1].decode() for racer in racers]
            codes = [racer.returncode for racer in racers]
            assert set(codes) <= {0, 4}, said
            assert 0 in codes, said
            target = self._open(place)
            lives = [entry for entry in target.read_log() if entry.event is Outcome.LIVE]
            assert len(lives) == 1 + codes.count(0)
            assert lives[-1].digest == _live(target).digest
            self._expect(place, str(1 + codes.index(0)) if codes.count(0) == 1 else None, versions=1 + codes.count(0))

    def _kill_everywhere(self, place: Path, verb: str, allowed: set[str], *, killed_before: int = _NEVER) -> None:
        """Let a process die at its first boundary, its second, …, until it goes through; recover each time."""
        with closing(_Nursery(self.opener)) as nursery:
            for boundary in range(0, 1000, self.step):
                at = place / str(boundary)
                self._prepare(nursery, at, verb, killed_before)
                ended = nursery.run(at, verb, boundary)
                if ended != -signal.SIGKILL:
                    assert ended in (0, 1), f"boundary {boundary}: exit code {ended}"
                    assert boundary > 2, "nothing was changed, so nothing was tested"
                    return
                self._expect_recovery(at, verb, allowed, f"boundary {boundary}")

    def _expect_recovery(self, at: Path, verb: str, allowed: set[str], told: str) -> None:
        target = self._open(at)
        with target.lock():
            recover(target, NumberProver("2") if verb == "deploy-wrong" else NumberProver())
            recover(target, NumberProver())
        number = self._live_number(at)
        assert number in allowed, f"{told}: {number} is live"
        self._expect(at, number, versions=2 if verb == "rollback" or number == "2" else 1)
        log = target.read_log()
        assert len({entry.id for entry in log}) == len(log), f"{told}: an end is told twice"
        lives = [entry.digest for entry in log if entry.event is Outcome.LIVE]
        assert lives[-1] == _live(target).digest, f"{told}: the log tells another one"

    def _prepare(self, nursery: _Nursery, place: Path, verb: str, killed_before: int) -> None:
        if verb == "rollback":
            self._deploy(place, "0")
        self._deploy(place, "1")
        if killed_before != _NEVER:
            assert nursery.run(place, "deploy", killed_before) == -signal.SIGKILL


def _look(target: Target, done: threading.Event) -> list[str]:
    """What is wrong with what is seen until it is done."""
    wrong = []
    while not done.is_set():
        live = target.observe().live
        if live is None or live.problem:
            wrong.append(live.problem if live else "nothing is live")
        elif (target.locate(live.version) / _MODEL).read_text() != live.version:
            wrong.append(f"version {live.version} holds other bytes")
    return wrong


def _live(target: Target) -> StoredVersion:
    live = target.observe().live
    assert live is not None, "nothing is live"
    return live


def _refuses(act: Any, error: type[Exception] = ReleaseError) -> bool:
    try:
        act()
    except error:
        return True
    return False


def _carry_out(opener: str, place: Path, verb: str, number: str, boundary: int) -> int:
    """What a process of the suite does, until it dies at a boundary; its exit code."""
    target = cast("Target", Mortal(open_named(opener, place / "root"), boundary))
    prover = NumberProver(number) if verb == "deploy-wrong" else NumberProver()
    if verb == "recover":
        with target.lock():
            recover(target, prover)
        return 0
    if verb == "hold":
        with target.lock():
            sys.stdout.write("held\n")
            sys.stdout.flush()
            signal.pause()
    if verb == "rollback":
        return int(apply(plan_rollback(target, None), target=target, prover=prover).outcome.exit_code)
    try:
        plan = plan_number(target, place / f"source-{number}", number)
        return int(apply(plan, target=target, prover=prover, terms=Terms()).outcome.exit_code)
    except BlockedError as error:
        sys.stderr.write(f"{error.message}\n")
        return int(error.exit_code)


def _bring_forth(opener: str) -> None:
    """Fork a process for each line on standard input, and print how it ended."""
    import_module(opener.partition(":")[0])
    for line in sys.stdin:
        place, verb, boundary = json.loads(line)
        if (child := os.fork()) == 0:
            code = _DEFECT
            try:
                code = _carry_out(opener, Path(place), verb, "2", boundary)
            except Exception:  # noqa: BLE001 - nothing may get out of the child
                traceback.print_exc()
            finally:
                os._exit(code)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__" and len(sys.argv) == 2:
    _bring_forth(sys.argv[1])
elif __name__ == "__main__":
    sys.exit(_carry_out(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])))
