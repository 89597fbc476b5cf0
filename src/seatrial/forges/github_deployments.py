"""Deployments on GitHub: one is made, and has statuses; what is shown of an environment is what its statuses say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from seatrial.forges import ForgeAccess
from seatrial.forges.deployments import DeploymentState, ForgeDeployment
from seatrial.forges.github import GitHub

DESCRIPTION = 140
# Between two that succeeded there may be many that failed; nobody waits for more than these.
_MOST_EARLIER = 30
_PERMISSION = "deployments: write"


class GitHubDeployments:
    """The deployments of one repository."""

    def __init__(self, access: ForgeAccess) -> None:
        self._github = GitHub(access)

    def start(self, deployment: ForgeDeployment) -> int:
        """Record that a deployment is under way; its number.

        GitHub neither merges nor looks at other checks: the commit was judged here.
        """
        made = self._github.call(
            "record a deployment",
            _PERMISSION,
            "POST",
            "deployments",
            {
                "ref": deployment.commit,
                "task": "deploy",
                "auto_merge": False,
                "required_contexts": [],
                "environment": deployment.environment,
                "description": deployment.description[:DESCRIPTION],
                "payload": dict(deployment.payload),
            },
            creates=True,
        )
        number = int(made["id"])
        self._add_status(number, deployment, DeploymentState.IN_PROGRESS, deployment.description)
        return number

    def conclude(self, number: int, deployment: ForgeDeployment, state: DeploymentState, description: str) -> None:
        """Record how it ended; where it succeeded, those that did before it become inactive."""
        self._add_status(number, deployment, state, description)
        if state is DeploymentState.SUCCESS:
            self._retire_earlier(number, deployment)

    def _retire_earlier(self, number: int, deployment: ForgeDeployment) -> None:
        """GitHub does it by itself everywhere but in production, so it is done here everywhere.

        One that is inactive already was followed by one that succeeded, which has retired all before it.
        """
        query = urlencode({"environment": deployment.environment, "per_page": _MOST_EARLIER})
        for earlier in self._read("list deployments", f"deployments?{query}"):
            if int(earlier["id"]) >= number:
                continue
            address = f"deployments/{int(earlier['id'])}/statuses?per_page=1"
            state = next((str(status["state"]) for status in self._read("list deployment statuses", address)), "")
            if state == DeploymentState.INACTIVE.value:
                return
            if state == DeploymentState.SUCCESS.value:
                self._post_status(int(earlier["id"]), {"state": DeploymentState.INACTIVE.value})

    def _add_status(self, number: int, deployment: ForgeDeployment, state: DeploymentState, description: str) -> None:
        sent = {
            "state": state.value,
            "description": description[:DESCRIPTION],
            "environment": deployment.environment,
            "log_url": deployment.log_url,
            "auto_inactive": False,
        }
        linked = {"environment_url": deployment.environment_url} if deployment.environment_url else {}
        self._post_status(number, sent | linked)

    def _post_status(self, number: int, sent: Mapping[str, Any]) -> None:
        self._github.call(
            "set a deployment's status", _PERMISSION, "POST", f"deployments/{number}/statuses", sent, creates=True
        )

    def _read(self, what: str, path: str) -> list[dict[str, Any]]:
        return list(self._github.call(what, "deployments: read", "GET", path, kind=list))
