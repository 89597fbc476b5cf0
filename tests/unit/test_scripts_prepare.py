"""Joining, cleaning, engineering and splitting the flights."""

from __future__ import annotations

from typing import Any

import click
import numpy as np
import pandas as pd
import prepare
import pytest

FEATURES = {"numeric": ["temp"], "categorical": ["carrier"]}


def a_day(day: int, **columns: Any) -> dict[str, Any]:
    """One flight of January: Newark to Chicago at 8:30, on time unless said otherwise."""
    number = columns.pop("number", 1)
    flight = {
        "flight_id": f"2013-01-{day:02}-UA-{number}-EWR",
        "year": 2013,
        "month": 1,
        "day": day,
        "hour": 8,
        "minute": 30,
        "sched_dep_time": 830,
        "sched_arr_time": 1000,
        "time_hour": f"2013-01-{day:02}T13:00:00Z",
        "carrier": "UA",
        "origin": "EWR",
        "dest": "ORD",
        "distance": 719,
        "tailnum": "N1",
        "arr_delay": 0.0,
    }
    return {**flight, **columns}


def the_flights(*flights: dict[str, Any]) -> pd.DataFrame:
    """Flights as they come from the schedule."""
    return prepare.add_schedule(pd.DataFrame(flights))


def test_the_share_of_late_flights_is_that_of_the_day_before() -> None:
    """A flight knows yesterday's lateness, and nothing of its own day."""
    flights = the_flights(
        a_day(1, arr_delay=40.0), a_day(1, number=2, arr_delay=0.0), a_day(1, number=3, arr_delay=np.nan), a_day(2)
    )
    shares = prepare.add_yesterday(flights, 15)["late_yesterday_origin"]
    assert shares[:3].isna().all()
    assert shares[3] == 0.5


def test_features_do_not_depend_on_the_flight_s_own_delay() -> None:
    """Whatever a flight's delay turns out to be, its features are the same: nothing leaks."""
    tables = {
        "flights": pd.DataFrame([a_day(1), a_day(2)]),
        "weather": pd.DataFrame(
            [{"origin": "EWR", "time_hour": "2013-01-02T12:00:00Z", **dict.fromkeys(prepare.WEATHER, 1.0)}]
        ),
        "planes": pd.DataFrame([{"tailnum": "N1", "year": 2003.0, "seats": 150}]),
        "airports": pd.DataFrame([{"faa": "ORD", "lat": 42.0, "lon": -88.0, "alt": 668, "tz": -6}]),
    }
    params = {
        "data": {"late_after_minutes": 15},
        "prepare": {"weather_lag_hours": 1},
        "validate": {"max_wind_mph": 100},
    }
    punctual = prepare.build_features(tables, params)
    tables["flights"].loc[1, "arr_delay"] = 300.0
    delayed = prepare.build_features(tables, params)
    assert punctual["late"].tolist() == [0, 0]
    assert delayed["late"].tolist() == [0, 1]
    pd.testing.assert_frame_equal(
        punctual.drop(columns=["late", "arr_delay"]), delayed.drop(columns=["late", "arr_delay"])
    )


def test_a_flight_is_late_only_above_the_limit() -> None:
    """Fifteen minutes are on time, sixteen are late."""
    tables = {
        "flights": pd.DataFrame([a_day(1, arr_delay=15.0), a_day(2, arr_delay=16.0)]),
        "weather": pd.DataFrame(
            [{"origin": "LGA", "time_hour": "2013-01-01T12:00:00Z", **dict.fromkeys(prepare.WEATHER, 1.0)}]
        ),
        "planes": pd.DataFrame(columns=["tailnum", "year", "seats"]),
        "airports": pd.DataFrame(columns=["faa", "lat", "lon", "alt", "tz"]),
    }
    params = {
        "data": {"late_after_minutes": 15},
        "prepare": {"weather_lag_hours": 1},
        "validate": {"max_wind_mph": 100},
    }
    assert prepare.build_features(tables, params)["late"].tolist() == [0, 1]


def test_rotation_counts_the_aircraft_s_earlier_departures_of_the_day() -> None:
    """The order is that of the timetable, each day starts again, and an unknown aircraft has no history."""
    flights = the_flights(
        a_day(1, number=1, hour=20),
        a_day(1, number=2, hour=8),
        a_day(2, number=1),
        a_day(2, number=3, tailnum=None),
        a_day(2, number=4, tailnum=None),
    )
    assert prepare.add_rotation(flights)["rotation"].tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("departure", "arrival", "zone", "minutes"),
    [(830, 1000, -6, 150), (2330, 330, -5, 240), (2100, 10, -8, 370)],
    ids=["one zone west", "past midnight", "past midnight, three zones west"],
)
def test_block_minutes_mind_midnight_and_time_zones(departure: int, arrival: int, zone: int, minutes: int) -> None:
    """The scheduled time between the gates is counted in one clock."""
    flights = the_flights(a_day(1, sched_dep_time=departure, sched_arr_time=arrival))
    airports = pd.DataFrame([{"faa": "ORD", "lat": 42.0, "lon": -88.0, "alt": 668, "tz": zone}])
    assert prepare.join_airports(flights, airports)["block_minutes"].tolist() == [minutes]


def test_weather_is_the_last_observation_before_the_hour_of_departure() -> None:
    """An observation that a passenger could not have read yet is not joined."""
    weather = pd.DataFrame(
        [
            {"origin": "EWR", "time_hour": f"2013-01-01T{hour}:00:00Z", **dict.fromkeys(prepare.WEATHER, float(hour))}
            for hour in (12, 13)
        ]
    )
    assert prepare.join_weather(the_flights(a_day(1)), weather, lag_hours=1)["temp"].tolist() == [12.0]


def test_winds_that_no_anemometer_saw_become_missing() -> None:
    """One wind of 1,048 mph must not stretch the scale of all others."""
    weather = pd.DataFrame(
        [
            {
                "origin": "EWR",
                "time_hour": "2013-02-12T08:00:00Z",
                **dict.fromkeys(prepare.WEATHER, 5.0),
                "wind_speed": 1048.0,
            }
        ]
    )
    cleaned = prepare.clean_weather(weather, max_wind=100)
    assert cleaned["wind_speed"].isna().all()
    assert cleaned["wind_gust"].tolist() == [5.0]


def test_what_training_never_saw_is_imputed_or_zero() -> None:
    """A missing number becomes training's median, an unknown category is zero in all columns."""
    train = pd.DataFrame({"temp": [1.0, 2.0, 9.0], "carrier": ["UA", "AA", "UA"]})
    fitted = prepare.fit_preprocessing(train, FEATURES)
    keys = {"flight_id": "a", "scheduled": 0, "origin": "EWR", "hour": 8, "tail_number": "N1", "late": 0}
    later = pd.DataFrame([{**keys, "temp": np.nan, "carrier": "ZZ"}])
    row = prepare.apply_preprocessing(later, fitted, decimals=4).iloc[0]
    assert row["f:temp"] == pytest.approx((2.0 - 4.0) / train["temp"].std(ddof=0), abs=1e-4)
    assert row["f:carrier=UA"] == row["f:carrier=AA"] == 0


def test_a_constant_feature_does_not_divide_by_zero() -> None:
    """Its scale is one."""
    train = pd.DataFrame({"temp": [3.0, 3.0], "carrier": ["UA", "UA"]})
    assert prepare.fit_preprocessing(train, FEATURES)["numeric"]["temp"] == {"median": 3.0, "mean": 3.0, "scale": 1.0}


def test_the_parts_follow_each_other_in_time() -> None:
    """Training ends before validation starts, and validation before the test."""
    flights = the_flights(*(a_day(day, late=day % 2) for day in range(1, 13)))
    parts = prepare.split_by_time(flights, {"validation_from": "2013-01-05", "test_from": "2013-01-09"})
    assert {name: (len(part), part["day"].min(), part["day"].max()) for name, part in parts.items()} == {
        "train": (4, 1, 4),
        "validation": (4, 5, 8),
        "test": (4, 9, 12),
    }


def test_a_part_with_one_class_is_an_error() -> None:
    """Nothing can be judged where no flight, or every flight, is late."""
    flights = the_flights(*(a_day(day, late=0) for day in range(1, 13)))
    with pytest.raises(click.ClickException, match="train part has 4 flights and not both classes"):
        prepare.split_by_time(flights, {"validation_from": "2013-01-05", "test_from": "2013-01-09"})
