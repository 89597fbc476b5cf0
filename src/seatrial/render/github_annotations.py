"""What a report says at lines of the change, as GitHub's workflow commands: `::error file=…,line=…,title=…::…`.

They need no right and no request, only that a step of the job prints them. GitHub shows ten of a level and drops the
rest without a word, so that the tenth says how many there are.
"""

from __future__ import annotations

from seatrial.core.annotations import Annotation, Level
from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.characters import readable

_MOST = 10
_COMMANDS = {Level.NOTICE: "notice", Level.WARNING: "warning", Level.FAILURE: "error"}
_VERDICTS = {"passed": Level.NOTICE, "warned": Level.WARNING}
_LONGEST_TITLE, _LONGEST = 250, 2_000


def render(report: Report, options: RenderOptions) -> str:
    """The verdict, then at most ten commands of each level with it, a line each."""
    facts = report.facts
    level = _VERDICTS.get(facts.verdict, Level.FAILURE)
    lines = [_write(level, {"title": "seatrial"}, facts.headline)]
    for each in reversed(Level):  # the worst first
        chosen = [annotation for annotation in report.annotations if annotation.level is each]
        room = _MOST - (each is level)
        shown = chosen if len(chosen) <= room else chosen[: room - 1]
        lines += [_write_annotation(annotation) for annotation in shown]
        if left := len(chosen) - len(shown):
            lines.append(_write(each, {"title": "seatrial"}, f"and {left:,} more: the report has them all"))
    return "\n".join(lines) + "\n"


def write_error(title: str, message: str) -> str:
    """One error that belongs to no line of a file, as a command without its line end."""
    return _write(Level.FAILURE, {"title": title}, message)


def _write_annotation(annotation: Annotation) -> str:
    place = {"file": annotation.path, "line": str(annotation.line), "title": annotation.title}
    return _write(annotation.level, place, annotation.message)


def _write(level: Level, properties: dict[str, str], message: str) -> str:
    named = ",".join(f"{name}={_escape_property(value)}" for name, value in properties.items())
    return f"::{_COMMANDS[level]} {named}::{_escape(readable(message, _LONGEST))}"


def _escape(value: str) -> str:
    """Text as the runner reads it: no line of its own, and no command in the older spelling."""
    escaped = value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace("##[", "## [")


def _escape_property(value: str) -> str:
    """A property ends at a comma, and the properties at a colon."""
    return _escape(readable(value, _LONGEST_TITLE)).replace(":", "%3A").replace(",", "%2C")
