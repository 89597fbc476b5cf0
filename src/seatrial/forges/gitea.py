"""Gitea and Forgejo, whose API is the same in what we need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import requests

from seatrial.errors import DeliveryError
from seatrial.forges import CheckEnd, Comment, Conclusion, ForgeAccess, StartedCheck, TokenRights
from seatrial.forges.failures import Deed
from seatrial.forges.rest import Answer, HeaderToken, Rest, read_next_link

# Gitea names no limit; the servers in front of it mostly take 1 MiB a request, and the text grows in its JSON.
COMMENT_BUDGET = 250_000
STATUS_DESCRIPTION = 255
# `warning` would stand in the way of a merge where the status is required.
STATES = {
    Conclusion.SUCCESS: "success",
    Conclusion.NEUTRAL: "success",
    Conclusion.FAILURE: "failure",
    Conclusion.ACTION_REQUIRED: "failure",
    Conclusion.CANCELLED: "error",
}


class Gitea:
    """One repository of a Gitea or Forgejo."""

    name = "gitea"
    comment_budget = COMMENT_BUDGET

    def __init__(self, access: ForgeAccess) -> None:
        self._access = access
        self._rest = Rest(access, HeaderToken("token", access.token), _read_reason)

    def whoami(self) -> str | None:
        """The token's login, the one of the job's own token included; None for a token without the scope to ask."""
        deed = self._deed("tell whose token it is")
        answer = self._rest.ask(deed, "GET", "/user", lets=(requests.codes.forbidden,))
        if answer is None:
            return None
        with self._rest.reading(deed):
            return str(answer.value["login"])

    def read_rights(self) -> TokenRights:
        """What the token may do: Gitea tells its owner's role in the repository, of its scopes nothing."""
        deed = self._deed("look at the repository")
        found = self._ask(deed, "GET", self._repository())
        with self._rest.reading(deed):
            role = found.value.get("permissions") or {}
            pushes = role["push"] is True if role else None
        detail = "a token whose scopes Gitea does not tell: it takes write:issue, write:repository and read:user"
        return TokenRights(comments=None, checks=False if pushes is False else None, detail=detail)

    def list_comments(self, change: int) -> Iterator[Comment]:
        """The comments of a pull request, oldest first: all at once, unless an answer names a next page."""
        deed = self._deed("list comments", change=change)
        address: str | None = f"{self._repository()}/issues/{change}/comments"
        while address is not None:
            page = self._ask(deed, "GET", address)
            with self._rest.reading(deed):
                comments = [self._comment(raw) for raw in _check_list(page.value)]
            yield from comments
            address = read_next_link(page.headers)

    def create_comment(self, change: int, body: str, *, resolvable: bool = False) -> Comment:
        """Add a comment to a pull request, whose conversation has no threads."""
        deed = self._deed("add a comment", change=change, creates=True)
        added = self._ask(deed, "POST", f"{self._repository()}/issues/{change}/comments", body={"body": body})
        with self._rest.reading(deed):
            return self._comment(added.value)

    def update_comment(self, comment: Comment, change: int, body: str) -> Comment:
        """Replace a comment's body."""
        deed = self._deed("update a comment", change=change)
        updated = self._ask(deed, "PATCH", f"{self._repository()}/issues/comments/{comment.id}", body={"body": body})
        with self._rest.reading(deed):
            return self._comment(updated.value)

    def delete_comment(self, comment: Comment, change: int) -> None:
        """Remove a comment."""
        deed = self._deed("delete a comment", change=change)
        address = f"{self._repository()}/issues/comments/{comment.id}"
        self._rest.ask(deed, "DELETE", address, lets=(requests.codes.not_found,))

    def hide_comments(self, comments: Sequence[Comment], change: int) -> None:
        """Not on Gitea, whose API folds no comments."""
        raise DeliveryError(
            "Gitea can't hide comments", hint="choose `recreate`, which deletes the old comment, or `update`"
        )

    def resolve_comment(self, comment: Comment, change: int, *, resolved: bool) -> None:
        """Not on Gitea: only review comments, on lines of files, are threads there."""
        raise DeliveryError("Gitea's comments are no threads to resolve", hint="require the status instead")

    def host_pictures(self, pictures: Mapping[str, bytes], *, branch: str | None) -> Mapping[str, str]:
        """Not on Gitea: what it takes stands beside the comments, and not in them."""
        raise DeliveryError("Gitea hosts no pictures of comments", hint="the HTML report shows all plots")

    def start_check(self, *, name: str, head: str, details_url: str | None) -> StartedCheck:
        """A pending commit status."""
        return StartedCheck(id=self._set_status(name, head, "pending", "in progress", details_url), annotated=False)

    def conclude_check(self, end: CheckEnd, started: StartedCheck | None = None) -> str:
        """Conclude the commit status, the newest of a name being the one that counts.

        Gitea has no place for a summary, nor for annotations.
        """
        self._set_status(end.name, end.head, STATES[end.conclusion], end.title, end.details_url)
        return f"{self._access.web_url.rstrip('/')}/{self._access.project}/commit/{end.head}"

    def _set_status(self, name: str, head: str, state: str, description: str, details_url: str | None) -> int:
        deed = self._deed("set a commit status")
        status = {"state": state, "context": name, "description": description[:STATUS_DESCRIPTION]}
        linked = {"target_url": details_url} if details_url else {}
        made = self._ask(deed, "POST", f"{self._repository()}/statuses/{head}", body=status | linked)
        with self._rest.reading(deed):
            return int(made.value["id"])

    def _ask(self, deed: Deed, method: str, address: str, *, body: object = None) -> Answer:
        answer = self._rest.ask(deed, method, address, body=body)
        assert answer is not None
        return answer

    def _repository(self) -> str:
        return f"/repos/{self._access.project}"

    def _comment(self, raw: Mapping[str, Any]) -> Comment:
        # An account that was deleted leaves its comments behind.
        author = str(raw["user"]["login"]) if raw.get("user") else ""
        return Comment(id=int(raw["id"]), author=author, body=str(raw["body"]), url=str(raw["html_url"]))

    def _deed(self, what: str, *, change: int | None = None, creates: bool = False) -> Deed:
        project, variable = self._access.project, self._access.token_variable
        place = f"repository {project}" if change is None else f"pull request {change} in {project}"
        return Deed(
            what=f"{what} on {place}",
            place=place,
            permission=(
                f"The token in {variable} may not do this. The job's own token, ${{{{ github.token }}}}, may comment, "
                "unless the pull request comes from a fork or Gitea's `permissions:` leave out `pull-requests: write`; "
                "a status takes `contents: write`. A token of one's own needs the scopes write:issue, read:user and, "
                "for a status, write:repository."
            ),
            creates=creates,
        )


def _check_list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a page of comments is a list")
    return value


def _read_reason(value: Any) -> str:
    return str(value["message"])
