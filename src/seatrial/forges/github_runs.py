"""A workflow run of GitHub Actions: the pull request that it measured, the artifacts that it left; never written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import requests
from msgspec import Struct
from requests.adapters import HTTPAdapter

from seatrial.errors import CompareError, DeliveryError
from seatrial.forges import ForgeAccess
from seatrial.forges.failures import Deed, explain_answer, explain_impatience, explain_nonsense, explain_silence
from seatrial.forges.retries import Patience, make_retry

_PART = 1 << 16
_MOST_LISTED = 100  # a page, which is more than one run leaves and more than one branch is asked to be pulled

Shape = TypeVar("Shape")


class Owner(Struct, frozen=True):
    """A user or an organisation."""

    login: str


class RunRepository(Struct, frozen=True):
    """A repository as a run names it; its id stays when it is renamed."""

    id: int
    full_name: str
    owner: Owner


class WorkflowRun(Struct, frozen=True):
    """A run: of which workflow file, on what event, of which commit of whose branch.

    `head_repository` is None where the fork was deleted meanwhile.
    """

    id: int
    event: str
    path: str
    status: str
    head_sha: str
    html_url: str
    repository: RunRepository
    head_branch: str | None = None
    head_repository: RunRepository | None = None
    run_attempt: int = 1

    @property
    def workflow(self) -> str:
        """The workflow's file, without the branch that GitHub may tell behind an `@`."""
        return self.path.partition("@")[0]

    @property
    def order(self) -> str:
        """Where it stands among the runs of a pull request: `RUN.ATTEMPT`, both growing."""
        return f"{self.id}.{self.run_attempt}"


class PullSide(Struct, frozen=True):
    """One side of a pull request; `repo` is None where the fork was deleted."""

    ref: str
    sha: str
    repo: RunRepository | None = None


class OpenPull(Struct, frozen=True):
    """An open pull request."""

    number: int
    head: PullSide
    base: PullSide


class StoredArtifact(Struct, frozen=True):
    """An artifact of a run; `size_in_bytes` is that of the archive."""

    id: int
    name: str
    size_in_bytes: int
    expired: bool


class CommitName(Struct, frozen=True):
    """A commit by its digest."""

    sha: str


class Divergence(Struct, frozen=True):
    """How a branch and a commit lie to each other: the branch's tip, and the last commit that both have."""

    base_commit: CommitName
    merge_base_commit: CommitName


class _Artifacts(Struct, frozen=True):
    artifacts: tuple[StoredArtifact, ...]


class _Token(requests.auth.AuthBase):
    """As an object of its own, which a .netrc can't replace; requests drops it where another host is asked."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class GitHubRuns:
    """The runs of one repository.

    Every method raises `CompareError`, with a hint, where GitHub says no: what can't be read can't be judged.
    """

    def __init__(self, access: ForgeAccess) -> None:
        self._access = access
        self._patience = Patience(access)
        self._session = requests.Session()
        self._session.auth = _Token(access.token)
        self._session.verify = access.ca_file or True
        self._session.headers.update({"Accept": "application/vnd.github+json", "User-Agent": "seatrial"})
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=make_retry(self._patience)))

    def read_run(self, number: int) -> WorkflowRun:
        """The run of this number, in its latest attempt."""
        deed = self._deed(f"read workflow run {number}", "actions: read", place=f"workflow run {number}")
        return self._get(deed, f"actions/runs/{number}", WorkflowRun)

    def list_pulls(self, run: WorkflowRun) -> tuple[OpenPull, ...]:
        """The open pull requests that ask for exactly the commit and the repository that the run was of."""
        if run.head_repository is None or run.head_branch is None:
            return ()
        asked = {
            "state": "open",
            "head": f"{run.head_repository.owner.login}:{run.head_branch}",
            "per_page": _MOST_LISTED,
        }
        found = self._get(
            self._deed("list pull requests", "pull-requests: read"), "pulls", tuple[OpenPull, ...], params=asked
        )
        return tuple(
            pull
            for pull in found
            if pull.head.sha == run.head_sha and pull.head.repo and pull.head.repo.id == run.head_repository.id
        )

    def compare(self, branch: str, sha: str) -> Divergence:
        """The tip of a branch, and where a commit left it."""
        place = f"{quote(branch, safe='')}...{sha}"
        deed = self._deed(f"compare {branch} with {sha[:7]}", "contents: read", place=f"{branch} or {sha[:7]}")
        return self._get(deed, f"compare/{place}", Divergence, params={"per_page": 1})

    def list_artifacts(self, run: WorkflowRun, name: str) -> tuple[StoredArtifact, ...]:
        """The artifacts of this very name that the run's attempts left, the newest first."""
        deed = self._deed("list artifacts", "actions: read", place=f"workflow run {run.id}")
        asked = {"name": name, "per_page": _MOST_LISTED}
        found = self._get(deed, f"actions/runs/{run.id}/artifacts", _Artifacts, params=asked).artifacts
        return tuple(sorted((one for one in found if one.name == name), key=lambda one: -one.id))

    def download(self, artifact: StoredArtifact, *, most: int) -> bytes:
        """The artifact's archive; CompareError where it has more than `most` bytes, whatever size was told."""
        if artifact.size_in_bytes > most:
            raise _too_large(artifact.size_in_bytes, most)
        deed = self._deed("download an artifact", "actions: read", place=f"artifact {artifact.id}")
        with (
            self._asking(deed),
            self._session.get(
                self._address(f"actions/artifacts/{artifact.id}/zip"), timeout=self._access.timeout, stream=True
            ) as answer,
        ):
            self._check(deed, answer)
            return self._collect(deed, answer, most)

    def _collect(self, deed: Deed, answer: requests.Response, most: int) -> bytes:
        """The body, no more of it than is allowed: a server that drips is not waited for either."""
        parts: list[bytes] = []
        size = 0
        for part in answer.iter_content(_PART):
            size += len(part)
            if size > most:
                raise _too_large(size, most)
            if not self._patience.left:
                raise explain_impatience(self._access, deed)
            parts.append(part)
        return b"".join(parts)

    def _get(self, deed: Deed, place: str, shape: type[Shape], *, params: dict[str, Any] | None = None) -> Shape:
        with self._asking(deed):
            answer = self._session.get(self._address(place), params=params, timeout=self._access.timeout)
            self._check(deed, answer)
            return msgspec.json.decode(answer.content, type=shape)

    def _address(self, place: str) -> str:
        return f"{self._access.api_url.rstrip('/')}/repos/{quote(self._access.project)}/{place}"

    def _check(self, deed: Deed, answer: requests.Response) -> None:
        if answer.status_code != requests.codes.ok:
            retry_after = answer.headers.get("retry-after")
            raise explain_answer(self._access, deed, answer.status_code, _reason(answer), retry_after=retry_after)

    @contextmanager
    def _asking(self, deed: Deed) -> Iterator[None]:
        try:
            with self._patience.spend(deed), self._explaining(deed):
                yield
        except DeliveryError as error:
            raise CompareError(error.message, hint=error.hint) from None

    @contextmanager
    def _explaining(self, deed: Deed) -> Iterator[None]:
        try:
            yield
        except requests.RequestException as failure:
            raise explain_silence(self._access, deed, failure) from None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise explain_nonsense(self._access, deed) from None

    def _deed(self, what: str, permission: str, *, place: str = "") -> Deed:
        project = self._access.project
        return Deed(
            what=f"{what} of {project}",
            place=f"{place} in {project}" if place else f"repository {project}",
            permission=(
                f"The token in {self._access.token_variable} lacks a permission. Add this to the job:\n"
                f"permissions:\n  {permission}"
            ),
        )


def _too_large(size: int, most: int) -> CompareError:
    return CompareError(
        f"the artifact has {size:,} bytes or more; more than {most:,} are not read",
        hint="let the measuring workflow upload the directory that `seatrial ci` writes, and nothing else",
    )


def _reason(answer: requests.Response) -> str:
    """GitHub's own sentence, if it has one."""
    try:
        message = msgspec.json.decode(answer.content[:_PART], type=dict[str, Any]).get("message")
    except (msgspec.MsgspecError, UnicodeDecodeError, requests.RequestException):
        return ""
    return " ".join(str(message or "").split())[:300]
