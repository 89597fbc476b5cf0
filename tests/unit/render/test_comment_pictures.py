"""Plots as pictures for a comment: few, of what changed, the same bytes each time, and shown as text would be."""

from __future__ import annotations

import hashlib

import pytest
from msgspec.structs import replace

from seatrial.core.document import Block, Document, Folded, Mark, Picture, Pictures, Text
from seatrial.core.facts import PlotFacts
from seatrial.core.report import Report
from seatrial.render import HostedPicture, RenderOptions
from seatrial.render.comment_pictures import LARGEST, draw_pictures
from seatrial.render.markdown import render
from tests.golden.cases import CASES
from tests.unit.render.test_plot_files import plot
from tests.unit.sources.test_pictures import make_png

UPLOAD = f"/uploads/{'0' * 32}/{'1' * 64}.png"


def pair(name: str, *, content: bytes = b"") -> Pictures:
    """A picture of each side, that the project made."""
    made = (make_png(30, 20), content or make_png(31, 20))
    labelled = tuple(
        ((Text(side),), Picture(content=one, media_type="image/png", width=30, height=20))
        for side, one in zip(("main", "feature"), made, strict=True)
    )
    return Pictures(words=f"{name}: pictures", labelled=labelled, name=name)


def report(*blocks: Block, unchanged: tuple[str, ...] = ()) -> Report:
    """A report of these plots, all changed but those that are named."""
    names = [str(getattr(block, "name", "")) for block in blocks]
    told = tuple(PlotFacts(name=one, title=one, state="unchanged" if one in unchanged else "changed") for one in names)
    part = Folded(summary=(Text("Plots"),), blocks=blocks)
    document = Document(mark=Mark.PASSED, title=(Text("t"),), blocks=(part,))
    return Report(facts=replace(CASES["passed"].facts, plots=told), lay_out=lambda: document)


def show(one: Report, **addresses: str) -> str:
    pictures = {name: (HostedPicture(address=address, width=2_000),) for name, address in addresses.items()}
    return render(one, RenderOptions(pictures=pictures, full_report_url="https://ci.example/1"))


def test_a_file_is_named_after_its_bytes_which_stay() -> None:
    """The same plot makes the same file, so an address stays from run to run."""
    (first, refused), (second, _) = (draw_pictures(report(plot("p")), most=4) for _ in range(2))
    assert first == second
    assert refused == ()
    (file,) = first["p"]
    assert file.name == f"{hashlib.sha256(file.content).hexdigest()}.png"
    assert file.width == int.from_bytes(file.content[16:20], "big") // 2


def test_only_what_changed_is_drawn_up_to_the_limit() -> None:
    """Sides of a picture count each, and are never parted."""
    blocks = (plot("a"), plot("same"), plot("b"), plot("c"), pair("pair"), plot("d"), plot("e"))
    drawn, _ = draw_pictures(report(*blocks, unchanged=("same",)), most=4)
    assert list(drawn) == ["a", "b", "c", "d"]
    drawn, _ = draw_pictures(report(pair("pair"), plot("a")), most=3)
    assert [len(files) for files in drawn.values()] == [2, 1]


def test_a_large_picture_is_refused_with_the_reason() -> None:
    """Readers of a comment load all that is in it."""
    drawn, (reason,) = draw_pictures(report(pair("scene", content=b"x" * (LARGEST + 1))), most=4)
    assert drawn == {}
    assert reason == "scene: 1,048,577 bytes, and a comment's picture has at most 1,048,576"


@pytest.mark.parametrize("address", [UPLOAD, "https://git.example/o/r/blob/b/x.png?raw=true"])
def test_a_hosted_picture_stands_in_the_folded_part(address: str) -> None:
    """It takes the place of the drawing, no wider than a comment, with words for who can't see it."""
    text = show(report(plot("p")), p=address)
    assert f'<img src="{address}" width="800" alt="w">' in text
    assert "full report" not in text


@pytest.mark.parametrize("address", ["javascript:alert(1)", "/uploads/x", "//elsewhere/x.png", "data:image/png,x", ""])
def test_an_address_of_another_kind_is_not_shown(address: str) -> None:
    """The report's own address stands there instead."""
    text = show(report(plot("p")), p=address)
    assert "<img" not in text
    assert "full report" in text


def test_pictures_of_both_sides_stand_side_by_side() -> None:
    """In one row below their labels; without one of them there is the link alone."""
    hosted = tuple(HostedPicture(address=UPLOAD, width=30) for _ in range(2))
    one = report(pair("scene"))
    text = render(one, RenderOptions(pictures={"scene": hosted}))
    assert "| main | feature |\n|:--|:--|\n| <img " in text
    assert text.count('width="30"') == 2
    assert "<img" not in render(one, RenderOptions(pictures={"scene": hosted[:1]}))


def test_words_for_who_cannot_see_it_are_words_alone() -> None:
    """Nothing in them ends the attribute, the element or a table's cell."""
    hostile = replace(pair("scene"), words='"><script>| `@octo` \n/merge &amp;')
    hosted = tuple(HostedPicture(address=UPLOAD, width=30) for _ in range(2))
    text = render(report(hostile), RenderOptions(pictures={"scene": hosted}))
    assert "<script" not in text
    row = next(line for line in text.splitlines() if "<img" in line)
    assert row.count("|") == 3
    assert row.count('"') == 12
