"""A unified diff for the terminal: coloured where that was asked for, and with no character that would act there."""

from __future__ import annotations

_COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
_END = "\x1b[0m"


def render_diff(diff: str, *, colour: bool) -> str:
    """The lines of a diff, ending with a newline; signs in front say what colour says, too."""
    return "".join(f"{_render_line(line, colour=colour)}\n" for line in diff.splitlines())


def _render_line(line: str, *, colour: bool) -> str:
    shown = "".join(char if char.isprintable() or char == "\t" else repr(char)[1:-1] for char in line)
    return f"{_COLOURS[line[0]]}{shown}{_END}" if colour and line[:1] in _COLOURS else shown
