"""Models that several tests ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.serving.stores import write_model


@pytest.fixture(scope="session")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that doubles what it is given."""
    return write_model(tmp_path_factory.mktemp("doubling"))


@pytest.fixture(scope="session")
def tripling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that triples what it is given."""
    return write_model(tmp_path_factory.mktemp("tripling"), times=3.0)
