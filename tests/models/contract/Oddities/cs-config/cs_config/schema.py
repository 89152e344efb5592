"""What `get_inputs` says: each parameter has something that real schemas have and a simple reader would miss."""

INFINITE = 9e99

OPERATORS = {"array_first": False, "label_to_extend": "year", "uses_extend_func": True}

# `schema` is a key among the parameters, and a member may have a type that is none of the five.
META_SCHEMA = {
    "labels": {},
    "additional_members": {"compatible_data": {"type": "compatible_data", "number_dims": 0}},
    "operators": {"array_first": False, "label_to_extend": None, "uses_extend_func": False},
}

POLICY_SCHEMA = {
    "labels": {"year": {"type": "int", "validators": {"range": {"min": 2019, "max": 2030}}}},
    "additional_members": {"checkbox": {"type": "bool", "number_dims": 0}},
    "operators": OPERATORS,
}


def parameter(title, kind, value, validators=None, dims=0, **more):
    """Describe one parameter; `value` is a scalar or a list of value objects."""
    given = value if isinstance(value, list) and value and isinstance(value[0], dict) else [{"value": value}]
    return {
        "title": title,
        "description": f"{title}.",
        "type": kind,
        "number_dims": dims,
        "value": given,
        "validators": validators or {},
        **more,
    }


def meta_parameters(source, token):
    """Describe the meta parameters; `token` shows whether this is computed anew."""
    choices = {"choice": {"choices": ["CPS", "PUF"]}}
    described = parameter("Data source", "str", source, choices, compatible_data={"cps": True, "puf": False})
    described["description"] = f"Read as {token}."
    return {
        "schema": META_SCHEMA,
        "data_source": described,
        # A boolean with a range.
        "full_sample": parameter("Full sample", "bool", True, {"range": {"min": False, "max": True}}),
    }


def model_parameters(source):
    """Describe the sections; a meta parameter changes a default."""
    deduction = 12200.0 if source == "CPS" else 12400.0
    return {
        "Policy": {
            "schema": POLICY_SCHEMA,
            "STD": parameter(
                "Standard deduction",
                "float",
                [{"year": 2026, "value": deduction}],
                {"range": {"min": 0, "max": INFINITE}},
                indexed=True,
                checkbox=True,
                section_1="Deductions",
                section_2="",
            ),
            "is_refundable": parameter(
                "Refundable", "bool", False, {"range": {"min": False, "max": True}}, section_1="Credits"
            ),
        },
        "Span": {
            "start_date": parameter(
                "Start", "date", "2020-01-01", {"date_range": {"min": "2009-01-01", "max": "end_date"}}
            ),
            "end_date": parameter("End", "date", "2026-12-31", {"date_range": {"min": "start_date"}}),
            # A list of 3,700 names was taken out of the validators.
            "name": parameter("Name", "str", "anybody"),
            "Tests": parameter("Tests a day", "float", [{"value": [[1.0, 2.0], [3.0, 4.0]]}], dims=2),
            "points": parameter("Points in the plots", "int", 3, {"range": {"min": 1, "max": 10_000_000}}),
        },
    }
