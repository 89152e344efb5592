"""Turns a comparison into tables, a plot, text and CSV."""

import json
import re
from html import escape

from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, Span
from bokeh.plotting import figure

# Columns of Tax-Calculator's difference table that are shown, and their meaning.
SHOWN = {
    "count": ("Returns (millions)", "{:,.2f}"),
    "perc_cut": ("Pay less (%)", "{:.1f}"),
    "perc_inc": ("Pay more (%)", "{:.1f}"),
    "mean": ("Average change of tax ($)", "{:,.0f}"),
    "tot_change": ("Total change (billion $)", "{:,.2f}"),
    "pc_aftertaxinc": ("Change of after-tax income (%)", "{:.2f}"),
}
NO_INCOME = {"0-10n": "0-10, negative income", "0-10z": "0-10, no income", "0-10p": "0-10, positive income"}


def outputs(comparison, year, reform, law, sample):
    """Make what the page shows and what can be downloaded."""
    groups = comparison.groups.rename(index=NO_INCOME).rename_axis("income_group")
    return {
        "renderable": [
            {
                "media_type": "Markdown",
                "title": "In short",
                "data": _in_short(comparison, groups, year, sample),
            },
            {"media_type": "table", "title": "Revenue by year (billion $)", "data": _revenue(comparison.revenue)},
            {"media_type": "bokeh", "title": f"Change of after-tax income, {year}", "data": _plot(groups, year)},
            {"media_type": "table", "title": f"Winners and losers, {year}", "data": _groups(groups)},
            {"media_type": "table", "title": "What the reform changes", "data": _changes(reform, law)},
        ],
        "downloadable": [
            {
                "media_type": "CSV",
                "title": "Revenue by year",
                "data": comparison.revenue.to_csv(index=False, float_format="%.4f", lineterminator="\n"),
            },
            {
                "media_type": "CSV",
                "title": f"Winners and losers {year}",
                "data": groups.to_csv(float_format="%.6f", lineterminator="\n"),
            },
            {
                "media_type": "Text",
                "title": "Reform for Tax-Calculator",
                "data": json.dumps(reform, indent=2, sort_keys=True) + "\n",
            },
        ],
    }


def _in_short(comparison, groups, year, sample):
    both = comparison.revenue[comparison.revenue["tax"] == "Both"]
    total = both["difference"].sum()
    verb = "raises" if total >= 0 else "costs"
    everybody = groups.loc["ALL"]
    span = f"{year} to {both['year'].max()}" if len(both) > 1 else str(year)
    return (
        f"The reform **{verb} {abs(total):,.1f} billion dollars** in {span}, "
        "income and payroll taxes together, if behaviour does not change.\n\n"
        f"In {year}, {everybody['perc_cut']:.1f} % of tax returns pay less and {everybody['perc_inc']:.1f} % pay more; "
        f"the average tax changes by {everybody['mean']:,.0f} dollars.\n\n"
        f"Computed on {sample} of the survey's tax returns.\n"
    )


def _revenue(revenue):
    rows = [
        (str(row.year), row.tax, f"{row.current_law:,.1f}", f"{row.reform:,.1f}", f"{row.difference:+,.1f}")
        for row in revenue.itertuples()
    ]
    return _table(("Year", "Tax", "Current law", "Reform", "Difference"), rows)


def _groups(groups):
    rows = [
        (name, *(form.format(row[column]) for column, (_, form) in SHOWN.items()))
        for name, row in groups.iterrows()
    ]
    return _table(("Income group", *(title for title, _ in SHOWN.values())), rows)


def _changes(reform, law):
    rows = []
    for name, values in sorted(reform.items()):
        base = name.removesuffix("-indexed")
        title = law[base]["title"]
        for item in values:
            labels = ", ".join(str(value) for label, value in item.items() if label not in ("value", "year"))
            if name != base:
                now = "follows inflation" if law[base]["indexed"] else "does not follow inflation"
                new = "follows inflation" if item["value"] else "does not follow inflation"
            else:
                now, new = _now(law[base]["value"], item), str(item["value"])
            rows.append((title, base, labels, str(item["year"]), now, new))
    if not rows:
        return "<p>Nothing: the reform is current law.</p>\n"
    return _table(("Parameter", "Name", "For", "From", "Current law, first year", "Reform"), rows)


def _now(values, item):
    def fits(other):
        return all(other.get(key) == value for key, value in item.items() if key not in ("value", "year"))

    return ", ".join(dict.fromkeys(str(other["value"]) for other in values if fits(other)))


def _plot(groups, year):
    shown = groups.drop(index="ALL")
    names = [str(name) for name in shown.index]
    change = shown["pc_aftertaxinc"].to_numpy()
    source = ColumnDataSource(
        {
            "group": names,
            "change": change,
            "colour": ["#1f6f8b" if value >= 0 else "#c44536" for value in change],
        }
    )
    plot = figure(
        x_range=names,
        height=420,
        sizing_mode="stretch_width",
        title=f"Change of after-tax income by income group, {year}",
        y_axis_label="percent",
        tools="save,hover",
        tooltips=[("group", "@group"), ("change", "@change{0.00} %")],
    )
    plot.vbar(x="group", top="change", width=0.8, color="colour", source=source)
    plot.add_layout(Span(location=0, dimension="width", line_color="black"))
    plot.xaxis.major_label_orientation = 0.8
    plot.xgrid.visible = False
    return steady_ids(json_item(plot))


def steady_ids(item):
    """Number a bokeh item's objects from 1001, so that equal plots are equal JSON however many came before."""
    seen = {}

    def renumber(found):
        return f'"p{seen.setdefault(found.group(1), 1001 + len(seen))}"'

    return json.loads(re.sub(r'"p(\d{4,})"', renumber, json.dumps(item)))


def _table(header, rows):
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<table class="table table-striped">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n'
    )
