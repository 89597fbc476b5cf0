"""Markers and the delivery ladder; what needs a forge is in tests/contract."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.errors import DeliveryError
from seatrial.publish import Delivery, Marker, deliver, parse_marker, render_marker


@given(key=st.text(), head=st.text(), run=st.text(), rest=st.text())
def test_a_marker_comes_back_from_whatever_it_holds(key: str, head: str, run: str, rest: str) -> None:
    """No value breaks the marker, and no text behind it changes what it says."""
    marker = render_marker(key, head, run)
    assert parse_marker(f"{marker}\n{rest}") == Marker(key=key, head=head, run=run)


@given(key=st.text(), head=st.text(), run=st.text())
def test_a_marker_tells_its_series(key: str, head: str, run: str) -> None:
    """Comments before it were folded: only a marker that says so says so."""
    assert parse_marker(render_marker(key, head, run, series=True)) == Marker(key=key, head=head, run=run, series=True)


@pytest.mark.parametrize("claimed", ['"yes"', "1", "null", "[]", "false"])
def test_what_is_not_true_is_no_series(claimed: str) -> None:
    """A field of another type counts as absent."""
    marker = parse_marker(f'<!-- seatrial {{"v":1,"key":"k","head":"h","run":"1.1","series":{claimed}}} -->')
    assert marker == Marker(key="k", head="h", run="1.1")


@given(key=st.text())
def test_no_value_ends_the_html_comment(key: str) -> None:
    """The marker is one HTML comment on one line, so nothing of it is ever shown."""
    marker = render_marker(key, "5601846", "1.1")
    assert marker.count(">") == 1
    assert marker.splitlines() == [marker]


def test_a_marker_reads_as_documented() -> None:
    """Other tools may look for it: its form is fixed."""
    expected = '<!-- seatrial {"v":1,"key":"default","head":"5601846","run":"1234.2"} -->'
    assert render_marker("default", "5601846", "1234.2") == expected


@pytest.mark.parametrize(
    "body",
    [
        "",
        "text",
        " <!-- seatrial {} -->",
        "<!-- seatrial {} -->",
        "<!-- seatrial [] -->",
        "<!-- seatrial {nonsense} -->",
        '<!-- seatrial {"v":1,"key":"default","head":"5601846"} -->',
        '<!-- seatrial {"v":1,"key":"default","head":"5601846","run":1} -->',
        '<!-- seatrial {"v":2,"key":"default","head":"5601846","run":"1.1"} -->',
        '<!-- not-seatrial {"v":1,"key":"default","head":"5601846","run":"1.1"} -->',
        '<!-- seatrial {"v":1,"key":"default","head":"5601846","run":"1.1"} --> and more',
        "<!-- seatrial " + '{"a":' * 100_000 + "} -->",
    ],
)
def test_anything_else_is_no_marker(body: str) -> None:
    """A first line that only resembles a marker makes no comment ours."""
    assert parse_marker(body) is None


def test_line_ends_of_another_kind_do_not_hide_a_marker() -> None:
    """A forge that stores CR LF gives our comment back all the same."""
    assert parse_marker(render_marker("a", "b", "1.1") + "\r\ntext") == Marker(key="a", head="b", run="1.1")


def test_every_step_is_taken_whatever_became_of_the_others() -> None:
    """A step that fails says why, and those after it are taken."""

    def refuse() -> str:
        raise DeliveryError("the forge said no", hint="ask it kindly")

    def break_disk() -> str:
        raise OSError(28, "No space left on device", "summary.md")

    steps = [("summary", break_disk), ("comment", refuse), ("check", lambda: "https://forge.example/1")]
    assert deliver(steps) == (
        Delivery(
            step="summary",
            ok=False,
            problem="[Errno 28] No space left on device: 'summary.md'",
            hint="Is the file's folder there and writable?",
        ),
        Delivery(step="comment", ok=False, problem="the forge said no", hint="ask it kindly"),
        Delivery(step="check", ok=True, detail="https://forge.example/1"),
    )


def test_a_defect_in_a_delivery_does_not_take_the_verdict_away() -> None:
    """Posting is not judging; the defect is named as one."""
    (delivery,) = deliver([("comment", lambda: str(1 / 0))])
    assert (delivery.ok, delivery.problem) == (False, "a defect of seatrial: ZeroDivisionError: division by zero")
