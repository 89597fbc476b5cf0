"""What Gitea and Bitbucket do in a way of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.request import urlopen

import pytest
from bs4 import BeautifulSoup

from seatrial.core.annotations import Annotation, Kind, Level
from seatrial.errors import DeliveryError
from seatrial.forges import CheckEnd, Conclusion
from seatrial.publish import Outcome
from tests.contract.conftest import CHANGE, HEAD, ONLY_BITBUCKET, ONLY_GITEA, TOKENS, Bench
from tests.fakes.records import Identity
from tests.fakes.server import Fault, as_json

BOTH = pytest.mark.parametrize("bench", ["gitea", "bitbucket"], indirect=True)


@BOTH
def test_a_token_that_may_not_tell_its_owner_keeps_one_comment(bench: Bench) -> None:
    """A repository's token lacks the right to ask who it is; it still never leaves two comments."""
    nameless = bench.opened(token=TOKENS["job"])
    assert nameless.whoami() is None
    for run in ("1.1", "2.1", "3.1"):
        bench.post(f"report {run}", run=run, forge=nameless)
    assert bench.bodies() == ["report 3.1"]


@BOTH
def test_comments_can_not_be_hidden_and_the_hint_says_what_can_be_done(bench: Bench) -> None:
    """Neither folds a comment of the conversation; both delete one."""
    comment = bench.forge.create_comment(CHANGE, "text")
    with pytest.raises(DeliveryError) as caught:
        bench.forge.hide_comments([comment], CHANGE)
    assert "`recreate`" in caught.value.hint
    with pytest.raises(DeliveryError, match="no threads"):
        bench.forge.resolve_comment(comment, CHANGE, resolved=True)


@BOTH
def test_an_account_that_was_deleted_is_nobody_here_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment whose author is no longer named does not end the run."""
    shown = bench.stand_in._comment

    def anonymous(remark: object) -> dict[str, object]:
        return {name: value for name, value in shown(remark).items() if name != "user"}

    monkeypatch.setattr(bench.stand_in, "_comment", anonymous)
    bench.stand_in.comment(CHANGE, "from a ghost")
    assert [comment.author for comment in bench.forge.list_comments(CHANGE)] == [""]


@ONLY_GITEA
def test_gitea_tells_the_role_and_no_scopes(bench: Bench) -> None:
    """Who may not push gets no status; whether a scope is missing only the attempt tells."""
    assert bench.forge.read_rights().checks is None
    rights = bench.opened(token=TOKENS["reader"]).read_rights()
    assert (rights.comments, rights.checks) == (None, False)
    assert "write:issue" in rights.detail


@ONLY_GITEA
def test_a_list_that_comes_in_pages_after_all_is_read_to_its_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an answer names a next page, our comment is looked for there as well."""
    bench.stand_in._contract = None  # the published list has no pages
    whole = bench.stand_in.list_comments

    def paged(request: object, number: str) -> object:
        found = json.loads(whole(request, number).content)
        later = "page=2" in request.query_string  # type: ignore[attr-defined]
        address = f"{bench.stand_in.api_url}/repos/octo/flights/issues/{number}/comments?page=2"
        return as_json(found[1:] if later else found[:1], headers={} if later else {"Link": f'<{address}>; rel="next"'})

    monkeypatch.setattr(bench.stand_in, "list_comments", paged)
    bench.stand_in.comment(CHANGE, "first")
    bench.post("old", run="1.1")
    assert bench.post("new", run="2.1").outcome is Outcome.UPDATED
    assert bench.bodies() == ["first", "new"]


@ONLY_BITBUCKET
@pytest.mark.parametrize("key", ["default", "it's", "a-->b", "é"])
def test_the_marker_is_not_shown_and_comes_back(bench: Bench, key: str) -> None:
    """Bitbucket shows HTML comments: there the marker is a definition that nothing refers to."""
    bench.post("### Do **not** merge", key=key, run="1.1")
    page = BeautifulSoup(urlopen(bench.stand_in.page_url(CHANGE)).read(), "html.parser")
    (written,) = page.select(".item[id] .markdown")
    assert written.get_text(strip=True) == "Donotmerge"
    assert bench.post("### Do **not** merge", key=key, run="1.1").outcome is Outcome.UNCHANGED


@ONLY_BITBUCKET
def test_deleted_comments_are_none(bench: Bench) -> None:
    """Bitbucket keeps deleted comments in its list, without their text."""
    gone = bench.forge.create_comment(CHANGE, "gone")
    bench.forge.delete_comment(gone, CHANGE)
    assert list(bench.forge.list_comments(CHANGE)) == []
    assert bench.post("report").outcome is Outcome.CREATED


@ONLY_BITBUCKET
def test_the_token_goes_to_no_other_host(bench: Bench) -> None:
    """A next page that lies elsewhere is an answer that can't be read, and is not asked for."""
    page = b'{"values": [], "pagelen": 100, "next": "http://127.0.0.1:1/2.0/more"}'
    bench.stand_in.fail(Fault(method="GET", path=bench.comments_path, status=200, body=page))
    with pytest.raises(DeliveryError, match="can't be read"):
        list(bench.forge.list_comments(CHANGE))


@ONLY_BITBUCKET
def test_a_persons_token_comes_with_a_name(bench: Bench) -> None:
    """An API token is given as `e-mail:token`, and is sent as Bitbucket wants it."""
    person = Identity(token="ada@example.org:api-token-of-ada", login="ada", kind="personal")
    bench.stand_in.identities[person.token] = person
    assert bench.opened(token=person.token).create_comment(CHANGE, "text").body == "text"
    assert bench.stand_in.comments(CHANGE)[0].author == "ada"


@ONLY_BITBUCKET
def test_bitbucket_tells_scopes_of_tokens_that_have_them(bench: Bench) -> None:
    """With them it is known what may be posted, without them nobody pretends to know."""
    assert (bench.forge.read_rights().comments, bench.forge.read_rights().checks) == (True, True)
    assert bench.opened(token=TOKENS["reader"]).read_rights().comments is False
    assert bench.opened(token=TOKENS["person"]).read_rights().comments is None


@ONLY_BITBUCKET
def test_annotations_become_a_report_beside_the_lines(bench: Bench) -> None:
    """Code Insights shows them; a check without any makes no report."""
    _conclude(bench, ())
    assert bench.stand_in.reports == {}
    annotations = [
        _remark(number, level, f"{level.value} {number}", "0.1 → 0.2")
        for number, level in enumerate((Level.NOTICE, Level.WARNING, Level.FAILURE), start=1)
    ]
    _conclude(bench, annotations)
    report = bench.stand_in.reports[HEAD, "seatrial"]
    assert (report["result"], report["details"]) == ("FAILED", "1 of 4 gates failed")
    kept = bench.stand_in.annotations[HEAD, "seatrial"].values()
    assert [(one["path"], one["line"], one["severity"], one["summary"]) for one in kept] == [
        ("params.yaml", 1, "LOW", "notice 1"),
        ("params.yaml", 2, "MEDIUM", "warning 2"),
        ("params.yaml", 3, "HIGH", "failure 3"),
    ]


@ONLY_BITBUCKET
def test_more_annotations_than_a_request_takes_are_cut(bench: Bench) -> None:
    """A hundred remarks are more than anybody reads; the report's own files have all of them."""
    one = _remark(1, Level.NOTICE, "x" * 900, "y" * 9000)
    _conclude(bench, [one] * 250)
    assert len(bench.stand_in.annotations[HEAD, "seatrial"]) == 100


@ONLY_BITBUCKET
def test_a_long_name_has_a_short_key_of_its_own(bench: Bench) -> None:
    """Statuses of names that begin alike do not take each other's place."""
    names = ["seatrial: " + "arrivals and departures " * 3 + end for end in ("north", "south")]
    for name in names:
        bench.forge.start_check(name=name, head=HEAD, details_url=None)
    assert sorted(check.name for check in bench.stand_in.checks(HEAD)) == names
    assert all(len(check.text) <= 40 for check in bench.stand_in.checks(HEAD))


def _remark(line: int, level: Level, title: str, message: str) -> Annotation:
    return Annotation(path="params.yaml", line=line, kind=Kind.PARAMETER, level=level, title=title, message=message)


def _conclude(bench: Bench, annotations: Sequence[Annotation]) -> None:
    end = CheckEnd(
        name="seatrial",
        head=HEAD,
        conclusion=Conclusion.FAILURE,
        title="1 of 4 gates failed",
        summary="**recall** fell",
        details_url="https://ci.example/run/1",
        annotations=annotations,
    )
    bench.forge.conclude_check(end)
