"""What all runs of an engine share: the product as it would be fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.project import export_product


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product, as a forge would serve it."""
    return export_product(tmp_path_factory.mktemp("product"))
