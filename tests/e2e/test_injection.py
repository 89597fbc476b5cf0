"""What strangers write stays words, wherever it stands in a report, and whoever reads it.

Each attack is put into every place that a pull request fills. The report that comes out has the skeleton of the
benign one, in the Markdown that GitHub's own parser reads and in the page that Chromium shows.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from bs4 import BeautifulSoup
from bs4.element import NavigableString, Tag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from seatrial.core.report import Report
from seatrial.render import RENDERERS, Flavour, RenderOptions
from seatrial.render.logs import disarm
from tests.e2e.browser import Tab, open_tab
from tests.e2e.hostile import ATTACKS, PROBE, Word, begin_with, build, end_with, harmless
from tests.fakes.github import GitHubStandIn
from tests.fakes.records import Change
from tests.integration.repositories import Answer, Scratch, run_seatrial
from tests.integration.test_ci import PullRequest

pytestmark = pytest.mark.slow

FLAVOURS: tuple[Flavour, ...] = ("github", "gitlab")
EXTENSIONS = ("table", "strikethrough", "autolink", "tagfilter", "tasklist", "footnotes")
PLACES = {"at the start": begin_with, "at the end": end_with}


# Drawing takes time, and most attacks are all the same to it.
DRAWN = ("element", "script", "attribute", "entity", "control", "surrogate", "right to left", "long", "mermaid", "vega")


@cache
def hostile(attack: str, place: str, *, plots: bool = True) -> Report:
    """The report with one attack everywhere."""
    return build(PLACES[place](ATTACKS[attack]), plots=plots)


@cache
def benign(*, plots: bool = True) -> Report:
    """The report of an honest pull request."""
    return build(harmless, plots=plots)


# --- Markdown ---------------------------------------------------------------------------------------------------------


def read_markdown(text: str) -> BeautifulSoup:
    """The tree that GitHub's parser makes of a comment; `--unsafe`, since forges clean afterwards."""
    extensions = [part for name in EXTENSIONS for part in ("-e", name)]
    command = ["cmark-gfm", "--unsafe", "--github-pre-lang", *extensions]
    html = subprocess.run(command, input=text.encode("utf-8"), capture_output=True, check=True).stdout.decode()
    return BeautifulSoup(html, "html.parser")


def outline(tree: Tag, depth: int = 0) -> list[str]:
    """Elements with their attributes, in order, and no text."""
    lines: list[str] = []
    for element in tree.find_all(True, recursive=False):
        if element.name == "span" and not element.attrs and element.text == "$":
            continue  # how a forge is told that a dollar is a dollar
        lines.append(f"{' ' * depth}{element.name} {sorted(element.attrs.items())}")
        lines += outline(element, depth + 1)
    return lines


# What GitHub and GitLab look for in the text of a rendered comment, where it is neither code nor a link.
REFERENCES = re.compile(
    r"""
      @[\w-] | [#!&$]\d | [~%][\w"{] | \bGH-\d
    | \[(?:\[|[\w-]+:|TOC) | \*iteration:
    | :// | www\. | :[\w+-]*[a-z+][\w+-]*:
    | [\[{][+-] | \w/[\w.-]+>
    | \$[^$]+\$ | \$`
    """,
    re.VERBOSE | re.IGNORECASE,
)
QUIET = ("code", "pre", "a")


def list_texts(tree: BeautifulSoup) -> Iterator[str]:
    """Each text of a comment in which a forge looks for references."""
    for node in tree.find_all(string=True):
        if type(node) is NavigableString and not any(parent.name in QUIET for parent in node.parents):
            yield str(node)


def check_markdown(report: Report, flavour: Flavour) -> None:
    """All that is promised of a comment."""
    text = RENDERERS["markdown"](report, RenderOptions(flavour=flavour))
    tree = read_markdown(text)
    assert outline(tree) == outline(expected(flavour))
    assert [found.group() for words in list_texts(tree) for found in REFERENCES.finditer(words)] == []
    assert [a["href"] for a in tree.find_all("a")] == [a["href"] for a in expected(flavour).find_all("a")]
    assert not [line for line in text.split("\n") if re.match(r"\s*/\w", line)]
    assert not re.search("[^\n\x20-\x7e\xa0-\U0010ffff]", text)
    assert text.encode("utf-8")


@cache
def expected(flavour: Flavour) -> BeautifulSoup:
    """The tree of the benign comment."""
    return read_markdown(RENDERERS["markdown"](benign(), RenderOptions(flavour=flavour)))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_comment_keeps_its_skeleton(attack: str, place: str) -> None:
    """No element, link, reference, emoji, formula or command comes of a text, on either forge."""
    for flavour in FLAVOURS:
        check_markdown(hostile(attack, place), flavour)


# --- The page ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def skeletons(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, list[str]]:
    """The tree of the benign page, without its plots and with them."""
    found = {}
    with open_tab(browser) as tab:
        for plots in (False, True):
            tab.open(RENDERERS["html"](benign(plots=plots), RenderOptions()), tmp_path_factory.mktemp("benign"))
            found[plots] = tab.outline()
    return found


def check_page(tab: Tab, report: Report, directory: Path, skeleton: list[str]) -> None:
    """All that is promised of a page."""
    tab.open(RENDERERS["html"](report, RenderOptions()), directory)
    assert tab.outline() == skeleton
    assert (tab.asked, tab.console) == ([], [])
    assert tab.page.title().startswith("✗ Do not merge: ")


@pytest.mark.parametrize(("attack", "plots"), [(one, False) for one in ATTACKS] + [(one, True) for one in DRAWN])
def test_a_page_keeps_its_skeleton(
    attack: str, plots: bool, tab: Tab, tmp_path: Path, skeletons: dict[bool, list[str]]
) -> None:
    """No element and no attribute comes of a text, nothing is asked for, and the console is silent."""
    check_page(tab, hostile(attack, "at the start", plots=plots), tmp_path, skeletons[plots])


@pytest.mark.parametrize("attack", ["script", "vega", "element", "attribute", "control"])
def test_a_page_that_is_opened_asks_nobody(attack: str, tab: Tab, tmp_path: Path) -> None:
    """Also with every part open and every plot alive, drawn by Vega out of what the text says."""
    tab.open(RENDERERS["html"](hostile(attack, "at the end"), RenderOptions()), tmp_path)
    tab.page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    tab.page.wait_for_function("document.querySelectorAll('[data-plot]:not([data-plot=live])').length === 0")
    drawn = tab.page.evaluate("[...document.querySelectorAll('.live *')].map((one) => one.localName)")
    assert len(drawn) > 50
    assert not {"script", "img", "image", "iframe", "a", "style", "foreignObject"} & set(drawn)
    assert (tab.asked, tab.console) == ([], [])


def test_the_browser_would_have_told(tab: Tab, tmp_path: Path) -> None:
    """The checks above can fail: the same texts, not escaped, load and run."""
    tab.open(f"<!doctype html><title>x</title>{ATTACKS['element']}{ATTACKS['script']}", tmp_path)
    assert tab.asked == [PROBE, PROBE]
    assert tab.console


def test_numbers_behind_a_right_to_left_name_keep_their_order(tab: Tab, tmp_path: Path) -> None:
    """`0.842 → 0.811` is read from left to right: turned round, a fall would be a rise."""
    tab.open(RENDERERS["html"](hostile("right to left", "at the end"), RenderOptions()), tmp_path)
    edges = tab.page.evaluate("""() => {
      const node = document.querySelector(".verdict p strong").firstChild;
      return ["0.842", "0.811"].map((number) => {
        const range = document.createRange();
        range.setStart(node, node.data.indexOf(number));
        range.setEnd(node, node.data.indexOf(number) + number.length);
        return range.getBoundingClientRect().left;
      });
    }""")
    assert edges[0] < edges[1]


# --- Machines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_machines_read_what_they_expect(attack: str) -> None:
    """JUnit has the benign cases, JSON is JSON, OpenMetrics has the benign series; in a log none of it is a command."""
    report = hostile(attack, "at the start")
    texts = {name: RENDERERS[name](report, RenderOptions()) for name in MACHINES}
    assert list_cases(texts["junit"]) == list_cases(RENDERERS["junit"](benign(), RenderOptions()))
    assert json.loads(texts["json"])["verdict"] == "failed"
    assert len({issue["fingerprint"] for issue in json.loads(texts["code-quality"])}) > 10
    assert count_samples(texts["openmetrics"]) == count_samples(RENDERERS["openmetrics"](benign(), RenderOptions()))
    logs = [disarm(text, name) for name, text in texts.items()]
    assert not [line for text in logs for line in text.split("\n") if COMMAND.search(line)]
    assert list_cases(disarm(texts["junit"], "junit")) == list_cases(texts["junit"])
    assert json.loads(disarm(texts["json"], "json")) == json.loads(texts["json"])


MACHINES = ("junit", "json", "code-quality", "openmetrics")


def list_cases(xml: str) -> list[tuple[str, list[str]]]:
    """The elements of a JUnit file with the names of their attributes."""
    return [(element.tag, sorted(element.keys())) for element in ET.fromstring(xml).iter()]


def count_samples(text: str) -> dict[str, int]:
    """How many samples each family has, read by the client of Prometheus itself."""
    return {family.name: len(family.samples) for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("attack", ATTACKS)
def test_annotations_are_the_commands_that_they_are_meant_to_be(attack: str) -> None:
    """A line each, with the properties that we write: no text adds a command or ends a property."""
    lines = RENDERERS["annotations"](hostile(attack, "at the start"), RenderOptions()).split("\n")
    assert len(lines) > 12
    assert [line for line in lines if not ANNOTATION.fullmatch(line)] == [""]


ANNOTATION = re.compile(
    r"::(?:error|warning|notice) (?:file=[^:,\n\r]+,line=\d+,)?title=[^:,\n\r]+::(?!.*##\[)[^\n\r]*"
)


# What a runner of GitHub Actions obeys; it looks for the old form anywhere in a line.
COMMAND = re.compile(r"^\s*::|##\[")
# What is ours in a coloured text: colours, and links to the forge.
PAINT = re.compile(r"\x1b\[[\d;]*m|\x1b]8;[^;]*;(?:https://github\.com/[!-~]*)?\x1b\\")


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_terminal_is_told_nothing(attack: str) -> None:
    """No control sequence but our own colours reaches it, and as many lines as the benign report has."""
    report = hostile(attack, "at the start")
    plain = RENDERERS["terminal"](report, RenderOptions())
    coloured = RENDERERS["terminal"](report, RenderOptions(colour=True, width=120))
    for text in (plain, PAINT.sub("", coloured)):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    assert plain.count("\n") == RENDERERS["terminal"](benign(), RenderOptions()).count("\n")
    assert not [line for line in disarm(plain, "terminal").split("\n") if COMMAND.search(line)]


# --- Whatever else there may be ---------------------------------------------------------------------------------------

SIGNS = "@#!&$%~^*_`|<>[](){}\\/:;,.-+='\"?\n\r\t \u200b\u202e\u2028\x00\x1b\x9b\ud800\u0301\u05d0\u3164aA1"
PIECES = st.one_of(
    st.sampled_from(sorted(ATTACKS.values(), key=len)[:40]),
    st.text(st.sampled_from(SIGNS), min_size=1, max_size=12),
    st.text(min_size=1, max_size=6),
)
HOSTILE = st.lists(PIECES, min_size=1, max_size=4).map("".join)


@settings(max_examples=60, deadline=None)
@given(text=HOSTILE)
def test_any_text_leaves_a_comment_as_it_is(text: str) -> None:
    """Attacks joined to one another and to any signs."""
    report = build(end_with(text), plots=False)
    markdown = RENDERERS["markdown"](report, RenderOptions())
    tree = read_markdown(markdown)
    assert outline(tree) == outline(read_markdown(RENDERERS["markdown"](benign(plots=False), RenderOptions())))
    assert [found.group() for words in list_texts(tree) for found in REFERENCES.finditer(words)] == []
    assert not [line for line in markdown.split("\n") if re.match(r"\s*/\w", line)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=HOSTILE)
def test_any_text_leaves_a_page_as_it_is(text: str, tab: Tab, tmp_path: Path, skeletons: dict[bool, list[str]]) -> None:
    """The same in the browser."""
    check_page(tab, build(end_with(text), plots=False), tmp_path, skeletons[False])


# --- A repository -----------------------------------------------------------------------------------------------------


class Deal:
    """Attacks dealt one by one, so that neighbours differ and every place meets another in every round."""

    def __init__(self, start: int) -> None:
        # In dvc.yaml `${` begins a template: DVC's own meaning, not ours to take away.
        self._texts = [text for text in ATTACKS.values() if len(text) < 200 and "${" not in text]
        self._at = start

    def __call__(self, slot: str) -> str:
        self._at += 1
        text = self._texts[self._at % len(self._texts)]
        return f"{slot} {text.encode('utf-8', 'replace').decode()}"


SLOTS = "metrics other broken plot params data model recall f1 text rate stage command x y title series class branch"


def name_file(text: str) -> str:
    """A text as a file's name: all of it that git and the disk can hold."""
    return f"{text.replace('/', chr(0x2215)).replace(chr(0), '')[:80]}.json"


def name_branch(text: str) -> str:
    """A text as a branch's name: all of it that git takes."""
    return re.sub(r"[\x00-\x20\x7f~^:?*\[\\./]|@\{", "", text)


def grow_repository(directory: Path, word: Word) -> Scratch:
    """A project whose every name comes of `word`; the work tree is a branch that breaks some of it."""
    scratch = Scratch.create(directory)
    names = {slot: word(slot) for slot in SLOTS.split()}
    files = {slot: name_file(name) for slot, name in names.items()}
    rows = [{names["x"]: at, names["y"]: at % 3, names["class"]: names["class"]} for at in range(4)]
    scratch.commit({
        "dvc.yaml": json.dumps(declare(names, files)),
        files["metrics"]: json.dumps({names["recall"]: 0.9, names["f1"]: {names["text"]: 0.5}}),
        files["other"]: json.dumps({names["recall"]: 1.0}),
        files["broken"]: json.dumps({names["text"]: 1}),
        files["params"]: json.dumps({names["rate"]: names["text"]}),
        files["data"]: "1",
        files["plot"]: json.dumps(rows),
        "seatrial.yaml": "version: 1\nmetrics:\n  '*': {max_decrease: 0.01, direction: higher}\n",
    })  # fmt: skip
    scratch.git("switch", "--quiet", "--create", name_branch(names["branch"]))
    scratch.commit({
        files["metrics"]: json.dumps({names["recall"]: 0.5, names["f1"]: {names["text"]: names["text"]}}),
        files["broken"]: f"{{{names['text']}",
        files["params"]: json.dumps({names["rate"]: names["title"]}),
        files["plot"]: json.dumps([{**row, names["y"]: 2} for row in rows]),
    })  # fmt: skip
    return scratch


def declare(names: Mapping[str, str], files: Mapping[str, str]) -> dict[str, Any]:
    """The project's dvc.yaml."""
    stage = {
        "cmd": names["command"],
        "deps": [files["data"]],
        "outs": [files["model"]],
        "params": [{files["params"]: [names["rate"]]}],
        "metrics": [{files[one]: {"cache": False}} for one in ("metrics", "other", "broken")],
    }
    plots = [
        {files["plot"]: {"x": names["x"], "y": names["y"], "title": names["title"], "template": "linear"}},
        {names["series"]: {"x": names["x"], "y": {files["plot"]: [names["y"], names["class"]]}}},
    ]
    return {"stages": {names["stage"]: stage}, "plots": plots}


def compare(scratch: Scratch) -> tuple[Answer, dict[str, str]]:
    """`seatrial compare` as in a job of GitHub Actions: what it prints, and its reports by their suffix."""
    suffixes = ("html", "md", "xml")
    ends = ("main", scratch.git("branch", "--show-current"))
    arguments = [part for suffix in suffixes for part in ("--output", f"../report.{suffix}")]
    in_job = {"GITHUB_ACTIONS": "true"}
    assert run_seatrial(scratch.directory, "compare", *ends, *arguments, env=in_job).code == 1
    reports = {suffix: (scratch.directory.parent / f"report.{suffix}").read_text("utf-8") for suffix in suffixes}
    return run_seatrial(scratch.directory, "compare", *ends, env=in_job), reports


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The reports on the benign repository."""
    return compare(grow_repository(tmp_path_factory.mktemp("honest") / "project", harmless))[1]


@pytest.mark.parametrize("start", range(0, 57, 10))
def test_a_hostile_repository_is_reported_like_any_other(
    start: int, tab: Tab, tmp_path: Path, honest: dict[str, str]
) -> None:
    """Files, keys, values, stages, plots and the branch are a stranger's; the command reads and tells them."""
    shown, reports = compare(grow_repository(tmp_path / "project", Deal(start)))
    assert outline(read_markdown(reports["md"])) == outline(read_markdown(honest["md"]))
    tab.visit(tmp_path / "report.html")
    found = tab.outline(), tab.asked, tab.console
    (tmp_path / "honest.html").write_text(honest["html"], encoding="utf-8")
    tab.visit(tmp_path / "honest.html")
    assert found == (tab.outline(), [], [])
    assert len(list(ET.fromstring(reports["xml"]).iter())) == len(list(ET.fromstring(honest["xml"]).iter()))
    assert not [line for line in (shown.out + shown.err).split("\n") if COMMAND.search(line)]
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown.out + shown.err)


def test_a_hostile_pull_request_gets_the_comment_of_any_other(tmp_path: Path) -> None:
    """By `seatrial ci`, over HTTP: comment, summary and check have the benign skeleton, the log only our commands."""
    trees = []
    for name, word in (("honest", harmless), ("hostile", Deal(5))):
        with GitHubStandIn(changes=(Change(number=7),)) as forge:
            pull = open_pull_request(grow_repository(tmp_path / name / "project", word), forge, tmp_path / name)
            answer = pull.run()
            assert answer.code == 1, answer.err
            (check,) = forge.checks(pull.head)
            texts = (pull.body(), (pull.work / "summary.md").read_text("utf-8"), check.summary)
        trees.append([outline(read_markdown(text.replace(forge.web_url, "https://forge"))) for text in texts])
        printed = [line for line in (answer.out + answer.err).split("\n") if COMMAND.search(line)]
        assert [line for line in printed if not ANNOTATION.fullmatch(line)] == []
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", answer.out + answer.err)
    assert trees[0] == trees[1]


def open_pull_request(scratch: Scratch, forge: GitHubStandIn, directory: Path) -> PullRequest:
    """The repository as actions/checkout leaves it: at the test merge of its branch."""
    base, head = scratch.git("rev-parse", "main"), scratch.git("rev-parse", "HEAD")
    scratch.git("checkout", "--quiet", "--detach", base)
    scratch.git("merge", "--quiet", "--no-ff", "--message", "test merge", head)
    forge.records.changes[7].head_sha, forge.records.changes[7].base_sha = head, base
    return PullRequest(scratch=scratch, head=head, base=base, forge=forge, work=directory)
