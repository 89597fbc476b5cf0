"""A stand-in GitHub, laid out as GitHub Enterprise Server is: the API under /api/v3, pages for people beside it.

python -m tests.fakes.github --port 0 --state DIR
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

from tests.fakes import graphql, page
from tests.fakes.commandline import serve
from tests.fakes.github_deployments import DeploymentRoutes
from tests.fakes.github_runs import RunRoutes
from tests.fakes.records import TOKEN, Change, Check, Identity, Records, Remark, load, save
from tests.fakes.server import Answer, Judge, RefusedError, Request, Route, Server, as_html, as_json

ACTIONS = Identity(token=TOKEN, login="github-actions[bot]", kind="installation")
COMMENT_LIMIT = 65_536
CONCLUSIONS = {"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
DOCUMENTATION = "https://docs.github.com/rest"
PERMISSIONS = {
    "comments": "issues=write; pull_requests=write",
    "checks": "checks=write",
    "statuses": "statuses=write",
    "deployments": "deployments=write",
}


class GitHubStandIn(RunRoutes, DeploymentRoutes, Server):
    """One repository with its pull requests, comments, check runs, statuses and deployments."""

    def __init__(
        self,
        *,
        repository: str = "octo/flights",
        changes: Iterable[Change] = (),
        identities: Iterable[Identity] = (ACTIONS,),
        state: Path | None = None,
        contract: Judge | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host=host, port=port, contract=contract, tls=tls)
        self.api_url = f"{self.web_url}/api/v3"
        self.repository = repository
        self.identities = {identity.token: identity for identity in identities}
        self._file = state / "github.json" if state else None
        self.records = load(self._file) if self._file else Records()
        self.records.changes.update({change.number: change for change in changes})

    # What a test reads and arranges.

    def comments(self, change: int) -> list[Remark]:
        """The pull request's comments, oldest first."""
        return self.records.of_change(change)

    def checks(self, sha: str) -> list[Check]:
        """The check runs and statuses of a commit, oldest first."""
        return self.records.of_head(sha)

    def comment(self, change: int, body: str, *, author: str = "octocat") -> Remark:
        """Add somebody's comment without a request."""
        remark = self._add(change, body, author)
        self._keep()
        return remark

    def open_branch(self, name: str) -> None:
        """Push an empty commit as a new branch, without a request."""
        self.records.tips[name] = f"{self.records.next_id():040x}"
        self._keep()

    def page_url(self, change: int) -> str:
        """The address of the page that shows a pull request."""
        return f"{self.web_url}/{self.repository}/pull/{change}"

    # Server

    def routes(self) -> tuple[Route, ...]:
        name = re.escape(self.repository)
        repo = rf"/api/v3/repos/{name}"
        return (
            *self.run_routes(repo),
            *self.deployment_routes(repo),
            ("GET", rf"/{name}/pull/(\d+)", self.show_change),
            ("GET", rf"/{name}/blob/(.+)", self.show_file),
            ("POST", r"/api/graphql", self.answer_graphql),
            ("GET", r"/api/v3/user", self.show_user),
            ("GET", repo, self.show_repository),
            ("GET", rf"{repo}/pulls/(\d+)", self.show_pull),
            ("GET", rf"{repo}/issues/(\d+)/comments", self.list_comments),
            ("POST", rf"{repo}/issues/(\d+)/comments", self.create_comment),
            ("GET", rf"{repo}/issues/comments/(\d+)", self.show_comment),
            ("PATCH", rf"{repo}/issues/comments/(\d+)", self.update_comment),
            ("DELETE", rf"{repo}/issues/comments/(\d+)", self.delete_comment),
            ("POST", rf"{repo}/check-runs", self.create_check),
            ("GET", rf"{repo}/check-runs/(\d+)", self.show_check),
            ("PATCH", rf"{repo}/check-runs/(\d+)", self.update_check),
            ("GET", rf"{repo}/commits/([^/]+)/check-runs", self.list_checks),
            ("POST", rf"{repo}/statuses/([^/]+)", self.create_status),
            ("GET", rf"{repo}/commits/([^/]+)/status", self.list_statuses),
        )

    def refuse(self, refusal: RefusedError) -> Answer:
        headers = refusal.details.pop("headers", {})
        body: dict[str, Any] = {"message": refusal.message, "documentation_url": DOCUMENTATION}
        # A validation error lists its errors where other errors repeat their status.
        body |= refusal.details or {"status": str(refusal.status)}
        return as_json(body, status=refusal.status, headers=headers)

    # Pages for people

    def show_change(self, request: Request, number: str) -> Answer:
        change = self._change(int(number))
        return as_html(
            page.render(
                page.Page(
                    forge="github",
                    project=self.repository,
                    change=change,
                    remarks=tuple(self.comments(change.number)),
                    checks=tuple(page.latest(self.checks(change.head_sha))),
                )
            )
        )

    def show_file(self, request: Request, path: str) -> Answer:
        if request.query.get("raw") != "true" or unquote(path) not in self.records.files:
            raise RefusedError(404, "Not Found")
        return Answer(
            content=base64.b64decode(self.records.files[unquote(path)]), content_type="image/png", judged=True
        )

    # The API

    def show_user(self, request: Request) -> Answer:
        identity = self._identity(request)
        if identity.kind == "installation":
            raise RefusedError(403, "Resource not accessible by integration")
        counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
        unknown = dict.fromkeys(("name", "company", "location", "email", "hireable", "bio"))
        times = {"created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z"}
        return as_json(self._user(identity.login) | counts | unknown | times | {"blog": "", "user_view_type": "public"})

    def show_repository(self, request: Request) -> Answer:
        identity = self._identity(request)
        more: dict[str, Any] = {"network_count": 0, "subscribers_count": 0}
        if identity.kind != "personal":
            return as_json(self._repository() | more)
        # Of a person's classic token GitHub tells what it may do.
        pushes = "statuses" in identity.may
        more["permissions"] = {"admin": False, "maintain": False, "push": pushes, "triage": pushes, "pull": True}
        scopes = "repo, workflow" if "comments" in identity.may else "read:org"
        return as_json(self._repository() | more, headers={"X-OAuth-Scopes": scopes})

    def show_pull(self, request: Request, number: str) -> Answer:
        self._identity(request)
        return as_json(self._pull(self._change(int(number))))

    def list_comments(self, request: Request, number: str) -> Answer:
        self._identity(request)
        change = self._change(int(number))
        return self._page_of(request, [self._comment(remark) for remark in self.comments(change.number)])

    def create_comment(self, request: Request, number: str) -> Answer:
        identity = self._writer(request, "comments")
        change = self._change(int(number))
        remark = self._add(change.number, self._body(request), identity.login)
        self._keep()
        shown = self._comment(remark)
        return as_json(shown, status=201, headers={"Location": shown["url"]})

    def show_comment(self, request: Request, number: str) -> Answer:
        self._identity(request)
        return as_json(self._comment(self._remark(int(number))))

    def update_comment(self, request: Request, number: str) -> Answer:
        self._writer(request, "comments")
        remark = self._remark(int(number))
        remark.body = self._body(request)
        self.records.next_id()
        remark.updated = self.records.now()
        self._keep()
        return as_json(self._comment(remark))

    def delete_comment(self, request: Request, number: str) -> Answer:
        self._writer(request, "comments")
        del self.records.remarks[self._remark(int(number)).id]
        self._keep()
        return Answer(status=204)

    def answer_graphql(self, request: Request) -> Answer:
        identity = self._identity(request)
        sent = request.json()
        problems, answer = graphql.execute(
            str(sent.get("query")),
            sent.get("variables") or {},
            {
                "minimizeComment": lambda given: self._minimize(identity, given["subjectId"], given["classifier"]),
                "createCommitOnBranch": lambda given: self._commit(identity, given),
            },
            {
                ("Query", "repository"): lambda owner, name, **_: {} if f"{owner}/{name}" == self.repository else None,
                ("Repository", "ref"): lambda **given: self._find_ref(given["qualifiedName"]),
                ("Repository", "object"): self._find_object,
            },
        )
        self.violations.extend(problems)
        self._keep()
        return Answer(content=json.dumps(answer).encode(), judged=True)

    def create_check(self, request: Request) -> Answer:
        identity = self._writer(request, "checks")
        if identity.kind != "installation":
            raise RefusedError(403, "You must authenticate via a GitHub App.")
        sent = request.json()
        if not isinstance(sent.get("name"), str):
            raise _invalid("CheckRun", "name", "missing_field")
        check = self._new_check("check", sent["name"], self._sha(sent.get("head_sha")), "queued", identity)
        self._write_check(check, sent)
        self._keep()
        return as_json(self._check(check), status=201)

    def show_check(self, request: Request, number: str) -> Answer:
        self._identity(request)
        return as_json(self._check(self._known_check(int(number))))

    def update_check(self, request: Request, number: str) -> Answer:
        self._writer(request, "checks")
        check = self._known_check(int(number))
        self._write_check(check, request.json())
        self._keep()
        return as_json(self._check(check))

    def list_checks(self, request: Request, ref: str) -> Answer:
        self._identity(request)
        checks = [check for check in self.checks(self._resolve(ref)) if check.kind == "check"]
        if request.query.get("filter", "latest") == "latest":
            checks = page.latest(checks)
        name = request.query.get("check_name")
        runs = [self._check(check) for check in checks if name in (None, check.name)]
        return as_json({"total_count": len(runs), "check_runs": runs})

    def create_status(self, request: Request, sha: str) -> Answer:
        identity = self._writer(request, "statuses")
        sent = request.json()
        if sent.get("state") not in {"error", "failure", "pending", "success"}:
            raise _invalid("Status", "state", "invalid")
        if len(sent.get("description") or "") > 140:
            raise _invalid("Status", "description", "custom", "description is too long (maximum is 140 characters)")
        check = self._new_check("status", sent.get("context") or "default", self._sha(sha), sent["state"], identity)
        check.title = sent.get("description") or ""
        check.details_url = sent.get("target_url")
        self._keep()
        return as_json(self._status(check) | {"creator": self._user(check.author)}, status=201)

    def list_statuses(self, request: Request, ref: str) -> Answer:
        self._identity(request)
        sha = self._resolve(ref)
        statuses = [check for check in page.latest(self.checks(sha)) if check.kind == "status"]
        states = {check.state for check in statuses}
        combined = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
        url = f"{self._repo_url}/commits/{sha}"
        return as_json(
            {
                "state": combined,
                "statuses": [self._status(check) | {"required": False} for check in statuses],
                "sha": sha,
                "total_count": len(statuses),
                "repository": self._minimal_repository(),
                "commit_url": url,
                "url": f"{url}/status",
            }
        )

    # Who asks, for what

    def _identity(self, request: Request) -> Identity:
        scheme, _, token = (request.headers.get("Authorization") or "").partition(" ")
        if scheme.lower() not in {"token", "bearer"}:
            raise RefusedError(401, "Requires authentication")
        if token not in self.identities:
            raise RefusedError(401, "Bad credentials")
        return self.identities[token]

    def _writer(self, request: Request, what: str) -> Identity:
        identity = self._identity(request)
        if what not in identity.may:
            integration = identity.kind == "installation"
            words = f"Resource not accessible by {'integration' if integration else 'personal access token'}"
            raise RefusedError(403, words, headers={"X-Accepted-GitHub-Permissions": PERMISSIONS[what]})
        return identity

    def _change(self, number: int) -> Change:
        if number not in self.records.changes:
            raise RefusedError(404, "Not Found")
        return self.records.changes[number]

    def _remark(self, number: int) -> Remark:
        if number not in self.records.remarks:
            raise RefusedError(404, "Not Found")
        return self.records.remarks[number]

    def _known_check(self, number: int) -> Check:
        check = self.records.checks.get(number)
        if check is None or check.kind != "check":
            raise RefusedError(404, "Not Found")
        return check

    def _resolve(self, ref: str) -> str:
        heads = {change.head_ref: change.head_sha for change in self.records.changes.values()}
        return heads.get(ref, ref)

    def _sha(self, sha: object) -> str:
        if not isinstance(sha, str) or not re.fullmatch(r"[0-9a-f]{40}", sha):
            raise RefusedError(422, f"No commit found for SHA: {sha}")
        return sha

    def _body(self, request: Request) -> str:
        body = request.json().get("body")
        if not isinstance(body, str) or not body.strip():
            raise _invalid("IssueComment", "body", "missing_field")
        if re.search("[\x00\ud800-\udfff]", body):
            raise _invalid("IssueComment", "body", "custom", "body contains characters that are not allowed")
        if len(body) > COMMENT_LIMIT:
            raise _invalid(
                "IssueComment", "body", "custom", f"body is too long (maximum is {COMMENT_LIMIT} characters)"
            )
        return body

    # What changes

    def _minimize(self, identity: Identity, node: str, classifier: str) -> dict[str, Any]:
        if "comments" not in identity.may:
            raise graphql.RefusedFieldError("FORBIDDEN", "Resource not accessible by integration")
        remark = next((one for one in self.records.remarks.values() if f"IC_{one.id}" == node), None)
        if remark is None:
            raise graphql.RefusedFieldError("NOT_FOUND", f"Could not resolve to a node with the global id of '{node}'")
        remark.minimized = classifier.lower()
        return {}

    def _find_ref(self, name: str) -> dict[str, Any] | None:
        tip = self.records.tips.get(name.removeprefix("refs/heads/"))
        return {"target": {"__typename": "Commit", "oid": tip}} if tip else None

    def _find_object(self, expression: str) -> dict[str, Any] | None:
        branch, _, path = expression.removeprefix("refs/heads/").partition(":")
        content = self.records.files.get(f"{branch}/{path}") if branch in self.records.tips else None
        if content is None:
            return None
        return {"__typename": "Blob", "oid": hashlib.sha1(content.encode()).hexdigest()}

    def _commit(self, identity: Identity, given: Mapping[str, Any]) -> dict[str, Any]:
        branch = given["branch"]["branchName"]
        if "contents" not in identity.may:
            raise graphql.RefusedFieldError("FORBIDDEN", "Resource not accessible by integration")
        if given["branch"]["repositoryNameWithOwner"] != self.repository or branch not in self.records.tips:
            raise graphql.RefusedFieldError("NOT_FOUND", f"Could not resolve to a ref named {branch!r}")
        if (tip := self.records.tips[branch]) != given["expectedHeadOid"]:
            words = f'Expected branch to point to "{tip}" but it did not. Pull and try again.'
            raise graphql.RefusedFieldError("STALE_DATA", words)
        for addition in given["fileChanges"]["additions"]:
            base64.b64decode(addition["contents"], validate=True)
            self.records.files[f"{branch}/{addition['path']}"] = addition["contents"]
        self.records.tips[branch] = f"{self.records.next_id():040x}"
        return {}

    def _add(self, change: int, body: str, author: str) -> Remark:
        number, now = self.records.next_id(), self.records.now()
        remark = Remark(id=number, change=change, author=author, body=body, created=now, updated=now)
        self.records.remarks[number] = remark
        return remark

    def _new_check(self, kind: Any, name: str, sha: str, state: str, identity: Identity) -> Check:
        number, now = self.records.next_id(), self.records.now()
        check = Check(
            id=number, kind=kind, name=name, sha=sha, state=state, author=identity.login, created=now, updated=now
        )
        self.records.checks[number] = check
        return check

    def _write_check(self, check: Check, sent: dict[str, Any]) -> None:
        conclusion, status = sent.get("conclusion", check.conclusion), sent.get("status", check.state)
        if status == "completed" and conclusion is None:
            raise _invalid("CheckRun", "conclusion", "missing_field")
        if conclusion is not None and conclusion not in CONCLUSIONS:
            raise _invalid("CheckRun", "conclusion", "invalid")
        check.state = "completed" if conclusion else status
        check.conclusion = conclusion
        check.details_url = sent.get("details_url", check.details_url)
        output = sent.get("output") or {}
        if len((output.get("summary") or "").encode()) > 65_535:
            raise _invalid("CheckRun", "summary", "custom", "Only 65535 characters are allowed")
        check.title = output.get("title", check.title)
        check.summary = output.get("summary", check.summary)
        check.text = output.get("text", check.text)
        new = output.get("annotations") or []
        if len(new) > 50:
            raise _invalid("CheckRun", "annotations", "custom", "Only 50 annotations are allowed in a request")
        check.annotations += new
        self.records.next_id()
        check.updated = self.records.now()

    def _keep(self) -> None:
        if self._file is not None:
            save(self.records, self._file)

    # In GitHub's shape

    @property
    def _repo_url(self) -> str:
        return f"{self.api_url}/repos/{self.repository}"

    def _page_of(self, request: Request, items: list[Any]) -> Answer:
        size = max(1, min(100, int(request.query.get("per_page", 30))))
        number = max(1, int(request.query.get("page", 1)))
        last = max(1, math.ceil(len(items) / size))
        places = {"prev": number - 1, "next": number + 1, "first": 1, "last": last}
        wanted = (("prev", "first") if number > 1 else ()) + (("next", "last") if number < last else ())
        url = f"{self.web_url}{request.path}"
        links = [f'<{url}?{urlencode(request.query | {"page": places[rel]})}>; rel="{rel}"' for rel in wanted]
        headers = {"Link": ", ".join(links)} if links else {}
        return as_json(items[(number - 1) * size : number * size], headers=headers)

    def _user(self, login: str) -> dict[str, Any]:
        url, number = f"{self.api_url}/users/{quote(login)}", sum(login.encode())
        kinds = ("followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events")
        return {
            "login": login,
            "id": number,
            "node_id": f"U_{number}",
            "avatar_url": f"{self.web_url}/avatars/{number}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.web_url}/{quote(login)}",
            **{f"{kind}_url": f"{url}/{kind}" for kind in kinds},
            "received_events_url": f"{url}/received_events",
            "type": "Bot" if login.endswith("[bot]") else "User",
            "site_admin": False,
        }

    def _minimal_repository(self) -> dict[str, Any]:
        owner, _, name = self.repository.partition("/")
        url = self._repo_url
        kinds = (
            *("archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits", "compare"),
            *("contents", "contributors", "deployments", "downloads", "events", "forks", "git_commits", "git_refs"),
            *("git_tags", "hooks", "issue_comment", "issue_events", "issues", "keys", "labels", "languages", "merges"),
            *("milestones", "notifications", "pulls", "releases", "stargazers", "statuses", "subscribers"),
            *("subscription", "tags", "teams", "trees"),
        )
        return {
            "id": 1,
            "node_id": "R_1",
            "name": name,
            "full_name": self.repository,
            "private": False,
            "owner": self._user(owner),
            "html_url": f"{self.web_url}/{self.repository}",
            "description": None,
            "fork": False,
            "url": url,
            **{f"{kind}_url": f"{url}/{kind}" for kind in kinds},
        }

    def _repository(self) -> dict[str, Any]:
        web = f"{self.web_url}/{self.repository}"
        counts = (
            *("forks", "forks_count", "open_issues", "open_issues_count", "size"),
            *("stargazers_count", "watchers", "watchers_count"),
        )
        absent = ("homepage", "language", "mirror_url", "license")
        switches = ("has_projects", "has_wiki", "has_pages", "has_discussions", "archived", "disabled")
        times = ("pushed_at", "created_at", "updated_at")
        return (
            self._minimal_repository()
            | {"clone_url": f"{web}.git", "git_url": f"{web}.git", "ssh_url": f"{web}.git", "svn_url": web}
            | {"default_branch": "main", "has_issues": True, "has_downloads": True, "visibility": "public"}
            | dict.fromkeys(counts, 0)
            | dict.fromkeys(absent)
            | dict.fromkeys(switches, False)
            | dict.fromkeys(times, "2026-01-01T00:00:00Z")
        )

    def _side(self, ref: str, sha: str) -> dict[str, Any]:
        owner = self.repository.partition("/")[0]
        return {
            "label": f"{owner}:{ref}",
            "ref": ref,
            "sha": sha,
            "user": self._user(owner),
            "repo": self._repository(),
        }

    def _pull(self, change: Change) -> dict[str, Any]:
        url, web = f"{self._repo_url}/pulls/{change.number}", self.page_url(change.number)
        issue = f"{self._repo_url}/issues/{change.number}"
        addresses = {
            "self": url,
            "html": web,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{self._repo_url}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": f"{self._repo_url}/statuses/{change.head_sha}",
        }
        named = ("issue", "comments", "review_comments", "review_comment", "commits", "statuses")
        absent = ("assignee", "closed_at", "merged_at", "milestone", "auto_merge", "merged_by")
        counts = ("additions", "deletions", "changed_files", "review_comments")
        return {
            "url": url,
            "html_url": web,
            "diff_url": f"{web}.diff",
            "patch_url": f"{web}.patch",
            **{f"{kind}_url": addresses[kind] for kind in named},
            "_links": {kind: {"href": address} for kind, address in addresses.items()},
            "id": change.number,
            "node_id": f"PR_{change.number}",
            "number": change.number,
            "state": "open",
            "title": change.title,
            "body": change.body,
            "user": self._user(change.author),
            "head": self._side(change.head_ref, change.head_sha),
            "base": self._side(change.base_ref, change.base_sha),
            "labels": [],
            "locked": False,
            "merge_commit_sha": None,
            "mergeable": True,
            "mergeable_state": "clean",
            "merged": False,
            "maintainer_can_modify": False,
            "author_association": "CONTRIBUTOR",
            "comments": len(self.comments(change.number)),
            "commits": 1,
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            **dict.fromkeys(absent),
            **dict.fromkeys(counts, 0),
        }

    def _comment(self, remark: Remark) -> dict[str, Any]:
        return {
            "id": remark.id,
            "node_id": f"IC_{remark.id}",
            "url": f"{self._repo_url}/issues/comments/{remark.id}",
            "html_url": f"{self.page_url(remark.change)}#issuecomment-{remark.id}",
            "issue_url": f"{self._repo_url}/issues/{remark.change}",
            "user": self._user(remark.author),
            "body": remark.body,
            "author_association": "NONE",
            "performed_via_github_app": None,
            "created_at": remark.created,
            "updated_at": remark.updated,
        }

    def _check(self, check: Check) -> dict[str, Any]:
        url = f"{self._repo_url}/check-runs/{check.id}"
        done = check.state == "completed"
        return {
            "id": check.id,
            "node_id": f"CR_{check.id}",
            "head_sha": check.sha,
            "external_id": None,
            "name": check.name,
            "url": url,
            "html_url": f"{self.web_url}/{self.repository}/runs/{check.id}",
            "details_url": check.details_url,
            "status": check.state,
            "conclusion": check.conclusion,
            "started_at": check.created,
            "completed_at": check.updated if done else None,
            "check_suite": {"id": 1},
            "output": {
                "title": check.title or None,
                "summary": check.summary or None,
                "text": check.text,
                "annotations_count": len(check.annotations),
                "annotations_url": f"{url}/annotations",
            },
            "app": self._app(check.author),
            "pull_requests": [],
        }

    def _app(self, login: str) -> dict[str, Any]:
        slug, number = login.removesuffix("[bot]"), sum(login.encode())
        times = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
        return {
            "id": number,
            "slug": slug,
            "node_id": f"A_{number}",
            "owner": self._user("octo"),
            "name": slug,
            "description": None,
            "external_url": self.web_url,
            "html_url": f"{self.web_url}/apps/{slug}",
            "permissions": {"checks": "write"},
            "events": [],
            **times,
        }

    def _status(self, check: Check) -> dict[str, Any]:
        return {
            "id": check.id,
            "node_id": f"SC_{check.id}",
            "url": f"{self._repo_url}/statuses/{check.sha}",
            "avatar_url": f"{self.web_url}/avatars/{check.author}",
            "state": check.state,
            "description": check.title or None,
            "target_url": check.details_url,
            "context": check.name,
            "created_at": check.created,
            "updated_at": check.updated,
        }


def _invalid(resource: str, field: str, code: str, message: str | None = None) -> RefusedError:
    error = {"resource": resource, "field": field, "code": code} | ({"message": message} if message else {})
    return RefusedError(422, "Validation Failed", errors=[error])


def main() -> None:
    """Serve until interrupted."""
    serve(GitHubStandIn, project="octo/flights", described=__doc__ or "")


if __name__ == "__main__":
    main()
