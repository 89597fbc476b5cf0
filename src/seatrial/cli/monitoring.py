"""`monitor`: what watches the models that are served."""

from __future__ import annotations

from pathlib import Path

import click

from seatrial.cli.messages import disarm_lines, print_text, tell
from seatrial.cli.options import from_directory

_EXAMPLE_MONITOR = """\b
Examples:
  seatrial monitor render monitoring
  seatrial monitor render monitoring --models flights-delay --errors 0.02 --p95 0.2 --force
  promtool test rules monitoring/seatrial.rules.test.yml

\b
Exit codes: 0 written (or already so), 2 usage, 70 a defect of seatrial."""
_OPEN_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.group(epilog=_EXAMPLE_MONITOR)
def monitor() -> None:
    """Watch served models by Prometheus, and what reads from it."""


@monitor.command(epilog=_EXAMPLE_MONITOR)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), callback=from_directory)
@click.option("--models", multiple=True, metavar="NAME", help="Only this model (repeat it).  [default: all]")
@click.option("--window", default="5m", show_default=True, metavar="TIME", help="For rates and times of requests.")
@click.option("--prediction-window", default="1h", show_default=True, metavar="TIME", help="For distributions.")
@click.option("--for", "hold", default="5m", show_default=True, metavar="TIME", help="For how long, before an alert.")
@click.option(
    "--digests-for", default="15m", show_default=True, metavar="TIME", help="For how long two digests may be live."
)
@click.option("--errors", type=_OPEN_SHARE, default=0.05, show_default=True, help="Share of answers that are 5xx.")
@click.option(
    "--worse-errors",
    type=_OPEN_SHARE,
    default=0.01,
    show_default=True,
    help="Share of answers that are not 2xx, beyond the stable version's.",
)
@click.option(
    "--p95",
    type=click.FloatRange(0.001, 10, max_open=True),  # the histogram ends at 10 s
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="95th percentile of the time to an answer.",
)
@click.option(
    "--slower",
    type=click.FloatRange(1, 1000, min_open=True),
    default=1.25,
    show_default=True,
    metavar="TIMES",
    help="The same of a canary, over the stable version's.",
)
@click.option(
    "--shift",
    type=click.FloatRange(0, 0.9, min_open=True),
    default=0.1,
    show_default=True,
    help="Distance of a canary's or shadow's predictions from the stable version's, beyond chance.",
)
@click.option(
    "--drift",
    type=click.FloatRange(0, 20, min_open=True),
    default=0.2,
    show_default=True,
    metavar="PSI",
    help="Distance of inputs, or of predictions, from the release's profile, beyond chance.",
)
@click.option(
    "--min-requests",
    type=click.IntRange(1, 10**9),
    default=100,
    show_default=True,
    metavar="N",
    help="Requests in a window, or rows of which drift is told, below which it is not judged.",
)
@click.option("--force", is_flag=True, help="Overwrite files that hold other text.")
def render(
    directory: Path,
    models: tuple[str, ...],
    window: str,
    prediction_window: str,
    hold: str,
    digests_for: str,
    errors: float,
    worse_errors: float,
    p95: float,
    slower: float,
    shift: float,
    drift: float,
    min_requests: int,
    force: bool,
) -> None:
    """Write rules, their tests, a dashboard and settings into DIRECTORY.

    Recording and alert rules for Prometheus, tests of every alert for promtool, a dashboard for Grafana, and examples
    for Alertmanager, an OpenTelemetry collector that sends to New Relic, and Argo Rollouts.
    """
    from seatrial.commands.monitor import write_monitoring
    from seatrial.core.monitoring import Limits, parse_duration

    limits = Limits(
        models=models,
        window=parse_duration(window),
        prediction_window=parse_duration(prediction_window),
        hold=parse_duration(hold),
        digests_hold=parse_duration(digests_for),
        errors=errors,
        worse_errors=worse_errors,
        p95=p95,
        slower=slower,
        shift=shift,
        drift=drift,
        min_requests=min_requests,
    )
    written = write_monitoring(directory, limits, force=force)
    print_text(disarm_lines("".join(f"{directory / name}\n" for name in written)))
    tell(f"{len(written)} files written" if written else "nothing to write: all is as it would be")
