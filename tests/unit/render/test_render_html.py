"""One HTML file that loads nothing, runs only its own script, and is marked up for every reader."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from bs4 import BeautifulSoup, Tag

from seatrial.core.document import Document, Link, Mark, Paragraph, Text
from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.html import render
from tests.golden.cases import CASES, HOSTILE_NAMES


def draw(report: Report) -> BeautifulSoup:
    """The page as a tree."""
    return BeautifulSoup(render(report, RenderOptions()), "html.parser")


def one(page: Tag, selector: str) -> Tag:
    """The only element that a selector finds."""
    (found,) = page.select(selector)
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_policy_lets_in_our_style_and_script_alone(case: str) -> None:
    """The page's own policy names exactly the digests of what is printed, and no other source."""
    page = draw(CASES[case])
    policy = str(one(page, "meta[http-equiv=Content-Security-Policy]")["content"])
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(one(page, tag).text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


@pytest.mark.parametrize("case", CASES)
def test_the_page_loads_nothing(case: str) -> None:
    """No element names anything to be fetched, and none has a handler or a style of its own."""
    page = draw(CASES[case])
    for element in page.find_all(True):
        assert not {"src", "srcset", "style", "action", "poster", "data"} & set(element.attrs)
        assert not [name for name in element.attrs if name.startswith("on")]
    assert [link["href"] for link in page.select("link")] == ["data:,"]
    assert not page.select("img, iframe, object, embed, base, form, video, audio")
    assert not re.search(r"url\(|@import", one(page, "style").text)


def test_hostile_text_is_text() -> None:
    """Names are shown as they are (without hidden characters) and are never markup."""
    page = draw(CASES["hostile-names"])
    names = [cell.get_text() for cell in page.select("tbody th")]
    assert names[0] == HOSTILE_NAMES[0]
    assert names[1] == HOSTILE_NAMES[1]
    assert len(names) == len(HOSTILE_NAMES)
    assert len(page.select("script")) == 1


def test_tables_are_marked_up_for_screen_readers() -> None:
    """Heads have scopes, each row has one head, and every sign is a word, too."""
    table = draw(CASES["failed"]).select("table")[0]
    assert all(head["scope"] == "col" and head.get_text(strip=True) for head in table.select("thead th"))
    for row in table.select("tbody tr"):
        assert one(row, "th")["scope"] == "row"
        assert one(row, ".sign .word").get_text()


def test_the_window_is_called_after_the_verdict() -> None:
    """Among many open tabs the verdict is seen."""
    assert one(draw(CASES["failed"]), "title").text == "✗ Do not merge: 1 of 4 gates failed"


def test_links_lead_to_the_web() -> None:
    """An address of another scheme is not linked."""
    line = (Link("good", "https://forge.example/?a=1&b=<2>"), Text(" "), Link("bad", "javascript:alert(1)"))
    document = Document(mark=Mark.PASSED, title=(Text("t"),), blocks=(Paragraph(line=line),))
    page = draw(Report(facts=CASES["passed"].facts, lay_out=lambda: document))
    assert [link["href"] for link in page.select("a")] == ["https://forge.example/?a=1&b=<2>"]
    assert "good bad" in page.get_text()


@pytest.mark.parametrize("case", CASES)
def test_sides_are_named(case: str) -> None:
    """The head of the page says which revisions were compared, as far as there are two."""
    sides = [side.get_text() for side in draw(CASES[case]).select(".side")]
    facts = CASES[case].facts
    assert sides == [f"{side.name} {(side.sha or '')[:7]}" for side in (facts.base, facts.head) if side]
