"""`seatrial compare`: the inner loop, with no forge and no token."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from seatrial.commands.baseline import Ends, choose_range
from seatrial.commands.measure import Measurement, Progress, Selection, measure
from seatrial.config import DEFAULT_NAME, Config, parse_config
from seatrial.core.revision import Revision
from seatrial.errors import UsageError
from seatrial.git import Repository
from seatrial.render import RENDERERS, RenderOptions
from seatrial.render.logs import disarm

_PART = 1 << 20


class Destination(Struct, frozen=True, kw_only=True):
    """One rendering of the report; `path` None is standard output."""

    format: str
    path: Path | None


def compare_revisions(
    directory: Path,
    *,
    base: str | None,
    head: str | None,
    config_path: Path | None,
    selection: Selection,
    git_dir: Path | None = None,
    fetching: Progress | None = None,
) -> Measurement:
    """Compare and judge as on a laptop. The policy is the work tree's; in a bare repository, that of its HEAD."""
    repository = Repository.discover(directory, git_dir)
    config = load_config(repository, config_path)
    revisions = choose_range(repository, Ends.parse(base, head))
    return measure(repository, revisions, config, selection, fetching=fetching)


def load_config(repository: Repository, path: Path | None) -> Config:
    """The policy of the work tree: the file that was named, else seatrial.yaml at the root, else the defaults."""
    if path is None and repository.bare:
        return load_config_at(repository, Revision(name="HEAD", sha=repository.head_sha()), None) or Config()
    chosen = path or repository.root / DEFAULT_NAME
    if path is None and not chosen.is_symlink() and not chosen.exists():
        return Config()
    return read_config(chosen, str(path) if path else DEFAULT_NAME)


def read_config(path: Path, name: str) -> Config:
    """The policy in a file, whose faults are told with a name."""
    try:
        # A link may lead to what has no end, such as a pipe or /dev/zero.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"--config {path}: is not a file", hint="name a seatrial.yaml")
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}", hint="name a seatrial.yaml") from None
    return parse_config(text, name)


def load_config_at(repository: Repository, revision: Revision, path: Path | None) -> Config | None:
    """The policy as a commit holds it, or None where that commit has none, or it lies outside of the repository."""
    from seatrial.sources.snapshot import is_linked, read_text

    name = locate_config(repository, path) if path else DEFAULT_NAME
    if name is None:
        return None
    if is_linked(repository, revision, name):
        # To call it absent would let the candidate's own policy judge; to follow it, a file that nobody guards.
        raise UsageError(
            f"{name} of {revision} is a symbolic link, and a policy is read from files alone",
            hint="name the file that it leads to: --config",
        )
    text = read_text(repository, revision, name)
    return None if text is None else parse_config(text, str(path) if path else DEFAULT_NAME)


def locate_config(repository: Repository, path: Path) -> str | None:
    """A policy's path from the repository's root, however it was spelled and from wherever; None for one elsewhere.

    Links within the repository are not followed: a change could let them lead to a policy of its own.
    """
    for spelled in (Path(os.path.normpath(Path.cwd() / path)), path.parent.resolve() / path.name):
        if spelled.is_relative_to(repository.root):
            return spelled.relative_to(repository.root).as_posix()
    return None


def write_outputs(
    measurement: Measurement,
    destinations: tuple[Destination, ...],
    options: Mapping[str, RenderOptions],
    *,
    in_actions: bool = False,
) -> str:
    """Write every destination that is a file, and return the text for standard output.

    A file appears whole or not at all. In GitHub Actions nothing that is printed is a command to its runner.
    """
    printed = []
    for destination in destinations:
        text = RENDERERS[destination.format](measurement.report, options.get(destination.format, RenderOptions()))
        if destination.path is None:
            text = disarm(text, destination.format) if in_actions else text
            printed.append(text if text.endswith("\n") else f"{text}\n")
        else:
            write_whole(destination.path, text)
    return "".join(printed)


def write_plots(measurement: Measurement, directory: Path) -> tuple[str, ...]:
    """Write each plot of the report as SVG and as PNG into a directory; why others are not among them.

    Files of other names are left alone. UsageError where the extra that draws is not installed.
    """
    from seatrial.render.vega import INSTALL, can_draw

    if not can_draw():
        raise UsageError("plots are drawn by vl-convert-python, which is not installed", hint=INSTALL)
    from seatrial.render.plot_files import render_plots

    files, refused = render_plots(measurement.report)
    write_together({directory / name: content for name, content in files.items()}, option="--plots")
    return refused


def write_together(files: Mapping[Path, str | bytes], *, option: str) -> None:
    """Write every file, or none where one has no room; UsageError names the `option` that chose the place."""
    import tempfile

    staged: list[tuple[str, Path]] = []
    made: list[Path] = []
    try:
        for path, content in files.items():
            made += _list_missing(path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            staged.append((beside, path))
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(_encode(content))
            Path(beside).chmod(0o644)
        for name, path in staged:
            Path(name).replace(path)
    except OSError as error:
        for name, _ in staged:
            Path(name).unlink(missing_ok=True)
        for directory in reversed(made):
            with suppress(OSError):  # somebody else's file may be in it by now
                directory.rmdir()
        raise UsageError(f"{path} can't be written: {error.strerror}", hint=f"choose another {option}") from None


def _list_missing(directory: Path) -> list[Path]:
    """The directories that have to be made before this one is there, outermost first."""
    return [one for one in (directory, *directory.parents) if not one.exists()][::-1]


def write_whole(path: Path, content: str | bytes) -> None:
    """Write beside, then rename; UsageError where that can't be done."""
    if _is_special(path):
        _write_through(path, content)
        return
    write_together({path: content}, option="--output")


def _is_special(path: Path) -> bool:
    """Whether a path is a pipe or a device, such as /dev/stdout: renaming over it would remove it."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False  # it is not there, or can't be: the attempt to write tells which
    return path.parent == Path("/dev") or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _encode(content: str | bytes) -> Iterator[bytes]:
    """By parts, or all of a text would be held as bytes as well."""
    for at in range(0, len(content), _PART):
        part = content[at : at + _PART]
        yield part if isinstance(part, bytes) else part.encode()


def _write_through(path: Path, content: str | bytes) -> None:
    try:
        with path.open("wb") as file:
            file.writelines(_encode(content))
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}", hint="choose another --output") from None
