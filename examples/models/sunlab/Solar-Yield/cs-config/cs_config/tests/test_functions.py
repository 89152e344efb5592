import copy
from dataclasses import replace

import numpy as np
import pytest
from cs_kit import CoreTestFunctions

import solaryield
from cs_config import functions
from cs_config.parameters import meta_of, model_of, sections_of

EMPTY = {title: {"errors": {}, "warnings": {}} for title in ("Site", "System", "Money", "GUI", "API")}
OK = {
    "Site": {"sunshine": [{"value": [60] * 12}]},
    "System": {"tilt": 20.0, "mounting": [{"value": "Open rack"}]},
    "Money": {"life": [{"value": 20}]},
}


class TestSolarYield(CoreTestFunctions):
    get_version = functions.get_version
    get_inputs = functions.get_inputs
    validate_inputs = functions.validate_inputs
    run_model = functions.run_model
    ok_adjustment = OK
    bad_adjustment = {
        "Site": {"latitude": [{"value": 99}]},
        "System": {"mounting": [{"value": "Kite"}]},
        "Money": {"life": [{"value": "long"}]},
    }


def model(place="Munich"):
    return model_of(sections_of(meta_of({"place": place})))


def validate(adjustment):
    return functions.validate_inputs({}, adjustment, copy.deepcopy(EMPTY))["errors_warnings"]


@pytest.mark.parametrize(
    "place, low, high", [("Munich", 850, 1150), ("Phoenix", 1500, 1950), ("Perth", 1350, 1800), ("Nairobi", 1150, 1600)]
)
def test_yield_is_of_the_known_size(place, low, high):
    """kWh a year for each kW, as published maps of photovoltaic potential have it."""
    site, system, _ = model(place)
    system = replace(system, inverter_power=2 * system.power)
    assert low < solaryield.hourly(site, system)["ac_kw"].sum() / system.power < high


def test_monthly_shares_come_out():
    site, system, _ = model()
    hours = solaryield.hourly(site, system)
    by_month = hours.groupby(hours.index.month)[["ghi_w_m2", "clear_sky_ghi_w_m2"]].sum()
    assert np.allclose(by_month["ghi_w_m2"] / by_month["clear_sky_ghi_w_m2"], site.sunshine)


def test_hemispheres_differ():
    site, system, _ = model("Perth")
    assert system.azimuth == 0.0
    north, south = solaryield.orientations(site, system, (30.0,), (0.0, 180.0))[0]
    assert north > south


def test_inverter_cuts_off():
    site, system, _ = model("Phoenix")
    small = replace(system, inverter_power=2.0)
    assert solaryield.hourly(site, small)["ac_kw"].max() <= 2.0 + 1e-9
    assert solaryield.hourly(site, small)["ac_kw"].min() >= 0


def test_cost_of_energy_without_interest_is_plain_division():
    money = solaryield.Money(1000, 10, 0.3, 0.1, 0.5, 0.0, 0.0, 10)
    assert solaryield.cost_of_energy(money, 100) == pytest.approx(1100 / 1000)
    assert solaryield.balance(money, 100)[-1] == pytest.approx(-1000 + 10 * (100 * 0.2 - 10))


def test_wrong_length_is_refused():
    assert set(validate({"Site": {"sunshine": [{"value": [50.0]}]}})["Site"]["errors"]) == {"sunshine"}


def test_big_inverter_is_a_warning():
    answer = validate({"System": {"inverter_power": 50}})
    assert answer["System"]["warnings"] and not answer["System"]["errors"]


def test_hourly_csv_and_repeatable():
    first, second = (functions.run_model({}, copy.deepcopy(OK)) for _ in range(2))
    assert first == second
    assert len(first["downloadable"][0]["data"].splitlines()) == 1 + 8760
