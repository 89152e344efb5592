"""Reads what the form sends: checks it against the schema, in the words that ParamTools uses."""

from datetime import date


def convention_of(meta_param_dict):
    """Take the convention from `{}`, `{name: value}` or `{name: [{"value": value}]}`."""
    return latest((meta_param_dict or {}).get("convention"), "US")


def latest(given, default):
    """Take the value out of value objects, or a bare value as it is."""
    if given is None:
        return default
    if isinstance(given, list) and all(isinstance(v, dict) and "value" in v for v in given):
        return given[-1]["value"] if given else default
    return given


def chosen(sections, adjustment):
    """Lay an adjustment over the defaults: `{section: {name: value}}`."""
    return {
        title: {
            name: latest((adjustment.get(title) or {}).get(name), parameter["value"][0]["value"])
            for name, parameter in parameters.items()
        }
        for title, parameters in sections.items()
    }


def errors_in(parameters, given, values):
    """List what is wrong with the given parameters of a section: `{name: [message]}`."""
    found = {}
    unknown = [f"Unknown field: {name}" for name in given if name not in parameters]
    if unknown:
        found["schema"] = unknown
    for name in given:
        if name in parameters:
            messages = _check(name, parameters[name], values[name], values)
            if messages:
                found[name] = messages
    return found


def _check(name, parameter, value, values):
    if parameter["number_dims"] == 1:
        if not isinstance(value, list):
            return [f"Not a valid list: {value}."]
        return [message for item in value for message in _check_one(name, parameter, item, values)]
    return _check_one(name, parameter, value, values)


def _check_one(name, parameter, value, values):
    kind = parameter["type"]
    number = _READ[kind](value)
    if number is None:
        word = {"int": "integer", "float": "number", "date": "date"}[kind]
        return [f"Not a valid {word}: {value}."]
    rule = next(iter(parameter["validators"].values()))
    messages = []
    for bound, sign, past in (("min", "<", number.__lt__), ("max", ">", number.__gt__)):
        limit = rule[bound]
        other = limit if limit in values else ""
        limit = _READ[kind](values[limit] if other else limit)
        if limit is not None and past(limit) is True:
            messages.append(f"{name} {value} {sign} {bound} {limit} {other}")
    return messages


def _integer(value):
    if isinstance(value, bool):
        return None
    try:
        whole = int(value)
        return whole if isinstance(value, str) or whole == value else None
    except (TypeError, ValueError, OverflowError):
        return None


def _number(value):
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) != float("inf") and number == number else None


def _date(value):
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


_READ = {"int": _integer, "float": _number, "date": _date}


def read(parameter, value):
    """Convert a checked value to the type that its parameter names."""
    convert = _READ[parameter["type"]]
    return [convert(item) for item in value] if parameter["number_dims"] == 1 else convert(value)
