"""The command line: flags in, text and exit codes out; the one place where errors end a run."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from seatrial import __version__
from seatrial.cli.messages import show_defect, show_error
from seatrial.cli.options import GIT_DIR
from seatrial.errors import ExitCode, SeatrialError

# Where each command is. Its file is loaded when it is asked for: `compare` must not wait for the others.
_ROOMS: Mapping[str, str] = {
    "ci": "reports",
    "compare": "comparison",
    "deploy": "delivery",
    "doctor": "setup",
    "history": "comparison",
    "init": "setup",
    "monitor": "monitoring",
    "plan": "comparison",
    "publish": "reports",
    "release": "delivery",
    "releases": "live",
    "rollback": "delivery",
    "serve": "live",
    "status": "live",
}


class _ReaderGoneError(Exception):
    """The reader of a pipe went away; click would make it exit code 1, which says that a gate failed."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_ROOMS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ROOMS:
            return None
        command: click.Command = getattr(import_module(f"seatrial.cli.{_ROOMS[cmd_name]}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _ReaderGoneError from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="seatrial")
@click.option(
    "-C",
    "directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="Run as if started in this directory.",
)
@click.option(
    "--git-dir",
    type=click.Path(path_type=Path),
    help="The repository, where it is not the one around this directory: a bare one, to compare two commits.",
)
@click.pass_context
def cli(context: click.Context, directory: Path, git_dir: Path | None) -> None:
    """Continuous delivery for machine-learning models in DVC projects.

    Compare a change's metrics with those of the main branch, judge them by the gates in seatrial.yaml,
    report, and deliver the model that was judged.
    """
    context.obj = directory
    context.meta[GIT_DIR] = git_dir


def main() -> NoReturn:
    """Run the command line and exit; every error becomes one message, one hint and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another character set still gets the verdict; its signs are spelled as codes there.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        result = cli.main(prog_name="seatrial", standalone_mode=False)
    except SeatrialError as error:
        show_error(error.message, error.hint)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        show_error("interrupted", "")
        sys.exit(130)
    except (BrokenPipeError, _ReaderGoneError):
        # The reader of a pipe went away (`| head`): nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:  # noqa: BLE001 - the boundary: a defect must not look like a verdict
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            show_error(f"{error.filename or 'standard output'} can't be written: {error.strerror}", "make room there")
            sys.exit(ExitCode.USAGE)
        show_defect(error)
        sys.exit(ExitCode.DEFECT)
    sys.exit(result if isinstance(result, int) else 0)
