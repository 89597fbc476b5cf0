"""What a report says at lines of the change, as GitLab's code-quality report: it is shown in every tier, with no token.

The shape: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format. A merge request shows what is in
its own report and not in that of the target branch, and tells one entry from another by the fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

from seatrial.core.annotations import Annotation, Level
from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.characters import readable

_SEVERITIES = {Level.NOTICE: "info", Level.WARNING: "major", Level.FAILURE: "critical"}
_LONGEST = 2_000


def render(report: Report, options: RenderOptions) -> str:
    """A list with one entry for each annotation; the list is empty where there is nothing to say."""
    seen: Counter[str] = Counter()
    entries = [_describe(annotation, seen) for annotation in report.annotations]
    return json.dumps(entries, ensure_ascii=False, indent=1) + "\n"


def _describe(annotation: Annotation, seen: Counter[str]) -> dict[str, Any]:
    path = readable(annotation.path)
    description = readable(f"{annotation.title}: {annotation.message}", _LONGEST)
    # Lines move without anything being new; a parameter that changes again, or a gate that fails by more, is new. Of
    # two entries with one fingerprint GitLab shows the first alone.
    told = f"{path}\0{description}"
    seen[told] += 1
    digest = hashlib.sha256(f"{told}\0{seen[told]}".encode()).hexdigest()
    return {
        "description": description,
        "check_name": f"seatrial/{annotation.kind.value}",
        "fingerprint": digest[:32],
        "severity": _SEVERITIES[annotation.level],
        "location": {"path": path, "lines": {"begin": annotation.line}},
    }
