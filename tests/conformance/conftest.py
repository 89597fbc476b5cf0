"""A cluster for the targets that deploy to one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes import kubernetes as fake

_CLUSTERS = ("test_kserve.py", "test_kubernetes.py")


@pytest.fixture(autouse=True)
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[fake.Cluster | None]:
    """A stand-in, named by KUBECONFIG for every process; none for the tests of other targets."""
    if request.node.path.name not in _CLUSTERS:
        yield None
        return
    config = tmp_path_factory.mktemp("kube") / "config"
    monkeypatch.setenv("KUBECONFIG", str(config))
    with fake.serve(fake.Cluster(), config) as served:
        yield served
