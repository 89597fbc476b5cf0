"""`seatrial plan`: what the gates can tell on this evaluation set, before a change is judged by them."""

from __future__ import annotations

from pathlib import Path

from seatrial.commands.baseline import Ends, choose_range
from seatrial.commands.compare import load_config
from seatrial.commands.measure import Progress, Selection, measure
from seatrial.core.comparison import Side
from seatrial.core.evidence_facts import PlanFacts, ProspectFacts
from seatrial.core.planning import Prospect, foresee
from seatrial.errors import CompareError
from seatrial.git import Repository


def plan_gates(
    directory: Path,
    *,
    base: str | None,
    head: str | None,
    config_path: Path | None,
    correlation: float,
    git_dir: Path | None = None,
    fetching: Progress | None = None,
) -> tuple[Prospect, ...]:
    """Measure two revisions as `compare` does, and say what every demand on their evidence can tell.

    CompareError where that evidence can't be had.
    """
    repository = Repository.discover(directory, git_dir)
    config = load_config(repository, config_path)
    revisions = choose_range(repository, Ends.parse(base, head))
    measurement = measure(repository, revisions, config, Selection(), fetching=fetching)
    for result in measurement.comparison.evaluations:
        if result.problem:
            problem = result.problem
            side = " of the baseline" if result.side is Side.BASE else ""
            raise CompareError(f"{result.name}{side}: {problem.message}", hint=problem.hint)
    return foresee(config.policy.evidence, measurement.comparison.evaluations, correlation=correlation)


def state_plan(prospects: tuple[Prospect, ...], *, correlation: float) -> PlanFacts:
    """The plan for machines."""
    return PlanFacts(
        schema_version=1,
        correlation=correlation,
        prospects=tuple(
            ProspectFacts(
                file=one.id.file,
                metric=".".join(one.id.key),
                slice=one.id.slice,
                check=one.check,
                limit=one.limit,
                n=one.n,
                detectable=one.detectable,
                blocks=one.blocks,
                enough=one.enough,
                assumed=one.assumed,
                reason=one.reason,
            )
            for one in prospects
        ),
    )
