"""From a merged commit to a deployment plan: judge the commit again, then take the model that it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from seatrial.commands.baseline import choose_merged_range
from seatrial.commands.compare import load_config
from seatrial.commands.deploy import plan_deployment
from seatrial.commands.measure import Measurement, Progress, Selection, measure
from seatrial.commands.releasing import trace
from seatrial.commands.signing import open_keys
from seatrial.commands.trial import describe_trial
from seatrial.core.deployment import DeploymentRecord
from seatrial.core.environment import Environment
from seatrial.core.metrics import Value, is_finite
from seatrial.core.revision import Revision
from seatrial.deploy import open_target
from seatrial.deploy.engine import Deployment, DeploymentPlan, Prover, Terms, apply, blocking, recover
from seatrial.deploy.signing import guard
from seatrial.deploy.target import Target
from seatrial.deploy.trial import Trial
from seatrial.errors import CompareError
from seatrial.git import Repository

if TYPE_CHECKING:
    from seatrial.sources.cache import CachedOut

# A model is larger than the tables and metrics that it is judged by.
_MODEL_SECONDS = 900


def recover_open(target: Target, prover: Prover, *, patience: float | None = None) -> DeploymentRecord | None:
    """Finish or undo a deployment that was cut off on this target; None where there is none.

    Every command that opens a target does this first. BlockedError where a deployment is running.
    """
    with blocking():
        if not target.read_journal():
            return None
        with target.lock(patience):
            return recover(target, prover)


def plan_delivery(
    directory: Path,
    *,
    artifact: str,
    target: Target,
    environment: Environment,
    base: str | None,
    config_path: Path | None,
    override: str,
    allow_older: bool = False,
    git_dir: Path | None = None,
    fetching: Progress | None = None,
) -> DeploymentPlan:
    """Plan the delivery of an artifact of the checked-out commit; the target is not touched yet.

    With `fetching`, which is told of it, what is nowhere on this machine is fetched by the user's own `dvc`: what the
    commit is judged by, and, once the gates let it, the model.
    """
    from seatrial.sources.snapshot import locate_out, read_declarations

    repository = Repository.discover(directory, git_dir)
    with blocking():
        revisions = choose_merged_range(repository, base)
        config = load_config(repository, config_path)
        measurement = measure(repository, revisions, config, Selection(), fetching=fetching)
    head = revisions.head
    assert head.sha is not None

    def locate(path: str) -> CachedOut | None:
        if fetching:
            _bring(repository, head, path, fetching)
        return locate_out(repository, head, path)

    project = read_declarations(repository, head)
    plan = plan_deployment(
        artifact=artifact,
        artifacts=project.artifacts,
        locate=locate,
        target=target,
        commit=head.sha,
        verdict=measurement.verdict,
        metrics=_collect_metrics(measurement),
        override=override,
        pickles=config.pickles,
        lineage=trace(repository, project, config, measurement, artifact=artifact),
        is_older=None if allow_older else lambda commit, live: _is_older(repository, commit, live),
    )
    notes = (*plan.notes, *describe_trial(environment, plan))
    return msgspec.structs.replace(plan, environment=environment.name, notes=notes)


def open_place(environment: Environment, artifact: str) -> Target:
    """The target of an environment for one model; with a `verify_key` it takes only what is signed."""
    target = open_target(environment.target, environment.to, artifact, environment.settings)
    return guard(target, open_keys(environment.verify_key))


def carry_out(
    plan: DeploymentPlan,
    *,
    environment: Environment,
    target: Target,
    prover: Prover,
    terms: Terms,
    trial: Trial | None = None,
) -> Deployment:
    """Carry a plan out in an environment, be it a deployment or a rollback."""
    return apply(plan, target=target, prover=prover, terms=terms, trial=trial)


def _is_older(repository: Repository, commit: str, live: str) -> bool | None:
    """Whether a commit is an ancestor of another one; None where the other one is not to be had."""
    try:
        return repository.find_merge_base(commit, repository.ensure_commit(live)) == commit
    except CompareError:
        return None


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
