"""The part of the stand-in GitHub that knows deployments and their statuses."""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.records import Deployed, Identity, Records
from tests.fakes.server import Answer, RefusedError, Request, Route, as_json

STATES = {"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}


class DeploymentRoutes:
    """Mixed into the stand-in; what it leans on is the stand-in's own."""

    records: Records
    _identity: Any
    _writer: Any
    _user: Any
    _page_of: Any
    _keep: Any

    @property
    def _repo_url(self) -> str:
        raise NotImplementedError

    # What a test reads.

    def deployments(self) -> list[Deployed]:
        """All deployments, oldest first."""
        return sorted(self.records.deployments.values(), key=lambda one: one.id)

    # The API

    def deployment_routes(self, repo: str) -> tuple[Route, ...]:
        """What is added to the stand-in's routes."""
        return (
            ("POST", rf"{repo}/deployments", self.create_deployment),
            ("GET", rf"{repo}/deployments", self.list_deployments),
            ("POST", rf"{repo}/deployments/(\d+)/statuses", self.create_deployment_status),
            ("GET", rf"{repo}/deployments/(\d+)/statuses", self.list_deployment_statuses),
        )

    def create_deployment(self, request: Request) -> Answer:
        identity: Identity = self._writer(request, "deployments")
        sent = request.json()
        if not re.fullmatch(r"[0-9a-f]{40}", str(sent.get("ref"))):
            raise RefusedError(422, f"No ref found for: {sent.get('ref')}", errors=[])
        if sent.get("auto_merge", True):
            raise RefusedError(409, "Conflict merging main into the ref")
        number, now = self.records.next_id(), self.records.now()
        environment = sent.get("environment", "production")
        made = Deployed(
            id=number, sha=sent["ref"], environment=environment, author=identity.login, created=now, sent=sent
        )
        self.records.deployments[number] = made
        self._keep()
        return as_json(self._deployment(made), status=201)

    def list_deployments(self, request: Request) -> Answer:
        self._identity(request)
        asked = request.query.get("environment")
        found = [one for one in reversed(self.deployments()) if asked in (None, one.environment)]
        answer: Answer = self._page_of(request, [self._deployment(one) for one in found])
        return answer

    def create_deployment_status(self, request: Request, number: str) -> Answer:
        self._writer(request, "deployments")
        made, sent = self._deployed(number), request.json()
        if sent.get("state") not in STATES or len(sent.get("description") or "") > 140:
            raise RefusedError(422, "Validation Failed", errors=[])
        made.statuses.append(sent | {"id": self.records.next_id(), "created": self.records.now()})
        self._keep()
        return as_json(self._deployment_status(made, made.statuses[-1]), status=201)

    def list_deployment_statuses(self, request: Request, number: str) -> Answer:
        self._identity(request)
        made = self._deployed(number)
        answer: Answer = self._page_of(
            request, [self._deployment_status(made, status) for status in reversed(made.statuses)]
        )
        return answer

    def _deployed(self, number: str) -> Deployed:
        if int(number) not in self.records.deployments:
            raise RefusedError(404, "Not Found")
        return self.records.deployments[int(number)]

    # In GitHub's shape

    def _deployment(self, made: Deployed) -> dict[str, Any]:
        url = f"{self._repo_url}/deployments/{made.id}"
        return {
            "url": url,
            "id": made.id,
            "node_id": f"DE_{made.id}",
            "sha": made.sha,
            "ref": made.sha,
            "task": made.sent.get("task", "deploy"),
            "payload": made.sent.get("payload", ""),
            "original_environment": made.environment,
            "environment": made.environment,
            "description": made.sent.get("description"),
            "creator": self._user(made.author),
            "created_at": made.created,
            "updated_at": made.created,
            "statuses_url": f"{url}/statuses",
            "repository_url": self._repo_url,
            "transient_environment": False,
            "production_environment": made.environment == "production",
        }

    def _deployment_status(self, made: Deployed, status: dict[str, Any]) -> dict[str, Any]:
        url = f"{self._repo_url}/deployments/{made.id}"
        log = status.get("log_url", "")
        return {
            "url": f"{url}/statuses/{status['id']}",
            "id": status["id"],
            "node_id": f"DES_{status['id']}",
            "state": status["state"],
            "creator": self._user(made.author),
            "description": status.get("description", ""),
            "environment": status.get("environment", made.environment),
            "target_url": log,
            "log_url": log,
            "environment_url": status.get("environment_url", ""),
            "created_at": status["created"],
            "updated_at": status["created"],
            "deployment_url": url,
            "repository_url": self._repo_url,
        }
