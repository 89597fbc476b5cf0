"""Where models go: one file per target, and the engine that every target has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from inspect import signature
from pathlib import Path
from typing import Any

from seatrial.deploy import local
from seatrial.deploy.local import LocalTarget
from seatrial.deploy.places import get_scheme, is_address
from seatrial.deploy.target import Store, Target
from seatrial.errors import UsageError

GROUP = "seatrial.targets"
"""The group of entry points by which other packages bring targets: callables of (place, name)."""


def open_store(place: str, name: str) -> Store:
    """What keeps the versions, the journal, the log and the lock of one model at a place: a directory or a bucket.

    UsageError for an address that nothing here can write to, or without what it takes to do so.
    """
    if is_address(place):
        _check_address(place)
        from seatrial.deploy.objects import ObjectTarget

        return ObjectTarget(place, name)
    return LocalTarget(root=Path(place), name=name)


def list_deployed(place: str) -> tuple[str, ...]:
    """The names of the models at a place of which something was ever deployed, live or not."""
    if is_address(place):
        _check_address(place)
        from seatrial.deploy import objects

        return objects.list_deployed(place)
    return local.list_deployed(Path(place))


def _check_address(place: str) -> None:
    if get_scheme(place) != "s3":
        raise UsageError(
            f"{place}: nothing here can write to {get_scheme(place)}://",
            hint="give a directory, or s3://BUCKET/PREFIX; AWS_ENDPOINT_URL names a store that speaks the same",
        )


def open_local(place: str, name: str) -> Store:
    """The target `local`: the files themselves are what is deployed, and whoever reads the pointer serves them."""
    return open_store(place, name)


def open_command(place: str, name: str) -> Target:
    """The target `command`: scripts of the user, which are started in a directory."""
    if is_address(place):
        raise UsageError(
            f"{place}: --target command starts scripts in a directory", hint="give the directory of command.yaml"
        )
    from seatrial.deploy.command import CommandSwitch
    from seatrial.deploy.switching import SwitchingTarget

    store = LocalTarget(root=Path(place), name=name)
    return SwitchingTarget(store=store, switch=CommandSwitch(store=store))


def open_huggingface(place: str, name: str, settings: Mapping[str, Any] | None = None) -> Target:
    """The target `huggingface`: a model repository of the Hugging Face Hub, whose branch holds the live version."""
    from seatrial.deploy.huggingface import HubSwitch
    from seatrial.deploy.switching import SwitchingTarget

    store = open_store(place, name)
    return SwitchingTarget(store=store, switch=HubSwitch(store=store, place=place, given=settings))


def open_kserve(place: str, name: str, settings: Mapping[str, Any] | None = None) -> Target:
    """The target `kserve`: an InferenceService, whose versions are in a store that the cluster reads from."""
    from seatrial.deploy.kserve import KServeSwitch
    from seatrial.deploy.switching import MixingTarget

    store = open_store(place, name)
    return MixingTarget(store=store, switch=KServeSwitch(store=store, place=place, given=settings))


def open_kubernetes(place: str, name: str, settings: Mapping[str, Any] | None = None) -> Target:
    """The target `kubernetes`: a Deployment for each version, and a Service that selects the live one."""
    from seatrial.deploy.kubernetes import DeploymentSwitch
    from seatrial.deploy.switching import SwitchingTarget

    store = open_store(place, name)
    return SwitchingTarget(store=store, switch=DeploymentSwitch(store=store, place=place, given=settings))


def open_tensorflow_serving(place: str, name: str, settings: Mapping[str, Any] | None = None) -> Target:
    """The target `tensorflow-serving`: a directory that TensorFlow's model server reads."""
    from seatrial.deploy import tensorflow_serving

    return tensorflow_serving.open_tensorflow_serving(place, name, settings)


TARGETS: dict[str, Callable[..., Target]] = {
    "command": open_command,
    "huggingface": open_huggingface,
    "kserve": open_kserve,
    "kubernetes": open_kubernetes,
    "local": open_local,
    "tensorflow-serving": open_tensorflow_serving,
}


def open_target(kind: str, place: str, name: str, settings: Mapping[str, Any] | None = None) -> Target:
    """The target of a kind for one model; UsageError, with the kinds there are, where there is none such.

    `settings` of an environment go to a target whose opener takes them by that name; of others they are refused.
    """
    opener = TARGETS.get(kind) or _load_opener(kind)
    if not settings:
        return opener(place, name)
    if "settings" not in signature(opener).parameters:
        raise UsageError(f"the target {kind} takes no settings", hint="take `settings` out of the environment")
    return opener(place, name, settings=settings)


def _load_opener(kind: str) -> Callable[..., Target]:
    found = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in found:
        raise UsageError(f"there is no target {kind!r}", hint=f"there are {', '.join(sorted({*TARGETS, *found}))}")
    opener: Callable[..., Target] = found[kind].load()
    return opener
