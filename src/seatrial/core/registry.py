"""Registries: where other tools look up which model is live. What is told there mirrors the deployment log."""

from __future__ import annotations

from msgspec import Struct

from seatrial.core.deployment import DeploymentRecord, Outcome


class GtoSettings(Struct, frozen=True, kw_only=True, tag="gto"):
    """Git tags in GTO's grammar: `push` names the remote that has them (empty: only this clone), `stage` the stage."""

    push: str = ""
    stage: str


class MlflowSettings(Struct, frozen=True, kw_only=True, tag="mlflow"):
    """A model registry that speaks MLflow's REST API.

    `uri` is its address, empty where the variable MLFLOW_TRACKING_URI tells it; `alias` is what the live version is
    called there; `token_env` names the variable of a bearer token.
    """

    uri: str = ""
    alias: str
    token_env: str = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - the name of a variable


RegistrySettings = GtoSettings | MlflowSettings


class Announcement(Struct, frozen=True, kw_only=True):
    """What is live, for registries: the log's last line that made a version live.

    `source` is the address of the release, `run` that of the CI job that tells it, empty outside of one.
    """

    record: DeploymentRecord
    source: str
    run: str = ""

    def list_facts(self) -> tuple[tuple[str, str], ...]:
        """What a registry keeps beside a version, each as one line of text; what is not known is left out."""
        record = self.record
        facts = (
            ("release", record.version),
            ("digest", record.digest),
            ("commit", record.commit),
            ("verdict", f"{record.verdict}, overruled" if record.override else record.verdict),
            ("deployed", f"{record.time} ({record.kind.value})"),
            ("run", self.run),
        )
        return tuple((key, "".join(c for c in value if c.isprintable())) for key, value in facts if value)


class Mirrored(Struct, frozen=True, kw_only=True):
    """What a registry was made to say: `changes` is empty where it said so already, `notes` tell what it can't say."""

    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class RegistryReport(Struct, frozen=True, kw_only=True):
    """How it went with one registry and one model; `problem` is empty where it says now what is live."""

    registry: str
    model: str
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""


def find_live(log: tuple[DeploymentRecord, ...]) -> DeploymentRecord | None:
    """The log's last line that made a version live; what failed since then was undone."""
    return next((record for record in reversed(log) if record.event is Outcome.LIVE), None)
