"""The target `kubernetes`: a Deployment for each of two versions, and a Service whose selector names the live one.

    kubernetes.yaml at the place, or `settings` of the environment:

    template: model.yaml       your Deployment and your Service, as one file; what differs between versions is set here
    service: flights-delay     the Service's name; else the model's
    namespace: models          also `context` and `kubeconfig`, as kubectl takes them
    seconds: 600               after which a version that is not ready has failed

Each version has a Deployment `SERVICE-vN`, whose containers find SEATRIAL_MODEL, SEATRIAL_VERSION, SEATRIAL_DIGEST and
SEATRIAL_PLACE (that of `--to`) in their environment. It gets ready while no Service selects it; one apply of the
Service turns to it. The version before stays up until the next one is staged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from seatrial.core.release import Release
from seatrial.deploy.cluster import (
    DEPLOYMENTS,
    DIGEST,
    MANAGED,
    PREFIX,
    SERVICES,
    VERSION,
    Access,
    Cluster,
    ClusterLock,
    Document,
    demand_ours,
    find_crash,
    is_rolled_out,
    mark,
    name_holder,
    name_service,
    wait_until,
)
from seatrial.deploy.places import is_address
from seatrial.deploy.settings import read_settings
from seatrial.deploy.switching import Live
from seatrial.deploy.target import Store
from seatrial.errors import ReleaseError, UsageError

SETTINGS = "kubernetes.yaml"
OWNER = f"{PREFIX}/service"
_HINT = "`template` names a file with your Deployment and your Service"


class KubernetesSettings(Access, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`kubernetes.yaml`."""

    template: str
    service: str = ""
    seconds: float = 600.0
    lease: int = 15


@dataclass(frozen=True, kw_only=True)
class DeploymentSwitch:
    """One Service and the Deployments of its versions, which read the store at `place`."""

    store: Store
    place: str
    given: Mapping[str, Any] | None = None

    @cached_property
    def settings(self) -> KubernetesSettings:
        """The settings; UsageError where they can't be used."""
        return read_settings(KubernetesSettings, self.place, SETTINGS, self.given, _HINT)

    @cached_property
    def service(self) -> str:
        """The Service's name."""
        return name_service(self.settings.service or self.store.name, SETTINGS)

    @cached_property
    def templates(self) -> tuple[Document, Document]:
        """The user's Deployment and Service; UsageError where there is not one of each."""
        import yaml

        path = Path(self.settings.template)
        path = path if is_address(self.place) else Path(self.place) / path
        try:
            found = {each["kind"]: each for each in yaml.safe_load_all(path.read_bytes()) if each}
            deployment, service = found["Deployment"], found["Service"]
            complete = deployment["spec"]["template"]["spec"]["containers"] and service["spec"]["ports"]
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}", hint=_HINT) from error
        except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: not a Deployment and a Service: {error}", hint=_HINT) from error
        if not complete:
            raise UsageError(f"{path}: the Deployment has no container, or the Service no port", hint=_HINT)
        return deployment, service

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster that it is in."""
        return Cluster(access=self.settings)

    @cached_property
    def _lock(self) -> ClusterLock:
        name, holder = f"{self.service}.seatrial", name_holder(self.store.location)
        return ClusterLock(cluster=self.cluster, name=name, holder=holder, seconds=self.settings.lease)

    @contextmanager
    def lock(self, patience: float | None, held: object) -> Iterator[None]:
        """Hold the Lease of the Service."""
        with self._lock.hold(30.0 if patience is None else patience):
            yield

    def ask(self) -> Live:
        """What the Service selects; that it says another version than that is a problem."""
        found = self.cluster.get(SERVICES, self.service)
        marks = (found["metadata"].get("annotations") or {}) if found else {}
        version = marks.get(VERSION, "")
        if found is None or not version:
            return Live()
        selected = (found["spec"].get("selector") or {}).get(VERSION)
        problem = (
            "" if selected == version else f"the Service {self.service} says version {version}, selects {selected}"
        )
        return Live(version=version, digest=marks.get(DIGEST, ""), problem=problem)

    def bring_up(self, release: Release) -> None:
        """Let the Deployment of a version get ready; those of neither this nor the live version make room first."""
        demand_ours(self.cluster.get(SERVICES, self.service), f"Service {self.service}", SETTINGS)
        name = self._name(release.version)
        if is_rolled_out(self.cluster.get(DEPLOYMENTS, name), release.digest):
            return
        self._lock.check()
        kept = {name, self._name(self.ask().version)}
        for each in self.cluster.list(DEPLOYMENTS, {OWNER: self.service}):
            if each["metadata"]["name"] not in kept:
                self.cluster.delete(DEPLOYMENTS, each["metadata"]["name"])
        self.cluster.apply(DEPLOYMENTS, self._fill(release), _is_ours)
        wait_until(lambda: self._explain(name, release.digest), self.settings.seconds, f"{name} is not ready")

    def turn_to(self, release: Release) -> None:
        """One apply of the Service."""
        self.bring_up(release)
        self._lock.check()
        body = deepcopy(self.templates[1])
        metadata = body.get("metadata") or {}
        body["metadata"] = {
            "name": self.service,
            "labels": {**(metadata.get("labels") or {}), **MANAGED},
            "annotations": {**(metadata.get("annotations") or {}), **mark(release)},
        }
        body["spec"]["selector"] = {OWNER: self.service, VERSION: release.version}
        self.cluster.apply(SERVICES, body, _is_ours)

    def turn_off(self) -> None:
        """Take the Service away."""
        demand_ours(self.cluster.get(SERVICES, self.service), f"Service {self.service}", SETTINGS)
        self._lock.check()
        self.cluster.delete(SERVICES, self.service)

    def take_down(self, version: str) -> None:
        """Take the Deployment of a version away."""
        self._lock.check()
        self.cluster.delete(DEPLOYMENTS, self._name(version))

    def _name(self, version: str) -> str:
        return f"{self.service}-v{version}"

    def _fill(self, release: Release) -> Document:
        """The user's Deployment for a version."""
        body = deepcopy(self.templates[0])
        spec, template = body["spec"], body["spec"]["template"]
        labels = {OWNER: self.service, VERSION: release.version}
        own, pods = body.get("metadata") or {}, template.get("metadata") or {}
        body["metadata"] = {
            "name": self._name(release.version),
            "labels": {**(own.get("labels") or {}), **MANAGED, **labels},
            "annotations": {**(own.get("annotations") or {}), **mark(release)},
        }
        template["metadata"] = {
            "labels": {**(pods.get("labels") or {}), **labels},
            "annotations": {**(pods.get("annotations") or {}), **mark(release)},
        }
        spec["selector"] = {"matchLabels": labels}
        told = {
            "SEATRIAL_MODEL": release.name,
            "SEATRIAL_VERSION": release.version,
            "SEATRIAL_DIGEST": release.digest,
            "SEATRIAL_PLACE": self.place,
        }
        for container in template["spec"]["containers"]:
            others = [each for each in container.get("env") or () if each["name"] not in told]
            container["env"] = [*others, *({"name": name, "value": value} for name, value in told.items())]
        return body

    def _explain(self, name: str, digest: str) -> str:
        """What a Deployment still waits for; ReleaseError where its pods won't get ready."""
        found = self.cluster.get(DEPLOYMENTS, name)
        if is_rolled_out(found, digest):
            return ""
        if crash := find_crash(self.cluster, found):
            raise ReleaseError(crash)
        status = (found or {}).get("status") or {}
        failed = [each for each in status.get("conditions") or () if each.get("reason") == "ProgressDeadlineExceeded"]
        if failed:
            raise ReleaseError(f"Deployment {name}: {failed[0].get('message')}")
        return f"{status.get('availableReplicas', 0)} of its pods are ready"


def _is_ours(path: str) -> bool:
    """Whether seatrial alone decides on a field, whoever else wrote it.

    >>> _is_ours(".spec.selector"), _is_ours(".spec.replicas")
    (True, False)
    """
    return path.startswith(".spec.selector") or PREFIX in path or '"SEATRIAL_' in path
