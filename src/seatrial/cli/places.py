"""What the commands have in common that work on a place of releases: their options, and how they answer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from seatrial.cli.messages import disarm_as, disarm_lines, print_text, spell_columns, tell_progress
from seatrial.cli.options import named_git_dir

if TYPE_CHECKING:
    from seatrial.commands.environments import Said
    from seatrial.core.environment import Environment
    from seatrial.core.registry import RegistryReport
    from seatrial.deploy.target import Target


def check_place(context: click.Context, parameter: click.Parameter, place: str | None) -> str | None:
    """The path of a directory, which need not be there yet, or an address."""
    from seatrial.deploy.places import is_address

    return (
        place
        if place is None or is_address(place)
        else str(click.Path(file_okay=False).convert(place, parameter, context))
    )


environment_option = click.option(
    "-e",
    "--environment",
    envvar="SEATRIAL_ENVIRONMENT",
    metavar="NAME",
    help="One of `environments:` in seatrial.yaml; other options win over what stands there.",
)
to_option = click.option(
    "--to",
    "place",
    envvar="SEATRIAL_TO",
    callback=check_place,
    metavar="PLACE",
    help="What holds the releases: a directory, or an address such as s3://bucket/prefix.",
)
target_option = click.option(
    "--target",
    "kind",
    envvar="SEATRIAL_TARGET",
    help="What kind of place that is: local, command (your scripts), huggingface, kserve, kubernetes, "
    "tensorflow-serving, or one that another package brings."
    "  [default: local]",
)
verify_key_option = click.option(
    "--verify-key",
    envvar="SEATRIAL_VERIFY_KEY",
    metavar="FILE",
    help="Public keys in PEM: whatever is not signed with one of them is refused.",
)
allow_pickles_option = click.option(
    "--allow-pickles",
    is_flag=True,
    envvar="SEATRIAL_ALLOW_PICKLES",
    help="Load the pickles that a release names, which runs whatever their author wrote.",
)


def choose_environment(directory: Path, name: str | None, said: Said, config_path: Path | None) -> Environment:
    """The environment that a command line means."""
    from seatrial.commands import environments

    return environments.choose_environment(directory, name, said, config_path=config_path, git_dir=named_git_dir())


def announce(directory: Path, environment: Environment, targets: Mapping[str, Target]) -> tuple[RegistryReport, ...]:
    """Let the environment's registries say what is live; what that did is told on standard error."""
    if not environment.registries:
        return ()
    from seatrial.commands import registering

    reports = tuple(
        report
        for name, target in targets.items()
        for report in registering.announce(
            environment, target, name, directory=directory, environ=os.environ, git_dir=named_git_dir()
        )
    )
    for line in registering.describe_reports(reports):
        tell_progress(line)
    return reports


def show_facts(facts: object, lines: tuple[str, ...], shape: str) -> None:
    """The same for machines or for people, on standard output."""
    if shape == "json":
        import msgspec

        print_text(disarm_as(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode() + "\n", "json"))
        return
    print_text(disarm_lines("".join(f"{spell_columns(line)}\n" for line in lines)))
