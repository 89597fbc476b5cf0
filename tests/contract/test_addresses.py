"""Where a forge is: enterprise servers, sub-paths, ports, proxies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seatrial.forges import ForgeAccess
from seatrial.forges.github import GitHub
from seatrial.forges.gitlab import GitLab
from seatrial.publish import CommentMode, Marker, upsert_comment
from tests.contract.conftest import CHANGE, HEAD, Bench
from tests.fakes.gitlab import BOT, GitLabStandIn
from tests.fakes.records import TOKEN, Change
from tests.fakes.server import Answer, Request


@pytest.mark.parametrize(
    ("api", "graphql"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://api.octo.ghe.com", "https://api.octo.ghe.com/graphql"),
        ("https://ghe.example:8443/api/v3", "https://ghe.example:8443/api/graphql"),
        ("https://ghe.example/api/v3/", "https://ghe.example/api/graphql"),
    ],
)
def test_every_github_has_its_own_addresses(api: str, graphql: str) -> None:
    """What hides comments goes where the rest goes: github.com, a tenant's own host, a server of one's own."""
    access = ForgeAccess(api_url=api, web_url="https://web.example", project="octo/flights", token=TOKEN)
    requester = GitHub(access)._github.requester
    assert requester.graphql_url == graphql
    assert requester.base_url == api.rstrip("/")


class _Below(GitLabStandIn):
    """A GitLab below a path of its host; the paths outside of it are somebody else's."""

    def _route(self, request: Request) -> Answer:
        inside = request.path.removeprefix("/tools/gitlab")
        assert inside != request.path, request.path
        return super()._route(replace(request, path=inside))


def test_a_gitlab_below_a_path_and_at_a_port() -> None:
    """Every request stays below it, that for the next page too."""
    with _Below(changes=(Change(number=CHANGE, head_sha=HEAD, pipeline=50),), identities=(BOT,)) as forge:
        access = ForgeAccess(
            api_url=f"{forge.web_url}/tools/gitlab/api/v4",
            web_url=f"{forge.web_url}/tools/gitlab",
            project="octo/flights",
            token=TOKEN,
            pipeline_id=50,
        )
        for number in range(120):
            forge.comment(CHANGE, f"remark {number}")
        gitlab = GitLab(access)
        gitlab.start_check(name="seatrial", head=HEAD, details_url=None)
        for run in ("1.1", "2.1"):
            marker = Marker(key="default", head=HEAD, run=run)
            result = upsert_comment(gitlab, CHANGE, "report", marker, mode=CommentMode.UPDATE)
        assert result.url.startswith(f"{forge.web_url}/tools/gitlab/octo/flights/-/merge_requests/{CHANGE}#note_")
        assert len(forge.comments(CHANGE)) == 121


def test_a_proxy_is_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The forge is out of direct reach, and the machine's proxy reaches it."""
    monkeypatch.setenv("HTTP_PROXY", bench.stand_in.web_url)
    monkeypatch.setenv("NO_PROXY", "")
    real, out_of_reach = bench.stand_in.web_url, "http://forge.invalid:8080"
    api = bench.access.api_url.replace(real, out_of_reach)
    bench.post("report", forge=bench.opened(api_url=api, web_url=out_of_reach))
    assert bench.bodies() == ["report"]
