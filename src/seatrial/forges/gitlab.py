"""GitLab, in the cloud or of one's own, over python-gitlab."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import gitlab
import requests
from gitlab.exceptions import GitlabError, RedirectError
from requests.adapters import HTTPAdapter

from seatrial.errors import DeliveryError
from seatrial.forges import (
    CheckEnd,
    Comment,
    Conclusion,
    ForgeAccess,
    StartedCheck,
    TokenRights,
    UncertainDeliveryError,
)
from seatrial.forges.failures import UNREADABLE, Deed, explain_answer, explain_nonsense, explain_silence
from seatrial.forges.retries import Patience, make_retry

# GitLab's limit is 1,000,000 characters; a UTF-8 text of that many bytes has no more of them.
COMMENT_BUDGET = 1_000_000
STATUS_DESCRIPTION = 255
CI_JOB_PREFIX = "glcbt-"
DEVELOPER = 30  # from this access level on a commit status may be set
STATES = {
    Conclusion.SUCCESS: "success",
    Conclusion.NEUTRAL: "success",
    Conclusion.FAILURE: "failed",
    Conclusion.ACTION_REQUIRED: "failed",
    Conclusion.CANCELLED: "canceled",
}
UPLOAD = re.compile(r"/uploads/[0-9a-f]{32,64}/[\w.-]+", re.ASCII)
# The session asks again by itself; the client's own way sleeps for as long as a server tells it to.
ONCE: Mapping[str, Any] = {"obey_rate_limit": False, "retry_transient_errors": False}


class GitLab:
    """One project of a GitLab."""

    name = "gitlab"
    comment_budget = COMMENT_BUDGET

    def __init__(self, access: ForgeAccess) -> None:
        self._access = access
        self._retry_after: str | None = None
        self._patience = Patience(access)
        self._job = access.token_kind == "job" or access.token.startswith(CI_JOB_PREFIX)  # noqa: S105
        self._gitlab = gitlab.Gitlab(
            access.api_url.rstrip("/").removesuffix("/api/v4"),
            private_token=None if self._job else access.token,
            job_token=access.token if self._job else None,
            ssl_verify=access.ca_file or True,
            timeout=access.timeout,
            user_agent="seatrial",
            keep_base_url=True,
            session=self._open_session(),
        )
        self._project = self._gitlab.projects.get(access.project, lazy=True)
        self._project_url = access.project_url

    def whoami(self) -> str | None:
        """The token's user name; a job token has none."""
        if self._job:
            return None
        with self._asking(self._deed("tell whose token it is")):
            user = self._gitlab.http_get("/user", **ONCE)
            return str(user["username"])  # type: ignore[index]  # a response object only where it is no JSON

    def read_rights(self) -> TokenRights:
        """What the token may do, by its scopes and by the role of its owner in the project."""
        if self._job:
            return TokenRights(comments=False, checks=False, detail="CI_JOB_TOKEN, which can't write")
        with self._asking(self._deed("tell what the token may do")):
            token = self._gitlab.http_get("/personal_access_tokens/self", **ONCE)
            scopes = sorted(str(scope) for scope in token["scopes"])  # type: ignore[index]
        with self._asking(self._deed("find the token's role")):
            permissions = self._gitlab.projects.get(self._access.project, **ONCE).attributes.get("permissions") or {}
            level = max((int(one["access_level"]) for one in permissions.values() if one), default=0)
        writes = "api" in scopes
        return TokenRights(
            comments=writes and level > 0,
            checks=writes and level >= DEVELOPER,
            detail=f"a token with the scopes {', '.join(scopes) or '(none)'} and access level {level} in the project",
        )

    def list_comments(self, change: int) -> Iterator[Comment]:
        """The notes of a merge request from all pages, oldest first; what GitLab itself noted is left out."""
        with self._asking(self._deed("list notes", change=change)):
            notes = self._notes(change).list(iterator=True, per_page=100, sort="asc", **ONCE)
            for note in notes:
                if not note.attributes.get("system"):
                    yield self._comment(note.attributes, change)

    def create_comment(self, change: int, body: str, *, resolvable: bool = False) -> Comment:
        """Add a note to a merge request, or open a thread with it."""
        self._show_project()  # before the note is there: failing after it would hide that it is
        with self._asking(self._deed("add a note", change=change, creates=True)):
            if not resolvable:
                return self._comment(self._notes(change).create({"body": body}, **ONCE).attributes, change)
            thread = self._threads(change).create({"body": body}, **ONCE)
            return self._comment(thread.attributes["notes"][0], change, thread=str(thread.id))

    def update_comment(self, comment: Comment, change: int, body: str) -> Comment:
        """Replace a note's body."""
        with self._asking(self._deed("update a note", change=change)):
            note = self._notes(change).update(comment.id, {"body": body}, **ONCE)
            return self._comment(note, change, thread=comment.handle)

    def delete_comment(self, comment: Comment, change: int) -> None:
        """Remove a note."""
        with self._asking(self._deed("delete a note", change=change)):
            try:
                self._notes(change).delete(comment.id, **ONCE)
            except GitlabError as refusal:
                if refusal.response_code != requests.codes.not_found:
                    raise

    def hide_comments(self, comments: Sequence[Comment], change: int) -> None:
        """Not on GitLab, which folds no notes."""
        raise DeliveryError(
            "GitLab can't hide notes", hint="choose `recreate`, which deletes the old note, or `update`, or `thread`"
        )

    def resolve_comment(self, comment: Comment, change: int, *, resolved: bool) -> None:
        """Resolve a thread, or open it again; a note that was listed does not tell its thread, which is looked up."""
        with self._asking(self._deed("resolve a thread", change=change)):
            thread = comment.handle or self._find_thread(comment, change)
            self._threads(change).update(thread, {"resolved": resolved}, **ONCE)

    def host_pictures(self, pictures: Mapping[str, bytes], *, branch: str | None) -> Mapping[str, str]:
        """Upload pictures to the project; GitLab does not tell what is there, so each call makes new ones."""
        return {name: self._upload(name, content) for name, content in pictures.items()}

    def _upload(self, name: str, content: bytes) -> str:
        """The address that GitLab completes wherever Markdown is shown, in e-mails too."""
        with self._asking(self._deed("upload a picture")):
            # The client's own method encodes a project's path twice.
            address = f"/projects/{quote(self._access.project, safe='')}/uploads"
            answer = self._gitlab.http_post(address, files={"file": (name, content)}, **ONCE)
            url = str(answer["url"])  # type: ignore[index]  # as above
            if not UPLOAD.fullmatch(url) or not url.endswith(f"/{name}"):
                raise ValueError(url)
            return url

    def start_check(self, *, name: str, head: str, details_url: str | None) -> StartedCheck:
        """A running commit status in the job's own pipeline."""
        return StartedCheck(id=self._set_status(name, head, "running", "in progress", details_url))

    def conclude_check(self, end: CheckEnd, started: StartedCheck | None = None) -> str:
        """Conclude the commit status: GitLab finds the running one by its name.

        It has no place for a summary, nor for annotations, which its code-quality report shows.
        """
        self._set_status(end.name, end.head, STATES[end.conclusion], end.title, end.details_url)
        return f"{self._show_project()}/-/commit/{end.head}/pipelines"

    def _set_status(self, name: str, head: str, state: str, description: str, details_url: str | None) -> int:
        """Set it on the pipeline's own commit: by another, such as the head of a merged result, GitLab finds none.

        Where no answer comes, look whether it is set: GitLab refuses to set the same state again.
        """
        head = self._access.pipeline_sha or head
        try:
            return self._post_status(name, head, state, description, details_url)
        except UncertainDeliveryError:
            with self._asking(self._deed("list commit statuses")):
                asked: Mapping[str, Any] = {"name": name, "pipeline_id": self._access.pipeline_id, "per_page": 100}
                commit = self._project.commits.get(head, lazy=True)
                for status in commit.statuses.list(iterator=True, **asked, **ONCE):
                    if status.status == state and status.attributes.get("target_url") == details_url:
                        return int(status.id)
        return self._post_status(name, head, state, description, details_url)

    def _post_status(self, name: str, head: str, state: str, description: str, details_url: str | None) -> int:
        if self._access.pipeline_id is None:
            # With none named GitLab opens a new pipeline, which can hide that the real one failed.
            raise DeliveryError(
                "a commit status needs the pipeline that it belongs to, and none is known",
                hint="Run in GitLab CI, or leave the status out: the job's own exit code says the same.",
            )
        status = {
            "state": state,
            "name": name,
            "description": description[:STATUS_DESCRIPTION],
            "pipeline_id": self._access.pipeline_id,
        }
        linked = {"target_url": details_url} if details_url else {}
        with self._asking(self._deed("set a commit status", creates=True)):
            commit = self._project.commits.get(head, lazy=True)
            return int(commit.statuses.create(status | linked, **ONCE).id)

    def _notes(self, change: int) -> Any:
        return self._project.mergerequests.get(change, lazy=True).notes

    def _threads(self, change: int) -> Any:
        return self._project.mergerequests.get(change, lazy=True).discussions

    def _find_thread(self, comment: Comment, change: int) -> str:
        for thread in self._threads(change).list(iterator=True, per_page=100, **ONCE):
            if any(note["id"] == comment.id for note in thread.attributes["notes"]):
                return str(thread.id)
        raise KeyError(comment.id)

    def _comment(self, note: Mapping[str, Any], change: int, *, thread: str = "") -> Comment:
        return Comment(
            id=int(note["id"]),
            author=str(note["author"]["username"]),
            body=str(note["body"]),
            url=f"{self._show_project()}/-/merge_requests/{change}#note_{note['id']}",
            handle=thread,
            resolved=bool(note.get("resolved")) if note.get("resolvable") else None,
        )

    def _show_project(self) -> str:
        """Where people see the project; GitLab is asked where CI told only its number."""
        if self._project_url is None and self._access.project.isdigit():
            with self._asking(self._deed("find the address")):
                self._project_url = str(self._gitlab.projects.get(self._access.project, **ONCE).web_url)
        elif self._project_url is None:
            self._project_url = f"{self._access.web_url.rstrip('/')}/{self._access.project}"
        return self._project_url

    def _deed(self, what: str, *, change: int | None = None, creates: bool = False) -> Deed:
        project, variable = self._access.project, self._access.token_variable
        place = f"project {project}" if change is None else f"merge request {change} in project {project}"
        return Deed(
            what=f"{what} on {place}",
            place=place,
            permission=(
                f"The token in {variable} may not do this. Create a project access token with scope `api` and role "
                f"Developer (Settings → Access tokens), store it as the masked CI/CD variable {variable}, unprotected "
                "if merge-request pipelines of unprotected branches are to use it. CI_JOB_TOKEN can't write notes."
            ),
            creates=creates,
        )

    def _open_session(self) -> requests.Session:
        def note(answer: requests.Response, *_: object, **__: object) -> None:
            # The client's own errors know nothing of headers.
            self._retry_after = answer.headers.get("Retry-After")

        session = requests.Session()
        session.hooks["response"].append(note)
        # A redirect would carry the token to wherever it points.
        session.max_redirects = 0
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=make_retry(self._patience)))
        return session

    @contextmanager
    def _asking(self, deed: Deed) -> Iterator[None]:
        try:
            with self._patience.spend(deed):
                yield
        except RedirectError:
            raise explain_silence(self._access, deed, requests.exceptions.TooManyRedirects()) from None
        except GitlabError as refusal:
            if refusal.response_code is None:
                raise explain_nonsense(self._access, deed) from None
            reason = " ".join(str(refusal.error_message).split())[:300]
            # GitLab answers 401 to a job token that is valid and asks for more than job tokens may.
            beyond = self._job and refusal.response_code == requests.codes.unauthorized
            status = requests.codes.forbidden if beyond else refusal.response_code
            raise explain_answer(self._access, deed, status, reason, retry_after=self._retry_after) from None
        except requests.RequestException as failure:
            raise explain_silence(self._access, deed, failure) from None
        except UNREADABLE:
            raise explain_nonsense(self._access, deed) from None
