"""Cut GitHub's published GraphQL schema down to what seatrial asks it for.

    python tests/contracts/cut_github_graphql.py                # asks npm for the pinned package
    python tests/contracts/cut_github_graphql.py FILE.graphql   # cuts a schema that is already here

The result is a function of the package alone: running it twice writes the same bytes.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from graphql import (
    DefinitionNode,
    DocumentNode,
    FieldDefinitionNode,
    InterfaceTypeDefinitionNode,
    NamedTypeNode,
    ObjectTypeDefinitionNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

PACKAGE = "@octokit/graphql-schema@15.26.1"
MEMBER = "package/schema.graphql"
TARGET = Path(__file__).with_name("github-graphql-subset.graphql")
# The fields in use of types that have very many, or lead to such.
FIELDS = {
    "Mutation": frozenset({"createCommitOnBranch", "minimizeComment"}),
    "Query": frozenset({"repository"}),
    "CreateCommitOnBranchPayload": frozenset({"clientMutationId"}),
    "Repository": frozenset({"object", "ref"}),
    "Ref": frozenset({"target"}),
    "GitObject": frozenset({"oid"}),
    "Blob": frozenset({"oid"}),
    "Commit": frozenset({"oid"}),
}


def download() -> str:
    """The whole schema, out of the npm package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package:
            member = package.extractfile(MEMBER)
            assert member is not None, MEMBER
            return member.read().decode()


def keep_fields(node: DefinitionNode, names: frozenset[str]) -> DefinitionNode:
    """A type with these fields alone, which implements nothing that is not cut likewise."""
    assert isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode)
    fields: tuple[FieldDefinitionNode, ...] = tuple(field for field in node.fields or () if field.name.value in names)
    interfaces = tuple(one for one in node.interfaces or () if one.name.value in FIELDS)
    kind = type(node)
    return kind(name=node.name, description=None, interfaces=interfaces, directives=(), fields=fields)


class _References(Visitor):
    """Collects the names of all types that a definition refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_named_type(self, node: NamedTypeNode, *_: object) -> None:
        self.names.add(node.name.value)


def cut(whole: str) -> str:
    """The schema with the fields in use and every type that they reach."""
    found = {node.name.value: node for node in parse(whole, no_location=True).definitions if hasattr(node, "name")}
    kept: dict[str, DefinitionNode] = {name: keep_fields(found[name], fields) for name, fields in FIELDS.items()}
    todo = set(kept)
    while todo:
        references = _References()
        visit(kept[todo.pop()], references)
        new = {name for name in references.names if name in found and name not in kept}
        kept.update({name: found[name] for name in new})
        todo |= new
    ordered = tuple(node for name, node in sorted(kept.items()))
    return print_ast(DocumentNode(definitions=ordered)) + "\n"


def main(arguments: list[str]) -> None:
    """Write the cut beside this script."""
    text = cut(Path(arguments[0]).read_text(encoding="utf-8") if arguments else download())
    TARGET.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{TARGET.name}: {len(text):,} characters\n")


if __name__ == "__main__":
    main(sys.argv[1:])
