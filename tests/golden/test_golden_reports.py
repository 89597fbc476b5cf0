"""Every format of every kind of report is exactly what it was when somebody last looked at it.

After a change that is meant, `UPDATE_GOLDEN=1 python -m pytest tests/golden` writes the files anew; read the diff.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.render import RENDERERS, RenderOptions
from seatrial.render.html import read_asset
from tests.golden.cases import CASES
from tests.golden.pages import NAMES, PINNED, list_assets, settle

HERE = Path(__file__).parent
FORMATS = {
    "terminal": "txt",
    "markdown": "md",
    "json": "json",
    "html": "html",
    "junit": "xml",
    "annotations": "annotations.txt",
    "code-quality": "codequality.json",
    "gitlab-annotations": "annotations.json",
    "openmetrics": "metrics.txt",
}
FULL_REPORT = "https://github.com/acme/flights/actions/runs/1234/artifacts/5"


def options_for(case: str, name: str) -> RenderOptions:
    """As wide as a terminal, and with the room of a comment that is nearly full."""
    budget = 6_000 if case == "truncated" else None
    return RenderOptions(width=120 if name == "terminal" else None, budget=budget, full_report_url=FULL_REPORT)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("case", CASES)
def test_report_is_the_golden_one(case: str, name: str) -> None:
    """A report of a known kind is rendered to the last character as the golden file says."""
    settle(HERE / "reports" / f"{case}.{FORMATS[name]}", RENDERERS[name](CASES[case], options_for(case, name)))


def test_no_golden_file_is_left_over() -> None:
    """Every golden file belongs to a case and a format, so that none is kept that nobody checks."""
    expected = {f"{case}.{suffix}" for case in CASES for suffix in FORMATS.values()}
    assert {path.name for path in (HERE / "reports").iterdir()} == expected


def test_every_format_of_our_own_has_golden_files() -> None:
    """The shapes of DVC are checked against DVC itself."""
    assert FORMATS.keys() == {name for name in RENDERERS if not name.startswith("dvc-")}


def test_style_and_script_are_the_golden_ones() -> None:
    """Every page has them; what changes in one changes its line here."""
    assert PINNED.read_text(encoding="utf-8") == list_assets()


def test_no_golden_page_has_a_copy_of_its_own() -> None:
    """Style and script stand in no golden file, where a page of its own copy would hide among many."""
    parts = [read_asset(name) for name in NAMES]
    pages = list(HERE.rglob("*.html"))
    assert pages
    assert not [page for page in pages for part in parts if part in page.read_bytes().decode()]
