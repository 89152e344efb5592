"""Places to start from, read from the table that ships with the package."""

import csv
from importlib.resources import files
from typing import NamedTuple


class Place(NamedTuple):
    """Degrees north and east, metres, hours; by month the percent of clear-sky irradiation, and degrees Celsius by day."""

    latitude: float
    longitude: float
    altitude: float
    utc_offset: float
    sunshine: tuple
    temperature: tuple


def _read():
    text = (files("solaryield") / "places.csv").read_text(encoding="utf-8")
    found = {}
    for row in csv.DictReader(text.splitlines()):
        numbers = (float(row[name]) for name in ("latitude", "longitude", "altitude", "utc_offset"))
        months = (tuple(map(float, row[name].split())) for name in ("sunshine", "temperature"))
        found[row["place"]] = Place(*numbers, *months)
    return found


PLACES = _read()
