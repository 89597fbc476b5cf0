"""Cut GitHub's published API description down to the operations that seatrial uses.

    python tests/contracts/cut_github.py            # asks npm for the pinned package
    python tests/contracts/cut_github.py FILE.json  # cuts a description that is already here

The result is a function of the package alone: running it twice writes the same bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

PACKAGE = "@octokit/openapi@23.0.2"
MEMBER = "package/generated/api.github.com.json"
TARGET = Path(__file__).with_name("github-openapi-subset.json")
OPERATIONS: dict[str, tuple[str, ...]] = {
    "/user": ("get",),
    "/repos/{owner}/{repo}": ("get",),
    "/repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}": ("get",),
    "/repos/{owner}/{repo}/actions/runs/{run_id}": ("get",),
    "/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts": ("get",),
    "/repos/{owner}/{repo}/compare/{basehead}": ("get",),
    "/repos/{owner}/{repo}/deployments": ("get", "post"),
    "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses": ("get", "post"),
    "/repos/{owner}/{repo}/pulls": ("get",),
    "/repos/{owner}/{repo}/pulls/{pull_number}": ("get",),
    "/repos/{owner}/{repo}/issues/{issue_number}/comments": ("get", "post"),
    "/repos/{owner}/{repo}/issues/comments/{comment_id}": ("get", "patch", "delete"),
    "/repos/{owner}/{repo}/check-runs": ("post",),
    "/repos/{owner}/{repo}/check-runs/{check_run_id}": ("get", "patch"),
    "/repos/{owner}/{repo}/commits/{ref}/check-runs": ("get",),
    "/repos/{owner}/{repo}/statuses/{sha}": ("post",),
    "/repos/{owner}/{repo}/commits/{ref}/status": ("get",),
}
# What documentation sites need and a validator does not.
LEFT_OUT = frozenset({"example", "examples", "externalDocs", "tags", "summary", "title"})


def download() -> dict[str, Any]:
    """The whole description, out of the npm package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package:
            member = package.extractfile(MEMBER)
            assert member is not None, MEMBER
            return dict(json.load(member))


def without_prose(node: Any, *, names: bool = False) -> Any:
    """The node without examples and extensions; `names` tells that its keys are names that the API chose."""
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = node if names else {k: v for k, v in node.items() if k not in LEFT_OUT and not k.startswith("x-")}
    maps = () if names else ("properties", "headers", "responses")
    return {key: without_prose(value, names=key in maps) for key, value in kept.items()}


def references(node: Any) -> set[tuple[str, str]]:
    """(kind, name) of every component that the node refers to."""
    if isinstance(node, list):
        return {found for item in node for found in references(item)}
    if not isinstance(node, dict):
        return set()
    own = {found for value in node.values() for found in references(value)}
    target = node.get("$ref")
    if isinstance(target, str):
        kind, name = target.removeprefix("#/components/").split("/")
        own.add((kind, name))
    return own


def cut(whole: dict[str, Any]) -> dict[str, Any]:
    """The description with the operations in use and every component that they reach."""
    paths = {path: {m: without_prose(whole["paths"][path][m]) for m in methods} for path, methods in OPERATIONS.items()}
    components: dict[str, dict[str, Any]] = {}
    todo = references(paths)
    while todo:
        kind, name = todo.pop()
        if name not in components.setdefault(kind, {}):
            components[kind][name] = without_prose(whole["components"][kind][name])
            todo |= references(components[kind][name])
    ordered = {kind: dict(sorted(members.items())) for kind, members in sorted(components.items())}
    info = {key: value for key, value in whole["info"].items() if not key.startswith("x-")}
    return {
        "openapi": whole["openapi"],
        "info": info,
        "servers": whole["servers"],
        "paths": paths,
        "components": ordered,
    }


def main(arguments: list[str]) -> None:
    """Write the cut beside this script."""
    whole = json.loads(Path(arguments[0]).read_text(encoding="utf-8")) if arguments else download()
    text = json.dumps(cut(whole), indent=1, ensure_ascii=False) + "\n"
    TARGET.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{TARGET.name}: {len(text):,} characters\n")


if __name__ == "__main__":
    main(sys.argv[1:])
