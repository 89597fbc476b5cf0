"""The files of `seatrial monitor render` in the programs that they are for, on a real server's `/metrics`."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
import yaml

from seatrial.commands.monitor import write_monitoring
from seatrial.core.monitoring import Limits, parse_duration, raise_alerts
from tests.integration.ports import find_port
from tests.integration.releases import write_releases, write_route
from tests.integration.test_serve import ask, serving

T = TypeVar("T")
QUICK = Limits(
    window=parse_duration("6s"),
    prediction_window=parse_duration("10s"),
    hold=parse_duration("1s"),
    digests_hold=parse_duration("1s"),
    shift=0.5,
    min_requests=5,
)
STRICT = Limits(
    models=("a.b", "c"),
    window=parse_duration("1h"),
    hold=parse_duration("0s"),
    errors=0.001,
    worse_errors=0.5,
    p95=9.5,
    slower=3,
    shift=0.9,
    min_requests=1,
)
LENIENT = Limits(hold=parse_duration("3h"), errors=0.9, worse_errors=0.0001, slower=1.01, min_requests=1_000_000)


def run(*command: str, where: Path) -> subprocess.CompletedProcess[str]:
    """A program of Debian's, which has to be there."""
    assert shutil.which(command[0]), f"{command[0]} is missing: .ci/system-packages installs it"
    return subprocess.run(command, cwd=where, check=False, capture_output=True, text=True)


def run_trials(where: Path) -> subprocess.CompletedProcess[str]:
    """`promtool test rules` over what was written."""
    return run("promtool", "test", "rules", "seatrial.rules.test.yml", where=where)


@pytest.mark.parametrize("limits", [Limits(), QUICK, STRICT, LENIENT, Limits(models=("one",))])
def test_rules_pass_their_own_tests(tmp_path: Path, limits: Limits) -> None:
    """Whatever thresholds are chosen, promtool takes the rules, and every alert comes when it has to, and only then."""
    write_monitoring(tmp_path, limits)
    checked = run("promtool", "check", "rules", "seatrial.rules.yml", where=tmp_path)
    assert checked.returncode == 0, checked.stderr
    tested = run_trials(tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("name", [each.name for each in raise_alerts(Limits())])
@pytest.mark.parametrize("expr", ["vector(0) > 1", "vector(1)"])
def test_alert_that_is_broken_fails_its_tests(tmp_path: Path, name: str, expr: str) -> None:
    """An alert that never comes, and one that always does, are told by promtool."""
    write_monitoring(tmp_path, Limits())
    path = tmp_path / "seatrial.rules.yml"
    rules = yaml.safe_load(path.read_text())
    (rule,) = (each for group in rules["groups"] for each in group["rules"] if each.get("alert") == name)
    rule["expr"] = expr
    path.write_text(yaml.safe_dump(rules))
    tested = run_trials(tmp_path)
    assert tested.returncode == 1
    assert name in tested.stdout + tested.stderr


def test_alertmanager_takes_its_example(tmp_path: Path) -> None:
    """It is accepted by amtool, and sends what is critical to the one and the rest to the other receiver."""
    write_monitoring(tmp_path, Limits())
    file = "--config.file=alertmanager.example.yml"
    checked = run("amtool", "check-config", "alertmanager.example.yml", where=tmp_path)
    assert checked.returncode == 0, checked.stderr
    for severity, receiver in (("critical", "at-once"), ("warning", "by-day")):
        routed = run("amtool", "config", "routes", "test", file, f"severity={severity}", where=tmp_path)
        assert routed.stdout.strip() == receiver


@contextmanager
def scraping(directory: Path, target: str, *alertmanagers: str) -> Iterator[httpx.Client]:
    """A real Prometheus on loopback with the rendered rules, that scrapes a server every second."""
    assert shutil.which("prometheus"), "prometheus is missing: .ci/system-packages installs it"
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["seatrial.rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]},
        "scrape_configs": [{"job_name": "seatrial", "static_configs": [{"targets": [target]}]}],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{find_port()}"
    command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], cwd=directory, stderr=log)
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=60) as client:
            wait_for(lambda: is_ready(client), (directory / "prometheus.log").read_text)
            yield client
    finally:
        process.terminate()
        process.wait()


class Receiver(ThreadingHTTPServer):
    """Takes what Alertmanager sends, and remembers the path, the alert's name and its role."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Reception)
        self.told: set[tuple[str, str, str]] = set()


class Reception(BaseHTTPRequestHandler):
    """One notification."""

    server: Receiver

    def do_POST(self) -> None:
        """Remember its alerts that fire."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        labels = [each["labels"] for each in body["alerts"] if each["status"] == "firing"]
        self.server.told |= {(self.path, each["alertname"], each.get("role", "")) for each in labels}
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


@contextmanager
def notifying(directory: Path) -> Iterator[tuple[str, Receiver]]:
    """A real Alertmanager with the rendered example, but that its receivers listen here and it waits a second."""
    name = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert name, "alertmanager is missing: .ci/system-packages installs it"
    with Receiver() as receiver:
        example = (directory / "alertmanager.example.yml").read_text()
        here = example.replace("127.0.0.1:9099", f"127.0.0.1:{receiver.server_port}").replace("30s", "1s")
        (directory / "alertmanager.yml").write_text(here)
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        address = f"127.0.0.1:{find_port()}"
        options = ["--config.file=alertmanager.yml", "--storage.path=alerts", "--cluster.listen-address="]
        with (directory / "alertmanager.log").open("wb") as log:
            command = [name, *options, f"--web.listen-address={address}"]
            process = subprocess.Popen(command, cwd=directory, stderr=log)
        try:
            with httpx.Client(base_url=f"http://{address}", timeout=60) as client:
                wait_for(lambda: is_ready(client), (directory / "alertmanager.log").read_text)
            yield address, receiver
        finally:
            process.terminate()
            process.wait()
            receiver.shutdown()
            thread.join()


def is_ready(client: httpx.Client) -> bool:
    """Whether it answers by now."""
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def asking(client: httpx.Client, row: list[float]) -> Iterator[None]:
    """Callers that ask for the same row, one after the other, until the end."""
    done = threading.Event()

    def work() -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            number = 0
            while not done.wait(0.01):
                ask(own, str(number), row)
                number += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def wait_for(seek: Callable[[], T], told: object) -> T:
    """What is found at last; a minute and a half is for a machine that is busy."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if found := seek():
            return found
        time.sleep(0.25)
    pytest.fail(f"nothing was found: {told() if callable(told) else told}")


def query(client: httpx.Client, expr: str) -> list[dict[str, Any]]:
    """The series of an expression now."""
    answer = client.get("/api/v1/query", params={"query": expr}).json()
    assert answer["status"] == "success", (expr, answer)
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def list_expressions(directory: Path) -> list[str]:
    """Those of the dashboard for all models, of the rollout for one, and the recorded series."""
    dashboard = json.loads((directory / "seatrial.dashboard.json").read_text())
    rules = yaml.safe_load((directory / "seatrial.rules.yml").read_text())
    drawn = [target["expr"].replace("$model", ".*") for panel in dashboard["panels"] for target in panel["targets"]]
    template = yaml.safe_load((directory / "argo-analysis.example.yml").read_text())
    analysed = [
        metric["provider"]["prometheus"]["query"].replace("{{args.model}}", "m")
        for metric in template["spec"]["metrics"]
    ]
    return [
        *drawn,
        *analysed,
        *(rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule),
    ]


def list_firing(client: httpx.Client) -> set[tuple[str, str]]:
    """Names and roles of the alerts that fire."""
    alerts = client.get("/api/v1/alerts").json()["data"]["alerts"]
    return {
        (each["labels"]["alertname"], each["labels"].get("role", "")) for each in alerts if each["state"] == "firing"
    }


@pytest.mark.slow
def test_every_expression_has_data_from_a_real_server(tmp_path: Path) -> None:
    """With a stable version, a canary and a shadow that are asked: no empty chart, no failed rule, no errors."""
    write_releases(tmp_path / "models")
    (tmp_path / "models/m/deployments.jsonl").write_text('{"event": "live"}\n')
    write_route(tmp_path / "models", '{"weights": {"2": 50}, "shadow": "2"}')
    write_monitoring(tmp_path, QUICK)
    expressions = list_expressions(tmp_path)

    with (
        serving(tmp_path / "models", "--log-predictions", str(tmp_path / "live.jsonl")) as server,
        asking(server, [1.0, 2.0]),
        scraping(tmp_path, server.base_url.netloc.decode()) as prometheus,
    ):

        def list_empty() -> list[str]:
            return [
                expr
                for expr in expressions
                if not any(math.isfinite(float(found["value"][1])) for found in query(prometheus, expr))
            ]

        wait_for(lambda: not list_empty(), list_empty)
        groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        firing = list_firing(prometheus)
    assert len(rules) == 18
    assert {rule["health"] for rule in rules} == {"ok"}, [rule.get("lastError") for rule in rules]
    # How quick a busy machine is decides of two. That all ask for one row is drift.
    drifting = {"ModelInputDrift", "ModelPredictionDrift"}
    assert {name for name, _ in firing} - drifting <= {"ModelSlow", "ModelSlower"}


@pytest.mark.slow
def test_alerts_fire_for_a_canary_that_fails(tmp_path: Path) -> None:
    """Its 500s raise both alerts of errors for the canary, call the one for what is critical, and end with it."""
    write_releases(tmp_path / "models")
    write_route(tmp_path / "models", '{"weights": {"2": 50}}')
    write_monitoring(tmp_path, QUICK)
    # Twice this number is one of 32 bits, three times is not: the canary's answer is refused as infinite.
    with (
        serving(tmp_path / "models") as server,
        asking(server, [1.5e38, 1.0]),
        notifying(tmp_path) as (alertmanager, receiver),
        scraping(tmp_path, server.base_url.netloc.decode(), alertmanager) as prometheus,
    ):
        meant = {("ModelErrors", "canary"), ("ModelWorseErrors", "canary")}
        wait_for(lambda: meant <= list_firing(prometheus), lambda: list_firing(prometheus))
        assert ("ModelErrors", "stable") not in list_firing(prometheus)
        called = {("/at-once", *each) for each in meant}
        wait_for(lambda: called <= receiver.told, lambda: receiver.told)
        (tmp_path / "models/m/route.json").unlink()
        wait_for(lambda: not meant & list_firing(prometheus), lambda: list_firing(prometheus))


@pytest.mark.slow
def test_alerts_fire_for_inputs_that_drifted(tmp_path: Path) -> None:
    """A model that is asked otherwise than it was judged calls somebody by both alerts; one asked the same does not."""
    for name in ("same", "other"):
        write_releases(tmp_path / "models", name)
    write_monitoring(tmp_path, QUICK)
    with (
        serving(tmp_path / "models", "--drift-window", "20s") as server,
        asking_anew(server, "same", 0),
        asking_anew(server, "other", 1),
        scraping(tmp_path, server.base_url.netloc.decode()) as prometheus,
    ):
        meant = {("ModelInputDrift", "other"), ("ModelPredictionDrift", "other")}
        wait_for(lambda: meant <= list_drifting(prometheus), lambda: list_drifting(prometheus))
        assert list_drifting(prometheus) == meant
        samples = {each["metric"]["model"]: each["value"][1] for each in query(prometheus, "model_input_drift_samples")}
        drifts = {
            (each["metric"]["model"], each["metric"]["feature"]): float(each["value"][1])
            for each in query(prometheus, "model_input_drift")
        }
    assert min(map(int, samples.values())) > 100
    assert drifts.pop(("other", "hour")) > 0.5
    assert max(drifts.values()) < 0.3


@contextmanager
def asking_anew(client: httpx.Client, model: str, moved: float) -> Iterator[None]:
    """Callers that ask for other rows each time, drawn as the judged ones but for the first feature, until the end."""
    random, done = np.random.default_rng(60), threading.Event()

    def work() -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            while not done.wait(0.05):
                rows = random.normal(loc=(moved, 0), size=(15, 2))
                own.post(f"/v1/models/{model}:predict", json={"instances": rows.tolist()})

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def list_drifting(client: httpx.Client) -> set[tuple[str, str]]:
    """Names and models of the alerts of drift that fire."""
    alerts = client.get("/api/v1/alerts").json()["data"]["alerts"]
    firing = [each["labels"] for each in alerts if each["state"] == "firing"]
    return {(each["alertname"], each["model"]) for each in firing if each["alertname"].endswith("Drift")}


@pytest.mark.slow
def test_alerts_fire_when_no_server_answers(tmp_path: Path) -> None:
    """A server that ended is missed, and so is its model by name."""
    write_releases(tmp_path / "models")
    write_monitoring(tmp_path, QUICK)
    with ExitStack() as stack:
        running = ExitStack()
        stack.push(running)
        server = running.enter_context(serving(tmp_path / "models"))
        prometheus = stack.enter_context(scraping(tmp_path, server.base_url.netloc.decode()))
        wait_for(lambda: query(prometheus, "model_info"), "the server was not scraped")
        wait_for(lambda: not list_firing(prometheus), lambda: list_firing(prometheus))
        running.close()
        meant = {("ModelAbsent", ""), ("ModelVanished", "")}
        wait_for(lambda: meant <= list_firing(prometheus), lambda: list_firing(prometheus))
