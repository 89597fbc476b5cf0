"""`registries:` of an environment: where other tools look up which model is live there."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from seatrial.config.document import Document, Path
from seatrial.core.registry import GtoSettings, MlflowSettings, RegistrySettings

_KINDS = ("gto", "mlflow")
_VARIABLE = "^[A-Za-z_][A-Za-z0-9_]*$"
_REMOTE = "^([A-Za-z0-9][A-Za-z0-9._/-]*)?$"
# GTO's own grammar of a name.
_STAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9/_-]*[A-Za-z0-9])?\Z")
# MLflow keeps `latest`, and `v1`, for itself.
_ALIAS = re.compile(r"(?!latest\Z|v\d+\Z)[\w-]{1,255}\Z", re.IGNORECASE | re.ASCII)


class RawGto(Struct, forbid_unknown_fields=True):
    """Git tags in GTO's grammar."""

    push: Annotated[
        str, Meta(description="Remote that the tags are pushed to; none if absent.", pattern=_REMOTE, max_length=128)
    ] = ""
    stage: Annotated[str, Meta(description="GTO's stage; the environment's name if absent.")] = ""


class RawMlflow(Struct, forbid_unknown_fields=True):
    """A model registry that speaks MLflow's REST API."""

    uri: Annotated[str, Meta(description="Address of the server; MLFLOW_TRACKING_URI if absent.")] = ""
    alias: Annotated[str, Meta(description="Alias of the live version; the environment's name if absent.")] = ""
    token_env: Annotated[
        str, Meta(description="Name of the environment variable of a bearer token.", pattern=_VARIABLE)
    ] = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - the name of a variable


class RawRegistry(Struct, forbid_unknown_fields=True):
    """One registry: exactly one of its keys is given."""

    gto: Annotated[RawGto | None, Meta(description="Git tags that GTO, DVC and people read.")] = None
    mlflow: Annotated[RawMlflow | None, Meta(description="MLflow's model registry, or GitLab's.")] = None


def build_registries(document: Document, path: Path, environment: str, value: Any) -> tuple[RegistrySettings, ...]:
    """Check the registries of an environment; a fault names its line."""
    if value is not None and not isinstance(value, list):
        raise document.fault(path, f"{_spell(path)}: must be a list", hint="write [{gto: {}}]")
    return tuple(_build(document, (*path, index), environment, each) for index, each in enumerate(value or []))


def _build(document: Document, path: Path, environment: str, value: Any) -> RegistrySettings:
    if not isinstance(value, dict) or len(value) != 1:
        raise document.fault(path, f"{_spell(path)}: must name one registry", hint=f"one of {', '.join(_KINDS)}")
    raw = document.convert(path, {kind: {} if said is None else said for kind, said in value.items()}, RawRegistry)
    if raw.gto:
        return _build_gto(document, (*path, "gto"), environment, raw.gto)
    assert raw.mlflow is not None
    return _build_mlflow(document, (*path, "mlflow"), environment, raw.mlflow)


def _build_gto(document: Document, path: Path, environment: str, raw: RawGto) -> GtoSettings:
    stage = raw.stage or environment
    if not _STAGE.match(stage):
        hint = "letters, digits, _ - and /, beginning and ending with a letter or a digit: `stage: production`"
        raise document.fault(path, f"{_spell(path)}.stage: {stage!r} is no name of GTO's grammar", hint=hint)
    return GtoSettings(push=raw.push, stage=stage)


def _build_mlflow(document: Document, path: Path, environment: str, raw: RawMlflow) -> MlflowSettings:
    alias = raw.alias or environment
    if not _ALIAS.match(alias):
        hint = "letters, digits, _ and -, and neither `latest` nor `v1`: `alias: production`"
        raise document.fault(path, f"{_spell(path)}.alias: {alias!r} is no alias of MLflow's", hint=hint)
    if raw.uri and (problem := explain_address(raw.uri)):
        raise document.fault((*path, "uri"), f"{_spell(path)}.uri: {problem}")
    return MlflowSettings(uri=raw.uri, alias=alias, token_env=raw.token_env)


def explain_address(uri: str) -> str:
    """Why this is no address of a server that a token may be sent to; empty where it is one.

    >>> explain_address("https://mlflow.example"), explain_address("sqlite:///mlflow.db")
    ('', 'must be the address of a server: https://…')
    """
    try:
        parts = urlsplit(uri)
        ours = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        ours = False
    if not ours or not uri.isprintable() or " " in uri:
        return "must be the address of a server: https://…"
    if parts.username is not None or parts.password is not None:
        return "must hold no password: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if parts.query or parts.fragment:
        return "must end before ? and #"
    return ""


def _spell(path: Path) -> str:
    return ".".join(str(part) for part in path)
