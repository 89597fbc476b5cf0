"""Chromium, driven by Playwright: pages with every address that they ask for and all that their console says.

Debian's browser is used, and no name but this machine's is resolved. One start serves a module.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

AXE = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"
_LOCAL = ("file:", "data:", "blob:", "about:")
# The skeleton of a tree: elements with the names of their attributes, and the values that lead or load.
_SKELETON = """() => {
  const leads = ["href", "src", "action", "srcset", "http-equiv", "rel", "type"];
  const spell = (element) => {
    const names = [...element.attributes].map((one) => one.name).filter((name) => name !== "tabindex").sort();
    return element.localName + names.map((name) =>
      leads.includes(name) ? `[${name}=${element.getAttribute(name)}]` : `[${name}]`).join("");
  };
  const walk = (element, depth) => [" ".repeat(depth) + spell(element),
    ...[...element.children].flatMap((child) => walk(child, depth + 1))];
  return walk(document.body, 0);
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A page, the addresses outside of this machine's files that it asked for, and its console."""

    page: Page
    asked: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def open(self, html: str, directory: Path) -> None:
        """Show a page from disk, as a reader opens a report that was downloaded."""
        path = directory / "page.html"
        path.write_text(html, encoding="utf-8")
        self.visit(path)

    def visit(self, path: Path) -> None:
        """Show a page that is there; what was seen of the one before is forgotten."""
        self.asked.clear()
        self.console.clear()
        self.page.goto(path.as_uri())

    def outline(self) -> list[str]:
        """The skeleton of what is shown, an element a line: no text, and no attribute that holds any."""
        lines: list[str] = self.page.evaluate(_SKELETON)
        return lines

    def audit(self) -> list[str]:
        """What axe-core finds wrong by WCAG 2.2 AA and its own best practices, with the first elements of each rule."""
        # Evaluated, not added as an element: the page's own policy would refuse it.
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: Mapping[str, Any] = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]} {one['nodes'][0]['failureSummary']}"
            for one in found["violations"]
        ]


@contextmanager
def start() -> Iterator[Browser]:
    """The browser, until the block ends."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("chromium is not installed: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()


@contextmanager
def open_tab(browser: Browser, **settings: Any) -> Iterator[Tab]:
    """A fresh page in a profile of its own; `settings` are Playwright's for a context (colours, size)."""
    context = browser.new_context(**settings)
    tab = Tab(page=context.new_page())

    def note(request: Request) -> None:
        if not request.url.startswith(_LOCAL):
            tab.asked.append(request.url)

    def forget(request: Request) -> None:
        """What the page's own policy stopped has not left; the console tells of it."""
        if request.failure == "csp":
            tab.asked.remove(request.url)

    context.on("request", note)
    context.on("requestfailed", forget)
    tab.page.on("console", lambda message: tab.console.append(f"{message.type}: {message.text}"))
    tab.page.on("pageerror", lambda error: tab.console.append(f"uncaught: {error}"))
    yield tab
    context.close()
