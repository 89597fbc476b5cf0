"""The server's description of itself: valid, true, and readable without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from tests.unit.serving.stores import Client, FakeStore, connect, write_model


@pytest.fixture
def client(doubling: Path) -> Client:
    """A server with one model."""
    return connect({"m": FakeStore(places={"1": doubling}, current="1")})


def test_document_is_valid_openapi(client: Client) -> None:
    """The official schema of OpenAPI 3.1 finds nothing wrong."""
    validate(client.get("/openapi.json").json())


def test_every_documented_call_is_there(client: Client) -> None:
    """What is documented answers, and its examples are answered as documented."""
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        real = path.replace("{name}", "m").replace("{version}", "1").replace("{label}", "stable")
        if "get" in operations:
            assert client.get(real).status_code == 200, real
            continue
        content = operations["post"]["requestBody"]["content"]["application/json"]
        answer = client.post(real, content["example"])
        assert answer.status_code == 200, real
        schema = operations["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        for value, described in ((content["example"], content["schema"]), (answer.json(), schema)):
            Draft202012Validator({**described, "components": document["components"]}).validate(value)


def test_page_needs_nothing_from_elsewhere(client: Client) -> None:
    """The page shows every call, runs no script and loads nothing."""
    answer = client.get("/docs")
    page = BeautifulSoup(answer.text, "html.parser")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert not page.find_all(["script", "link", "img", "iframe"])
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert not re.search(r"(https?:)?//[a-z]", answer.text)
    assert "/v1/models/m:predict" in answer.text
    assert "hour, distance" in answer.text


def test_page_escapes_what_a_model_says(tmp_path: Path) -> None:
    """A feature's name is text, whatever it looks like."""
    place = write_model(tmp_path / "model", inputs=["<script>alert(1)</script>", "</details>"])
    page = connect({"m": FakeStore(places={"1": place}, current="1")}).get("/docs").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
