"""The page of a pull or merge request as a reviewer sees it: the change, its checks, its comments rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import jinja2
import nh3
from markdown import Markdown
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from tests.fakes.records import Change, Check, Remark

# What GitHub lets through; no style, no class, no script, no data: image.
TAGS = {
    *("a", "b", "blockquote", "br", "code", "del", "details", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr"),
    *("i", "img", "ins", "kbd", "li", "ol", "p", "pre", "s", "samp", "span", "strong", "sub", "summary", "sup"),
    *("table", "tbody", "td", "th", "thead", "tr", "ul", "var"),
}
ATTRIBUTES = {
    "a": {"href", "title"},
    "details": {"open"},
    "img": {"src", "alt", "title", "width", "height"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan"},
    "p": {"align"},
    "div": {"align"},
}
DIFF_CLASSES = {"span": {"added", "removed"}}
Tone = Literal["good", "bad", "neutral", "waiting"]
TONES: dict[str, Tone] = {
    "success": "good",
    "failure": "bad",
    "failed": "bad",
    "error": "bad",
    "timed_out": "bad",
    "action_required": "bad",
    "neutral": "neutral",
    "skipped": "neutral",
    "cancelled": "neutral",
    "canceled": "neutral",
    "SUCCESSFUL": "good",
    "FAILED": "bad",
    "STOPPED": "neutral",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the page shows."""

    forge: Literal["github", "gitlab", "gitea", "bitbucket"]
    project: str
    change: Change
    remarks: tuple[Remark, ...]
    checks: tuple[Check, ...]


def latest(checks: Iterable[Check]) -> list[Check]:
    """The newest of every name, as forges show them."""
    return list({check.name: check for check in sorted(checks, key=lambda check: check.id)}.values())


def render(page: Page) -> str:
    """The whole page, with no address but its own."""
    return _TEMPLATE.render(page=page, summary=_summary(page.checks), style=Markup(STYLE))


def markdown(text: str) -> Markup:
    """Markdown as a forge renders it: HTML allowed, then cleaned."""
    dirty = _MARKDOWN.render(text)
    return Markup(
        nh3.clean(
            dirty,
            tags=TAGS,
            attributes=ATTRIBUTES,
            allowed_classes=DIFF_CLASSES,
            url_schemes={"http", "https", "mailto"},
            link_rel="nofollow noopener",
        )
    )


def markdown_of(forge: str) -> Callable[[str], Markup]:
    """How a forge renders Markdown."""
    return plain_markdown if forge == "bitbucket" else markdown


def plain_markdown(text: str) -> Markup:
    """Markdown as Bitbucket renders it: by Python-Markdown, with every tag of HTML shown as it was typed."""
    tables = {"use_align_attribute": True}
    parser = Markdown(extensions=["tables", "fenced_code", "sane_lists"], extension_configs={"tables": tables})
    for registry, name in ((parser.preprocessors, "html_block"), (parser.inlinePatterns, "html")):
        registry.deregister(name)
    dirty = parser.convert(text)
    return Markup(nh3.clean(dirty, tags=TAGS, attributes=ATTRIBUTES, link_rel="nofollow noopener"))


def tone(check: Check) -> Tone:
    """How a check looks to a person."""
    return TONES.get(check.conclusion or check.state, "waiting")


def _summary(checks: tuple[Check, ...]) -> tuple[Tone, str]:
    tones = [tone(check) for check in checks]
    if not tones:
        return "waiting", "No check has reported yet"
    if "bad" in tones:
        return "bad", "Some checks were not successful"
    if "waiting" in tones:
        return "waiting", "Some checks haven't completed yet"
    return "good", "All checks have passed"


def _fence(tokens: list[Token], place: int, *_: Any) -> str:
    token = tokens[place]
    lines = token.content.rstrip("\n").split("\n")
    if token.info.strip() == "diff":
        kinds = {"+": "added", "-": "removed"}
        shown = [_coloured(line, kinds.get(line[:1])) for line in lines]
    else:
        shown = [escape(line) for line in lines]
    return "<pre><code>" + "\n".join(shown) + "</code></pre>\n"


def _coloured(line: str, kind: str | None) -> str:
    return f'<span class="{kind}">{escape(line)}</span>' if kind else escape(line)


def _cell(tokens: list[Token], place: int, *_: Any) -> str:
    # The library aligns by style, which forges strip; they align by attribute.
    token = tokens[place]
    align = str(token.attrs.get("style", "")).removeprefix("text-align:")
    return f'<{token.tag} align="{align}">' if align else f"<{token.tag}>"


def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for rule, renderer in (("fence", _fence), ("td_open", _cell), ("th_open", _cell)):
        parser.renderer.rules[rule] = renderer  # type: ignore[attr-defined]
    return parser


STYLE = """
:root { color-scheme: light dark;
  --page: #ffffff; --box: #ffffff; --head: #f6f8fa; --line: #d1d9e0; --faint: #d1d9e0b3; --text: #1f2328;
  --quiet: #59636e; --link: #0969da; --code: #818b981f; --row: #f6f8fa; --good: #1a7f37; --bad: #d1242f;
  --neutral: #59636e; --waiting: #9a6700; --open: #1f883d; --added: #dafbe1; --removed: #ffebe9; }
@media (prefers-color-scheme: dark) { :root {
  --page: #0d1117; --box: #0d1117; --head: #151b23; --line: #3d444d; --faint: #3d444db3; --text: #f0f6fc;
  --quiet: #9198a1; --link: #4493f8; --code: #656c7633; --row: #151b23; --good: #3fb950; --bad: #f85149;
  --neutral: #9198a1; --waiting: #d29922; --open: #238636; --added: #2ea04326; --removed: #f8514926; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 14px/1.5 -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
.top { padding: 14px 24px; background: var(--head); border-bottom: 1px solid var(--line); }
.top .stand-in { float: right; color: var(--quiet); font-size: 12px; line-height: 21px; }
main { max-width: 1012px; margin: 0 auto; padding: 24px 16px 64px; }
h1.title { font-size: 26px; font-weight: 400; line-height: 1.3; margin: 0 0 8px; }
h1.title span { color: var(--quiet); }
.meta { display: flex; gap: 8px; align-items: center; flex-wrap: wrap; color: var(--quiet);
  padding-bottom: 18px; border-bottom: 1px solid var(--line); margin-bottom: 22px; }
.state { background: var(--open); color: #fff; border-radius: 2em; padding: 4px 12px; font-weight: 500; }
.ref { background: var(--code); color: var(--link); border-radius: 6px; padding: 2px 6px;
  font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
.item { display: flex; gap: 16px; margin-bottom: 20px; }
.avatar { flex: 0 0 40px; height: 40px; border-radius: 50%; display: grid; place-items: center; font-weight: 600;
  font-size: 17px; color: #fff; background: #6e7781; text-transform: uppercase; }
.avatar.bot { border-radius: 8px; background: #24292f; border: 1px solid var(--line); }
.box { flex: 1; min-width: 0; background: var(--box); border: 1px solid var(--line); border-radius: 6px; }
.box > header { padding: 8px 16px; background: var(--head); border-bottom: 1px solid var(--line); color: var(--quiet);
  border-radius: 6px 6px 0 0; }
.box > header b { color: var(--text); }
.label { border: 1px solid var(--line); border-radius: 2em; padding: 0 7px; font-size: 12px; margin-left: 4px; }
.box > .markdown { padding: 16px; }
.quiet { color: var(--quiet); font-style: italic; }
.merge { border: 1px solid var(--line); border-radius: 6px; overflow: hidden; margin-left: 56px; }
.merge > div { padding: 14px 16px; border-bottom: 1px solid var(--line); }
.merge > div:last-child { border-bottom: 0; }
.merge .headline { font-size: 16px; font-weight: 600; display: flex; gap: 10px; align-items: center; }
.check summary { cursor: pointer; display: flex; gap: 10px; align-items: center; list-style: none; }
.check summary::-webkit-details-marker { display: none; }
.check summary .says { color: var(--quiet); }
.check .conclusion { margin-left: auto; font-size: 12px; border: 1px solid currentColor; border-radius: 2em;
  padding: 1px 9px; font-weight: 500; }
.check .more { margin: 12px 0 0 30px; }
.dot { flex: 0 0 20px; height: 20px; border-radius: 50%; display: inline-grid; place-items: center; color: #fff;
  font-size: 12px; font-weight: 700; line-height: 1; }
.dot.good { background: var(--good); } .dot.bad { background: var(--bad); }
.dot.neutral { background: var(--neutral); } .dot.waiting { background: var(--waiting); }
.good-text { color: var(--good); } .bad-text { color: var(--bad); }
.neutral-text { color: var(--neutral); } .waiting-text { color: var(--waiting); }
.markdown { overflow-wrap: break-word; }
.markdown > :first-child { margin-top: 0; } .markdown > :last-child { margin-bottom: 0; }
.markdown p, .markdown ul, .markdown ol, .markdown table, .markdown pre, .markdown blockquote,
.markdown details { margin: 0 0 16px; }
.markdown h1, .markdown h2, .markdown h3, .markdown h4 { margin: 24px 0 16px; line-height: 1.25; font-weight: 600; }
.markdown h1 { font-size: 2em; } .markdown h2 { font-size: 1.5em; }
.markdown h1, .markdown h2 { border-bottom: 1px solid var(--faint); padding-bottom: .3em; }
.markdown h3 { font-size: 1.25em; } .markdown h4 { font-size: 1em; }
.markdown table { border-collapse: collapse; display: block; width: max-content; max-width: 100%; overflow: auto; }
.markdown th, .markdown td { border: 1px solid var(--line); padding: 6px 13px; }
.markdown th { font-weight: 600; }
.markdown tbody tr { border-top: 1px solid var(--faint); }
.markdown tbody tr:nth-child(2n) { background: var(--row); }
.markdown code { background: var(--code); border-radius: 6px; padding: .2em .4em; white-space: break-spaces;
  font: 85% ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
.markdown pre { background: var(--head); border-radius: 6px; padding: 16px; overflow: auto; line-height: 1.45; }
.markdown pre code { background: none; padding: 0; white-space: pre; }
.markdown pre .added { background: var(--added); } .markdown pre .removed { background: var(--removed); }
.markdown blockquote { border-left: .25em solid var(--line); color: var(--quiet); padding: 0 1em; }
.markdown summary { cursor: pointer; }
.markdown details > :nth-child(2) { margin-top: 10px; }
.markdown img { max-width: 100%; }
"""

_TEXT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ page.change.title }} · {{ noun }} {{ sign }}{{ page.change.number }} · {{ page.project }}</title>
<style>{{ style }}</style>
</head>
<body>
<div class="top"><span class="stand-in">a stand-in for {{ forge_name }}</span><b>{{ page.project }}</b></div>
<main>
<h1 class="title">{{ page.change.title }} <span>{{ sign }}{{ page.change.number }}</span></h1>
<div class="meta"><span class="state">Open</span>
<span><b>{{ page.change.author }}</b> wants to merge <span class="ref">{{ page.change.head_ref }}</span> into
<span class="ref">{{ page.change.base_ref }}</span> at
<span class="ref">{{ page.change.head_sha[:7] }}</span></span></div>
<div class="item"><div class="avatar">{{ page.change.author[0] }}</div>
<article class="box"><header><b>{{ page.change.author }}</b> opened this {{ noun|lower }}</header>
<div class="markdown">{% if page.change.body %}{{ markdown_of(page.forge)(page.change.body) }}{% else %}
<p class="quiet">No description provided.</p>{% endif %}</div></article></div>
{% for remark in page.remarks %}
{% set bot = remark.author.endswith(("[bot]", "-actions", "}")) or "_bot" in remark.author %}
<div class="item" id="{{ anchor }}{{ remark.id }}"><div class="avatar{{ " bot" if bot }}">{{ remark.author[0] }}</div>
<article class="box"><header><b>{{ remark.author|replace("[bot]", "") }}</b>{% if bot %}<span class="label">bot</span>
{% endif %} commented{% if remark.updated != remark.created %} · edited{% endif %}</header>
<div class="markdown">{{ markdown_of(page.forge)(remark.body) }}</div></article></div>
{% endfor %}
<section class="merge" aria-label="Checks">
<div class="headline"><span class="dot {{ summary[0] }}">{{ signs[summary[0]] }}</span>{{ summary[1] }}</div>
{% for check in page.checks %}{% set tone = check|tone %}
<div class="check"><details><summary><span class="dot {{ tone }}">{{ signs[tone] }}</span><b>{{ check.name }}</b>
<span class="says">{{ check.title }}</span>
<span class="conclusion {{ tone }}-text">{{ (check.conclusion or check.state)|replace("_", " ") }}</span></summary>
<div class="more markdown">{{ markdown_of(page.forge)(check.summary) }}{% if check.details_url %}
<p><a href="{{ check.details_url|href }}" rel="nofollow noopener">Details</a></p>{% endif %}</div></details></div>
{% endfor %}
</section>
</main>
</body>
</html>
"""

_SIGNS: dict[Tone, str] = {"good": "✓", "bad": "✕", "neutral": "–", "waiting": "•"}
_WORDS = {
    "github": {"noun": "Pull request", "sign": "#", "anchor": "issuecomment-", "forge_name": "GitHub"},
    "gitlab": {"noun": "Merge request", "sign": "!", "anchor": "note_", "forge_name": "GitLab"},
    "gitea": {"noun": "Pull request", "sign": "#", "anchor": "issuecomment-", "forge_name": "Gitea"},
    "bitbucket": {"noun": "Pull request", "sign": "#", "anchor": "comment-", "forge_name": "Bitbucket"},
}


def _href(address: str) -> str:
    return address if address.startswith(("https://", "http://")) else "#"


class _Template:
    def __init__(self) -> None:
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        environment.filters |= {"tone": tone, "href": _href}
        environment.globals |= {"signs": _SIGNS, "markdown_of": markdown_of}
        self._template = environment.from_string(_TEXT)

    def render(self, *, page: Page, summary: tuple[Tone, str], style: Markup) -> str:
        return self._template.render(page=page, summary=summary, style=style, **_WORDS[page.forge])


_MARKDOWN = _markdown()
_TEMPLATE = _Template()
