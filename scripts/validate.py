"""Stage validate: the raw tables against their schemas, and what is missing in them as metrics."""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd
import pandera.pandas as pa
from flights import Params, read_params, round_numbers, write_json

ORIGINS = ("EWR", "JFK", "LGA")
INFINITY = float("inf")


def _number(low: float, high: float, *, nullable: bool = False) -> pa.Column:
    return pa.Column(float, pa.Check.in_range(low, high), nullable=nullable, coerce=True)


def _origin() -> pa.Column:
    return pa.Column(str, pa.Check.isin(ORIGINS))


SCHEMAS = {
    "flights": pa.DataFrameSchema(
        {
            "flight_id": pa.Column(str, unique=True),
            "year": pa.Column(int, pa.Check.eq(2013)),
            "month": pa.Column(int, pa.Check.in_range(1, 12)),
            "day": pa.Column(int, pa.Check.in_range(1, 31)),
            "hour": pa.Column(int, pa.Check.in_range(0, 23)),
            "minute": pa.Column(int, pa.Check.in_range(0, 59)),
            "sched_dep_time": pa.Column(int, pa.Check.in_range(0, 2359)),
            "sched_arr_time": pa.Column(int, pa.Check.in_range(0, 2359)),
            "arr_delay": _number(-180, 1440, nullable=True),
            "distance": _number(10, 6000),
            "carrier": pa.Column(str, pa.Check.str_length(2, 2)),
            "origin": _origin(),
            "dest": pa.Column(str, pa.Check.str_length(3, 3)),
            "tailnum": pa.Column(str, nullable=True),
            "time_hour": pa.Column(str, pa.Check.str_matches(r"^\d{4}-\d\d-\d\dT\d\d:00:00Z$")),
        }
    ),
    "weather": pa.DataFrameSchema(
        {
            "origin": _origin(),
            "time_hour": pa.Column(str),
            "temp": _number(-40, 130, nullable=True),
            "dewp": _number(-60, 100, nullable=True),
            "humid": _number(0, 100, nullable=True),
            "wind_dir": _number(0, 360, nullable=True),
            "wind_speed": _number(0, INFINITY, nullable=True),
            "wind_gust": _number(0, INFINITY, nullable=True),
            "precip": _number(0, 10),
            "pressure": _number(940, 1060, nullable=True),
            "visib": _number(0, 10),
        }
    ),
    "planes": pa.DataFrameSchema(
        {
            "tailnum": pa.Column(str, unique=True),
            "year": _number(1940, 2013, nullable=True),
            "engines": pa.Column(int, pa.Check.in_range(1, 4)),
            "seats": pa.Column(int, pa.Check.in_range(1, 600)),
        }
    ),
    "airports": pa.DataFrameSchema(
        {
            "faa": pa.Column(str, unique=True),
            "lat": _number(-90, 90),
            "lon": _number(-180, 180),
            "alt": _number(-500, 15000),
            "tz": _number(-12, 14),
        }
    ),
}


def check_tables(tables: dict[str, pd.DataFrame]) -> None:
    """Raise one error that names every table, column and check that failed."""
    failures = [failure for name, table in tables.items() for failure in find_failures(name, table)]
    if failures:
        raise click.ClickException("the data are not what the schema promises:\n  " + "\n  ".join(failures))


def find_failures(name: str, table: pd.DataFrame) -> list[str]:
    """What is wrong with a table: column, check, and how many values failed it."""
    try:
        SCHEMAS[name].validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.assign(column=lambda case: case["column"].fillna(case["failure_case"]))
        cases = cases.groupby(["column", "check"]).size()
        return [f"{name}.{column}: {check} ({count})" for (column, check), count in cases.items()]
    return []


def measure_quality(tables: dict[str, pd.DataFrame], max_wind: float) -> dict[str, float | int]:
    """Counts, and shares between 0 and 1 of what is missing or finds no partner in another table.

    An anemometer does break: winds above `max_wind` (miles per hour) are counted here and dropped by `prepare`.
    """
    flights, weather = tables["flights"], tables["weather"]
    observed = pd.MultiIndex.from_frame(weather[["origin", "time_hour"]])
    return {
        "flights": len(flights),
        "not_arrived_share": flights["arr_delay"].isna().mean(),
        "tail_number_missing_share": flights["tailnum"].isna().mean(),
        "weather_match_share": pd.MultiIndex.from_frame(flights[["origin", "time_hour"]]).isin(observed).mean(),
        "plane_match_share": flights["tailnum"].isin(tables["planes"]["tailnum"]).mean(),
        "airport_match_share": flights["dest"].isin(tables["airports"]["faa"]).mean(),
        "weather_hours": len(weather),
        "weather_duplicates": int(weather.duplicated(["origin", "time_hour"]).sum()),
        "wind_implausible": int((weather[["wind_speed", "wind_gust"]] > max_wind).any(axis="columns").sum()),
        "pressure_missing_share": weather["pressure"].isna().mean(),
        "wind_gust_missing_share": weather["wind_gust"].isna().mean(),
        "plane_year_missing_share": tables["planes"]["year"].isna().mean(),
    }


def check_quality(quality: dict[str, float | int], limits: Params) -> None:
    """Raise when too few flights find their weather or their plane, or too many winds are implausible."""
    for table in ("weather", "plane"):
        found, limit = quality[f"{table}_match_share"], limits[f"min_{table}_match"]
        if found < limit:
            raise click.ClickException(f"only {found:.3f} of the flights match {table}; the limit is {limit}")
    if quality["wind_implausible"] > limits["max_wind_implausible"]:
        raise click.ClickException(f"{quality['wind_implausible']} hours with winds above {limits['max_wind_mph']} mph")


@click.command()
@click.option("--params", "params_path", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--raw", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--report", type=click.Path(path_type=Path), required=True, help="Metrics file to write.")
def main(params_path: Path, raw: Path, report: Path) -> None:
    """Check the raw tables and write the data-quality metrics."""
    tables = {name: pd.read_parquet(raw / f"{name}.parquet") for name in SCHEMAS}
    check_tables(tables)
    limits = read_params(params_path)["validate"]
    quality = round_numbers(measure_quality(tables, limits["max_wind_mph"]))
    check_quality(quality, limits)
    write_json(report, quality)
    click.echo(f"validate: {len(SCHEMAS)} tables keep their schemas")


if __name__ == "__main__":
    main()
