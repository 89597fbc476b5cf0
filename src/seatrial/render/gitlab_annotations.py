"""A link to the report on the page of GitLab's job: the `annotations` report, which needs no token.

The shape: https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsannotations.
"""

from __future__ import annotations

import json

from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.characters import readable
from seatrial.render.markdown import safe_address

_LONGEST = 200


def render(report: Report, options: RenderOptions) -> str:
    """One link, labelled with the verdict, to `options.full_report_url`; none where no such address is known."""
    address = safe_address(options.full_report_url) if options.full_report_url else None
    label = readable(f"Model report: {report.facts.headline}", _LONGEST)
    links = [{"external_link": {"label": label, "url": address}}] if address else []
    return json.dumps({"seatrial": links}, ensure_ascii=False, indent=1) + "\n"
