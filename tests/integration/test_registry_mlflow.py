"""What is live, in the model registry of a real MLflow server, and in one that answers as GitLab's does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from seatrial.commands.registering import announce
from seatrial.core.deployment import DeploymentRecord, Kind
from seatrial.core.registry import MlflowSettings, RegistryReport
from seatrial.deploy.local import LocalTarget
from tests.integration.logs import digest_of, open_log, place, record
from tests.integration.ports import find_port

SHA = "5601846a" * 5
LONG = 60


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server with a database of its own."""
    home, address = tmp_path_factory.mktemp("mlflow"), f"http://127.0.0.1:{find_port()}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", address.rpartition(":")[2]]
    command += ["--workers", "1", "--backend-store-uri", "sqlite:///registry.db", "--artifacts-destination", "files"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home, env={**os.environ, **quiet}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(f"{address}/health", process, home / "log")
        yield address
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until a server answers; what it complained of, where it does not."""
    end = time.monotonic() + LONG
    while time.monotonic() < end and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(address).status_code == httpx.codes.OK:
                return
        time.sleep(0.1)
    pytest.fail(log.read_text(errors="replace"))


def ask(address: str, path: str, **query: str) -> Any:
    """A question to the registry."""
    answer = httpx.get(f"{address}/api/2.0/mlflow/{path}", params=query)
    return answer.raise_for_status().json()


def deploy(target: LocalTarget, version: str, *, kind: Kind = Kind.DEPLOY) -> DeploymentRecord:
    """A line of the log that makes a version live."""
    line = record(version, SHA, name=target.name, kind=kind)
    target.record(line)
    return line


def mirror(
    target: LocalTarget, address: str, *, alias: str = "production", environ: Mapping[str, str] | None = None
) -> RegistryReport:
    """What `deploy`, `rollback` and `status` do at their end."""
    environment = place(target.root, MlflowSettings(uri=address, alias=alias), name=alias)
    (report,) = announce(environment, target, target.name, directory=target.root, environ=environ or {})
    return report


@pytest.fixture
def target(tmp_path: Path, request: pytest.FixtureRequest) -> LocalTarget:
    """What was deployed of a model that no other test has."""
    return open_log(tmp_path / "models", name=request.node.originalname)


@pytest.mark.slow
def test_alias_follows_deployments_and_a_rollback(mlflow: str, target: LocalTarget) -> None:
    """Each digest is one version with its facts; the alias of the environment names the one that is live."""
    name = target.name
    deploy(target, "1")
    first = mirror(target, mlflow, environ={"GITLAB_CI": "true"})  # variables that make no whole job are no hindrance
    assert (first.problem, first.changes) == (
        "",
        ("new model", "new version 1", "alias production is version 1"),
    )
    deploy(target, "2")
    assert mirror(target, mlflow).changes == ("new version 2", "alias production is version 2")
    told = ask(mlflow, "registered-models/alias", name=name, alias="production")["model_version"]
    assert {tag["key"]: tag["value"] for tag in told["tags"]}.items() >= {
        ("seatrial.digest", digest_of("2")),
        ("seatrial.commit", SHA),
        ("seatrial.verdict", "passed"),
        ("seatrial.release", "2"),
    }
    assert told["source"] == f"seatrial://{target.home}/versions/2"
    deploy(target, "1", kind=Kind.ROLLBACK)
    assert mirror(target, mlflow).changes == ("alias production is version 1",)
    assert ask(mlflow, "registered-models/get", name=name)["registered_model"]["aliases"] == [
        {"alias": "production", "version": "1"}
    ]
    assert mirror(target, mlflow).changes == ()


@pytest.mark.slow
def test_same_bytes_in_two_environments_are_one_version(mlflow: str, target: LocalTarget, tmp_path: Path) -> None:
    """Each environment has its alias, and what staging registered is found again by its digest."""
    name, production = target.name, open_log(tmp_path / "production", name=target.name)
    for version in ("1", "2"):
        deploy(target, version)
        mirror(target, mlflow, alias="staging")
    deploy(production, "1")
    assert mirror(production, mlflow).changes == ("alias production is version 1",)
    aliases = ask(mlflow, "registered-models/get", name=name)["registered_model"]["aliases"]
    assert {each["alias"]: each["version"] for each in aliases} == {"staging": "2", "production": "1"}


@pytest.mark.slow
def test_server_that_refuses_is_told_in_its_words(mlflow: str, target: LocalTarget) -> None:
    """What MLflow objects to stands in the report, and nothing is raised."""
    deploy(target, "1")
    report = mirror(target, mlflow, alias="a" * 256)
    assert report.changes == ()
    assert report.problem.startswith("registered-models/alias is answered with 400: ")


def test_server_that_is_away_is_told(target: LocalTarget) -> None:
    """Nobody listens there: one line, and the deployment stays what it is."""
    deploy(target, "1")
    address = f"http://127.0.0.1:{find_port()}"
    assert mirror(target, address) == RegistryReport(
        registry=f"mlflow ({address})",
        model=target.name,
        problem="the server does not answer: ConnectionError (is it running?)",
    )


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({}, "no address is named"),
        ({"MLFLOW_TRACKING_URI": "http://user:secret@127.0.0.1"}, "the address must hold no password"),
        ({"MLFLOW_TRACKING_URI": "databricks"}, "the address must be the address of a server"),
        (
            {"MLFLOW_TRACKING_URI": "http://127.0.0.1", "MLFLOW_TRACKING_TOKEN": "a\nb"},
            "MLFLOW_TRACKING_TOKEN holds no",
        ),
    ],
)
def test_variables_that_lead_nowhere_are_told(target: LocalTarget, environ: dict[str, str], problem: str) -> None:
    """The variables of MLflow's client are held to what can be an address and a token; neither is repeated."""
    deploy(target, "1")
    report = mirror(target, "", environ=environ)
    assert report.problem.startswith(problem)
    assert "secret" not in report.problem
    assert "a\nb" not in report.problem


class GitLab:
    """A project's model registry, as GitLab's `lib/api/ml/mlflow` answers: 201 for what it makes, no alias to set."""

    def __init__(self, token: str) -> None:
        self.authorization = f"Bearer {token}"
        self.models: dict[str, list[dict[str, Any]]] = {}
        self.experiments: set[str] = set()
        self.moved_to = ""
        self.seen: list[str] = []

    def answer(self, method: str, path: str, said: dict[str, Any], authorization: str) -> tuple[int, object]:
        """Status and body."""
        self.seen.append(f"{method} {path}")
        if self.moved_to:
            return 302, {}
        if authorization != self.authorization:
            return 401, {"message": "401 Unauthorized"}
        name = said.get("name", "")
        if (method, path) == ("GET", "registered-models/get"):
            if name not in self.models:
                return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}
            return 200, {"registered_model": {"name": name, "latest_versions": self.models[name]}}
        if (method, path) == ("POST", "registered-models/create"):
            if name in self.models or name in self.experiments:
                return 400, {"error_code": "RESOURCE_ALREADY_EXISTS"}
            self.models[name] = []
            return 201, {"registered_model": {"name": name, "latest_versions": []}}
        if (method, path) == ("POST", "model-versions/create"):
            return self._create(said)
        return 404, {"error": "404 Not Found"}

    def _create(self, said: dict[str, Any]) -> tuple[int, object]:
        number = next(tag["value"] for tag in said["tags"] if tag["key"] == "gitlab.version")
        versions = self.models[said["name"]]
        if any(number in each["aliases"] for each in versions):
            return 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Version has already been taken"}
        # GitLab calls a version by its id, and passes its number off as an alias.
        made = {"name": said["name"], "version": str(900 + len(versions)), "aliases": [number], "tags": said["tags"]}
        versions.append(made)
        return 201, {"model_version": made}


PREFIX = "/api/v4/projects/7/ml/mlflow"


@contextmanager
def listening(gitlab: GitLab) -> Iterator[str]:
    """The registry at an address of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self._answer("GET", parts.path, dict(parse_qsl(parts.query)))

        def do_POST(self) -> None:
            self._answer("POST", self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, method: str, path: str, said: dict[str, Any]) -> None:
            asked = path.removeprefix(f"{PREFIX}/api/2.0/mlflow/")
            status, body = gitlab.answer(method, asked, said, self.headers.get("Authorization", ""))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if gitlab.moved_to:
                self.send_header("Location", gitlab.moved_to)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_gitlab_gets_semantic_versions_and_no_alias(target: LocalTarget) -> None:
    """A digest is a version 0.0.N there, once; that GitLab can't say which one is live is told."""
    gitlab, name = GitLab("glpat-1"), target.name
    with listening(gitlab) as address:
        environ = {"MLFLOW_TRACKING_URI": address, "MLFLOW_TRACKING_TOKEN": "glpat-1"}
        deploy(target, "1")
        report = mirror(target, "", environ=environ)
        assert report.changes == ("new model", "new version 0.0.1")
        assert report.notes == ("GitLab has no aliases: it can't say which version is live",)
        deploy(target, "2")
        assert mirror(target, "", environ=environ).changes == ("new version 0.0.2",)
        deploy(target, "1", kind=Kind.ROLLBACK)
        assert mirror(target, "", environ=environ).changes == ()
    assert [each["aliases"] for each in gitlab.models[name]] == [["0.0.1"], ["0.0.2"]]
    assert not [asked for asked in gitlab.seen if "alias" in asked or "search" in asked]


def test_name_that_gitlab_keeps_for_an_experiment_is_told(target: LocalTarget) -> None:
    """GitLab says of it that the model exists, and then does not have it."""
    deploy(target, "1")
    gitlab = GitLab("glpat-1")
    gitlab.experiments.add(target.name)
    with listening(gitlab) as address:
        report = mirror(target, address, environ={"MLFLOW_TRACKING_TOKEN": "glpat-1"})
    assert report.problem == f"it takes no model named '{target.name}' (is there an experiment of this name?)"


def test_redirect_is_not_followed(target: LocalTarget) -> None:
    """It would take the token to wherever it points."""
    deploy(target, "1")
    moved, elsewhere = GitLab("glpat-1"), GitLab("glpat-1")
    with listening(moved) as address, listening(elsewhere) as moved.moved_to:
        report = mirror(target, address, environ={"MLFLOW_TRACKING_TOKEN": "glpat-1"})
    assert report.problem == "registered-models/get is answered with 302: Found"
    assert (len(moved.seen), elsewhere.seen) == (1, [])


def test_wrong_token_is_told_and_not_repeated(target: LocalTarget) -> None:
    """GitLab's word for it, and what to look at."""
    deploy(target, "1")
    with listening(GitLab("glpat-1")) as address:
        report = mirror(target, address, environ={"MLFLOW_TRACKING_TOKEN": "glpat-wrong"})
    assert report.problem.endswith("401: 401 Unauthorized (is the token right, and may it write?)")
    assert "glpat" not in report.problem
