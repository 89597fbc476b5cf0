"""The doctor's checks and init's diffs as text for a terminal."""

from __future__ import annotations

from seatrial.core.checkup import Checkup, fail, name_some, ok, shorten, skip, warn
from seatrial.render import RenderOptions
from seatrial.render.checkup import render_checkup
from seatrial.render.diff import render_diff

CHECKUP = Checkup(
    checks=(
        ok("git", "git 2.47"),
        warn("history", "this clone is shallow", "- uses: actions/checkout@v7\n  with: {fetch-depth: 0}"),
        fail("policy", "seatrial.yaml:4: no metric is called recal", "did you mean recall?"),
        skip("token", "--offline"),
    )
)


def test_every_check_has_a_sign_and_its_remedy_below() -> None:
    """What is to be copied keeps its indents."""
    assert render_checkup(CHECKUP, RenderOptions()) == (
        "✓ git      git 2.47\n"
        "! history  this clone is shallow\n"
        "           → - uses: actions/checkout@v7\n"
        "               with: {fetch-depth: 0}\n"
        "✗ policy   seatrial.yaml:4: no metric is called recal\n"
        "           → did you mean recall?\n"
        "· token    --offline\n"
        "\n"
        "1 to mend, 1 to look at, 1 skipped, 1 fine\n"
    )


def test_colour_only_where_it_was_asked_for() -> None:
    """Without colour there is no escape sequence; with it the words are the same."""
    assert "\x1b" not in render_checkup(CHECKUP, RenderOptions())
    assert "\x1b[1;31m✗\x1b[0m policy" in render_checkup(CHECKUP, RenderOptions(colour=True))


def test_a_long_message_is_wrapped_and_no_name_reaches_the_terminal_raw() -> None:
    """Lines fit the terminal; control characters of a stranger's names are gone."""
    checkup = Checkup(checks=(fail("metrics", f"evil\x1b[2J {'word ' * 40}"),))
    text = render_checkup(checkup, RenderOptions(width=80))
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_only_the_first_of_many_are_listed() -> None:
    """The rest is counted."""
    assert shorten([fail("metrics", str(number)) for number in range(9)])[-1].message == "4; and 4 more like these"
    assert name_some(str(number) for number in range(8)) == "0, 1, 2, 3, 4 and 3 more"


def test_only_failures_make_the_doctor_fail() -> None:
    """What is to be looked at does not stop a script."""
    assert CHECKUP.fails
    assert not Checkup(checks=(warn("history", "shallow"),)).fails


def test_a_diff_is_coloured_by_its_signs_and_disarmed() -> None:
    """A file's escape sequences are shown, not obeyed."""
    assert render_diff("+a\x1b[2J\tb\n", colour=False) == "+a\\x1b[2J\tb\n"
    assert render_diff("+a\n b\n-c\n", colour=True) == "\x1b[32m+a\x1b[0m\n b\n\x1b[31m-c\x1b[0m\n"
