"""The target in a bucket, on a real object store, under the conformance suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seatrial.deploy.conformance import TargetConformance, TargetSurvival
from seatrial.deploy.conformance_routing import RoutingConformance
from seatrial.deploy.objects import ObjectTarget
from seatrial.deploy.target import Target
from tests.conformance.bucket import BUCKET, connect, run_server

OPENER = "tests.conformance.bucket:open_bucket"


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The store, and an environment in which everybody finds it."""
    with run_server(tmp_path_factory.mktemp("store")) as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        connect().call_s3("create_bucket", Bucket=BUCKET)
        yield found


def find_version(target: Target, version: str) -> str:
    """The address of a version."""
    assert isinstance(target, ObjectTarget)
    return f"{target.location}/versions/{version}"


class TestBucket(TargetConformance):
    """What it does."""

    opener = OPENER

    def tamper(self, target: Target, version: str) -> None:
        """Write another object in the place of the model."""
        connect().pipe_file(f"{find_version(target, version)}/model.txt", b"other")

    def destroy(self, target: Target, version: str) -> None:
        """Remove all objects of a version."""
        connect().rm(find_version(target, version), recursive=True)


@pytest.mark.slow
class TestBucketSurvives(TargetSurvival):
    """What it survives: kill -9 at every boundary, and races."""

    opener = OPENER
    step = 2


@pytest.mark.slow
class TestBucketRoutes(RoutingConformance):
    """What it does with shares of the requests, and what that survives."""

    opener = OPENER
    step = 7
