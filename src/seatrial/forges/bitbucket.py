"""Bitbucket Cloud: comments, build statuses, and Code Insights for what stands beside lines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from seatrial.errors import DeliveryError
from seatrial.forges import CheckEnd, Comment, Conclusion, ForgeAccess, StartedCheck, TokenRights
from seatrial.forges.failures import Deed
from seatrial.forges.rest import Answer, HeaderToken, Rest

if TYPE_CHECKING:
    from seatrial.core.annotations import Annotation

# Bitbucket takes 32,768 characters; but it folds nothing, and nobody scrolls through more than a few screens.
COMMENT_BUDGET = 10_000
STATUS_DESCRIPTION = 255
STATUS_KEY = 40
# A report takes 100 annotations at once, and shows a short summary and longer details of each.
BATCH = 100
MOST_ANNOTATIONS = BATCH
ANNOTATION_SUMMARY = 450
DETAILS = 2_000
STATES = {
    Conclusion.SUCCESS: "SUCCESSFUL",
    Conclusion.NEUTRAL: "SUCCESSFUL",
    Conclusion.FAILURE: "FAILED",
    Conclusion.ACTION_REQUIRED: "FAILED",
    Conclusion.CANCELLED: "STOPPED",
}
SEVERITIES = {"notice": "LOW", "warning": "MEDIUM", "failure": "HIGH"}
WRITING_SCOPES = frozenset({"pullrequest:write", "write:pullrequest:bitbucket"})
_HTML_COMMENT = re.compile(r"<!-- (?P<text>.*) -->")
_UNUSED_REFERENCE = re.compile(r"\[//\]: # '(?P<text>.*)'")


class Bitbucket:
    """One repository of Bitbucket Cloud."""

    name = "bitbucket"
    comment_budget = COMMENT_BUDGET

    def __init__(self, access: ForgeAccess) -> None:
        self._access = access
        self._rest = Rest(access, _choose_auth(access.token), _read_reason)

    def whoami(self) -> str | None:
        """The unique id of the token's owner; None for a repository's token without the right to ask."""
        deed = self._deed("tell whose token it is")
        # Bitbucket refuses a repository's token here in either way; one that is no good fails at the next request.
        refusals = (requests.codes.forbidden, requests.codes.unauthorized)
        answer = self._rest.ask(deed, "GET", "/user", lets=refusals)
        if answer is None:
            return None
        with self._rest.reading(deed):
            return str(answer.value["uuid"])

    def read_rights(self) -> TokenRights:
        """What the token may do, by the scopes that Bitbucket tells in the headers of its answers."""
        deed = self._deed("look at the repository")
        found = self._ask(deed, "GET", self._repository())
        told = found.headers.get("X-OAuth-Scopes", "")
        scopes = {scope.strip() for scope in told.split(",") if scope.strip()}
        if not scopes:
            detail = "a token whose scopes Bitbucket does not tell: it takes Pull requests: Write"
            return TokenRights(comments=None, checks=None, detail=detail)
        writes = bool(scopes & WRITING_SCOPES)
        return TokenRights(
            comments=writes, checks=writes, detail=f"a token with the scopes {', '.join(sorted(scopes))}"
        )

    def list_comments(self, change: int) -> Iterator[Comment]:
        """The comments of a pull request from all pages, oldest first, without those that were deleted."""
        deed = self._deed("list comments", change=change)
        address: str | None = f"{self._comments(change)}?pagelen=100"
        while address is not None:
            page = self._ask(deed, "GET", address)
            with self._rest.reading(deed):
                comments = [_comment(raw) for raw in page.value["values"] if not raw.get("deleted")]
                following = page.value.get("next")
            yield from comments
            address = str(following) if following else None

    def create_comment(self, change: int, body: str, *, resolvable: bool = False) -> Comment:
        """Add a comment to a pull request; Bitbucket's threads stand on lines of files, so none is opened."""
        deed = self._deed("add a comment", change=change, creates=True)
        added = self._ask(deed, "POST", self._comments(change), body=_wrap(body))
        with self._rest.reading(deed):
            return _comment(added.value)

    def update_comment(self, comment: Comment, change: int, body: str) -> Comment:
        """Replace a comment's body."""
        deed = self._deed("update a comment", change=change)
        updated = self._ask(deed, "PUT", f"{self._comments(change)}/{comment.id}", body=_wrap(body))
        with self._rest.reading(deed):
            return _comment(updated.value)

    def delete_comment(self, comment: Comment, change: int) -> None:
        """Remove a comment."""
        deed = self._deed("delete a comment", change=change)
        gone = (requests.codes.not_found, requests.codes.gone)
        self._rest.ask(deed, "DELETE", f"{self._comments(change)}/{comment.id}", lets=gone)

    def hide_comments(self, comments: Sequence[Comment], change: int) -> None:
        """Not on Bitbucket, which folds threads on lines of files only."""
        raise DeliveryError(
            "Bitbucket can't hide comments", hint="choose `recreate`, which deletes the old comment, or `update`"
        )

    def resolve_comment(self, comment: Comment, change: int, *, resolved: bool) -> None:
        """Not on Bitbucket: only comments on lines of files are threads to resolve."""
        raise DeliveryError("Bitbucket's comments are no threads to resolve", hint="require the build status instead")

    def host_pictures(self, pictures: Mapping[str, bytes], *, branch: str | None) -> Mapping[str, str]:
        """Not on Bitbucket: what it takes stands beside the comments, and not in them."""
        raise DeliveryError("Bitbucket hosts no pictures of comments", hint="the HTML report shows all plots")

    def start_check(self, *, name: str, head: str, details_url: str | None) -> StartedCheck:
        """A build status in progress; a later one of the same key takes its place."""
        self._set_status(name, head, "INPROGRESS", "in progress", details_url)
        return StartedCheck(id=0)

    def conclude_check(self, end: CheckEnd, started: StartedCheck | None = None) -> str:
        """Conclude the build status; annotations become a Code Insights report. Neither takes a summary."""
        self._set_status(end.name, end.head, STATES[end.conclusion], end.title, end.details_url)
        if end.annotations:
            self._annotate(end)
        return self._show_commit(end.head)

    def _set_status(self, name: str, head: str, state: str, description: str, details_url: str | None) -> None:
        status = {
            "key": _shorten_key(name),
            "name": name,
            "state": state,
            "description": description[:STATUS_DESCRIPTION],
            "url": details_url or self._show_commit(head),  # Bitbucket takes no status without an address
        }
        self._ask(self._deed("set a build status"), "POST", f"{self._commit(head)}/statuses/build", body=status)

    def _annotate(self, end: CheckEnd) -> None:
        report_id = _shorten_key(end.name)
        address = f"{self._commit(end.head)}/reports/{report_id}"
        report = {
            "title": end.name,
            "details": end.title[:DETAILS],
            "report_type": "TEST",
            "reporter": "seatrial",
            "result": "PASSED" if STATES[end.conclusion] == "SUCCESSFUL" else "FAILED",
            "link": end.details_url or self._show_commit(end.head),
        }
        deed = self._deed("annotate a commit")
        self._ask(deed, "PUT", address, body=report)
        remarks = [
            _shape(report_id, number, one) for number, one in enumerate(end.annotations[:MOST_ANNOTATIONS], start=1)
        ]
        self._ask(deed, "POST", f"{address}/annotations", body=remarks)

    def _ask(self, deed: Deed, method: str, address: str, *, body: object = None) -> Answer:
        answer = self._rest.ask(deed, method, address, body=body)
        assert answer is not None
        return answer

    def _repository(self) -> str:
        return f"/repositories/{self._access.project}"

    def _comments(self, change: int) -> str:
        return f"{self._repository()}/pullrequests/{change}/comments"

    def _commit(self, head: str) -> str:
        return f"{self._repository()}/commit/{head}"

    def _show_commit(self, head: str) -> str:
        return f"{self._access.web_url.rstrip('/')}/{self._access.project}/commits/{head}"

    def _deed(self, what: str, *, change: int | None = None, creates: bool = False) -> Deed:
        project, variable = self._access.project, self._access.token_variable
        place = f"repository {project}" if change is None else f"pull request {change} in {project}"
        return Deed(
            what=f"{what} on {place}",
            place=place,
            permission=(
                f"The token in {variable} may not do this. Create a repository access token with the permission "
                f"Pull requests: Write (Repository settings → Access tokens) and store it as the secured repository "
                f"variable {variable}. A person's API token is given as `e-mail:token`."
            ),
            creates=creates,
        )


def _choose_auth(token: str) -> AuthBase:
    """Access tokens of repositories, projects and workspaces stand alone; a person's comes with a name."""
    name, colon, secret = token.partition(":")
    return HTTPBasicAuth(name.encode(), secret.encode()) if colon else HeaderToken("Bearer", token)


def _comment(raw: Mapping[str, Any]) -> Comment:
    # An account that was deleted leaves its comments behind, with no author. Names are not unique, ids are.
    author = str(raw["user"]["uuid"]) if raw.get("user") else ""
    body = _show_first_line(str(raw["content"]["raw"]))
    return Comment(id=int(raw["id"]), author=author, body=body, url=str(raw["links"]["html"]["href"]))


def _wrap(body: str) -> dict[str, dict[str, str]]:
    return {"content": {"raw": _hide_first_line(body)}}


def _hide_first_line(body: str) -> str:
    """The body with an HTML comment on its first line, which Bitbucket would show, as a reference that nothing uses.

    Such a definition is drawn by no Markdown, and comes back letter by letter.
    """
    first, newline, rest = body.partition("\n")
    if comment := _HTML_COMMENT.fullmatch(first):
        first = "[//]: # '{}'".format(comment["text"].replace("'", "\\u0027"))
    return f"{first}{newline}{rest}"


def _show_first_line(raw: str) -> str:
    """The body as it was before `_hide_first_line`."""
    first, newline, rest = raw.partition("\n")
    if reference := _UNUSED_REFERENCE.fullmatch(first.rstrip("\r")):
        first = "<!-- {} -->".format(reference["text"].replace("\\u0027", "'"))
    return f"{first}{newline}{rest}"


def _shorten_key(name: str) -> str:
    """A key that Bitbucket takes, the same for the same name and, in all likelihood, for no other."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")
    if plain == name and len(plain) <= STATUS_KEY:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: STATUS_KEY - 9]}-{digest}"


def _shape(report_id: str, number: int, annotation: Annotation) -> dict[str, str | int]:
    return {
        "external_id": f"{report_id}-{number}",
        "annotation_type": "CODE_SMELL",
        "path": annotation.path,
        "line": annotation.line,
        "summary": annotation.title[:ANNOTATION_SUMMARY],
        "details": annotation.message[:DETAILS],
        "severity": SEVERITIES[annotation.level.value],
        "result": "FAILED" if annotation.level.value == "failure" else "PASSED",
    }


def _read_reason(value: Any) -> str:
    error = value["error"]
    detail = error.get("detail")
    return f"{error['message']}: {detail}" if isinstance(detail, str) and detail else str(error["message"])
