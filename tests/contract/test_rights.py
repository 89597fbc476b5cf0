"""What a token may do, as each forge tells it, without a single write."""

from __future__ import annotations

from typing import Literal

import pytest

from seatrial.errors import DeliveryError
from tests.contract.conftest import ONLY_GITHUB, ONLY_GITLAB, TOKENS, Bench
from tests.fakes.server import Fault


def test_asking_for_rights_changes_nothing(bench: Bench) -> None:
    """One or two requests, all of which only read."""
    bench.forge.read_rights()
    # A busy machine may ask a silent stand-in twice.
    asked = {(request.method, request.path) for request in bench.stand_in.requests}
    assert 1 <= len(asked) <= 2
    assert {method for method, _ in asked} == {"GET"}


@ONLY_GITHUB
def test_the_jobs_own_token_does_not_tell(bench: Bench) -> None:
    """GitHub does not tell what GITHUB_TOKEN may do, and nobody pretends that it does."""
    rights = bench.forge.read_rights()
    assert (rights.comments, rights.checks) == (None, None)
    assert "permissions:" in rights.detail


@ONLY_GITHUB
def test_a_classic_token_tells_its_scopes(bench: Bench) -> None:
    """A person's token with `repo` and the right to push may do both."""
    rights = bench.opened(token=TOKENS["person"]).read_rights()
    assert (rights.comments, rights.checks) == (True, True)
    assert "repo, workflow" in rights.detail


@ONLY_GITHUB
def test_an_app_is_the_jobs_kind(bench: Bench) -> None:
    """The permissions of an App are its installation's."""
    assert bench.opened(token=TOKENS["app"]).read_rights().comments is None


@ONLY_GITLAB
def test_a_projects_token_tells_scope_and_role(bench: Bench) -> None:
    """Scope api and role Developer: note and status."""
    rights = bench.forge.read_rights()
    assert (rights.comments, rights.checks) == (True, True)


@ONLY_GITLAB
def test_a_reading_token_may_write_nothing(bench: Bench) -> None:
    """With read_api alone neither note nor status."""
    rights = bench.opened(token=TOKENS["reader"]).read_rights()
    assert (rights.comments, rights.checks) == (False, False)
    assert "read_api" in rights.detail


@ONLY_GITLAB
def test_a_job_token_is_not_even_asked_about(bench: Bench) -> None:
    """CI_JOB_TOKEN can't write notes, whatever a server says."""
    assert bench.opened(token=TOKENS["job"]).read_rights().comments is False
    assert bench.stand_in.requests == []


def test_an_unknown_token_is_an_error_that_names_its_variable(bench: Bench) -> None:
    """A token that the forge does not know is told by the variable that held it, and never printed."""
    with pytest.raises(DeliveryError, match="SEATRIAL_TOKEN") as caught:
        bench.opened(token=TOKENS["stranger"]).read_rights()
    assert TOKENS["stranger"] not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("how", ["garbage", "reset"])
def test_a_forge_in_trouble_is_an_error_with_a_hint(bench: Bench, how: Literal["garbage", "reset"]) -> None:
    """No answer is no right."""
    bench.stand_in.fail(Fault(method="GET", path=".", how=how, times=9))
    with pytest.raises(DeliveryError) as caught:
        bench.forge.read_rights()
    assert caught.value.hint
