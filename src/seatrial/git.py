"""The only place that runs git.

Four traps are handled here, once, for everybody:

- A revision comes from a stranger's branch name or a command line. It is always an argument of its own,
  behind `--end-of-options`, never part of a shell line, and it can't be read as an option.
- A hook runs us with `GIT_DIR` and its relatives set for another purpose; they are dropped, so that the
  repository is the one that the path names. Settings (`GIT_CONFIG_*`) stay: CI uses them.
- CI clones are shallow: a missing parent is not "no parent". `parents` reads the commit itself, and
  `deepen_until` fetches history until the question has an answer.
- git speaks the user's language and asks for passwords. `LC_ALL=C`, no prompt, no pager, and no lock that
  a command of the user's could run into.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO

from msgspec import Struct

from seatrial.errors import CompareError, UsageError

_FETCH_SECONDS = 600
_TAG_SECONDS = 60
_FIRST_DEEPENING = 50
_LINK = b"120000"
_SUBMODULE = b"160000"
_DIRECTORY = frozenset({b"40000", b"040000"})  # some old programs wrote the zero
_FEW = 100  # objects that are not worth a process of their own
_CHUNK = 1 << 20
_PIPE = 1 << 12  # what every pipe holds, wherever we run

_Answer = tuple[str, str, str, "bytes | None"]
_Entry = tuple[bytes, str, str]

# What `git rev-parse --local-env-vars` lists, without the settings (GIT_CONFIG_*) and without the object
# directories, which a server-side hook needs to see the pushed objects.
_FOREIGN_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_IMPLICIT_WORK_TREE",
)


class GitError(Exception):
    """git answered with an error; callers turn it into one that says what to do."""

    def __init__(self, arguments: tuple[str, ...], message: str) -> None:
        super().__init__(f"git {arguments[0] if arguments else ''}: {message}")
        self.message = message


class FileStep(Struct, frozen=True):
    """A file that a commit changed: its blob before and after, None where it was no file then (a link is none)."""

    path: str
    before: str | None
    after: str | None


class TreeListing(Struct, frozen=True, kw_only=True):
    """The files and the symbolic links of a commit, each by its path from the root, with its blob."""

    files: Mapping[str, str]
    links: Mapping[str, str]


class LineCommit(Struct, frozen=True, kw_only=True):
    """A commit of a branch's own line; `time` is when it was committed, in seconds of Unix."""

    sha: str
    time: int
    subject: str
    steps: tuple[FileStep, ...]


class Tag(Struct, frozen=True, kw_only=True):
    """A tag: its own object, and the commit that it leads to, which are one where it is but a name (lightweight)."""

    oid: str
    commit: str

    @property
    def annotated(self) -> bool:
        """Whether it says by whom and when it was made."""
        return self.oid != self.commit


class Repository(Struct, frozen=True):
    """A git repository; `root` is the top directory of its work tree, absolute.

    `git_dir` is set where the repository was named instead of found. A bare one has no work tree: `root` is then the
    repository itself.
    """

    root: Path
    git_dir: Path | None = None
    bare: bool = False

    @classmethod
    def discover(cls, path: Path, git_dir: Path | None = None) -> Repository:
        """The repository that holds `path`; UsageError where there is none, or where git refuses it.

        `git_dir` names one instead, as git's own option does: its work tree is the one that it is configured with, else
        `path`, else (in a bare one) none.
        """
        directory = path if path.is_dir() else path.parent
        try:
            if git_dir is not None:
                return cls._open(directory, Path(os.path.realpath(directory / git_dir)))
            return cls(Path(_run(directory, "rev-parse", "--show-toplevel").removesuffix("\n")))
        except GitError as error:
            raise _explain_no_repository(git_dir or directory, error.message) from None

    @classmethod
    def _open(cls, directory: Path, git_dir: Path) -> Repository:
        if _run(directory, "rev-parse", "--is-bare-repository", git_dir=git_dir).strip() == "true":
            return cls(git_dir, git_dir, bare=True)
        root = _run(directory, "rev-parse", "--show-toplevel", git_dir=git_dir)
        return cls(Path(root.removesuffix("\n")), git_dir)

    # -- revisions

    def resolve(self, revision: str) -> str:
        """The commit that a revision names: 40 (or 64) hexadecimal digits.

        A branch that is known only from a remote is found by its own name, as in a fresh CI clone where
        `main` exists as `origin/main` alone. UsageError where nothing is found.
        """
        sha = self._find_commit(revision)
        if sha is None and revision == "HEAD":
            return self.head_sha()
        sha = sha or self._find_remote_branch(revision)
        if sha is None:
            raise self._explain_unknown(revision)
        return sha

    def contains(self, sha: str) -> bool:
        """Whether the commit itself is here; in a shallow clone a parent's name is known before its content."""
        return self._find_commit(sha) is not None

    def head_sha(self) -> str:
        """The commit that is checked out; UsageError in a repository without any."""
        sha = self._find_commit("HEAD")
        if sha is None:
            raise UsageError("the repository has no commit yet", hint="commit something first: git commit")
        return sha

    def branch_name(self) -> str | None:
        """The branch that is checked out, or None for a detached HEAD."""
        return self._try("symbolic-ref", "--quiet", "--short", "HEAD")

    def default_branch(self) -> str | None:
        """The branch that changes are merged into, as a revision such as `origin/main`.

        What the remote calls its default, else a local `main` or `master`, else the remote's.
        """
        default = self._try("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
        candidates = (default, "main", "master", "origin/main", "origin/master")
        known = set(self._references())
        return next((name for name in candidates if name and name in known), None)

    def remote_url(self) -> str | None:
        """The address of the remote that history comes from; it may hold a password. None where there is no remote."""
        name = "".join(self._remote())
        return self._try("remote", "get-url", "--", name) if name else None

    # -- history

    def merge_base(self, first: str, second: str) -> str | None:
        """The best common ancestor of two commits, or None where their known histories don't meet."""
        found = self._try("merge-base", "--end-of-options", first, second)
        return found.split("\n")[0] if found else None

    def parents(self, sha: str) -> tuple[str, ...]:
        """All parents of a commit as it records them, also those that a shallow clone left out."""
        header, _, _ = self._show_commit(sha).partition("\n\n")
        return tuple(line[7:] for line in header.split("\n") if line.startswith("parent "))

    def first_parent(self, sha: str) -> str | None:
        """The commit that a commit was made on top of, or None for the first of all."""
        parents = self.parents(sha)
        return parents[0] if parents else None

    def first_parents(self, sha: str, *paths: str, most: int) -> tuple[str, ...]:
        """Up to `most` commits of a branch's own line that touch one of the paths (or any), newest first."""
        given = (sha, "--", *(f":(top,literal){path}" for path in paths))
        told = self._checked("log", "--first-parent", "--format=%H", f"--max-count={most}", "--end-of-options", *given)
        return tuple(told.split())

    def read_line(self, sha: str, *, most: int | None = None) -> Iterator[LineCommit]:
        """A branch's own line of commits, newest first: what each changed against its first parent, from one process.

        In a shallow clone the line ends where the clone does.
        """
        options = ("-m", "--root", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-show-signature")
        told = self._checked(
            *("log", "--first-parent", *options, "--no-notes", "--no-color", "--encoding=UTF-8", "--format=%H %ct %s"),
            *((f"--max-count={most}",) if most is not None else ()),
            *("--end-of-options", sha, "--"),
        )
        return _parse_line(told)

    def read_ancestors(self, sha: str, *, most: int) -> tuple[LineCommit, ...]:
        """Up to `most` commits of a branch's own line, newest first, without what they changed; starts no process."""
        asked = [f"{sha}~{back}" for back in range(most)]
        found = [(oid, content) for _, kind, oid, content in _open_objects(self).ask(asked, None) if kind == "commit"]
        return tuple(_parse_commit(oid, content or b"") for oid, content in found)

    def count_between(self, old: str, new: str) -> int:
        """How many commits `new` has that `old` has not."""
        return int(self._checked("rev-list", "--count", "--end-of-options", f"^{old}", new, "--"))

    def is_shallow(self) -> bool:
        """Whether history was cut off when this repository was cloned."""
        return self._try("rev-parse", "--is-shallow-repository") == "true"

    def find_merge_base(self, first: str, second: str) -> str | None:
        """`merge_base`, with a shallow clone deepened as far as it takes."""
        return self.deepen_until(
            lambda: self.merge_base(first, second),
            wanted=f"the merge base of {first[:7]} and {second[:7]}",
            commits=(first, second),
        )

    def ensure_commit(self, sha: str) -> str:
        """`sha`, after fetching it where it is not here; CompareError where that fails."""
        if self.contains(sha):
            return sha
        # `--depth` in a complete clone would make it a shallow one.
        depth = ("--depth=1",) if self.is_shallow() else ()
        self._fetch("--no-tags", *depth, names=(*self._remote(), sha))
        wanted = f"the commit {sha[:7]}"
        found = self.deepen_until(lambda: sha if self.contains(sha) else None, wanted=wanted)
        if found is None:
            raise CompareError(f"{wanted} is not here, and no remote gives it", hint=f"git fetch origin {sha}")
        return found

    def fetch_branch(self, name: str) -> str | None:
        """The tip of a branch as its remote has it now, else as it is known here; None where it is not known."""
        remote = "".join(self._remote())
        if remote:
            depth = ("--depth=1",) if self.is_shallow() else ()
            self._fetch("--no-tags", *depth, names=(remote, f"+refs/heads/{name}:refs/remotes/{remote}/{name}"))
            if tip := self._find_commit(f"refs/remotes/{remote}/{name}"):
                return tip
        return self._find_commit(f"refs/heads/{name}")

    def deepen_until(self, find: Callable[[], str | None], *, wanted: str, commits: tuple[str, ...] = ()) -> str | None:
        """What `find` finds, deepening a shallow clone (50, 100, 200 … commits) until it does.

        None where the whole history is here and holds no answer. `commits` are those whose history counts:
        they are asked for by name, because CI checks out commits that no branch holds. CompareError, with
        the command that would do it, where the history can't be fetched.
        """
        depth = _FIRST_DEEPENING
        found = find()
        while found is None and self.is_shallow():
            before = self._shallow_boundary()
            self._deepen(depth, commits, wanted)
            found = find()
            if found is None and self._shallow_boundary() == before:
                raise _explain_shallow(wanted, "the remote gives no more history")
            depth *= 2
        return found

    # -- content

    def list_tree(self, sha: str) -> Mapping[str, str]:
        """Every file of a commit: its path from the root to its blob; symbolic links and submodules are left out."""
        return self.list_entries(sha).files

    def list_entries(self, sha: str) -> TreeListing:
        """Every file and every symbolic link of a commit; submodules are left out.

        Directories are read level by level, and one that two commits share is read once.
        """
        objects = _open_objects(self)
        files: dict[str, str] = {}
        links: dict[str, str] = {}
        level = [("", f"{sha}^{{tree}}")]
        while level:
            entries = objects.read_trees(oid for _, oid in level)
            below: list[tuple[str, str]] = []
            for prefix, oid in level:
                for mode, name, inner in entries[oid]:
                    if mode in _DIRECTORY:
                        below.append((f"{prefix}{name}/", inner))
                    elif mode == _LINK:
                        links[prefix + name] = inner
                    elif mode != _SUBMODULE:
                        files[prefix + name] = inner
            level = below
        return TreeListing(files=files, links=links)

    def list_files(self) -> tuple[str, ...]:
        """The work tree's files that git tracks, or would track: neither ignored nor inside submodules.

        UsageError in a bare repository.
        """
        if self.bare:
            raise UsageError(
                f"{self.root} is a bare repository: there is no work tree to compare",
                hint="name two commits: seatrial --git-dir DIR compare BASE HEAD",
            )
        listed = self._checked("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        return tuple(dict.fromkeys(path for path in listed.split("\0") if path))

    def list_skipped(self) -> dict[str, str]:
        """Tracked files that a sparse checkout leaves off the disk (the skip-worktree bit), and the blob of each."""
        listed = self._checked("ls-files", "-z", "-t", "--stage")
        entries = (entry.partition("\t") for entry in listed.split("\0") if entry.startswith("S "))
        parted = ((meta.split(" "), path) for meta, _, path in entries)
        return {path: meta[2] for meta, path in parted if meta[1].startswith("100")}

    def fetch_missing(self, sha: str, oids: Collection[str], *, line: bool = False) -> None:
        """Bring those of a commit's blobs that a partial clone left at its remote, by one fetch.

        git would fetch each by itself when it is read. With `line` they are the blobs of its first parents, too.
        CompareError where the remote does not give them.
        """
        remote = _find_promisor(self)
        if remote is None or not oids:
            return
        walk = "--first-parent" if line else "--no-walk"
        options = ("--objects", walk, "--missing=print", "--no-object-names")
        listed = self._checked("rev-list", *options, "--end-of-options", sha)
        missing = {line[1:] for line in listed.split("\n") if line.startswith("?")}.intersection(oids)
        if not missing:
            return
        # The command that git itself runs for a missing object, with more than one of them.
        fetching = ("--no-tags", "--recurse-submodules=no", "--filter=blob:none", "--stdin")
        problem = self._fetch(*fetching, names=(remote,), wanted=sorted(missing))
        if problem:
            raise CompareError(
                f"{len(missing)} files of {sha[:7]} are not in this partial clone, and {remote} does not give them: "
                f"{problem}",
                hint=f"git fetch --refetch {remote}, where that remote can be reached",
            )

    def read_blobs(self, oids: Iterable[str], *, limit: int | None = None) -> dict[str, bytes]:
        """The content of blobs, from one process.

        Missing ones are absent. One longer than `limit` bytes is `limit` + 1 zeros, the same object for all of them: a
        reader sees that it is too long, and nobody holds it.
        """
        return self.read_some_blobs(oids, limit=limit)[0]

    def read_some_blobs(
        self, oids: Iterable[str], *, limit: int | None = None, total: int | None = None
    ) -> tuple[dict[str, bytes], frozenset[str]]:
        """The same of at most `total` bytes, and those that are left out; small ones come first where not all fit."""
        names = list(dict.fromkeys(oids))
        if len(names) > _FEW:
            with contextlib.closing(_Objects(self, "--buffer")) as objects:
                answers, done = objects.ask_for(names, limit, total)
        else:
            answers, done = _open_objects(self).ask_for(names, limit, total)
        left: frozenset[str] = frozenset()
        if total is not None and done < len(names):
            spent = sum(len(content) for *_, content in answers if content is not None)
            chosen, left = self._choose_blobs(names[done:], limit, total - spent)
            answers += _open_objects(self).ask(chosen, limit)
        found = {asked: content for asked, kind, _, content in answers if kind == "blob"}
        return {asked: _too_long(limit) if content is None else content for asked, content in found.items()}, left

    def stream_blobs(self, oids: Iterable[str], take: Callable[[str, bytes], object], *, limit: int) -> frozenset[str]:
        """Hand the content of blobs to `take(oid, block)`, block by block, and at most `limit` bytes of them.

        Those that are too much are left out, and returned. Nothing is held, and none is read that is left out.
        """
        wanted = list(dict.fromkeys(oids))
        done, spent = _open_objects(self).stream(wanted, take, limit)
        if done == len(wanted):
            return frozenset()
        chosen, left = self._choose_blobs(wanted[done:], None, limit - spent)
        _open_objects(self).stream(chosen, take, limit)
        return left

    # -- tags

    def list_tags(self, *beginnings: str, remote: str = "") -> dict[str, Tag]:
        """The tags whose names begin so (`model@`), in this clone or at a remote; GitError where that fails."""
        if remote:
            wanted = [f"refs/tags/{beginning}*" for beginning in beginnings]
            told = self._run("ls-remote", "--end-of-options", remote, *wanted, seconds=_TAG_SECONDS)
        else:
            shape = "%(objectname)%09%(refname)%0a%(*objectname)%09%(refname)^{}"
            told = self._run("for-each-ref", f"--format={shape}", "refs/tags")
        found: dict[str, Tag] = {}
        for line in told.splitlines():
            oid, _, ref = line.partition("\t")
            name = ref.removeprefix("refs/tags/").removesuffix("^{}")
            if oid and name.startswith(beginnings):  # its own object comes first, then what it leads to
                found[name] = Tag(oid=found[name].oid if name in found else oid, commit=oid)
        return found

    def read_tag_time(self, name: str, tag: Tag, *, remote: str = "") -> int:
        """When an annotated tag was made, in seconds of Unix; 0 where it does not say. GitError where it is not had."""
        if remote:
            depth = ("--depth=1",) if self.is_shallow() else ()
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", *depth, "--end-of-options")
            self._run("fetch", *options, remote, f"refs/tags/{name}", seconds=_TAG_SECONDS)
        head, _, _ = self._run("cat-file", "tag", tag.oid).partition("\n\n")
        tagger = next((line for line in head.splitlines() if line.startswith("tagger ")), "")
        seconds = tagger.rpartition("> ")[2].partition(" ")[0]
        return int(seconds) if seconds.isdecimal() else 0

    def write_tag(self, name: str, commit: str, message: str, *, after: int = 0) -> str:
        """Make an annotated tag that nothing names yet, and return what it is called by: its hash.

        It is of a later second than `after`, whatever the clock says. Where git knows nobody to be its tagger, as in
        most CI jobs, seatrial is.
        """
        known = self._try("var", "GIT_COMMITTER_IDENT") or f"seatrial <seatrial@localhost> {int(time.time())} +0000"
        tagger, seconds, zone = known.rsplit(" ", 2)
        head = f"object {commit}\ntype commit\ntag {name}\ntagger {tagger} {max(int(seconds), after + 1)} {zone}\n\n"
        return self._run("mktag", given=f"{head}{message.rstrip()}\n").strip()

    def push_tags(self, remote: str, tags: Mapping[str, str]) -> None:
        """Bring tags, each with its hash, to a remote, all or none; GitError where one is there already."""
        names = [f"{oid}:refs/tags/{name}" for name, oid in tags.items()]
        self._run("push", "--quiet", "--atomic", "--end-of-options", remote, *names, seconds=_TAG_SECONDS)

    def create_tags(self, tags: Mapping[str, str]) -> None:
        """Name tags in this clone, each with its hash, all or none; GitError where one is there already."""
        given = "".join(f"create refs/tags/{name} {oid}\n" for name, oid in tags.items())
        self._run("update-ref", "--stdin", given=given)

    # -- inside

    def _choose_blobs(self, oids: list[str], limit: int | None, room: int) -> tuple[list[str], frozenset[str]]:
        """Those that fit into `room` bytes by what git says of their sizes, small ones first, and the others.

        One of more than `limit` bytes needs no room, for nobody holds it.
        """
        sizes = self._measure_blobs(oids)
        chosen: list[str] = []
        for oid, size in sorted(sizes.items(), key=lambda item: item[1]):
            if limit is None or size <= limit:
                room -= size
            if room >= 0:
                chosen.append(oid)
        return chosen, frozenset(sizes).difference(chosen)

    def _measure_blobs(self, oids: list[str]) -> dict[str, int]:
        """The size of each blob in bytes; missing ones are absent."""
        told = self._run("cat-file", "--batch-check", given="".join(f"{oid}\n" for oid in oids))
        fields = [line.split(" ") for line in told.splitlines()]
        return {oid: int(size) for oid, _, size in (found for found in fields if len(found) == 3)}

    def _run(self, *arguments: str, seconds: float | None = None, given: str = "") -> str:
        return _run(self.root, *arguments, git_dir=self.git_dir, seconds=seconds, given=given)

    def _checked(self, *arguments: str) -> str:
        """What git answers; a failure is one of the comparison, because the commits were resolved before."""
        try:
            return self._run(*arguments)
        except GitError as error:
            raise CompareError(str(error), hint="git fsck tells whether the repository is whole") from None

    def _try(self, *arguments: str) -> str | None:
        """What git answers, without its last newline; None where it has no answer."""
        try:
            return self._run(*arguments).rstrip("\n") or None
        except GitError:
            return None

    def _find_commit(self, revision: str) -> str | None:
        # A name of several lines would be several questions.
        if not revision or revision.startswith("-") or set(revision) & {"\0", "\n"}:
            return None
        answers = _open_objects(self).ask([f"{revision}^{{commit}}"], 0)
        return next((oid for _, kind, oid, _ in answers if kind == "commit"), None)

    def _find_remote_branch(self, name: str) -> str | None:
        # Only the whole name after the remote's counts: `1` is not `origin/release/1`.
        known = [ref for ref in self._references("refs/remotes") if ref.partition("/")[2] == name]
        preferred = [ref for ref in known if ref == f"origin/{name}"] or known
        return self._find_commit(f"refs/remotes/{preferred[0]}") if len(preferred) == 1 else None

    def _references(self, *below: str) -> tuple[str, ...]:
        """Short names of branches, tags and remote branches."""
        below = below or ("refs/heads", "refs/tags", "refs/remotes")
        listed = self._try("for-each-ref", "--format=%(refname)", *below)
        return tuple(ref.split("/", 2)[2] for ref in (listed or "").split("\n") if ref)

    def _explain_unknown(self, revision: str) -> UsageError:
        import difflib

        near = difflib.get_close_matches(revision, self._references(), n=3, cutoff=0.6)
        hints = [f"did you mean {' or '.join(near)}?"] if near else []
        if self.is_shallow():
            hints.append("this clone is shallow: git fetch --unshallow (in CI: fetch-depth: 0)")
        elif not near:
            here = "git branch and git tag list what is here"
            hints.append("fetch it first: git fetch origin --tags" if self._remote() else here)
        return UsageError(f"unknown revision '{revision}'", hint="; ".join(hints))

    def _show_commit(self, sha: str) -> str:
        try:
            return self._run("cat-file", "--end-of-options", "commit", sha)
        except GitError:
            raise UsageError(f"unknown commit '{sha}'", hint="git fetch brings commits that are not here") from None

    def _remote(self) -> tuple[str, ...]:
        """The remote that history comes from: `origin`, else the only one there is."""
        names = (self._try("remote") or "").split("\n")
        return ("origin",) if "origin" in names else tuple(names[:1]) if names[0] else ()

    def _shallow_boundary(self) -> str:
        path = self._try("rev-parse", "--git-path", "shallow")
        try:
            return (self.root / path).read_text() if path else ""
        except OSError:
            return ""

    def _deepen(self, depth: int, commits: tuple[str, ...], wanted: str) -> None:
        remote = self._remote()
        if not remote:
            raise _explain_shallow(wanted, "the repository has no remote")
        options = (f"--deepen={depth}", "--no-tags")
        # Some servers refuse a commit that is asked for by name: then the branches' history has to do.
        problem = self._fetch(*options, names=remote + commits) and self._fetch(*options, names=remote)
        if problem:
            raise _explain_shallow(wanted, problem)

    def _fetch(self, *options: str, names: tuple[str, ...] = (), wanted: Iterable[str] = ()) -> str:
        """Empty where the fetch worked, else what git said, in one line. `wanted` goes with `--stdin`."""
        command = ("fetch", "--quiet", "--no-write-fetch-head", *options, "--end-of-options", *names)
        try:
            self._run(*command, seconds=_FETCH_SECONDS, given="".join(f"{oid}\n" for oid in wanted))
        except GitError as error:
            return error.message.split("\n")[0]
        return ""


def _parse_line(told: str) -> Iterator[LineCommit]:
    """The commits of `git log --raw -z`: a head `SHA TIME SUBJECT`, then pairs of `:MODES BLOBS STATE` and a path."""
    head = ""
    steps: list[FileStep] = []
    parts = iter(told.split("\0"))
    for part in parts:
        entry = part.removeprefix("\n")
        if entry.startswith(":"):
            steps.append(_parse_step(entry, next(parts)))
            continue
        if head:
            yield _make_commit(head, steps)
        head, steps = entry, []
    if head:
        yield _make_commit(head, steps)


def _make_commit(head: str, steps: list[FileStep]) -> LineCommit:
    sha, time, subject = head.split(" ", 2)
    return LineCommit(sha=sha, time=int(time), subject=subject, steps=tuple(steps))


def _parse_step(entry: str, path: str) -> FileStep:
    mode_before, mode_after, before, after, _ = entry[1:].split(" ")
    return FileStep(path, _take_file(mode_before, before), _take_file(mode_after, after))


def _take_file(mode: str, oid: str) -> str | None:
    return oid if mode.startswith("100") else None


def _parse_commit(sha: str, content: bytes) -> LineCommit:
    """A commit object: headers, an empty line, the message."""
    header, _, message = content.partition(b"\n\n")
    committer = next((line for line in header.split(b"\n") if line.startswith(b"committer ")), b"")
    stamp = committer.rpartition(b"> ")[2].split(b" ")[0]
    subject = message.split(b"\n", 1)[0].decode("utf-8", "replace")
    return LineCommit(sha=sha, time=int(stamp) if stamp.isdigit() else 0, subject=subject, steps=())


def read_version() -> tuple[int, ...]:
    """The version of the git that is run, such as (2, 39, 5); empty where it can't be read."""
    told = _run(Path.cwd(), "version").split()
    parts = told[2].split(".") if len(told) > 2 else []
    return tuple(int(part) for part in itertools.takewhile(str.isdecimal, parts))


def _environment() -> dict[str, str]:
    scrubbed = {name: value for name, value in os.environ.items() if name not in _FOREIGN_VARIABLES}
    return scrubbed | {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
    }


def _command(directory: Path, git_dir: Path | None, *arguments: str) -> list[str]:
    named = [] if git_dir is None else [f"--git-dir={git_dir}"]
    return ["git", "-C", str(directory), *named, "--no-pager", *arguments]


def _run(
    directory: Path, *arguments: str, git_dir: Path | None = None, seconds: float | None = None, given: str = ""
) -> str:
    """What git prints, `given` being its input; GitError where it fails, UsageError where there is no git."""
    try:
        done = subprocess.run(
            _command(directory, git_dir, *arguments),
            input=given.encode(),
            capture_output=True,
            env=_environment(),
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        raise _explain_no_git() from None
    except subprocess.TimeoutExpired:
        raise GitError(arguments, f"no answer within {seconds:g} seconds") from None
    if done.returncode != 0:
        raise GitError(arguments, done.stderr.decode(errors="replace").strip())
    return os.fsdecode(done.stdout)


@lru_cache(maxsize=4)
def _find_promisor(repository: Repository) -> str | None:
    """The remote that holds what a partial clone left out, or None for a complete clone."""
    if not _may_be_partial(repository.root):
        return None
    listed = repository._try("config", "--get-regexp", r"^(remote\..*\.promisor|extensions\.partialclone)$")
    for line in (listed or "").split("\n"):
        name, _, value = line.partition(" ")
        if name == "extensions.partialclone":
            return value
        if name and value.lower() in {"true", "yes", "on", "1", ""}:
            return name.removeprefix("remote.").removesuffix(".promisor")
    return None


def _may_be_partial(root: Path) -> bool:
    """False where the clone's own settings name no promisor, as most do not: that saves a process."""
    try:
        settings = (root / ".git" / "config").read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return True  # a worktree, a submodule or a bare repository: git knows where its settings are
    return any(word in settings for word in ("promisor", "partialclone", "[include"))


class _Objects:
    """A `git cat-file --batch` that answers one question after the other, about any number of objects.

    It is started once for a repository: starting git costs more than most of its answers. With `--buffer` it is faster,
    and can be asked only once.
    """

    def __init__(self, repository: Repository, *options: str) -> None:
        self._lock = threading.Lock()
        self._once = "--buffer" in options
        self._trees: dict[str, list[_Entry]] = {}
        try:
            self._process = subprocess.Popen(
                _command(repository.root, repository.git_dir, "cat-file", "--batch", *options),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        except FileNotFoundError:
            raise _explain_no_git() from None

    def ask(self, names: list[str], limit: int | None) -> list[_Answer]:
        """Name, kind, full name and content of each object that there is; no content where it is beyond the limit."""
        return self.ask_for(names, limit, None)[0]

    def ask_for(self, names: list[str], limit: int | None, total: int | None) -> tuple[list[_Answer], int]:
        """The same until the contents have more than `total` bytes, and for how many names there is an answer.

        There the process ends: it would go on to print all that was asked for.
        """
        found: list[_Answer] = []
        with self._asked(names) as answers:
            for done, name in enumerate(names, start=1):
                answer = _read_answer(answers, name, limit)
                if answer is None:
                    continue
                found.append(answer)
                if total is not None and answer[3] is not None:
                    total -= len(answer[3])
                    if total < 0:
                        self.close()
                        return found[:-1], done - 1
        return found, len(names)

    def stream(self, names: list[str], take: Callable[[str, bytes], object], limit: int) -> tuple[int, int]:
        """Hand contents over by blocks until one would exceed the limit; how many objects and bytes that were.

        There the process ends: it would go on to print all that was asked for.
        """
        spent = 0
        with self._asked(names) as answers:
            for done, name in enumerate(names):
                *_, size = answers.readline().decode("utf-8", "surrogateescape").rstrip("\n").split(" ")
                if not size.isdigit():
                    continue
                if spent + int(size) > limit:
                    self.close()
                    return done, spent
                spent += int(size)
                _hand_over(answers, name, int(size), take)
        return len(names), spent

    @contextlib.contextmanager
    def _asked(self, names: list[str]) -> Iterator[IO[bytes]]:
        """Where git's answers to these names are read."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        questions = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
        with self._lock, self._closed_on_error():
            # git answers before it has read all questions: what a pipe can't hold is asked from another thread,
            # or both sides would wait for each other.
            given = (self._process.stdin, questions, self._once)
            writer = threading.Thread(target=_write, args=given, daemon=True)
            if len(questions) > _PIPE:
                writer.start()
            else:
                _write(*given)
            yield self._process.stdout
            if len(questions) > _PIPE:
                writer.join()

    def read_trees(self, names: Iterable[str]) -> Mapping[str, list[_Entry]]:
        """Mode, name and object of every entry of some directories; CompareError where one is not there."""
        asked = dict.fromkeys(names)
        answers = self.ask([name for name in asked if name not in self._trees], None)
        self._trees.update({name: _parse_tree(content or b"", len(oid) // 2) for name, _, oid, content in answers})
        for name in asked:
            if name not in self._trees:
                raise CompareError(
                    f"git has lost the directory {name}", hint="git fsck tells whether the repository is whole"
                )
        return self._trees

    def is_alive(self) -> bool:
        """Whether the process can be asked: a corrupt object ends it."""
        return self._process.poll() is None

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        """Half-read answers must not be taken for those of the next question."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process; it holds nothing that would be lost."""
        with contextlib.suppress(BrokenPipeError), self._process:
            self._process.kill()


def _open_objects(repository: Repository) -> _Objects:
    """The process that answers for a repository; only the last repository's is kept."""
    if repository not in _running or not _running[repository].is_alive():
        _close_objects()
        _running[repository] = _Objects(repository)
    return _running[repository]


def _close_objects() -> None:
    while _running:
        _, objects = _running.popitem()
        objects.close()


_running: dict[Repository, _Objects] = {}
atexit.register(_close_objects)


def _write(pipe: IO[bytes], questions: bytes, last: bool) -> None:
    # A broken or closed pipe means that git has ended: what is missing is seen from its answers.
    with contextlib.suppress(BrokenPipeError, ValueError):
        pipe.write(questions)
        pipe.flush()
        if last:
            pipe.close()


def _parse_tree(content: bytes, width: int) -> list[_Entry]:
    """The entries of a tree object: each is a mode, a blank, a name, a zero byte, and the object in `width` bytes."""
    entries = []
    at = 0
    while at < len(content):
        end = content.index(b"\0", at)
        mode, _, name = content[at:end].partition(b" ")
        at = end + 1 + width
        entries.append((mode, os.fsdecode(name), content[end + 1 : at].hex()))
    return entries


def _read_answer(pipe: IO[bytes], name: str, limit: int | None) -> _Answer | None:
    """One object as git prints it: a line `OID TYPE SIZE`, the content, a newline; None for `NAME missing`."""
    *_, oid, kind, size = ("", "", *pipe.readline().decode("utf-8", "surrogateescape").rstrip("\n").split(" "))
    if not size.isdigit():
        return None
    if limit is not None and int(size) > limit:
        _skip(pipe, int(size) + 1)
        return name, kind, oid, None
    content = pipe.read(int(size))
    _skip(pipe, 1)
    return name, kind, oid, content


def _hand_over(pipe: IO[bytes], name: str, size: int, take: Callable[[str, bytes], object]) -> None:
    """One content by blocks (an empty one by an empty block), and the newline behind it."""
    block = pipe.read(min(size, _CHUNK))
    take(name, block)
    left = size - len(block)
    while left and block:
        block = pipe.read(min(left, _CHUNK))
        take(name, block)
        left -= len(block)
    _skip(pipe, 1)


@lru_cache(maxsize=1)
def _too_long(limit: int) -> bytes:
    return bytes(limit + 1)


def _skip(pipe: IO[bytes], count: int) -> None:
    while count > 0:
        skipped = len(pipe.read(min(count, _CHUNK)))
        if not skipped:
            return
        count -= skipped


def _explain_no_git() -> UsageError:
    return UsageError("git is not installed", hint="install git, or put it on PATH")


def _explain_no_repository(directory: Path, message: str) -> UsageError:
    if "dubious ownership" in message:
        return UsageError(
            f"git refuses {directory}: it belongs to another user",
            hint=f"if you trust it: git config --global --add safe.directory {directory.resolve()}",
        )
    if "must be run in a work tree" in message:
        return UsageError(
            f"{directory} has no work tree",
            hint="run seatrial in a clone, or compare two commits: seatrial --git-dir DIR compare BASE HEAD",
        )
    if "cannot change to" in message:
        return UsageError(f"there is no directory {directory}")
    if "not a git repository: " in message:
        return UsageError(f"{directory} is not a git repository", hint="--git-dir names a repository, such as x.git")
    return UsageError(
        f"{directory} is not inside a git repository",
        hint="run seatrial inside a clone of your project, or make it one: git init",
    )


def _explain_shallow(wanted: str, reason: str) -> CompareError:
    return CompareError(
        f"this clone is shallow and {wanted} could not be found: {reason}",
        hint="git fetch --unshallow (in CI: fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab)",
    )
