"""The model's parameters: defaults, and how to take a value out of what was sent."""

from types import SimpleNamespace

SECTION = "Run"

DEFAULTS = {
    "case": "quiet",
    "check": "plain",
    "seconds": 1.0,
    "megabytes": 8,
    "count": 100,
    "text": "",
    "target": "127.0.0.1:9",
    "paths": ["/etc/shadow"],
}


def read(values, name, default):
    """Take the last value of value objects, or a bare value as it is."""
    given = values.get(name, default)
    if isinstance(given, list) and given and all(isinstance(item, dict) for item in given):
        return given[-1].get("value", default)
    return given


def settings(adjustment):
    """Lay an adjustment over the defaults."""
    section = adjustment.get(SECTION) or {}
    return SimpleNamespace(**{name: read(section, name, value) for name, value in DEFAULTS.items()})
