"""Collects the cases, and has the small helpers that all of them use."""

import json

CASES = {}


def case(name):
    """Register a function as the case of that name."""

    def add(function):
        CASES[name] = function
        return function

    return add


def result(*shown, downloadable=()):
    """Make a result of the outputs that are shown and those that are only offered."""
    return {"renderable": list(shown), "downloadable": list(downloadable)}


def output(media_type, title, data):
    """Make one output."""
    return {"media_type": media_type, "title": title, "data": data}


def said(data, title="Result"):
    """Make a result of one text; what is no text is written as JSON."""
    text = data if isinstance(data, str) else json.dumps(data, indent=1, sort_keys=True) + "\n"
    return result(output("Text", title, text))
