"""The form's parameters, and what they mean to the model."""

import paramtools

from solaryield import MOUNTINGS, PLACES, Money, Site, System

GROUPED = {"labels": {}, "additional_members": {"section_1": {"type": "str"}}}


class MetaParameters(paramtools.Parameters):
    """The place whose data the form shows."""

    array_first = True
    defaults = {
        "place": {
            "title": "Place",
            "description": "Fills in coordinates, usual clouds and temperatures; change them for another place.",
            "type": "str",
            "value": "Munich",
            "validators": {"choice": {"choices": list(PLACES)}},
        }
    }


def _number(title, description, value, low, high, kind="float", dims=0, section=""):
    return {
        "title": title,
        "description": description,
        "type": kind,
        "number_dims": dims,
        "value": value,
        "validators": {"range": {"min": low, "max": high}},
        "section_1": section,
    }


def site(place):
    """Where the panels are."""
    return {
        "schema": GROUPED,
        "latitude": _number("Latitude (degrees north)", "Negative in the south.", place.latitude, -66.0, 66.0),
        "longitude": _number("Longitude (degrees east)", "Negative in the west.", place.longitude, -180.0, 180.0),
        "altitude": _number("Altitude (m)", "Above sea level; air is clearer higher up.", place.altitude, -430.0, 5500.0),
        "utc_offset": _number(
            "Hours ahead of UTC", "Standard time; summer time is not applied.", place.utc_offset, -12.0, 14.0
        ),
        "year": _number("Calendar year", "Its days are those of the hourly table.", 2027, 1990, 2100, kind="int"),
        "sunshine": _number(
            "Sunshine by month (%)",
            "Irradiation that really arrives, in percent of a clear month's: twelve values from January.",
            list(place.sunshine), 1.0, 100.0, dims=1, section="Climate",
        ),
        "temperature": _number(
            "Temperature by month (°C)", "Mean of the daytime: twelve values from January.",
            list(place.temperature), -50.0, 60.0, dims=1, section="Climate",
        ),
    }


def system(place):
    """What is on the roof."""
    return {
        "schema": GROUPED,
        "power": _number(
            "Power of the panels (kW)", "At standard test conditions, all panels together.", 6.0, 0.1, 100000.0,
            section="Panels",
        ),
        "tilt": _number("Tilt (degrees)", "0 lies flat, 90 stands upright.", 30.0, 0.0, 90.0, section="Panels"),
        "azimuth": _number(
            "Direction (degrees)", "Where the panels look: 0 north, 90 east, 180 south, 270 west.",
            180.0 if place.latitude >= 0 else 0.0, 0.0, 360.0, section="Panels",
        ),
        "mounting": {
            "title": "Mounting",
            "description": "Panels that the wind cools yield more.",
            "type": "str",
            "value": next(iter(MOUNTINGS)),
            "validators": {"choice": {"choices": list(MOUNTINGS)}},
            "section_1": "Panels",
        },
        "temperature_coefficient": _number(
            "Change of power with heat (% for each °C)", "From the data sheet.", -0.37, -1.0, 0.0, section="Panels"
        ),
        "albedo": _number(
            "Ground reflection (%)", "20 is grass; fresh snow is 80.", 20.0, 0.0, 100.0, section="Panels"
        ),
        "inverter_power": _number(
            "Power of the inverter (kW)", "More than that is cut off.", 5.0, 0.1, 100000.0, section="Electrics"
        ),
        "inverter_efficiency": _number(
            "Efficiency of the inverter (%)", "Nominal.", 96.0, 50.0, 100.0, section="Electrics"
        ),
        "losses": _number(
            "Other losses (%)", "Dirt, cables, mismatch, shading, down time.", 12.0, 0.0, 90.0, section="Electrics"
        ),
    }


def money():
    """What it costs and earns."""
    return {
        "schema": GROUPED,
        "cost": _number("Price of the system (for each kW)", "With installation, in your currency.", 1400.0, 1.0, 100000.0, section="Costs"),
        "upkeep": _number("Upkeep (for each kW and year)", "Insurance, meter, repairs.", 20.0, 0.0, 10000.0, section="Costs"),
        "life": _number("Life (years)", "How long the system is in use.", 25, 1, 50, kind="int", section="Costs"),
        "degradation": _number("Ageing (% a year)", "Loss of yield from year to year.", 0.5, 0.0, 10.0, section="Costs"),
        "discount": _number("Discount rate (% a year)", "What your money would earn elsewhere.", 3.0, 0.0, 30.0, section="Costs"),
        "price": _number("Price of electricity (for each kWh)", "What you need not buy.", 0.30, 0.0, 10.0, section="Earnings"),
        "feed_in": _number("Feed-in tariff (for each kWh)", "Paid for what you do not use.", 0.08, 0.0, 10.0, section="Earnings"),
        "own_use": _number("Own use (%)", "Share of the yield that you use yourself.", 30.0, 0.0, 100.0, section="Earnings"),
    }


def meta_of(meta_param_dict):
    """Read the meta parameters from whatever the platform sends."""
    meta = MetaParameters()
    meta.adjust(meta_param_dict or {})
    return meta


def sections_of(meta):
    """Make the parameters of each section, with the defaults for the place."""
    place = PLACES[meta.place]
    defaults = {"Site": site(place), "System": system(place), "Money": money()}
    return {
        title: type(title, (paramtools.Parameters,), {"defaults": parameters})()
        for title, parameters in defaults.items()
    }


def wrong_shapes(sections):
    """Find monthly lists that do not have twelve values: `{parameter: [message]}`."""
    found = {}
    for name in ("sunshine", "temperature"):
        length = len(value_of(sections["Site"], name))
        if length != 12:
            found[name] = [f"{name} needs 12 values, one for each month; it has {length}."]
    return found


def value_of(section, name):
    """Take the value of a parameter."""
    return getattr(section, name)[0]["value"]


def model_of(sections):
    """Turn checked parameters into the model's site, system and money."""
    here, what, cash = (
        {name: value_of(sections[title], name) for name in sections[title].keys()}
        for title in ("Site", "System", "Money")
    )
    here["sunshine"] = tuple(share / 100 for share in here["sunshine"])
    here["temperature"] = tuple(here["temperature"])
    for name in ("losses", "inverter_efficiency", "temperature_coefficient", "albedo"):
        what[name] /= 100
    earnings = Money(
        investment=cash["cost"] * what["power"],
        upkeep=cash["upkeep"] * what["power"],
        price=cash["price"],
        feed_in=cash["feed_in"],
        own_use=cash["own_use"] / 100,
        discount=cash["discount"] / 100,
        degradation=cash["degradation"] / 100,
        life=cash["life"],
    )
    return Site(**here), System(**what), earnings
