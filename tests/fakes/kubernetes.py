"""A small Kubernetes API with the controllers of Deployments, KServe and Knative, as far as a deployer sees them.

It keeps objects, gives each write a resourceVersion, refuses a stale one with 409, applies server-side with an owner
for each field, and judges whatever results by the published schemas: of Kubernetes by `kubernetes-validate`, of an
InferenceService by KServe's own definition (`tests/contracts`), and by the rules of KServe's webhook.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import yaml

Document = dict[str, Any]
CONTRACT = Path(__file__).parents[1] / "contracts/kserve-inferenceservice-subset.json"
VERSION = "seatrial.github.io/version"
# What each renewal of a Lease changes, where it is well-formed: the rest is judged once.
_CHANGING = re.compile(r'"\d{4}-\d\d-\d\dT[\d:.]+Z"|(?<="leaseTransitions": )\d+')
_PATH = re.compile(
    r"/apis?/(?:(?P<group>[^/]+\.[^/]+|apps)/)?v[^/]+/namespaces/(?P<ns>[^/]+)/(?P<plural>[^/]+)(/(?P<name>.+))?"
)
_ISVC = "inferenceservices"


class RefusedError(Exception):
    """A request that the API says no to."""

    def __init__(self, code: int, reason: str, message: str, causes: tuple[Document, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.status: Document = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "metadata": {},
            "code": code,
        }
        self.status |= {"reason": reason, "message": message, "details": {"causes": list(causes)}}


class Cluster:
    """The state of a cluster. `fates` says what becomes of pods of a version: never, crash; else they get ready."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Document] = {}
        self.applied: dict[tuple[str, str, str], dict[str, Document]] = {}
        self.fates: dict[str, str] = {}
        self.absent: set[str] = set()
        self.forbidden: set[tuple[str, str]] = set()
        self.canaries = True
        self.asked: set[tuple[str, str]] = set()
        self.writes: list[tuple[str, str, str]] = []
        self._counter = 0
        self._judged: set[str] = set()
        self._lock = threading.RLock()
        self._schema = _close(json.loads(CONTRACT.read_text(encoding="utf-8")))

    def answer(self, verb: str, key: tuple[str, str, str], query: Document, body: Document | None) -> Document:
        """Carry a request out, one after the other."""
        with self._lock:
            plural, _, name = key
            self.asked |= {(verb, plural), ("create", plural)} if verb == "patch" else {(verb, plural)}
            if (verb, plural) in self.forbidden:
                said = f'{plural} is forbidden: User "ci" cannot {verb} resource "{plural}"'
                raise RefusedError(403, "Forbidden", said)
            if verb == "list":
                return self._list(key, query)
            if verb == "create":
                assert body is not None
                key = (plural, key[1], str(body["metadata"]["name"]))
                if key in self.objects:
                    raise RefusedError(409, "AlreadyExists", f'{plural} "{key[2]}" already exists')
                return self._store(key, body)
            if verb == "patch":
                assert body is not None
                return self._apply(key, body, str(query["fieldManager"]), force=query.get("force") == "true")
            if key not in self.objects:
                raise RefusedError(404, "NotFound", f'{plural} "{name}" not found')
            if verb == "delete":
                return self._delete(key)
            if verb == "update":
                assert body is not None
                if body["metadata"].get("resourceVersion") != self.objects[key]["metadata"]["resourceVersion"]:
                    raise RefusedError(409, "Conflict", f'"{name}": the object has been modified')
                return self._store(key, body)
            return self.objects[key]

    def _list(self, key: tuple[str, str, str], query: Document) -> Document:
        wanted = dict(each.split("=") for each in query.get("labelSelector", "").split(",") if each)
        items = [
            each
            for (plural, namespace, _), each in self.objects.items()
            if (plural, namespace) == key[:2] and wanted.items() <= (each["metadata"].get("labels") or {}).items()
        ]
        return {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": str(self._counter)}, "items": items}

    def _apply(self, key: tuple[str, str, str], body: Document, manager: str, *, force: bool) -> Document:
        old, owned = self.objects.get(key, {}), self.applied.setdefault(key, {})
        sent = _flatten(body)
        held = {
            path: other
            for other, fields in owned.items()
            if other != manager
            for path, value in _flatten(fields).items()
            if path in sent and sent[path] != value
        }
        if held and not force:
            causes = tuple(
                {"reason": "FieldManagerConflict", "field": path, "message": f'conflict with "{other}"'}
                for path, other in held.items()
            )
            raise RefusedError(409, "Conflict", f"Apply failed with {len(causes)} conflict", causes)
        new = deepcopy(old)
        for path in _flatten(owned.get(manager, {})).keys() - sent.keys():
            _remove(new, path)
        new = _merge(new, body)
        stored = self._store(key, new)
        owned[manager] = deepcopy(body)
        return stored

    def _store(self, key: tuple[str, str, str], body: Document) -> Document:
        new, old = deepcopy(body), self.objects.get(key)
        new["metadata"].pop("managedFields", None)
        if key[0] == _ISVC and not self.canaries:
            new["spec"].pop("canary", None)
        self._judge(key, new, old)
        if old and _without_counters(old) == _without_counters(new):
            return old
        self._counter += 1
        generation = (old or {}).get("metadata", {}).get("generation", 0) + (not old or old["spec"] != new["spec"])
        new["metadata"] |= {"resourceVersion": str(self._counter), "generation": generation, "namespace": key[1]}
        self.objects[key] = new
        self.writes.append(key)
        self._control(key, new)
        return self.objects[key]

    def _judge(self, key: tuple[str, str, str], new: Document, old: Document | None) -> None:
        judged = _without_counters(new)
        if key[0] == _ISVC:
            _judge_service(new, old)
        text = _CHANGING.sub("", json.dumps(judged, sort_keys=True))
        if text in self._judged:
            return
        try:
            if key[0] == _ISVC:
                jsonschema.validate(judged, self._schema)
            else:
                kubernetes_validate.validate(judged, "1.37", strict=True)
        except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
            raise RefusedError(422, "Invalid", f'{key[0]} "{key[2]}" is invalid: {error.message}') from error
        self._judged.add(text)

    def _delete(self, key: tuple[str, str, str]) -> Document:
        del self.objects[key]
        self.applied.pop(key, None)
        self.writes.append(key)
        if key[0] == _ISVC:
            self._keep_children(key, set())
        return {"kind": "Status", "apiVersion": "v1", "status": "Success", "metadata": {}}

    def _control(self, key: tuple[str, str, str], new: Document) -> None:
        if key[0] == _ISVC:
            mode = new["metadata"].get("annotations", {}).get("serving.kserve.io/deploymentMode", "Standard")
            (self._run_standard if mode == "Standard" else self._run_knative)(key, new)
        elif key[0] == "deployments":
            self._roll_out(key, new)

    def _run_standard(self, key: tuple[str, str, str], service: Document) -> None:
        """KServe's controller: a Deployment for each predictor; those that are named no longer are taken away."""
        stable, canaries = service["spec"]["predictor"], service["spec"].get("canary") or []
        names, ready = set(), {}
        for predictor in (stable, *(each["predictor"] for each in canaries)):
            name = "-".join(filter(None, (key[2], predictor.get("name"), "predictor")))
            names.add(name)
            child = self._store(("deployments", key[1], name), _make_deployment(key[2], name, predictor))
            ready[predictor.get("name")] = child["status"]["availableReplicas"] > 0
        self._keep_children(key, names)
        service["status"] = {
            "observedGeneration": 1,  # of a child: kserve#6081
            "conditions": [{"type": "Ready", "status": "True" if ready[stable.get("name")] else "False"}],
            "canaryStatuses": [
                {"name": name, "ready": ready[name], "trafficPercent": each["trafficPercent"]}
                for each in canaries
                for name in [each["predictor"]["name"]]
            ],
        }

    def _keep_children(self, owner: tuple[str, str, str], names: set[str]) -> None:
        gone = [
            key
            for key, each in self.objects.items()
            if key[:2] == ("deployments", owner[1])
            and (each["metadata"].get("labels") or {}).get("serving.kserve.io/inferenceservice") == owner[2]
            and key[2] not in names
        ]
        for key in (*gone, ("ksvc", owner[1], f"{owner[2]}-predictor")):
            if key in self.objects and key[2] not in names:
                del self.objects[key]
                self.objects.pop(("pods", key[1], f"{key[2]}-0"), None)

    def _run_knative(self, key: tuple[str, str, str], service: Document) -> None:
        """KServe's and Knative's controllers: each change makes a revision, with the share that is left to it."""
        predictor = service["spec"]["predictor"]
        name = f"{key[2]}-predictor"
        old = self.objects.get(("ksvc", key[1], name))
        template = {
            "metadata": {"annotations": predictor.get("annotations", {})},
            "spec": {"model": predictor["model"]},
        }
        number = (old["status"]["number"] if old else 0) + (not old or old["spec"]["template"] != template)
        failed = self.fates.get(template["metadata"]["annotations"].get(VERSION, "")) == "crash"
        newest = f"{name}-{number:05}"
        ready = (old or {}).get("status", {}).get("latestReadyRevisionName") if failed else newest
        share = predictor.get("canaryTrafficPercent", 100)
        rolled = newest if share == 100 and not failed else (old or {}).get("status", {}).get("rolled", newest)
        condition = {
            "type": "Ready",
            "status": "False" if failed else "True",
            "reason": "RevisionFailed",
            "message": "exit 1",
        }
        generation = (old["metadata"]["generation"] if old else 0) + 1
        self.objects["ksvc", key[1], name] = {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": key[1], "generation": generation, "resourceVersion": "1"},
            "spec": {"template": template},
            "status": {
                "observedGeneration": generation,
                "number": number,
                "rolled": rolled,
                "conditions": [condition],
                "latestCreatedRevisionName": newest,
                "latestReadyRevisionName": ready,
            },
        }
        service["status"] = {"conditions": [{"type": "Ready", "status": condition["status"]}]}

    def _roll_out(self, key: tuple[str, str, str], deployment: Document) -> None:
        wanted, template = deployment["spec"].get("replicas", 1), deployment["spec"]["template"]
        fate = self.fates.get(template["metadata"].get("annotations", {}).get(VERSION, ""))
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": wanted,
            "updatedReplicas": wanted,
            "availableReplicas": 0 if fate else wanted,
        }
        pod = ("pods", key[1], f"{key[2]}-0")
        self.objects.pop(pod, None)
        if fate == "crash":
            waiting = {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}
            self.objects[pod] = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": pod[2], **template["metadata"]},
                "status": {"containerStatuses": [{"name": "kserve-container", "state": {"waiting": waiting}}]},
            }


def _judge_service(new: Document, old: Document | None) -> None:
    """The rules of KServe's webhook that concern canaries."""
    spec, stable = new["spec"], new["spec"]["predictor"]
    for canary in spec.get("canary") or ():
        predictor = canary["predictor"]
        if new["metadata"].get("annotations", {}).get("serving.kserve.io/deploymentMode") != "Standard":
            raise RefusedError(400, "BadRequest", "canary is only supported in Standard deployment mode")
        if not predictor.get("name") or predictor["name"] == stable.get("name"):
            raise RefusedError(400, "BadRequest", "canary predictor.name is missing, or the stable predictor's")
        if {"maxReplicas", "scaleTarget", "scaleMetric"} & predictor.keys():
            raise RefusedError(400, "BadRequest", "canary must not scale (canary uses fixed replicas)")
        if predictor.get("minReplicas", 1) > stable.get("minReplicas", 1):
            raise RefusedError(400, "BadRequest", "canary minReplicas must not exceed stable predictor minReplicas")
    before = (old or new)["spec"]["predictor"]
    if before.get("name") != stable.get("name") and before["model"] == stable["model"]:
        raise RefusedError(400, "BadRequest", "predictor.name change requires a model change (e.g. storageUri)")


def _make_deployment(service: str, name: str, predictor: Document) -> Document:
    labels = {"app": f"isvc.{name}", "serving.kserve.io/inferenceservice": service}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": predictor.get("minReplicas", 1),
            "selector": {"matchLabels": {"app": labels["app"]}},
            "template": {
                "metadata": {
                    "labels": {**labels, **predictor.get("labels", {})},
                    "annotations": dict(predictor.get("annotations", {})),
                },
                "spec": {"containers": [{"name": "kserve-container", "image": "runtime"}]},
            },
        },
    }


def _close(schema: Any) -> Any:
    """The schema with no other properties than it names, as a strict API takes it."""
    if isinstance(schema, list):
        return [_close(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _close(value) for name, value in schema.items()}
    if "properties" in schema and isinstance(schema["properties"], dict) and "type" in schema:
        closed.setdefault("additionalProperties", False)
    return closed


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves by their paths; a list is one leaf."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    leaves: dict[str, Any] = {}
    for name, each in value.items():
        if not (path == "" and name in ("apiVersion", "kind")) and f"{path}.{name}" not in _IDENTITY:
            leaves |= _flatten(each, f"{path}.{name}")
    return leaves


_IDENTITY = (".metadata.name", ".metadata.namespace")


def _remove(document: Document, path: str) -> None:
    """Take a leaf away; a name may hold dots, so the longest prefix that is a key is followed."""
    rest = path[1:]
    for name in sorted(document, key=len, reverse=True):
        if rest == name:
            del document[name]
            return
        if rest.startswith(f"{name}.") and isinstance(document[name], dict):
            _remove(document[name], rest[len(name) :])
            return


def _merge(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return deepcopy(new)
    return {**old, **{name: _merge(old.get(name), value) for name, value in new.items()}}


def _without_counters(document: Document) -> Document:
    metadata = {
        name: value
        for name, value in document["metadata"].items()
        if name not in ("resourceVersion", "generation", "namespace")
    }
    return {name: value for name, value in {**document, "metadata": metadata}.items() if name != "status"}


_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def _make_handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _handle(self) -> None:
            split = urlsplit(self.path)
            found = _PATH.fullmatch(unquote(split.path))
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if found is None or found["plural"] in cluster.absent:
                self._send(404, b"404 page not found\n", "text/plain; charset=utf-8")
                return
            query = {name: values[0] for name, values in parse_qs(split.query).items()}
            verb = _VERBS.get(self.command) or ("get" if found["name"] else "list")
            plural = "ksvc" if found["group"] == "serving.knative.dev" else found["plural"]
            key = (plural, found["ns"], found["name"] or "")
            try:
                answered, code = cluster.answer(verb, key, query, json.loads(raw) if raw else None), 200
            except RefusedError as error:
                answered, code = error.status, error.code
            self._send(code, json.dumps(answered).encode(), "application/json")

        def _send(self, code: int, content: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - the names that the server calls

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler


@contextmanager
def serve(cluster: Cluster, kubeconfig: Path) -> Iterator[Cluster]:
    """Serve a cluster on loopback; `kubeconfig` is written for who wants to speak to it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(cluster))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "current-context": "test",
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "ci", "namespace": "models"}}],
                "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
                "users": [{"name": "ci", "user": {"token": "token-of-the-stand-in"}}],
            }
        )
    )
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
