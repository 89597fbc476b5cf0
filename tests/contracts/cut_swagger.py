"""Cut Gitea's or Bitbucket's published description down to the operations that seatrial uses, as OpenAPI 3.

    python tests/contracts/cut_swagger.py gitea swagger.v1.json     # as every Gitea serves it
    python tests/contracts/cut_swagger.py bitbucket swagger.json    # or a folder with its parts, one file each

Both are published as Swagger 2, which the judge of our traffic does not read: npm's swagger2openapi turns them over.
The result is a function of the description alone: running it twice writes the same bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CONVERTER = "swagger2openapi@7.0.8"
BITBUCKET = "/repositories/{workspace}/{repo_slug}"
OPERATIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "gitea": {
        "/user": ("get",),
        "/repos/{owner}/{repo}": ("get",),
        "/repos/{owner}/{repo}/pulls/{index}": ("get",),
        "/repos/{owner}/{repo}/issues/{index}/comments": ("get", "post"),
        "/repos/{owner}/{repo}/issues/comments/{id}": ("get", "patch", "delete"),
        "/repos/{owner}/{repo}/statuses/{sha}": ("get", "post"),
    },
    "bitbucket": {
        "/user": ("get",),
        BITBUCKET: ("get",),
        f"{BITBUCKET}/pullrequests/{{pull_request_id}}": ("get",),
        f"{BITBUCKET}/pullrequests/{{pull_request_id}}/comments": ("get", "post"),
        f"{BITBUCKET}/pullrequests/{{pull_request_id}}/comments/{{comment_id}}": ("get", "put", "delete"),
        f"{BITBUCKET}/commit/{{commit}}/statuses": ("get",),
        f"{BITBUCKET}/commit/{{commit}}/statuses/build": ("post",),
        f"{BITBUCKET}/commit/{{commit}}/reports/{{reportId}}": ("get", "put"),
        f"{BITBUCKET}/commit/{{commit}}/reports/{{reportId}}/annotations": ("get", "post"),
    },
}
KEPT: tuple[str, ...] = ("swagger", "host", "basePath", "schemes", "consumes", "produces")
SECURED: tuple[str, ...] = ("security", "securityDefinitions")
KINDS = ("definitions", "responses", "parameters")
# What documentation sites need and a validator does not.
LEFT_OUT = frozenset({"description", "example", "examples", "externalDocs", "tags", "summary", "title"})


def load(path: Path) -> dict[str, Any]:
    """The whole description; a folder holds its parts by name, and whatever stands beside them in `others`."""
    if path.is_file():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    parts = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in path.glob("*.json")}
    return {**parts.pop("others"), **parts}


def without_prose(node: Any, *, names: bool = False) -> Any:
    """The node without prose and extensions; `names` tells that its keys are names that the API chose."""
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = node if names else {k: v for k, v in node.items() if k not in LEFT_OUT and not k.startswith("x-")}
    return {
        key: without_prose(value, names=key in {"properties", "headers", "responses"}) for key, value in kept.items()
    }


def references(node: Any) -> set[tuple[str, str]]:
    """(kind, name) of every part that the node refers to."""
    if isinstance(node, list):
        return {found for item in node for found in references(item)}
    if not isinstance(node, dict):
        return set()
    own = {found for value in node.values() for found in references(value)}
    if isinstance(node.get("$ref"), str):
        kind, name = node["$ref"].removeprefix("#/").split("/")
        own.add((kind, name))
    return own


def cut(whole: dict[str, Any], operations: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """The description, still in Swagger 2, with the operations in use and every part that they reach."""
    paths = {path: {m: _operation(whole["paths"][path], m) for m in methods} for path, methods in operations.items()}
    parts: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    todo = references(paths)
    while todo:
        kind, name = todo.pop()
        if name not in parts[kind]:
            parts[kind][name] = without_prose(whole[kind][name])
            todo |= references(parts[kind][name])
    for response in [*parts["responses"].values(), *_list_responses(paths)]:
        if "$ref" not in response:
            response.setdefault("description", "")
    kept = {key: whole[key] for key in KEPT if key in whole}
    info = {key: value for key, value in whole["info"].items() if key in {"title", "version", "license"}}
    ordered = {kind: dict(sorted(members.items())) for kind, members in parts.items() if members}
    secured = {key: without_prose(whole[key]) for key in SECURED if key in whole}
    return {**kept, "info": info, **secured, "paths": paths, **ordered}


def _operation(shared: dict[str, Any], method: str) -> dict[str, Any]:
    """An operation with the parameters that its path shares with others."""
    operation: dict[str, Any] = without_prose(shared[method])
    parameters = [*without_prose(shared.get("parameters", [])), *operation.get("parameters", [])]
    return {**operation, **({"parameters": parameters} if parameters else {})}


def _list_responses(paths: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        one for methods in paths.values() for operation in methods.values() for one in operation["responses"].values()
    ]


def convert(swagger: dict[str, Any]) -> dict[str, Any]:
    """The same in OpenAPI 3."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "swagger.json", Path(folder) / "openapi.json"
        source.write_text(json.dumps(swagger), encoding="utf-8")
        command = ["npx", "--yes", CONVERTER, "--patch", "--outfile", str(target), str(source)]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return dict(json.loads(target.read_text(encoding="utf-8")))


def main(arguments: list[str]) -> None:
    """Write the cut beside this script."""
    forge, source = arguments
    target = Path(__file__).with_name(f"{forge}-openapi-subset.json")
    document = convert(cut(load(Path(source)), OPERATIONS[forge]))
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    target.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{target.name}: {len(text):,} characters\n")


if __name__ == "__main__":
    main(sys.argv[1:])
