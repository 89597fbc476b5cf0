"""Registries mirror the deployment log, so that other tools see which model is live: one file per registry.

A registry is asked what it says and is told only what differs, so that it may be told again at any time. What it says
is never read back: the log of the target is the truth, and a registry that fails undoes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from seatrial.core.registry import Announcement, GtoSettings, Mirrored, MlflowSettings, RegistrySettings
from seatrial.git import Repository


class Registry(Protocol):
    """A place where other tools look up which version of a model is live."""

    @property
    def title(self) -> str:
        """What and where it is, for people; no password is in it."""

    def mirror(self, live: Announcement) -> Mirrored:
        """Make it say what is live; nothing is to be done where it does. SeatrialError where it can't be made to."""


Find = Callable[[], Repository]
Opener = Callable[[Any, Find, Mapping[str, str]], Registry]


def open_gto(settings: GtoSettings, find_repository: Find, environ: Mapping[str, str]) -> Registry:
    """Tags of the repository; UsageError where there is none."""
    from seatrial.deploy.registries.gto import GtoRegistry

    return GtoRegistry(settings=settings, repository=find_repository())


def open_mlflow(settings: MlflowSettings, find_repository: Find, environ: Mapping[str, str]) -> Registry:
    """A server that the settings or the environment's variables name."""
    from seatrial.deploy.registries.mlflow import connect

    return connect(settings, environ)


REGISTRIES: dict[type[RegistrySettings], Opener] = {GtoSettings: open_gto, MlflowSettings: open_mlflow}


def open_registry(settings: RegistrySettings, find_repository: Find, environ: Mapping[str, str]) -> Registry:
    """The registry that an environment names; UsageError where something to reach it is wanting."""
    return REGISTRIES[type(settings)](settings, find_repository, environ)
