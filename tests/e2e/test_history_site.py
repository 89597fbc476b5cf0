"""The history's pages in a real browser: they ask nobody for anything, text in them stays text, charts are drawn."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.e2e.test_html_report import PROBE, addresses
from tests.integration.branches import Step, declare, grow
from tests.integration.repositories import run_seatrial

pytestmark = pytest.mark.slow


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


def visit(page: Path, tmp_path: Path, *options: str) -> tuple[BeautifulSoup, set[str]]:
    """A page's tree after its script ran, and the addresses that it asked for."""
    log = tmp_path / "net.json"
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}",
        "--virtual-time-budget=2000", *options, "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()
    return BeautifulSoup(dom, "html.parser"), addresses(json.loads(log.read_text(encoding="utf-8")))


def test_every_page_asks_nobody_and_runs_nothing_of_others(site: Path, tmp_path: Path) -> None:
    """Index and metric pages make no request, and a subject or a key that is markup neither loads nor runs."""
    for page in (site / "index.html", *(site / "metrics").glob("*.html")):
        tree, asked = visit(page, tmp_path)
        assert asked == set(), page.name
        assert tree.title
        assert tree.title.text != "taken over"
        assert not tree.select("img")
        assert len(tree.select("script")) == 1


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


def test_a_metric_s_page_has_its_chart_and_all_of_its_readings(site: Path, tmp_path: Path) -> None:
    """A line, the limit, the gap, words for those who see none of it, and a row for each measurement, newest first."""
    [page] = [page for page in (site / "metrics").iterdir() if "recall" in page.name]
    tree, _ = visit(page, tmp_path)
    [chart] = tree.select("figure [role=img]")
    assert "29 values from 0.700 to 0.845; dashed: today's limit, 0.7; dotted upright: gaps" in str(chart["aria-label"])
    assert chart.select("svg path")
    rows = tree.select("tbody tr")
    assert len(rows) == 30
    assert "unreadable" in rows[17].get_text()
    assert rows[0].get_text().split()[2] == "0.845"
    assert [button.get_text() for button in tree.select("table button.sort")][:3] == ["commit", "date", "value"]


def test_nothing_is_wider_than_a_telephone(site: Path, tmp_path: Path) -> None:
    """The page fits a narrow screen: a picture of it has nothing that could be scrolled to the side."""
    [page] = [page for page in (site / "metrics").iterdir() if "recall" in page.name]
    probe = tmp_path / "narrow.html"
    text = page.read_text(encoding="utf-8").replace('http-equiv="Content-Security-Policy"', 'name="off"')
    script = "document.title = document.documentElement.scrollWidth + ' of ' + document.documentElement.clientWidth"
    probe.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    tree, _ = visit(probe, tmp_path, "--window-size=500,800")
    assert tree.title
    wide, room = map(int, tree.title.text.split(" of "))
    assert wide <= room
