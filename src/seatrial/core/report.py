"""The report: facts for machines, a document for people."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.core.document import Document
from seatrial.core.facts import ReportFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run found. Left of it nothing is printed; right of it nothing is computed."""

    facts: ReportFacts
    document: Document
