import copy

import pytest
from cs_kit import CoreTestFunctions

from cs_config import functions, parameters
from taxreform import households

EMPTY = {title: {"errors": {}, "warnings": {}} for title in ("Policy", "Report", "GUI", "API")}
META = {"year": [{"value": 2027}]}
OK = {
    "Policy": {
        "II_rt7": [{"year": 2027, "value": 0.45}],
        "CTC_c": 3000.0,
        "STD": [{"year": 2027, "MARS": "single", "value": 17000.0}],
        "STD_checkbox": [{"value": False}],
    },
    "Report": {"sample": [{"value": "1 %"}], "years": [{"value": 2}]},
}


class TestTaxReform(CoreTestFunctions):
    get_version = functions.get_version
    get_inputs = functions.get_inputs
    validate_inputs = functions.validate_inputs
    run_model = functions.run_model
    ok_adjustment = OK
    bad_adjustment = {"Policy": {"II_rt7": [{"value": 2.0}]}, "Report": {"years": [{"value": 0}]}}


def validate(adjustment):
    return functions.validate_inputs(META, adjustment, copy.deepcopy(EMPTY))["errors_warnings"]


def test_toggle_becomes_indexing():
    reform, errors = parameters.reform_of(OK["Policy"], 2027)
    assert not errors
    assert reform["STD-indexed"] == [{"year": 2027, "value": False}]
    assert reform["CTC_c"] == [{"year": 2027, "value": 3000.0}]
    assert not any(name.endswith("_checkbox") for name in reform)


@pytest.mark.parametrize(
    "given", [{"II_rt7_checkbox": True}, {"Nothing_checkbox": True}, {"STD_checkbox": [{"value": "perhaps"}]}]
)
def test_toggles_that_cannot_be_used(given):
    assert set(validate({"Policy": given})["Policy"]["errors"]) == set(given)


def test_errors_are_text():
    answer = validate({"Policy": {"II_rt7": "a lot", "NoSuch": 3}, "Report": {"sample": "7 %"}})
    for title in ("Policy", "Report"):
        assert answer[title]["errors"]
        for messages in answer[title]["errors"].values():
            assert all(isinstance(message, str) for message in messages)


def test_form_shows_the_year():
    policy = functions.get_inputs(META)["model_parameters"]["Policy"]
    assert {item["year"] for item in policy["STD"]["value"]} == {2027}
    assert policy["STD"]["checkbox"] is True
    assert len(policy) > 200


def test_sample_keeps_the_order_and_its_size():
    part = households("1 %")
    assert part.index.is_monotonic_increasing
    assert len(part) == pytest.approx(2800, rel=0.01)


def revenue(made):
    """The reform's effect on both taxes in the last year, in billions of dollars."""
    return float(made["downloadable"][0]["data"].strip().splitlines()[-1].split(",")[4])


def test_current_law_changes_nothing_and_a_higher_rate_raises_revenue():
    report = {"Report": {"sample": "1 %", "years": 1}}
    higher = {"II_rt7": [{"year": 2027, "value": 0.5}]}
    law, more = (
        functions.run_model(META, copy.deepcopy({"Policy": policy, **report})) for policy in ({}, higher)
    )
    assert revenue(law) == 0
    assert revenue(more) > 1
    assert "raises" in more["renderable"][0]["data"]
