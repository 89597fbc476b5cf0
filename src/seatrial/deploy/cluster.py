"""A Kubernetes cluster: objects are read and applied there, and a Lease keeps other deployers out.

Server-side apply is under the field manager `seatrial`. Where another manager holds a field, it is taken over only if
it is one that seatrial alone decides on; any other one is told.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from seatrial.core.release import Release
from seatrial.errors import BlockedError, ReleaseError, SeatrialError, UsageError

if TYPE_CHECKING:
    import httpx2
    from lightkube import Client

MANAGER = "seatrial"
PREFIX = "seatrial.github.io"
VERSION, DIGEST, COMMIT = f"{PREFIX}/version", f"{PREFIX}/digest", f"{PREFIX}/commit"
MANAGED = {"app.kubernetes.io/managed-by": MANAGER}
_MISSING, _CONFLICT, _FORBIDDEN, _UNAUTHORIZED = 404, 409, 403, 401
_POLL = 1.0
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?")
_BACKING_OFF = frozenset(
    {"CrashLoopBackOff", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"}
)
Document = dict[str, Any]


class Kind(Struct, frozen=True):
    """A kind of object, as its address needs it."""

    group: str
    version: str
    name: str
    plural: str

    @property
    def api(self) -> str:
        """`apiVersion` of such an object."""
        return f"{self.group}/{self.version}" if self.group else self.version


DEPLOYMENTS = Kind("apps", "v1", "Deployment", "deployments")
SERVICES = Kind("", "v1", "Service", "services")
PODS = Kind("", "v1", "Pod", "pods")
LEASES = Kind("coordination.k8s.io", "v1", "Lease", "leases")


class Access(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cluster: what is left out is chosen as kubectl does, or within a pod by its service account."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""


class ConflictError(ReleaseError):
    """An object was changed, or made, by somebody else in between."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One namespace of a cluster."""

    access: Access

    @cached_property
    def _client(self) -> Client:
        try:
            from lightkube import Client, KubeConfig
            from lightkube.core.exceptions import ConfigError
        except ImportError as error:
            raise UsageError(
                f"{error.name} is not installed, and nothing here can speak to Kubernetes without it",
                hint="pip install 'seatrial[kubernetes]'",
            ) from error
        try:
            given = self.access.kubeconfig
            config = KubeConfig.from_file(Path(given).expanduser()) if given else KubeConfig.from_env()
            chosen = config.get(self.access.context or None)
            return Client(chosen, namespace=self.access.namespace or None)
        except (ConfigError, OSError, KeyError, ValueError, AssertionError) as error:
            raise UsageError(
                f"no cluster to speak to: {error}", hint="name one by `kubeconfig` and `context`, as kubectl does"
            ) from error

    @property
    def namespace(self) -> str:
        """The namespace that is deployed to."""
        return str(self._client.namespace)

    def get(self, kind: Kind, name: str) -> Document | None:
        """An object, None where there is none such."""
        try:
            with _explaining("get", kind, name):
                return dict(self._client.get(_resource(kind), name))
        except _AbsentError:
            return None

    def list(self, kind: Kind, labels: Mapping[str, str]) -> tuple[Document, ...]:
        """The objects that bear some labels."""
        with _explaining("list", kind, ""):
            return tuple(dict(each) for each in self._client.list(_resource(kind), labels=dict(labels)))

    def apply(self, kind: Kind, body: Document, ours: Callable[[str], bool]) -> Document:
        """Apply an object server-side; `ours` tells of a field's path whether it is taken from another manager."""
        name = str(body["metadata"]["name"])
        try:
            return self._apply(kind, name, body, force=False)
        except ConflictError as error:
            fields = _list_conflicts(error)
            if not fields or not all(ours(path) for path, _ in fields):
                raise
        return self._apply(kind, name, body, force=True)

    def _apply(self, kind: Kind, name: str, body: Document, *, force: bool) -> Document:
        obj = self._address(kind, body)
        with _explaining("patch", kind, name):
            return dict(self._client.apply(obj, field_manager=MANAGER, force=force))

    def create(self, kind: Kind, body: Document) -> Document:
        """Make an object; ConflictError where it is there already."""
        with _explaining("create", kind, body["metadata"]["name"]):
            return dict(self._client.create(self._address(kind, body), field_manager=MANAGER))

    def replace(self, kind: Kind, body: Document) -> Document:
        """Replace an object in the state that was read; ConflictError where it is in another one."""
        with _explaining("update", kind, body["metadata"]["name"]):
            return dict(self._client.replace(self._address(kind, body), field_manager=MANAGER))

    def delete(self, kind: Kind, name: str) -> None:
        """Take an object away; nothing is to be done where it is not there."""
        with suppress(_AbsentError), _explaining("delete", kind, name):
            self._client.delete(_resource(kind), name)

    def _address(self, kind: Kind, body: Document) -> Any:
        metadata = {**body["metadata"], "namespace": self.namespace}
        return _resource(kind)({**body, "apiVersion": kind.api, "kind": kind.name, "metadata": metadata})


class _AbsentError(ReleaseError):
    """There is no object of that name."""


@cache
def _resource(kind: Kind) -> Any:
    from lightkube.generic_resource import create_namespaced_resource

    return create_namespaced_resource(kind.group, kind.version, kind.name, kind.plural)


@contextmanager
def _explaining(verb: str, kind: Kind, name: str) -> Iterator[None]:
    """Turn what the API refuses into an error for people."""
    import httpx2
    from lightkube.core.exceptions import ApiError, ConfigError

    what = f"{kind.plural}.{kind.group}" if kind.group else kind.plural
    thing = f"{kind.name} {name}" if name else what
    try:
        yield
    except httpx2.HTTPStatusError as error:
        raise _explain(error, verb, what, thing, known=isinstance(error, ApiError)) from error
    except (httpx2.HTTPError, OSError) as error:
        raise ReleaseError(
            f"the cluster's API does not answer ({verb} {thing}): {error or type(error).__name__}",
            hint="what was live is untouched",
        ) from error
    except ConfigError as error:
        raise UsageError(f"no cluster to speak to: {error}", hint="does kubectl work here?") from error


def _explain(error: httpx2.HTTPStatusError, verb: str, what: str, thing: str, *, known: bool) -> SeatrialError:
    code, said = error.response.status_code, str(error) if known else ""
    if code == _FORBIDDEN:
        return ReleaseError(
            f"not allowed: {verb} {what}: {said}", hint=f"add the verb {verb} for {what} to the Role of who deploys"
        )
    if code == _UNAUTHORIZED:
        return ReleaseError(f"the cluster does not know who asks ({verb} {thing})", hint="does kubectl work here?")
    if code == _MISSING and known:
        return _AbsentError(f"{thing}: {said}")
    if code == _MISSING:
        project = "KServe" if "kserve" in what else "Knative" if "knative" in what else what
        return UsageError(f"{project} is not installed in this cluster: it has no {what}")
    if code == _CONFLICT:
        return ConflictError(f"{thing}: {said}", hint="somebody else decides on this as well")
    return ReleaseError(f"{thing}: the cluster refuses it ({code}): {said or error.response.text[:500]}")


def _list_conflicts(error: ConflictError) -> tuple[tuple[str, str], ...]:
    """The fields that another manager holds, by their paths, and who says so."""
    status = getattr(error.__cause__, "status", None)
    causes = status.details.causes if status is not None and status.details else None
    return tuple((cause.field or "", cause.message or "") for cause in causes or ())


def name_service(name: str, file: str) -> str:
    """What a model's object is called in a cluster; UsageError where it can't be called so.

    >>> name_service("flights.delay_2", "kserve.yaml")
    'flights-delay-2'
    """
    named = name.lower().replace("_", "-").replace(".", "-")
    if not _NAME.fullmatch(named):
        raise UsageError(f"{named!r} can't name an object in a cluster", hint=f"name it by `service` in {file}")
    return named


def mark(release: Release) -> dict[str, str]:
    """The annotations that tell which release an object is of."""
    return {VERSION: release.version, DIGEST: release.digest, COMMIT: release.commit}


def demand_ours(found: Document | None, what: str, file: str) -> None:
    """Raise BlockedError for an object that seatrial did not make."""
    if found and not MANAGED.items() <= (found["metadata"].get("labels") or {}).items():
        raise BlockedError(
            f"the {what} is there, and seatrial did not make it",
            hint=f"name another one by `service` in {file}, or take it away",
        )


def is_rolled_out(deployment: Document | None, digest: str) -> bool:
    """Whether every pod of a Deployment is a ready one of its newest template, and that template of a digest."""
    if deployment is None:
        return False
    status, spec, metadata = deployment.get("status") or {}, deployment["spec"], deployment["metadata"]
    marks = spec["template"].get("metadata", {}).get("annotations") or {}
    wanted = spec.get("replicas", 1)
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    fresh = status.get("observedGeneration", 0) >= metadata.get("generation", 1)
    return fresh and marks.get(DIGEST) == digest and wanted > 0 and counts == [wanted] * 3


def find_crash(cluster: Cluster, deployment: Document | None) -> str:
    """Why pods of a Deployment's newest template will not get ready on their own; empty where they may."""
    if deployment is None:
        return ""
    marks = deployment["spec"]["template"].get("metadata", {}).get("annotations") or {}
    for pod in cluster.list(PODS, deployment["spec"]["selector"].get("matchLabels") or {}):
        if (pod["metadata"].get("annotations") or {}).get(DIGEST) != marks.get(DIGEST):
            continue
        status = pod.get("status") or {}
        for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in _BACKING_OFF:
                ended = ((container.get("lastState") or {}).get("terminated") or {}).get("message", "")
                said = ended or waiting.get("message", "")
                return f"pod {pod['metadata']['name']}, container {container['name']}: {waiting['reason']}: {said}"
    return ""


def wait_until(ask: Callable[[], str], seconds: float, what: str) -> None:
    """Ask until there is nothing left to wait for; ReleaseError with what it said last where that takes too long."""
    end = time.monotonic() + seconds
    while waiting := ask():
        if time.monotonic() >= end:
            raise ReleaseError(f"{what} after {seconds:g} s: {waiting}", hint="`seconds` in the settings waits longer")
        time.sleep(min(_POLL, max(end - time.monotonic(), 0)))


@dataclass(kw_only=True)
class ClusterLock:
    """A Lease: who holds it deploys. A thread renews it, and it is lost `seconds` after its holder's last sign of life.

    `holder` names a store. Its own lock keeps a second process of the same store out, so that one that left the Lease
    behind is dead, and the next one of that store need not wait.
    """

    cluster: Cluster
    name: str
    holder: str
    seconds: int = 15
    held: Document = field(default_factory=dict, init=False)
    lost: str = field(default="", init=False)
    renewed: float = field(default=0.0, init=False)

    @contextmanager
    def hold(self, patience: float) -> Iterator[None]:
        """Hold it; BlockedError that names its holder where it is another's for `patience` seconds."""
        self._acquire(patience)
        done = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(done,), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()
            self._give_back()

    def check(self) -> None:
        """Raise ReleaseError where it was lost while it was held, or may have been as it could not be renewed."""
        if self.held and not self.lost and time.monotonic() - self.renewed >= self.seconds:
            self.lost = f"it was not renewed for {self.seconds} s"
        if self.lost:
            raise ReleaseError(f"the Lease {self.name} was lost: {self.lost}", hint="deploy again")

    def _acquire(self, patience: float) -> None:
        end, seen, since = time.monotonic() + patience, "", time.monotonic()
        while True:
            found = self.cluster.get(LEASES, self.name)
            version = found["metadata"]["resourceVersion"] if found else ""
            if version != seen:
                seen, since = version, time.monotonic()
            held = (found or {}).get("spec") or {}
            life = held.get("leaseDurationSeconds") or self.seconds
            if held.get("holderIdentity") in (None, "", self.holder) or time.monotonic() - since >= life:
                with suppress(ConflictError):  # somebody was faster: look again
                    self.renewed = time.monotonic()
                    self.held, self.lost = self._take(found), ""
                    return
            elif time.monotonic() >= end:
                raise BlockedError(
                    f"{held['holderIdentity']} has held the Lease {self.name} for {patience:g} s",
                    hint=f"wait until it is done; it is free {life} s after its last renewal ({held.get('renewTime')})",
                )
            time.sleep(min(0.2, max(end - time.monotonic(), 0.01)))

    def _take(self, found: Document | None) -> Document:
        now = _now()
        spec = {"holderIdentity": self.holder, "leaseDurationSeconds": self.seconds, "acquireTime": now}
        if found is None:
            return self.cluster.create(
                LEASES, {"metadata": {"name": self.name}, "spec": {**spec, "renewTime": now, "leaseTransitions": 0}}
            )
        turns = ((found.get("spec") or {}).get("leaseTransitions") or 0) + 1
        return self.cluster.replace(LEASES, {**found, "spec": {**spec, "renewTime": now, "leaseTransitions": turns}})

    def _renew(self, done: threading.Event) -> None:
        while not done.wait(self.seconds / 3):
            problem, now = None, time.monotonic()
            try:
                self.held = self.cluster.replace(LEASES, self._write({"renewTime": _now()}))
            except SeatrialError as error:
                problem = error
            if problem is None:
                self.renewed = now
            elif isinstance(problem, ConflictError) or time.monotonic() - self.renewed >= self.seconds:
                self.lost = problem.message
                return

    def _give_back(self) -> None:
        if not self.lost:
            with suppress(SeatrialError):  # it is free by itself soon
                self.cluster.replace(LEASES, self._write({"holderIdentity": ""}))
        self.held = {}

    def _write(self, change: Document) -> Document:
        return {**self.held, "spec": {**self.held["spec"], **change}}


def name_holder(location: str) -> str:
    """Who holds a Lease, by the store that it deploys from: an address, or a directory of one running system."""
    place = Path(location)
    if not place.exists():
        return location
    found = place.stat()
    boot = Path("/proc/sys/kernel/random/boot_id")
    system = boot.read_text().strip() if boot.exists() else ""
    return f"{os.uname().nodename}:{location} ({system[:8]}-{found.st_dev:x}-{found.st_ino:x})"


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
