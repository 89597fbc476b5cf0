"""The stages of a DVC project as a Mermaid flow chart, with those that changed marked.

Stages of one `foreach` or `matrix` are drawn as one. Names are a stranger's: letters, digits and a few harmless signs
are drawn, nothing else, so that no name can end its label or start a directive.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from seatrial.core.metrics import StageRecord

# GitLab draws no more than 2,000 characters of Mermaid a page.
MAX_CHARACTERS = 1_500
# What is not among the signs, and letters that have no shape.
_UNSAFE = re.compile(r"[^\w .,@/×-]+|[\u115f\u1160\u3164\uffa0]+")
_CHANGED = "classDef changed stroke:#d29922,stroke-width:3px"


def draw_pipeline(stages: Iterable[StageRecord], changed: Collection[str]) -> str | None:
    """A flow chart, or None where there are no two stages to connect or it would outgrow what forges draw.

    `changed` are the addresses of the stages to mark. An edge leads from the stage that writes a file to the stage that
    reads it, or something in it.
    """
    groups = group_stages(stages)
    edges = connect(groups)
    if not edges:
        return None
    names = {group: f"s{number}" for number, group in enumerate(groups)}
    lines = ["flowchart LR"]
    lines += [f'    {names[group]}["{label_group(group, members)}"]' for group, members in groups.items()]
    lines += [f"    {names[start]} --> {names[end]}" for start, end in edges]
    marked = [names[group] for group, members in groups.items() if any(stage.address in changed for stage in members)]
    if marked:
        lines += [f"    {_CHANGED}", f"    class {','.join(marked)} changed"]
    source = "\n".join(lines)
    return source if len(source) <= MAX_CHARACTERS else None


def group_stages(stages: Iterable[StageRecord]) -> Mapping[str, list[StageRecord]]:
    """Stages by what is drawn as one."""
    groups: dict[str, list[StageRecord]] = {}
    for stage in stages:
        if stage.command:  # a .dvc file has none: it is data, not a stage
            groups.setdefault(stage.address.partition("@")[0], []).append(stage)
    return groups


def connect(groups: Mapping[str, list[StageRecord]]) -> list[tuple[str, str]]:
    """The groups of which one writes what the other reads."""
    written = {out.path: group for group, members in groups.items() for stage in members for out in stage.outs}
    edges = {
        (writer, group): None
        for group, members in groups.items()
        for stage in members
        for dep in stage.deps
        if (writer := _find_writer(dep.path, written)) is not None and writer != group
    }
    return list(edges)


def _find_writer(path: str, written: Mapping[str, str]) -> str | None:
    """The group that writes a file, or a directory that it is in."""
    parts = path.split("/")
    parents = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((written[parent] for parent in parents if parent in written), None)


def label_group(group: str, members: list[StageRecord]) -> str:
    """What the box of a group says, in harmless signs alone."""
    name = members[0].address if len(members) == 1 else f"{group} ×{len(members)}"
    # An empty label is a fault to Mermaid.
    return _UNSAFE.sub("·", name)[:60].strip() or "·"
