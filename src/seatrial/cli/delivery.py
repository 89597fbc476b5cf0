"""`deploy`, `rollback`, `status`, `releases` and `serve`: a model on its way, and live."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from seatrial.cli.messages import (
    disarm_as,
    disarm_lines,
    print_text,
    show_error,
    spell_columns,
    tell_columns,
    tell_progress,
    tell_runner,
)
from seatrial.cli.options import config_option, fetch_option, named_git_dir
from seatrial.errors import ExitCode

if TYPE_CHECKING:
    from seatrial.commands.announcing import Announcer
    from seatrial.commands.environments import Said
    from seatrial.core.deployment import DeploymentRecord
    from seatrial.core.environment import Environment
    from seatrial.core.registry import RegistryReport
    from seatrial.deploy.engine import Deployment
    from seatrial.deploy.target import Target

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
_EXAMPLE_STATUS = """\b
Examples:
  seatrial status --to /srv/models                  every model: what is live, and is it what was deployed?
  seatrial status flights-delay --to /srv/models --prove --format json

\b
Exit codes: 0 all is as it was deployed, 1 something is not, 2 usage, 70 a defect of seatrial."""
_EXAMPLE_RELEASES = """\b
Examples:
  seatrial releases flights-delay --to /srv/models
  seatrial releases flights-delay --to /srv/models --format json

\b
Exit codes: 0 listed, 2 usage, 70 a defect of seatrial."""
_EXAMPLE_SERVE = """\b
Examples:
  seatrial serve /srv/models
  curl localhost:8080/v2/models/flights-delay"""


def _check_place(context: click.Context, parameter: click.Parameter, place: str | None) -> str | None:
    """The path of a directory, which need not be there yet, or an address."""
    from seatrial.deploy.places import is_address

    return (
        place
        if place is None or is_address(place)
        else str(click.Path(file_okay=False).convert(place, parameter, context))
    )


environment_option = click.option(
    "-e",
    "--environment",
    envvar="SEATRIAL_ENVIRONMENT",
    metavar="NAME",
    help="One of `environments:` in seatrial.yaml; other options win over what stands there.",
)
to_option = click.option(
    "--to",
    "place",
    envvar="SEATRIAL_TO",
    callback=_check_place,
    metavar="PLACE",
    help="What holds the releases: a directory, or an address such as s3://bucket/prefix.",
)
target_option = click.option(
    "--target",
    "kind",
    envvar="SEATRIAL_TARGET",
    help="What kind of place that is: local, command (your scripts), kserve, kubernetes, tensorflow-serving, or one "
    "that another package brings."
    "  [default: local]",
)
keep_option = click.option(
    "--keep",
    type=click.IntRange(0),
    envvar="SEATRIAL_KEEP",
    metavar="N",
    help="Versions to go back to that are kept beside the live one.  [default: 5]",
)
address_option = click.option(
    "--address",
    envvar="SEATRIAL_ADDRESS",
    metavar="URL",
    help="The server that answers from there: it must name the digest and answer the golden requests, too.",
)
verify_key_option = click.option(
    "--verify-key",
    envvar="SEATRIAL_VERIFY_KEY",
    metavar="FILE",
    help="Public keys in PEM: whatever is not signed with one of them is refused.",
)
allow_pickles_option = click.option(
    "--allow-pickles",
    is_flag=True,
    envvar="SEATRIAL_ALLOW_PICKLES",
    help="Load the pickles that a release names, which runs whatever their author wrote.",
)
record_option = click.option(
    "--record/--no-record",
    envvar="SEATRIAL_RECORD",
    default=True,
    show_default=True,
    help="In a CI job: record the deployment with the forge, if it keeps such a record and the token may write it.",
)
facts_option = click.option(
    "--format",
    "shape",
    type=click.Choice(["terminal", "json"]),
    default="terminal",
    show_default=True,
    help="For people, or machines.",
)


@click.command(epilog=_EXAMPLE_DEPLOY)
@click.argument("artifact", envvar="SEATRIAL_ARTIFACT")
@environment_option
@to_option
@target_option
@click.option(
    "--base",
    envvar="SEATRIAL_BASE",
    metavar="REV",
    help="What the commit is judged against.  [default: its first parent]",
)
@click.option("--plan", "--dry-run", "only_plan", is_flag=True, help="Print what would be done; change nothing.")
@click.option(
    "--override",
    envvar="SEATRIAL_OVERRIDE",
    default="",
    metavar="REASON",
    help="Deliver in spite of the verdict; the reason is recorded.",
)
@click.option(
    "--allow-older",
    is_flag=True,
    envvar="SEATRIAL_ALLOW_OLDER",
    help="Deploy a commit that is older than the one that is live.",
)
@click.option(
    "--allow-unproved",
    is_flag=True,
    envvar="SEATRIAL_ALLOW_UNPROVED",
    help="Deploy a model that brings no golden requests.",
)
@click.option(
    "--breaking",
    is_flag=True,
    envvar="SEATRIAL_BREAKING",
    help="Deploy a model that refuses requests which the live one takes.",
)
@click.option(
    "--no-return", is_flag=True, envvar="SEATRIAL_NO_RETURN", help="Deploy even if what is live could not be put back."
)
@click.option(
    "--sign-key",
    envvar="SEATRIAL_SIGN_KEY",
    metavar="FILE",
    help="Private key in PEM that signs the release; the variable may hold the key itself.",
)
@keep_option
@address_option
@verify_key_option
@allow_pickles_option
@record_option
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
        chosen = _choose(directory, environment, said, config_path)
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
            _show_facts(state_plan(planned), describe_plan(planned), shape)
            return
        told.begin(chosen, planned)
        require_runtimes()
        prover = open_prover(chosen, planned.release)
        tell_columns(describe_plan(planned))
        terms = Terms(unproved=allow_unproved, breaking=breaking, no_return=no_return, keep=chosen.keep)
        done = carry_out(planned, environment=chosen, target=target, prover=prover, terms=terms, trial=trial)
        told.end(done)
        _conclude(done, shape, _announce(directory, chosen, {artifact: target}))


@click.command(epilog=_EXAMPLE_ROLLBACK)
@click.argument("artifact", envvar="SEATRIAL_ARTIFACT")
@click.argument("version", required=False, envvar="SEATRIAL_TO_VERSION")
@environment_option
@to_option
@target_option
@click.option("--reason", envvar="SEATRIAL_REASON", default="", metavar="TEXT", help="Why; the log keeps it.")
@click.option("--plan", "--dry-run", "only_plan", is_flag=True, help="Print what would be done; change nothing.")
@keep_option
@address_option
@verify_key_option
@allow_pickles_option
@record_option
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
        chosen = _choose(directory, environment, said, config_path)
        target, prover = open_models(chosen, artifact)[artifact], open_prover(chosen)
        _tell_recovered(recover_open(target, prover))
        planned = plan_rollback(target, version, reason=reason, environment=chosen.name)
        if only_plan:
            _show_facts(state_plan(planned), describe_rollback(planned), shape)
            return
        told.begin(chosen, planned)
        require_runtimes()
        tell_columns(describe_rollback(planned))
        done = roll_back(chosen, target, planned, prover)
        told.end(done)
        _conclude(done, shape, _announce(directory, chosen, {artifact: target}))


@click.command(epilog=_EXAMPLE_STATUS)
@click.argument("artifact", required=False)
@environment_option
@to_option
@target_option
@click.option("--prove", is_flag=True, help="Load what is live and ask its golden requests, too.")
@verify_key_option
@allow_pickles_option
@facts_option
@config_option
@click.pass_obj
def status(
    directory: Path,
    artifact: str | None,
    environment: str | None,
    place: str | None,
    kind: str | None,
    prove: bool,
    verify_key: str | None,
    allow_pickles: bool,
    shape: str,
    config_path: Path | None,
) -> None:
    """Tell what is live, and whether its bytes are those that were deployed.

    A deployment that was cut off is finished or undone first, as by every command.
    """
    from seatrial.commands.environments import Said
    from seatrial.commands.proving import open_prover
    from seatrial.commands.status import describe_status, examine_model, open_models

    said = Said(place=place, kind=kind, verify_key=verify_key, allow_pickles=allow_pickles)
    chosen = _choose(directory, environment, said, config_path)
    targets, prover = open_models(chosen, artifact), open_prover(chosen)
    found = [examine_model(name, target, prover, prove=prove) for name, target in targets.items()]
    facts = {"models": found, "registries": _announce(directory, chosen, targets)}
    _show_facts(facts, tuple(line for each in found for line in describe_status(each)), shape)
    sys.exit(ExitCode.FAILED if any(each.problems for each in found) else ExitCode.PASSED)


@click.command(epilog=_EXAMPLE_RELEASES)
@click.argument("artifact")
@environment_option
@to_option
@target_option
@verify_key_option
@facts_option
@config_option
@click.pass_obj
def releases(
    directory: Path,
    artifact: str,
    environment: str | None,
    place: str | None,
    kind: str | None,
    verify_key: str | None,
    shape: str,
    config_path: Path | None,
) -> None:
    """List the versions of a model on a target: state, digest, commit, verdict and metrics."""
    from seatrial.commands.environments import Said
    from seatrial.commands.proving import open_prover
    from seatrial.commands.status import describe_releases, list_releases, open_models

    chosen = _choose(directory, environment, Said(place=place, kind=kind, verify_key=verify_key), config_path)
    found = list_releases(open_models(chosen, artifact)[artifact], open_prover(chosen))
    _show_facts({"name": artifact, "releases": found}, describe_releases(artifact, found), shape)


@click.command(epilog=_EXAMPLE_SERVE)
@click.argument("root", callback=_check_place)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes any free port.")
@click.option(
    "--max-body", type=click.IntRange(1), default=8, show_default=True, metavar="MIB", help="Largest body of a request."
)
@click.option(
    "--route-header",
    default="X-Route-Key",
    show_default=True,
    help="Header that says who asks, so that a caller keeps its version while a canary has a share.",
)
@click.option(
    "--log-predictions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Log predictions as JSON lines with key and score.  [default: none are logged]",
)
@click.option(
    "--log-share",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="The part of all keys that is logged.",
)
@click.option(
    "--log-size",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    metavar="MIB",
    help="Room for the log; what is older is dropped.",
)
@click.option(
    "--drift-window", default="24h", show_default=True, metavar="TIME", help="Of which drift of inputs is measured."
)
@verify_key_option
@allow_pickles_option
@click.option(
    "--environment", default="local", show_default=True, help="Label of the deployments that /metrics counts."
)
def serve(
    root: str,
    host: str,
    port: int,
    max_body: int,
    route_header: str,
    log_predictions: Path | None,
    log_share: float,
    log_size: int,
    drift_window: str,
    verify_key: str | None,
    allow_pickles: bool,
    environment: str,
) -> None:
    """Answer requests with the live releases below ROOT: a directory, or an address such as s3://bucket/prefix.

    Speaks the Open Inference Protocol v2 and TensorFlow Serving's REST API, follows the next deployment without a
    restart, lets a canary have the share that ROOT/NAME/route.json gives it, and tells Prometheus at /metrics.
    """
    from seatrial.commands.serve import ServeSettings
    from seatrial.commands.serve import serve as run_server
    from seatrial.core.monitoring import parse_duration

    settings = ServeSettings(
        max_body=max_body * 2**20,
        route_header=route_header,
        log_path=log_predictions,
        log_share=log_share,
        log_size=log_size * 2**20,
        drift_window=parse_duration(drift_window).seconds,
        environment=environment,
        verify_key=verify_key or "",
        allow_pickles=allow_pickles,
    )
    run_server(root, host=host, port=port, settings=settings, announce=click.echo)


def _choose(directory: Path, name: str | None, said: Said, config_path: Path | None) -> Environment:
    """The environment that a command line means."""
    from seatrial.commands.environments import choose_environment

    return choose_environment(directory, name, said, config_path=config_path, git_dir=named_git_dir())


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


def _announce(directory: Path, environment: Environment, targets: Mapping[str, Target]) -> tuple[RegistryReport, ...]:
    """Let the environment's registries say what is live; what that did is told on standard error."""
    if not environment.registries:
        return ()
    from seatrial.commands.registering import announce, describe_reports

    reports = tuple(
        report
        for name, target in targets.items()
        for report in announce(
            environment, target, name, directory=directory, environ=os.environ, git_dir=named_git_dir()
        )
    )
    for line in describe_reports(reports):
        tell_progress(line)
    return reports


def _conclude(deployment: Deployment, shape: str, registries: tuple[RegistryReport, ...]) -> NoReturn:
    """Say what was done, what failed on standard error, and end with its exit code."""
    from seatrial.commands.deploy import describe_deployment, state_deployment

    line, code = describe_deployment(deployment), deployment.outcome.exit_code
    if code:
        show_error(line, "")
    if shape == "json" or not code:
        _show_facts(state_deployment(deployment) | {"registries": registries}, (line,), shape)
    sys.exit(code)


def _tell_recovered(record: DeploymentRecord | None) -> None:
    """That this command found a deployment that was cut off, and what became of it."""
    if record is not None:
        tell_progress(f"version {record.version} of {record.name}: {record.reason}; it is {record.event.value} now")


def _show_facts(facts: object, lines: tuple[str, ...], shape: str) -> None:
    """The same for machines or for people, on standard output."""
    if shape == "json":
        import msgspec

        print_text(disarm_as(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode() + "\n", "json"))
        return
    print_text(disarm_lines("".join(f"{spell_columns(line)}\n" for line in lines)))
