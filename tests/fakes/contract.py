"""A forge's published API description, as a judge of every request and answer of a stand-in."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import yaml
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from openapi_core.validation.schemas.exceptions import InvalidSchemaValue
from werkzeug.datastructures import Headers, ImmutableMultiDict

if TYPE_CHECKING:
    from tests.fakes.server import Answer, Request

CONTRACTS = Path(__file__).parents[1] / "contracts"


class _Sent:
    """A request in the shape that openapi-core reads."""

    def __init__(self, request: Request, *, host: str, prefix: str) -> None:
        self.host_url = host
        self.path = request.path.removeprefix(prefix)
        self.method = request.method.lower()
        self.body = request.body or None
        kind = request.headers.get("Content-Type", "application/json")
        # Behind the semicolon is what parts the files of a form.
        self.content_type = kind if kind.startswith("multipart/") else kind.split(";")[0].lower()
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(request.query_string, keep_blank_values=True)),
            header=Headers(list(request.headers.items())),
            cookie=ImmutableMultiDict(),
        )


class _Answered:
    """An answer in the shape that openapi-core reads."""

    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self.content_type = answer.content_type
        self.headers = Headers(list(answer.headers.items()))
        self.data = answer.content


class Contract:
    """Judges traffic by one OpenAPI document; `prefix` is what the stand-in puts before the document's paths."""

    def __init__(self, document: dict[str, Any], *, host: str, prefix: str = "") -> None:
        # Unknown keys are refused in both directions: a misspelt field must not pass as an extra one.
        self._api = OpenAPI.from_dict(document, config=Config(additional_properties_default_policy="forbid"))
        self._queries = _queries(document)
        self._host = host
        self._prefix = prefix

    def judge(self, request: Request, answer: Answer) -> tuple[str, ...]:
        """What is wrong with the pair; empty where nothing is."""
        sent = _Sent(request, host=self._host, prefix=self._prefix)
        problems = []
        # What a forge refuses as malformed may break the description; that is why it is refused.
        if answer.status < 400:
            problems += self._unknown_queries(sent)
            problems += [f"request: {_words(error)}" for error in self._api.request_validator.iter_errors(sent)]
        answered = _Answered(answer)
        problems += [f"answer: {_words(error)}" for error in self._api.response_validator.iter_errors(sent, answered)]
        return tuple(f"{request.method} {request.path} → {answer.status}: {problem}" for problem in problems)

    def _unknown_queries(self, sent: _Sent) -> list[str]:
        # openapi-core looks at the parameters that it knows and lets others pass.
        for method, path, known in self._queries:
            if method == sent.method and re.fullmatch(path, sent.path):
                unknown = set(sent.parameters.query) - known
                return [f"request: unknown query parameter {name!r}" for name in sorted(unknown)]
        return []


def _queries(document: dict[str, Any]) -> tuple[tuple[str, str, set[str]], ...]:
    """(method, path as a regular expression, names of query parameters) of every operation."""
    shared = document["components"].get("parameters", {})
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            named = [
                shared[p["$ref"].rpartition("/")[2]] if "$ref" in p else p for p in operation.get("parameters", ())
            ]
            names = {parameter["name"] for parameter in named if parameter["in"] == "query"}
            found.append((method, re.sub(r"\{\w+\}", "[^/]+", path), names))
    return tuple(found)


def _words(error: BaseException) -> str:
    """The error in one line: openapi-core keeps the fields in the schema errors of the last cause."""
    if isinstance(error, InvalidSchemaValue):
        return "; ".join(map(_field, error.schema_errors))
    if isinstance(error.__cause__, OpenAPIError):
        return f"{type(error).__name__}: {_words(error.__cause__)}"
    return f"{type(error).__name__}: {error}"


def _field(error: Any) -> str:
    """A schema error by its place; of alternatives that all fail, each with its own reason."""
    if error.context:
        return " or ".join(_field(inner) for inner in error.context)
    return f"{error.json_path}: {error.message[-300:]}"


@lru_cache(maxsize=1)
def github_contract() -> Contract:
    """GitHub's description, with the answers that it leaves unsaid."""
    document = json.loads((CONTRACTS / "github-openapi-subset.json").read_text(encoding="utf-8"))
    error = {"$ref": "#/components/schemas/basic-error"}
    for operation in _operations(document):
        # Few operations name 401, 403 or 429, which every one of them can answer.
        unsaid = {"description": "Error", "content": {"application/json": {"schema": error}}}
        operation["responses"].setdefault("4XX", unsaid)
    # "nullable" alone does not let null into an enumeration, and a check run has no conclusion until it ends.
    document["components"]["schemas"]["check-run"]["properties"]["conclusion"]["enum"].append(None)
    # An address that is not told is the empty text, which is the default, and no URI.
    for schema in document["components"]["schemas"]["deployment-status"]["properties"].values():
        if schema.get("default") == "":
            schema.pop("format", None)
    return Contract(document, host="https://api.github.com", prefix="/api/v3")


@lru_cache(maxsize=1)
def gitlab_contract() -> Contract:
    """GitLab's description with its known faults repaired; tests/contracts/README.md names each of them."""
    text = (CONTRACTS / "gitlab-openapi-subset.yaml").read_text(encoding="utf-8")
    document = yaml.load(text, Loader=yaml.CSafeLoader)
    for operation in _operations(document):
        operation["responses"].setdefault("4XX", {"description": "Error"})
        for parameter in operation.get("parameters", ()):
            if parameter["name"] == "id":
                parameter["schema"] = {"type": "string"}
    notes = document["paths"]["/api/v4/projects/{id}/merge_requests/{noteable_id}/notes"]["get"]
    content = notes["responses"]["200"]["content"]["application/json"]
    content["schema"] = {"type": "array", "items": content["schema"]}
    threads = document["paths"]["/api/v4/projects/{id}/merge_requests/{noteable_id}/discussions"]["get"]
    content = threads["responses"]["200"]["content"]["application/json"]
    content["schema"] = {"type": "array", "items": content["schema"]}
    thread = document["components"]["schemas"]["APIEntitiesDiscussion"]["properties"]
    thread["notes"] = {"type": "array", "items": thread["notes"]}
    note = document["paths"]["/api/v4/projects/{id}/merge_requests/{noteable_id}/notes/{note_id}"]
    note["delete"]["responses"] = {"204": {"description": "No Content"}, "4XX": {"description": "Error"}}
    status = document["paths"]["/api/v4/projects/{id}/statuses/{sha}"]["post"]["responses"]
    status["201"] = status.pop("200")
    for kind in ("Project", "Group"):
        access = document["components"]["schemas"][f"APIEntities{kind}Access"]
        access["nullable"] = True
        access["properties"] = {name: {"type": "integer"} for name in access["properties"]}
    # python-gitlab sends an avatar, an empty one, beside every file; GitLab passes over it.
    form = document["paths"]["/api/v4/projects/{id}/uploads"]["post"]["requestBody"]["content"]["multipart/form-data"]
    upload = document["components"]["schemas"][form["schema"]["$ref"].rpartition("/")[2]]
    upload["properties"]["avatar"] = {"type": "string", "maxLength": 0}
    # OAuth tokens come as bearer tokens, which "http" describes; openapi-core knows no scheme of type oauth2.
    document["security"] = [scheme for scheme in document["security"] if "oauth2" not in scheme]
    document["components"]["securitySchemes"]["job"] = {"type": "apiKey", "name": "JOB-TOKEN", "in": "header"}
    document["security"].append({"job": []})
    return Contract(document, host="https://gitlab.com")


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for methods in document["paths"].values() for operation in methods.values()]
