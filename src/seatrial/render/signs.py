"""How a mark looks and what it is called: one table for all formats, never colour alone."""

from __future__ import annotations

from msgspec import Struct

from seatrial.core.document import Mark


class SignStyle(Struct, frozen=True, kw_only=True):
    """A mark as a word, as an emoji (Markdown), as one plain character (terminal) and as a terminal colour."""

    word: str
    emoji: str
    character: str
    colour: str


SIGNS: dict[Mark, SignStyle] = {
    Mark.PASSED: SignStyle(word="passed", emoji="✅", character="✓", colour="green"),
    Mark.WARNED: SignStyle(word="warning", emoji="⚠️", character="!", colour="yellow"),
    Mark.FAILED: SignStyle(word="failed", emoji="❌", character="✗", colour="red"),
    Mark.INCONCLUSIVE: SignStyle(word="inconclusive", emoji="❓", character="?", colour="magenta"),
    Mark.NEUTRAL: SignStyle(word="for information", emoji="⚪", character="·", colour="bright_black"),
}
