"""`seatrial serve` as a process: a canary by a file, a log of predictions, and switches under load."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from click.testing import CliRunner

from seatrial.cli import cli
from seatrial.commands.serve import open_server
from seatrial.errors import ServeError
from tests.integration.releases import promote, write_releases, write_route


@contextmanager
def serving(root: Path, *options: str) -> Iterator[httpx.Client]:
    """The command line's server on a free port; it must end with 0 on SIGTERM."""
    command = [
        sys.executable,
        "-c",
        "from seatrial.cli import main; main()",
        "serve",
        str(root),
        "--port",
        "0",
        *options,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, "")
        address = next((line.split()[-1] for line in lines if line.startswith("serving on ")), None)
        assert address, "the server ended before it listened"
        with httpx.Client(base_url=address, timeout=60) as client:
            yield client
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def ask(client: httpx.Client, key: str, row: list[float]) -> httpx.Response:
    """One row, under a key that is also the caller's."""
    tensor = {"name": "features", "shape": [1, 2], "datatype": "FP32", "data": row}
    headers = {"X-Route-Key": key}
    return client.post("/v2/models/m/infer", json={"id": key, "inputs": [tensor]}, headers=headers)


def test_server_may_wait_for_its_first_model(tmp_path: Path) -> None:
    """Told to wait, it starts where nothing is live, is not ready, and answers with what is deployed then."""
    with serving(tmp_path / "models", "--wait") as client:
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/v2/health/ready").status_code == 503
        assert ask(client, "1", [1, 2]).status_code == 404
        digests = write_releases(tmp_path / "models")
        assert ask(client, "1", [1, 2]).headers["X-Model-Digest"] == digests["1"]
        assert client.get("/v2/health/ready").status_code == 200


def test_canary_shadow_and_back_by_one_file(tmp_path: Path) -> None:
    """A route is in force with the next request, and gone with its file; promoting the canary needs no restart."""
    digests = write_releases(tmp_path)
    with serving(tmp_path) as client:
        assert {ask(client, str(key), [1, 2]).json()["model_version"] for key in range(20)} == {"1"}
        write_route(tmp_path, '{"weights": {"2": 50}}')
        first = [ask(client, str(key), [1, 2]).headers["X-Model-Digest"] for key in range(40)]
        assert set(first) == set(digests.values())
        assert first == [ask(client, str(key), [3, 4]).headers["X-Model-Digest"] for key in range(40)]
        write_route(tmp_path, '{"weights": {"2": 101}}')
        assert [ask(client, str(key), [1, 2]).headers["X-Model-Digest"] for key in range(40)] == first
        ready = client.get("/v2/health/ready").json()
        assert "the weight of version 2 is 101" in ready["warnings"]["m"]["route.json"]
        promote(tmp_path, "2")
        (tmp_path / "m/route.json").unlink()
        assert {ask(client, str(key), [1, 2]).headers["X-Model-Digest"] for key in range(20)} == {digests["2"]}
        states = {one["version"]: one["state"] for one in client.get("/v1/models/m").json()["model_version_status"]}
        assert states == {"1": "END", "2": "AVAILABLE"}


def test_predictions_are_logged_when_asked_for(tmp_path: Path) -> None:
    """The sample of the keys is in the file when the server has ended, with the scores that were answered."""
    write_releases(tmp_path / "models")
    log = tmp_path / "live.jsonl"
    with serving(tmp_path / "models", "--log-predictions", str(log), "--log-share", "0.5") as client:
        answered = {str(key): ask(client, str(key), [key, 1]).json()["outputs"][0]["data"][0] for key in range(100)}
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert 25 < len(rows) < 75
    assert all(answered[row["key"]] == row["score"] for row in rows)


def test_log_that_cannot_be_written_keeps_the_server_from_starting(tmp_path: Path) -> None:
    """A place that can't be written to is a usage error with a hint."""
    write_releases(tmp_path)
    program = "from seatrial.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        program,
        "serve",
        str(tmp_path),
        "--log-predictions",
        str(tmp_path / "no/log.jsonl"),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--log-predictions" in done.stderr


def test_limits_and_labels_are_those_of_the_command_line(tmp_path: Path) -> None:
    """A body that is too large is refused by its announced length; deployments are counted by their environment."""
    write_releases(tmp_path)
    (tmp_path / "m/deployments.jsonl").write_text(
        '{"event": "live"}\n{"event": "live"}\n{"event": "promoting"}\n{"event": "refused", "environment": "eu"}\ntorn'
    )
    with serving(tmp_path, "--max-body", "1", "--environment", "production") as client:
        assert client.post("/v2/models/m/infer", content=b" " * (2**20 + 1)).status_code == 413
        told = [line for line in client.get("/metrics").text.splitlines() if line.startswith("model_deploy_total")]
    assert told == [
        'model_deploy_total{env="eu",outcome="refused"} 1.0',
        'model_deploy_total{env="production",outcome="live"} 2.0',
    ]


def test_twenty_switches_and_canaries_under_load_lose_no_request(tmp_path: Path) -> None:
    """While versions and shares change, every answer is 200 and is that of the version whose digest it names."""
    digests = {digest: version for version, digest in write_releases(tmp_path).items()}
    wrong: list[str] = []
    asked = [0, 0, 0]
    done = threading.Event()

    def load(address: str, number: int) -> None:
        with httpx.Client(base_url=address, timeout=60) as client:
            while not done.is_set():
                answer = ask(client, str(asked[number]), [1, 2])
                expected = {"1": "[2.0,4.0]", "2": "[3.0,6.0]"}.get(
                    digests.get(answer.headers.get("X-Model-Digest", ""), "")
                )
                if answer.status_code != 200 or f'"data":{expected}' not in answer.text:
                    wrong.append(answer.text)
                asked[number] += 1

    with serving(tmp_path) as client:
        threads = [threading.Thread(target=load, args=(str(client.base_url), number)) for number in range(3)]
        for thread in threads:
            thread.start()
        for switch in range(20):
            live, other = ("1", "2") if switch % 2 else ("2", "1")
            write_route(tmp_path, json.dumps({"weights": {other: 30}, "shadow": other}))
            promote(tmp_path, live)
            assert ask(client, "me", [1, 2]).status_code == 200
            before = list(asked)
            while any(now <= then for now, then in zip(asked, before, strict=True)):
                done.wait(0.001)
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_server_says_once_whose_drift_it_cannot_measure(tmp_path: Path) -> None:
    """A model without a profile is named when the server starts; one with a profile is not."""
    write_releases(tmp_path, "plain", profiled=False)
    write_releases(tmp_path, "watched")
    opened = open_server(tmp_path)
    told = [line for line in opened.lines if "drift" in line]
    assert told == ["plain 1 brings no profile.json: no drift of its inputs is measured"]
    assert len(opened.lines) == 3


def test_a_window_of_no_time_is_refused(tmp_path: Path) -> None:
    """One error that names the option."""
    write_releases(tmp_path)
    done = CliRunner().invoke(cli, ["serve", str(tmp_path), "--drift-window", "0s"])
    assert isinstance(done.exception, ServeError)
    assert "--drift-window" in done.exception.message
