"""Deployment logs in a directory, as deployments leave them, for what reads nothing but the log."""

from __future__ import annotations

from pathlib import Path

from seatrial.core.deployment import DeploymentRecord, Kind, Outcome
from seatrial.core.environment import Environment
from seatrial.core.registry import RegistrySettings
from seatrial.deploy.local import LocalTarget

NAME = "flights-delay"


def digest_of(version: str) -> str:
    """The digest that a version has in these logs."""
    return f"sha256:{int(version):064x}"


def record(
    version: str, commit: str, *, event: Outcome = Outcome.LIVE, kind: Kind = Kind.DEPLOY, name: str = NAME
) -> DeploymentRecord:
    """A line of a log."""
    return DeploymentRecord(
        time="2026-11-23T22:32:03+00:00",
        event=event,
        name=name,
        version=version,
        digest=digest_of(version),
        previous="",
        commit=commit,
        verdict="passed",
        kind=kind,
    )


def open_log(root: Path, name: str = NAME) -> LocalTarget:
    """A target whose log may be written; it holds no model."""
    target = LocalTarget(root=root, name=name)
    target.home.mkdir(parents=True, exist_ok=True)
    return target


def place(root: Path, *registries: RegistrySettings, name: str = "production") -> Environment:
    """An environment with registries."""
    return Environment(name=name, to=str(root), registries=registries)
