"""The target `huggingface`: a model repository of the Hugging Face Hub, whose branch holds the live version.

    huggingface.yaml at the place, or `settings` of the environment:

    repo: acme/flights-delay           the model repository; it is there already
    branch: main
    endpoint: https://huggingface.co   else HF_ENDPOINT; the token comes from HF_TOKEN or `hf auth login` alone
    seconds: 60                        of silence after which the Hub has failed

Large files are brought there before, which nobody sees. One commit then turns the branch: it adds the files of a
version, and deletes those that `release.json` of the one before lists, and no others. The tag `vN` names the first
commit that held version N, and stays. What is live is what the branch holds, by the hashes of its files.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

from seatrial.core.release import BESIDE, MANIFEST, Release, ReleaseFile, decode_manifest
from seatrial.deploy.settings import read_settings
from seatrial.deploy.switching import Live
from seatrial.deploy.target import Store
from seatrial.errors import BlockedError, ReleaseError, UsageError

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoFile

SETTINGS = "huggingface.yaml"
_HINT = "`repo` names a model repository of the Hub, as OWNER/NAME"
_HUB = "https://huggingface.co"
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})
_OVERLOADED, _STALE, _FAILING = 429, 412, 500


class HubSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`huggingface.yaml`."""

    repo: str
    branch: str = "main"
    endpoint: str = ""
    seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a commit holds: its release, if there is one, and what of it differs from its manifest."""

    commit: str
    files: Mapping[str, RepoFile]
    release: Release | None = None
    differences: tuple[str, ...] = ()


@dataclass(kw_only=True, eq=False)
class HubSwitch:
    """One model in a repository of the Hub; its versions are in a store at `place`."""

    store: Store
    place: str
    given: Mapping[str, Any] | None = None
    _last: Snapshot | None = field(default=None, init=False, repr=False)
    _hashes: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _sent: set[str] = field(default_factory=set, init=False, repr=False)
    _expected: set[str] = field(default_factory=set, init=False, repr=False)

    @cached_property
    def settings(self) -> HubSettings:
        """The settings; UsageError where they can't be used."""
        settings = read_settings(HubSettings, self.place, SETTINGS, self.given, _HINT)
        if not _REPO.fullmatch(settings.repo):
            raise UsageError(f"{SETTINGS}: `repo` is {settings.repo!r}", hint=_HINT)
        if not settings.branch:
            raise UsageError(f"{SETTINGS}: `branch` is empty", hint="leave it out for `main`")
        if settings.seconds <= 0:
            raise UsageError(f"{SETTINGS}: `seconds` is {settings.seconds:g}", hint="60 is what is taken without it")
        return settings

    @cached_property
    def endpoint(self) -> str:
        """The Hub's address; UsageError for one that the token would go to in the open."""
        endpoint = (self.settings.endpoint or os.environ.get("HF_ENDPOINT", "") or _HUB).rstrip("/")
        address = urlsplit(endpoint)
        safe = address.scheme == "https" or (address.scheme == "http" and address.hostname in _MACHINE)
        if safe and "@" not in address.netloc:
            return endpoint
        raise UsageError(
            f"{SETTINGS}: `endpoint`, or HF_ENDPOINT, is no address that begins with https:// and holds no password",
            hint=f"leave it out for {_HUB}",
        )

    @cached_property
    def api(self) -> HfApi:
        """The Hub's own client."""
        _prepare_client(self.settings.seconds)
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint)

    @contextmanager
    def lock(self, patience: float | None, held: object) -> Iterator[None]:
        """Remember what is live: the Hub holds no lock, so that another deployer is found out by what it changed."""
        snapshot, tags = self._look()
        if snapshot.release is not None and not snapshot.differences:
            self._tag(snapshot.release, snapshot.commit, tags)  # unless its deployer was killed before it could
        self._expected = {_name(snapshot)}
        try:
            yield
        finally:
            self._expected = set()

    def ask(self) -> Live:
        """What the branch holds; that a file differs from its manifest is a problem."""
        snapshot, _ = self._look()
        if snapshot.release is None:
            return Live()
        told = f"{self.settings.repo}: {'; '.join(snapshot.differences)}" if snapshot.differences else ""
        return Live(version=snapshot.release.version, digest=snapshot.release.digest, problem=told)

    def bring_up(self, release: Release) -> None:
        """Bring the large files there, which no branch names yet; files that are there are not sent again."""
        snapshot, tags = self._look()
        self._refuse_other(release, tags)
        if release.digest in self._sent or self._holds(snapshot, release):
            return
        with self._explaining():
            self.api.preupload_lfs_files(
                self.settings.repo, self._add(release, snapshot), revision=self.settings.branch
            )
        self._sent.add(release.digest)

    def turn_to(self, release: Release) -> None:
        """One commit, unless the branch holds all of it, then the tag."""
        snapshot, tags = self._look()
        self._refuse_other(release, tags)
        if not self._holds(snapshot, release):
            snapshot = self._commit(
                f"{release.name} {release.version} ({release.digest[:19]})",
                f"{release.digest}\n\nfrom commit {release.commit}",
                self._add(release, snapshot),
                _list_paths(snapshot) - {file.path for file in release.contents} - self._find_beside(release),
                snapshot,
                release.version + release.digest,
            )
            if not self._holds(snapshot, release):
                told = "; ".join(snapshot.differences) or f"{MANIFEST} is not what was sent"
                raise ReleaseError(
                    f"{self.settings.repo}: {told}", hint="does .gitignore there name it? the Hub leaves it out then"
                )
        self._tag(release, snapshot.commit, tags)

    def turn_off(self) -> None:
        """One commit that deletes what `release.json` lists."""
        snapshot, _ = self._look()
        if snapshot.release is not None:
            told = f"Take {snapshot.release.name} {snapshot.release.version} away"
            self._commit(told, snapshot.release.digest, (), _list_paths(snapshot), snapshot, "")

    def take_down(self, version: str) -> None:
        """Nothing: only the history holds versions that are not live, and their tags, which tell what was, stay."""

    # --- What the Hub is asked ----------------------------------------------------------------------------------------

    def _look(self) -> tuple[Snapshot, dict[str, str]]:
        """What the branch holds, and the tags with their commits; of one commit, which never changes."""
        with self._explaining():
            refs = self.api.list_repo_refs(self.settings.repo)
        heads = {ref.name: ref.target_commit for ref in refs.branches}
        if self.settings.branch not in heads:
            raise UsageError(
                f"{self.settings.repo} has no branch {self.settings.branch}",
                hint=f"create it there, or name another one by `branch` in {SETTINGS}",
            )
        if self._last is None or self._last.commit != heads[self.settings.branch]:
            self._last = self._read(heads[self.settings.branch])
        return self._last, {ref.name: ref.target_commit for ref in refs.tags}

    def _read(self, commit: str) -> Snapshot:
        from huggingface_hub.hf_api import RepoFile

        with self._explaining():
            tree = list(self.api.list_repo_tree(self.settings.repo, recursive=True, revision=commit))
        files = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
        if MANIFEST not in files:
            return Snapshot(commit=commit, files=files)
        place = f"{self.settings.repo}/{MANIFEST}"
        content = self._download(commit, MANIFEST)
        try:
            release = decode_manifest(content, place)
        except ReleaseError as error:
            raise ReleaseError(error.message, hint="revert the commit that changed it there, or delete it") from error
        if release.name != self.store.name:
            raise ReleaseError(f"{place}: is of the model {release.name}", hint="a repository holds one model")
        found = ((file, files.get(file.path)) for file in release.contents)
        differences = tuple(
            f"{file.path}: {'altered' if entry else 'missing'}"
            for file, entry in found
            if entry is None or not self._is_same(commit, file, entry)
        )
        return Snapshot(commit=commit, files=files, release=release, differences=differences)

    def _is_same(self, commit: str, file: ReleaseFile, entry: RepoFile) -> bool:
        """Whether the Hub holds this file: by what it says of a large one, by the bytes of a small one, read once."""
        if entry.size != file.size:
            return False
        if entry.lfs is not None:
            return str(entry.lfs.sha256) == file.sha256
        if entry.blob_id not in self._hashes:
            self._hashes[entry.blob_id] = hashlib.sha256(self._download(commit, file.path)).hexdigest()
        return self._hashes[entry.blob_id] == file.sha256

    def _download(self, commit: str, path: str) -> bytes:
        from huggingface_hub import get_session, get_token, hf_raise_for_status

        address = f"{self.endpoint}/{self.settings.repo}/resolve/{commit}/{quote(path)}"
        with self._explaining():
            token = get_token()
            answer = get_session().get(address, headers={"Authorization": f"Bearer {token}"} if token else {})
            hf_raise_for_status(answer)
        return bytes(answer.content)

    def _refuse_other(self, release: Release, tags: Mapping[str, str]) -> None:
        """BlockedError where the tag of this version is another release's: somebody else counts versions there."""
        tag = f"v{release.version}"
        if tag not in tags:
            return
        last = self._last
        found = (last if last is not None and last.commit == tags[tag] else self._read(tags[tag])).release
        same = found is not None and found.digest == release.digest
        if not same:
            raise BlockedError(
                f"{self.settings.repo}: the tag {tag} is there, and of another release",
                hint=f"deploy with the --to that it came from, or delete the tag if {self.store.location} is new",
            )

    # --- What is changed there ----------------------------------------------------------------------------------------

    def _find_beside(self, release: Release) -> set[str]:
        """The manifest, and a signature if there is one."""
        return {name for name in BESIDE if (self.store.locate(release.version) / name).is_file()}

    def _add(self, release: Release, snapshot: Snapshot) -> list[Any]:
        """The files that the branch does not hold yet, or holds otherwise."""
        from huggingface_hub import CommitOperationAdd

        place = self.store.locate(release.version)
        large = {path: entry.lfs.sha256 for path, entry in snapshot.files.items() if entry.lfs is not None}
        same = {file.path for file in release.contents if large.get(file.path) == file.sha256}
        paths = [file.path for file in release.contents if file.path not in same] + sorted(self._find_beside(release))
        with self._explaining():
            return [CommitOperationAdd(path_in_repo=path, path_or_fileobj=place / path) for path in paths]

    def _holds(self, snapshot: Snapshot, release: Release) -> bool:
        """Whether a commit holds this very release, with its signature."""
        if snapshot.release is None or snapshot.release.seal != release.seal or snapshot.differences:
            return False
        place = self.store.locate(release.version)
        return all(
            name in snapshot.files and _is_content(snapshot.files[name], (place / name).read_bytes())
            for name in self._find_beside(release)
        )

    def _commit(
        self, title: str, text: str, added: tuple[()] | list[Any], deleted: set[str], on: Snapshot, meant: str
    ) -> Snapshot:
        """Commit on top of a commit, or not at all; what the new one holds."""
        from huggingface_hub import CommitOperationDelete

        if self._expected and _name(on) not in self._expected:
            raise BlockedError(
                f"{self.settings.repo}: somebody else deployed there meanwhile: {_tell(on)} is live",
                hint="look at its history, then deploy again",
            )
        self._expected |= {meant} if self._expected else set()
        removed = [CommitOperationDelete(path_in_repo=path, is_folder=False) for path in sorted(deleted)]
        with self._explaining():
            done = self.api.create_commit(
                self.settings.repo,
                [*added, *removed],
                commit_message=title,
                commit_description=text,
                revision=self.settings.branch,
                parent_commit=on.commit,
            )
        self._last = self._read(done.oid)
        return self._last

    def _tag(self, release: Release, commit: str, tags: Mapping[str, str]) -> None:
        """Tag the commit that is the first to hold a version; nothing is to be done where it has its tag."""
        tag = f"v{release.version}"
        if tag not in tags:
            with self._explaining():
                told = f"{release.name} {release.version}\n\n{release.digest}"
                self.api.create_tag(self.settings.repo, tag=tag, tag_message=told, revision=commit)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Say in one error what the Hub, or the way there, said no to."""
        try:
            import httpx2
            from huggingface_hub.errors import HfHubHTTPError, OIDCError
        except ImportError as error:
            raise _miss(error) from error
        try:
            yield
        except HfHubHTTPError as error:
            raise self._translate(error) from error
        except httpx2.HTTPError as error:
            told = str(error) or type(error).__name__
            raise ReleaseError(
                f"{self.endpoint} does not answer: {told}", hint="try again; `seatrial status` tells what is live"
            ) from error
        except (RuntimeError, ValueError, OSError, OIDCError) as error:
            if isinstance(error.__cause__, HfHubHTTPError):
                raise self._translate(error.__cause__) from error
            raise ReleaseError(f"{self.settings.repo}: {error.__cause__ or error}") from error

    def _translate(self, error: HfHubHTTPError) -> ReleaseError:
        """What an answer means here, and what is to be done."""
        repo, code = self.settings.repo, error.response.status_code
        told = f" ({error.server_message})" if error.server_message else ""
        if code in (401, 404):
            return ReleaseError(
                f"{repo} is not on {self.endpoint}, or this token does not reach it: {code}{told}",
                hint="create the model repository there; HF_TOKEN holds a token that may write to it",
            )
        if code == 403:
            return ReleaseError(
                f"this token may not write to {repo}: {code}{told}",
                hint="HF_TOKEN needs the role `write`, or the fine-grained right to write contents of this repository",
            )
        if code == _STALE:
            return ReleaseError(
                f"the branch {self.settings.branch} of {repo} was changed at this very moment: {code}{told}",
                hint="look at its history, then deploy again",
            )
        if code == _OVERLOADED:
            return ReleaseError(f"{self.endpoint} takes no more requests for now: {code}{told}", hint="wait, try again")
        if code >= _FAILING:
            return ReleaseError(f"{self.endpoint} fails: {code}{told}", hint="try again; see status.huggingface.co")
        return ReleaseError(f"{repo}: the Hub refused this: {code}{told}")


def _name(snapshot: Snapshot) -> str:
    """What is live, as one text; empty where nothing is. Files that were altered do not change it."""
    return snapshot.release.version + snapshot.release.digest if snapshot.release else ""


def _tell(snapshot: Snapshot) -> str:
    return f"version {snapshot.release.version}" if snapshot.release else "nothing"


def _list_paths(snapshot: Snapshot) -> set[str]:
    """The files of a commit that are its release's."""
    if snapshot.release is None:
        return set()
    return ({file.path for file in snapshot.release.contents} | BESIDE) & snapshot.files.keys()


def _is_content(entry: RepoFile, content: bytes) -> bool:
    """Whether a file there has this content: git names a small file by its hash, Git LFS a large one."""
    if entry.lfs is not None:
        return str(entry.lfs.sha256) == hashlib.sha256(content).hexdigest()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return str(entry.blob_id) == blob.hexdigest()


@lru_cache(maxsize=1)
def _prepare_client(seconds: float) -> None:
    """Let the client wait no longer than that for a word, and keep it from writing to the terminal."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import httpx2
        from huggingface_hub import set_client_factory
        from huggingface_hub.utils import disable_progress_bars, logging  # type: ignore[attr-defined]
    except ImportError as error:
        raise _miss(error) from error
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    disable_progress_bars()
    set_client_factory(lambda: httpx2.Client(follow_redirects=True, timeout=seconds))


def _miss(error: ImportError) -> UsageError:
    return UsageError(f"--target huggingface needs {error.name}", hint="pip install 'seatrial[huggingface]'")
