"""Where the parameters, stages and gates of a comparison stand in the candidate's files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from seatrial.commands.compare import locate_config
from seatrial.config import DEFAULT_NAME, Config, parse_config
from seatrial.core.annotations import Lines, list_paths
from seatrial.core.comparison import Comparison
from seatrial.core.policy import Policy
from seatrial.core.revision import Revision
from seatrial.errors import ConfigError
from seatrial.git import Repository
from seatrial.sources.positions import find_lines
from seatrial.sources.snapshot import read_text
from seatrial.sources.tree import open_tree


def locate(repository: Repository, head: Revision, config: Config, comparison: Comparison) -> Lines:
    """The lines of everything that annotations may be about; `config` is the policy that judged."""
    contents = open_tree(repository, head).read(list_paths(comparison))
    return Lines(
        keys={path: find_lines(path, data) for path, data in contents.items()},
        gates=_locate_gates(repository, head, config),
    )


def _locate_gates(repository: Repository, head: Revision, config: Config) -> Mapping[str, tuple[str, int]]:
    """The places of the judging policy's rules, each with where the candidate's own policy has the rule of that name.

    The two differ where a change edits the policy: it is judged by that of its base, and shown in its own files.
    """
    places = dict.fromkeys(place for _, place in _list_rules(config.policy))
    name = next((place.rpartition(":")[0] for place in places), None)
    if name is None or (found := _read_policy(repository, head, name)) is None:
        return {}
    path, text = found
    try:
        own = parse_config(text, path)
    except ConfigError:
        return {}
    lines: dict[tuple[object, ...], list[int]] = {}
    for identity, place in _list_rules(own.policy):
        lines.setdefault(identity, []).append(int(place.rpartition(":")[2]))
    return {
        place: (path, lines[identity].pop(0)) for identity, place in _list_rules(config.policy) if lines.get(identity)
    }


def _read_policy(repository: Repository, head: Revision, name: str) -> tuple[str, bytes] | None:
    """The policy of the candidate: by the name that was given, else the one at the root."""
    for path in dict.fromkeys([locate_config(repository, Path(name)), name if name == DEFAULT_NAME else None]):
        if path is not None and (text := read_text(repository, head, path)) is not None:
            return path, text
    return None


def _list_rules(policy: Policy) -> Iterator[tuple[tuple[object, ...], str]]:
    """Every rule as its kind and the names in it, which its limits are no part of, with its place."""
    rules: Iterable[object] = (*policy.rules, *policy.evidence, *policy.tables)
    for rule in rules:
        fields = {name: getattr(rule, name) for name in type(rule).__annotations__}
        names = (value for name, value in fields.items() if name not in _DEMANDS and isinstance(value, (str, bool)))
        yield (type(rule), *names), str(fields["place"])


# What a rule says beside what it is about, in words; limits are numbers.
_DEMANDS = frozenset({"place", "severity", "direction", "bound", "correction"})
