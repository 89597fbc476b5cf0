"""Stage prepare: join, clean and engineer features, impute, normalise, and split by time.

Every feature is known before the flight's scheduled departure. Medians, means, scales and categories come from the
training part alone and are written beside the data, because a served model needs them as well.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pandas as pd
from flights import FEATURE_PREFIX, KEYS, Params, read_params, round_numbers, write_frame, write_json

CRUISE_MILES_PER_MINUTE = 8.0
NEW_YORK_UTC_OFFSET = -5
WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")


def add_schedule(flights: pd.DataFrame) -> pd.DataFrame:
    """Add what the timetable says: the day, the hour on a circle, and how busy the airport will be."""
    date = pd.to_datetime(flights[["year", "month", "day"]])
    angle = 2 * np.pi * (flights["hour"] + flights["minute"] / 60) / 24
    return flights.assign(
        date=date,
        scheduled=date + pd.to_timedelta(flights["hour"] * 60 + flights["minute"], unit="min"),
        time_hour=pd.to_datetime(flights["time_hour"], utc=True),
        weekday=date.dt.day_of_week.astype(str),
        hour_sin=np.sin(angle),
        hour_cos=np.cos(angle),
        departures_in_hour=flights.groupby(["origin", "time_hour"])["flight_id"].transform("size"),
    )


def add_rotation(flights: pd.DataFrame) -> pd.DataFrame:
    """Add how many earlier departures the timetable holds for the same aircraft that day.

    Lateness grows along an aircraft's day. A flight without a tail number counts as its first.
    """
    ordered = flights.sort_values(["scheduled", "flight_id"])
    rotation = ordered.groupby(["tailnum", "date"]).cumcount().where(ordered["tailnum"].notna(), 0)
    return flights.assign(rotation=rotation)


def add_yesterday(flights: pd.DataFrame, late_after: float) -> pd.DataFrame:
    """Add the share of late arrivals of the day before, for the same origin and for the same carrier.

    All flights of a day are due before five in the morning of the next, when that day's first flight departs.
    """
    arrived = flights[flights["arr_delay"].notna()]
    late = (arrived["arr_delay"] > late_after).astype(float)
    for key in ("origin", "carrier"):
        share = late.groupby([arrived[key], arrived["date"] + pd.Timedelta(days=1)]).mean()
        share = share.rename(f"late_yesterday_{key}")
        flights = flights.join(share, on=[key, "date"])
    return flights


def join_airports(flights: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """Add the destination's place, the scheduled time between the gates, and how generous it is."""
    places = airports.set_index("faa")[["lat", "lon", "alt", "tz"]].add_prefix("dest_")
    joined = flights.join(places, on="dest")
    minutes = _minutes(joined["sched_arr_time"]) - _minutes(joined["sched_dep_time"])
    zone = (joined["dest_tz"].fillna(NEW_YORK_UTC_OFFSET) - NEW_YORK_UTC_OFFSET) * 60
    block = (minutes - zone) % 1440
    return joined.assign(block_minutes=block, slack_minutes=block - joined["distance"] / CRUISE_MILES_PER_MINUTE)


def _minutes(clock: pd.Series) -> pd.Series:
    """Minutes since midnight of a clock time that is written as 1730."""
    return clock // 100 * 60 + clock % 100


def clean_weather(weather: pd.DataFrame, max_wind: float) -> pd.DataFrame:
    """One observation an hour and origin, without winds (miles per hour) that no anemometer can have seen."""
    observed = weather.drop_duplicates(["origin", "time_hour"])[["origin", "time_hour", *WEATHER]]
    winds = observed[["wind_speed", "wind_gust"]]
    return observed.assign(**winds.where(winds <= max_wind))


def join_weather(flights: pd.DataFrame, weather: pd.DataFrame, lag_hours: int) -> pd.DataFrame:
    """Add the observation at the origin, made `lag_hours` before the scheduled hour of departure."""
    moment = pd.to_datetime(weather["time_hour"], utc=True) + pd.Timedelta(hours=lag_hours)
    joined = flights.merge(weather.assign(time_hour=moment), on=["origin", "time_hour"], how="left", validate="m:1")
    angle = np.deg2rad(joined["wind_dir"])
    return joined.assign(
        wind_gust=joined["wind_gust"].fillna(joined["wind_speed"]),
        wind_sin=np.sin(angle),
        wind_cos=np.cos(angle),
    )


def join_planes(flights: pd.DataFrame, planes: pd.DataFrame) -> pd.DataFrame:
    """Add the aircraft's age in years and its seats."""
    registry = planes.set_index("tailnum")[["year", "seats"]].rename(columns={"year": "built"})
    joined = flights.join(registry, on="tailnum")
    return joined.assign(plane_age=joined["year"] - joined["built"], plane_unknown=joined["seats"].isna().astype(float))


def build_features(tables: dict[str, pd.DataFrame], params: Params) -> pd.DataFrame:
    """All flights that arrived, with keys, label and raw features, in the order of scheduled departure."""
    late_after = params["data"]["late_after_minutes"]
    flights = add_yesterday(add_rotation(add_schedule(tables["flights"])), late_after)
    # What the timetable says also counts flights that were cancelled later; from here on only arrivals remain.
    flights = flights[flights["arr_delay"].notna()]
    flights = join_airports(flights, tables["airports"])
    weather = clean_weather(tables["weather"], params["validate"]["max_wind_mph"])
    flights = join_weather(flights, weather, params["prepare"]["weather_lag_hours"])
    flights = join_planes(flights, tables["planes"])
    flights = flights.assign(late=(flights["arr_delay"] > late_after).astype("int8"), tail_number=flights["tailnum"])
    return flights.sort_values(["scheduled", "flight_id"], ignore_index=True)


def fit_preprocessing(train: pd.DataFrame, features: Params) -> Params:
    """Medians for what is missing, means and scales for what is a number, and the categories, most frequent first."""
    numeric = {}
    for name in features["numeric"]:
        filled = train[name].fillna(train[name].median())
        scale = float(filled.std(ddof=0))
        numeric[name] = {"median": float(train[name].median()), "mean": float(filled.mean()), "scale": scale or 1.0}
    categorical = {name: sorted(train[name].unique().tolist()) for name in features["categorical"]}
    fitted: Params = round_numbers({"numeric": numeric, "categorical": categorical})
    return fitted


def apply_preprocessing(flights: pd.DataFrame, fitted: Params, decimals: int) -> pd.DataFrame:
    """The keys and the normalised features; a category that training never saw is zero in all its columns."""
    columns: dict[str, pd.Series] = {}
    for name, fit in fitted["numeric"].items():
        normal = (flights[name].fillna(fit["median"]) - fit["mean"]) / fit["scale"]
        columns[f"{FEATURE_PREFIX}{name}"] = normal.round(decimals).astype("float32")
    for name, categories in fitted["categorical"].items():
        for category in categories:
            columns[f"{FEATURE_PREFIX}{name}={category}"] = (flights[name] == category).astype("float32")
    return pd.concat([flights[list(KEYS)], pd.DataFrame(columns)], axis="columns")


def split_by_time(flights: pd.DataFrame, split: Params) -> dict[str, pd.DataFrame]:
    """Train, validation and test; none may be empty."""
    day = flights["scheduled"]
    validation, test = pd.Timestamp(split["validation_from"]), pd.Timestamp(split["test_from"])
    parts = {
        "train": flights[day < validation],
        "validation": flights[(day >= validation) & (day < test)],
        "test": flights[day >= test],
    }
    for name, part in parts.items():
        if part["late"].nunique() < 2:
            raise click.ClickException(f"the {name} part has {len(part)} flights and not both classes: see split")
    return {name: part.reset_index(drop=True) for name, part in parts.items()}


@click.command()
@click.option("--params", "params_path", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--raw", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--prepared", type=click.Path(path_type=Path), required=True, help="Directory to write.")
def main(params_path: Path, raw: Path, prepared: Path) -> None:
    """Write train, validation and test, and the preprocessing that was fitted on train."""
    params = read_params(params_path)
    tables = {name: pd.read_parquet(raw / f"{name}.parquet") for name in ("flights", "weather", "planes", "airports")}
    parts = split_by_time(build_features(tables, params), params["split"])
    fitted = fit_preprocessing(parts["train"], params["features"])
    for name, part in parts.items():
        write_frame(prepared / f"{name}.parquet", apply_preprocessing(part, fitted, params["prepare"]["decimals"]))
        click.echo(f"prepare: {name} has {len(part):,} flights, {part['late'].mean():.3f} of them late")
    write_json(prepared / "preprocessing.json", fitted)


if __name__ == "__main__":
    main()
