"""From the sun to the socket, hour by hour."""

from dataclasses import dataclass, replace
from datetime import timedelta, timezone

import numpy as np
import pandas as pd
from pvlib import inverter, irradiance, pvsystem, temperature
from pvlib.location import Location

# Of the clear-sky irradiation, what comes through an overcast sky.
OVERCAST = 0.3
WIND = 1.5

MOUNTINGS = {
    "Roof, close to the tiles": "close_mount_glass_glass",
    "Open rack": "open_rack_glass_polymer",
    "Part of the roof": "insulated_back_glass_polymer",
}


@dataclass(frozen=True)
class Site:
    """Where it stands; `sunshine` and `temperature` are by month, the first as a fraction of 1."""

    latitude: float
    longitude: float
    altitude: float
    utc_offset: float
    year: int
    sunshine: tuple
    temperature: tuple


@dataclass(frozen=True)
class System:
    """What stands there: kW at standard conditions, degrees (azimuth clockwise from north), fractions of 1."""

    power: float
    inverter_power: float
    tilt: float
    azimuth: float
    losses: float
    inverter_efficiency: float
    temperature_coefficient: float
    albedo: float
    mounting: str


@dataclass(frozen=True)
class Skies:
    """The sun and the clear sky of a site's year, which do not depend on the system."""

    position: pd.DataFrame
    clear: pd.DataFrame
    beyond: pd.Series
    month: np.ndarray


def skies(site):
    """Compute where the sun stands and what a clear sky gives, in the middle of each hour of standard time."""
    zone = timezone(timedelta(hours=site.utc_offset))
    hours = pd.date_range(f"{site.year}-01-01 00:30", f"{site.year}-12-31 23:30", freq="h", tz=zone)
    place = Location(site.latitude, site.longitude, altitude=site.altitude, tz="UTC")
    position = place.get_solarposition(hours)
    clear = place.get_clearsky(hours, model="ineichen", solar_position=position)
    return Skies(position, clear, irradiance.get_extra_radiation(hours), hours.month.to_numpy())


def hourly(site, system, sky=None):
    """Compute mean power of each hour in kW (which is its energy in kWh) beside the irradiation on the ground."""
    sky = sky or skies(site)
    share = np.array(site.sunshine)[sky.month - 1]
    clear_part = np.clip((share - OVERCAST) / (1 - OVERCAST), 0, 1)
    # A month darker than overcast throughout is a darker overcast.
    grey_level = np.minimum(share, OVERCAST)
    ghi = sky.clear["ghi"]
    air = np.array(site.temperature)[sky.month - 1]
    bright = _power(system, sky, ghi, sky.clear["dni"], sky.clear["dhi"], air)
    grey = _power(system, sky, ghi * grey_level, ghi * 0, ghi * grey_level, air)
    return pd.DataFrame(
        {
            "clear_sky_ghi_w_m2": ghi,
            "ghi_w_m2": ghi * (clear_part + (1 - clear_part) * grey_level),
            "ac_kw": clear_part * bright + (1 - clear_part) * grey,
            "clear_sky_ac_kw": bright,
        }
    )


def orientations(site, system, tilts, azimuths, sky=None):
    """Compute the year's kWh for each kW of panels, for each tilt (rows) and azimuth (columns)."""
    sky = sky or skies(site)
    return np.array(
        [
            [hourly(site, replace(system, tilt=tilt, azimuth=azimuth), sky)["ac_kw"].sum() for azimuth in azimuths]
            for tilt in tilts
        ]
    ) / system.power


def _power(system, sky, ghi, dni, dhi, air):
    plane = irradiance.get_total_irradiance(
        system.tilt,
        system.azimuth,
        sky.position["apparent_zenith"],
        sky.position["azimuth"],
        dni,
        ghi,
        dhi,
        dni_extra=sky.beyond,
        albedo=system.albedo,
        model="haydavies",
    )["poa_global"].fillna(0).clip(lower=0)
    model = temperature.TEMPERATURE_MODEL_PARAMETERS["sapm"][MOUNTINGS[system.mounting]]
    cell = temperature.sapm_cell(plane, air, WIND, **model)
    direct = pvsystem.pvwatts_dc(plane, cell, system.power, system.temperature_coefficient)
    direct = direct.clip(lower=0) * (1 - system.losses)
    efficiency = system.inverter_efficiency
    return inverter.pvwatts(direct, system.inverter_power / efficiency, efficiency).fillna(0).clip(lower=0)
