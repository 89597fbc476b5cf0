"""A stand-in Bitbucket Cloud: the API under /2.0, pages for people beside it.

python -m tests.fakes.bitbucket --port 0 --state DIR
"""

from __future__ import annotations

import base64
import json
import math
import re
import uuid
from typing import Any
from urllib.parse import urlencode

from tests.fakes.commandline import serve
from tests.fakes.page import latest
from tests.fakes.records import TOKEN, Change, Check, Identity, Remark
from tests.fakes.server import Answer, RefusedError, Request, Route, as_json
from tests.fakes.standin import StandIn

# Bitbucket knows accounts by an id in braces; names are for people and not unique.
BOT = Identity(token=TOKEN, login="{6f3c1a52-0d2b-4c0c-9a51-7d7f3b7a9f10}", kind="bot")
COMMENT_LIMIT = 32_768
KEY_LIMIT = 40
STATES = {"SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"}
LINE_TIME = "2026-01-01T00:00:00Z"


class BitbucketStandIn(StandIn):
    """One repository with its pull requests, comments, build statuses and reports."""

    kind = "bitbucket"
    api = "/2.0"
    known = BOT

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.deleted: set[int] = set()
        self.reports: dict[tuple[str, str], dict[str, Any]] = {}
        self.annotations: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}

    # What a test reads.

    def comments(self, change: int) -> list[Remark]:
        """The comments that are not deleted, oldest first."""
        return [remark for remark in self.records.of_change(change) if remark.id not in self.deleted]

    def page_url(self, change: int) -> str:
        """The address of the page that shows a pull request."""
        return f"{self.web_url}/{self.repository}/pull-requests/{change}"

    def routes(self) -> tuple[Route, ...]:
        name = re.escape(self.repository)
        repo = rf"{self.api}/repositories/{name}"
        return (
            ("GET", rf"/{name}/pull-requests/(\d+)", self.show_change),
            ("GET", rf"{self.api}/user", self.show_user),
            ("GET", repo, self.show_repository),
            ("GET", rf"{repo}/pullrequests/(\d+)", self.show_pull),
            ("GET", rf"{repo}/pullrequests/(\d+)/comments", self.list_comments),
            ("POST", rf"{repo}/pullrequests/(\d+)/comments", self.create_comment),
            ("GET", rf"{repo}/pullrequests/(\d+)/comments/(\d+)", self.show_comment),
            ("PUT", rf"{repo}/pullrequests/(\d+)/comments/(\d+)", self.update_comment),
            ("DELETE", rf"{repo}/pullrequests/(\d+)/comments/(\d+)", self.delete_comment),
            ("GET", rf"{repo}/commit/([^/]+)/statuses", self.list_statuses),
            ("POST", rf"{repo}/commit/([^/]+)/statuses/build", self.set_status),
            ("GET", rf"{repo}/commit/([^/]+)/reports/([^/]+)", self.show_report),
            ("PUT", rf"{repo}/commit/([^/]+)/reports/([^/]+)", self.put_report),
            ("GET", rf"{repo}/commit/([^/]+)/reports/([^/]+)/annotations", self.list_annotations),
            ("POST", rf"{repo}/commit/([^/]+)/reports/([^/]+)/annotations", self.add_annotations),
        )

    def refuse(self, refusal: RefusedError) -> Answer:
        return as_json({"type": "error", "error": {"message": refusal.message}}, status=refusal.status)

    # The API

    def show_user(self, request: Request) -> Answer:
        identity = self._identity(request)
        if identity.kind == "job":
            raise RefusedError(403, "Your credentials lack one or more required privilege scopes.")
        return as_json(self._user(identity.login))

    def show_repository(self, request: Request) -> Answer:
        identity = self._identity(request)
        scopes = "pullrequest:write" if "comments" in identity.may else "pullrequest"
        told = {} if identity.kind == "personal" else {"X-OAuth-Scopes": scopes}
        return as_json(self._repository(), headers=told)

    def show_pull(self, request: Request, number: str) -> Answer:
        self._identity(request)
        return as_json(self._pull(self.change(int(number))))

    def list_comments(self, request: Request, number: str) -> Answer:
        """Deleted ones stay in the list, without their text."""
        self._identity(request)
        remarks = self.records.of_change(self.change(int(number)).number)
        return self._page_of(request, [self._comment(remark) for remark in remarks])

    def create_comment(self, request: Request, number: str) -> Answer:
        identity = self._writer(request, "comments")
        remark = self.add(self.change(int(number)).number, self._body(request), identity.login)
        self.keep()
        shown = self._comment(remark)
        return as_json(shown, status=201, headers={"Location": shown["links"]["self"]["href"]})

    def show_comment(self, request: Request, number: str, comment: str) -> Answer:
        self._identity(request)
        return as_json(self._comment(self._remark(int(number), int(comment))))

    def update_comment(self, request: Request, number: str, comment: str) -> Answer:
        self._writer(request, "comments")
        remark = self._remark(int(number), int(comment))
        self.edit(remark, self._body(request))
        return as_json(self._comment(remark))

    def delete_comment(self, request: Request, number: str, comment: str) -> Answer:
        self._writer(request, "comments")
        self.deleted.add(self._remark(int(number), int(comment)).id)
        return Answer(status=204)

    def list_statuses(self, request: Request, sha: str) -> Answer:
        self._identity(request)
        return self._page_of(request, [self._status(check) for check in latest(self.checks(self.sha(sha)))])

    def set_status(self, request: Request, sha: str) -> Answer:
        """A status of a key that is there already takes its place."""
        identity = self._writer(request, "statuses")
        sent = request.json()
        for field in ("key", "state", "url"):
            if not sent.get(field):
                raise RefusedError(400, f"Bad request: {field}: required key not provided")
        if sent["state"] not in STATES:
            raise RefusedError(400, "Bad request: state: not a valid choice")
        if len(sent["key"]) > KEY_LIMIT:
            raise RefusedError(400, f"Bad request: key: must be at most {KEY_LIMIT} characters")
        for check in self.checks(self.sha(sha)):
            if check.text == sent["key"]:
                del self.records.checks[check.id]
        check = self.add_status(
            sent.get("name") or sent["key"],
            self.sha(sha),
            identity.login,
            state=sent["state"],
            title=sent.get("description") or "",
            details_url=sent["url"],
            text=sent["key"],
        )
        return as_json(self._status(check), status=201)

    def show_report(self, request: Request, sha: str, report: str) -> Answer:
        self._identity(request)
        if (sha, report) not in self.reports:
            raise RefusedError(404, "Not Found")
        return as_json(self.reports[sha, report])

    def put_report(self, request: Request, sha: str, report: str) -> Answer:
        self._writer(request, "statuses")
        sent = request.json()
        for field in ("title", "details", "report_type"):
            if not sent.get(field):
                raise RefusedError(400, f"Bad request: {field} is required")
        ids = {"type": "report", "uuid": _id_of(f"{sha}{report}"), "external_id": report}
        self.reports[self.sha(sha), report] = sent | ids | {"created_on": LINE_TIME, "updated_on": LINE_TIME}
        return as_json(self.reports[sha, report])

    def list_annotations(self, request: Request, sha: str, report: str) -> Answer:
        self._identity(request)
        return self._page_of(request, list(self.annotations.get((sha, report), {}).values()))

    def add_annotations(self, request: Request, sha: str, report: str) -> Answer:
        self._writer(request, "statuses")
        if (sha, report) not in self.reports:
            raise RefusedError(404, "Not Found")
        sent = json.loads(request.body)
        kept = self.annotations.setdefault((sha, report), {})
        for one in sent:
            kept[one["external_id"]] = one | {"type": "report_annotation", "uuid": _id_of(one["external_id"])}
        return as_json([kept[one["external_id"]] for one in sent])

    # Who asks, for what

    def _identity(self, request: Request) -> Identity:
        """An access token stands alone; a person's comes behind a name."""
        scheme, _, given = (request.headers.get("Authorization") or "").partition(" ")
        if scheme == "Basic":
            return self.identify(base64.b64decode(given).decode())
        return self.identify(given if scheme == "Bearer" else None)

    def _writer(self, request: Request, what: str) -> Identity:
        identity = self._identity(request)
        if what not in identity.may:
            raise RefusedError(403, "Your credentials lack one or more required privilege scopes.")
        return identity

    def _remark(self, change: int, number: int) -> Remark:
        remark = self.remark(number)
        if remark.change != change or number in self.deleted:
            raise RefusedError(404, "Not Found")
        return remark

    def _body(self, request: Request) -> str:
        content = request.json().get("content")
        raw = content.get("raw") if isinstance(content, dict) else None
        if not isinstance(raw, str) or not raw.strip():
            raise RefusedError(400, "Bad request: content.raw: required key not provided")
        if len(raw) > COMMENT_LIMIT:
            raise RefusedError(400, f"Bad request: content.raw is too long: at most {COMMENT_LIMIT} characters")
        return raw

    # In Bitbucket's shape

    def _page_of(self, request: Request, items: list[Any]) -> Answer:
        size = max(1, min(100, int(request.query.get("pagelen", 10))))
        number = max(1, int(request.query.get("page", 1)))
        found = {"page": number, "pagelen": size, "size": len(items), "values": items[(number - 1) * size :][:size]}
        if number < math.ceil(len(items) / size):
            following = urlencode(request.query | {"page": number + 1})
            found["next"] = f"{self.web_url}{request.path}?{following}"
        return as_json(found)

    def _user(self, login: str) -> dict[str, Any]:
        own = login.startswith("{")
        return {
            "type": "user",
            "uuid": login if own else _id_of(login),
            "display_name": "seatrial" if own else login.title(),
            "created_on": "2020-01-01T00:00:00Z",
            "links": {"avatar": {"href": f"{self.web_url}/avatars/1"}},
        }

    def _repository(self) -> dict[str, Any]:
        return {
            "type": "repository",
            "uuid": _id_of(self.repository),
            "full_name": self.repository,
            "name": self.repository.rpartition("/")[2],
            "is_private": False,
            "scm": "git",
            "mainbranch": {"type": "branch", "name": "main"},
            "links": {"html": {"href": f"{self.web_url}/{self.repository}"}},
        }

    def _pull(self, change: Change) -> dict[str, Any]:
        return {
            "type": "pullrequest",
            "id": change.number,
            "title": change.title,
            "state": "OPEN",
            "author": self._user(change.author),
            # Commits are abbreviated here.
            "source": {"branch": {"name": change.head_ref}, "commit": {"hash": change.head_sha[:12]}},
            "destination": {"branch": {"name": change.base_ref}, "commit": {"hash": change.base_sha[:12]}},
            "comment_count": len(self.comments(change.number)),
            "created_on": LINE_TIME,
            "updated_on": LINE_TIME,
            "links": {"html": {"href": self.page_url(change.number)}},
        }

    def _comment(self, remark: Remark) -> dict[str, Any]:
        url = f"{self.api_url}/repositories/{self.repository}/pullrequests/{remark.change}/comments/{remark.id}"
        gone = remark.id in self.deleted
        return {
            "type": "pullrequest_comment",
            "id": remark.id,
            "content": {"raw": "" if gone else remark.body, "markup": "markdown", "html": ""},
            "user": self._user(remark.author),
            "deleted": gone,
            "pending": False,
            "created_on": remark.created,
            "updated_on": remark.updated,
            "links": {
                "self": {"href": url},
                "html": {"href": f"{self.page_url(remark.change)}#comment-{remark.id}"},
            },
        }

    def _status(self, check: Check) -> dict[str, Any]:
        return {
            "type": "build",
            "uuid": _id_of(check.name),
            "key": check.text or check.name,
            "name": check.name,
            "state": check.state,
            "description": check.title,
            "url": check.details_url,
            "created_on": check.created,
            "updated_on": check.updated,
            "links": {"commit": {"href": f"{self.api_url}/repositories/{self.repository}/commit/{check.sha}"}},
        }


def _id_of(name: str) -> str:
    return f"{{{uuid.uuid5(uuid.NAMESPACE_URL, name)}}}"


def main() -> None:
    """Serve until interrupted."""
    serve(BitbucketStandIn, project="octo/flights", described=__doc__ or "")


if __name__ == "__main__":
    main()
