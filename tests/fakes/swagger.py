"""The judges of Gitea and Bitbucket, whose descriptions are published as Swagger."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from tests.fakes.contract import CONTRACTS, Contract

PAGES = tuple({"name": name, "in": "query", "schema": {"type": "integer"}} for name in ("pagelen", "page"))


@lru_cache(maxsize=1)
def gitea_contract() -> Contract:
    """Gitea's description, with the answers that it leaves unsaid."""
    document = _load("gitea")
    for operation in _list_operations(document):
        # Every operation can answer 401 and 403, and one that is sent too much 413.
        operation["responses"].setdefault("4XX", {"description": "Error"})
    document["servers"] = [{"url": "https://gitea.example"}]
    return Contract(document, host="https://gitea.example", prefix="/api/v1")


@lru_cache(maxsize=1)
def bitbucket_contract() -> Contract:
    """Bitbucket's description with its known faults repaired."""
    document = _load("bitbucket")
    schemas = document["components"]["schemas"]
    for name in schemas:
        schemas[name] = _flatten(schemas[name], schemas)
    for operation in _list_operations(document):
        operation["responses"].setdefault("4XX", {"description": "Error"})
        # OAuth's and access tokens come as bearer tokens, which "http" describes.
        operation["security"] = [{"bearer": []}, {"basic": []}]
        if _is_paged(operation):
            operation["parameters"] = [*operation["parameters"], *PAGES]
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic"},
    }
    document["servers"] = [{"url": "https://api.bitbucket.org"}]
    return Contract(document, host="https://api.bitbucket.org", prefix="/2.0")


def _load(forge: str) -> dict[str, Any]:
    return dict(json.loads((CONTRACTS / f"{forge}-openapi-subset.json").read_text(encoding="utf-8")))


def _list_operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for methods in document["paths"].values() for operation in methods.values()]


def _is_paged(operation: dict[str, Any]) -> bool:
    schema = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return "paginated" in schema.get("$ref", "")


def _flatten(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """A schema and those that it is made of as one, closed: with `allOf`, any field at all would pass."""
    if "$ref" in schema:
        return _flatten(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    flat = {
        key: value for key, value in schema.items() if key not in ("additionalProperties", "discriminator", "allOf")
    }
    properties: dict[str, Any] = {}
    for part in schema.get("allOf", ()):
        properties |= _flatten(part, schemas).get("properties", {})
    if properties or "properties" in flat:
        flat["properties"] = properties | flat.get("properties", {})
    # "type" tells objects apart in answers; nobody sends it.
    if flat.get("required") == ["type"]:
        del flat["required"]
    return flat | ({"type": "object"} if "properties" in flat else {})
