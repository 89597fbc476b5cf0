"""`status`, `releases` and `serve`: what is live, what is there, and answering with it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from seatrial.cli.options import config_option, facts_option
from seatrial.cli.places import (
    allow_pickles_option,
    announce,
    check_place,
    choose_environment,
    environment_option,
    show_facts,
    target_option,
    to_option,
    verify_key_option,
)
from seatrial.errors import ExitCode

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
  seatrial serve /srv/models --wait            in a place that nothing was deployed to yet
  curl localhost:8080/v2/models/flights-delay"""


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
    chosen = choose_environment(directory, environment, said, config_path)
    targets, prover = open_models(chosen, artifact), open_prover(chosen)
    found = [examine_model(name, target, prover, prove=prove) for name, target in targets.items()]
    facts = {"models": found, "registries": announce(directory, chosen, targets)}
    show_facts(facts, tuple(line for each in found for line in describe_status(each)), shape)
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

    chosen = choose_environment(
        directory, environment, Said(place=place, kind=kind, verify_key=verify_key), config_path
    )
    found = list_releases(open_models(chosen, artifact)[artifact], open_prover(chosen))
    show_facts({"name": artifact, "releases": found}, describe_releases(artifact, found), shape)


@click.command(epilog=_EXAMPLE_SERVE)
@click.argument("root", callback=check_place)
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
@click.option("--wait", is_flag=True, help="Start before anything is live, and be ready when something is.")
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
    wait: bool,
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
        wait=wait,
    )
    run_server(root, host=host, port=port, settings=settings, announce=click.echo)
