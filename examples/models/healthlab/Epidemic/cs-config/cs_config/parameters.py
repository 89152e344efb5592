"""The form's parameters, and what they mean to the model."""

from datetime import date

import numpy as np
import paramtools

from epidemic import AGES, COUNTRIES, PATHOGENS, Setting
from epidemic.model import NEVER

MONTHS = (
    "January February March April May June July August September October November December"
).split()

# Who is vaccinated when: age groups in the order in which they are served, by their position.
ORDERS = {
    "Oldest first": ((2,), (1,), (0,)),
    "Youngest first": ((0,), (1,), (2,)),
    "Proportional": ((0, 1, 2),),
}

GROUPED = {"labels": {}, "additional_members": {"section_1": {"type": "str"}}}
AGED = {
    **GROUPED,
    "labels": {"age": {"type": "str", "validators": {"choice": {"choices": list(AGES)}}}},
}


class MetaParameters(paramtools.Parameters):
    """Which country and which pathogen the defaults describe."""

    array_first = True
    defaults = {
        "country": {
            "title": "Country",
            "description": "Sets the people by age, their contacts and the hospital beds.",
            "type": "str",
            "value": "Germany",
            "validators": {"choice": {"choices": list(COUNTRIES)}},
        },
        "pathogen": {
            "title": "Pathogen",
            "description": "Sets how the disease spreads and how severe it is.",
            "type": "str",
            "value": "COVID-19-like",
            "validators": {"choice": {"choices": list(PATHOGENS)}},
        },
    }


def _parameter(title, description, kind, value, validators, dims=0, section=""):
    return {
        "title": title,
        "description": description,
        "type": kind,
        "number_dims": dims,
        "value": value,
        "validators": validators,
        "section_1": section,
    }


def _range(low, high):
    return {"range": {"min": low, "max": high}}


def _by_age(values):
    return [{"age": age, "value": value} for age, value in zip(AGES, values)]


def outbreak(pathogen):
    """How the disease arrives and spreads."""
    return {
        "schema": GROUPED,
        "start_date": _parameter(
            "First day", "The day on which the first people are infected.", "date", "2027-01-01",
            {"date_range": {"min": "1900-01-01", "max": "2199-12-31"}}, section="Time",
        ),
        "days": _parameter(
            "Days to follow", "Length of the simulation.", "int", 365, _range(30, 1095), section="Time"
        ),
        "initial_infected": _parameter(
            "People infected at the start", "Spread over the age groups by their size.", "int", 1000,
            _range(1, 1_000_000), section="Start",
        ),
        "immune_share": _parameter(
            "Already immune, by age (%)",
            "One value for each age group (0-19, 20-64, 65+): immune from the first day.",
            "float", [0.0, 0.0, 0.0], _range(0.0, 100.0), dims=1, section="Start",
        ),
        "r0": _parameter(
            "Basic reproduction number",
            "People whom one infectious person infects when nobody is immune and nothing is done.",
            "float", pathogen.r0, _range(0.1, 25.0), section="Disease",
        ),
        "latent_days": _parameter(
            "Latent time (days)", "From infection to being infectious, on average.", "float",
            pathogen.latent_days, _range(0.5, 30.0), section="Disease",
        ),
        "infectious_days": _parameter(
            "Infectious time (days)", "How long people infect others, on average.", "float",
            pathogen.infectious_days, _range(0.5, 60.0), section="Disease",
        ),
        "seasonality": _parameter(
            "Seasonality (0 to 1)", "How far transmission moves up and down around its mean over the year.",
            "float", pathogen.seasonality, _range(0.0, 1.0), section="Season",
        ),
        "peak_month": _parameter(
            "Month of highest transmission", "Transmission is highest in the middle of this month.", "str",
            "January", {"choice": {"choices": MONTHS}}, section="Season",
        ),
    }


def population(country, pathogen):
    """Who can fall ill, whom they meet, and how ill they fall."""
    return {
        "schema": AGED,
        "people": _parameter(
            "People (thousands)", "Size of the age group.", "float", _by_age(country.population),
            _range(1.0, 2_000_000.0), section="People",
        ),
        "contacts": _parameter(
            "Contacts a day between age groups",
            "Row: who meets; column: whom, both in the order 0-19, 20-64, 65+. The model makes the meetings mutual.",
            "float", [list(row) for row in country.contacts], _range(0.0, 100.0), dims=2, section="People",
        ),
        "hospital_share": _parameter(
            "Need a hospital (% of infected)", "Stays last nine days on average.", "float",
            _by_age(pathogen.hospital_share), _range(0.0, 100.0), section="Severity",
        ),
        "fatality_share": _parameter(
            "Die (% of infected)", "Sixteen days after becoming infectious, on average.", "float",
            _by_age(pathogen.fatality_share), _range(0.0, 100.0), section="Severity",
        ),
    }


def response(country):
    """What is done about it."""
    return {
        "schema": GROUPED,
        "measures": _parameter(
            "Contact measures", "Whether contacts are reduced for some time.", "bool", True, {},
            section="Contact measures",
        ),
        "measures_start": _parameter(
            "Measures begin", "First day with fewer contacts.", "date", "2027-02-15",
            {"date_range": {"min": "1900-01-01", "max": "measures_end"}}, section="Contact measures",
        ),
        "measures_end": _parameter(
            "Measures end", "First day on which contacts are as before.", "date", "2027-05-15",
            {"date_range": {"min": "measures_start", "max": "2199-12-31"}}, section="Contact measures",
        ),
        "contact_reduction": _parameter(
            "Contacts avoided, by age (%)",
            "One value for each age group (0-19, 20-64, 65+), while measures last.", "float",
            [50.0, 35.0, 50.0], _range(0.0, 100.0), dims=1, section="Contact measures",
        ),
        "vaccination": _parameter(
            "Vaccination", "Whether people are vaccinated.", "bool", True, {}, section="Vaccination"
        ),
        "vaccination_start": _parameter(
            "Vaccination begins", "First day with doses.", "date", "2027-04-01",
            {"date_range": {"min": "1900-01-01", "max": "2199-12-31"}}, section="Vaccination",
        ),
        "doses_per_day": _parameter(
            "Doses a day (for each 100,000 people)", "One dose for each person; 500 reach half the people in 100 days.",
            "float", 500.0, _range(0.0, 10_000.0), section="Vaccination",
        ),
        "effectiveness": _parameter(
            "Effectiveness against infection (%)", "Share of the vaccinated who are fully protected.",
            "int", 70, _range(0, 100), section="Vaccination",
        ),
        "uptake": _parameter(
            "Uptake (%)", "Share of each age group that accepts a dose.", "int", 75, _range(0, 100),
            section="Vaccination",
        ),
        "vaccination_order": _parameter(
            "Who comes first", "Order in which the age groups are served.", "str", "Oldest first",
            {"choice": {"choices": list(ORDERS)}}, section="Vaccination",
        ),
        "beds": _parameter(
            "Hospital beds (for each 100,000 people)", "Drawn as a line; the model does not limit admissions.",
            "float", country.beds, {"range": {"min": 1.0, "max": 5000.0}}, section="Hospitals",
        ),
    }


def meta_of(meta_param_dict):
    """Read the meta parameters from whatever the platform sends."""
    meta = MetaParameters()
    meta.adjust(meta_param_dict or {})
    return meta


def sections_of(meta):
    """Make the parameters of each section, with the defaults for the country and the pathogen."""
    country, pathogen = COUNTRIES[meta.country], PATHOGENS[meta.pathogen]
    defaults = {
        "Outbreak": outbreak(pathogen),
        "Population": population(country, pathogen),
        "Response": response(country),
    }
    return {
        title: type(title, (paramtools.Parameters,), {"defaults": parameters})()
        for title, parameters in defaults.items()
    }


def wrong_shapes(sections):
    """Find arrays that do not have an entry for each age group: `{section: {parameter: [message]}}`."""
    found = {}
    count = len(AGES)
    for title, name in (("Outbreak", "immune_share"), ("Response", "contact_reduction")):
        length = len(value_of(sections[title], name))
        if length != count:
            found[title] = {name: [f"{name} needs {count} values, one for each age group; it has {length}."]}
    rows = value_of(sections["Population"], "contacts")
    if [len(row) for row in rows] != [count] * count:
        message = f"contacts needs {count} rows of {count} values, one for each age group."
        found["Population"] = {"contacts": [message]}
    elif not any(map(any, rows)):
        found["Population"] = {"contacts": ["contacts are all zero: nobody can infect anybody."]}
    return found


def setting_of(sections):
    """Turn checked parameters into the model's setting."""
    out = {name: value_of(sections["Outbreak"], name) for name in sections["Outbreak"].keys()}
    act = {name: value_of(sections["Response"], name) for name in sections["Response"].keys()}
    people = sections["Population"]
    sizes = _aged(people, "people") * 1000
    start = out["start_date"]
    middle = date(start.year, MONTHS.index(out["peak_month"]) + 1, 15)
    measures = act["measures"] and act["measures_start"] < act["measures_end"]
    return Setting(
        days=out["days"],
        population=sizes,
        contacts=np.array(value_of(people, "contacts"), dtype=float),
        immune=np.array(out["immune_share"]) / 100,
        seeds=float(out["initial_infected"]),
        r0=out["r0"],
        latent_days=out["latent_days"],
        infectious_days=out["infectious_days"],
        seasonality=out["seasonality"],
        peak_day=(middle - start).days,
        hospital_share=_aged(people, "hospital_share") / 100,
        fatality_share=_aged(people, "fatality_share") / 100,
        # Measures that began before the first day are in force from the first day on.
        measures_start=max((act["measures_start"] - start).days, 0) if measures else NEVER,
        measures_end=max((act["measures_end"] - start).days, 0) if measures else NEVER,
        reduction=np.array(act["contact_reduction"]) / 100,
        vaccination_start=max((act["vaccination_start"] - start).days, 0) if act["vaccination"] else NEVER,
        doses_per_day=act["doses_per_day"] * sizes.sum() / 100_000,
        effectiveness=act["effectiveness"] / 100,
        uptake=act["uptake"] / 100,
        order=ORDERS[act["vaccination_order"]],
    )


def value_of(section, name):
    """Take the value of a parameter that has no labels."""
    return getattr(section, name)[0]["value"]


def _aged(section, name):
    by_age = {row["age"]: row["value"] for row in getattr(section, name)}
    return np.array([by_age[age] for age in AGES], dtype=float)
