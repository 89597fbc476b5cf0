"""`registries:` of an environment: what is understood, and one clear error for what is not."""

from __future__ import annotations

import pytest

from seatrial.config import parse_config
from seatrial.core.registry import GtoSettings, MlflowSettings, RegistrySettings
from seatrial.errors import ConfigError


def read_registries(text: str, environment: str = "production") -> tuple[RegistrySettings, ...]:
    """The registries of one environment."""
    told = f'version: 1\nenvironments:\n  "{environment}":\n    registries: {text}\n'
    return parse_config(told.encode()).environments[0].registries


def test_registries_are_named_after_their_environment() -> None:
    """Nothing has to be said but which registry; stage and alias are the environment's name."""
    assert read_registries("[{gto: }, {mlflow: {}}]") == (
        GtoSettings(stage="production"),
        MlflowSettings(alias="production"),
    )


def test_a_registry_with_everything_is_understood() -> None:
    """Each key has its place."""
    said = "[{gto: {push: origin, stage: live}}, {mlflow: {uri: 'https://ml.example', alias: champion, token_env: ML}}]"
    assert read_registries(said) == (
        GtoSettings(push="origin", stage="live"),
        MlflowSettings(uri="https://ml.example", alias="champion", token_env="ML"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{gto: {}}", "registries: must be a list"),
        ("[gto]", "registries.0: must name one registry"),
        ("[{gto: {}, mlflow: {}}]", "registries.0: must name one registry"),
        ("[{wandb: {}}]", "registries.0 has no key `wandb`"),
        ("[{gto: {remote: origin}}]", "registries.0.gto has no key `remote`"),
        ("[{gto: {push: --force}}]", "registries.0.gto.push"),
        ("[{gto: {push: 'a b'}}]", "registries.0.gto.push"),
        ("[{gto: {stage: 'a#1'}}]", "registries.0.gto.stage: 'a#1' is no name"),
        ("[{mlflow: {alias: v3}}]", "registries.0.mlflow.alias: 'v3' is no alias"),
        ("[{mlflow: {alias: Latest}}]", "registries.0.mlflow.alias: 'Latest' is no alias"),
        ("[{mlflow: {uri: 'sqlite:///x.db'}}]", "registries.0.mlflow.uri: must be the address of a server"),
        ("[{mlflow: {uri: 'http://:80'}}]", "registries.0.mlflow.uri: must be the address of a server"),
        ("[{mlflow: {uri: 'http://h:port'}}]", "registries.0.mlflow.uri: must be the address of a server"),
        ("[{mlflow: {uri: 'http://u:p@h'}}]", "registries.0.mlflow.uri: must hold no password"),
        ("[{mlflow: {uri: 'http://h/?token=1'}}]", "registries.0.mlflow.uri: must end before"),
        ("[{mlflow: {token_env: 'A B'}}]", "registries.0.mlflow.token_env"),
    ],
)
def test_a_fault_of_a_registry_names_file_line_and_key(text: str, message: str) -> None:
    """One clear error each; nothing that could be read as an option, or leaks a password, gets further."""
    with pytest.raises(ConfigError) as caught:
        read_registries(text)
    assert caught.value.message.startswith(f"seatrial.yaml:4: environments.production.{message}"), caught.value.message


def test_an_environment_that_can_be_no_stage_needs_another_name_for_it() -> None:
    """Names with a dot or a blank are none in GTO's grammar, nor aliases of MLflow's."""
    with pytest.raises(ConfigError) as caught:
        read_registries("[{gto: {}}]", environment="eu.live")
    assert "stage: production" in caught.value.hint
    with pytest.raises(ConfigError, match="'eu live' is no alias"):
        read_registries("[{mlflow: {}}]", environment="eu live")
    assert read_registries("[{gto: {stage: eu}}]", environment="eu.live") == (GtoSettings(stage="eu"),)
