"""What stand-ins of forges have in common: one repository's memory, and who may do what in it."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

from tests.fakes import page
from tests.fakes.records import Change, Check, Identity, Records, Remark, load, save
from tests.fakes.server import Answer, Judge, RefusedError, Request, Server, as_html


class StandIn(Server):
    """One repository with its pull requests, comments and statuses, in no forge's own shape."""

    kind: ClassVar[Literal["gitea", "bitbucket"]]
    api: ClassVar[str]
    known: ClassVar[Identity]

    def __init__(
        self,
        *,
        repository: str = "octo/flights",
        changes: Iterable[Change] = (),
        identities: Iterable[Identity] | None = None,
        state: Path | None = None,
        contract: Judge | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host=host, port=port, contract=contract, tls=tls)
        self.api_url = f"{self.web_url}{self.api}"
        self.repository = repository
        self.identities = {one.token: one for one in ((self.known,) if identities is None else identities)}
        self._file = state / f"{self.kind}.json" if state else None
        self.records = load(self._file) if self._file else Records()
        self.records.changes.update({change.number: change for change in changes})

    # What a test reads and arranges.

    def comments(self, change: int) -> list[Remark]:
        """The pull request's comments, oldest first."""
        return self.records.of_change(change)

    def checks(self, sha: str) -> list[Check]:
        """The statuses of a commit, oldest first."""
        return self.records.of_head(sha)

    def comment(self, change: int, body: str, *, author: str = "octocat") -> Remark:
        """Add somebody's comment without a request."""
        remark = self.add(change, body, author)
        self.keep()
        return remark

    def page_url(self, change: int) -> str:
        """The address of the page that shows a pull request."""
        raise NotImplementedError

    # What its routes are made of.

    def show_change(self, request: Request, number: str) -> Answer:
        """The page for people."""
        change = self.change(int(number))
        checks = tuple(page.latest(self.checks(change.head_sha)))
        remarks = tuple(self.comments(change.number))
        return as_html(
            page.render(
                page.Page(forge=self.kind, project=self.repository, change=change, remarks=remarks, checks=checks)
            )
        )

    def identify(self, token: str | None) -> Identity:
        """Whom a token speaks for."""
        if token not in self.identities:
            raise RefusedError(401, "Unauthorized")
        return self.identities[token]

    def change(self, number: int) -> Change:
        """A pull request that is there."""
        if number not in self.records.changes:
            raise RefusedError(404, "Not Found")
        return self.records.changes[number]

    def remark(self, number: int) -> Remark:
        """A comment that is there."""
        if number not in self.records.remarks:
            raise RefusedError(404, "Not Found")
        return self.records.remarks[number]

    def sha(self, sha: str) -> str:
        """A commit that could be one."""
        if not re.fullmatch(r"[0-9a-f]{40}", sha):
            raise RefusedError(404, f"Commit not found: {sha}")
        return sha

    def add(self, change: int, body: str, author: str) -> Remark:
        """A new comment."""
        number, now = self.records.next_id(), self.records.now()
        remark = Remark(id=number, change=change, author=author, body=body, created=now, updated=now)
        self.records.remarks[number] = remark
        return remark

    def edit(self, remark: Remark, body: str) -> None:
        """A comment's new text."""
        remark.body = body
        self.records.next_id()
        remark.updated = self.records.now()
        self.keep()

    def add_status(self, name: str, sha: str, author: str, **fields: Any) -> Check:
        """A new status."""
        number, now = self.records.next_id(), self.records.now()
        check = Check(id=number, kind="status", name=name, sha=sha, author=author, created=now, updated=now, **fields)
        self.records.checks[number] = check
        self.keep()
        return check

    def keep(self) -> None:
        """Write the memory down where it is to outlive the process."""
        if self._file is not None:
            save(self.records, self._file)
