"""What a forge is told of a deployment, where it keeps a record of them.

GitLab makes its own from the job's `environment:`; Gitea and Bitbucket's API take none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Protocol

from msgspec import Struct

from seatrial.forges import ForgeAccess


class DeploymentState(str, Enum):
    """How far a deployment is."""

    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    INACTIVE = "inactive"


class ForgeDeployment(Struct, frozen=True, kw_only=True):
    """A deployment as people find it on the forge: of which commit, to where; `payload` is for machines.

    `log_url` is the job's page, `environment_url` where the model answers, empty where it is not told.
    """

    environment: str
    commit: str
    description: str
    payload: Mapping[str, str]
    log_url: str
    environment_url: str = ""


class Deployments(Protocol):
    """The record of deployments of one project. Every method raises `DeliveryError` where the forge says no."""

    def start(self, deployment: ForgeDeployment) -> int:
        """Record that a deployment is under way; its number."""

    def conclude(self, number: int, deployment: ForgeDeployment, state: DeploymentState, description: str) -> None:
        """Record how it ended; one that succeeded takes the place of those before it, which become inactive."""


def _open_github(access: ForgeAccess) -> Deployments:
    from seatrial.forges.github_deployments import GitHubDeployments

    return GitHubDeployments(access)


DEPLOYMENTS: dict[str, Callable[[ForgeAccess], Deployments]] = {"github": _open_github}
