"""`release`, `deploy` and `rollback`: a model on its way."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from seatrial.cli.messages import show_error, tell_columns, tell_progress, tell_runner
from seatrial.cli.options import config_option, facts_option, fetch_option, from_directory, named_git_dir
from seatrial.cli.places import (
    allow_pickles_option,
    announce,
    choose_environment,
    environment_option,
    show_facts,
    target_option,
    to_option,
    verify_key_option,
)

if TYPE_CHECKING:
    from seatrial.commands.announcing import Announcer
    from seatrial.core.deployment import DeploymentRecord
    from seatrial.core.registry import RegistryReport
    from seatrial.deploy.engine import Deployment, DeploymentPlan
    from seatrial.deploy.target import Target

_EXAMPLE_RELEASE = """\b
Examples:
  seatrial release flights-delay --out release
  seatrial release flights-delay --out release --sign-key release.key

\b
Exit codes: 0 written, 1 the model does not answer as it was evaluated, 2 usage or configuration,
            4 the verdict forbids it, or bytes were altered, 5 inconclusive (no golden requests),
            70 a defect of seatrial."""
_EXAMPLE_DEPLOY = """\b
Examples:
  seatrial deploy flights-delay --to /srv/models --plan
  seatrial deploy flights-delay --to /srv/models
  seatrial deploy flights-delay --to /srv/models --address http://127.0.0.1:8080
  seatrial deploy flights-delay --environment production

\b
Exit codes: 0 live (or already live), 1 failed, and what was live before is live and proved,
            2 usage or configuration, 3 failed, and what was live before is not proved,
            4 blocked before anything changed (verdict, older commit, lock, altered bytes),
            5 inconclusive (no golden requests, too few requests), and undone, 70 a defect of seatrial."""
_EXAMPLE_ROLLBACK = """\b
Examples:
  seatrial rollback flights-delay --to /srv/models          the version that was live before
  seatrial rollback flights-delay 3 --to /srv/models --reason "incident 42"

\b
Exit codes: those of seatrial deploy."""
_base_option = click.option(
    "--base",
    envvar="SEATRIAL_BASE",
    metavar="REV",
    help="What the commit is judged against.  [default: its first parent]",
)
_override_option = click.option(
    "--override",
    envvar="SEATRIAL_OVERRIDE",
    default="",
    metavar="REASON",
    help="Deliver in spite of the verdict; the reason is recorded.",
)
_allow_unproved_option = click.option(
    "--allow-unproved",
    is_flag=True,
    envvar="SEATRIAL_ALLOW_UNPROVED",
    help="Deploy a model that brings no golden requests.",
)
_sign_key_option = click.option(
    "--sign-key",
    envvar="SEATRIAL_SIGN_KEY",
    metavar="FILE",
    help="Private key in PEM that signs the release; the variable may hold the key itself.",
)
_plan_option = click.option(
    "--plan", "--dry-run", "only_plan", is_flag=True, help="Print what would be done; change nothing."
)
_keep_option = click.option(
    "--keep",
    type=click.IntRange(0),
    envvar="SEATRIAL_KEEP",
    metavar="N",
    help="Versions to go back to that are kept beside the live one.  [default: 5]",
)
_address_option = click.option(
    "--address",
    envvar="SEATRIAL_ADDRESS",
    metavar="URL",
    help="The server that answers from there: it must name the digest and answer the golden requests, too.",
)
_record_option = click.option(
    "--record/--no-record",
    envvar="SEATRIAL_RECORD",
    default=True,
    show_default=True,
    help="In a CI job: record the deployment with the forge, if it keeps such a record and the token may write it.",
)


@click.command(epilog=_EXAMPLE_RELEASE)
@click.argument("artifact", envvar="SEATRIAL_ARTIFACT")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    callback=from_directory,
    metavar="DIRECTORY",
    help="The directory to write; it must not be there yet.",
)
@_base_option
@_override_option
@_allow_unproved_option
@_sign_key_option
@facts_option
@fetch_option
@config_option
@click.pass_obj
def release(
    directory: Path,
    artifact: str,
    out: Path,
    base: str | None,
    override: str,
    allow_unproved: bool,
    sign_key: str | None,
    shape: str,
    fetch: bool,
    config_path: Path | None,
) -> None:
    """Pack a model of the current commit, as `deploy` would bring it to its place, and deliver it nowhere.

    The commit is judged, the model answers its golden requests, and only then the directory is there: the model's
    files, release.json, the model card, provenance and bill of materials, to be kept or looked at.
    """
    from seatrial.commands.delivery import plan_delivery
    from seatrial.commands.proving import open_prover, require_runtimes
    from seatrial.commands.release import describe_packed, pack_release, state_packed
    from seatrial.commands.signing import open_signing_key, sign_plan
    from seatrial.core.environment import Environment

    signing_key = open_signing_key(sign_key, directory, os.environ)
    require_runtimes()

    def plan(target: Target) -> DeploymentPlan:
        planned = plan_delivery(
            directory,
            artifact=artifact,
            target=target,
            environment=Environment(),
            base=base,
            config_path=config_path,
            override=override,
            git_dir=named_git_dir(),
            fetching=tell_progress if fetch else None,
        )
        return sign_plan(planned, signing_key, None)

    packed = pack_release(
        artifact,
        out,
        plan=plan,
        choose_prover=lambda planned: open_prover(Environment(), planned),
        unproved=allow_unproved,
    )
    line = describe_packed(packed)
    if packed.exit_code:
        show_error(line, "")
    if shape == "json" or not packed.exit_code:
        show_facts(state_packed(packed), (line,), shape)
    sys.exit(packed.exit_code)


@click.command(epilog=_EXAMPLE_DEPLOY)
@click.argument("artifact", envvar="SEATRIAL_ARTIFACT")
@environment_option
@to_option
@target_option
@_base_option
@_plan_option
@_override_option
@click.option(
    "--allow-older",
    is_flag=True,
    envvar="SEATRIAL_ALLOW_OLDER",
    help="Deploy a commit that is older than the one that is live.",
)
@_allow_unproved_option
@click.option(
    "--breaking",
    is_flag=True,
    envvar="SEATRIAL_BREAKING",
    help="Deploy a model that refuses requests which the live one takes.",
)
@click.option(
    "--no-return", is_flag=True, envvar="SEATRIAL_NO_RETURN", help="Deploy even if what is live could not be put back."
)
@_sign_key_option
@_keep_option
@_address_option
@verify_key_option
@allow_pickles_option
@_record_option
@facts_option
@fetch_option
@config_option
@click.pass_obj
def deploy(
    directory: Path,
    artifact: str,
    environment: str | None,
    place: str | None,
    kind: str | None,
    base: str | None,
    only_plan: bool,
    override: str,
    allow_older: bool,
    allow_unproved: bool,
    breaking: bool,
    no_return: bool,
    sign_key: str | None,
    keep: int | None,
    address: str | None,
    verify_key: str | None,
    allow_pickles: bool,
    record: bool,
    shape: str,
    fetch: bool,
    config_path: Path | None,
) -> None:
    """Deliver a model of the current commit, if the gates let it.

    ARTIFACT is a name under `artifacts:` in dvc.yaml. The commit is judged again; the model's bytes come from
    DVC's cache or its remote, are checked against dvc.lock, answer their golden requests, and only then go live.
    Whatever fails is undone, and what was live before is proved.
    """
    from seatrial.commands.delivery import carry_out, open_place, plan_delivery, recover_open
    from seatrial.commands.deploy import describe_plan, state_plan
    from seatrial.commands.environments import Said
    from seatrial.commands.proving import open_prover, require_runtimes
    from seatrial.commands.signing import open_keys, open_signing_key, sign_plan
    from seatrial.commands.trial import open_trial
    from seatrial.deploy.engine import Terms

    said = Said(place=place, kind=kind, address=address, keep=keep, verify_key=verify_key, allow_pickles=allow_pickles)
    with _announcing(directory, artifact, record=record and not only_plan) as told:
        chosen = choose_environment(directory, environment, said, config_path)
        signing_key = open_signing_key(sign_key, directory, os.environ)
        target, prover = open_place(chosen, artifact), open_prover(chosen)
        _tell_recovered(recover_open(target, prover))
        planned = plan_delivery(
            directory,
            artifact=artifact,
            target=target,
            environment=chosen,
            base=base,
            config_path=config_path,
            override=override,
            allow_older=allow_older,
            git_dir=named_git_dir(),
            fetching=tell_progress if fetch else None,
        )
        planned = sign_plan(planned, signing_key, open_keys(chosen.verify_key))
        trial = open_trial(chosen, planned, tell=tell_progress, variables=os.environ)
        if only_plan:
            show_facts(state_plan(planned), describe_plan(planned), shape)
            return
        told.begin(chosen, planned)
        require_runtimes()
        prover = open_prover(chosen, planned.release)
        tell_columns(describe_plan(planned))
        terms = Terms(unproved=allow_unproved, breaking=breaking, no_return=no_return, keep=chosen.keep)
        done = carry_out(planned, environment=chosen, target=target, prover=prover, terms=terms, trial=trial)
        told.end(done)
        _conclude(done, shape, announce(directory, chosen, {artifact: target}))


@click.command(epilog=_EXAMPLE_ROLLBACK)
@click.argument("artifact", envvar="SEATRIAL_ARTIFACT")
@click.argument("version", required=False, envvar="SEATRIAL_TO_VERSION")
@environment_option
@to_option
@target_option
@click.option("--reason", envvar="SEATRIAL_REASON", default="", metavar="TEXT", help="Why; the log keeps it.")
@_plan_option
@_keep_option
@_address_option
@verify_key_option
@allow_pickles_option
@_record_option
@facts_option
@config_option
@click.pass_obj
def rollback(
    directory: Path,
    artifact: str,
    version: str | None,
    environment: str | None,
    place: str | None,
    kind: str | None,
    reason: str,
    only_plan: bool,
    keep: int | None,
    address: str | None,
    verify_key: str | None,
    allow_pickles: bool,
    record: bool,
    shape: str,
    config_path: Path | None,
) -> None:
    """Make an earlier version live again: VERSION, or the last one that was proved live before.

    Needs no repository: the version is on the target, is checked against its manifest, and answers its golden
    requests before and after the switch.
    """
    from seatrial.commands.delivery import recover_open
    from seatrial.commands.deploy import state_plan
    from seatrial.commands.environments import Said
    from seatrial.commands.proving import open_prover, require_runtimes
    from seatrial.commands.rollback import describe_rollback, roll_back
    from seatrial.commands.status import open_models
    from seatrial.deploy.engine import plan_rollback

    said = Said(place=place, kind=kind, address=address, keep=keep, verify_key=verify_key, allow_pickles=allow_pickles)
    with _announcing(directory, artifact, record=record and not only_plan) as told:
        chosen = choose_environment(directory, environment, said, config_path)
        target, prover = open_models(chosen, artifact)[artifact], open_prover(chosen)
        _tell_recovered(recover_open(target, prover))
        planned = plan_rollback(target, version, reason=reason, environment=chosen.name)
        if only_plan:
            show_facts(state_plan(planned), describe_rollback(planned), shape)
            return
        told.begin(chosen, planned)
        require_runtimes()
        tell_columns(describe_rollback(planned))
        done = roll_back(chosen, target, planned, prover)
        told.end(done)
        _conclude(done, shape, announce(directory, chosen, {artifact: target}))


def _announcing(directory: Path, artifact: str, *, record: bool) -> AbstractContextManager[Announcer]:
    """Let the CI job that this runs in, if it does, tell how it ends."""
    from seatrial.commands.announcing import announcing

    return announcing(
        directory,
        os.environ,
        artifact=artifact,
        record=record,
        tell=tell_progress,
        command=tell_runner,
        git_dir=named_git_dir(),
    )


def _conclude(deployment: Deployment, shape: str, registries: tuple[RegistryReport, ...]) -> NoReturn:
    """Say what was done, what failed on standard error, and end with its exit code."""
    from seatrial.commands.deploy import describe_deployment, state_deployment

    line, code = describe_deployment(deployment), deployment.outcome.exit_code
    if code:
        show_error(line, "")
    if shape == "json" or not code:
        show_facts(state_deployment(deployment) | {"registries": registries}, (line,), shape)
    sys.exit(code)


def _tell_recovered(record: DeploymentRecord | None) -> None:
    """That this command found a deployment that was cut off, and what became of it."""
    if record is not None:
        tell_progress(f"version {record.version} of {record.name}: {record.reason}; it is {record.event.value} now")
