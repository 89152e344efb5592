from cs_kit import CoreTestFunctions

from cs_config import functions


class TestNull(CoreTestFunctions):
    get_version = functions.get_version
    get_inputs = functions.get_inputs
    validate_inputs = functions.validate_inputs
    run_model = functions.run_model
    ok_adjustment = {"Null": {"number": [{"value": 7}]}}
    bad_adjustment = {"Null": {"number": [{"value": "seven"}]}}


def test_repeats_the_number():
    result = functions.run_model({}, {"Null": {"number": [{"value": 7}]}})
    assert result["renderable"][0]["data"] == "7\n"


def test_takes_a_scalar_beside_value_objects():
    assert functions.run_model({}, {"Null": {"number": 7}})["renderable"][0]["data"] == "7\n"


def test_refuses_a_number_out_of_range():
    answer = functions.validate_inputs(
        {}, {"Null": {"number": 10**12}}, {"Null": {"errors": {}, "warnings": {}}}
    )
    assert answer["errors_warnings"]["Null"]["errors"]["number"]
