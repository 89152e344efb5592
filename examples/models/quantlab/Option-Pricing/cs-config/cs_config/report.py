"""Turns prices into tables, plots, text and CSV."""

import json
import re
from html import escape

import numpy as np
from bokeh.embed import json_item
from bokeh.models import Span
from bokeh.plotting import figure

BLUE, RED = "#1f6f8b", "#c44536"


def outputs(terms, estimates, slopes, closed, paths):
    """Make what the page shows and what can be downloaded."""
    return {
        "renderable": [
            {"media_type": "Text", "title": "In short", "data": _in_short(terms, estimates, closed)},
            {"media_type": "table", "title": "Prices and sensitivities", "data": _prices(estimates, slopes)},
            {"media_type": "bokeh", "title": "Range of the stock price", "data": _fan(terms, paths)},
            {"media_type": "bokeh", "title": "Price at the end", "data": _histogram(terms, paths)},
        ],
        "downloadable": [
            {"media_type": "CSV", "title": "Prices and sensitivities", "data": _csv(estimates, slopes, closed)},
            {"media_type": "CSV", "title": "Range of the stock price", "data": _fan_csv(terms, paths)},
        ],
    }


def _in_short(terms, estimates, closed):
    found = estimates["European"]
    off = (found.price - closed) / found.error if found.error > 0 else 0.0
    kind = "call" if terms.is_call else "put"
    premium = estimates["American"].price - found.price
    return (
        f"A European {kind} with strike {terms.strike:g} is worth {found.price:.4f} "
        f"(95 % interval {found.price - 1.96 * found.error:.4f} to {found.price + 1.96 * found.error:.4f}).\n"
        f"The closed formula gives {closed:.4f}: {abs(off):.1f} standard errors away.\n"
        f"The right to exercise early is worth about {max(premium, 0.0):.4f}.\n"
    )


def _prices(estimates, slopes):
    header = ("Style", "Price", "Standard error", "Delta", "Vega (for 1 % point)", "Rho (for 1 % point)")
    rows = [
        (
            style,
            f"{found.price:.4f}",
            f"{found.error:.4f}",
            *(f"{slopes[style][name]:.4f}" for name in ("delta", "vega", "rho")),
        )
        for style, found in estimates.items()
    ]
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<table class="table table-striped">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n'
    )


def _quantiles(terms, paths):
    years = np.linspace(0, terms.years, terms.steps + 1)
    return years, np.quantile(paths, (0.05, 0.25, 0.5, 0.75, 0.95), axis=0)


def _fan(terms, paths):
    years, bands = _quantiles(terms, paths)
    plot = figure(height=380, sizing_mode="stretch_width", x_axis_label="years", y_axis_label="price of the stock", tools="save,hover")
    for low, high, label, alpha in ((0, 4, "9 of 10 paths", 0.2), (1, 3, "half of the paths", 0.35)):
        plot.varea(years, bands[low], bands[high], color=BLUE, alpha=alpha, legend_label=label)
    plot.line(years, bands[2], color=BLUE, line_width=3, legend_label="median")
    for level, colour in ((terms.strike, "black"), (terms.barrier, RED)):
        plot.add_layout(Span(location=level, dimension="width", line_dash="dashed", line_color=colour))
    plot.line([], [], color="black", line_dash="dashed", legend_label="strike")
    plot.line([], [], color=RED, line_dash="dashed", legend_label="barrier")
    plot.legend.location = "top_left"
    return steady_ids(json_item(plot))


def _histogram(terms, paths):
    counts, edges = np.histogram(paths[:, -1], bins=60, range=(0, float(np.quantile(paths[:, -1], 0.995))))
    plot = figure(height=320, sizing_mode="stretch_width", x_axis_label="price of the stock", y_axis_label="% of paths", tools="save,hover")
    plot.quad(top=100 * counts / len(paths), bottom=0, left=edges[:-1], right=edges[1:], color=BLUE, line_color="white")
    plot.add_layout(Span(location=terms.strike, dimension="height", line_dash="dashed", line_color="black"))
    return steady_ids(json_item(plot))


def steady_ids(item):
    """Number a bokeh item's objects from 1001, so that equal plots are equal JSON however many came before."""
    seen = {}

    def renumber(found):
        return f'"p{seen.setdefault(found.group(1), 1001 + len(seen))}"'

    return json.loads(re.sub(r'"p(\d{4,})"', renumber, json.dumps(item)))


def _csv(estimates, slopes, closed):
    lines = ["style,price,standard_error,delta,vega,rho,closed_formula"]
    for style, found in estimates.items():
        numbers = [found.price, found.error, *(slopes[style][name] for name in ("delta", "vega", "rho"))]
        exact = f"{closed:.8f}" if style == "European" else ""
        lines.append(",".join([style, *(f"{number:.8f}" for number in numbers), exact]))
    return "\n".join(lines) + "\n"


def _fan_csv(terms, paths):
    years, bands = _quantiles(terms, paths)
    lines = ["years,p05,p25,p50,p75,p95"]
    for index, year in enumerate(years):
        lines.append(",".join(f"{number:.6f}" for number in (year, *bands[:, index])))
    return "\n".join(lines) + "\n"
