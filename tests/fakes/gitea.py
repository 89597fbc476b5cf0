"""A stand-in Gitea: the API under /api/v1, pages for people beside it.

python -m tests.fakes.gitea --port 0 --state DIR
"""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.commandline import serve
from tests.fakes.page import latest
from tests.fakes.records import TOKEN, Change, Check, Identity, Remark
from tests.fakes.server import Answer, RefusedError, Request, Route, as_json
from tests.fakes.standin import StandIn

# The job's own token speaks for this user, and may say so.
ACTIONS = Identity(token=TOKEN, login="gitea-actions", kind="installation")
# What the usual server in front of a Gitea takes in one request.
REQUEST_LIMIT = 1 << 20
STATES = {"pending", "success", "error", "failure", "warning", "skipped"}


class GiteaStandIn(StandIn):
    """One repository with its pull requests, comments and commit statuses."""

    kind = "gitea"
    api = "/api/v1"
    known = ACTIONS

    def checks(self, sha: str) -> list[Check]:
        """The newest status of each name, which is the one that counts."""
        return latest(super().checks(sha))

    def page_url(self, change: int) -> str:
        """The address of the page that shows a pull request."""
        return f"{self.web_url}/{self.repository}/pulls/{change}"

    def routes(self) -> tuple[Route, ...]:
        name = re.escape(self.repository)
        repo = rf"{self.api}/repos/{name}"
        return (
            ("GET", rf"/{name}/pulls/(\d+)", self.show_change),
            ("GET", rf"{self.api}/user", self.show_user),
            ("GET", repo, self.show_repository),
            ("GET", rf"{repo}/pulls/(\d+)", self.show_pull),
            ("GET", rf"{repo}/issues/(\d+)/comments", self.list_comments),
            ("POST", rf"{repo}/issues/(\d+)/comments", self.create_comment),
            ("GET", rf"{repo}/issues/comments/(\d+)", self.show_comment),
            ("PATCH", rf"{repo}/issues/comments/(\d+)", self.update_comment),
            ("DELETE", rf"{repo}/issues/comments/(\d+)", self.delete_comment),
            ("GET", rf"{repo}/statuses/([^/]+)", self.list_statuses),
            ("POST", rf"{repo}/statuses/([^/]+)", self.create_status),
        )

    def refuse(self, refusal: RefusedError) -> Answer:
        body = {"message": refusal.message, "url": f"{self.web_url}/api/swagger"}
        return as_json(body, status=refusal.status)

    # The API

    def show_user(self, request: Request) -> Answer:
        identity = self._identity(request)
        if identity.kind == "job":
            message = (
                "token does not have at least one of required scope(s), required=[read:user], token scope=write:issue"
            )
            raise RefusedError(403, message)
        return as_json(self._user(identity.login))

    def show_repository(self, request: Request) -> Answer:
        return as_json(self._repository(self._identity(request)))

    def show_pull(self, request: Request, number: str) -> Answer:
        self._identity(request)
        return as_json(self._pull(self.change(int(number))))

    def list_comments(self, request: Request, number: str) -> Answer:
        """All of them at once: this list has no pages on a Gitea."""
        self._identity(request)
        shown = [self._comment(remark) for remark in self.comments(self.change(int(number)).number)]
        return as_json(shown, headers={"X-Total-Count": str(len(shown))})

    def create_comment(self, request: Request, number: str) -> Answer:
        identity = self._writer(request, "comments")
        remark = self.add(self.change(int(number)).number, self._body(request), identity.login)
        self.keep()
        return as_json(self._comment(remark), status=201)

    def show_comment(self, request: Request, number: str) -> Answer:
        self._identity(request)
        return as_json(self._comment(self.remark(int(number))))

    def update_comment(self, request: Request, number: str) -> Answer:
        self._writer(request, "comments")
        remark = self.remark(int(number))
        self.edit(remark, self._body(request))
        return as_json(self._comment(remark))

    def delete_comment(self, request: Request, number: str) -> Answer:
        self._writer(request, "comments")
        del self.records.remarks[self.remark(int(number)).id]
        self.keep()
        return Answer(status=204)

    def list_statuses(self, request: Request, sha: str) -> Answer:
        self._identity(request)
        return as_json([self._status(check) for check in self.records.of_head(self.sha(sha))])

    def create_status(self, request: Request, sha: str) -> Answer:
        """Each is a new one; the newest of a context is the one that is shown."""
        identity = self._writer(request, "statuses")
        sent = request.json()
        if sent.get("state") not in STATES:
            raise RefusedError(400, f"invalid commit status state {sent.get('state')!r}")
        check = self.add_status(
            sent.get("context") or "default",
            self.sha(sha),
            identity.login,
            state=sent["state"],
            title=sent.get("description") or "",
            details_url=sent.get("target_url"),
        )
        return as_json(self._status(check), status=201)

    # Who asks, for what

    def _identity(self, request: Request) -> Identity:
        scheme, _, token = (request.headers.get("Authorization") or "").partition(" ")
        return self.identify(token if scheme.lower() in {"token", "bearer"} else None)

    def _writer(self, request: Request, what: str) -> Identity:
        identity = self._identity(request)
        if what not in identity.may:
            raise RefusedError(403, "user should have a permission to write to this repository")
        return identity

    def _body(self, request: Request) -> str:
        if len(request.body) > REQUEST_LIMIT:
            raise RefusedError(413, "Request Entity Too Large")
        body = request.json().get("body")
        if not isinstance(body, str) or not body.strip():
            raise RefusedError(422, "[Body]: Required")
        return body

    # In Gitea's shape

    def _user(self, login: str) -> dict[str, Any]:
        number = sum(login.encode())
        return {
            "id": -2 if login == ACTIONS.login else number,
            "login": login,
            "login_name": "",
            "source_id": 0,
            "full_name": login.replace("-", " ").title(),
            "email": f"{login}@noreply.localhost",
            "avatar_url": f"{self.web_url}/avatars/{number}",
            "html_url": f"{self.web_url}/{login}",
            "language": "",
            "is_admin": False,
            "last_login": "0001-01-01T00:00:00Z",
            "created": "2020-01-01T00:00:00Z",
            "restricted": False,
            "active": True,
            "prohibit_login": False,
            "location": "",
            "website": "",
            "description": "",
            "visibility": "public",
            "followers_count": 0,
            "following_count": 0,
            "starred_repos_count": 0,
        }

    def _repository(self, identity: Identity) -> dict[str, Any]:
        owner, _, name = self.repository.partition("/")
        web = f"{self.web_url}/{self.repository}"
        return {
            "id": 1,
            "owner": self._user(owner),
            "name": name,
            "full_name": self.repository,
            "description": "",
            "private": False,
            "fork": False,
            "html_url": web,
            "url": f"{self.api_url}/repos/{self.repository}",
            "clone_url": f"{web}.git",
            "default_branch": "main",
            "archived": False,
            "permissions": {"admin": False, "push": "statuses" in identity.may, "pull": True},
        }

    def _pull(self, change: Change) -> dict[str, Any]:
        sides = {
            name: {"label": ref, "ref": ref, "sha": sha, "repo_id": 1}
            for name, ref, sha in (
                ("head", change.head_ref, change.head_sha),
                ("base", change.base_ref, change.base_sha),
            )
        }
        return {
            "id": change.number,
            "number": change.number,
            "url": self.page_url(change.number),
            "html_url": self.page_url(change.number),
            "user": self._user(change.author),
            "title": change.title,
            "body": change.body,
            "state": "open",
            "draft": False,
            "comments": len(self.comments(change.number)),
            "merge_base": change.base_sha,
            **sides,
        }

    def _comment(self, remark: Remark) -> dict[str, Any]:
        web = self.page_url(remark.change)
        return {
            "id": remark.id,
            "html_url": f"{web}#issuecomment-{remark.id}",
            "pull_request_url": web,
            "issue_url": "",
            "user": self._user(remark.author),
            "original_author": "",
            "original_author_id": 0,
            "body": remark.body,
            "assets": [],
            "created_at": remark.created,
            "updated_at": remark.updated,
        }

    def _status(self, check: Check) -> dict[str, Any]:
        return {
            "id": check.id,
            "status": check.state,
            "target_url": check.details_url or "",
            "description": check.title,
            "url": f"{self.api_url}/repos/{self.repository}/statuses/{check.sha}",
            "context": check.name,
            "creator": self._user(check.author),
            "created_at": check.created,
            "updated_at": check.updated,
        }


def main() -> None:
    """Serve until interrupted."""
    serve(GiteaStandIn, project="octo/flights", described=__doc__ or "")


if __name__ == "__main__":
    main()
