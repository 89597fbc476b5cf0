"""Text for people and machines on both streams: no token in it, no command to a runner, colour on terminals alone."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import click

from seatrial import __version__
from seatrial.errors import UsageError

if TYPE_CHECKING:
    from seatrial.render import RenderOptions


def tell_columns(lines: tuple[str, ...]) -> None:
    """Lines in columns, on standard error."""
    with contextlib.suppress(OSError):  # that nobody can be told does not change the exit code
        click.echo(disarm_lines("\n".join(map(spell_columns, lines))), err=True)


def spell_columns(line: str) -> str:
    """A line in which two spaces and more part columns, and stay."""
    import re

    from seatrial.render.characters import readable

    return "".join(part if part.isspace() else readable(part) for part in re.split(r"( {2,})", line))


def tell_progress(line: str) -> None:
    """What takes its time, on standard error."""
    tell(f"seatrial: {line}")


def say_nothing(_: str) -> None:
    """The same for `--quiet`."""


def terminal_options() -> RenderOptions:
    """Colour and width of a terminal, plain text for anything else."""
    from seatrial.render import RenderOptions

    if not (sys.stdout and sys.stdout.isatty()):  # None where a script has closed it
        return RenderOptions()
    import shutil

    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return RenderOptions(colour=colour, width=shutil.get_terminal_size().columns)


def print_text(text: str) -> None:
    """The text for standard output, as it is; UsageError where the disk behind it is full."""
    try:
        click.echo(text, nl=False, color=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"standard output can't be written: {error.strerror}") from None


def tell(text: str) -> None:
    """One line on standard error, whoever wrote its words."""
    from seatrial.render.characters import readable

    _tell_lines(readable(text))


def _tell_lines(text: str) -> None:
    """The same for a text whose lines and indents are ours, such as a piece of YAML to copy."""
    from seatrial.render.characters import readable

    shown = _conceal_tokens(text).splitlines()
    lines = [" " * (len(line) - len(line.lstrip())) + readable(line.lstrip()) for line in shown]
    with contextlib.suppress(OSError):  # that nobody can be told does not change the exit code
        click.echo(disarm_lines("\n".join(lines)), err=True)


_TOKENS = (
    "SEATRIAL_TOKEN",
    "REPO_TOKEN",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "CI_JOB_TOKEN",
    "FORGEJO_TOKEN",
    "GITEA_TOKEN",
    "BITBUCKET_TOKEN",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "SEATRIAL_SIGN_PASSWORD",
)


def _conceal_tokens(text: str) -> str:
    """The text without the tokens of forges and registries: an exception of somebody else's library may hold one."""
    for name in _TOKENS:
        token = os.environ.get(name, "").strip()
        for form in (token, repr(token)[1:-1]):  # what holds a line end is shown escaped
            text = text.replace(form, "***") if form else text
    return text


def tell_runner(command: str) -> None:
    """A command of ours to a runner of GitHub Actions, on standard error; nothing where there is none."""
    if runs_in_actions():
        with contextlib.suppress(OSError):
            click.echo(_conceal_tokens(command), err=True)


def disarm_lines(text: str) -> str:
    """Text for a log of GitHub Actions in which no line is a command to its runner (`::add-mask::`, `##[group]`).

    Names out of a pull request stand in it, and the runner obeys whatever a step prints.
    """
    if not runs_in_actions():
        return text
    from seatrial.render.logs import disarm_text

    return disarm_text(text)


def disarm_as(text: str, shape: str) -> str:
    """The same for a text in one of the formats that machines read."""
    if not runs_in_actions():
        return text
    from seatrial.render.logs import disarm

    return disarm(text, shape)


def runs_in_actions() -> bool:
    """Whether a runner of GitHub Actions, or of one that takes its commands, reads what is printed."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _head(word: str, colour: str) -> None:
    with contextlib.suppress(OSError):
        click.secho(word, fg=colour, bold=True, err=True, nl=False)


def show_error(message: str, hint: str) -> None:
    """What is wrong and, where it is known, what to do next, on standard error."""
    _head("error: ", "red")
    tell(message)
    if hint:
        _head("next:  ", "cyan")
        _tell_lines(hint)


def show_defect(error: Exception) -> None:
    """Tell a defect as a report that can be sent as it is; nothing of the environment is in it."""
    import platform
    import traceback

    show_error(
        f"a defect of seatrial: {type(error).__name__}: {error}",
        "please report it at https://github.com/seatrial/seatrial/issues with the lines below",
    )
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    tell(f"seatrial {__version__}, {python}")
    _tell_lines("".join(traceback.format_exception(error)))
