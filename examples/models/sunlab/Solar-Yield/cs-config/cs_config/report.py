"""Turns hours of power into plots, tables, text and CSV."""

import calendar
import json
import re
from html import escape

import numpy as np
from bokeh.embed import json_item
from bokeh.models import Span
from bokeh.plotting import figure
from bokeh.transform import dodge

from solaryield import balance, cost_of_energy

MONTHS = list(calendar.month_abbr)[1:]
TILTS = (0.0, 15.0, 30.0, 45.0, 60.0, 75.0, 90.0)
DIRECTIONS = {"North": 0.0, "East": 90.0, "South-east": 135.0, "South": 180.0, "South-west": 225.0, "West": 270.0}
REAL, CLEAR = "#1f6f8b", "#f2b134"


def outputs(hours, grid, system, money):
    """Make what the page shows and what can be downloaded."""
    monthly = hours.groupby(hours.index.month)[["ac_kw", "clear_sky_ac_kw", "ghi_w_m2"]].sum()
    total = hours["ac_kw"].sum()
    balances = balance(money, total)
    return {
        "renderable": [
            {"media_type": "Markdown", "title": "In short", "data": _in_short(total, monthly, system, money, balances)},
            {"media_type": "bokeh", "title": "Yield by month", "data": _months_plot(monthly)},
            {"media_type": "bokeh", "title": "Mean day in summer and winter", "data": _days_plot(hours)},
            {"media_type": "table", "title": "Yield by month", "data": _months_table(monthly, system)},
            {
                "media_type": "table",
                "title": "Yield by tilt and direction (kWh a year for each kW)",
                "data": _grid_table(grid),
            },
            {"media_type": "bokeh", "title": "Balance over the years", "data": _balance_plot(balances)},
        ],
        "downloadable": [
            {
                "media_type": "CSV",
                "title": "Hourly",
                "data": hours.rename_axis("middle_of_hour").to_csv(float_format="%.3f", lineterminator="\n"),
            },
            {
                "media_type": "CSV",
                "title": "Monthly",
                "data": _monthly_csv(monthly),
            },
            {
                "media_type": "CSV",
                "title": "Balance by year",
                "data": "year,discounted_balance\n"
                + "".join(f"{year},{value:.2f}\n" for year, value in enumerate(balances)),
            },
        ],
    }


def _in_short(total, monthly, system, money, balances):
    paid = np.flatnonzero(balances >= 0)
    back = f"after **{paid[0]} years**" if len(paid) else f"**not within its {money.life} years**"
    best = MONTHS[int(monthly["ac_kw"].argmax())]
    cut = monthly["ac_kw"].sum() / monthly["clear_sky_ac_kw"].sum()
    return (
        f"The system yields **{total:,.0f} kWh a year**, {total / system.power:,.0f} kWh for each kW of panels, "
        f"most of it in {best}. Clouds leave {100 * cut:.0f} % of what a year of clear sky would give.\n\n"
        f"A kilowatt hour costs **{cost_of_energy(money, total):.3f}** over the life of the system, "
        f"and the system has paid for itself {back}; "
        f"at the end of its life the discounted balance is {balances[-1]:,.0f}.\n"
    )


def _months_plot(monthly):
    data = {"month": MONTHS, "real": monthly["ac_kw"].to_list(), "clear": monthly["clear_sky_ac_kw"].to_list()}
    plot = figure(x_range=MONTHS, height=360, sizing_mode="stretch_width", y_axis_label="kWh", tools="save,hover")
    for shift, name, label, colour in ((-0.2, "real", "with usual clouds", REAL), (0.2, "clear", "clear sky", CLEAR)):
        plot.vbar(
            x=dodge("month", shift, range=plot.x_range), top=name, width=0.38, source=data, color=colour, legend_label=label
        )
    plot.hover.tooltips = [("month", "@month"), ("with usual clouds", "@real{0,0} kWh"), ("clear sky", "@clear{0,0} kWh")]
    plot.y_range.start = 0
    return steady_ids(json_item(plot))


def _days_plot(hours):
    plot = figure(
        height=360, sizing_mode="stretch_width", x_axis_label="hour of the day (standard time)", y_axis_label="kW",
        tools="save,hover",
    )
    for month, label, colour in ((6, "June", CLEAR), (12, "December", REAL)):
        chosen = hours[hours.index.month == month]["ac_kw"]
        mean = chosen.groupby(chosen.index.hour).mean()
        plot.line((mean.index + 0.5).to_list(), mean.to_list(), line_width=3, color=colour, legend_label=label)
    plot.y_range.start = 0
    return steady_ids(json_item(plot))


def _balance_plot(balances):
    plot = figure(
        height=320, sizing_mode="stretch_width", x_axis_label="years", y_axis_label="discounted balance", tools="save,hover"
    )
    plot.line(list(range(len(balances))), balances.tolist(), line_width=3, color=REAL)
    plot.add_layout(Span(location=0, dimension="width", line_color="black"))
    return steady_ids(json_item(plot))


def steady_ids(item):
    """Number a bokeh item's objects from 1001, so that equal plots are equal JSON however many came before."""
    seen = {}

    def renumber(found):
        return f'"p{seen.setdefault(found.group(1), 1001 + len(seen))}"'

    return json.loads(re.sub(r'"p(\d{4,})"', renumber, json.dumps(item)))


def _months_table(monthly, system):
    rows = [
        (
            MONTHS[month - 1],
            f"{row['ac_kw']:,.0f}",
            f"{row['ac_kw'] / system.power:,.0f}",
            f"{row['clear_sky_ac_kw']:,.0f}",
            f"{row['ghi_w_m2'] / 1000:,.0f}",
        )
        for month, row in monthly.iterrows()
    ]
    sums = monthly.sum()
    rows.append(
        (
            "Year",
            f"{sums['ac_kw']:,.0f}",
            f"{sums['ac_kw'] / system.power:,.0f}",
            f"{sums['clear_sky_ac_kw']:,.0f}",
            f"{sums['ghi_w_m2'] / 1000:,.0f}",
        )
    )
    header = ("Month", "Yield (kWh)", "For each kW (kWh)", "Under clear sky (kWh)", "Irradiation on the ground (kWh/m²)")
    return _table(header, rows)


def _grid_table(grid):
    rows = [(f"{tilt:.0f}°", *(f"{value:,.0f}" for value in line)) for tilt, line in zip(TILTS, grid)]
    return _table(("Tilt", *DIRECTIONS), rows)


def _monthly_csv(monthly):
    named = monthly.rename_axis("month").rename(
        columns={"ac_kw": "yield_kwh", "clear_sky_ac_kw": "clear_sky_yield_kwh", "ghi_w_m2": "irradiation_wh_m2"}
    )
    return named.to_csv(float_format="%.3f", lineterminator="\n")


def _table(header, rows):
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<table class="table table-striped">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n'
    )
