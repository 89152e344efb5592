import copy
import csv
import io
import subprocess
import sys
from datetime import date
from decimal import Decimal

import pytest
from cs_kit import CoreTestFunctions

from cs_config import functions
from mortgage import Extra, Loan, schedule, totals
from mortgage.loan import monthly_rate

EMPTY = {title: {"errors": {}, "warnings": {}} for title in ("Loan", "Extra payments", "GUI", "API")}


class TestMortgage(CoreTestFunctions):
    get_version = functions.get_version
    get_inputs = functions.get_inputs
    validate_inputs = functions.validate_inputs
    run_model = functions.run_model
    ok_adjustment = {
        "Loan": {"amount": [{"value": 200000}], "first_payment": [{"value": "2027-01-31"}]},
        "Extra payments": {"lump_sums": [{"value": [0, 1000]}]},
    }
    bad_adjustment = {
        "Loan": {"amount": [{"value": -5}]},
        "Extra payments": {"lump_sums": [{"value": [0, "many"]}]},
    }


def validate(adjustment):
    return functions.validate_inputs({}, adjustment, copy.deepcopy(EMPTY))["errors_warnings"]


def test_known_instalments():
    # 100,000 over 30 years at 6 %: 599.551 a month, and lenders round up.
    us = schedule(Loan(amount=Decimal(100000), initial_rate=Decimal(6)))
    assert us[0].instalment == Decimal("599.56")
    # Twice-yearly compounding at 6 %: (1.03 ** 2) ** (1 / 12) - 1 a month.
    assert abs(monthly_rate(Decimal(6), 2) - Decimal("0.00493862203")) < Decimal("1e-10")


@pytest.mark.parametrize("rate", ["0", "3.99", "18"])
@pytest.mark.parametrize("monthly", ["0", "333.33"])
def test_every_cent_is_paid_back(rate, monthly):
    loan = Loan(initial_rate=Decimal(rate), initial_years=4)
    rows = schedule(loan, Extra(monthly=Decimal(monthly), lump_sums=(Decimal(1000),)))
    assert sum(row.principal + row.extra for row in rows) == loan.amount
    assert rows[-1].balance == 0
    assert len(rows) <= 360


def test_extra_payments_save_interest_and_time():
    loan = Loan()
    plain, more = totals(schedule(loan)), totals(schedule(loan, Extra(monthly=Decimal(200))))
    assert more["interest"] < plain["interest"]
    assert more["payments"] < plain["payments"]


def test_last_day_of_month_is_kept():
    rows = schedule(Loan(first_payment=date(2027, 1, 31)))
    assert [row.due.day for row in rows[:4]] == [31, 28, 31, 30]


def test_defaults_follow_the_convention():
    inputs = functions.get_inputs({"convention": [{"value": "Canada"}]})
    assert inputs["meta_parameters"]["convention"]["value"] == [{"value": "Canada"}]
    assert inputs["model_parameters"]["Loan"]["years"]["value"] == [{"value": 25}]
    assert "CAD" in inputs["model_parameters"]["Loan"]["amount"]["title"]


def test_all_errors_come_at_once():
    errors = validate(
        {
            "Loan": {
                "years": "x",
                "first_payment": [{"value": "soon"}],
                "initial_rate": 99,
                "Years": 3,
            },
            "Extra payments": {"extra_from_year": 0},
        }
    )
    assert errors["Loan"]["errors"] == {
        "schema": ["Unknown field: Years"],
        "years": ["Not a valid integer: x."],
        "first_payment": ["Not a valid date: soon."],
        "initial_rate": ["initial_rate 99 > max 40.0 "],
    }
    assert errors["Extra payments"]["errors"] == {
        "extra_from_year": ["extra_from_year 0 < min 1 "]
    }


def test_bound_that_names_another_parameter():
    wrong = validate({"Loan": {"years": 10, "initial_years": 12}})
    assert wrong["Loan"]["errors"]["initial_years"] == ["initial_years 12 > max 10 years"]


def test_a_shorter_loan_alone_is_no_error():
    adjustment = {"Loan": {"years": 10}}
    assert not validate(adjustment)["Loan"]["errors"]
    result = functions.run_model({}, adjustment)
    assert len(result["downloadable"][0]["data"].splitlines()) == 1 + 120


def test_warns_of_a_rate_that_is_no_percentage():
    answer = validate({"Loan": {"initial_rate": 0.05}})
    assert not answer["Loan"]["errors"]
    assert answer["Loan"]["warnings"]["initial_rate"]


def test_schedule_is_csv():
    result = functions.run_model({}, {"Loan": {}, "Extra payments": {}})
    rows = list(csv.DictReader(io.StringIO(result["downloadable"][0]["data"])))
    assert len(rows) == 360
    assert rows[-1]["balance"] == "0.00"


def test_nothing_heavy_is_imported():
    code = (
        "import sys, cs_config.functions as f; f.run_model({}, {}); "
        "sys.exit(bool({'numpy', 'pandas', 'paramtools'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
