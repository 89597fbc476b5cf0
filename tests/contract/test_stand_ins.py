"""The stand-ins are honest: the published description judges them, and people see what a forge would show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from bs4 import BeautifulSoup

from seatrial.forges import CheckEnd, Conclusion
from tests.contract.conftest import CHANGE, HEAD, KINDS, Bench
from tests.fakes.contract import CONTRACTS, github_contract
from tests.fakes.github import GitHubStandIn
from tests.fakes.page import markdown
from tests.fakes.records import TOKEN, Change

PATHS = {
    "github": "/repos/octo/flights/issues/3/comments",
    "gitlab": "/projects/octo%2Fflights/merge_requests/3/notes",
    "gitea": "/repos/octo/flights/issues/3/comments",
    "bitbucket": "/repositories/octo/flights/pullrequests/3/comments",
}

ENDS = {
    "github": ("failure", "success"),
    "gitlab": ("failed", "success"),
    "gitea": ("failure", "success"),
    "bitbucket": ("FAILED", "SUCCESSFUL"),
}


def _write(bench: Bench) -> dict[str, Any]:
    """What adds a comment."""
    return {"content": {"raw": "text"}} if bench.kind == "bitbucket" else {"body": "text"}


def _call(
    bench: Bench, path: str, *, method: str = "GET", body: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = Request(bench.stand_in.api_url + path, data=data, headers=headers, method=method)
    try:
        with urlopen(request) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize(("query", "more"), [("", {"colour": "red"}), ("?colour=red", {})])
def test_a_request_that_the_description_does_not_know_is_refused(
    bench: Bench, query: str, more: dict[str, Any]
) -> None:
    """A misspelt field or parameter fails the test that sent it."""
    status, answer = _call(bench, PATHS[bench.kind] + query, method="POST", body=_write(bench) | more)
    assert status == 500
    assert "colour" in answer["message"]
    assert len(bench.stand_in.violations) == 1
    bench.stand_in.violations.clear()


def test_an_answer_that_breaks_the_description_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in can't drift away from the forge: its own answers are judged."""
    name = "_note" if bench.kind == "gitlab" else "_comment"
    shown = getattr(bench.stand_in, name)
    monkeypatch.setattr(bench.stand_in, name, lambda remark: shown(remark) | {"id": "one"})
    status, _ = _call(bench, PATHS[bench.kind], method="POST", body=_write(bench))
    assert status == 500
    assert "$.id" in bench.stand_in.violations.pop()


def test_a_path_that_the_description_does_not_know_is_a_violation(bench: Bench) -> None:
    """A client that asks for what the forge does not have is found out."""
    status, _ = _call(bench, "/no/such/thing")
    assert status == 500
    assert "PathNotFound" in bench.stand_in.violations.pop()


def test_violations_fail_the_test_at_its_end() -> None:
    """Nobody has to look at the violations for them to count."""
    with pytest.raises(AssertionError, match="published contract"), GitHubStandIn(contract=github_contract()) as forge:
        forge.violations.append("something was wrong")


def test_every_other_address_answers_as_described(bench: Bench) -> None:
    """Project, change and checks are in the published shape too, though our clients ask for few of them."""
    _conclude_all(bench)
    paths = {
        "github": ("", "/pulls/3", f"/commits/{HEAD}/check-runs", f"/commits/{HEAD}/status"),
        "gitlab": ("", "/merge_requests/3", f"/repository/commits/{HEAD}/statuses"),
        "gitea": ("", "/pulls/3", f"/statuses/{HEAD}"),
        "bitbucket": ("", "/pullrequests/3", f"/commit/{HEAD}/statuses"),
    }[bench.kind]
    project = PATHS[bench.kind].partition("flights")[0] + "flights"
    assert [_call(bench, project + path)[0] for path in paths] == [200] * len(paths)


def _conclude_all(bench: Bench) -> None:
    for name, conclusion in (("seatrial", Conclusion.FAILURE), ("docs", Conclusion.SUCCESS)):
        end = CheckEnd(name=name, head=HEAD, conclusion=conclusion, title=f"{name} ended", summary="*all*")
        bench.forge.conclude_check(end)


def test_the_page_shows_change_comments_and_checks(bench: Bench) -> None:
    """A reviewer sees the same on the stand-in as on the forge: the last text of each comment, each check's end."""
    bench.stand_in.comment(CHANGE, "Looks fine to me.", author="hubot")
    bench.post("old", run="1.1")
    bench.post("| gate | now |\n|:--|--:|\n| recall | 0.811 |", run="2.1")
    _conclude_all(bench)
    page = BeautifulSoup(urlopen(bench.stand_in.page_url(CHANGE)).read(), "html.parser")
    comments = [article.get_text(" ", strip=True) for article in page.select("article")[1:]]
    assert comments[0] == "hubot commented Looks fine to me."
    assert re.sub(r"^\S+ bot ", "", comments[1]) == "commented · edited gate now recall 0.811"
    assert [cell["align"] for cell in page.select("td")] == ["left", "right"]
    checks = [check.get_text(" ", strip=True) for check in page.select(".check")]
    ended, passed = ENDS[bench.kind]
    assert checks[0].startswith(f"✕ seatrial seatrial ended {ended}")
    assert checks[1].startswith(f"✓ docs docs ended {passed}")
    assert "Some checks were not successful" in page.get_text()


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("<script>alert(1)</script>", "script"),
        ("<img src=x onerror=alert(1)>", "onerror"),
        ('<p style="color:red" class="state">text</p>', "style"),
        ("[link](javascript:alert(1))", "href"),
        ("<!-- seatrial {} -->\ntext", "seatrial"),
        ("![](data:image/svg+xml;base64,AAAA)", "data:"),
    ],
)
def test_what_a_forge_strips_is_not_shown(text: str, gone: str) -> None:
    """The page shows no more than a forge would: no script, no style, no comment, no image out of the text itself."""
    assert gone not in {tag.name for tag in BeautifulSoup(markdown(text), "html.parser").find_all()}
    assert f"{gone}=" not in markdown(text)
    assert "<!--" not in markdown(text)
    assert f'src="{gone}' not in markdown(text)


def test_details_and_code_stay(bench: Bench) -> None:
    """Folded parts and code are what reports are made of."""
    html = markdown("<details><summary>More</summary>\n\n```diff\n- <a>\n+ b\n```\n\n</details>")
    page = BeautifulSoup(html, "html.parser")
    assert page.select_one("details > summary").get_text() == "More"  # type: ignore[union-attr]
    assert [span.get_text() for span in page.select("code > span")] == ["- <a>", "+ b"]


def test_a_stand_in_remembers_over_a_restart(tmp_path: Path) -> None:
    """A demo that is started again shows the comments of before."""
    with GitHubStandIn(changes=[Change(number=CHANGE)], state=tmp_path) as forge:
        forge.comment(CHANGE, "still here")
    with GitHubStandIn(state=tmp_path) as forge:
        assert [comment.body for comment in forge.comments(CHANGE)] == ["still here"]
        assert "still here" in urlopen(forge.page_url(CHANGE)).read().decode()


@pytest.mark.parametrize("kind", KINDS)
def test_a_stand_in_runs_as_a_process(kind: str, tmp_path: Path) -> None:
    """The command prints the addresses, serves them, and ends when told to."""
    command = [sys.executable, "-m", f"tests.fakes.{kind}", "--state", str(tmp_path), "--title", "A change"]
    process = subprocess.Popen(command, cwd=CONTRACTS.parents[1], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        addresses = dict(process.stdout.readline().strip().split("=", 1) for _ in range(3))
        assert "A change" in urlopen(addresses["page"]).read().decode()
        assert addresses["api"].startswith(addresses["web"])
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
        if process.stdout is not None:
            process.stdout.close()
