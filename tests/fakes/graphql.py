"""GraphQL as GitHub's stand-in answers it, judged by GitHub's published schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).parents[1] / "contracts" / "github-graphql-subset.graphql"
Mutations = Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]
Resolvers = Mapping[tuple[str, str], Callable[..., Any]]


class RefusedFieldError(Exception):
    """A field that the forge says no to; the others of the request are answered."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def execute(
    query: str, variables: Mapping[str, Any], mutations: Mutations, resolvers: Resolvers
) -> tuple[list[str], dict[str, Any]]:
    """What breaks the schema, and the answer.

    `mutations` are given the `input` of the field of their name, `resolvers` the arguments of the field (type, name).
    """
    # Only tests need it, and `make demo` runs the stand-in too.
    from graphql import GraphQLSyntaxError, build_schema, execute_sync, parse, validate

    schema = build_schema(SCHEMA.read_text(encoding="utf-8"))
    try:
        document = parse(query)
        errors = validate(schema, document)
    except GraphQLSyntaxError as error:
        errors = [error]
    if errors:
        told = [f"GraphQL: {error.message}" for error in errors]
        return told, {"errors": [{"message": error.message} for error in errors]}
    assert schema.mutation_type is not None
    for name, mutate in mutations.items():
        schema.mutation_type.fields[name].resolve = lambda _, __, mutate=mutate, **given: mutate(given["input"])
    for (kind, name), find in resolvers.items():
        schema.type_map[kind].fields[name].resolve = lambda _, __, find=find, **given: find(**given)  # type: ignore[attr-defined]
    done = execute_sync(schema, document, variable_values=dict(variables))
    refused = [_describe(error) for error in done.errors or ()]
    wrong = [f"GraphQL: {error['message']}" for error in refused if "type" not in error]
    return wrong, {"data": done.data} | ({"errors": refused} if refused else {})


def _describe(error: Any) -> dict[str, Any]:
    kind = getattr(error.original_error, "kind", None)
    return {"message": error.message, "path": error.path} | ({"type": kind} if kind else {})
