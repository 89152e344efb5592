import copy
from dataclasses import replace

import pytest
from cs_kit import CoreTestFunctions

from cs_config import functions
from optionpricing import STYLES, Terms, black_scholes, price, sensitivities

EMPTY = {title: {"errors": {}, "warnings": {}} for title in ("Contract", "Market", "Simulation", "GUI", "API")}
OK = {
    "Contract": {"kind": [{"value": "Put"}], "strike": 95},
    "Market": {"volatility": [{"value": 30.0}]},
    "Simulation": {"paths": [{"value": 4000}], "seed": [{"value": 7}]},
}


class TestOptionPricing(CoreTestFunctions):
    get_version = functions.get_version
    get_inputs = functions.get_inputs
    validate_inputs = functions.validate_inputs
    run_model = functions.run_model
    ok_adjustment = OK
    bad_adjustment = {
        "Contract": {"kind": [{"value": "Straddle"}]},
        "Market": {"volatility": [{"value": -1.0}]},
        "Simulation": {"seed": [{"value": "lucky"}]},
    }


def test_known_values_of_the_formula():
    # Hull's textbook example: 42, 40, half a year, 10 %, 20 %.
    hull = Terms(spot=42, strike=40, years=0.5, rate=0.1, dividend=0.0, volatility=0.2)
    assert black_scholes(hull) == pytest.approx(4.76, abs=0.005)
    assert black_scholes(replace(hull, is_call=False)) == pytest.approx(0.81, abs=0.005)


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("strike", [80.0, 100.0, 125.0])
def test_simulation_agrees_with_the_formula(is_call, strike):
    terms = Terms(is_call=is_call, strike=strike, paths=40_000)
    found = price(terms, "European")
    assert abs(found.price - black_scholes(terms)) < 4 * found.error


def test_american_put_of_longstaff_and_schwartz():
    """The first line of their Table 1: spot 36, strike 40, 20 %, 6 %, one year, 50 exercises: 4.478."""
    terms = Terms(
        is_call=False, spot=36, strike=40, rate=0.06, dividend=0.0, volatility=0.2, steps=50, paths=40_000
    )
    assert price(terms, "American").price == pytest.approx(4.478, abs=0.03)


def test_order_of_the_styles():
    terms = Terms()
    found = {style: price(terms, style).price for style in STYLES}
    assert found["Barrier"] < found["European"] < found["Lookback"]
    assert found["Asian"] < found["European"]
    assert found["American"] > found["European"] - 0.1


def test_delta_of_a_call():
    slopes = sensitivities(Terms(paths=40_000), "European")
    terms, move = Terms(), 0.01
    up, down = (black_scholes(replace(terms, spot=terms.spot + by)) for by in (move, -move))
    assert slopes["delta"] == pytest.approx((up - down) / (2 * move), abs=0.01)


def test_seed_alone_decides():
    first, second = (functions.run_model({}, copy.deepcopy(OK)) for _ in range(2))
    assert first == second
    other = copy.deepcopy(OK)
    other["Simulation"]["seed"] = [{"value": 8}]
    assert functions.run_model({}, other)["downloadable"] != first["downloadable"]


def test_barrier_at_the_price_is_refused():
    answer = functions.validate_inputs({}, {"Contract": {"barrier": 100.0}}, copy.deepcopy(EMPTY))
    assert set(answer["errors_warnings"]["Contract"]["errors"]) == {"barrier"}
