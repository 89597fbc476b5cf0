"""`init` and `doctor`: what a repository needs, and what it lacks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from seatrial.cli.messages import disarm_lines, print_text, runs_in_actions, terminal_options
from seatrial.cli.options import config_option, facts_option, named_git_dir
from seatrial.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from seatrial.commands.init import InitPlan

_EXAMPLE_INIT = """\b
Examples:
  seatrial init                            show what would be written, and ask
  seatrial init --dry-run                  only show it
  seatrial init --forge gitlab --yes

\b
Exit codes: 0 written, declined, or nothing to write, 2 usage or configuration, 70 a defect of seatrial."""
_EXAMPLE_DOCTOR = """\b
Examples:
  seatrial doctor                          is all there that a comparison, a gate and a report need?
  seatrial doctor --offline                in a CI job: do not ask the forge what the token may do
  seatrial doctor --format json

\b
Exit codes: 0 nothing fails, 1 something has to be mended, 2 usage, 70 a defect of seatrial."""


@click.command(epilog=_EXAMPLE_INIT)
@click.option(
    "--forge",
    type=click.Choice(["github", "gitlab", "gitea", "bitbucket"]),
    help="Whose CI file is written.  [default: what the remote's address or the files tell]",
)
@click.option("-y", "--yes", is_flag=True, help="Write without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would be written; write nothing.")
@click.pass_obj
def init(directory: Path, forge: str | None, yes: bool, dry_run: bool) -> None:
    """Write a CI file and a first seatrial.yaml, made for what the repository holds.

    Shows every change as a diff and asks once. A file that is there keeps its text: a policy or workflow stays as
    it is, a .gitlab-ci.yml is added to.
    """
    from seatrial.commands.init import plan_init
    from seatrial.commands.writing import write_changes

    asked = not (yes or dry_run) and sys.stdin is not None and sys.stdin.isatty()
    drafted = plan_init(directory, forge=forge, ask=_ask_forge if asked else None, git_dir=named_git_dir())
    _show_draft(drafted)
    if dry_run or not drafted.changes:
        return
    names = " and ".join(change.path for change in drafted.changes)
    if not yes and not asked:
        raise UsageError("nothing was written: there is nobody to ask", hint="seatrial init --yes, or --dry-run")
    if not yes and not click.confirm(f"Write {names}?", err=True):
        click.echo("nothing was written", err=True)
        return
    write_changes(drafted.root, drafted.changes)
    print_text(f"wrote {names}; next: seatrial doctor, then git add {names.replace(' and ', ' ')}\n")


@click.command(epilog=_EXAMPLE_DOCTOR)
@facts_option
@click.option("--offline", is_flag=True, help="Ask no forge, even where there is a token.")
@config_option
@click.pass_obj
def doctor(directory: Path, shape: str, offline: bool, config_path: Path | None) -> None:
    """Look for what keeps seatrial from working here, and say what mends each.

    Looks at git, the DVC project, the policy and what it names, the CI files, and in a CI job at what its token may do.
    Nothing is changed.
    """
    from seatrial.commands.doctor import examine

    checkup = examine(directory, os.environ, config_path=config_path, offline=offline, git_dir=named_git_dir())
    if shape == "json":
        import msgspec

        from seatrial.render.logs import disarm

        text = msgspec.json.format(msgspec.json.encode(checkup), indent=2).decode() + "\n"
        print_text(disarm(text, "json") if runs_in_actions() else text)
    else:
        from seatrial.render.checkup import render_checkup

        print_text(disarm_lines(render_checkup(checkup, terminal_options())))
    sys.exit(ExitCode.FAILED if checkup.fails else ExitCode.PASSED)


def _ask_forge() -> str:
    choice = click.Choice(["github", "gitlab", "gitea", "bitbucket"])
    asked: str = click.prompt("Which forge?", type=choice, err=True)
    return asked


def _show_draft(drafted: InitPlan) -> None:
    """What was found, every diff, and what is left to do."""
    from seatrial.render.characters import readable
    from seatrial.render.diff import render_diff

    colour = terminal_options().colour
    parts = ["".join(f"{readable(line)}\n" for line in drafted.found)]
    parts += [render_diff(change.diff(), colour=colour) for change in drafted.changes]
    for change in drafted.kept:
        parts.append(f"only shown, {change.path} is kept:\n{render_diff(change.diff(), colour=colour)}")
    parts.append("".join(f"{_spell_advice(line)}\n" for line in drafted.advice))
    print_text(disarm_lines("\n".join(part for part in parts if part)))


def _spell_advice(text: str) -> str:
    """One piece of advice; the lines of what is to be copied keep their indents."""
    from seatrial.render.characters import readable

    first, *rest = text.splitlines()
    copied = (" " * (len(line) - len(line.lstrip())) + readable(line.lstrip()) for line in rest)
    return "\n  ".join((f"- {readable(first)}", *copied))
