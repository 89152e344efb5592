"""Turns two courses of the epidemic into plots, tables, text and CSV."""

import csv
import io
import json
import re
from html import escape

import numpy as np
from bokeh.embed import json_item
from bokeh.models import NumeralTickFormatter, Span
from bokeh.plotting import figure

from cs_config.picture import heat_map
from epidemic import AGES

RESPONSE, ALONE = "#1f6f8b", "#c44536"


def outputs(setting, start_date, beds, course, alone):
    """Make what the page shows and what can be downloaded."""
    start = np.datetime64(start_date, "D")
    dates = start + np.arange(setting.days + 1)
    capacity = beds * setting.population.sum() / 100_000
    summary = _summary(setting, dates, capacity, course, alone)
    picture = heat_map(course.new_infections, setting.population, AGES, start)
    return {
        "renderable": [
            {"media_type": "Markdown", "title": "Summary", "data": summary},
            {
                "media_type": "bokeh",
                "title": "New infections a day",
                "data": _plot(
                    "People infected a day",
                    dates[:-1],
                    course.new_infections.sum(axis=1),
                    alone.new_infections.sum(axis=1),
                ),
            },
            {
                "media_type": "bokeh",
                "title": "People in hospital",
                "data": _plot(
                    "People in hospital", dates, course.hospital.sum(axis=1), alone.hospital.sum(axis=1), capacity
                ),
            },
            {"media_type": "table", "title": "Toll by age group", "data": _by_age(setting, course, alone)},
            {"media_type": "PNG", "title": "Infections by age and week", "data": picture},
        ],
        "downloadable": [
            {"media_type": "CSV", "title": "Daily totals", "data": _daily_csv(dates, course, alone)},
            {"media_type": "CSV", "title": "Daily by age group", "data": _ages_csv(dates, course)},
            {"media_type": "Markdown", "title": "Summary", "data": summary},
            {"media_type": "PNG", "title": "Infections by age and week", "data": picture},
        ],
    }


def _plot(label, dates, with_response, without, capacity=None):
    plot = figure(
        x_axis_type="datetime",
        height=380,
        sizing_mode="stretch_width",
        y_axis_label=label,
        tools="pan,wheel_zoom,box_zoom,reset,save,hover",
        tooltips=[("date", "@x{%F}"), ("people", "@y{0,0}")],
    )
    plot.hover.formatters = {"@x": "datetime"}
    plot.line(dates, with_response, legend_label="with the response", line_width=3, color=RESPONSE)
    plot.line(dates, without, legend_label="without", line_width=2, color=ALONE, line_dash="dashed")
    if capacity is not None:
        plot.add_layout(Span(location=capacity, dimension="width", line_dash="dotted", line_color="black"))
        plot.line([], [], legend_label="beds", line_dash="dotted", color="black")
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
    plot.y_range.start = 0
    return steady_ids(json_item(plot))


def steady_ids(item):
    """Number a bokeh item's objects from 1001, so that equal plots are equal JSON however many came before."""
    seen = {}

    def renumber(found):
        return f'"p{seen.setdefault(found.group(1), 1001 + len(seen))}"'

    return json.loads(re.sub(r'"p(\d{4,})"', renumber, json.dumps(item)))


def _summary(setting, dates, capacity, course, alone):
    total = setting.population.sum()
    lines = ["## The epidemic in numbers", "", "| | with the response | without |", "| --- | ---: | ---: |"]
    rows = (
        ("People infected", _people, lambda c: c.infections[-1].sum()),
        ("Share of the population", _percent, lambda c: c.infections[-1].sum() / total),
        ("Deaths", _people, lambda c: c.deaths[-1].sum()),
        ("Most people in hospital at once", _people, lambda c: c.hospital.sum(axis=1).max()),
        ("on", str, lambda c: dates[c.hospital.sum(axis=1).argmax()]),
        ("Days with more patients than beds", str, lambda c: int((c.hospital.sum(axis=1) > capacity).sum())),
        ("Doses given", _people, lambda c: c.doses[-1].sum()),
    )
    for label, show, get in rows:
        lines.append(f"| {label} | {show(get(course))} | {show(get(alone))} |")
    averted = alone.deaths[-1].sum() - course.deaths[-1].sum()
    lines += ["", f"Within {setting.days} days the response averts **{_people(averted)} deaths**."]
    if averted < 0:
        lines[-1] = (
            f"Within {setting.days} days there are **{_people(-averted)} more deaths with the response**: "
            "it moved the wave without making it smaller."
        )
    active = course.infectious[-1].sum()
    if active > 1e-4 * total:
        lines += ["", f"The epidemic is not over on the last day: {_people(active)} people are infectious."]
    return "\n".join(lines) + "\n"


def _by_age(setting, course, alone):
    header = ("Age", "People", "Infected", "Share", "Deaths", "Deaths without the response", "Doses")
    rows = []
    for index, age in enumerate((*AGES, "All")):
        pick = slice(None) if age == "All" else slice(index, index + 1)
        people = setting.population[pick].sum()
        infected = course.infections[-1, pick].sum()
        rows.append(
            (
                age,
                _people(people),
                _people(infected),
                _percent(infected / people),
                _people(course.deaths[-1, pick].sum()),
                _people(alone.deaths[-1, pick].sum()),
                _people(course.doses[-1, pick].sum()),
            )
        )
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<table class="table table-striped">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n'
    )


def _daily_csv(dates, course, alone):
    columns = ["date"]
    series = []
    for name, one in (("", course), ("_without_response", alone)):
        columns += [f"{what}{name}" for what in ("infectious", "in_hospital", "infected_so_far", "deaths_so_far")]
        series += [one.infectious, one.hospital, one.infections, one.deaths]
    rows = zip(dates, *(one.sum(axis=1) for one in series))
    return _csv(columns, ([day, *(f"{value:.1f}" for value in values)] for day, *values in rows))


def _ages_csv(dates, course):
    columns = ("date", "age", "susceptible", "infectious", "in_hospital", "infected_so_far", "deaths_so_far", "doses")
    parts = (course.susceptible, course.infectious, course.hospital, course.infections, course.deaths, course.doses)
    return _csv(
        columns,
        (
            [day, age, *(f"{part[number, index]:.1f}" for part in parts)]
            for number, day in enumerate(dates)
            for index, age in enumerate(AGES)
        ),
    )


def _csv(columns, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _people(number):
    return f"{number:,.0f}"


def _percent(share):
    return f"{100 * share:.1f} %"
