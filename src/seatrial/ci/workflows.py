"""A repository's own CI files: what they run already, and what has to be written for seatrial to run.

Text is added to an existing file, never a value dumped anew: comments and order stay as people wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from seatrial import __version__
from seatrial.ci.job import System
from seatrial.errors import UsageError

if TYPE_CHECKING:
    import yaml

GITHUB_DIRECTORY = ".github/workflows"
GITHUB_FILE = f"{GITHUB_DIRECTORY}/seatrial.yml"
GITLAB_FILE = ".gitlab-ci.yml"
# Gitea and Forgejo run the workflows of the first of their directories that is there, GitHub's being the last.
FORGEJO_DIRECTORY = ".forgejo/workflows"
GITEA_DIRECTORY = ".gitea/workflows"
WORKFLOW_DIRECTORIES = (FORGEJO_DIRECTORY, GITEA_DIRECTORY, GITHUB_DIRECTORY)
BITBUCKET_FILE = "bitbucket-pipelines.yml"
_ACTION = "seatrial/seatrial"
_TEMPLATE = f"https://raw.githubusercontent.com/seatrial/seatrial/v{__version__}/.gitlab-ci-template.yml"
_PACKAGE = f"seatrial[charts,forges,stats] @ git+https://github.com/{_ACTION}@v{__version__}"
_BITBUCKET_PYTHON = '"${HOME}/seatrial/bin/python" -I'
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_USED = re.compile(
    rf"^(?!\s*#).*(uses:\s*[\"']?(?:https?://[^\s\"']+/)?{_ACTION}@|{_ACTION}/[^\s\"']*/\.gitlab-ci-template\.yml"
    r"|\bseatrial ci\b)",
    re.MULTILINE,
)
# The variables that DVC's remotes read, to be filled in by people.
_SECRETS: Mapping[str, tuple[str, ...]] = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "azure": ("AZURE_STORAGE_CONNECTION_STRING",),
    "gdrive": ("GDRIVE_CREDENTIALS_DATA",),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS",),
    "oss": ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"),
}


class Wiring(Struct, frozen=True, kw_only=True):
    """What a job of seatrial has to know of the project.

    `directory` is the DVC project's (empty: the root), `install` the arguments of `pip install` (empty: the job needs
    none), `remote` the scheme of DVC's default remote (empty: none is needed).
    """

    branch: str
    directory: str = ""
    reproduce: str = "no"
    install: str = ""
    remote: str = ""


class Replaced(Struct, frozen=True, kw_only=True):
    """A line of an existing CI file that seatrial stands in for, and by what."""

    line: int
    text: str
    by: str


def guess_system(url: str) -> System | None:
    """The CI system of the forge that a remote's address is of, as far as its host tells."""
    host = read_host(url)
    if host == "github.com" or host.endswith(".ghe.com") or "github" in host.split("."):
        return System.GITHUB
    if host == "bitbucket.org":
        return System.BITBUCKET
    words = set(re.split(r"[.-]", host))
    if host == "codeberg.org" or words & {"gitea", "forgejo"}:
        return System.GITEA
    return System.GITLAB if "gitlab" in words else None


def read_system(path: str) -> System:
    """The CI system that reads a file, by its path from the repository's root."""
    if path == BITBUCKET_FILE:
        return System.BITBUCKET
    if path.startswith((FORGEJO_DIRECTORY, GITEA_DIRECTORY)):
        return System.GITEA
    return System.GITHUB if path.startswith(GITHUB_DIRECTORY) else System.GITLAB


def read_host(url: str) -> str:
    """The host of a remote's address, `git@host:path` included; empty where it is a path."""
    scp = re.fullmatch(r"(?:[^@/]+@)?([^:/]{2,}):(?!//).*", url)
    try:
        return (scp[1] if scp else urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def uses_seatrial(text: str) -> bool:
    """Whether a CI file runs seatrial already."""
    return bool(_USED.search(text))


# -- what is there already

_REPLACED: tuple[tuple[str, str], ...] = (
    (r"iterative/setup-cml|\bcml[ -](?:send-comment|comment)\b", "the comment that `seatrial ci` keeps"),
    (r"\bcml[ -](?:publish|asset)\b", "the report's own page, an artifact of the job"),
    (r"\bcml[ -](?:check|send-github-check)\b", "the check that `seatrial ci` concludes"),
    (r"\bdvc (?:metrics|params|plots) (?:diff|show)\b", "the comparison with the right baseline, in the report"),
    (r"\bgit fetch\b.*\b(?:main|master|prune)\b", "the baseline that seatrial finds itself"),
    (
        r"\bcml[ -](?:runner|pr)\b",
        "nothing: keep this, seatrial starts no machines and opens no change",
    ),
)


def find_replaced(text: str) -> tuple[Replaced, ...]:
    """The lines of a CI file that use CML or DVC's diffs; empty where neither is there."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#"):
            continue
        by = next((by for pattern, by in _REPLACED if re.search(pattern, line)), None)
        if by:
            found.append(Replaced(line=number, text=line.strip(), by=by))
    telling = re.search(r"\bcml\b|\bdvc (?:metrics|params|plots) (?:diff|show)\b", "\n".join(one.text for one in found))
    return tuple(found) if telling else ()


def runs_pipeline(text: str) -> bool:
    """Whether a CI file makes the metrics itself."""
    return bool(re.search(r"^(?!\s*#).*\bdvc (?:repro|exp run)\b", text, re.MULTILINE))


# -- GitHub Actions, and Gitea's and Forgejo's, which read the same language


class _Dialect(Struct, frozen=True, kw_only=True):
    """What a workflow names otherwise on another server: actions, rights, and what our step is told besides."""

    checkout: str
    python: str
    cache: str
    upload: str
    action: str
    rights: tuple[str, ...]
    inputs: tuple[str, ...] = ()


_GITHUB = _Dialect(
    checkout="actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
    python="actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0",
    cache="actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae # v5.0.5",
    upload="actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0",
    action=f"{_ACTION}@v{__version__}",
    rights=(
        "contents: read # check out",
        "pull-requests: write # the comment",
        "checks: write # the check on the pull request's head",
    ),
)
# Whole addresses, since a server may look for short ones elsewhere; versions that old runners run as well. Later
# versions of the last take Gitea for a server that they do not support.
_GITEA = _Dialect(
    checkout="https://github.com/actions/checkout@34e114876b0b11c390a56381ad16ebd13914f8d5 # v4.3.1",
    python="https://github.com/actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0",
    cache="https://github.com/actions/cache@0057852bfaa89a56745cba8c7296529d2fc39830 # v4.3.0",
    upload="https://github.com/actions/upload-artifact@ff15f0306b3f739f7b6fd43fb5d26cd321bd4de5 # v3.2.1",
    action=f"https://github.com/{_ACTION}@v{__version__}",
    rights=("contents: read # check out", "pull-requests: write # the comment"),
    inputs=(
        "# The job is a status of the commit already; one with the verdict's words needs `contents: write`.",
        'check: "false"',
    ),
)


def write_github(wiring: Wiring) -> str:
    """A whole workflow."""
    return _write_workflow(wiring, _GITHUB)


def write_gitea(wiring: Wiring) -> str:
    """A whole workflow, for Gitea and Forgejo alike."""
    return _write_workflow(wiring, _GITEA)


def _write_workflow(wiring: Wiring, dialect: _Dialect) -> str:
    parts = (_write_head, _write_setup, _write_step, _write_artifact)
    return "".join(part(wiring, dialect) for part in parts)


def _write_head(wiring: Wiring, dialect: _Dialect) -> str:
    fills = ", and fills the cache that pull requests start from" if wiring.install else ""
    rights = "\n      ".join(dialect.rights)
    return f"""\
name: model report

on:
  pull_request:
  # On the default branch the run judges what was merged{fills}.
  push:
    branches: [{_quote(wiring.branch)}]

permissions: {{}}

concurrency:
  group: ${{{{ github.workflow }}}}-${{{{ github.event.pull_request.number || github.sha }}}}
  cancel-in-progress: true

jobs:
  measure:
    name: measure
    runs-on: ubuntu-latest
    permissions:
      {rights}
    steps:
      - uses: {dialect.checkout}
        with:
          fetch-depth: 0 # the commit that is compared with has to be there
          persist-credentials: false

      - uses: {dialect.python}
        with:
          python-version: "3.12"
"""


def _write_setup(wiring: Wiring, dialect: _Dialect) -> str:
    if not wiring.install:
        return ""
    return f"""
      # DVC's cache outlives the run: what was pulled or computed once is there the next time.
      - uses: {dialect.cache}
        with:
          path: {_quote(_below(wiring, ".dvc/cache"))}
          key: dvc-${{{{ runner.os }}}}-${{{{ hashFiles('**/dvc.lock', '**/*.dvc') }}}}
          restore-keys: dvc-${{{{ runner.os }}}}-

      - name: Install what DVC needs
        run: {_quote_command(f"python -m pip install {wiring.install}")}
"""


def _write_step(wiring: Wiring, dialect: _Dialect) -> str:
    directory = [f"          working-directory: {_quote(wiring.directory)}"] if wiring.directory else []
    names = _SECRETS.get(wiring.remote, ())
    secrets = ["        # DVC's remote; a pull request from a fork is not given them.", "        # env:"]
    secrets += [f"        #   {name}: ${{{{ secrets.{name} }}}}" for name in names]
    lines = [
        "",
        f"      # {_REASONS[wiring.reproduce]}",
        f"      - uses: {dialect.action}",
        "        id: seatrial",
        *(secrets if names else []),
        "        with:",
        f'          reproduce: "{wiring.reproduce}" # "no", "verify" or "yes"',
        *(f"          {line}" for line in dialect.inputs),
        *directory,
    ]
    return "\n".join(lines) + "\n"


_REASONS = {
    "no": 'The metrics that are committed are judged. Where CI is to make them, say "yes" and install what that needs.',
    "yes": "CI makes the metrics, and judges what comes out.",
}


def _write_artifact(wiring: Wiring, dialect: _Dialect) -> str:
    return f"""
      - name: Keep the report
        if: ${{{{ !cancelled() }}}}
        uses: {dialect.upload}
        with:
          name: model-report
          path: {_quote(_below(wiring, "seatrial-report/"))}
"""


# -- GitLab CI


def write_gitlab(wiring: Wiring) -> str:
    """A whole .gitlab-ci.yml, for a repository that has none."""
    return f"""\
include:
{_write_include(wiring, "  ", "test")}
# A merge-request pipeline where there is a merge request, a branch pipeline elsewhere, never both.
workflow:
  auto_cancel:
    on_new_commit: interruptible
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS
      when: never
    - if: $CI_COMMIT_BRANCH

{_write_job(wiring)}"""


def add_to_gitlab(text: str, wiring: Wiring) -> str:
    """An existing .gitlab-ci.yml with the include and the job added; UsageError where that needs a person.

    Nothing of what is there changes, but for an `include:` that was no list and becomes one: that is checked.
    """
    entries = _compose(text, wiring)
    if entries.keys() & {"seatrial", ".seatrial"}:
        raise _ask_to_paste(wiring, "has a job `seatrial` of its own")
    after = _insert(text, entries, wiring)
    if not _is_kept(entries, _compose(after, wiring)):
        raise _ask_to_paste(wiring, "is written in a way that can't be added to")
    return after


def _compose(text: str, wiring: Wiring) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """The entries of the pipeline by name, each with the nodes of its key and value; tags of GitLab's stay unread."""
    import yaml

    try:
        documents = [node for node in yaml.compose_all(text, yaml.SafeLoader) if node is not None]
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{GITLAB_FILE} is not YAML: {' '.join(str(error).split())}", hint="mend it first") from None
    if not documents:
        return {}
    top = documents[-1]
    if not isinstance(top, yaml.MappingNode) or top.flow_style:
        raise _ask_to_paste(wiring, "is not a mapping of lines")
    return {key.value: (key, value) for key, value in top.value}


def _insert(text: str, entries: Mapping[str, tuple[yaml.Node, yaml.Node]], wiring: Wiring) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines()
    stage = _choose_stage(entries["stages"][1] if "stages" in entries else None)
    job = _write_job(wiring).splitlines()
    if "include" in entries:
        lines = _extend_include(lines, *entries["include"], wiring, stage)
        added = ["", *job]
    else:
        added = ["", "include:", *_write_include(wiring, "  ", stage).splitlines(), "", *job]
    while lines and not lines[-1].strip():
        lines.pop()
    if lines and lines[-1].strip() == "...":
        raise _ask_to_paste(wiring, "ends its document by `...`")
    return newline.join([*lines, *(added if lines else added[1:])]) + newline


def _is_kept(
    before: Mapping[str, tuple[yaml.Node, yaml.Node]], after: Mapping[str, tuple[yaml.Node, yaml.Node]]
) -> bool:
    """Whether every job and include that was there is there as it was, and ours besides."""
    import yaml

    def spell(node: yaml.Node) -> str:
        return str(yaml.serialize(node, Dumper=yaml.SafeDumper))

    had = before["include"][1] if "include" in before else None
    listed = had.value if isinstance(had, yaml.SequenceNode) else [had] if had else []
    now = after["include"][1].value if "include" in after else []
    others = [name for name in before if name != "include"]
    return (
        set(after) == {*before, "include", "seatrial"}
        and [spell(node) for node in now[:-1]] == [spell(node) for node in listed]
        and all(spell(after[name][1]) == spell(before[name][1]) for name in others)
    )


def _choose_stage(stages: object) -> str:
    """`test`, where the pipeline has that stage, else its last one."""
    import yaml

    if not isinstance(stages, yaml.SequenceNode):
        return "test"
    names = [node.value for node in stages.value if isinstance(node, yaml.ScalarNode)]
    return "test" if "test" in names or not names else names[-1]


def _extend_include(lines: list[str], key: object, value: object, wiring: Wiring, stage: str) -> list[str]:
    """The lines with one more entry in an `include:`, whatever form that has."""
    import yaml

    assert isinstance(key, yaml.Node)
    assert isinstance(value, yaml.Node)
    start, end = value.start_mark, value.end_mark
    if isinstance(value, yaml.SequenceNode) and not value.flow_style:
        indent = " " * start.column
        last = _last_line(value)
        return [*lines[: last + 1], *_write_include(wiring, indent, stage).splitlines(), *lines[last + 1 :]]
    if isinstance(value, yaml.MappingNode) and not value.flow_style:
        last = _last_line(value)
        inner = lines[start.line : last + 1]
        moved = [
            f"{' ' * start.column}- {inner[0].lstrip()}",
            *(f"  {line}" if line.strip() else line for line in inner[1:]),
        ]
        added = _write_include(wiring, " " * start.column, stage).splitlines()
        return [*lines[: start.line], *moved, *added, *lines[last + 1 :]]
    whole = start.line == end.line == key.start_mark.line
    rest = lines[end.line][end.column :].strip()
    if (
        not whole
        or isinstance(value, yaml.SequenceNode)
        or (rest and not rest.startswith("#"))
        or start.index == end.index
    ):
        raise _ask_to_paste(wiring, f"has an `include:` (line {start.line + 1}) of a form that is left to you")
    line = lines[start.line]
    entry = f"  - {line[start.column : end.column]}{line[end.column :]}"
    added = _write_include(wiring, "  ", stage).splitlines()
    return [*lines[: start.line], line[: start.column].rstrip(), entry, *added, *lines[end.line + 1 :]]


def _last_line(node: object) -> int:
    """The last line of a node's own text: a block's end mark stands behind the comments that follow it."""
    import yaml

    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _last_line(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _last_line(node.value[-1])
    assert isinstance(node, yaml.Node)
    if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
        return int(node.end_mark.line) - 1
    return int(node.end_mark.line)


def _ask_to_paste(wiring: Wiring, reason: str) -> UsageError:
    include = _write_include(wiring, "  ", "test").rstrip()
    return UsageError(f"{GITLAB_FILE} {reason}", hint=f"add this by hand:\ninclude:\n{include}\n{_write_job(wiring)}")


def _write_include(wiring: Wiring, indent: str, stage: str) -> str:
    inputs = {
        "reproduce": f'"{wiring.reproduce}" # "no", "verify" or "yes"',
        "working-directory": _quote(wiring.directory) if wiring.directory else "",
        "stage": _quote(stage) if stage != "test" else "",
    }
    lines = [
        f"- remote: {_TEMPLATE}",
        "  inputs:",
        *(f"    {name}: {value}" for name, value in inputs.items() if value),
    ]
    return "".join(f"{indent}{line}\n" for line in lines)


def _write_job(wiring: Wiring) -> str:
    """The job; its comments say what it judges."""
    lines = ["seatrial:", "  extends: .seatrial", f"  # {_REASONS[wiring.reproduce]}"]
    if wiring.install:
        names = _SECRETS.get(wiring.remote, ())
        lines += [
            "  # DVC's cache outlives the job: what was pulled or computed once is there the next time.",
            "  cache:",
            "    key: dvc-cache",
            "    paths:",
            f"      - {_quote(_below(wiring, '.dvc/cache/'))}",
            "  before_script:",
            *([f"    # DVC's remote reads the masked CI/CD variables {' and '.join(names)}."] if names else []),
            f"    - {_quote_command(f'python -m pip install --quiet {wiring.install}')}",
        ]
    return "\n".join(lines) + "\n"


# -- Bitbucket Pipelines


def write_bitbucket(wiring: Wiring) -> str:
    """A whole bitbucket-pipelines.yml, for a repository that has none."""
    cache = ""
    if wiring.install:
        cache = f"""
definitions:
  caches:
    # DVC's cache outlives the step: what was pulled or computed once is there the next time.
    dvc-cache: {_quote(_below(wiring, ".dvc/cache"))}
"""
    return f"""\
image: python:3.12

clone:
  depth: full # the commit that is compared with has to be there
{cache}
pipelines:
  pull-requests:
    "**":
{write_bitbucket_step(wiring)}\
  branches:
    {_quote(wiring.branch)}:
      - step: *model-report
"""


def write_bitbucket_step(wiring: Wiring) -> str:
    """The step, with an anchor for the other pipelines that run it."""
    names = _SECRETS.get(wiring.remote, ())
    caches = ["          caches:", "            - dvc-cache"] if wiring.install else []
    install = [f"            - {_quote_command(f'python -m pip install --quiet {wiring.install}')}"]
    remote = [f"            # DVC's remote reads the secured repository variables {' and '.join(names)}."]
    directory = f" -C {_escape(wiring.directory)}" if wiring.directory else ""
    command = f"-m seatrial{directory} ci --reproduce {wiring.reproduce} --report-dir test-results"
    lines = [
        "      - step: &model-report",
        "          name: model report",
        *caches,
        "          script:",
        *(remote if names else []),
        *(install if wiring.install else []),
        "            # seatrial's environment is private: it does not hide the project's `dvc`.",
        '            - python -I -m venv "${HOME}/seatrial"',
        f"            - '{_BITBUCKET_PYTHON} -m pip install --quiet \"{_PACKAGE}\"'",
        f"            # {_REASONS[wiring.reproduce]}",
        "            # Bitbucket shows the gates as tests, since it looks for JUnit files in directories of this name.",
        f"            - '{_BITBUCKET_PYTHON} {command}'",
        "          artifacts:",
        "            upload:",
        "              - name: model report",
        "                type: scoped",
        "                paths:",
        f"                  - {_quote(_below(wiring, 'test-results/'))}**",
        "                capture-on: always",
    ]
    return "\n".join(lines) + "\n"


def _below(wiring: Wiring, path: str) -> str:
    return f"{wiring.directory}/{path}" if wiring.directory else path


def _quote(text: str) -> str:
    """A text as a scalar of YAML on one line."""
    plain = re.fullmatch(r"\.?[A-Za-z][A-Za-z0-9_./-]*", text) and text.lower() not in _WORDS
    return text if plain else _escape(text)


def _quote_command(text: str) -> str:
    """The same for a command, which is mostly plain."""
    return _escape(text) if ": " in text or " #" in text or not text.isascii() else text


def _escape(text: str) -> str:
    import json

    return json.dumps(text)
