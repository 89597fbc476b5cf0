"""From a merged commit to a deployment plan: judge the commit again, then take the model that it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.commands.baseline import choose_merged_range
from seatrial.commands.compare import load_config
from seatrial.commands.deploy import DeploymentPlan, plan_deployment
from seatrial.commands.measure import Measurement, Progress, Selection, measure
from seatrial.core.metrics import Value, is_finite
from seatrial.core.revision import Revision
from seatrial.deploy import TARGETS, Target
from seatrial.git import Repository

if TYPE_CHECKING:
    from seatrial.sources.cache import CachedOut

# A model is larger than the tables and metrics that it is judged by.
_MODEL_SECONDS = 900


def plan_delivery(
    directory: Path,
    *,
    artifact: str,
    root: Path,
    base: str | None,
    config_path: Path | None,
    override: str,
    git_dir: Path | None = None,
    fetching: Progress | None = None,
) -> tuple[DeploymentPlan, Target]:
    """Plan the delivery of an artifact of the checked-out commit to a local directory; the target is not touched yet.

    With `fetching`, which is told of it, what is nowhere on this machine is fetched by the user's own `dvc`: what the
    commit is judged by, and, once the gates let it, the model.
    """
    from seatrial.sources.snapshot import locate_out, read_declarations

    repository = Repository.discover(directory, git_dir)
    revisions = choose_merged_range(repository, base)
    measurement = measure(repository, revisions, load_config(repository, config_path), Selection(), fetching=fetching)
    head = revisions.head
    assert head.sha is not None

    def locate(path: str) -> CachedOut | None:
        if fetching:
            _bring(repository, head, path, fetching)
        return locate_out(repository, head, path)

    target = TARGETS["local"](directory / root, artifact)
    plan = plan_deployment(
        artifact=artifact,
        artifacts=read_declarations(repository, head).artifacts,
        locate=locate,
        target=target,
        commit=head.sha,
        verdict=measurement.verdict,
        metrics=_collect_metrics(measurement),
        override=override,
    )
    return plan, target


def _bring(repository: Repository, revision: Revision, path: str, tell: Progress) -> None:
    """Fetch an output that is nowhere on this machine; what does not come is told, and is missing as before."""
    from seatrial.sources.fetching import Wanted, fetch_missing, is_elsewhere

    wanted = Wanted(revision=revision, path=path)
    if not is_elsewhere(repository, wanted):
        return
    tell(f"fetching {path}, which is not in the local cache: dvc fetch")
    if reason := fetch_missing(repository, [wanted], seconds=_MODEL_SECONDS):
        tell(f"{path}: {reason}")


def _collect_metrics(measurement: Measurement) -> Mapping[str, Value]:
    """The commit's metrics, as the release records them."""
    return {str(change.id): change.head for change in measurement.comparison.metrics if is_finite(change.head)}
