"""A stand-in GitLab: the API under /api/v4, pages for people beside it.

python -m tests.fakes.gitlab --port 0 --state DIR
"""

from __future__ import annotations

import base64
import math
import re
import ssl
from collections.abc import Iterable
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

from tests.fakes import page
from tests.fakes.commandline import serve
from tests.fakes.records import TOKEN, Change, Check, Identity, Records, Remark, load, save
from tests.fakes.server import Answer, Judge, RefusedError, Request, Route, Server, as_html, as_json

BOT = Identity(token=TOKEN, login="project_7_bot_seatrial", kind="bot")
NOTE_LIMIT = 1_000_000
PROJECT_ID = 7
STATES = {"pending", "running", "success", "failed", "canceled", "skipped"}
UNFINISHED = {"pending", "running"}
# A line that starts so is an order to GitLab, executed with the rights of the note's author.
QUICK_ACTION = re.compile(r"^/(?:merge|approve|close|assign|label|unlabel|title|target_branch)\b.*$", re.MULTILINE)


class GitLabStandIn(Server):
    """One project with its merge requests, notes and commit statuses."""

    def __init__(
        self,
        *,
        repository: str = "octo/flights",
        changes: Iterable[Change] = (),
        identities: Iterable[Identity] = (BOT,),
        state: Path | None = None,
        contract: Judge | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host=host, port=port, contract=contract, tls=tls)
        self.api_url = f"{self.web_url}/api/v4"
        self.repository = repository
        self.identities = {identity.token: identity for identity in identities}
        self.executed: list[str] = []
        self._file = state / "gitlab.json" if state else None
        self.records = load(self._file) if self._file else Records()
        self.records.changes.update({change.number: change for change in changes})

    # What a test reads and arranges.

    def comments(self, change: int) -> list[Remark]:
        """The merge request's notes that people and bots wrote, oldest first."""
        return [remark for remark in self.records.of_change(change) if not remark.system]

    def checks(self, sha: str) -> list[Check]:
        """The statuses of a commit, oldest first."""
        return self.records.of_head(sha)

    def comment(self, change: int, body: str, *, author: str = "octocat", system: bool = False) -> Remark:
        """Add somebody's note without a request; a system note is one that GitLab writes itself."""
        remark = self._add(change, body, author, system=system)
        self._keep()
        return remark

    def page_url(self, change: int) -> str:
        """The address of the page that shows a merge request."""
        return f"{self.web_url}/{self.repository}/-/merge_requests/{change}"

    # Server

    def routes(self) -> tuple[Route, ...]:
        project = r"/api/v4/projects/([^/]+)"
        return (
            ("GET", rf"/{re.escape(self.repository)}/-/merge_requests/(\d+)", self.show_change),
            ("GET", r"/api/v4/user", self.show_user),
            ("GET", r"/api/v4/personal_access_tokens/self", self.show_token),
            ("GET", project, self.show_project),
            ("GET", rf"{project}/merge_requests/(\d+)", self.show_merge_request),
            ("GET", rf"{project}/merge_requests/(\d+)/notes", self.list_notes),
            ("POST", rf"{project}/merge_requests/(\d+)/notes", self.create_note),
            ("PUT", rf"{project}/merge_requests/(\d+)/notes/(\d+)", self.update_note),
            ("DELETE", rf"{project}/merge_requests/(\d+)/notes/(\d+)", self.delete_note),
            ("GET", rf"{project}/merge_requests/(\d+)/discussions", self.list_discussions),
            ("POST", rf"{project}/merge_requests/(\d+)/discussions", self.create_discussion),
            ("PUT", rf"{project}/merge_requests/(\d+)/discussions/([0-9a-f]+)", self.resolve_discussion),
            ("GET", rf"/-/project/{PROJECT_ID}(/uploads/[0-9a-f]+/[^/]+)", self.show_file),
            ("POST", rf"{project}/uploads", self.upload),
            ("POST", rf"{project}/statuses/([^/]+)", self.set_status),
            ("GET", rf"{project}/repository/commits/([^/]+)/statuses", self.list_statuses),
        )

    def refuse(self, refusal: RefusedError) -> Answer:
        return as_json({"message": refusal.message}, status=refusal.status)

    # Pages for people

    def show_change(self, request: Request, number: str) -> Answer:
        change = self._change(int(number))
        return as_html(
            page.render(
                page.Page(
                    forge="gitlab",
                    project=self.repository,
                    change=change,
                    remarks=tuple(self.comments(change.number)),
                    checks=tuple(page.latest(self.checks(change.measured))),
                )
            )
        )

    def show_file(self, request: Request, path: str) -> Answer:
        if unquote(path) not in self.records.files:
            raise RefusedError(404, "404 Not Found")
        return Answer(
            content=base64.b64decode(self.records.files[unquote(path)]), content_type="image/png", judged=True
        )

    # The API

    def show_user(self, request: Request) -> Answer:
        identity = self._identity(request)
        if identity.kind == "job":
            raise RefusedError(401, "401 Unauthorized")
        return as_json(self._user(identity.login) | {"bot": identity.kind == "bot"})

    def show_token(self, request: Request) -> Answer:
        identity = self._identity(request)
        if identity.kind == "job":
            raise RefusedError(401, "401 Unauthorized")
        scopes = ["api"] if "comments" in identity.may else ["read_api"]
        named = {"id": 2, "name": "seatrial", "user_id": sum(identity.login.encode())}
        return as_json(named | {"scopes": scopes, "active": True, "revoked": False})

    def show_project(self, request: Request, project: str) -> Answer:
        identity = self._project(request, project)
        level = 30 if "statuses" in identity.may else 20
        name = self.repository.rpartition("/")[2]
        return as_json(
            {
                "id": PROJECT_ID,
                "name": name,
                "path": name,
                "path_with_namespace": self.repository,
                "default_branch": "main",
                "web_url": f"{self.web_url}/{self.repository}",
                "visibility": "public",
                "permissions": {
                    "project_access": {"access_level": level, "notification_level": 3},
                    "group_access": None,
                },
            }
        )

    def show_merge_request(self, request: Request, project: str, iid: str) -> Answer:
        self._project(request, project)
        change = self._change(int(iid))
        return as_json(
            {
                "id": 100 + change.number,
                "iid": change.number,
                "project_id": PROJECT_ID,
                "title": change.title,
                "description": change.body,
                "state": "opened",
                "sha": change.head_sha,
                "source_branch": change.head_ref,
                "target_branch": change.base_ref,
                "source_project_id": PROJECT_ID,
                "target_project_id": PROJECT_ID,
                "web_url": self.page_url(change.number),
                "author": self._user(change.author),
            }
        )

    def list_notes(self, request: Request, project: str, iid: str) -> Answer:
        self._project(request, project)
        change = self._change(int(iid))
        notes = self.records.of_change(change.number)
        if request.query.get("activity_filter") == "only_comments":
            notes = [note for note in notes if not note.system]
        if request.query.get("sort", "desc") == "desc":
            notes.reverse()
        return self._page_of(request, [self._note(note) for note in notes])

    def create_note(self, request: Request, project: str, iid: str) -> Answer:
        identity = self._writer(request, project, "comments")
        change = self._change(int(iid))
        remark = self._add(change.number, self._body(request), identity.login)
        self._keep()
        return as_json(self._note(remark), status=201)

    def update_note(self, request: Request, project: str, iid: str, number: str) -> Answer:
        self._writer(request, project, "comments")
        remark = self._remark(int(iid), int(number))
        remark.body = self._body(request)
        self.records.next_id()
        remark.updated = self.records.now()
        self._keep()
        return as_json(self._note(remark))

    def delete_note(self, request: Request, project: str, iid: str, number: str) -> Answer:
        self._writer(request, project, "comments")
        del self.records.remarks[self._remark(int(iid), int(number)).id]
        self._keep()
        return Answer(status=204)

    def list_discussions(self, request: Request, project: str, iid: str) -> Answer:
        self._project(request, project)
        notes = self.records.of_change(self._change(int(iid)).number)
        return self._page_of(request, [self._discussion(note) for note in notes])

    def create_discussion(self, request: Request, project: str, iid: str) -> Answer:
        identity = self._writer(request, project, "comments")
        change = self._change(int(iid))
        remark = self._add(change.number, self._body(request), identity.login)
        remark.resolved = False
        self._keep()
        return as_json(self._discussion(remark), status=201)

    def resolve_discussion(self, request: Request, project: str, iid: str, thread: str) -> Answer:
        self._writer(request, project, "comments")
        notes = self.records.of_change(self._change(int(iid)).number)
        remark = next((note for note in notes if note.thread == thread), None)
        if remark is None:
            raise RefusedError(404, "404 Discussion Not Found")
        if remark.resolved is None:
            raise RefusedError(400, "400 Bad request - Discussion is not resolvable")
        remark.resolved = bool(request.json().get("resolved"))
        self._keep()
        return as_json(self._discussion(remark))

    def upload(self, request: Request, project: str) -> Answer:
        self._writer(request, project, "contents")
        head = f"Content-Type: {request.headers.get('Content-Type')}\r\n\r\n".encode()
        parts = {
            part.get_param("name", header="content-disposition"): part
            for part in BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts()
        }
        if "file" not in parts:
            raise RefusedError(400, "file is missing")
        name, content = parts["file"].get_filename() or "", parts["file"].get_payload(decode=True)
        assert isinstance(content, bytes)
        url = f"/uploads/{self.records.next_id():032x}/{name}"
        self.records.files[url] = base64.b64encode(content).decode()
        self._keep()
        full = f"/-/project/{PROJECT_ID}{url}"
        alt = name.rpartition(".")[0]
        shown = {"id": self.records.ticks, "alt": alt, "url": url, "full_path": full, "markdown": f"![{alt}]({url})"}
        return as_json(shown, status=201)

    def set_status(self, request: Request, project: str, sha: str) -> Answer:
        identity = self._writer(request, project, "statuses")
        sent = request.json()
        if sent.get("state") not in STATES:
            raise RefusedError(400, "state does not have a valid value")
        if len(sent.get("description") or "") > 255:
            raise RefusedError(400, '{:description=>["is too long (maximum is 255 characters)"]}')
        pipeline = self._pipeline(sha, sent.get("pipeline_id"))
        name = sent.get("name") or sent.get("context") or "default"
        check = self._status_to_write(name, sha, pipeline, identity)
        if check.state == sent["state"]:
            raise RefusedError(400, f"Cannot transition status via :run from :{check.state}")
        check.state = sent["state"]
        check.title = sent.get("description") or ""
        check.details_url = sent.get("target_url")
        check.ref = sent.get("ref") or "main"
        self._keep()
        return as_json(self._status(check), status=201)

    def list_statuses(self, request: Request, project: str, sha: str) -> Answer:
        self._project(request, project)
        asked = request.query
        found = [
            self._status(check)
            for check in page.latest(self.checks(sha))
            if asked.get("name") in (None, check.name) and asked.get("pipeline_id") in (None, str(check.pipeline))
        ]
        return self._page_of(request, found)

    # Who asks, for what

    def _identity(self, request: Request) -> Identity:
        job = request.headers.get("JOB-TOKEN")
        bearer = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
        identity = self.identities.get(job or request.headers.get("PRIVATE-TOKEN") or bearer)
        # A token in another kind's header is no token.
        if identity is None or (identity.kind == "job") != (job is not None):
            raise RefusedError(401, "401 Unauthorized")
        return identity

    def _project(self, request: Request, project: str) -> Identity:
        identity = self._identity(request)
        if unquote(project) not in {self.repository, str(PROJECT_ID)} or "/" in project:
            raise RefusedError(404, "404 Project Not Found")
        return identity

    def _writer(self, request: Request, project: str, what: str) -> Identity:
        identity = self._project(request, project)
        if identity.kind == "job":
            raise RefusedError(401, "401 Unauthorized")
        if what not in identity.may:
            raise RefusedError(403, "403 Forbidden")
        return identity

    def _change(self, number: int) -> Change:
        if number not in self.records.changes:
            raise RefusedError(404, "404 Not found")
        return self.records.changes[number]

    def _remark(self, change: int, number: int) -> Remark:
        remark = self.records.remarks.get(number)
        if remark is None or remark.change != change:
            raise RefusedError(404, "404 Not found")
        return remark

    def _body(self, request: Request) -> str:
        body = request.json().get("body")
        if not isinstance(body, str) or not body.strip():
            raise RefusedError(400, '400 Bad request - Note {:note=>["can\'t be blank"]}')
        if re.search("[\x00\ud800-\udfff]", body):
            raise RefusedError(400, "400 Bad request - body includes invalid characters")
        if len(body) > NOTE_LIMIT:
            raise RefusedError(400, '400 Bad request - Note {:note=>["is too long (maximum is 1000000 characters)"]}')
        self.executed += QUICK_ACTION.findall(body)
        return QUICK_ACTION.sub("", body)

    def _pipeline(self, sha: str, asked: object) -> int:
        own = {change.pipeline for change in self.records.changes.values() if change.measured == sha}
        if isinstance(asked, int):
            if asked not in own:
                raise RefusedError(404, "404 Pipeline for pipeline_id, sha and ref Not Found")
            return asked
        # With no pipeline named GitLab opens a new one, which then stands for the commit.
        return 9000 + self.records.next_id()

    # What changes

    def _add(self, change: int, body: str, author: str, *, system: bool = False) -> Remark:
        number, now = self.records.next_id(), self.records.now()
        thread = f"{number:040x}"
        remark = Remark(
            id=number, change=change, author=author, body=body, created=now, updated=now, system=system, thread=thread
        )
        self.records.remarks[number] = remark
        return remark

    def _status_to_write(self, name: str, sha: str, pipeline: int, identity: Identity) -> Check:
        for check in self.checks(sha):
            if check.name == name and check.pipeline == pipeline and check.state in UNFINISHED:
                return check
        number, now = self.records.next_id(), self.records.now()
        check = Check(
            id=number,
            kind="status",
            name=name,
            sha=sha,
            state="created",
            author=identity.login,
            created=now,
            updated=now,
            pipeline=pipeline,
        )
        self.records.checks[number] = check
        return check

    def _keep(self) -> None:
        if self._file is not None:
            save(self.records, self._file)

    # In GitLab's shape

    def _page_of(self, request: Request, items: list[Any]) -> Answer:
        size = max(1, min(100, int(request.query.get("per_page", 20))))
        number = max(1, int(request.query.get("page", 1)))
        last = max(1, math.ceil(len(items) / size))
        places = {"prev": number - 1, "next": number + 1, "first": 1, "last": last}
        wanted = (("prev",) if number > 1 else ()) + (("next",) if number < last else ()) + ("first", "last")
        url = f"{self.web_url}{request.path}"
        links = [f'<{url}?{urlencode(request.query | {"page": places[rel]})}>; rel="{rel}"' for rel in wanted]
        headers = {
            "Link": ", ".join(links),
            "X-Page": str(number),
            "X-Per-Page": str(size),
            "X-Prev-Page": str(number - 1) if number > 1 else "",
            "X-Next-Page": str(number + 1) if number < last else "",
            "X-Total": str(len(items)),
            "X-Total-Pages": str(last),
        }
        return as_json(items[(number - 1) * size : number * size], headers=headers)

    def _user(self, login: str) -> dict[str, Any]:
        number = sum(login.encode())
        return {
            "id": number,
            "username": login,
            "name": login.replace("_", " ").title(),
            "state": "active",
            "locked": False,
            "avatar_url": f"{self.web_url}/avatars/{number}",
            "web_url": f"{self.web_url}/{quote(login)}",
        }

    def _note(self, remark: Remark) -> dict[str, Any]:
        return {
            "id": remark.id,
            "body": remark.body,
            "author": self._user(remark.author),
            "created_at": remark.created,
            "updated_at": remark.updated,
            "system": remark.system,
            "noteable_id": 100 + remark.change,
            "noteable_type": "MergeRequest",
            "noteable_iid": remark.change,
            "project_id": PROJECT_ID,
            "resolvable": remark.resolved is not None,
            **({} if remark.resolved is None else {"resolved": remark.resolved}),
            "confidential": False,
            "internal": False,
            "imported": False,
            "imported_from": "none",
            "commands_changes": {},
        }

    def _discussion(self, remark: Remark) -> dict[str, Any]:
        return {
            "id": remark.thread,
            "individual_note": remark.resolved is None,
            "resolvable": remark.resolved is not None,
            "resolved": bool(remark.resolved),
            "notes": [self._note(remark)],
        }

    def _status(self, check: Check) -> dict[str, Any]:
        described = {"description": check.title} if check.title else {}
        linked = {"target_url": check.details_url} if check.details_url else {}
        return {
            "id": check.id,
            "sha": check.sha,
            "ref": check.ref,
            "status": check.state,
            "name": check.name,
            "created_at": check.created,
            "allow_failure": False,
            "pipeline_id": check.pipeline,
            "author": self._user(check.author),
            **described,
            **linked,
        }


def main() -> None:
    """Serve until interrupted."""
    serve(GitLabStandIn, project="octo/flights", described=__doc__ or "")


if __name__ == "__main__":
    main()
