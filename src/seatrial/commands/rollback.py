"""`seatrial rollback`: make an earlier version live again, proved as a deployment is."""

from __future__ import annotations

from seatrial.commands.delivery import carry_out
from seatrial.core.environment import Environment
from seatrial.core.release import warn_of_pickles
from seatrial.deploy.engine import Deployment, DeploymentPlan, Prover, Terms
from seatrial.deploy.target import Target


def describe_rollback(plan: DeploymentPlan) -> tuple[str, ...]:
    """A plan as lines for people."""
    release, live = plan.release, plan.previous
    return (
        *([f"to       {plan.environment}"] if plan.environment else []),
        f"model    {release.name} ({release.format.value})",
        f"live     {f'version {live.version}' if live else 'nothing'}",
        f"back to  version {release.version}, {release.digest}",
        f"from     commit {release.commit[:7]}, verdict {release.verdict}",
        *([f"warning  {warning}"] if (warning := warn_of_pickles(release.pickles)) else []),
    )


def roll_back(environment: Environment, target: Target, plan: DeploymentPlan, prover: Prover) -> Deployment:
    """Carry a rollback out: golden requests before and after the switch, and the log says why."""
    terms = Terms(unproved=True, breaking=True, keep=environment.keep)
    return carry_out(plan, environment=environment, target=target, prover=prover, terms=terms)
