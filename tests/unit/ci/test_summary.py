"""Writing the job summary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from seatrial.ci import SUMMARY_BYTES, BaselineHint, CIJob, System, write_outputs, write_summary
from seatrial.errors import DeliveryError

JOB = CIJob(
    system=System.GITHUB,
    event="other",
    change=None,
    head="a" * 40,
    head_name="main",
    base_name="main",
    baseline=BaselineHint(rule="none", sha=None, reason="nothing"),
    run="1.1",
    run_url="https://example.com/run",
    api_url="https://example.com/api",
    web_url="https://example.com",
    project="team/flights",
    token=None,
    token_variable="SEATRIAL_TOKEN",
    pipeline_id=None,
    ca_file=None,
    summary_file=None,
    output_file=None,
    from_fork=False,
)


def test_a_report_is_added_to_what_the_step_wrote(tmp_path: Path) -> None:
    """The summary of a step may hold more than our report."""
    path = tmp_path / "summary.md"
    path.write_text("# Mine\n")
    write_summary(replace(JOB, summary_file=path), "### ✅ passed")
    assert path.read_text() == "# Mine\n### ✅ passed\n"


def test_a_system_without_summaries_is_left_alone() -> None:
    """GitLab has no summary page, which is no failure."""
    write_summary(JOB, "text")


def test_a_summary_that_would_not_be_shown_is_refused_and_the_page_kept(tmp_path: Path) -> None:
    """Beyond one MiB GitHub drops the whole page: better ours is missing, and said to be."""
    path = tmp_path / "summary.md"
    path.write_text("# Mine\n")
    job = replace(JOB, summary_file=path)
    fits = "é" * ((SUMMARY_BYTES - 8) // 2)
    with pytest.raises(DeliveryError, match="no room"):
        write_summary(job, f"{fits}é")
    assert path.read_text() == "# Mine\n"
    write_summary(job, fits)
    assert path.stat().st_size <= SUMMARY_BYTES


def test_a_file_that_can_not_be_written_is_a_failed_delivery(tmp_path: Path) -> None:
    """A full or absent disk never ends a run in a traceback."""
    nowhere = tmp_path / "absent" / "file"
    with pytest.raises(DeliveryError, match="summary"):
        write_summary(replace(JOB, summary_file=nowhere), "text")
    with pytest.raises(DeliveryError, match="outputs"):
        write_outputs(replace(JOB, output_file=nowhere), {"verdict": "passed"})
