"""The history's pages in a real browser: they ask nobody for anything, text in them stays text, charts are drawn."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Tab, open_tab
from tests.e2e.hostile import ATTACKS
from tests.integration.branches import Step, declare, grow
from tests.integration.repositories import run_seatrial

pytestmark = pytest.mark.slow

PROBE = '<img src="http://probe.invalid/x.png"><script>document.title = "taken over"</script>'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of a branch of thirty commits, of which one is broken and one has a subject that wants to run."""
    top = tmp_path_factory.mktemp("site")
    steps = [Step(files={"dvc.yaml": declare("m.json"), "m.json": measure(0)}, subject=f"Begin {PROBE}")]
    steps += [Step(files={"m.json": "{" if at == 12 else measure(at)}, subject=PROBE) for at in range(1, 30)]
    grow(top / "project", steps)
    policy = "version: 1\nmetrics:\n  recall: {at_least: 0.7}\n"
    (top / "project" / "seatrial.yaml").write_text(policy, encoding="utf-8")
    answer = run_seatrial(top / "project", "history", "--site", str(top / "pages"))
    assert answer.code == 0, answer.err
    return top / "pages"


def measure(at: int) -> str:
    return json.dumps({"recall": 0.7 + at / 200, PROBE: at, "latency": {"p95_ms": 40 + at % 7}})


SUBJECTS = [text.encode("utf-8", "replace").decode().replace("\0", "") for text in ATTACKS.values()]
NAMES = [text for text in SUBJECTS if len(text) < 200][::5]


def outline_site(top: Path, tab: Tab, subjects: list[str], names: list[str]) -> list[list[str]]:
    """The skeletons of all pages of a branch with these subjects, metrics of these names, and one broken commit."""
    values = ({name: at / 10 + number for number, name in enumerate(names)} for at in range(len(subjects)))
    files = [json.dumps(one) if at != 3 else "{" for at, one in enumerate(values)]
    steps = [Step(files={"m.json": text}, subject=one) for text, one in zip(files, subjects, strict=True)]
    grow(top / "project", [Step(files={"dvc.yaml": declare("m.json")}), *steps])
    answer = run_seatrial(top / "project", "history", "--site", str(top / "pages"))
    assert answer.code == 0, answer.err
    found = []
    for page in list_pages(top / "pages"):
        tab.visit(page)
        assert (page.name, tab.asked, tab.console) == (page.name, [], [])
        found.append([re.sub(r"href=metrics/[^]]*", "href", line) for line in tab.outline()])
    return [found[0], *sorted(found[1:])]


def test_a_hostile_branch_has_the_pages_of_any_other(tab: Tab, tmp_path: Path) -> None:
    """Subjects and names that are markup, commands or invisible add no element and no link to any page."""
    hostile = outline_site(tmp_path / "hostile", tab, SUBJECTS, [f"m{at} {name}" for at, name in enumerate(NAMES)])
    honest = outline_site(
        tmp_path / "honest",
        tab,
        [f"Change {at}" for at in range(len(SUBJECTS))],
        [f"m{at}" for at in range(len(NAMES))],
    )
    assert hostile == honest


def list_pages(site: Path) -> list[Path]:
    """The index, and the page of each metric."""
    return [site / "index.html", *(site / "metrics").glob("*.html")]


def find_recall(site: Path) -> Path:
    """The page of the metric that has a gate."""
    [page] = [page for page in (site / "metrics").iterdir() if "recall" in page.name]
    return page


def test_every_page_asks_nobody_and_runs_nothing_of_others(site: Path, tab: Tab) -> None:
    """Index and metric pages make no request, and a subject or a key that is markup neither loads nor runs."""
    for page in list_pages(site):
        tab.visit(page)
        assert (page.name, tab.asked, tab.console) == (page.name, [], [])
        assert tab.page.title() != "taken over"
        assert tab.page.locator("img").count() == 0
        assert tab.page.locator("script").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(scheme: Literal["light", "dark"], site: Path, browser: Browser) -> None:
    """Names, roles, order and contrast of every page are what axe-core asks for."""
    with open_tab(browser, color_scheme=scheme) as tab:
        for page in list_pages(site):
            tab.visit(page)
            assert (page.name, tab.audit()) == (page.name, [])


def test_links_lead_to_the_pages_that_there_are(site: Path) -> None:
    """From the index to each metric and to the data, and back, with no page that nothing leads to."""
    index = BeautifulSoup((site / "index.html").read_text(encoding="utf-8"), "html.parser")
    linked = {str(link["href"]) for link in index.select("a")}
    pages = {f"metrics/{page.name}" for page in (site / "metrics").iterdir()}
    assert linked == {*pages, "history.csv", "history.json"}
    assert len(pages) == 3
    for page in pages:
        tree = BeautifulSoup((site / page).read_text(encoding="utf-8"), "html.parser")
        assert all((site / "metrics" / str(link["href"])).resolve().is_file() for link in tree.select("a"))


def test_a_metric_s_page_has_its_chart_and_all_of_its_readings(site: Path, tab: Tab) -> None:
    """A line, the limit, the gap, words for those who see none of it, and a row for each measurement, newest first."""
    tab.visit(find_recall(site))
    chart = tab.page.locator("figure [role=img]")
    told = chart.get_attribute("aria-label") or ""
    assert "29 values from 0.700 to 0.845; dashed: today's limit, 0.7; dotted upright: gaps" in told
    assert chart.locator("svg path").count() > 0
    rows = tab.page.locator("tbody tr").all_inner_texts()
    assert len(rows) == 30
    assert "unreadable" in rows[17]
    assert rows[0].split()[2] == "0.845"
    assert tab.page.locator("table button.sort").all_inner_texts()[:3] == ["commit", "date", "value"]


def test_readings_are_filtered_and_sorted(site: Path, tab: Tab) -> None:
    """The tables of the history answer as those of a report do."""
    tab.visit(find_recall(site))
    tab.page.get_by_label("Filter rows").fill("unreadable")
    expect(tab.page.locator("output")).to_have_text("1 of 30 rows")
    tab.page.get_by_label("Filter rows").fill("")
    tab.page.get_by_role("button", name="value").click()
    assert tab.page.locator("tbody tr").first.inner_text().split()[2] == "0.700"


def test_nothing_is_wider_than_a_telephone(site: Path, browser: Browser) -> None:
    """The pages fit a narrow screen: there is nothing that could be scrolled to the side."""
    with open_tab(browser, viewport={"width": 360, "height": 740}) as tab:
        for page in list_pages(site):
            tab.visit(page)
            wide, room = tab.page.evaluate(
                "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
            )
            assert (page.name, wide <= room) == (page.name, True)
