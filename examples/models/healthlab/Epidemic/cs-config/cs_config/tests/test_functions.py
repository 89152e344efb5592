import copy
import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from cs_kit import CoreTestFunctions
from scipy.optimize import brentq

import epidemic
from cs_config import functions
from cs_config.parameters import meta_of, sections_of, setting_of

TITLES = ("Outbreak", "Population", "Response")
EMPTY = {title: {"errors": {}, "warnings": {}} for title in (*TITLES, "GUI", "API")}
OK = {
    "Outbreak": {"start_date": [{"value": "2026-11-15"}], "immune_share": [{"value": [10, 20, 30]}]},
    "Population": {
        "people": [{"age": "65+", "value": 20000}],
        "contacts": [{"value": [[8, 4, 1], [2, 6, 1], [1, 2, 2]]}],
    },
    "Response": {"vaccination_order": [{"value": "Proportional"}], "vaccination": True},
}


class TestEpidemic(CoreTestFunctions):
    get_version = functions.get_version
    get_inputs = functions.get_inputs
    validate_inputs = functions.validate_inputs
    run_model = functions.run_model
    ok_adjustment = OK
    bad_adjustment = {
        "Outbreak": {"start_date": [{"value": "tomorrow"}]},
        "Population": {"people": [{"age": "65+", "value": -1}]},
        "Response": {"vaccination_order": [{"value": "Nobody"}]},
    }


def validate(adjustment):
    return functions.validate_inputs({}, adjustment, copy.deepcopy(EMPTY))["errors_warnings"]


def setting(**changes):
    plain = setting_of(sections_of(meta_of({}))).without_response()
    return replace(plain, seasonality=0.0, **changes)


def test_final_size_is_the_known_one():
    """In one homogeneous group the share z that escapes solves log(z) = R0 (z - 1)."""
    one = setting(
        days=1000, r0=2.0, seeds=10.0, population=np.array([1e6]), contacts=np.array([[10.0]]),
        immune=np.zeros(1), hospital_share=np.zeros(1), fatality_share=np.zeros(1),
    )
    escaped = brentq(lambda z: np.log(z) - 2.0 * (z - 1), 1e-6, 0.9)
    course = epidemic.simulate(one)
    assert course.infections[-1, 0] / 1e6 == pytest.approx(1 - escaped, rel=1e-3)


def test_nothing_spreads_below_one():
    course = epidemic.simulate(setting(r0=0.5))
    assert course.infections[-1].sum() < 3 * 1000


def test_people_are_conserved_and_nothing_falls():
    course = epidemic.simulate(setting_of(sections_of(meta_of({}))))
    for series in (course.infections, course.deaths, course.doses):
        assert (np.diff(series, axis=0) >= -1e-6).all()
    people = setting().population
    assert (course.susceptible + course.infections <= people * (1 + 1e-9)).all()


def test_meetings_are_mutual():
    people = np.array([1.0, 5.0, 2.0])
    total = epidemic.balanced(np.arange(9.0).reshape(3, 3), people) * people[:, None]
    assert np.allclose(total, total.T)


def test_measures_and_vaccination_help():
    sections = sections_of(meta_of({}))
    with_both = setting_of(sections)
    alone = epidemic.simulate(with_both.without_response())
    assert epidemic.simulate(with_both).deaths[-1].sum() < alone.deaths[-1].sum()


def test_perfect_vaccination_of_all_leaves_nobody_susceptible():
    everyone = setting(r0=0.1, days=60)
    everyone = replace(
        everyone, vaccination_start=0, doses_per_day=everyone.population.sum() / 10, effectiveness=1.0,
        uptake=1.0, order=((2,), (1,), (0,)),
    )
    course = epidemic.simulate(everyone)
    assert course.doses[-1].sum() == pytest.approx(everyone.population.sum())
    assert course.susceptible[-1].sum() < 1e-3 * everyone.population.sum()


def test_defaults_follow_the_meta_parameters():
    inputs = functions.get_inputs({"country": [{"value": "Kenya"}], "pathogen": "Measles-like"})
    assert inputs["meta_parameters"]["country"]["value"] == [{"value": "Kenya"}]
    assert inputs["model_parameters"]["Outbreak"]["r0"]["value"] == [{"value": 14.0}]
    assert inputs["model_parameters"]["Population"]["people"]["value"][0]["value"] == 27300.0


def test_errors_are_found_and_are_text():
    answer = validate(
        {
            "Outbreak": {"r0": "high", "Days": 3},
            "Population": {"contacts": [{"value": [[1, "x", 1], [1, 1, 1], [1, 1, 1]]}]},
            "Response": {"measures_start": "2027-06-01", "uptake": [{"value": 101}]},
        }
    )
    for title in TITLES:
        assert answer[title]["errors"]
        for messages in answer[title]["errors"].values():
            assert all(isinstance(message, str) for message in messages)
    assert set(answer["Response"]["errors"]) == {"measures_start", "uptake"}


@pytest.mark.parametrize(
    "title, given",
    [
        ("Outbreak", {"immune_share": [{"value": [10.0]}]}),
        ("Population", {"contacts": [{"value": [[1.0, 2.0], [3.0, 4.0]]}]}),
        ("Population", {"contacts": [{"value": [[0.0] * 3] * 3}]}),
        ("Response", {"contact_reduction": [{"value": [1.0, 2.0, 3.0, 4.0]}]}),
    ],
)
def test_wrong_shapes_are_refused(title, given):
    assert set(validate({title: given})[title]["errors"]) == set(given)


def test_equal_inputs_give_equal_outputs():
    first, second = (functions.run_model({}, copy.deepcopy(OK)) for _ in range(2))
    assert first == second
    json.dumps([one["data"] for one in first["renderable"] if one["media_type"] == "bokeh"], allow_nan=False)


def test_csv_has_a_row_for_each_day():
    made = {one["title"]: one["data"] for one in functions.run_model({}, {})["downloadable"]}
    rows = list(csv.DictReader(io.StringIO(made["Daily totals"])))
    assert len(rows) == 366
    assert rows[0]["date"] == "2027-01-01"
    assert made["Infections by age and week"].startswith(b"\x89PNG")
