"""GitHub and GitHub Enterprise Server, over PyGithub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import github
import requests
from github.GithubObject import NotSet

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
from seatrial.forges.github_pictures import StaleBranchError, keep_pictures
from seatrial.forges.retries import Patience, make_retry, read_quota

if TYPE_CHECKING:
    from seatrial.core.annotations import Annotation

# GitHub's limit is 65,536; whether of characters or bytes is disputed.
COMMENT_BUDGET = 60_000
STATUS_DESCRIPTION = 140
# GITHUB_TOKEN comments under this name and may not ask for it.
ACTIONS_BOT = "github-actions[bot]"
PERSONAL_PREFIXES = ("ghp_", "github_pat_", "gho_", "ghu_")
STATES = {
    Conclusion.SUCCESS: "success",
    Conclusion.NEUTRAL: "success",
    Conclusion.FAILURE: "failure",
    Conclusion.ACTION_REQUIRED: "failure",
    Conclusion.CANCELLED: "error",
}
# What a job needs for all that is posted.
PERMISSIONS = ("contents: read", "pull-requests: write", "checks: write")
# A check run takes this many annotations at once; beyond two batches nobody reads them, and each costs a request.
BATCH = 50
MOST_ANNOTATIONS = 2 * BATCH
ANNOTATION_TITLE = 255
_HIDE = "  c{0}: minimizeComment(input: {{subjectId: $c{0}, classifier: OUTDATED}}) {{ clientMutationId }}"


class GitHub:
    """One repository of a GitHub."""

    name = "github"
    comment_budget = COMMENT_BUDGET

    def __init__(self, access: ForgeAccess) -> None:
        self._access = access
        self._patience = Patience(access)
        self._github = github.Github(
            base_url=access.api_url.rstrip("/"),
            auth=github.Auth.Token(access.token),
            user_agent="seatrial",
            timeout=access.timeout,
            verify=access.ca_file or True,
            retry=make_retry(self._patience),
            seconds_between_requests=None,
            seconds_between_writes=None,
            lazy=True,
        )
        self._repository = self._github.get_repo(access.project)
        self._login: str | None = None

    def whoami(self) -> str | None:
        """The token's login; one that may not ask is an App's, known by the check that it started, or GITHUB_TOKEN."""
        if self._login:
            return self._login
        if self._access.token_kind == "installation" or self._access.token.startswith("ghs_"):  # noqa: S105
            return ACTIONS_BOT
        with self._asking(self._deed("tell whose token it is", "metadata: read")):
            try:
                return self._github.get_user().login
            except github.GithubException as refusal:
                if refusal.status == requests.codes.forbidden and "integration" in _reason(refusal):
                    return ACTIONS_BOT
                raise

    def read_rights(self) -> TokenRights:
        """What the token may do: GitHub tells it of a person's classic token, of others only whether they are good."""
        with self._asking(self._deed("look at the repository", "contents: read")):
            address = f"/repos/{self._access.project}"
            headers, found = self._github.requester.requestJsonAndCheck("GET", address)
            if not isinstance(found, dict):
                raise TypeError("a repository is an object")
        if not self._is_personal():
            detail = "the job's own token: `permissions:` of the job decides"
            return TokenRights(comments=None, checks=None, detail=detail)
        if "x-oauth-scopes" not in headers:
            detail = "a fine-grained personal token: its settings decide; it gets a status in the place of a check"
            return TokenRights(comments=None, checks=None, detail=detail)
        scopes = {scope.strip() for scope in str(headers["x-oauth-scopes"]).split(",") if scope.strip()}
        whole = "repo" in scopes or ("public_repo" in scopes and found.get("private") is False)
        pushes = (found.get("permissions") or {}).get("push") is True
        detail = f"a personal token with the scopes {', '.join(sorted(scopes)) or '(none)'}"
        return TokenRights(
            comments=whole, checks=pushes and (whole or "repo:status" in scopes), detail=f"{detail}; a status, no check"
        )

    def list_comments(self, change: int) -> Iterator[Comment]:
        """The comments of a pull request from all pages, oldest first."""
        with self._asking(self._deed("list comments", "pull-requests: read", change=change)):
            # PyGithub's own listing takes an empty answer, which a proxy may give, for an empty thread: then each run
            # would add another comment.
            address: str | None = f"{self._repository.get_issue(change).url}/comments?per_page=100"
            while address is not None:
                headers, page = self._github.requester.requestJsonAndCheck("GET", address)
                if not isinstance(page, list):
                    raise TypeError("a page of comments is a list")
                yield from map(_comment, page)
                address = _next_page(headers)

    def create_comment(self, change: int, body: str, *, resolvable: bool = False) -> Comment:
        """Add a comment to a pull request, whose conversation has no threads."""
        with self._asking(self._deed("add a comment", "pull-requests: write", change=change, creates=True)):
            return _comment(self._repository.get_issue(change).create_comment(body).raw_data)

    def update_comment(self, comment: Comment, change: int, body: str) -> Comment:
        """Replace a comment's body."""
        with self._asking(self._deed("update a comment", "pull-requests: write", change=change)):
            known = self._repository.get_issue(change).get_comment(comment.id)
            known.edit(body)
            return replace(comment, body=known.body)

    def delete_comment(self, comment: Comment, change: int) -> None:
        """Remove a comment."""
        with self._asking(self._deed("delete a comment", "pull-requests: write", change=change)):
            try:
                self._repository.get_issue(change).get_comment(comment.id).delete()
            except github.UnknownObjectException:
                return

    def hide_comments(self, comments: Sequence[Comment], change: int) -> None:
        """Minimize comments as outdated, all in one request; those that are minimized already stay so."""
        names = [f"$c{number}: ID!" for number in range(len(comments))]
        hidings = [_HIDE.format(number) for number in range(len(comments))]
        query = f"mutation({', '.join(names)}) {{\n" + "\n".join(hidings) + "\n}"
        variables = {f"c{number}": comment.handle for number, comment in enumerate(comments)}
        with self._asking(self._deed("hide comments", "pull-requests: write", change=change)):
            self._github.requester.graphql_query(query, variables)

    def resolve_comment(self, comment: Comment, change: int, *, resolved: bool) -> None:
        """Not on GitHub: only review comments, on lines of files, are threads there."""
        raise DeliveryError("GitHub's comments are no threads to resolve", hint="require the check instead")

    def host_pictures(self, pictures: Mapping[str, bytes], *, branch: str | None) -> Mapping[str, str]:
        """Keep pictures on a branch of the repository, where whoever may read it sees them."""
        if branch is None:
            raise DeliveryError("GitHub's API hosts no pictures", hint="name a branch for them: --image-branch NAME")
        try:
            keep_pictures(self._query_graph, self._access.project, branch, pictures)
        except UNREADABLE:
            raise explain_nonsense(self._access, self._deed("look for pictures", "contents: write")) from None
        place = f"{self._access.web_url.rstrip('/')}/{self._access.project}/blob/{quote(branch)}"
        return {name: f"{place}/{quote(name)}?raw=true" for name in pictures}

    def _query_graph(self, what: str, query: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer's data; GitHub tells of a refusal with status 200, by the kinds of its errors."""
        deed = self._deed(what, "contents: write", creates=query.startswith("mutation"))
        with self._asking(deed):
            try:
                _, answer = self._github.requester.graphql_query(query, dict(variables))
            except github.GithubException as refusal:
                kinds = {error.get("type") for error in (refusal.data or {}).get("errors") or () if error}
                if "STALE_DATA" in kinds:
                    raise StaleBranchError(_reason(refusal), hint="Run the job again.") from None
                if "FORBIDDEN" in kinds:
                    status = requests.codes.forbidden
                    raise explain_answer(self._access, deed, status, _reason(refusal)) from None
                raise
            return dict(answer["data"])

    def start_check(self, *, name: str, head: str, details_url: str | None) -> StartedCheck:
        """A check run in progress; for a person's token, which may make none, a pending commit status."""
        if self._is_personal():
            self._set_status(name, head, "pending", "in progress", details_url)
            return StartedCheck(id=0, annotated=False)
        run = self._create_check("start a check run", name, head, details_url, {"status": "in_progress"})
        app = run.get("app") or {}
        self._login = f"{app['slug']}[bot]" if app.get("slug") else None
        return StartedCheck(id=int(run["id"]))

    def conclude_check(self, end: CheckEnd, started: StartedCheck | None = None) -> str:
        """Conclude a check run; for a person's token a commit status, which knows success and failure only."""
        if self._is_personal():
            return self._set_status(end.name, end.head, STATES[end.conclusion], end.title, end.details_url)
        first, *others = _cut_into_batches(end.annotations)
        shown = {"title": end.title, "summary": end.summary}
        ended = {"status": "completed", "conclusion": end.conclusion.value, "output": {**shown, "annotations": first}}
        if started is None:
            run = self._create_check("conclude a check run", end.name, end.head, end.details_url, ended)
        else:
            linked = {"details_url": end.details_url} if end.details_url else {}
            run = self._update_check("conclude a check run", started.id, ended | linked)
        for batch in others:
            self._update_check("annotate a check run", int(run["id"]), {"output": {**shown, "annotations": batch}})
        return str(run["html_url"])

    def call(
        self,
        what: str,
        permission: str,
        method: str,
        path: str,
        sent: Mapping[str, Any] | None = None,
        *,
        creates: bool = False,
        kind: type[dict[str, Any] | list[Any]] = dict,
    ) -> Any:
        """Ask another part of the repository's API, in the same way; the answer has to be of this `kind`."""
        with self._asking(self._deed(what, permission, creates=creates)):
            return self._send(method, path, sent, kind)

    def _send(
        self, method: str, path: str, sent: Mapping[str, Any] | None, kind: type[dict[str, Any] | list[Any]]
    ) -> Any:
        address = f"/repos/{self._access.project}/{path}"
        _, answer = self._github.requester.requestJsonAndCheck(method, address, input=dict(sent) if sent else None)
        if not isinstance(answer, kind):
            raise TypeError(f"the answer is not a {kind.__name__}")
        return answer

    def _create_check(
        self, what: str, name: str, head: str, details_url: str | None, fields: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Make a check run; where no answer comes, look whether it is there before asking a second and last time."""
        sent = {"name": name, "head_sha": head, **fields, **({"details_url": details_url} if details_url else {})}
        deed = self._deed(what, "checks: write", creates=True)
        try:
            return self._request(deed, "POST", "check-runs", sent)
        except UncertainDeliveryError:
            query = urlencode({"check_name": name, "filter": "all", "per_page": 100})
            found = self._request(
                self._deed("list check runs", "checks: read"), "GET", f"commits/{head}/check-runs?{query}"
            )
            for run in found["check_runs"]:
                if run["details_url"] == details_url and run["status"] == fields["status"]:
                    return dict(run)
        return self._request(deed, "POST", "check-runs", sent)

    def _update_check(self, what: str, number: int, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._request(self._deed(what, "checks: write"), "PATCH", f"check-runs/{number}", fields)

    def _request(self, deed: Deed, method: str, path: str, sent: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        with self._asking(deed):
            answer: dict[str, Any] = self._send(method, path, sent, dict)
            if not {"id", "check_runs"}.intersection(answer):
                raise TypeError("a check run, or a list of them, is an object")
            return answer

    def _is_personal(self) -> bool:
        kind = self._access.token_kind
        return kind == "personal" or (kind is None and self._access.token.startswith(PERSONAL_PREFIXES))

    def _set_status(self, name: str, head: str, state: str, description: str, details_url: str | None) -> str:
        with self._asking(self._deed("set a commit status", "statuses: write")):
            self._repository.get_commit(head).create_status(
                state,
                target_url=details_url or NotSet,
                description=description[:STATUS_DESCRIPTION],
                context=name,
            )
        return f"{self._access.web_url.rstrip('/')}/{self._access.project}/commit/{head}"

    def _deed(self, what: str, permission: str, *, change: int | None = None, creates: bool = False) -> Deed:
        project = self._access.project
        place = f"repository {project}" if change is None else f"pull request {change} in {project}"
        return Deed(
            what=f"{what} on {place}",
            place=place,
            permission=self._explain_permission(permission),
            creates=creates,
        )

    def _explain_permission(self, permission: str) -> str:
        """What to do about a 403, with lines to paste: a block of permissions takes away what it does not name."""
        variable = self._access.token_variable
        if self._is_personal():
            return f"Give the token in {variable} the scope `repo` or, if it is fine-grained, `{permission}`."
        needed = "\n".join(f"  {one}" for one in dict.fromkeys((*PERMISSIONS, permission)))
        return (
            f"The token in {variable} lacks `{permission}`. The job needs these:\npermissions:\n{needed}\n"
            "A pull request from a fork never has them."
        )

    @contextmanager
    def _asking(self, deed: Deed) -> Iterator[None]:
        try:
            with self._patience.spend(deed):
                yield
        except github.GithubException as refusal:
            raise explain_answer(
                self._access,
                deed,
                refusal.status,
                _reason(refusal),
                retry_after=_wait(refusal.headers or {}),
            ) from None
        except requests.RequestException as failure:
            raise explain_silence(self._access, deed, failure) from None
        except (*UNREADABLE, github.BadAttributeException):
            raise explain_nonsense(self._access, deed) from None


def _comment(raw: Mapping[str, Any]) -> Comment:
    # An account that was deleted leaves its comments behind, with no author.
    author = str(raw["user"]["login"]) if raw["user"] else ""
    return Comment(
        id=int(raw["id"]),
        author=author,
        body=str(raw.get("body") or ""),
        url=str(raw["html_url"]),
        handle=str(raw["node_id"]),
    )


def _cut_into_batches(annotations: Sequence[Annotation]) -> list[list[dict[str, str | int]]]:
    """The annotations in GitHub's shape, as many as one request takes in each; one batch at least."""
    shaped = [_annotation(annotation) for annotation in annotations[:MOST_ANNOTATIONS]]
    return [shaped[start : start + BATCH] for start in range(0, max(1, len(shaped)), BATCH)]


def _annotation(annotation: Annotation) -> dict[str, str | int]:
    return {
        "path": annotation.path,
        "start_line": annotation.line,
        "end_line": annotation.line,
        "annotation_level": annotation.level.value,
        "title": annotation.title[:ANNOTATION_TITLE],
        "message": annotation.message,
    }


def _wait(headers: Mapping[str, str]) -> str | None:
    """Seconds that GitHub wants to be left alone, by either of its ways to say so."""
    until_full = read_quota(headers)
    return headers.get("retry-after") or (f"{until_full:.0f}" if until_full else None)


def _next_page(headers: Mapping[str, Any]) -> str | None:
    links = requests.utils.parse_header_links(str(headers.get("link") or ""))
    return next((link["url"] for link in links if link.get("rel") == "next"), None)


def _reason(refusal: github.GithubException) -> str:
    """GitHub's own sentence, with what it says of single fields."""
    data = refusal.data if isinstance(refusal.data, dict) else {}
    errors = data.get("errors") if isinstance(data.get("errors"), list) else []
    fields = [
        str(error.get("message") or f"{error.get('field')}: {error.get('code')}")
        for error in errors or ()
        if isinstance(error, dict)
    ]
    return " ".join("; ".join([str(data.get("message") or ""), *fields]).split())[:300]
