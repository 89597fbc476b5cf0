"""A real object store for the tests: SeaweedFS on loopback, and the target in a bucket of it."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from s3fs import S3FileSystem

from seatrial.deploy.copies import Copies
from seatrial.deploy.objects import ObjectTarget
from seatrial.deploy.target import Store

BUCKET = "models"
KEY, SECRET = "a-key-of-the-test", "a-secret-of-the-test"
LEASE = 2.0


def name_address(place: str | Path) -> str:
    """An address of its own for every directory."""
    return f"s3://{BUCKET}/{hashlib.sha256(str(place).encode()).hexdigest()[:16]}"


def open_bucket(place: str, name: str) -> Store:
    """The target for the conformance suite; copies lie in a directory of the test."""
    return ObjectTarget(name_address(place), name, lease=LEASE, copies=Copies(root=Path(place) / "copies"))


def connect() -> S3FileSystem:
    """A client of its own: the others keep the credentials that they began with."""
    return S3FileSystem(use_listings_cache=False, skip_instance_cache=True)


@contextmanager
def run_server(directory: Path) -> Iterator[dict[str, str]]:
    """A server with one bucket; the variables by which any client of S3 finds it."""
    ports = dict(zip(("master", "volume", "filer", "s3"), _find_ports(), strict=True))
    identity = {"name": "tests", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (directory / "s3.json").write_text(json.dumps({"identities": [identity]}))
    weed = Path(sys.executable).with_name("weed")
    given = [f"-{name}.port={port}" for name, port in ports.items()]
    given += [f"-{name}.port.grpc={port + 10_000}" for name, port in ports.items()]
    given += ["-ip=127.0.0.1", "-filer", "-s3", f"-s3.config={directory / 's3.json'}", f"-dir={directory}"]
    given += [f"-{name}.localSocket={directory / name}.sock" for name in ("filer", "s3")]
    given += [
        "-volume.max=4",
        "-volume.preStopSeconds=0",
        "-master.volumeSizeLimitMB=64",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([weed, "server", *given], cwd=directory, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{ports['s3']}"
    try:
        _wait_for(address, process, directory / "log")
        yield {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": address,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
    finally:
        process.kill()
        process.wait()


def _find_ports() -> list[int]:
    """Four free ports that are far enough from the end for those of gRPC, which are 10,000 above."""
    found: list[int] = []
    for port in range(20_000 + os.getpid() % 2_000 * 10, 50_000):
        if all(_is_free(each) for each in (port, port + 10_000)):
            found.append(port)
        if len(found) == 4:
            return found
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while not _answers(address):
        if time.monotonic() > end or process.poll() is not None:
            raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")
        time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5)
    except urllib.error.HTTPError:  # it is there, and knows nobody who does not say who they are
        return True
    except OSError:
        return False
    return True
