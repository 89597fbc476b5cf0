"""The target `kserve`: one InferenceService of a cluster; versions, journal and log are in a store that it reads from.

    kserve.yaml at the place, or `settings` of the environment:

    template: isvc.yaml        your InferenceService: runtime, format, replicas, resources; the rest is set by seatrial
    storage: pvc://models/{name}/versions/{version}   where the cluster finds a version of the store
    service: flights-delay     its name; else the model's
    namespace: models          also `context` and `kubeconfig`, as kubectl takes them
    seconds: 600               after which a version that is not ready has failed

In Standard mode (KServe 0.20 and later) a version gets ready as an entry of `spec.canary` with no traffic, and one
apply makes it the predictor: its pods go on. In Knative mode it is the newest revision, with `canaryTrafficPercent` 0.

Neither the condition `Ready` nor `observedGeneration` of an InferenceService tells of its newest state (kserve#6081),
so what is asked is the Deployment, or Knative's Service, whose pods bear the digest of the version.
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
from seatrial.core.routing import Route
from seatrial.deploy.cluster import (
    DEPLOYMENTS,
    DIGEST,
    MANAGED,
    PREFIX,
    VERSION,
    Access,
    Cluster,
    ClusterLock,
    Document,
    Kind,
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

SETTINGS = "kserve.yaml"
SERVICES = Kind("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices")
REVISIONED = Kind("serving.knative.dev", "v1", "Service", "services")
MODE = "serving.kserve.io/deploymentMode"
_STANDARD, _KNATIVE = "Standard", ("Knative", "Serverless")
_ALL = 100
_HINT = "`template` names your InferenceService, `storage` where the cluster finds a version"
_ONLY_STABLE = ("maxReplicas", "scaleTarget", "scaleMetric", "scaleMetricType", "autoScaling", "canaryTrafficPercent")


class KServeSettings(Access, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`kserve.yaml`."""

    template: str
    storage: str = ""
    service: str = ""
    seconds: float = 600.0
    lease: int = 15


@dataclass(frozen=True, kw_only=True)
class KServeSwitch:
    """One InferenceService, whose versions the cluster reads from a store at `place`."""

    store: Store
    place: str
    given: Mapping[str, Any] | None = None

    @cached_property
    def settings(self) -> KServeSettings:
        """The settings; UsageError where they can't be used."""
        settings = read_settings(KServeSettings, self.place, SETTINGS, self.given, _HINT)
        if not settings.storage and not is_address(self.place):
            raise UsageError(f"{SETTINGS}: `storage` is missing: where does the cluster find {self.place}?", hint=_HINT)
        if settings.storage and "{version}" not in settings.storage:
            raise UsageError(f"{SETTINGS}: `storage` has no {{version}}: {settings.storage}", hint=_HINT)
        return settings

    @cached_property
    def service(self) -> str:
        """The InferenceService's name."""
        return name_service(self.settings.service or self.store.name, SETTINGS)

    @cached_property
    def template(self) -> Document:
        """The user's InferenceService; UsageError where it is none that versions can be put into."""
        import yaml

        path = Path(self.settings.template)
        path = path if is_address(self.place) else Path(self.place) / path
        try:
            found = yaml.safe_load(path.read_bytes())
            model, kind = found["spec"]["predictor"]["model"], found["kind"]
            mode = (found.get("metadata", {}).get("annotations") or {}).get(MODE, _STANDARD)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}", hint=_HINT) from error
        except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path}: not an InferenceService with spec.predictor.model: {error}") from error
        if kind != SERVICES.name or not isinstance(model, dict):
            raise UsageError(f"{path}: not an InferenceService with spec.predictor.model")
        if mode not in (_STANDARD, *_KNATIVE):
            raise UsageError(f"{path}: {MODE} is {mode}", hint="Standard and Knative can hold a version back")
        return dict(found)

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster that it is in."""
        return Cluster(access=self.settings)

    @cached_property
    def _lock(self) -> ClusterLock:
        name, holder = f"{self.service}.seatrial", name_holder(self.store.location)
        return ClusterLock(cluster=self.cluster, name=name, holder=holder, seconds=self.settings.lease)

    @property
    def _mode(self) -> str:
        return str((self.template.get("metadata", {}).get("annotations") or {}).get(MODE, _STANDARD))

    @contextmanager
    def lock(self, patience: float | None, held: object) -> Iterator[None]:
        """Hold the Lease of the InferenceService."""
        with self._lock.hold(30.0 if patience is None else patience):
            yield

    def ask(self) -> Live:
        """What the annotations say is live; a predictor of another version is a problem."""
        found = self.cluster.get(SERVICES, self.service)
        marks = _read_marks(found)
        version = marks.get(VERSION, "")
        if found is None or not version:
            return Live()
        live = Live(version=version, digest=marks.get(DIGEST, ""))
        predictor = _choose_live(found)
        address = predictor.get("model", {}).get("storageUri", "") if predictor else ""
        if predictor is not None and address != self._locate(version):
            problem = f"the InferenceService {self.service} says version {version}, and reads {address or 'no model'}"
            return Live(version=version, digest=live.digest, problem=problem)
        return live

    def bring_up(self, release: Release) -> None:
        """Let a version get ready without traffic; the first one of all is the predictor, and not yet called live."""
        found = self.cluster.get(SERVICES, self.service)
        self._demand_ours(found)
        live = self._read_live(found)
        if live is not None and live.version == release.version:
            return
        if release.version in _list_versions(found):  # staged already, perhaps with a share of the requests
            self._wait_for(release)
            return
        answered = self._apply(live, release)
        if live is not None and self._mode == _STANDARD and not answered["spec"].get("canary"):
            raise ReleaseError(
                "the KServe of this cluster has no spec.canary, so nothing can get ready there without traffic",
                hint=f"update KServe to 0.20, or choose the mode Knative by the annotation {MODE}",
            )
        self._wait_for(release)

    def turn_to(self, release: Release) -> None:
        """One apply makes a version the predictor and calls it live."""
        self.bring_up(release)
        self._apply(release, None)
        self._wait_for(release)

    def turn_off(self) -> None:
        """Take the InferenceService away."""
        self._demand_ours(self.cluster.get(SERVICES, self.service))
        self._lock.check()
        self.cluster.delete(SERVICES, self.service)
        wait_until(
            lambda: "its finalizers run" if self.cluster.get(SERVICES, self.service) else "",
            self.settings.seconds,
            f"the InferenceService {self.service} is not gone",
        )

    def take_down(self, version: str) -> None:
        """Leave the live version alone; where none is live, take the InferenceService away."""
        found = self.cluster.get(SERVICES, self.service)
        if version not in _list_versions(found):
            return
        live = self._read_live(found)
        if live is None:
            self.turn_off()
        else:
            self._put_back(live)

    def share(self, route: Route) -> None:
        """Give one other version a share, in whole percents; or take it from the one that has it."""
        shares = {version: weight for version, weight in route.weights.items() if weight}
        if route.shadow or len(shares) > 1 or any(weight != int(weight) for weight in shares.values()):
            raise ReleaseError("KServe gives one version whole percents of the requests, and has no shadow")
        found = self.cluster.get(SERVICES, self.service)
        live, now = self._read_live(found), self.read_route().weights
        if not shares and not now:
            return
        if live is None:
            raise ReleaseError("nothing is live, so there are no requests to share")
        version, weight = next(iter((shares or dict.fromkeys(now, 0)).items()))
        release = self.store.read_release(version)
        self.bring_up(release)
        self._apply(live, release, share=int(weight))
        self._wait_for(release)

    def read_route(self) -> Route:
        """The share of the version that is brought up, empty where it has none."""
        found = self.cluster.get(SERVICES, self.service)
        if found is None:
            return Route()
        predictor = found["spec"]["predictor"]
        shares = [(predictor, predictor.get("canaryTrafficPercent", _ALL))] if self._mode in _KNATIVE else []
        shares += [(each["predictor"], each["trafficPercent"]) for each in found["spec"].get("canary") or ()]
        marks = [((each.get("annotations") or {}).get(VERSION, ""), share) for each, share in shares]
        return Route(weights={version: float(share) for version, share in marks if 0 < share < _ALL and version})

    def _put_back(self, live: Release) -> None:
        """The live version alone; a new revision of it gets ready first where revisions share the requests."""
        if self._mode in _KNATIVE:
            self._apply(live, live)
            self._wait_for(live)
        self._apply(live, None)
        self._wait_for(live)

    def _read_live(self, found: Document | None) -> Release | None:
        version = _read_marks(found).get(VERSION, "")
        return self.store.read_release(version) if version else None

    def _demand_ours(self, found: Document | None) -> None:
        demand_ours(found, f"InferenceService {self.service}", SETTINGS)

    def _apply(self, live: Release | None, candidate: Release | None, *, share: int = 0) -> Document:
        """Apply the whole InferenceService: what is live, and what gets ready beside it or has a share."""
        self._lock.check()
        body = deepcopy(self.template)
        metadata = body.get("metadata") or {}
        marks = {MODE: _STANDARD, **(metadata.get("annotations") or {}), **(mark(live) if live else {})}
        labels = {**(metadata.get("labels") or {}), **MANAGED}
        body["metadata"] = {"name": self.service, "annotations": marks, "labels": labels}
        predictor = body["spec"].pop("predictor")
        newest = candidate or live
        if self._mode in _KNATIVE:
            body["spec"]["predictor"] = self._fill(predictor, newest)
            if live and candidate:
                body["spec"]["predictor"]["canaryTrafficPercent"] = share
        else:
            body["spec"]["predictor"] = self._fill(predictor, live or candidate)
            if live and candidate:
                canary = {key: value for key, value in predictor.items() if key not in _ONLY_STABLE}
                canary = {**self._fill(canary, candidate), "minReplicas": 1}
                body["spec"]["canary"] = [{"predictor": canary, "trafficPercent": share}]
        return self.cluster.apply(SERVICES, body, _is_ours)

    def _fill(self, template: Document, release: Release | None) -> Document:
        """A predictor for a version; its pods bear the version and its digest."""
        predictor = deepcopy(template)
        if release is None:
            return predictor
        # KServe 0.20's definition wants a canary's container named; this is the name that it gives to all of them.
        predictor["model"] = {"name": "kserve-container", **predictor["model"]}
        predictor["model"]["storageUri"] = self._locate(release.version)
        predictor["annotations"] = {**(predictor.get("annotations") or {}), **mark(release)}
        predictor["labels"] = {**(predictor.get("labels") or {}), VERSION: release.version}
        if self._mode == _STANDARD:
            predictor["name"] = f"v{release.version}"
        return predictor

    def _locate(self, version: str) -> str:
        pattern = self.settings.storage or f"{self.place.rstrip('/')}/{{name}}/versions/{{version}}"
        return pattern.replace("{name}", self.store.name).replace("{version}", version)

    def _wait_for(self, release: Release) -> None:
        ask = self._ask_standard if self._mode == _STANDARD else self._ask_knative
        what = f"version {release.version} of the InferenceService {self.service} is not ready"
        wait_until(lambda: ask(release), self.settings.seconds, what)

    def _ask_standard(self, release: Release) -> str:
        """What the Deployment of a version still waits for; ReleaseError where its pods won't get ready."""
        name = f"{self.service}-v{release.version}-predictor"
        found = self.cluster.get(DEPLOYMENTS, name)
        if is_rolled_out(found, release.digest):
            return self._explain_failure(release)
        if crash := find_crash(self.cluster, found):
            raise ReleaseError(crash)
        return self._explain_failure(release) or f"the Deployment {name} is " + (
            "rolling out" if found else "not there"
        )

    def _ask_knative(self, release: Release) -> str:
        """What Knative's Service still waits for; ReleaseError where the newest revision failed."""
        name = f"{self.service}-predictor"
        found = self.cluster.get(REVISIONED, name)
        if found is None:
            return f"Knative's Service {name} is not there"
        status, metadata = found.get("status") or {}, found["metadata"]
        marks = found["spec"]["template"]["metadata"].get("annotations") or {}
        if marks.get(DIGEST) != release.digest or status.get("observedGeneration") != metadata.get("generation"):
            return f"Knative's Service {name} is not of this version yet"
        failed = [each for each in status.get("conditions") or () if each.get("status") == "False"]
        if failed:
            raise ReleaseError(f"Knative's Service {name}: {failed[0].get('reason')}: {failed[0].get('message')}")
        newest = status.get("latestCreatedRevisionName")
        return "" if newest and newest == status.get("latestReadyRevisionName") else f"revision {newest} is starting"

    def _explain_failure(self, release: Release) -> str:
        """What the InferenceService's own status says against it; a spec that it refuses is told at once."""
        found = self.cluster.get(SERVICES, self.service) or {}
        status = found.get("status") or {}
        condition: Document = next((each for each in status.get("conditions") or () if each["type"] == "Ready"), {})
        failure = (status.get("modelStatus") or {}).get("lastFailureInfo") or {}
        if (status.get("modelStatus") or {}).get("transitionStatus") == "InvalidSpec":
            raise ReleaseError(f"KServe refuses it: {failure.get('reason')}: {failure.get('message')}")
        canaries = {each["name"]: each for each in status.get("canaryStatuses") or ()}
        wanted = {each["predictor"]["name"] for each in (found.get("spec") or {}).get("canary") or ()}
        if (name := f"v{release.version}") in wanted:
            return "" if canaries.get(name, {}).get("ready") else f"KServe does not call the canary {name} ready"
        said = condition.get("message") or condition.get("reason") or "nothing"
        return "" if condition.get("status") == "True" else f"KServe says {said}"


def _read_marks(found: Document | None) -> Mapping[str, str]:
    return (found["metadata"].get("annotations") or {}) if found else {}


def _choose_live(found: Document) -> Document | None:
    """The predictor that answers; None where it is a revision that the InferenceService no longer describes."""
    predictor: Document = found["spec"]["predictor"]
    return None if predictor.get("canaryTrafficPercent", _ALL) < _ALL else predictor


def _list_versions(found: Document | None) -> set[str]:
    """The versions that are up, by what their pods bear."""
    if found is None:
        return set()
    predictors = [found["spec"]["predictor"], *(each["predictor"] for each in found["spec"].get("canary") or ())]
    return {(each.get("annotations") or {}).get(VERSION, "") for each in predictors}


def _is_ours(path: str) -> bool:
    """Whether seatrial alone decides on a field, whoever else wrote it.

    >>> _is_ours(".spec.predictor.model.storageUri"), _is_ours(".spec.predictor.minReplicas")
    (True, False)
    """
    ours = (".storageUri", ".predictor.name", ".canaryTrafficPercent", ".spec.canary")
    return path.endswith(ours) or path.startswith(".spec.canary") or PREFIX in path
