"""What all runs of an engine share: the product as it would be fetched, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import Tab, open_tab, start
from tests.e2e.project import export_product


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product, as a forge would serve it."""
    return export_product(tmp_path_factory.mktemp("product"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One start for a module."""
    with start() as browser:
        yield browser


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """A page of a fresh profile."""
    with open_tab(browser) as tab:
        yield tab
