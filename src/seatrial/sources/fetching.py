"""Bringing what is nowhere on this machine, by the user's own DVC: its remotes, credentials and plugins apply.

DVC fetches a file of the work tree, or of every commit there is. To get just the files of two commits by one call, a
project is made for it beside everything: the settings and the cache of the real one, and an output for each file.
"""

from __future__ import annotations

import os
import posixpath
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from seatrial.core.metrics import Snapshot, State
from seatrial.core.revision import Revision
from seatrial.git import Repository
from seatrial.sources.cache import open_cache
from seatrial.sources.dvcfiles import Project, list_entries
from seatrial.sources.remedies import group_by_project
from seatrial.sources.reproduction import without_tokens
from seatrial.sources.snapshot import follow_link, locate_out, open_revision
from seatrial.sources.tree import Tree

if TYPE_CHECKING:
    from configparser import RawConfigParser

# All calls of one run together; long enough for predictions, short enough for a remote that never answers.
MAX_SECONDS = 120
_MAX_BYTES = 1 << 20
_MOST_SAID = 300
# What identifies the bytes at a remote; where they lie in the project does not.
_IDENTITY = ("md5", "hash", "size", "nfiles", "etag", "version_id", "cloud", "files", "remote")
_DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")
# Settings whose value DVC sees from the directory of the file that they stand in.
_PATHS = (
    "url",
    "gdrive_user_credentials_file",
    "gdrive_service_account_json_file_path",
    "credentialpath",
    "configpath",
    "keyfile",
    "cert_path",
    "key_path",
)
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


class Wanted(Struct, frozen=True, kw_only=True):
    """A file of one side whose bytes are nowhere here: an output, or what lies below one."""

    revision: Revision
    path: str


def list_missing(snapshot: Snapshot) -> tuple[Wanted, ...]:
    """The metrics and parameters files of a side whose bytes only a remote may have."""
    files = (*snapshot.metrics, *snapshot.params)
    return tuple(
        Wanted(revision=snapshot.revision, path=file.problem.path)
        for file in files
        if file.problem and file.problem.state is State.MISSING_CACHE
    )


def is_elsewhere(repository: Repository, wanted: Wanted) -> bool:
    """Whether a path is an output whose bytes are not, or not all, on this machine."""
    if _find_entry(*open_revision(repository, wanted.revision), wanted.path) is None:
        return False
    out = locate_out(repository, wanted.revision, wanted.path)
    return out is None or bool(out.missing)


def fetch_missing(repository: Repository, wanted: Iterable[Wanted], *, seconds: float = MAX_SECONDS) -> str:
    """Run `dvc fetch` once per DVC project for all files together; empty, or why something did not come.

    Nothing is checked out: the bytes go to DVC's cache, where the next reading finds them. It ends within `seconds`
    and raises nothing: what did not come is missing as before.
    """
    import shutil

    dvc = shutil.which("dvc")
    if repository.bare or dvc is None:
        return "a bare repository has no settings of DVC" if repository.bare else "`dvc` is not on PATH"
    end = time.monotonic() + seconds
    reasons = [
        _fetch_project(dvc, repository.root / root, entries, end - time.monotonic())
        for root, entries in _group_entries(repository, wanted).items()
    ]
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


class _Entry(Struct, frozen=True, kw_only=True):
    """One output to fetch: what dvc.lock writes of it, and the path below it that is wanted (empty: all)."""

    written: Mapping[str, object]
    below: str


def _group_entries(repository: Repository, wanted: Iterable[Wanted]) -> dict[str, list[_Entry]]:
    """What to fetch, by the directory of the DVC project whose settings tell from where."""
    groups: dict[str, list[_Entry]] = {}
    opened: dict[Revision, tuple[Tree, Project]] = {}
    for one in dict.fromkeys(wanted):
        if one.revision not in opened:
            opened[one.revision] = open_revision(repository, one.revision)
        tree, project = opened[one.revision]
        entry = _find_entry(tree, project, one.path)
        if entry is None:
            continue
        on_disk = [root for root in project.roots if (repository.root / root / ".dvc").is_dir()]
        (root,) = group_by_project([one.path], on_disk)
        if entry not in groups.setdefault(root, []):
            groups[root].append(entry)
    return groups


def _find_entry(tree: Tree, project: Project, path: str) -> _Entry | None:
    """The output that a path is, lies in or leads to by a link, where DVC knows its bytes by a digest or a version."""
    path = posixpath.normpath(path)
    return _find_entry_at(project, path) or _find_entry_at(project, follow_link(tree, path))


def _find_entry_at(project: Project, path: str) -> _Entry | None:
    """The same without links; the innermost where outputs lie in each other."""
    found = [(out, entry) for out, entry in list_entries(project) if path == out or path.startswith(f"{out}/")]
    if not found:
        return None
    out, entry = max(found, key=lambda pair: len(pair[0]))
    written = {name: entry[name] for name in _IDENTITY if name in entry}
    digest = written.get("md5")
    if not written.keys() & {"md5", "files", "cloud"} or not (digest is None or _DIGEST.fullmatch(str(digest))):
        return None
    if out in project.remotes:
        written["remote"] = project.remotes[out]
    return _Entry(written=written, below=path[len(out) + 1 :])


def _fetch_project(dvc: str, root: Path, entries: list[_Entry], seconds: float) -> str:
    """Fetch into the cache of the project at `root`; empty, or what DVC said."""
    if seconds <= 0:
        return "there was no time left for `dvc fetch`"
    import tempfile
    from configparser import Error as SettingsError

    # A failed clean-up is no failure of the run.
    with tempfile.TemporaryDirectory(prefix="seatrial-", ignore_cleanup_errors=True) as directory:
        try:
            targets = _write_project(Path(directory), root, entries)
        except (OSError, SettingsError, UnicodeDecodeError) as error:
            return f"the settings of DVC can't be read: {_shorten(str(error))}"
        code, said = _run([dvc, "fetch", *targets], Path(directory), seconds)
        if code is None:
            return f"`dvc fetch` had no answer within {seconds:.0f} seconds"
        return _explain(code, said.replace(f"{directory}/", ""))


def _write_project(directory: Path, root: Path, entries: list[_Entry]) -> list[str]:
    """A DVC project that has the settings and the cache of another, and these outputs; their names in it."""
    import json

    dvc = directory / ".dvc"
    dvc.mkdir()
    # The user's own settings are found by DVC itself.
    settings = {name: read_settings(root / ".dvc" / name) for name in ("config", "config.local")}
    _set(settings["config.local"], "core", {"no_scm": "true", "analytics": "false", "check_update": "false"})
    _set(settings["config.local"], "cache", {"dir": str(open_cache(root).directories[0])})
    for name, parser in settings.items():
        with (dvc / name).open("w", encoding="utf-8") as file:
            parser.write(file)
    for number, entry in enumerate(entries):
        out = {**entry.written, "path": f"out{number}"}
        (directory / f"out{number}.dvc").write_text(json.dumps({"outs": [out]}), encoding="utf-8")
    return [posixpath.join(f"out{number}", entry.below).rstrip("/") for number, entry in enumerate(entries)]


def read_settings(file: Path) -> RawConfigParser:
    """DVC's settings with every path made absolute; empty where there is no such file."""
    from configparser import RawConfigParser

    parser = RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",), default_section="\0")
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    if not file.is_file():
        return parser
    with file.open("rb") as opened:
        text = opened.read(_MAX_BYTES).decode("utf-8")
    # Indents mean nothing to DVC, and a continued line to this parser.
    parser.read_string("\n".join(line.strip() for line in text.splitlines()))
    for section in parser.sections():
        for name, value in parser.items(section):
            if name in _PATHS:
                parser.set(section, name, _make_absolute(value.strip("'\""), file.parent))
    return parser


def _make_absolute(value: str, directory: Path) -> str:
    if re.match(r"\w+://", value) or value.startswith(("~", "/")):
        return value
    return os.path.normpath(directory / value)


def _set(parser: RawConfigParser, section: str, values: Mapping[str, str]) -> None:
    if not parser.has_section(section):
        parser.add_section(section)
    for name, value in values.items():
        parser.set(section, name, value)


def _run(command: list[str], directory: Path, seconds: float) -> tuple[int | None, str]:
    """The exit code and the output of a command; no code where it did not end in time, and was ended.

    It is a session of its own: a question for a password has no terminal, and what it started ends with it.
    """
    import tempfile

    env = {name: value for name, value in without_tokens(os.environ).items() if name not in _FOREIGN}
    env |= {"DVC_SITE_CACHE_DIR": str(directory / "site"), "DVC_NO_ANALYTICS": "1"}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            _end(process)
        said.seek(0)
        return code, said.read(_MAX_BYTES).decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _explain(code: int, said: str) -> str:
    """Why something did not come, in one line; empty where DVC is content."""
    if "No remote provided and no default remote set" in said:
        return "the DVC project has no default remote"
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR")]
    if errors:
        return f"`dvc fetch` failed: {_shorten(errors[-1].removeprefix('unexpected error - '))}"
    if "Missing cache files" in said:
        return "`dvc fetch` did not find it at the remote, or the remote can't be reached"
    lines = [line for line in said.splitlines() if line.strip()]
    return f"`dvc fetch` failed: {_shorten(lines[-1]) if lines else f'exit code {code}'}" if code else ""


def _shorten(text: str) -> str:
    """One line without what an address may carry: a name, a password, a signature; a report is read by many."""
    line = " ".join(text.split())
    line = re.sub(r"//[^/@\s]+@", "//", re.sub(r"\?[^\s'\")]*", "", line))
    return line[:_MOST_SAID]
