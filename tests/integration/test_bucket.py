"""A model on its way into a bucket, and served from there, by the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from s3fs import S3FileSystem

from seatrial.cli import cli
from seatrial.errors import SeatrialError
from tests.conformance.bucket import BUCKET, connect, run_server
from tests.integration.test_deploy import DVC_YAML, NAME, Project, ask, commit_recall, export_model, run_cli

TO = f"s3://{BUCKET}/production"


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A store that everybody finds by the environment."""
    with run_server(tmp_path_factory.mktemp("store")) as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        connect().call_s3("create_bucket", Bucket=BUCKET)
        yield
    S3FileSystem.clear_instance_cache()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A DVC project whose recall is judged."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").write_text("")
    (root / ".dvc/.gitignore").write_text("/cache\n")
    (root / "dvc.yaml").write_text(DVC_YAML + "metrics: [metrics.json]\n")
    (root / "seatrial.yaml").write_text('version: 1\nmetrics:\n  "metrics.json:recall": {max_decrease: 0.01}\n')
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(root)], check=True)
    return Project(root=root, to=tmp_path / "unused")


@contextmanager
def serving(place: str) -> Iterator[httpx.Client]:
    """`seatrial serve` as a process of its own."""
    command = [sys.executable, "-c", "from seatrial.cli import main; main()", "serve", place, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = next(found[0] for line in server.stdout if (found := re.findall(r"http://\S+", line)))
            with httpx.Client(base_url=address, timeout=60) as client:
                yield client
        finally:
            server.terminate()


@pytest.mark.slow
def test_bucket_takes_a_model_to_where_it_is_served(project: Project, tmp_path: Path) -> None:
    """Deployed to a bucket, served from it, followed to the next version and back; each as by a directory."""
    models = export_model(tmp_path / "first", seed=1), export_model(tmp_path / "second", seed=2)
    commit_recall(project, models[0], 0.8)
    delivered = run_cli(project, "deploy", NAME, "--to", TO)
    assert delivered.returncode == 0, delivered.stderr
    assert "is live; 8 golden requests answered" in delivered.stdout
    with serving(TO) as client:
        assert ask(client, models[0].rows).json()["model_version"] == "1"
        commit_recall(project, models[1], 0.8)
        address = ("--address", str(client.base_url))
        delivered = run_cli(project, "deploy", NAME, "--to", TO, *address)
        assert delivered.returncode == 0, delivered.stderr
        assert ask(client, models[1].rows).json()["model_version"] == "2"
        back = run_cli(project, "rollback", NAME, "--to", TO, *address, "--reason", "incident 42")
        assert back.returncode == 0, back.stderr
        assert ask(client, models[0].rows).json()["model_version"] == "1"
    (told,) = json.loads(run_cli(project, "status", "--to", TO, "--prove", "--format", "json").stdout)["models"]
    assert (told["version"], told["problems"]) == ("1", [])
    assert [check["answer"] for check in told["checks"]] == ["pass", "pass", "pass"]
    listed = json.loads(run_cli(project, "releases", NAME, "--to", TO, "--format", "json").stdout)["releases"]
    assert [(each["version"], each["state"]) for each in listed] == [("2", "known-good"), ("1", "live")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("serve", "s3://models/empty"), "holds no live model"),
        (("serve", "s3://missing"), "s3://missing: The specified bucket does not exist"),
        (("status", "--to", "s3://models/empty"), "nothing was ever deployed to"),
        (("status", "--to", "gs://models"), "nothing here can write to gs://"),
        (("releases", NAME, "--to", "s3://models", "--target", "command"), "starts scripts in a directory"),
    ],
)
def test_what_is_wrong_with_an_address_is_one_error(command: tuple[str, ...], said: str) -> None:
    """A command names the address, says what to do, and ends with the exit code that a directory would get."""
    done = CliRunner().invoke(cli, command)
    assert isinstance(done.exception, SeatrialError)
    assert (done.exception.exit_code, said in done.exception.message) == (2, True)
    assert done.exception.hint
