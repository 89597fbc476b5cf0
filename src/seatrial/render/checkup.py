"""The checks of `seatrial doctor` for a terminal: a sign and a line each, and below what mends it."""

from __future__ import annotations

import textwrap

from seatrial.core.checkup import Check, Checkup, Health
from seatrial.core.document import Mark
from seatrial.render import RenderOptions
from seatrial.render.characters import readable
from seatrial.render.signs import SIGNS

_MARKS = {
    Health.OK: Mark.PASSED,
    Health.WARN: Mark.WARNED,
    Health.FAIL: Mark.FAILED,
    Health.SKIPPED: Mark.NEUTRAL,
}
_CODES = {"green": "32", "yellow": "33", "red": "31", "bright_black": "90"}
_NARROWEST = 60


def render_checkup(checkup: Checkup, options: RenderOptions) -> str:
    """The checks as text, ending with a newline; lines that are to be copied are never broken."""
    width = max(len(check.name) for check in checkup.checks) if checkup.checks else 0
    lines = [line for check in checkup.checks for line in _write(check, width, options)]
    return "\n".join([*lines, "", checkup.summary]) + "\n"


def _write(check: Check, width: int, options: RenderOptions) -> list[str]:
    style = SIGNS[_MARKS[check.health]]
    sign = f"\x1b[1;{_CODES[style.colour]}m{style.character}\x1b[0m" if options.colour else style.character
    indent = " " * (width + 4)
    room = max(options.width or 10_000, _NARROWEST) - len(indent)
    first, *rest = textwrap.wrap(readable(check.message), room, break_on_hyphens=False, break_long_words=False) or [""]
    lines = [f"{sign} {readable(check.name):<{width}}  {first}".rstrip(), *(f"{indent}{line}" for line in rest)]
    for number, line in enumerate(check.remedy.splitlines()):
        kept = " " * (len(line) - len(line.lstrip())) + readable(line.lstrip())
        lines.append(f"{indent}{'→ ' if number == 0 else '  '}{kept}")
    return lines
