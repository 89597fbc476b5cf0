"""Signatures: whatever is not exactly what a trusted key signed is refused, at every door."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from seatrial.commands.environments import Said, choose_environment
from seatrial.commands.signing import SignedProver, open_signing_key, sign_plan
from seatrial.commands.status import examine_model
from seatrial.core.deployment import Answer, Intent, JournalEntry, Kind, Outcome, Step
from seatrial.core.release import MANIFEST, SIGNATURE, decode_manifest, encode_manifest
from seatrial.deploy import open_command
from seatrial.deploy.conformance import NAME, NumberProver, plan_number
from seatrial.deploy.engine import Action, Deployment, DeploymentPlan, Terms, apply, plan_rollback, recover
from seatrial.deploy.local import LOG, LocalTarget
from seatrial.deploy.signing import PublicKeys, guard, read_public_keys, read_signing_key
from seatrial.deploy.target import Target
from seatrial.errors import BlockedError, UsageError

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def spell_private(key: PrivateKey, password: str = "") -> str:
    """A private key in PEM."""
    cipher = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, cipher).decode()


def spell_public(key: PrivateKey) -> str:
    """Its public key in PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


OURS, THEIRS = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
KEYS = read_public_keys(spell_public(OURS))


@pytest.fixture
def plain(tmp_path: Path) -> LocalTarget:
    """A target that asks for no signature."""
    return LocalTarget(root=tmp_path / "live", name=NAME)


@pytest.fixture
def target(plain: LocalTarget) -> Target:
    """The same, where only signed releases are taken."""
    return guard(plain, KEYS)


def plan(target: Target, tmp_path: Path, number: str, key: PrivateKey | None = OURS) -> DeploymentPlan:
    """A plan of a model that answers with a number, signed."""
    planned = plan_number(target, tmp_path / f"files-{number}", number)
    return sign_plan(planned, read_signing_key(spell_private(key)) if key else None, None)


def deploy(
    target: Target, tmp_path: Path, number: str, key: PrivateKey | None = OURS, *, no_return: bool = False
) -> Deployment:
    """Deploy such a model where signatures are asked for."""
    prover = SignedProver(prover=NumberProver(), keys=KEYS)
    planned = plan(target, tmp_path, number, key)
    return apply(planned, target=target, prover=prover, terms=Terms(no_return=no_return))


def test_signed_release_goes_live_and_says_by_which_key(target: Target, tmp_path: Path) -> None:
    """The log tells the check, and the next look finds the same."""
    done = deploy(target, tmp_path, "1")
    assert done.outcome is Outcome.LIVE
    told = [check for check in target.read_log()[-1].checks if check.name == "signature"]
    assert [check.answer for check in told] == [Answer.PASS]
    assert next(iter(KEYS.pems))[:16] in told[0].detail
    status = examine_model(NAME, target, NumberProver(), prove=False)
    assert status.problems == ()
    assert [check.name for check in status.checks] == ["identity", "signature"]


def test_signature_is_no_part_of_the_digest(plain: LocalTarget, tmp_path: Path) -> None:
    """The same bytes are the same release, signed or not; who asks for no signature is not troubled by one."""
    signed, unsigned = plan(plain, tmp_path, "1"), plan(plain, tmp_path, "1", None)
    assert signed.release == unsigned.release
    apply(signed, target=plain, prover=NumberProver())
    assert plain.verify("1") == ()
    assert (plain.locate("1") / SIGNATURE).is_file()


@pytest.mark.parametrize("key", [None, THEIRS])
def test_unsigned_and_foreign_releases_never_get_traffic(
    target: Target, plain: LocalTarget, tmp_path: Path, key: PrivateKey | None
) -> None:
    """They are refused before the switch, and what was live stays."""
    deploy(target, tmp_path, "1")
    refused = deploy(target, tmp_path, "2", key)
    assert refused.outcome is Outcome.REFUSED
    assert SIGNATURE in refused.reason
    assert plain.pointer() == "1"


def test_plan_that_would_not_be_taken_is_blocked(plain: LocalTarget, tmp_path: Path) -> None:
    """Without a key, or with one that is not trusted there, nothing is begun: exit code 4."""
    planned = plan_number(plain, tmp_path / "files", "1")
    for key, said in ((None, "no signature"), (read_signing_key(spell_private(THEIRS)), "not taken here")):
        with pytest.raises(BlockedError, match=said):
            sign_plan(planned, key, KEYS)


# --- What is wrong with a release on its target -----------------------------------------------------------------------


def alter_byte(home: Path) -> None:
    (home / "model.txt").chmod(0o644)
    (home / "model.txt").write_text("7")


def alter_consistently(home: Path) -> None:
    """An attacker who writes a manifest of their own, sealed and all: the model is another one."""
    release = decode_manifest((home / MANIFEST).read_bytes(), MANIFEST)
    altered = encode_manifest(replace(release, commit="f" * 40))
    (home / MANIFEST).unlink()
    (home / MANIFEST).write_bytes(altered)


def add_file(home: Path) -> None:
    (home / "extra.txt").write_text("1")


def add_hidden_file(home: Path) -> None:
    (home / ".git").mkdir()
    (home / ".git" / "hook").write_text("1")


def add_link(home: Path) -> None:
    (home / "link").symlink_to("/etc/hostname")


def remove_signature(home: Path) -> None:
    (home / SIGNATURE).unlink()


def spoil_signature(home: Path) -> None:
    bundle = json.loads((home / SIGNATURE).read_text())
    signature = bundle["dsseEnvelope"]["signatures"][0]
    signature["sig"] = signature["sig"][:-8] + "AAAAAAA="
    write_signature(home, json.dumps(bundle))


def empty_signature(home: Path) -> None:
    write_signature(home, "")


def nest_signature(home: Path) -> None:
    write_signature(home, "[" * 100_000)


def replace_by_link(home: Path) -> None:
    elsewhere = home.parents[2] / "elsewhere.sig"
    shutil.copy(home / SIGNATURE, elsewhere)
    (home / SIGNATURE).unlink()
    (home / SIGNATURE).symlink_to(elsewhere)


def write_signature(home: Path, text: str) -> None:
    (home / SIGNATURE).unlink()
    (home / SIGNATURE).write_text(text)


TAMPERINGS = [
    alter_byte,
    alter_consistently,
    add_file,
    add_hidden_file,
    add_link,
    remove_signature,
    spoil_signature,
    empty_signature,
    nest_signature,
    replace_by_link,
]


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_tampered_release_is_found_at_every_door(
    tamper: Callable[[Path], None], target: Target, plain: LocalTarget, tmp_path: Path
) -> None:
    """Status tells it, a rollback to it is blocked, and it is not a way back for the next one."""
    deploy(target, tmp_path, "1")
    tamper(plain.locate("1"))
    assert KEYS.check(plain.locate("1")).answer is Answer.FAIL
    assert examine_model(NAME, target, NumberProver(), prove=False).problems
    with pytest.raises(BlockedError):
        plan_rollback(target, "1")
    with pytest.raises(BlockedError, match="could not be put back"):
        deploy(target, tmp_path, "2")
    assert deploy(target, tmp_path, "2", no_return=True).outcome is Outcome.LIVE
    with pytest.raises(BlockedError):
        plan_rollback(target, None)


def test_signature_of_another_release_does_not_fit(target: Target, plain: LocalTarget, tmp_path: Path) -> None:
    """Nor does that of another version of the same model."""
    deploy(target, tmp_path, "1")
    deploy(target, tmp_path, "2")
    moved = (plain.locate("1") / SIGNATURE).read_bytes()
    (plain.locate("2") / SIGNATURE).unlink()
    (plain.locate("2") / SIGNATURE).write_bytes(moved)
    assert "not of these files" in KEYS.check(plain.locate("2")).detail


def test_signed_version_under_another_number_is_refused(target: Target, plain: LocalTarget, tmp_path: Path) -> None:
    """An old version that is copied to the place of a new one is told by its manifest, which is signed."""
    deploy(target, tmp_path, "1")
    shutil.copytree(plain.locate("1"), plain.locate("2"))
    assert "the manifest is of" in target.verify("2")[0]


def test_signature_that_leaves_files_out_is_refused(plain: LocalTarget, tmp_path: Path) -> None:
    """Who signed only a part, with the same key, did not sign this release."""
    from model_signing.hashing import Config as HashingConfig
    from model_signing.signing import Config as SigningConfig

    apply(plan(plain, tmp_path, "1", None), target=plain, prover=NumberProver())
    home, key = plain.locate("1"), tmp_path / "key.pem"
    key.write_text(spell_private(OURS))
    hashing = HashingConfig()  # type: ignore[no-untyped-call]
    hashing.set_ignored_paths(paths=["model.txt", SIGNATURE], ignore_git_paths=False)
    signing = SigningConfig()  # type: ignore[no-untyped-call]
    signing.use_elliptic_key_signer(private_key=key).set_hashing_config(hashing).sign(home, home / SIGNATURE)
    check = KEYS.check(home)
    assert (check.answer, "does not cover model.txt" in check.detail) == (Answer.FAIL, True)


def test_order_of_the_files_does_not_matter(target: Target, plain: LocalTarget, tmp_path: Path) -> None:
    """A copy whose directory lists them in another order is the same release."""
    deploy(target, tmp_path, "1")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in sorted(plain.locate("1").iterdir(), reverse=True):
        shutil.copy(path, copy / path.name)
    assert KEYS.check(copy).passed


def test_copy_behind_a_link_is_the_same_release(target: Target, plain: LocalTarget, tmp_path: Path) -> None:
    """As a server follows a bucket: the version is a link to where its copy is."""
    deploy(target, tmp_path, "1")
    (tmp_path / "link").symlink_to(plain.locate("1"))
    assert KEYS.check(tmp_path / "link").passed


def test_same_bytes_are_staged_anew_where_the_version_there_is_not_signed(
    target: Target, plain: LocalTarget, tmp_path: Path
) -> None:
    """Whoever begins to ask for signatures gets a signed version of what is live, by deploying it again."""
    apply(plan(plain, tmp_path, "1", None), target=plain, prover=NumberProver())
    planned = plan(target, tmp_path, "1")
    assert (planned.action, planned.release.version) == (Action.STAGE, "2")
    assert deploy(target, tmp_path, "1").outcome is Outcome.LIVE
    assert plain.pointer() == "2"


def test_cut_off_deployment_of_an_unsigned_release_is_undone(
    target: Target, plain: LocalTarget, tmp_path: Path
) -> None:
    """Recovery is a door, too."""
    deploy(target, tmp_path, "1")
    apply(plan(plain, tmp_path, "2", None), target=plain, prover=NumberProver())
    first, second = plain.read_log()
    (plain.home / LOG).write_bytes(msgspec.json.encode(first) + b"\n")
    intent = Intent(
        id="cut",
        kind=Kind.DEPLOY,
        name=NAME,
        version="2",
        digest=second.digest,
        previous="1",
        previous_digest=first.digest,
        staged=True,
        commit="",
        verdict="passed",
    )
    plain.write_journal(JournalEntry(time=second.time, step=Step.BAKE, intent=intent))
    with target.lock():
        told = recover(target, SignedProver(prover=NumberProver(), keys=KEYS))
    assert told is not None
    assert told.event is Outcome.ABANDONED
    assert plain.pointer() == "1"


# --- Keys -------------------------------------------------------------------------------------------------------------


def test_every_key_of_a_file_is_trusted(target: Target, plain: LocalTarget, tmp_path: Path) -> None:
    """So that keys can be changed, and the versions before be gone back to."""
    deploy(target, tmp_path, "1")
    path = tmp_path / "keys.pem"
    path.write_text(spell_public(THEIRS) + spell_public(OURS))
    assert read_public_keys(str(path)).check(plain.locate("1")).passed
    assert not read_public_keys(spell_public(THEIRS)).check(plain.locate("1")).passed


def test_encrypted_key_signs_with_its_password(plain: LocalTarget, tmp_path: Path) -> None:
    """The password stands in a variable of its own; a key that needs none does not mind one."""
    path = tmp_path / "release.key"
    path.write_text(spell_private(OURS, "secret"))
    key = open_signing_key("release.key", tmp_path, {"SEATRIAL_SIGN_PASSWORD": "secret"})
    planned = sign_plan(plan_number(plain, tmp_path / "files", "1"), key, KEYS)
    apply(planned, target=guard(plain, KEYS), prover=NumberProver())
    assert KEYS.check(plain.locate("1")).passed
    assert open_signing_key(spell_private(OURS), tmp_path, {"SEATRIAL_SIGN_PASSWORD": "secret"}) is not None
    assert open_signing_key("", tmp_path, {}) is None


@pytest.mark.parametrize(
    ("text", "password", "said"),
    [
        (spell_private(OURS, "secret"), "", "the key is encrypted"),
        (spell_private(OURS, "secret"), "wrong", "does not open it"),
        (spell_public(OURS), "", "not a private key"),
        (spell_private(ed25519.Ed25519PrivateKey.generate()), "", "not a key of an elliptic curve"),
        (spell_private(rsa.generate_private_key(65537, 2048)), "", "not a key of an elliptic curve"),
        (spell_private(ec.generate_private_key(ec.SECP256K1())), "", "the curve secp256k1"),
        ("-----BEGIN PRIVATE KEY-----\nnothing\n-----END PRIVATE KEY-----\n", "", "no private key in PEM"),
        ("nowhere.key", "", "--sign-key: No such file"),
        ("".join(spell_private(OURS).splitlines()[1:-1]), "", "--sign-key: "),
        ("a\0b", "", "no name of a file"),
    ],
)
def test_unusable_private_key_is_one_clear_error(text: str, password: str, said: str) -> None:
    """What is wrong, what to do, and never the key."""
    with pytest.raises(UsageError, match=said) as caught:
        read_signing_key(text, password or None)
    assert caught.value.hint or password
    assert "BEGIN" not in caught.value.message
    assert "MIG" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (spell_private(OURS), "a private key, where a public one is wanted"),
        (spell_public(ed25519.Ed25519PrivateKey.generate()), "not a key of an elliptic curve"),
        (spell_public(ec.generate_private_key(ec.SECP256K1())), "the curve secp256k1"),
        ("-----BEGIN PUBLIC KEY-----\nnothing\n-----END PUBLIC KEY-----\n", "no public key in PEM"),
        ("-----BEGIN PUBLIC KEY-----", "no public key in PEM"),
        ("nowhere.pub", "No such file"),
    ],
)
def test_unusable_public_key_is_one_clear_error(text: str, said: str) -> None:
    """A key that can't be read never lets everything through."""
    with pytest.raises(UsageError, match=said):
        read_public_keys(text)


def test_no_key_is_left_on_the_disk(plain: LocalTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library reads it from is gone afterwards."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "temporary").mkdir()
    plan(plain, tmp_path, "1")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_scripts_of_the_user_do_not_get_the_key(
    plain: LocalTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be anybody's; what signs is no affair of theirs."""
    monkeypatch.setenv("SEATRIAL_SIGN_KEY", "secret key")
    monkeypatch.setenv("SEATRIAL_SIGN_PASSWORD", "secret word")
    plain.root.mkdir()
    (plain.root / "command.yaml").write_text('{stage: [sh, -c, "env > told"], promote: ["true"], observe: ["true"]}')
    planned = plan_number(plain, tmp_path / "files", "1")
    with plain.lock():
        open_command(str(plain.root), plain.name).stage(planned.release, planned.sources)
    told = (plain.root / "told").read_text()
    assert "SEATRIAL_VERSION=1" in told
    assert "secret" not in told


def test_key_of_an_environment_is_seen_from_its_file(tmp_path: Path) -> None:
    """That of the command line from where the command runs; a key in PEM stays what it is."""
    (tmp_path / "seatrial.yaml").write_text(
        "version: 1\nenvironments: {production: {to: live, verify_key: keys/release.pub}}\n"
    )
    found = choose_environment(tmp_path, "production", Said())
    assert found.verify_key == str(tmp_path / "keys/release.pub")
    said = choose_environment(tmp_path / "there", None, Said(place="live", verify_key="release.pub"))
    assert said.verify_key == str(tmp_path / "there/release.pub")
    text = spell_public(OURS)
    assert choose_environment(tmp_path, None, Said(place="live", verify_key=text)).verify_key == text


def test_keys_are_compared_by_what_they_are() -> None:
    """Whatever is written around a key."""
    assert isinstance(KEYS, PublicKeys)
    assert read_public_keys("# ours\n" + spell_public(OURS) + "\n").pems == KEYS.pems
