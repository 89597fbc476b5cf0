"""The HTML report in a real browser: it asks nobody for anything, and text in it stays text.

Every request that the page makes is written to its network log, which is read afterwards; no name is resolved.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from seatrial.render import RenderOptions
from seatrial.render.html import render
from tests.golden.cases import CASES

pytestmark = pytest.mark.slow

PROBE = '<img src="http://probe.invalid/x.png"><script>document.title = "taken over"</script>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a browser made of a page: its tree after the scripts ran, and the addresses that it asked for."""

    page: BeautifulSoup
    asked: set[str]


def visit(html: str, tmp_path: Path) -> Visit:
    """Open a page in headless Chromium."""
    page, log = tmp_path / "report.html", tmp_path / "net.json"
    page.write_text(html, encoding="utf-8")
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}", "--virtual-time-budget=2000",
        "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()
    return Visit(page=BeautifulSoup(dom, "html.parser"), asked=addresses(json.loads(log.read_text(encoding="utf-8"))))


def addresses(log: dict[str, object]) -> set[str]:
    """Every address that the page asked for: the browser's own requests have no origin in its network log."""
    events = log["events"]
    assert isinstance(events, list)
    requests = [event["params"] for event in events if "initiator" in event.get("params", {})]
    found = {request["url"] for request in requests if request["initiator"] != "not an origin"}
    return {url for url in found if not url.startswith(("file:", "data:"))}


@pytest.mark.parametrize("case", ["failed", "hostile-names"])
def test_a_report_asks_nobody(case: str, tmp_path: Path) -> None:
    """Opening a report makes no request, not even with names that are made to."""
    seen = visit(render(CASES[case], RenderOptions()), tmp_path)
    assert seen.page.title
    assert seen.page.title.text.startswith("✗ Do not merge")
    assert seen.asked == set()


def test_the_browser_would_have_told(tmp_path: Path) -> None:
    """The check above can fail: without our policy and escaping the same names do ask and do run."""
    seen = visit(f"<!doctype html><title>x</title>{PROBE}", tmp_path)
    assert seen.page.title
    assert seen.page.title.text == "taken over"
    assert "http://probe.invalid/x.png" in seen.asked


def test_the_policy_holds_where_escaping_would_not(tmp_path: Path) -> None:
    """Markup put into a finished report by hand neither loads nor runs: escaping is not the only wall."""
    html = render(CASES["failed"], RenderOptions()).replace("</main>", f"{PROBE}</main>")
    seen = visit(html, tmp_path)
    assert seen.page.title
    assert seen.page.title.text != "taken over"
    assert seen.asked == set()


def test_columns_can_be_sorted(tmp_path: Path) -> None:
    """Our own script runs under our own policy: heads of tables become buttons."""
    seen = visit(render(CASES["failed"], RenderOptions()), tmp_path)
    heads = [button.get_text() for button in seen.page.select("table button.sort")]
    assert heads[:5] == ["gate", "main 5b174c2", "raise-learning-rate 5601846", "change (95 % CI)", "limit"]


@pytest.mark.parametrize(
    ("clicks", "names"),
    [
        (1, ["latency.p95_ms", "recall ↑", "f1 ↑", "ece ↓"]),
        (2, ["ece ↓", "f1 ↑", "recall ↑", "latency.p95_ms"]),
        (3, ["recall ↑", "f1 ↑", "ece ↓", "latency.p95_ms"]),
    ],
)
def test_numbers_are_sorted_as_numbers(clicks: int, names: list[str], tmp_path: Path) -> None:
    """A click sorts by value (U+2212 is a minus), a second turns the order, a third brings the policy's order back."""
    html = render(CASES["failed"], RenderOptions())
    press = 'document.querySelectorAll("button.sort")[3].click();' * clicks
    # The page's own policy would refuse a script that is not ours, so it is taken out for this test.
    html = html.replace('http-equiv="Content-Security-Policy"', 'name="off"').replace(
        "</body>", f"<script>{press}</script>"
    )
    table = visit(html, tmp_path).page.select("table")[0]
    assert [head.get_text().replace("\u00a0", " ") for head in table.select("tbody th")] == names
    order = table.select("thead th")[4].get("aria-sort")
    assert order == {1: "ascending", 2: "descending", 3: None}[clicks]
