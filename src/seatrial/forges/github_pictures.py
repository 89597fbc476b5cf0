"""Pictures on a branch of a GitHub repository, over GraphQL: two requests, however many pictures there are.

REST takes a request for each picture and three for the commit. What a job may send is counted.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from seatrial.errors import DeliveryError
from seatrial.forges import UncertainDeliveryError

# What is asked for ("could not …"), the query, its variables; returns the answer's data.
Query = Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]]
_COMMIT = "mutation($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { clientMutationId } }"
_MAKE_BRANCH = (
    "git switch --orphan {0}\n"
    "git commit --allow-empty -m 'Pictures of plots, shown in comments'\n"
    "git push origin {0}\n"
    "Once is enough."
)


class StaleBranchError(DeliveryError):
    """Somebody else has written to the branch since we looked."""


def keep_pictures(query: Query, project: str, branch: str, pictures: Mapping[str, bytes]) -> None:
    """Put those on the branch that are not there, in one commit on top of it; nothing is ever overwritten.

    Where another job was faster, or no answer came, the branch is looked at again, and written to once more.
    """
    try:
        _add_missing(query, project, branch, pictures)
    except (StaleBranchError, UncertainDeliveryError):
        _add_missing(query, project, branch, pictures)


def _add_missing(query: Query, project: str, branch: str, pictures: Mapping[str, bytes]) -> None:
    tip, missing = _look(query, project, branch, list(pictures))
    if not missing:
        return
    headline = "Add a picture of a plot" if len(missing) == 1 else f"Add {len(missing)} pictures of plots"
    additions = [{"path": name, "contents": b64encode(pictures[name]).decode()} for name in missing]
    commit = {
        "branch": {"repositoryNameWithOwner": project, "branchName": branch},
        "expectedHeadOid": tip,
        "fileChanges": {"additions": additions},
        "message": {"headline": headline},
    }
    query(f"add pictures to the branch {branch}", _COMMIT, {"input": commit})


def _look(query: Query, project: str, branch: str, names: list[str]) -> tuple[str, list[str]]:
    """The branch's tip, and which names are not on it."""
    owner, _, name = project.partition("/")
    places = {f"p{number}": f"refs/heads/{branch}:{path}" for number, path in enumerate(names)}
    declared = "".join(f", ${key}: String!" for key in places)
    objects = "".join(f" {key}: object(expression: ${key}) {{ oid }}" for key in places)
    found = query(
        f"look at the branch {branch}",
        f"query($owner: String!, $name: String!, $branch: String!{declared}) {{"
        f" repository(owner: $owner, name: $name) {{ ref(qualifiedName: $branch) {{ target {{ oid }} }}{objects} }} }}",
        {"owner": owner, "name": name, "branch": f"refs/heads/{branch}", **places},
    )["repository"]
    if found["ref"] is None:
        raise DeliveryError(f"{project} has no branch {branch} for pictures", hint=_MAKE_BRANCH.format(branch))
    return str(found["ref"]["target"]["oid"]), [path for key, path in zip(places, names, strict=True) if not found[key]]
