"""Where models go: one file per target, and the engine that every target has."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from seatrial.deploy.command import CommandTarget
from seatrial.deploy.local import LocalTarget
from seatrial.deploy.target import Target
from seatrial.errors import UsageError

GROUP = "seatrial.targets"
"""The group of entry points by which other packages bring targets: callables of (root, name)."""


def open_local(root: Path, name: str) -> Target:
    """The target `local`: a directory."""
    return LocalTarget(root=root, name=name)


def open_command(root: Path, name: str) -> Target:
    """The target `command`: scripts of the user."""
    return CommandTarget(store=LocalTarget(root=root, name=name))


TARGETS: dict[str, Callable[[Path, str], Target]] = {"command": open_command, "local": open_local}


def open_target(kind: str, root: Path, name: str) -> Target:
    """The target of a kind for one model; UsageError, with the kinds there are, where there is none such."""
    if kind in TARGETS:
        return TARGETS[kind](root, name)
    found = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in found:
        raise UsageError(f"there is no target {kind!r}", hint=f"there are {', '.join(sorted({*TARGETS, *found}))}")
    opened: Target = found[kind].load()(root, name)
    return opened
