"""Where models go: what a command line says, over what seatrial.yaml says of the environment that it names."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from seatrial.commands.compare import read_config
from seatrial.config import DEFAULT_NAME, Config
from seatrial.config.faults import suggest
from seatrial.core.environment import Environment
from seatrial.deploy.places import resolve_place
from seatrial.deploy.signing import locate_key
from seatrial.errors import UsageError
from seatrial.git import Repository


class Said(Struct, frozen=True, kw_only=True):
    """What a command line says itself; None where it leaves it to the environment."""

    place: str | None = None
    kind: str | None = None
    address: str | None = None
    keep: int | None = None
    verify_key: str | None = None
    allow_pickles: bool = False


def choose_environment(
    directory: Path, name: str | None, said: Said, *, config_path: Path | None = None, git_dir: Path | None = None
) -> Environment:
    """The environment that a command works on: every command that opens a target begins with it.

    Paths of the command line are seen from `directory`, those in seatrial.yaml from the file. UsageError for an unknown
    name, and where neither says a place.
    """
    declared = Environment() if name is None else _find(directory, name, config_path, git_dir)
    place = declared.to if said.place is None else resolve_place(directory, said.place)
    if not place:
        where = f"environment {declared.name} names no place" if declared.name else "no place is named"
        hint = "--to PLACE; or `environments: {NAME: {to: PLACE}}` in seatrial.yaml, and --environment NAME"
        raise UsageError(where, hint=hint)
    return msgspec.structs.replace(
        declared,
        to=place,
        target=declared.target if said.kind is None else said.kind,
        address=declared.address if said.address is None else said.address,
        keep=declared.keep if said.keep is None else said.keep,
        allow_pickles=said.allow_pickles,
        verify_key=declared.verify_key if said.verify_key is None else locate_key(directory, said.verify_key),
        # What is live somewhere else is not what is live in the environment.
        registries=declared.registries if declared.to in {"", place} and said.kind in {None, declared.target} else (),
    )


def _find(directory: Path, name: str, config_path: Path | None, git_dir: Path | None) -> Environment:
    path = config_path or _locate(directory, git_dir)
    config = read_config(path, path.name) if config_path or path.exists() else Config()
    known = {each.name: each for each in config.environments}
    if name not in known:
        otherwise = f"environments of {path.name}: {', '.join(known) or 'none'}"
        raise UsageError(f"there is no environment {name!r}", hint=suggest(name, known, otherwise))
    found, key = known[name], known[name].verify_key
    return msgspec.structs.replace(
        found,
        to=resolve_place(path.parent, found.to) if found.to else "",
        verify_key=locate_key(path.parent, key) if key else "",
    )


def _locate(directory: Path, git_dir: Path | None) -> Path:
    """seatrial.yaml at the repository's root; where there is no repository, or a bare one, in the directory."""
    try:
        repository = Repository.discover(directory, git_dir)
    except UsageError:
        return directory / DEFAULT_NAME
    return (directory if repository.bare else repository.root) / DEFAULT_NAME
