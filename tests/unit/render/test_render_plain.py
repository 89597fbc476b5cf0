"""Markdown for Bitbucket, drawn by Python-Markdown with every tag shown as it was typed, as Bitbucket draws it."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup
from hypothesis import assume, example, given, settings

from seatrial.render import RenderOptions
from seatrial.render.characters import readable, shorten_middle
from seatrial.render.markdown import Place, render
from tests.fakes.page import plain_markdown
from tests.golden.cases import CASES
from tests.unit.render.test_render_markdown import NAMES, page_about, skeleton

BITBUCKET = RenderOptions(flavour="bitbucket", full_report_url="https://bitbucket.org/team/flights")


def draw(markdown: str) -> BeautifulSoup:
    """The page that Bitbucket's parser makes of a text."""
    return BeautifulSoup(str(plain_markdown(markdown)), "html.parser")


@pytest.mark.parametrize("case", sorted({*CASES} - {"hostile-names"}))
def test_no_element_is_left_to_be_read_as_text(case: str) -> None:
    """A reader sees words and tables, never the HTML that other forges fold and shrink with, nor Mermaid's source."""
    text = render(CASES[case], BITBUCKET)
    assert not re.search(r"</?[a-z]", text)
    assert "```" not in text
    shown = draw(text).get_text()
    assert "&#" not in shown
    assert "**" not in shown


@pytest.mark.parametrize("case", CASES)
def test_tables_and_words_are_those_of_github(case: str) -> None:
    """Nothing but folds, small print and drawings is lost on the way: every table has all of its cells."""
    here = draw(render(CASES[case], BITBUCKET))
    there = re.sub(r"```.*?```", "", render(CASES[case], RenderOptions(flavour="github")), flags=re.DOTALL)
    assert len(here.select("table")) == len(re.findall(r"^\|(?::?-+:?\|)+$", there, re.MULTILINE))
    rows = [len(row.select("td, th")) for table in here.select("table") for row in table.select("tr")]
    columns = [len(table.select("th")) for table in here.select("table") for _ in table.select("tr")]
    assert rows == columns


def test_a_folded_part_stands_open_under_its_summary() -> None:
    """What can't be folded is still told apart by its heading."""
    page = draw(render(CASES["slices-worse"], BITBUCKET))
    headings = [strong.get_text() for strong in page.select("p > strong:only-child")]
    assert "Slices of recall: 2 of 5 worse (worst carrier=F9 −0.081)" in headings


def test_a_small_budget_is_kept() -> None:
    """What does not fit is named, and where it is."""
    text = render(CASES["slices-worse"], RenderOptions(flavour="bitbucket", budget=1_500))
    assert len(text.encode()) <= 1_500
    assert "Left out for room" in text


@settings(max_examples=100, deadline=None)
@given(name=NAMES)
@example(name="a|b")
@example(name="**")
@example(name="_x_")
@example(name="</details>")
@example(name="`|`")
@example(name="[x]: # 'y'")
@example(name="1. a")
@example(name="@{1234:abcd}")
@example(name="<!-- x -->")
def test_a_name_keeps_the_page_on_bitbucket(name: str) -> None:
    """A metric's name, whatever it is, neither adds nor takes away an element of the page."""
    assume(readable(name).strip())
    page = draw(render(page_about(name), BITBUCKET))
    # Code that could be read as something else is plain text here.
    wanted = draw(render(page_about("recall"), BITBUCKET))
    for code in (*page.find_all("code"), *wanted.find_all("code")):
        code.unwrap()
    assert skeleton(page) == skeleton(wanted)
    shown = shorten_middle(readable(name).strip(), Place.CELL.value)
    cells = [re.sub("[\u200b\u200e]", "", cell.get_text()) for cell in page.select("tbody tr:first-child td")]
    assert re.sub(r"\s", "", cells[0]) == re.sub(r"\s", "", shown)
    assert cells[-1] == "last"
