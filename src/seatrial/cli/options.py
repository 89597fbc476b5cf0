"""Options that several commands have, each said once."""

from __future__ import annotations

from pathlib import Path

import click

GIT_DIR = "seatrial.git_dir"


def from_directory(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """A path as `-C` means it: seen from the directory that the command runs as if started in."""
    return None if path is None else context.obj / path


config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    callback=from_directory,
    envvar="SEATRIAL_CONFIG",
    help="The policy.  [default: seatrial.yaml at the repository's root, if there is one]",
)
fetch_option = click.option(
    "--fetch/--no-fetch",
    envvar="SEATRIAL_FETCH",
    default=True,
    show_default=True,
    help="Fetch by `dvc` what is nowhere on this machine.",
)
engine_option = click.option(
    "--engine",
    envvar="SEATRIAL_ENGINE",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where predictions are summed: on this machine, or on the Ray cluster of RAY_ADDRESS (seatrial[ray]).",
)
facts_option = click.option(
    "--format",
    "shape",
    type=click.Choice(["terminal", "json"]),
    default="terminal",
    show_default=True,
    help="For people, or machines.",
)
all_option = click.option("--all", "show_all", is_flag=True, envvar="SEATRIAL_ALL", help="List unchanged values too.")


def named_git_dir() -> Path | None:
    """What the global option `--git-dir` named."""
    named: Path | None = click.get_current_context().meta[GIT_DIR]
    return named
