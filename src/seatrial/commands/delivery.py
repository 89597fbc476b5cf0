"""From a merged commit to a deployment plan: judge the commit again, then take the model that it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seatrial.commands.baseline import choose_merged_range
from seatrial.commands.compare import load_config
from seatrial.commands.deploy import DeploymentPlan, plan_deployment
from seatrial.commands.measure import Measurement, Selection, measure
from seatrial.core.metrics import Value, is_finite
from seatrial.deploy import TARGETS, Target
from seatrial.git import Repository


def plan_delivery(
    directory: Path,
    *,
    artifact: str,
    root: Path,
    base: str | None,
    config_path: Path | None,
    override: str,
    git_dir: Path | None = None,
) -> tuple[DeploymentPlan, Target]:
    """Plan the delivery of an artifact of the checked-out commit to a local directory; nothing is written yet."""
    from seatrial.sources.snapshot import locate_out, read_declarations

    repository = Repository.discover(directory, git_dir)
    revisions = choose_merged_range(repository, base)
    measurement = measure(repository, revisions, load_config(repository, config_path), Selection())
    head = revisions.head
    assert head.sha is not None
    target = TARGETS["local"](directory / root, artifact)
    plan = plan_deployment(
        artifact=artifact,
        artifacts=read_declarations(repository, head).artifacts,
        locate=lambda path: locate_out(repository, head, path),
        target=target,
        commit=head.sha,
        verdict=measurement.verdict,
        metrics=_collect_metrics(measurement),
        override=override,
    )
    return plan, target


def _collect_metrics(measurement: Measurement) -> Mapping[str, Value]:
    """The commit's metrics, as the release records them."""
    return {str(change.id): change.head for change in measurement.comparison.metrics if is_finite(change.head)}
